//! The chain: each line's hash covers the line and, through the hash before it, every line before.
//!
//! A line is `BODY,"seq":N,"hash":"H"}` and a newline, where H is SHA-256, or HMAC-SHA256 with the record's key, of the
//! previous hash (32 raw bytes; zeros before the first line) and of everything up to and including N. Without a key
//! the chain proves order and completeness to whoever noted a hash; with one, nobody without it can write a line.
//!
//! `ledger::verify` shares no code with this file, on purpose.

use std::fmt;

use crate::secret::Secret;
use crate::sign::digest::{MacSha256, RunningSha256};
use crate::sign::encode::{decimal, hex32};

/// The hash before the first line.
const GENESIS: [u8; 32] = [0; 32];
/// Digits of a hash.
const DIGITS: usize = 64;
const HASH: &[u8] = b",\"hash\":\"";
const SEQ: &[u8] = b",\"seq\":";
const END: &[u8] = b"\"}";

/// One line of the chain: its number and its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The line's number over all segments.
    pub seq: u64,
    /// Its hash.
    pub hash: [u8; 32],
}

impl fmt::Display for Head {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.seq, hex(&self.hash))
    }
}

/// 64 lower-case digits.
pub(super) fn hex(hash: &[u8; 32]) -> String {
    digits(&hex32(hash)).to_owned()
}

/// Digits as the text that they are.
pub(super) fn digits(hex: &[u8; DIGITS]) -> &str {
    std::str::from_utf8(hex).unwrap_or_default()
}

/// How hashes are made; holds the key, and is wiped with it.
#[derive(Clone)]
pub(super) enum Algorithm {
    /// Anybody can compute it.
    Sha256,
    /// Only who has the key can.
    HmacSha256(Box<MacSha256>),
}

impl Algorithm {
    pub(super) fn new(key: Option<&Secret>) -> Self {
        key.map_or(Self::Sha256, |key| Self::HmacSha256(Box::new(MacSha256::new(key.expose()))))
    }

    /// As it stands in open lines.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::HmacSha256(_) => "hmac-sha256",
        }
    }

    fn hash(&self, previous: &[u8; 32], line: &[u8]) -> [u8; 32] {
        match self {
            Self::Sha256 => {
                let mut hash = RunningSha256::new();
                hash.update(previous);
                hash.update(line);
                hash.finish()
            }
            Self::HmacSha256(keyed) => keyed.sign_all(&[previous, line]),
        }
    }
}

/// Where the chain ends, and how it goes on.
#[derive(Clone)]
pub(super) struct Chain {
    algorithm: Algorithm,
    last: Option<Head>,
}

impl Chain {
    /// A chain that goes on after `last`; without it, a new one.
    pub(super) fn after(last: Option<Head>, algorithm: Algorithm) -> Self {
        Self { algorithm, last }
    }

    pub(super) fn head(&self) -> Option<Head> {
        self.last
    }

    /// The number of the next line.
    pub(super) fn next(&self) -> u64 {
        self.last.map_or(0, |last| last.seq.saturating_add(1))
    }

    pub(super) fn previous_hash(&self) -> [u8; 32] {
        self.last.map_or(GENESIS, |last| last.hash)
    }

    pub(super) fn algorithm(&self) -> &Algorithm {
        &self.algorithm
    }

    /// Goes back to an earlier line, when what came after it has to be written again elsewhere.
    pub(super) fn rewind(&mut self, to: Option<Head>) {
        self.last = to;
    }

    /// Writes the line of `body`, a JSON object without its closing brace, to the end of `out`.
    pub(super) fn append(&mut self, body: &[u8], out: &mut Vec<u8>) {
        let seq = self.next();
        let start = out.len();
        out.extend_from_slice(body);
        out.extend_from_slice(SEQ);
        decimal(seq, out);
        let hash = self.algorithm.hash(&self.previous_hash(), &out[start..]);
        out.extend_from_slice(HASH);
        out.extend_from_slice(&hex32(&hash));
        out.extend_from_slice(END);
        out.push(b'\n');
        self.last = Some(Head { seq, hash });
    }

    /// Whether `line` (without newline) is what comes next; if so, the chain ends with it.
    pub(super) fn accept(&mut self, line: &[u8]) -> bool {
        let accepted = split(line).filter(|(hashed, head)| {
            head.seq == self.next() && self.algorithm.hash(&self.previous_hash(), hashed) == head.hash
        });
        if let Some((_, head)) = accepted {
            self.last = Some(head);
        }
        accepted.is_some()
    }
}

/// What a line's hash covers, and what the line says of itself.
pub(super) fn split(line: &[u8]) -> Option<(&[u8], Head)> {
    let rest = line.strip_suffix(END)?;
    let (rest, digits) = rest.split_at_checked(rest.len().checked_sub(DIGITS)?)?;
    let hashed = rest.strip_suffix(HASH)?;
    let digit_count = hashed.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (before, seq) = hashed.split_at(hashed.len() - digit_count);
    let seq = std::str::from_utf8(seq).ok()?.parse().ok()?;
    before.ends_with(SEQ).then_some((hashed, Head { seq, hash: unhex(digits)? }))
}

/// The reverse of [`hex`].
pub(super) fn unhex(digits: &[u8]) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    if digits.len() != DIGITS {
        return None;
    }
    for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |letter: u8| match letter {
            b'0'..=b'9' => Some(letter - b'0'),
            b'a'..=b'f' => Some(letter - b'a' + 10),
            _ => None,
        };
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_definition() {
        // Computed with `printf` and `openssl dgst -sha256 [-hmac key] -binary`.
        for (key, expected) in [
            (None, "237924f6de3b8bb970e14f26e6de3214220d6973afd47cd28f95ac6401c8bec9"),
            (Some(Secret::from("key")), "aeb77306b388a78bf8ef4bed79806a0beb3d28e443f5d45f3a36ca419951e2f0"),
        ] {
            let mut chain = Chain::after(None, Algorithm::new(key.as_ref()));
            let mut lines = Vec::new();
            chain.append(b"{\"a\":1", &mut lines);
            chain.append(b"{\"a\":2", &mut lines);
            let text = String::from_utf8_lossy(&lines);
            let second = text.lines().nth(1).unwrap_or_default();
            assert_eq!(second, format!("{{\"a\":2,\"seq\":1,\"hash\":\"{expected}\"}}"));
        }
    }

    #[test]
    fn accepts_its_own_lines_and_no_others() {
        let mut chain = Chain::after(None, Algorithm::Sha256);
        let mut lines = Vec::new();
        chain.append(b"{\"a\":1", &mut lines);
        let line = &lines[..lines.len() - 1];
        assert!(Chain::after(None, Algorithm::Sha256).accept(line));
        assert!(!chain.accept(line), "a repeated line");
        for at in 0..line.len() {
            let mut altered = line.to_vec();
            altered[at] ^= 1;
            assert!(!Chain::after(None, Algorithm::Sha256).accept(&altered), "byte {at}");
        }
        for short in 0..line.len() {
            assert!(split(&line[..short]).is_none());
        }
        // A line with the right hash in the wrong place; one that ends in digits that are no number of a line.
        let mut later = Chain::after(Some(Head { seq: 4, hash: GENESIS }), Algorithm::Sha256);
        let mut lines = Vec::new();
        later.append(b"{\"a\":1", &mut lines);
        assert!(!Chain::after(None, Algorithm::Sha256).accept(&lines[..lines.len() - 1]));
        let covered = b"{\"a\":0";
        let digits = hex(&Algorithm::Sha256.hash(&GENESIS, covered));
        let unnumbered = [covered.as_slice(), HASH, digits.as_bytes(), END].concat();
        assert!(!Chain::after(None, Algorithm::Sha256).accept(&unnumbered));
    }
}

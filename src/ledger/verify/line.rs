//! A line taken apart, from its end; and of what it says, as much as counts for the proof.

use std::borrow::Cow;

use serde::Deserialize;

use super::Claim;

/// What stands before the first line.
pub(super) const ZEROS: [u8; 32] = [0; 32];
/// From the end of a line's body to its hash, and after it.
const BEFORE_HASH: &str = ",\"hash\":\"";
/// How lines begin.
pub(super) const BEGINNINGS: [&[u8]; 2] = [b"{\"eventVersion\":\"", b"{\"segment\":{\"record\":\""];
const BEFORE_SEQ: &str = ",\"seq\":";

/// A line taken apart.
#[derive(Clone, Copy)]
pub(super) struct Parts<'l> {
    pub(super) covered: &'l [u8],
    pub(super) own: Claim,
}

/// Reads a line from its end: `"}`, 64 digits, the words between, the number.
pub(super) fn parts(line: &[u8]) -> Option<Parts<'_>> {
    // `"}` and the digits have a fixed length, so positions count from the end.
    let hash_at = line.len().checked_sub(2 + 64)?;
    let covered_to = hash_at.checked_sub(BEFORE_HASH.len())?;
    let framed = &line[hash_at + 64..] == b"\"}" && &line[covered_to..hash_at] == BEFORE_HASH.as_bytes();
    if !framed || !line.starts_with(b"{") || !line.is_ascii() {
        return None;
    }
    let hash = digits(&line[hash_at..hash_at + 64])?;
    let covered = &line[..covered_to];
    let seq_at = covered.iter().rposition(|byte| !byte.is_ascii_digit())? + 1;
    let seq = std::str::from_utf8(&covered[seq_at..]).ok()?;
    let canonical =
        covered[..seq_at].ends_with(BEFORE_SEQ.as_bytes()) && (seq == "0" || !seq.starts_with('0'));
    let seq = canonical.then(|| seq.parse().ok()).flatten()?;
    Some(Parts { covered, own: Claim { seq, hash } })
}

/// 32 bytes from 64 lower-case hex digits.
pub(super) fn digits(text: &[u8]) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || text.iter().any(u8::is_ascii_uppercase) {
        return None;
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        let pair = std::str::from_utf8(&text[2 * index..2 * index + 2]).ok()?;
        if !pair.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(bytes)
}

/// A line of the record about itself; which fields are there depends on `record`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Mark<'l> {
    #[serde(borrow)]
    pub(super) record: Cow<'l, str>,
    pub(super) number: u64,
    #[serde(borrow, default)]
    pub(super) previous_hash: Cow<'l, str>,
    #[serde(borrow, default, rename = "hash-algorithm")]
    pub(super) algorithm: Cow<'l, str>,
    #[serde(borrow, default)]
    pub(super) after: Cow<'l, str>,
    #[serde(default)]
    pub(super) lines: u64,
    #[serde(default)]
    pub(super) first_seq: u64,
    #[serde(default)]
    pub(super) torn_bytes: u64,
    #[serde(default)]
    pub(super) reads: u64,
    #[serde(default)]
    pub(super) writes: u64,
    #[serde(default)]
    pub(super) through: u64,
}

/// As much of a line as counts here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Content<'l> {
    #[serde(borrow)]
    pub(super) segment: Option<Mark<'l>>,
    #[serde(borrow, rename = "requestID")]
    pub(super) request_id: Option<Cow<'l, str>>,
    #[serde(borrow)]
    pub(super) event_name: Option<Cow<'l, str>>,
    #[serde(borrow)]
    pub(super) event_time: Option<Cow<'l, str>>,
    #[serde(borrow)]
    pub(super) user_identity: Option<Identity<'l>>,
    #[serde(borrow)]
    pub(super) additional_event_data: Option<Additional<'l>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Identity<'l> {
    #[serde(borrow)]
    pub(super) user_name: Option<Cow<'l, str>>,
}

#[derive(Deserialize)]
pub(super) struct Additional<'l> {
    #[serde(borrow)]
    pub(super) record: Option<Cow<'l, str>>,
}

/// An open line, as far as it concerns the segment before.
#[derive(Clone)]
pub(super) struct Opening {
    pub(super) number: u64,
    pub(super) seq: u64,
    pub(super) previous: [u8; 32],
    pub(super) algorithm: String,
    pub(super) after: String,
}

impl Opening {
    pub(super) fn of(line: &[u8]) -> Option<Self> {
        let content: Content<'_> = serde_json::from_slice(line).ok()?;
        let mark = content.segment.filter(|mark| mark.record == "open")?;
        Some(Self {
            number: mark.number,
            seq: parts(line)?.own.seq,
            previous: digits(mark.previous_hash.as_bytes())?,
            algorithm: mark.algorithm.into_owned(),
            after: mark.after.into_owned(),
        })
    }

    /// The line of the segment before after which the chain goes on here, when that segment ended without a seal.
    pub(super) fn resumes(&self) -> Option<Claim> {
        let unsealed = matches!(self.after.as_str(), "failure" | "unverified");
        let seq = self.seq.checked_sub(1).filter(|_| unsealed)?;
        Some(Claim { seq, hash: self.previous })
    }
}

//! The credentials that this gateway holds, as they would look in an answer.
//!
//! An answer that echoes one of them (a debugging upstream, a listing of keys) is recognised by the value, whatever
//! the field is called: plain, in Base64 at any alignment, and below percent encoding or character references. Own
//! code and no automaton crate, because those keep copies of their patterns that nobody wipes.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::escapes::peel;
use crate::secret::{Key, Secret};

/// Shorter values are found only where they are the whole of a text: inside longer ones they would be found by chance.
const SHORTEST: usize = 8;
/// Of a longer value the beginning is looked for.
const LONGEST: usize = 256;
/// Bits of the sieve.
const SIEVE: usize = 1 << 12;

/// What is looked for. Has no `Debug`; its bytes are wiped when it is dropped.
#[derive(Default)]
pub struct Needles {
    /// Every form, and whether it is all of a value as it stands.
    forms: Vec<Form>,
    /// The first eight bytes of each form, sorted, and its index.
    heads: Zeroizing<Vec<(u64, usize)>>,
    /// Which heads there can be.
    sieve: Vec<u64>,
    /// Values below [`SHORTEST`].
    short: Vec<Zeroizing<Vec<u8>>>,
}

struct Form {
    bytes: Zeroizing<Vec<u8>>,
    plain: bool,
}

impl Needles {
    /// The secrets, ids and tokens of these keys.
    pub fn of<'k>(keys: impl IntoIterator<Item = &'k Key>) -> Self {
        let mut needles = Self::default();
        for key in keys {
            needles.add(key);
        }
        needles
    }

    /// Adds what one key is made of, and the pair that HTTP's Basic scheme writes.
    pub fn add(&mut self, key: &Key) {
        let (id, secret) = (key.id.as_bytes(), key.secret.expose());
        if id.len() >= SHORTEST {
            self.add_value(id);
        }
        self.add_value(secret);
        let pair = Zeroizing::new([id, b":", secret].concat());
        self.add_encoded(&pair);
        if let Some(token) = &key.session_token {
            self.add_value(token.expose());
        }
    }

    /// Adds a secret whose id is no secret: that of a key that this gateway issued.
    pub fn add_secret(&mut self, secret: &Secret) {
        self.add_value(secret.expose());
    }

    fn add_value(&mut self, value: &[u8]) {
        if value.len() < SHORTEST {
            if !value.is_empty() {
                self.short.push(Zeroizing::new(value.to_vec()));
            }
            return;
        }
        let whole = value.len() <= LONGEST;
        self.add_form(&value[..value.len().min(LONGEST)], whole);
        self.add_encoded(value);
    }

    /// Base64 in both alphabets, without the characters that depend on what stands before or behind.
    fn add_encoded(&mut self, value: &[u8]) {
        let value = &value[..value.len().min(LONGEST / 2)];
        for shift in 0..3 {
            let padded = Zeroizing::new([&[0; 2][..shift], value].concat());
            let from = [0, 2, 3][shift];
            let to = padded.len() * 8 / 6;
            for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
                let encoded = Zeroizing::new(engine.encode(&*padded));
                if let Some(form) = encoded.as_bytes().get(from..to) {
                    self.add_form(form, false);
                }
            }
        }
    }

    fn add_form(&mut self, bytes: &[u8], plain: bool) {
        let Some(head) = bytes.first_chunk().map(|head| u64::from_le_bytes(*head)) else { return };
        let from = self.heads.partition_point(|(known, _)| *known < head);
        let mut same = self.heads[from..].iter().take_while(|(known, _)| *known == head);
        if same.any(|(_, index)| **self.forms[*index].bytes == *bytes) {
            return;
        }
        self.sieve.resize(SIEVE / 64, 0);
        let bit = sieve_bit(head);
        self.sieve[bit / 64] |= 1 << (bit % 64);
        self.heads.insert(from, (head, self.forms.len()));
        self.forms.push(Form { bytes: Zeroizing::new(bytes.to_vec()), plain });
    }

    /// Whether a text is or holds a credential, also below one or two layers of escapes.
    pub(super) fn are_in(&self, text: &[u8]) -> bool {
        if self.short.iter().any(|short| **short == *text) || self.find(text).is_some() {
            return true;
        }
        let Some(peeled) = peel(text) else { return false };
        self.find(&peeled).is_some() || peel(&peeled).is_some_and(|peeled| self.find(&peeled).is_some())
    }

    /// The text with every credential that stands there as it is put out of it; none when it holds none. What else
    /// it may hold the caller asks [`Self::are_in`].
    pub(super) fn erased(&self, text: &[u8], mark: &[u8]) -> Option<Vec<u8>> {
        let mut kept = Vec::new();
        let mut rest = text;
        while let Some((at, form)) = self.find(rest) {
            if !form.plain {
                return None;
            }
            kept.extend_from_slice(&rest[..at]);
            kept.extend_from_slice(mark);
            rest = &rest[at + form.bytes.len()..];
        }
        (rest.len() < text.len()).then(|| [&kept[..], rest].concat())
    }

    /// The first form in a text, and where.
    fn find(&self, text: &[u8]) -> Option<(usize, &Form)> {
        if self.forms.is_empty() {
            return None;
        }
        let windows = text.windows(SHORTEST).enumerate();
        for (at, window) in windows {
            let Some(head) = window.first_chunk().map(|head| u64::from_le_bytes(*head)) else { break };
            let bit = sieve_bit(head);
            if self.sieve[bit / 64] & (1 << (bit % 64)) == 0 {
                continue;
            }
            let from = self.heads.partition_point(|(known, _)| *known < head);
            let same = self.heads[from..].iter().take_while(|(known, _)| *known == head);
            let found =
                same.map(|(_, index)| &self.forms[*index]).filter(|form| text[at..].starts_with(&form.bytes));
            // The longest, so that nothing of a credential that begins like another stays behind.
            if let Some(form) = found.max_by_key(|form| form.bytes.len()) {
                return Some((at, form));
            }
        }
        None
    }
}

fn sieve_bit(head: u64) -> usize {
    (head.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 52) as usize % SIEVE
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

    fn needles() -> Needles {
        let key = |id: &str, secret: &str, token: Option<String>| Key {
            id: id.to_owned(),
            secret: secret.into(),
            session_token: token.map(|token| token.as_str().into()),
        };
        Needles::of([&key("AKIDEXAMPLE", SECRET, None), &key("abc", "tiny", Some("t0ken/".repeat(100)))])
    }

    #[test]
    fn every_writing_is_found() {
        let needles = needles();
        let upper: String = SECRET.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let json: String = SECRET.bytes().map(|byte| format!("\\u{byte:04x}")).collect();
        let xml: String = SECRET.bytes().map(|byte| format!("&#{byte};")).collect();
        for text in [
            SECRET.to_owned(),
            format!("x{SECRET}y"),
            upper.clone(),
            upper.to_lowercase(),
            upper.replace('%', "%25"),
            SECRET.replace('/', "%2f"),
            SECRET.replace('/', "\\/"),
            json,
            xml,
            "AKIDEXAMPLE".to_owned(),
            "tiny".to_owned(),
            format!("x{}", "t0ken/".repeat(100)),
        ] {
            assert!(needles.are_in(text.as_bytes()), "{text}");
        }
        for before in ["", "a", "ab", "abc", "user:"] {
            for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD, base64::engine::general_purpose::STANDARD_NO_PAD]
            {
                let text = engine.encode(format!("{before}{SECRET} and more"));
                assert!(needles.are_in(text.as_bytes()), "{text}");
            }
        }
        let basic = STANDARD_NO_PAD.encode(format!("AKIDEXAMPLE:{SECRET}"));
        assert!(needles.are_in(basic.as_bytes()));
    }

    #[test]
    fn what_is_none_is_not_found() {
        let needles = needles();
        for text in [
            "",
            "a",
            "tiny thing",
            "abc",
            "wJalrXUtnFEMI",
            "%zz%",
            "&#xffffffff;",
            "&amp",
            "\\u12",
            "AKIDEXAMPL",
        ] {
            assert!(!needles.are_in(text.as_bytes()), "{text}");
        }
        assert!(!Needles::default().are_in(b"anything at all"));
    }

    #[test]
    fn local_secrets_are_found() {
        let mut needles = Needles::default();
        needles.add_secret(&"a-local-secret".into());
        assert!(needles.are_in(b"x a-local-secret") && needles.are_in(b"YS1sb2NhbC1zZWNyZXQ="));
    }

    #[test]
    fn plain_ones_are_erased() {
        let needles = needles();
        let text = format!("key AKIDEXAMPLE of {SECRET}AKIDEXAMPLE.");
        assert_eq!(needles.erased(text.as_bytes(), b"#").as_deref(), Some(&b"key # of ##."[..]));
        assert_eq!(needles.erased(b"nothing", b"#"), None);
        let encoded = STANDARD_NO_PAD.encode(SECRET);
        assert_eq!(needles.erased(encoded.as_bytes(), b"#"), None);
    }
}

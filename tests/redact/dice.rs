//! Chance that can be repeated, and what documents are made of.

use base64::Engine as _;

use super::{ID, SECRET};

/// A document as it comes and as it must go.
#[derive(Default)]
pub(crate) struct Document {
    pub(crate) comes: String,
    pub(crate) goes: String,
    /// How many secrets were in it.
    pub(crate) secrets: usize,
}

impl Document {
    /// Text that goes as it comes.
    pub(crate) fn both(&mut self, text: &str) {
        self.comes.push_str(text);
        self.goes.push_str(text);
    }

    /// Text that goes otherwise.
    pub(crate) fn turns(&mut self, comes: &str, goes: &str) {
        self.comes.push_str(comes);
        self.goes.push_str(goes);
        self.secrets += 1;
    }
}

/// `splitmix64`.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678)
    }

    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) >> 1).unwrap() % sides
    }

    pub(crate) fn pick<'t>(&mut self, from: &[&'t str]) -> &'t str {
        from[self.roll(from.len())]
    }

    pub(crate) fn blank(&mut self) -> &'static str {
        self.pick(&["", "", "", " ", "\n", "\t ", "\r\n"])
    }

    /// The name of a secret field, in some spelling.
    pub(crate) fn secret_name(&mut self) -> String {
        let name = self.pick(&[
            "secretkey",
            "apikey",
            "password",
            "AccessKeySecret",
            "private_key",
            "sessionToken",
            "user-data",
            "ipsecpsk",
            "vncDisplay",
            "secret.key",
            "rootPasswd",
            "SecretAccessKeys",
            "kubeconfig",
            "bindPassword",
        ]);
        match self.roll(3) {
            0 => name.to_uppercase(),
            1 => name.to_lowercase(),
            _ => name.to_owned(),
        }
    }

    /// The name of any other field.
    pub(crate) fn plain_name(&mut self) -> &'static str {
        self.pick(&[
            "id",
            "zone",
            "state",
            "nextToken",
            "passwordenabled",
            "größe",
            "a.b",
            "keypair",
            "secretkeyid",
            "x",
        ])
    }

    /// A text without secrets, some of it looking like more than it is.
    pub(crate) fn plain_text(&mut self) -> &'static str {
        self.pick(&[
            "",
            "alpha",
            "i-0123456789abcdef",
            "é😀",
            "a/b",
            "say \"hi\"",
            "back\\slash",
            "tab\there",
            "line\nbreak",
            "{not json",
            "[1,2",
            "<b>",
            "100%",
            "a&b",
            "?x=1&y=2",
            "\"id\": 7",
            "{\"id\": 7}",
            "<a b='c'>d</a>",
            "password",
            "]]",
            "AKIACANARY",
            "%zz \\q &nope;",
            "the secretkey is not here",
            "[]",
            "ftp://h/?next-token=1",
        ])
    }

    /// A text that must not go, by its value.
    pub(crate) fn secret_text(&mut self) -> String {
        let value = [SECRET, ID][self.roll(2)];
        let standard = base64::engine::general_purpose::STANDARD;
        let url = base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let percent: String = value.bytes().map(|byte| format!("%{byte:02x}")).collect();
        match self.roll(8) {
            0 => value.to_owned(),
            1 => format!("key {value}, kept"),
            2 => percent,
            3 => percent.to_uppercase(),
            4 => standard.encode(value),
            5 => url.encode(format!("{ID}:{SECRET}")),
            6 => format!("https://h/?a={percent}&b=1"),
            _ => format!("log: {{\"{}\": \"x\"}}", ["secretkey", "Password"][self.roll(2)]),
        }
    }
}

//! Strings of JSON: names of members, and values.

use super::{Json, NAMED, SECRET, State};
use crate::redact::judge::{Verdict, is_tainted, judge};
use crate::redact::{Hide, MARK, Meaning, Rules, Unreadable};

/// A backslash and what followed it.
#[derive(Default)]
pub(super) struct Escape {
    raw: [u8; 6],
    length: usize,
}

impl Json {
    pub(super) fn begin_text(&mut self, is_name: bool) {
        self.run.clear();
        self.is_name = is_name;
        self.state = State::Text;
    }

    /// Reads on in a string; how many bytes.
    pub(super) fn text(
        &mut self,
        rules: &Rules<'_>,
        input: &[u8],
        out: &mut Vec<u8>,
        layer: u8,
    ) -> Result<usize, Unreadable> {
        if self.escape.length > 0 {
            self.escaped(input[0])?;
            return Ok(1);
        }
        if input[0] == b'"' {
            self.flush_surrogate();
            self.end_text(rules, out, layer);
            return Ok(1);
        }
        if self.run.is_full(input[0]) {
            self.slide(rules, out)?;
        }
        let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
        match input[0] {
            b'\\' => {
                self.escape.raw[0] = b'\\';
                self.escape.length = 1;
                Ok(1)
            }
            0..=0x1f => Err(Unreadable("a control character in a string")),
            _ => {
                self.flush_surrogate();
                let plain = input.iter().position(special).unwrap_or(input.len());
                Ok(self.run.plain(&input[..plain]))
            }
        }
    }

    /// Reads on in an escape.
    fn escaped(&mut self, byte: u8) -> Result<(), Unreadable> {
        let Escape { raw, length } = &mut self.escape;
        raw[*length] = byte;
        *length += 1;
        let code = match (raw[1], *length) {
            (b'u', 2..6) if *length == 2 || byte.is_ascii_hexdigit() => return Ok(()),
            (b'u', 6) if byte.is_ascii_hexdigit() => raw[2..]
                .iter()
                .fold(0, |code, &digit| code << 4 | char::from(digit).to_digit(16).unwrap_or(0)),
            (b'b', 2) => 8,
            (b't', 2) => 9,
            (b'n', 2) => 10,
            (b'f', 2) => 12,
            (b'r', 2) => 13,
            (escaped @ (b'"' | b'\\' | b'/'), 2) => u32::from(escaped),
            _ => return Err(Unreadable("an escape that JSON does not have")),
        };
        let (raw, length) = (*raw, std::mem::take(length));
        let first = self.surrogate.take();
        let code = match (first, code) {
            (Some(first), 0xdc00..0xe000) => 0x1_0000 + ((first - 0xd800) << 10) + (code - 0xdc00),
            (_, 0xd800..0xdc00) => {
                self.surrogate = Some(code);
                self.run.unit(&raw[..length], b"");
                return Ok(());
            }
            _ => code,
        };
        // A half without the other has no meaning: it is looked at as what readers put in its place.
        let letter = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
        self.run.unit(&raw[..length], letter.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(())
    }

    fn flush_surrogate(&mut self) {
        self.surrogate = None;
    }

    /// Makes room in a string that is longer than what is kept.
    fn slide(&mut self, rules: &Rules<'_>, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        if self.is_name {
            return Err(Unreadable("a member's name that is too long"));
        }
        let withheld = self.muted.is_some() || self.hide != Hide::No;
        if !withheld && !self.run.long {
            self.sink.put(b"\"", out);
        }
        if !withheld && !self.run.cut && is_tainted(&self.run.text, rules) {
            self.run.cut = true;
            self.sink.replace(MARK.as_bytes(), out);
        }
        if withheld || self.run.cut {
            self.run.forget();
            self.run.long = true;
        } else {
            self.sink.put(self.run.half(), out);
            self.run.slide();
        }
        Ok(())
    }

    fn end_text(&mut self, rules: &Rules<'_>, out: &mut Vec<u8>, layer: u8) {
        if self.is_name {
            self.end_name(rules, out);
            return;
        }
        if self.held && self.run.is_empty() {
            self.held = false;
            self.sink.let_last_go(out);
        }
        if self.muted.is_none() {
            self.put_text(rules, out, layer);
            if self.meaning == Meaning::PairName && !self.run.long {
                self.name_pair(rules, out);
            }
        }
        self.end_value();
    }

    fn put_text(&mut self, rules: &Rules<'_>, out: &mut Vec<u8>, layer: u8) {
        let Self { run, sink, .. } = self;
        if self.hide != Hide::No {
            if run.is_empty() {
                sink.put(b"\"\"", out);
            } else {
                self.replace(self.hide.replacement(), out);
            }
            return;
        }
        if run.long {
            if !run.cut && is_tainted(&run.text, rules) {
                sink.replace(MARK.as_bytes(), out);
            } else if !run.cut {
                sink.put(&run.raw, out);
            }
            sink.put(b"\"", out);
            return;
        }
        match judge(&run.text, rules, layer) {
            Verdict::Keep => {
                sink.put(b"\"", out);
                sink.put(&run.raw, out);
                sink.put(b"\"", out);
            }
            Verdict::Redact => self.replace(MARK, out),
            Verdict::Rewrite(text) => sink.replace(&quoted(&text), out),
        }
    }

    /// A name of a pair was read: what stands beside it is a secret, or is not.
    fn name_pair(&mut self, rules: &Rules<'_>, out: &mut Vec<u8>) {
        let depth = self.levels.len();
        let Some(level) = self.levels.last_mut() else { return };
        *level |= NAMED;
        if rules.is_secret(&self.run.text) {
            *level |= SECRET;
            self.sink.withhold(depth, format!("\"{MARK}\"").as_bytes(), out);
        }
    }

    fn end_name(&mut self, rules: &Rules<'_>, out: &mut Vec<u8>) {
        self.state = State::Colon;
        if self.muted.is_some() {
            return;
        }
        self.meaning = rules.meaning(&self.run.text);
        if rules.holds_credential(&self.run.text) {
            self.replace(MARK, out);
        } else {
            for part in [b"\"", &self.run.raw[..], b"\""] {
                self.sink.put(part, out);
            }
        }
    }
}

/// A text as a string of JSON.
fn quoted(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 8);
    out.push(b'"');
    for &byte in text {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..=0x1f => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
    out
}

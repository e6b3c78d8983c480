//! What stands between two tags: text, references, CDATA, comments, instructions.

use super::tag::is_name;
use super::{LONGEST_INSTRUCTION, Place, Seen, State, Tag, Xml, escaped, is_control, reference};
use crate::redact::judge::{Verdict, is_tainted, judge};
use crate::redact::media::is_readable;
use crate::redact::{MARK, Rules, Unreadable};

impl Xml {
    /// Reads on in a text; how many bytes.
    pub(super) fn text(
        &mut self,
        rules: &Rules<'_>,
        input: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<usize, Unreadable> {
        let first = input[0];
        if self.run.is_full(first) {
            self.slide(rules, out)?;
        }
        let ending = std::mem::take(&mut self.ending);
        match first {
            b'<' => {
                self.state = State::Markup;
                self.part.clear();
                self.part.push(b'<');
                Ok(1)
            }
            b'&' => {
                self.state = State::Reference;
                self.part.clear();
                self.seen_text()?;
                Ok(1)
            }
            b'>' if ending >= 2 => Err(Unreadable("`]]>` in a text of XML")),
            b']' | b'>' => {
                self.ending = if first == b']' { ending + 1 } else { 0 };
                self.seen_text()?;
                Ok(self.run.plain(&input[..1]))
            }
            _ => {
                let special = |byte: &u8| matches!(byte, b'<' | b'&' | b']' | b'>') || is_control(*byte);
                let plain = input.iter().position(special).unwrap_or(input.len());
                if plain == 0 {
                    return Err(Unreadable("a control character in XML"));
                }
                let taken = self.run.plain(&input[..plain]);
                if !input[..taken].iter().all(u8::is_ascii_whitespace) {
                    self.seen_text()?;
                }
                self.begin();
                Ok(taken)
            }
        }
    }

    /// There is text in this run. It may not stand outside of the root, nor beside a comment.
    pub(super) fn seen_text(&mut self) -> Result<(), Unreadable> {
        if self.open.count() == 0 {
            return Err(Unreadable("text outside of the root of XML"));
        }
        self.seen.text = true;
        self.check_seen()
    }

    pub(super) fn check_seen(&self) -> Result<(), Unreadable> {
        if self.seen.text && self.seen.comment {
            return Err(Unreadable("a comment within a text of XML"));
        }
        Ok(())
    }

    pub(super) fn reference(&mut self, byte: u8) -> Result<(), Unreadable> {
        if byte != b';' {
            self.part.push(byte);
            return if self.part.len() > 10 { Err(Unreadable("not a reference of XML")) } else { Ok(()) };
        }
        let letter = reference(&self.part)?;
        self.part.insert(0, b'&');
        self.part.push(b';');
        self.run.unit(&self.part, letter.encode_utf8(&mut [0; 4]).as_bytes());
        self.state = State::Text;
        Ok(())
    }

    pub(super) fn cdata(&mut self, byte: u8) -> Result<(), Unreadable> {
        if byte == b']' {
            self.run.unit(b"]", b"");
            self.ending += 1;
            return Ok(());
        }
        let brackets = std::mem::take(&mut self.ending);
        let over = byte == b'>' && brackets >= 2;
        let meant = if over { brackets - 2 } else { brackets };
        self.run.text.extend(std::iter::repeat_n(b']', meant));
        if over {
            self.run.unit(b">", b"");
            self.state = State::Text;
        } else {
            self.unit(byte)?;
        }
        Ok(())
    }

    /// A comment is judged as if it were text.
    pub(super) fn comment(&mut self, byte: u8, rules: &Rules<'_>) -> Result<(), Unreadable> {
        let dashes = self.ending;
        self.unit(byte)?;
        match byte {
            b'-' if dashes >= 2 => return Err(Unreadable("`--` in a comment of XML")),
            b'-' => self.ending += 1,
            b'>' if dashes == 2 => {
                self.ending = 0;
                self.state = State::Text;
                self.outside_the_root(rules)?;
            }
            _ if dashes >= 2 => return Err(Unreadable("`--` in a comment of XML")),
            _ => self.ending = 0,
        }
        Ok(())
    }

    pub(super) fn instruction(&mut self, byte: u8, rules: &Rules<'_>) -> Result<(), Unreadable> {
        if byte != b'>' || self.part.last() != Some(&b'?') {
            self.part.push(byte);
            let long = self.part.len() > LONGEST_INSTRUCTION;
            return if long || is_control(byte) { Err(Unreadable("an instruction of XML")) } else { Ok(()) };
        }
        self.part.pop();
        let end = self.part.iter().position(u8::is_ascii_whitespace).unwrap_or(self.part.len());
        let target = &self.part[..end];
        if !is_name(target) {
            return Err(Unreadable("an instruction of XML"));
        }
        if target.eq_ignore_ascii_case(b"xml") {
            if target != b"xml" || self.place != Place::Start || !is_declaration(&self.part) {
                return Err(Unreadable("a declaration of XML that is not read"));
            }
        } else {
            self.seen.comment = true;
            self.check_seen()?;
        }
        let part = std::mem::take(&mut self.part);
        self.run.unit(&[b"<?", &part[..], b"?>"].concat(), &part);
        self.begin();
        self.state = State::Text;
        self.outside_the_root(rules)
    }

    /// A comment outside of the root has no place where a mark could stand.
    fn outside_the_root(&self, rules: &Rules<'_>) -> Result<(), Unreadable> {
        if self.open.count() == 0 && is_tainted(&self.run.text, rules) {
            return Err(Unreadable("a comment of XML that may hold a secret"));
        }
        Ok(())
    }

    /// A byte of CDATA or a comment.
    fn unit(&mut self, byte: u8) -> Result<(), Unreadable> {
        if is_control(byte) {
            return Err(Unreadable("a control character in XML"));
        }
        self.run.unit(&[byte], &[byte]);
        Ok(())
    }

    /// A tag follows: the run goes out. What it means stays until the tag is whole.
    pub(super) fn end_run(
        &mut self,
        rules: &Rules<'_>,
        out: &mut Vec<u8>,
        layer: u8,
    ) -> Result<(), Unreadable> {
        if self.muted.is_some() {
            self.full |= !self.run.is_empty();
        } else if self.run.long {
            if !self.is_cut_off(rules, out)? {
                self.sink.put(&self.run.raw, out);
            }
        } else if self.seen.text || self.seen.comment {
            let mark = if self.seen.text { MARK } else { "" };
            match judge(&self.run.text, rules, layer) {
                Verdict::Keep => self.sink.put(&self.run.raw, out),
                Verdict::Rewrite(text) if self.seen.text => self.sink.replace(&escaped(&text), out),
                Verdict::Redact | Verdict::Rewrite(_) => self.sink.replace(mark.as_bytes(), out),
            }
        } else {
            self.sink.put(&self.run.raw, out);
        }
        self.seen = Seen::default();
        Ok(())
    }

    /// Makes room in a run that is longer than what is kept.
    pub(super) fn slide(&mut self, rules: &Rules<'_>, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        if self.muted.is_some() || self.is_cut_off(rules, out)? {
            self.full = true;
            self.run.forget();
            self.run.long = true;
        } else {
            self.sink.put(self.run.half(), out);
            self.run.slide();
        }
        Ok(())
    }

    /// Whether the rest of a long run is withheld, or from here on must be.
    fn is_cut_off(&mut self, rules: &Rules<'_>, out: &mut Vec<u8>) -> Result<bool, Unreadable> {
        if !self.run.cut && is_tainted(&self.run.text, rules) {
            if self.seen.comment || self.seen.cdata {
                // Its beginning has gone out, and may be in the middle of what must be closed.
                return Err(Unreadable("a long CDATA section or comment of XML that may hold a secret"));
            }
            self.run.cut = true;
            self.sink.replace(MARK.as_bytes(), out);
        }
        Ok(self.run.cut)
    }
}

/// Whether a declaration names a version, and an encoding that is read.
fn is_declaration(declaration: &[u8]) -> bool {
    let Ok(tag) = Tag::parse(declaration) else { return false };
    let encoding = tag.value(b"encoding").map(String::from_utf8_lossy);
    tag.value(b"version").is_some() && encoding.is_none_or(|encoding| is_readable(&encoding))
}

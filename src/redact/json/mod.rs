//! JSON (RFC 8259), strictly, a byte at a time, without recursion.
//!
//! Only strings are ever kept, and only one at a time; everything else goes out as it comes or not at all. Repeated
//! member names are no trouble: each is judged. Escaped names are read as what they mean.

mod number;
mod text;

use self::number::Number;
use self::text::Escape;
use super::run::Run;
use super::sink::Sink;
use super::{DEEPEST, Hide, Meaning, Rules, Unreadable};

/// What may come next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Value,
    ItemOrEnd,
    NameOrEnd,
    Name,
    Colon,
    Comma,
    Text,
    Number(Number),
    /// What is left of `true`, `false` or `null`.
    Literal(&'static [u8]),
}

/// The level is an object, not an array.
const OBJECT: u8 = 1;
/// A member of the object has named another one.
const NAMED: u8 = 2;
/// And it is a secret.
const SECRET: u8 = 4;

/// See the module.
#[derive(Default)]
pub(super) struct Json {
    state: State,
    levels: Vec<u8>,
    run: Run,
    sink: Sink,
    /// The run is a member's name.
    is_name: bool,
    escape: Escape,
    /// The first half of a pair of surrogates.
    surrogate: Option<u32>,
    /// What the name of the member said that is being read.
    meaning: Meaning,
    hide: Hide,
    /// The value goes out, but its object may yet call it a secret.
    held: bool,
    /// The level of the container that is withheld, and what takes its place.
    muted: Option<(usize, Hide)>,
}

impl Json {
    pub(super) fn push(
        &mut self,
        rules: &Rules<'_>,
        input: &[u8],
        out: &mut Vec<u8>,
        layer: u8,
    ) -> Result<(), Unreadable> {
        let mut rest = input;
        while let [byte, after @ ..] = rest {
            if self.state == State::Text {
                rest = &rest[self.text(rules, rest, out, layer)?..];
            } else {
                self.byte(*byte, out)?;
                rest = after;
            }
        }
        Ok(())
    }

    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        if let State::Number(number) = self.state {
            self.end_number(number)?;
        }
        if self.state != State::Comma || !self.levels.is_empty() {
            return Err(Unreadable("JSON that breaks off"));
        }
        self.sink.finish(out);
        Ok(())
    }

    pub(super) fn has_changed(&self) -> bool {
        self.sink.changed
    }

    pub(super) fn footprint(&self) -> usize {
        self.levels.capacity() + self.run.footprint() + self.sink.footprint()
    }

    /// A byte outside of strings.
    fn byte(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        if let State::Number(number) = self.state {
            if let Some(next) = number.then(byte) {
                self.state = State::Number(next);
                self.put_scalar(&[byte], out);
                return Ok(());
            }
            self.end_number(number)?;
        }
        if let State::Literal(rest) = self.state {
            return self.literal(rest, byte, out);
        }
        match (self.state, byte) {
            (_, b' ' | b'\t' | b'\r' | b'\n') => self.put(&[byte], out),
            (State::ItemOrEnd, b']') | (State::NameOrEnd, b'}') => self.close(byte, true, out)?,
            (State::Value | State::ItemOrEnd, _) => self.begin_value(byte, out)?,
            (State::NameOrEnd | State::Name, b'"') => self.begin_text(true),
            (State::Colon, b':') => {
                self.put(b":", out);
                self.state = State::Value;
            }
            (State::Comma, b',') if !self.levels.is_empty() => {
                self.put(b",", out);
                self.state = if self.in_object() { State::Name } else { State::Value };
            }
            (State::Comma, b'}' | b']') => self.close(byte, false, out)?,
            _ => return Err(Unreadable("not JSON")),
        }
        Ok(())
    }

    fn begin_value(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        let level = self.levels.last().copied().unwrap_or_default();
        if level & OBJECT == 0 {
            self.meaning = Meaning::Plain;
        }
        self.hide = match self.meaning {
            _ if self.muted.is_some() => Hide::No,
            Meaning::Secret => Hide::Redacted,
            Meaning::PairValue if level & SECRET != 0 => Hide::Redacted,
            Meaning::Signature => Hide::Emptied,
            _ => Hide::No,
        };
        self.held = matches!(byte, b'"' | b'-' | b'0'..=b'9')
            && self.muted.is_none()
            && self.meaning == Meaning::PairValue
            && level & (NAMED | SECRET) == 0;
        if self.held {
            self.sink.hold(self.levels.len());
        }
        match byte {
            b'"' => self.begin_text(false),
            b'{' | b'[' => self.open(byte, out)?,
            b't' => self.state = State::Literal(b"rue"),
            b'f' => self.state = State::Literal(b"alse"),
            b'n' => self.state = State::Literal(b"ull"),
            b'-' | b'0'..=b'9' => {
                self.state = State::Number(match byte {
                    b'-' => Number::Minus,
                    b'0' => Number::Zero,
                    _ => Number::Integer,
                });
                self.put_hidden(out);
                self.put_scalar(&[byte], out);
            }
            _ => return Err(Unreadable("not JSON")),
        }
        if let State::Literal(_) = self.state {
            // Neither says anything that could be used.
            self.hide = Hide::No;
            self.put(&[byte], out);
        }
        Ok(())
    }

    fn literal(&mut self, rest: &'static [u8], byte: u8, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        match rest {
            [expected, rest @ ..] if *expected == byte => {
                self.put(&[byte], out);
                self.state = State::Literal(rest);
                if rest.is_empty() {
                    self.end_value();
                }
                Ok(())
            }
            _ => Err(Unreadable("not JSON")),
        }
    }

    fn end_number(&mut self, number: Number) -> Result<(), Unreadable> {
        if !number.may_end() {
            return Err(Unreadable("not a number of JSON"));
        }
        self.end_value();
        Ok(())
    }

    fn end_value(&mut self) {
        if std::mem::take(&mut self.held) {
            self.sink.held_to_here();
        }
        self.hide = Hide::No;
        self.state = State::Comma;
    }

    fn open(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        if self.levels.len() >= DEEPEST {
            return Err(Unreadable("nested too deep"));
        }
        if self.hide == Hide::No {
            self.put(&[byte], out);
        } else {
            self.muted = Some((self.levels.len(), self.hide));
        }
        let object = byte == b'{';
        self.levels.push(if object { OBJECT } else { 0 });
        self.state = if object { State::NameOrEnd } else { State::ItemOrEnd };
        Ok(())
    }

    fn close(&mut self, byte: u8, empty: bool, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        let level = self.levels.len();
        let object = self.levels.pop().is_some_and(|level| level & OBJECT != 0);
        if level == 0 || object != (byte == b'}') {
            return Err(Unreadable("not JSON"));
        }
        if let Some((outside, hide)) = self.muted
            && outside == level - 1
        {
            self.muted = None;
            if empty {
                // An empty container holds no secret.
                self.sink.put(if object { b"{}" } else { b"[]" }, out);
            } else {
                self.replace(hide.replacement(), out);
            }
        } else {
            self.put(&[byte], out);
            self.sink.close(level, out);
        }
        self.end_value();
        Ok(())
    }

    fn in_object(&self) -> bool {
        self.levels.last().is_some_and(|level| level & OBJECT != 0)
    }

    /// Structure: it goes out unless the container that it belongs to is withheld.
    fn put(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if self.muted.is_none() {
            self.sink.put(bytes, out);
        }
    }

    /// A part of a number: it goes out unless itself is withheld.
    fn put_scalar(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if self.hide == Hide::No {
            self.put(bytes, out);
        }
    }

    /// What stands in the place of a number that is withheld.
    fn put_hidden(&mut self, out: &mut Vec<u8>) {
        if self.hide != Hide::No && self.muted.is_none() {
            self.replace(self.hide.replacement(), out);
        }
    }

    /// A string in the place of a value or name.
    fn replace(&mut self, text: &str, out: &mut Vec<u8>) {
        self.sink.replace(format!("\"{text}\"").as_bytes(), out);
    }
}

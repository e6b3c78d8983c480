//! XML 1.0 without document types, strictly, a byte at a time, without recursion.
//!
//! A document is tags and the runs between them. A run (text, references, CDATA, comments) is judged as a whole by
//! what it means; a tag is kept until it ends. Namespaces are not resolved: a prefix does not count. A document type
//! and entities of its own are refused, and so are comments in the middle of a text, which would let a value hide.

mod content;
mod open;
mod tag;

use self::open::{NAMED, Open, SECRET};
use self::tag::{Tag, starts_name};
use super::run::{Run, WINDOW, room};
use super::sink::Sink;
use super::{Hide, MARK, Meaning, Rules, Unreadable};

/// The longest processing instruction.
const LONGEST_INSTRUCTION: usize = 1 << 10;

/// The most blanks in an end tag.
const BLANKS: usize = 64;

/// What is being read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Text, or blanks outside of the root.
    #[default]
    Text,
    /// `<` and perhaps more, of which it is not known yet what it opens.
    Markup,
    /// `&…`.
    Reference,
    /// After `<![CDATA[`.
    Cdata,
    /// After `<!--`.
    Comment,
    /// After `<?`.
    Instruction,
    /// A start tag, in a value of this quote or outside of values.
    Tag(Option<u8>),
    /// After `</`.
    EndTag,
}

/// How far the document has got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// Nothing was read: a declaration may stand here.
    #[default]
    Start,
    /// Before the root.
    Prolog,
    /// The root was opened, and perhaps closed.
    Root,
}

/// What was in a run.
#[derive(Default)]
struct Seen {
    text: bool,
    comment: bool,
    cdata: bool,
}

/// See the module.
#[derive(Default)]
pub(super) struct Xml {
    state: State,
    run: Run,
    seen: Seen,
    sink: Sink,
    open: Open,
    /// Markup, a reference or a tag that is not whole.
    part: Vec<u8>,
    /// How many `]`, `-` or `?` stand at the end of what was read.
    ending: usize,
    place: Place,
    /// The last tag was a start tag: the element has had no child.
    leaf: bool,
    /// The element's content is held back, and may yet be named.
    held: bool,
    /// How many elements are open around the one that is withheld, and what takes the place of its content.
    muted: Option<(usize, Hide)>,
    /// The withheld element had content.
    full: bool,
}

impl Xml {
    pub(super) fn push(
        &mut self,
        rules: &Rules<'_>,
        input: &[u8],
        out: &mut Vec<u8>,
        layer: u8,
    ) -> Result<(), Unreadable> {
        let mut rest = input;
        while let Some(&first) = rest.first() {
            let count = match self.state {
                State::Text => self.text(rules, rest, out)?,
                State::Tag(quote) => self.tag(quote, rules, rest, out, layer)?,
                _ => {
                    self.byte(first, rules, out, layer)?;
                    1
                }
            };
            rest = &rest[count..];
        }
        Ok(())
    }

    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        if self.state != State::Text || self.place != Place::Root || self.open.count() > 0 {
            return Err(Unreadable("XML that breaks off"));
        }
        // What follows the root is blank or comments, and those were judged as they ended.
        let raw = std::mem::take(&mut self.run.raw);
        self.sink.put(&raw, out);
        self.sink.finish(out);
        Ok(())
    }

    pub(super) fn has_changed(&self) -> bool {
        self.sink.changed
    }

    pub(super) fn footprint(&self) -> usize {
        self.open.footprint() + self.run.footprint() + self.sink.footprint() + self.part.capacity()
    }

    /// Something was read that may not stand before a declaration.
    fn begin(&mut self) {
        if self.place == Place::Start {
            self.place = Place::Prolog;
        }
    }

    /// A byte of anything but text and start tags.
    fn byte(&mut self, byte: u8, rules: &Rules<'_>, out: &mut Vec<u8>, layer: u8) -> Result<(), Unreadable> {
        if self.run.is_full(byte) {
            self.slide(rules, out)?;
        }
        match self.state {
            State::Markup => self.markup(byte, rules, out, layer),
            State::Reference => self.reference(byte),
            State::Cdata => self.cdata(byte),
            State::Comment => self.comment(byte, rules),
            State::Instruction => self.instruction(byte, rules),
            State::EndTag => self.end_tag(byte, rules, out),
            State::Text | State::Tag(_) => Ok(()),
        }
    }

    /// Finds out what `<` opens.
    fn markup(
        &mut self,
        byte: u8,
        rules: &Rules<'_>,
        out: &mut Vec<u8>,
        layer: u8,
    ) -> Result<(), Unreadable> {
        const CDATA: &[u8] = b"<![CDATA[";
        const COMMENT: &[u8] = b"<!--";
        self.part.push(byte);
        self.ending = 0;
        match &self.part[..] {
            CDATA => {
                self.seen_text()?;
                self.seen.cdata = true;
                self.run.unit(CDATA, b"");
                self.state = State::Cdata;
            }
            COMMENT => {
                self.seen.comment = true;
                self.check_seen()?;
                self.run.unit(COMMENT, b"");
                self.state = State::Comment;
            }
            b"<?" => {
                self.part.clear();
                self.state = State::Instruction;
                return Ok(());
            }
            b"</" => {
                self.end_run(rules, out, layer)?;
                self.part.clear();
                self.state = State::EndTag;
                return Ok(());
            }
            [b'<', first] if starts_name(*first) => {
                self.end_run(rules, out, layer)?;
                self.run.clear();
                self.part.clear();
                self.part.push(byte);
                self.state = State::Tag(None);
            }
            part if CDATA.starts_with(part) || COMMENT.starts_with(part) => {}
            _ => return Err(Unreadable("not XML, or a document type")),
        }
        self.begin();
        Ok(())
    }

    /// Reads on in a start tag; how many bytes.
    fn tag(
        &mut self,
        quote: Option<u8>,
        rules: &Rules<'_>,
        input: &[u8],
        out: &mut Vec<u8>,
        layer: u8,
    ) -> Result<usize, Unreadable> {
        let special = |byte: &u8| matches!(byte, b'<' | b'>' | b'"' | b'\'') || is_control(*byte);
        let plain = input.iter().position(special).unwrap_or(input.len());
        if self.part.len() + plain > WINDOW {
            return Err(Unreadable("a tag of XML that is too long"));
        }
        room(&mut self.part, plain + 1, WINDOW + 1);
        self.part.extend_from_slice(&input[..plain]);
        let Some(&byte) = input.get(plain) else { return Ok(plain) };
        match (byte, quote) {
            (b'>', None) => {
                let part = std::mem::take(&mut self.part);
                self.start_tag(&Tag::parse(&part)?, &part, rules, out, layer)?;
                self.part = part;
                // A long tag's room is given back.
                self.part.clear();
                self.part.shrink_to(LONGEST_INSTRUCTION);
                self.state = State::Text;
                return Ok(plain + 1);
            }
            (b'"' | b'\'', None) => self.state = State::Tag(Some(byte)),
            (b'"' | b'\'', Some(open)) if open == byte => self.state = State::Tag(None),
            (b'"' | b'\'' | b'>', Some(_)) => {}
            _ => return Err(Unreadable("not a tag of XML")),
        }
        self.part.push(byte);
        Ok(plain + 1)
    }

    fn start_tag(
        &mut self,
        tag: &Tag<'_>,
        raw: &[u8],
        rules: &Rules<'_>,
        out: &mut Vec<u8>,
        layer: u8,
    ) -> Result<(), Unreadable> {
        if self.place == Place::Root && self.open.count() == 0 {
            return Err(Unreadable("two roots in XML"));
        }
        self.place = Place::Root;
        if std::mem::take(&mut self.held) {
            // Content that was held back turns out to be more than a value.
            self.sink.let_last_go(out);
        }
        self.leaf = !tag.empty;
        if self.muted.is_some() {
            self.full = true;
            return if tag.empty { Ok(()) } else { self.open.push(tag.name) };
        }
        let filtered = tag.filtered(rules, layer)?;
        self.sink.put(b"<", out);
        match &filtered {
            Some(text) => self.sink.replace(text, out),
            None => self.sink.put(raw, out),
        }
        self.sink.put(b">", out);
        if tag.empty {
            return Ok(());
        }
        let siblings = self.open.flags();
        let meaning = rules.meaning(tag.name);
        let hide = match meaning {
            Meaning::Signature => Hide::Emptied,
            Meaning::Secret => Hide::Redacted,
            Meaning::PairValue if siblings & SECRET != 0 => Hide::Redacted,
            _ if tag.names_secret(rules) => Hide::Redacted,
            _ => Hide::No,
        };
        let around = self.open.count();
        if hide != Hide::No {
            self.muted = Some((around, hide));
            self.full = false;
        } else if meaning == Meaning::PairValue && siblings & NAMED == 0 && around > 0 {
            self.held = true;
            self.sink.hold(around);
        }
        self.open.push(tag.name)
    }

    fn end_tag(&mut self, byte: u8, rules: &Rules<'_>, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        if byte != b'>' {
            self.part.push(byte);
            let longest = self.open.last().map_or(0, <[u8]>::len) + BLANKS;
            let long = self.part.len() > longest;
            return if long { Err(Unreadable("an end tag of XML without its start")) } else { Ok(()) };
        }
        let name = self.part.trim_ascii_end();
        if self.open.last() != Some(name) {
            return Err(Unreadable("an end tag of XML without its start"));
        }
        let level = self.open.count();
        self.open.pop();
        match self.muted {
            Some((around, hide)) if around == level - 1 => {
                self.muted = None;
                if self.full {
                    self.sink.replace(hide.replacement().as_bytes(), out);
                }
            }
            Some(_) => {
                self.full = true;
                self.state = State::Text;
                self.leaf = false;
                self.run.clear();
                return Ok(());
            }
            None => {
                if std::mem::take(&mut self.held) {
                    self.sink.held_to_here();
                }
                self.sink.close(level, out);
                if self.leaf && !self.run.long && level > 1 && rules.meaning(name) == Meaning::PairName {
                    self.open.flag(NAMED);
                    if rules.is_secret(self.run.text.trim_ascii()) {
                        self.open.flag(SECRET);
                        self.sink.withhold(level - 1, MARK.as_bytes(), out);
                    }
                }
            }
        }
        let part = std::mem::take(&mut self.part);
        for piece in [b"</", &part[..], b">"] {
            self.sink.put(piece, out);
        }
        self.part = part;
        self.leaf = false;
        self.state = State::Text;
        self.run.clear();
        Ok(())
    }
}

/// The letter that a reference stands for; `name` is what stands between `&` and `;`.
fn reference(name: &[u8]) -> Result<char, Unreadable> {
    let code = |digits: &[u8], radix| {
        let digits = std::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'))?;
        char::from_u32(u32::from_str_radix(digits, radix).ok()?)
    };
    let letter = match name {
        b"amp" => Some('&'),
        b"lt" => Some('<'),
        b"gt" => Some('>'),
        b"quot" => Some('"'),
        b"apos" => Some('\''),
        [b'#', b'x', digits @ ..] => code(digits, 16),
        [b'#', digits @ ..] => code(digits, 10),
        _ => None,
    };
    let is_text = |letter: &char| !u8::try_from(*letter).is_ok_and(is_control);
    letter.filter(is_text).ok_or(Unreadable("not a reference of XML"))
}

fn is_control(byte: u8) -> bool {
    byte < 0x20 && !byte.is_ascii_whitespace() || byte == 0x0c
}

/// A text as content of XML.
fn escaped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 8);
    for &byte in text {
        match byte {
            b'&' => out.extend_from_slice(b"&amp;"),
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            b'"' => out.extend_from_slice(b"&quot;"),
            b'\'' => out.extend_from_slice(b"&apos;"),
            _ => out.push(byte),
        }
    }
    out
}

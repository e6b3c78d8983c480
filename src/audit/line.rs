//! How a value becomes one line: JSON in pure ASCII, so that no input can break a line, a terminal or the reading
//! direction. What JSON leaves as it is beyond visible ASCII is written as `\uXXXX`; `\u` pairs are UTF-16, as JSON has it.
//!
//! Marks are written by serde. Events, of which every call has one or two, are written field by field into an
//! [`Object`]: for them serde took a tenth of what a small request cost.

use std::cell::RefCell;
use std::io::{self, Write};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::ser::{CharEscape, Formatter, Serializer};
use uuid::Uuid;

use crate::sign::date::{self, Latest};
use crate::sign::encode;

/// Writes everything beyond visible ASCII as escapes.
struct Ascii;

impl Formatter for Ascii {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        // A byte that is no ASCII begins a letter: of letters before it nothing is left.
        while let Some(at) = rest.bytes().position(|byte| byte >= 0x7f) {
            out.write_all(&rest.as_bytes()[..at])?;
            let mut letters = rest[at..].chars();
            if let Some(letter) = letters.next() {
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}")?;
                }
            }
            rest = letters.as_str();
        }
        out.write_all(rest.as_bytes())
    }

    fn write_char_escape<W: ?Sized + Write>(&mut self, out: &mut W, escape: CharEscape) -> io::Result<()> {
        match escape {
            CharEscape::Quote => out.write_all(b"\\\""),
            CharEscape::ReverseSolidus => out.write_all(b"\\\\"),
            CharEscape::Solidus => out.write_all(b"/"),
            CharEscape::Backspace => out.write_all(b"\\b"),
            CharEscape::FormFeed => out.write_all(b"\\f"),
            CharEscape::LineFeed => out.write_all(b"\\n"),
            CharEscape::CarriageReturn => out.write_all(b"\\r"),
            CharEscape::Tab => out.write_all(b"\\t"),
            CharEscape::AsciiControl(byte) => write!(out, "\\u{byte:04x}"),
        }
    }
}

thread_local! {
    /// Where lines are put together: as long as the longest that this thread has written, up to a bound.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    /// The second of the latest event.
    static SECOND: RefCell<Latest<24>> = RefCell::default();
}

/// Bytes that a thread keeps for its next line.
const KEPT: usize = 8 << 10;

/// The line of `value` without its closing brace and newline: the chain adds the rest.
///
/// `value` must serialise as a map with at least one field, and all its map keys must be strings.
pub(crate) fn body(value: &impl Serialize) -> Vec<u8> {
    let mut line = Vec::new();
    let written = value.serialize(&mut Serializer::with_formatter(&mut line, Ascii));
    // Neither can happen with the types of this room; a line that says so is better than none.
    if written.is_err() || line.pop() != Some(b'}') {
        return br#"{"eventName":"unserialisable""#.to_vec();
    }
    line
}

/// A line with the fields that `write` writes, without its closing brace and newline.
pub(crate) fn of(write: impl FnOnce(&mut Object<'_>)) -> Vec<u8> {
    SCRATCH.with_borrow_mut(|line| {
        line.clear();
        line.push(b'{');
        write(&mut Object { out: line, is_empty: true });
        // What waits to be written takes no more than its length.
        let body = line.clone();
        line.shrink_to(KEPT);
        body
    })
}

/// The name of a field, ready to be written in one piece: the program's own, in visible ASCII without `"` and `\\`.
#[derive(Clone, Copy)]
pub(crate) struct Name(&'static str);

impl Name {
    /// Made by [`name`].
    pub(crate) const fn spelled(text: &'static str) -> Self {
        Self(text)
    }
}

/// The [`Name`] of this spelling.
macro_rules! name {
    ($spelling:literal) => {
        $crate::audit::line::Name::spelled(concat!(",\"", $spelling, "\":"))
    };
}
pub(crate) use name;

/// A JSON object that is being written. Names are the program's own but for those of [`Object::stranger`].
pub(crate) struct Object<'l> {
    out: &'l mut Vec<u8>,
    is_empty: bool,
}

impl Object<'_> {
    fn name(&mut self, Name(name): Name) -> &mut Vec<u8> {
        // Without its comma where it is the first.
        let name = &name.as_bytes()[usize::from(std::mem::take(&mut self.is_empty))..];
        self.out.extend_from_slice(name);
        self.out
    }

    /// A text.
    pub(crate) fn text(&mut self, name: Name, text: &str) {
        quoted(text, self.name(name));
    }

    /// One of the program's own words, in visible ASCII without `"` and `\`.
    pub(crate) fn word(&mut self, name: Name, word: &'static str) {
        self.spelled(name, word.as_bytes());
    }

    /// One of the program's own words, where there is one.
    pub(crate) fn maybe_word(&mut self, name: Name, word: Option<&'static str>) {
        if let Some(word) = word {
            self.word(name, word);
        }
    }

    /// A text, where there is one, cut to `most` characters.
    pub(crate) fn maybe(&mut self, name: Name, text: Option<&str>, most: usize) {
        if let Some(text) = text {
            self.text(name, &cut(text, most));
        }
    }

    /// A number.
    pub(crate) fn number(&mut self, name: Name, number: u64) {
        encode::decimal(number, self.name(name));
    }

    /// A number, where there is one.
    pub(crate) fn maybe_number(&mut self, name: Name, number: Option<impl Into<u64>>) {
        if let Some(number) = number {
            self.number(name, number.into());
        }
    }

    /// How many there are.
    pub(crate) fn count(&mut self, name: Name, count: usize) {
        self.number(name, u64::try_from(count).unwrap_or(u64::MAX));
    }

    /// Whether something is so.
    pub(crate) fn switch(&mut self, name: Name, is_on: bool) {
        self.name(name).extend_from_slice(if is_on { b"true" } else { b"false" });
    }

    /// Milliseconds with three decimals at most, where they are known.
    pub(crate) fn millis(&mut self, name: Name, value: Option<f64>) {
        let Some(value) = value else { return };
        // What is negative or not a number is written as nothing, and what is too large as much.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let thousandths = (value * 1e3).round() as u64;
        let out = self.name(name);
        encode::decimal(thousandths / 1_000, out);
        let digits = last_digits::<3>(thousandths);
        // As short as it can be said, and still no whole number.
        let length = digits.iter().rposition(|digit| *digit != b'0').map_or(1, |last| last + 1);
        out.push(b'.');
        out.extend_from_slice(&digits[..length]);
    }

    /// A moment, with microseconds.
    pub(crate) fn moment(&mut self, name: Name, moment: Timestamp) {
        let second = SECOND.with_borrow_mut(|latest| latest.spell(moment, date::iso));
        let Ok(second) = second else {
            // Before 1970.
            return self.spelled(name, format!("{moment:.6}").as_bytes());
        };
        let mut text = *b"YYYY-MM-DDThh:mm:ss.000000Z";
        text[..19].copy_from_slice(&second[..19]);
        text[20..26].copy_from_slice(&last_digits::<6>(moment.subsec_microsecond().unsigned_abs().into()));
        self.spelled(name, &text);
    }

    /// An id.
    pub(crate) fn id(&mut self, name: Name, id: Uuid) {
        self.spelled(name, id.hyphenated().encode_lower(&mut Uuid::encode_buffer()).as_bytes());
    }

    /// Bytes in hexadecimal.
    pub(crate) fn hex(&mut self, name: Name, bytes: &[u8]) {
        let out = self.name(name);
        out.push(b'"');
        encode::hex(bytes, out);
        out.push(b'"');
    }

    /// What is spelled in visible ASCII without `"` and `\`, as dates and ids are.
    fn spelled(&mut self, name: Name, text: &[u8]) {
        debug_assert!(!text.iter().any(|byte| is_odd(*byte)));
        let out = self.name(name);
        out.push(b'"');
        out.extend_from_slice(text);
        out.push(b'"');
    }

    /// An object within.
    pub(crate) fn object(&mut self, name: Name, write: impl FnOnce(&mut Object<'_>)) {
        nested(self.name(name), write);
    }

    /// A list of objects.
    pub(crate) fn objects<T>(
        &mut self,
        name: Name,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(T, &mut Object<'_>),
    ) {
        listed(self.name(name), items, |item, out| nested(out, |object| write(item, object)));
    }

    /// A list of texts.
    pub(crate) fn texts<'t>(&mut self, name: Name, texts: impl IntoIterator<Item = &'t str>) {
        listed(self.name(name), texts, quoted);
    }

    /// A field whose name a stranger chose: its value is written by `write`.
    pub(crate) fn stranger(&mut self, name: &str, write: impl FnOnce(&mut Vec<u8>)) {
        if !std::mem::take(&mut self.is_empty) {
            self.out.push(b',');
        }
        quoted(name, self.out);
        self.out.push(b':');
        write(self.out);
    }
}

/// An object.
pub(crate) fn nested(out: &mut Vec<u8>, write: impl FnOnce(&mut Object<'_>)) {
    out.push(b'{');
    write(&mut Object { out, is_empty: true });
    out.push(b'}');
}

fn listed<T>(out: &mut Vec<u8>, items: impl IntoIterator<Item = T>, mut write: impl FnMut(T, &mut Vec<u8>)) {
    out.push(b'[');
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(item, out);
    }
    out.push(b']');
}

/// The last decimal digits of a number.
fn last_digits<const COUNT: usize>(mut number: u64) -> [u8; COUNT] {
    let mut digits = [b'0'; COUNT];
    for digit in digits.iter_mut().rev() {
        #[allow(clippy::cast_possible_truncation)] // below ten
        let last = (number % 10) as u8;
        *digit += last;
        number /= 10;
    }
    digits
}

/// Whether a byte does not stand in a text as it is.
fn is_odd(byte: u8) -> bool {
    !(0x20..0x7f).contains(&byte) || byte == b'"' || byte == b'\\'
}

/// A text in quotes.
pub(crate) fn quoted(text: &str, out: &mut Vec<u8>) {
    // All bytes are looked at, which takes less time than to stop at the first.
    if text.bytes().fold(false, |found, byte| found | is_odd(byte)) {
        let written = text.serialize(&mut Serializer::with_formatter(&mut *out, Ascii));
        debug_assert!(written.is_ok(), "a vector takes everything");
        return;
    }
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

/// `text` cut to at most `most` characters; what is cut off is marked by an ellipsis.
pub(crate) fn cut(text: &str, most: usize) -> std::borrow::Cow<'_, str> {
    if text.len() <= most {
        return text.into();
    }
    match text.char_indices().nth(most) {
        None => text.into(),
        Some((at, _)) => format!("{}\u{2026}", &text[..at]).into(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_character_comes_back_and_none_goes_out_raw() {
        let all: String = (0..=0x10_ffff_u32).filter_map(char::from_u32).collect();
        let mut line = body(&BTreeMap::from([("text", &all)]));
        assert!(line.iter().all(|byte| (0x20..0x7f).contains(byte)));
        line.push(b'}');
        let back: BTreeMap<String, String> = serde_json::from_slice(&line).unwrap_or_default();
        assert_eq!(back["text"], all);
        assert_eq!(of(|object| object.text(name!("text"), &all)), line[..line.len() - 1], "written by field");
        for c in all.chars() {
            let mut out = Vec::new();
            let text = format!("a{c}");
            quoted(&text, &mut out);
            assert!(out.iter().all(|byte| (0x20..0x7f).contains(byte)));
            assert_eq!(serde_json::from_slice::<String>(&out).ok().as_deref(), Some(&*text));
        }
    }

    #[test]
    fn objects_are_what_json_readers_expect() {
        let mut line = of(|line| {
            line.number(name!("number"), u64::MAX);
            line.maybe_number(name!("none"), None::<u16>);
            line.switch(name!("on"), true);
            line.maybe(name!("cut"), Some("abcd"), 3);
            for (name, value) in [
                (name!("a"), 0.0),
                (name!("b"), 0.1),
                (name!("c"), 12.34),
                (name!("d"), 10.0),
                (name!("e"), 1_234_567.125),
            ] {
                line.object(name, |inner| inner.millis(name!("ms"), Some(value)));
            }
            line.object(name!("empty"), |_| {});
            line.texts(name!("texts"), ["x", "y\n"]);
            line.texts(name!("nothing"), []);
            line.objects(name!("objects"), ["p", "q"], |item, object| object.text(name!("n"), item));
            line.stranger("odd\"name", |out| nested(out, |object| object.hex(name!("hex"), &[0xa5, 7])));
        });
        line.push(b'}');
        let expected = concat!(
            r#"{"number":18446744073709551615,"on":true,"cut":"abc\u2026","a":{"ms":0.0},"b":{"ms":0.1},"c":{"ms":12.34},"#,
            r#""d":{"ms":10.0},"e":{"ms":1234567.125},"empty":{},"texts":["x","y\n"],"nothing":[],"#,
            r#""objects":[{"n":"p"},{"n":"q"}],"odd\"name":{"hex":"a507"}}"#
        );
        assert_eq!(String::from_utf8_lossy(&line), expected);
    }

    #[test]
    fn moments_and_ids_are_spelled_as_their_types_spell_them() {
        for microsecond in [0, 1, 999_999, 1_000_000, 1_763_838_000_000_000, 253_402_207_199_999_999, -1] {
            let moment = Timestamp::from_microsecond(microsecond).unwrap_or_default();
            let line = of(|line| line.moment(name!("at"), moment));
            assert_eq!(String::from_utf8_lossy(&line), format!("{{\"at\":\"{moment:.6}\""));
        }
        let id = Uuid::from_u128(0x0123_4567_89ab_cdef_0011_2233_4455_6677);
        assert_eq!(of(|line| line.id(name!("id"), id)), format!("{{\"id\":\"{id}\"").as_bytes());
    }

    #[test]
    fn cuts_are_marked() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("äbcd", 3), "äbc\u{2026}");
    }
}

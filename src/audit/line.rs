//! How a value becomes one line: JSON in pure ASCII, so that no input can break a line, a terminal or the reading
//! direction. What JSON leaves as it is beyond visible ASCII is written as `\uXXXX`; `\u` pairs are UTF-16, as JSON has it.
//!
//! Marks are written by serde. Events, of which every call has one or two, are written field by field into an
//! [`Object`]: for them serde took a tenth of what a small request cost.

use std::cell::RefCell;
use std::fmt::Display;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CharEscape, Formatter, Serializer};

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

/// A JSON object that is being written. Names are the program's own but for those of [`Object::stranger`].
pub(crate) struct Object<'l> {
    out: &'l mut Vec<u8>,
    is_empty: bool,
}

impl Object<'_> {
    fn name(&mut self, name: &'static str) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.is_empty) {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    /// A text.
    pub(crate) fn text(&mut self, name: &'static str, text: &str) {
        quoted(text, self.name(name));
    }

    /// A text, where there is one, cut to `most` characters.
    pub(crate) fn maybe(&mut self, name: &'static str, text: Option<&str>, most: usize) {
        if let Some(text) = text {
            self.text(name, &cut(text, most));
        }
    }

    /// What is written as a number or a switch is.
    pub(crate) fn value(&mut self, name: &'static str, value: impl Display) {
        // A vector takes everything.
        let _ = write!(self.name(name), "{value}");
    }

    /// A number or a switch, where there is one.
    pub(crate) fn maybe_value(&mut self, name: &'static str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.value(name, value);
        }
    }

    /// Milliseconds with three decimals at most, where they are known.
    pub(crate) fn millis(&mut self, name: &'static str, value: Option<f64>) {
        let Some(value) = value else { return };
        let out = self.name(name);
        let begin = out.len();
        let _ = write!(out, "{value:.3}");
        // As short as it can be said, and still no whole number.
        while out.ends_with(b"0") && !out[begin..].ends_with(b".0") {
            out.pop();
        }
    }

    /// What is spelled in visible ASCII without `"` and `\`, as dates and ids are.
    pub(crate) fn spelled(&mut self, name: &'static str, value: impl Display) {
        let _ = write!(self.name(name), "\"{value}\"");
    }

    /// An object within.
    pub(crate) fn object(&mut self, name: &'static str, write: impl FnOnce(&mut Object<'_>)) {
        nested(self.name(name), write);
    }

    /// A list of objects.
    pub(crate) fn objects<T>(
        &mut self,
        name: &'static str,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(T, &mut Object<'_>),
    ) {
        listed(self.name(name), items, |item, out| nested(out, |object| write(item, object)));
    }

    /// A list of texts.
    pub(crate) fn texts<'t>(&mut self, name: &'static str, texts: impl IntoIterator<Item = &'t str>) {
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

/// A text in quotes.
pub(crate) fn quoted(text: &str, out: &mut Vec<u8>) {
    // All bytes are looked at, which takes less time than to stop at the first.
    let odd = |byte: u8| !(0x20..0x7f).contains(&byte) || byte == b'"' || byte == b'\\';
    if text.bytes().fold(false, |found, byte| found | odd(byte)) {
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
        assert_eq!(of(|object| object.text("text", &all)), line[..line.len() - 1], "written by field");
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
            line.value("number", u64::MAX);
            line.maybe_value("none", None::<u16>);
            line.maybe("cut", Some("abcd"), 3);
            for (name, value) in [("a", 0.0), ("b", 0.1), ("c", 12.34), ("d", 10.0), ("e", 1_234_567.125)] {
                line.object(name, |inner| inner.millis("ms", Some(value)));
            }
            line.object("empty", |_| {});
            line.texts("texts", ["x", "y\n"]);
            line.texts("nothing", []);
            line.objects("objects", ["p", "q"], |item, object| object.text("n", item));
            line.stranger("odd\"name", |out| nested(out, |object| object.spelled("id", 7)));
        });
        line.push(b'}');
        let expected = concat!(
            r#"{"number":18446744073709551615,"cut":"abc\u2026","a":{"ms":0.0},"b":{"ms":0.1},"c":{"ms":12.34},"#,
            r#""d":{"ms":10.0},"e":{"ms":1234567.125},"empty":{},"texts":["x","y\n"],"nothing":[],"#,
            r#""objects":[{"n":"p"},{"n":"q"}],"odd\"name":{"id":"7"}}"#
        );
        assert_eq!(String::from_utf8_lossy(&line), expected);
    }

    #[test]
    fn cuts_are_marked() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("äbcd", 3), "äbc\u{2026}");
    }
}

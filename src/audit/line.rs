//! How a value becomes one line: JSON in pure ASCII, so that no input can break a line, a terminal or the reading
//! direction. What JSON leaves as it is beyond visible ASCII is written as `\uXXXX`; `\u` pairs are UTF-16, as JSON has it.

use std::cell::RefCell;
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
    SCRATCH.with_borrow_mut(|line| {
        line.clear();
        let written = value.serialize(&mut Serializer::with_formatter(&mut *line, Ascii));
        // Neither can happen with the types of this room; a line that says so is better than none.
        if written.is_err() || line.pop() != Some(b'}') {
            return br#"{"eventName":"unserialisable""#.to_vec();
        }
        // What waits to be written takes no more than its length.
        let body = line.clone();
        line.shrink_to(KEPT);
        body
    })
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
    }

    #[test]
    fn cuts_are_marked() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("äbcd", 3), "äbc\u{2026}");
    }
}

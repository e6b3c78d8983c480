//! Texts from the record on their way to a screen or a table: nothing that a caller wrote may steer either.

use std::fmt::Write as _;

/// Which characters pass as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alphabet {
    /// Printable ASCII: for terminals, whose reading direction other letters can turn.
    Ascii,
    /// Everything printable: for files, whose readers know their letters.
    Unicode,
}

/// The text with all else written as `\u{…}`; a backslash stands as it is, so this is for reading, not for parsing.
pub fn shown(text: &str, alphabet: Alphabet) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if passes(letter, alphabet) {
            out.push(letter);
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "{}", letter.escape_unicode());
        }
    }
    out
}

fn passes(letter: char, alphabet: Alphabet) -> bool {
    match letter {
        ' '..='~' => true,
        _ if alphabet == Alphabet::Ascii => false,
        // Marks of direction and joining, invisible signs, separators, private and unassigned planes.
        '\u{ad}'
        | '\u{61c}'
        | '\u{180e}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff0}'..='\u{fffc}'
        | '\u{e0000}'.. => false,
        _ => !letter.is_control(),
    }
}

/// A line of JSON in printable ASCII; what is no UTF-8 is replaced.
pub fn ascii(line: &[u8]) -> String {
    ascii_json(&String::from_utf8_lossy(line))
}

/// A line of JSON in printable ASCII, whatever it was made of. Outside its strings JSON knows no other letters, and
/// inside them an escape means the same.
pub(super) fn ascii_json(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    for letter in line.chars() {
        match letter {
            ' '..='~' => out.push(letter),
            // Between tokens; inside a string it would be no JSON.
            '\t' | '\r' | '\n' => out.push(' '),
            _ => {
                for half in letter.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{half:04x}");
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_a_screen() {
        let hostile = "a\u{1b}[31m\r\n\t\u{7f}\u{9b}\u{202e}\u{200b}\u{2028}ü";
        assert_eq!(
            shown(hostile, Alphabet::Ascii),
            "a\\u{1b}[31m\\u{d}\\u{a}\\u{9}\\u{7f}\\u{9b}\\u{202e}\\u{200b}\\u{2028}\\u{fc}"
        );
        assert!(shown(hostile, Alphabet::Unicode).ends_with("\\u{2028}ü"));
        let line = "{\"a\":\"ü\u{7f}\u{1f600}\"\t}";
        let ascii = ascii_json(line);
        assert_eq!(ascii, r#"{"a":"\u00fc\u007f\ud83d\ude00" }"#);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&ascii).ok(), serde_json::from_str(line).ok());
    }
}

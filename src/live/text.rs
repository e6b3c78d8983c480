//! Text that callers chose, made safe to show.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Characters of one text that a watcher is shown.
const LONGEST: usize = 1_100;

/// `text`, cut, with everything escaped that moves a cursor, hides, or changes the reading direction; newlines too.
pub fn visible(text: &str) -> Cow<'_, str> {
    if text.len() <= LONGEST && !text.chars().any(is_hidden) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len().min(2 * LONGEST));
    for (index, letter) in text.chars().enumerate() {
        if index == LONGEST {
            out.push('\u{2026}');
            break;
        }
        push(letter, &mut out);
    }
    out.into()
}

/// Appends a character, escaped where it must not stand as it is.
pub(super) fn push(letter: char, out: &mut String) {
    if is_hidden(letter) {
        // Writing to a String cannot fail.
        let _ = write!(out, "\\u{{{:x}}}", u32::from(letter));
    } else {
        out.push(letter);
    }
}

/// Controls; what Unicode calls format characters, as far as they change how others are shown; separators of lines.
fn is_hidden(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_deceive_is_escaped() {
        assert_eq!(visible("s3:GetObject"), "s3:GetObject");
        assert_eq!(visible("caf\u{e9} \u{1f600}"), "caf\u{e9} \u{1f600}");
        assert_eq!(visible("a\u{202e}b\u{1b}[31m\n"), "a\\u{202e}b\\u{1b}[31m\\u{a}");
        assert_eq!(visible("\u{200b}\u{feff}"), "\\u{200b}\\u{feff}");
        let long = "\u{e9}".repeat(2_000);
        assert_eq!(visible(&long).chars().count(), LONGEST + 1);
        assert!(visible(&long).ends_with('\u{2026}'));
    }
}

//! Texts that read as if they had fields, and are no document that could be parsed: a log line with JSON in it, a
//! URL's query, a document too long to be kept.
//!
//! Finds whether a *secret* field is shown. Which bytes its value has is not known here, so that the answer can only
//! be yes or no.

use super::Rules;

/// The longest name that is read.
const LONGEST: usize = 128;

/// Whether a text shows a secret field as documents and URLs do: `"secretkey":`, `<secretkey>`, `?secretkey=`.
pub(super) fn is_shown(text: &[u8], rules: &Rules<'_>) -> bool {
    shown(text, rules, false)
}

/// As [`is_shown`], for texts that nothing is known of: `secretkey: …` and `secretkey=…` count too.
pub(super) fn is_shown_loosely(text: &[u8], rules: &Rules<'_>) -> bool {
    shown(text, rules, true)
}

fn shown(text: &[u8], rules: &Rules<'_>, loosely: bool) -> bool {
    is_tag(text, rules) || has_field(text, rules, loosely)
}

/// ZStack's system tags: `consolePassword::…` (`SystemTag.instantiateTag`).
fn is_tag(text: &[u8], rules: &Rules<'_>) -> bool {
    let end = text.iter().take(LONGEST).position(|byte| !is_name(*byte)).unwrap_or_default();
    text[end..].starts_with(b"::") && rules.is_secret(&text[..end])
}

fn has_field(text: &[u8], rules: &Rules<'_>, loosely: bool) -> bool {
    let places = text.iter().enumerate().filter(|(_, byte)| matches!(byte, b':' | b'=' | b'<'));
    places.into_iter().any(|(at, byte)| {
        let (before, after) = (&text[..at], &text[at + 1..]);
        match byte {
            b':' => {
                let (name, quoted) = named(before);
                (quoted || loosely) && !name.is_empty() && !is_empty(after) && rules.is_secret(name)
            }
            b'=' => {
                let (name, _) = named(before);
                let parameter = before
                    .strip_suffix(name)
                    .is_some_and(|before| before.ends_with(b"?") || before.ends_with(b"&"));
                (parameter || loosely)
                    && !name.is_empty()
                    && !after.is_empty()
                    && rules.is_secret_parameter(name)
            }
            _ => {
                let end = after.iter().take(LONGEST).position(|&byte| !is_name(byte) && byte != b':');
                end.is_some_and(|end| {
                    matches!(after[end], b'>' | b' ' | b'\t' | b'\r' | b'\n')
                        && !after[end + 1..].starts_with(b"</")
                        && rules.is_secret(&after[..end])
                })
            }
        }
    })
}

/// The name at the end of a text, and whether it stands in quotes.
fn named(before: &[u8]) -> (&[u8], bool) {
    let before = before.trim_ascii_end();
    let (before, quoted) = match before {
        [rest @ .., b'"' | b'\''] => (without_backslashes(rest), true),
        _ => (before, false),
    };
    let from = before.iter().rposition(|&byte| !is_name(byte)).map_or(0, |at| at + 1);
    (&before[from.max(before.len().saturating_sub(LONGEST))..], quoted)
}

fn without_backslashes(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|&byte| byte != b'\\').map_or(0, |at| at + 1);
    &text[..end]
}

/// Whether what follows a colon is a member without content.
fn is_empty(after: &[u8]) -> bool {
    let after = after.trim_ascii_start();
    let literal = |word: &[u8]| after.starts_with(word);
    after.is_empty() || literal(b"null") || literal(b"\"\"") || literal(b"true") || literal(b"false")
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

//! The escapes that texts inside texts have, taken off leniently, so that what they hide can be looked for.
//!
//! Never writes anything: what goes out is spelled as it came.

use zeroize::Zeroizing;

/// A text without one layer of the escapes that texts inside texts have: `%2F`, `\/`, `\u002f`, `&#47;`, `&amp;`.
/// None when there are none. Lenient: what is no escape stays.
pub(super) fn peel(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    if !text.iter().any(|byte| matches!(byte, b'%' | b'\\' | b'&')) {
        return None;
    }
    let mut peeled = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text;
    while let [first, after @ ..] = rest {
        let escape = match first {
            b'%' => hex(after, 2).map(|code| (code, 2)),
            b'\\' => backslash(after),
            b'&' => reference(after),
            _ => None,
        };
        if let Some((code, length)) = escape {
            if *first == b'%' {
                peeled.push(u8::try_from(code).unwrap_or_default());
            } else {
                let letter = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                peeled.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
            }
            rest = &after[length..];
        } else {
            peeled.push(*first);
            rest = after;
        }
    }
    Some(peeled)
}

/// The code of exactly `digits` hex digits at the start.
fn hex(text: &[u8], digits: usize) -> Option<u32> {
    let digits = text.get(..digits)?;
    digits.iter().try_fold(0, |code, &digit| Some(code << 4 | char::from(digit).to_digit(16)?))
}

fn backslash(after: &[u8]) -> Option<(u32, usize)> {
    match after.first()? {
        b'u' => Some((hex(&after[1..], 4)?, 5)),
        b'x' => Some((hex(&after[1..], 2)?, 3)),
        escaped @ (b'/' | b'\\' | b'"' | b'\'') => Some((u32::from(*escaped), 1)),
        _ => None,
    }
}

fn reference(after: &[u8]) -> Option<(u32, usize)> {
    let end = after.iter().take(10).position(|&byte| byte == b';')?;
    let code = match &after[..end] {
        b"amp" => u32::from(b'&'),
        b"lt" => u32::from(b'<'),
        b"gt" => u32::from(b'>'),
        b"quot" => u32::from(b'"'),
        b"apos" => u32::from(b'\''),
        [b'#', b'x' | b'X', digits @ ..] => {
            u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?
        }
        [b'#', digits @ ..] => std::str::from_utf8(digits).ok()?.parse().ok()?,
        _ => return None,
    };
    Some((code, end + 1))
}

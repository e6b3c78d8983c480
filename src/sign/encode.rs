//! Percent rules, hexadecimal and Base64, each rule named after the side that demands it.
//!
//! Every function appends to a buffer that the caller owns and reuses. Nothing here knows a scheme, and nothing
//! guesses: an escape that is not two hexadecimal digits is an error, never kept as it is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A `%` that is not followed by two hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadEscape;

/// Which bytes pass unescaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// AWS strict, which is also RFC 3986's *unreserved*: `A-Z a-z 0-9 - . _ ~`.
    Unreserved,
    /// AWS strict for paths: unreserved and `/`.
    Path,
}

impl Keep {
    const fn mask(self) -> u8 {
        match self {
            Self::Unreserved => UNRESERVED,
            Self::Path => PATH,
        }
    }
}

/// What `+` means on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plus {
    /// A space, as in queries and forms.
    Space,
    /// Itself, as in paths.
    Literal,
}

const UNRESERVED: u8 = 1;
const PATH: u8 = 2;
const JAVA: u8 = 4;

/// One byte of classes per input byte; the masks above select.
const CLASS: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        #[allow(clippy::cast_possible_truncation)] // below 256 by the loop's bound
        let b = byte as u8;
        if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_') {
            table[byte] = UNRESERVED | PATH | JAVA;
        }
        byte += 1;
    }
    table[b'~' as usize] = UNRESERVED | PATH;
    table[b'/' as usize] = PATH;
    // java.net.URLEncoder leaves `*` alone and escapes `~`.
    table[b'*' as usize] = JAVA;
    table
};

/// The value of a hexadecimal digit, or 16.
const NIBBLE: [u8; 256] = {
    let mut table = [16; 256];
    let mut digit = 0;
    while digit < 10 {
        table[b'0' as usize + digit as usize] = digit;
        digit += 1;
    }
    while digit < 16 {
        table[b'a' as usize + digit as usize - 10] = digit;
        table[b'A' as usize + digit as usize - 10] = digit;
        digit += 1;
    }
    table
};

const UPPER: &[u8; 16] = b"0123456789ABCDEF";
const LOWER: &[u8; 16] = b"0123456789abcdef";

fn escape(byte: u8, digits: &[u8; 16], out: &mut Vec<u8>) {
    out.extend_from_slice(&[b'%', digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]]);
}

/// Percent-encodes with upper-case digits; a space becomes `%20`.
pub fn percent(input: &[u8], keep: Keep, out: &mut Vec<u8>) {
    let mask = keep.mask();
    let mut plain = 0;
    for (i, &byte) in input.iter().enumerate() {
        if CLASS[usize::from(byte)] & mask == 0 {
            out.extend_from_slice(&input[plain..i]);
            escape(byte, UPPER, out);
            plain = i + 1;
        }
    }
    out.extend_from_slice(&input[plain..]);
}

/// Decodes and encodes strictly in one pass: the same bytes, spelled in the one way that AWS and its like spell
/// them (protocols: "emit one strict encoding").
pub fn respell(wire: &[u8], keep: Keep, plus: Plus, out: &mut Vec<u8>) -> Result<(), BadEscape> {
    let mask = keep.mask();
    let mut plain = 0;
    let mut i = 0;
    while let Some(&byte) = wire.get(i) {
        if CLASS[usize::from(byte)] & mask != 0 {
            i += 1;
            continue;
        }
        out.extend_from_slice(&wire[plain..i]);
        let decoded = match byte {
            b'%' => {
                let decoded = unescape(wire, i)?;
                i += 2;
                decoded
            }
            b'+' if plus == Plus::Space => b' ',
            other => other,
        };
        i += 1;
        plain = i;
        if CLASS[usize::from(decoded)] & mask == 0 {
            escape(decoded, UPPER, out);
        } else {
            out.push(decoded);
        }
    }
    out.extend_from_slice(&wire[plain..]);
    Ok(())
}

/// Percent-decodes.
pub fn decode(wire: &[u8], plus: Plus, out: &mut Vec<u8>) -> Result<(), BadEscape> {
    let mut plain = 0;
    let mut i = 0;
    while let Some(&byte) = wire.get(i) {
        let decoded = match byte {
            b'%' => unescape(wire, i)?,
            b'+' if plus == Plus::Space => b' ',
            _ => {
                i += 1;
                continue;
            }
        };
        out.extend_from_slice(&wire[plain..i]);
        out.push(decoded);
        i += if byte == b'%' { 3 } else { 1 };
        plain = i;
    }
    out.extend_from_slice(&wire[plain..]);
    Ok(())
}

/// The byte that the escape at `at` stands for.
fn unescape(wire: &[u8], at: usize) -> Result<u8, BadEscape> {
    let (Some(&high), Some(&low)) = (wire.get(at + 1), wire.get(at + 2)) else { return Err(BadEscape) };
    let (high, low) = (NIBBLE[usize::from(high)], NIBBLE[usize::from(low)]);
    if high > 15 || low > 15 { Err(BadEscape) } else { Ok(high << 4 | low) }
}

/// A value as CloudStack's server signs it: Java's `URLEncoder` with `+` replaced by `%20`, then all of it in lower
/// case (`ApiServer.verifyRequest`). So `*` stays, `~` becomes `%7e`, and `É` is `%c3%89`, never folded to `é`.
pub fn java_lower(value: &[u8], out: &mut Vec<u8>) {
    for &byte in value {
        if CLASS[usize::from(byte)] & JAVA == 0 {
            escape(byte, LOWER, out);
        } else {
            out.push(byte.to_ascii_lowercase());
        }
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8], out: &mut Vec<u8>) {
    for &byte in bytes {
        out.extend_from_slice(&[LOWER[usize::from(byte >> 4)], LOWER[usize::from(byte & 15)]]);
    }
}

/// A SHA-256 digest in lower-case hexadecimal.
pub fn hex32(digest: &[u8; 32]) -> [u8; 64] {
    let mut text = [0; 64];
    for (pair, &byte) in text.chunks_exact_mut(2).zip(digest) {
        pair[0] = LOWER[usize::from(byte >> 4)];
        pair[1] = LOWER[usize::from(byte & 15)];
    }
    text
}

/// Standard Base64 with padding of an HMAC-SHA1.
pub fn base64(mac: &[u8; 20], out: &mut Vec<u8>) {
    let mut text = [0; 28];
    // 20 bytes are 28 characters, so the slice always fits; were it not to, a missing signature matches nothing.
    let length = STANDARD.encode_slice(mac, &mut text).unwrap_or(0);
    out.extend_from_slice(&text[..length]);
}

/// Unsigned decimal digits.
pub fn decimal(number: u64, out: &mut Vec<u8>) {
    let mut text = [0; 20];
    let mut at = text.len();
    let mut rest = number;
    loop {
        at -= 1;
        #[allow(clippy::cast_possible_truncation)] // a digit
        let digit = (rest % 10) as u8;
        text[at] = b'0' + digit;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&text[at..]);
}

/// Whether a byte would move a field boundary in a text of lines: C0 controls and DEL.
pub fn is_control(byte: u8) -> bool {
    byte < 0x20 || byte == 0x7F
}

/// The pieces of a query or form: split on `&`, then on the first `=`. Empty pieces are skipped, as every server
/// here does; `None` is a piece without `=`.
pub fn pieces(wire: &[u8]) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
    wire.split(|&b| b == b'&').filter(|piece| !piece.is_empty()).map(|piece| {
        match piece.iter().position(|&b| b == b'=') {
            Some(at) => (&piece[..at], Some(&piece[at + 1..])),
            None => (piece, None),
        }
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn run(f: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        f(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn strict_encoding_keeps_only_unreserved() {
        let all: Vec<u8> = (0..=255).collect();
        let text = run(|out| percent(&all, Keep::Unreserved, out));
        let kept: String = text.split('%').map(|piece| piece.get(2..).unwrap_or("")).collect();
        assert_eq!(kept, "-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~");
        assert_eq!(run(|out| percent(b"/a b+", Keep::Path, out)), "/a%20b%2B");
    }

    #[test]
    fn respelling_is_decoding_then_encoding() {
        let cases: [&[u8]; 6] = [b"a%2fb+c%7E%41", b"", b"%00%FF", b"plain", b"+%2B", "\u{20ac}*".as_bytes()];
        for wire in cases {
            for (keep, plus) in [(Keep::Path, Plus::Literal), (Keep::Unreserved, Plus::Space)] {
                let mut decoded = Vec::new();
                decode(wire, plus, &mut decoded).unwrap();
                let slow = run(|out| percent(&decoded, keep, out));
                assert_eq!(run(|out| respell(wire, keep, plus, out).unwrap()), slow);
            }
        }
    }

    #[test]
    fn a_broken_escape_is_refused() {
        for wire in ["%", "%4", "a%4", "%zz", "%4g", "%%41", "%+1"] {
            let mut out = Vec::new();
            assert_eq!(decode(wire.as_bytes(), Plus::Space, &mut out), Err(BadEscape), "{wire}");
            assert_eq!(
                respell(wire.as_bytes(), Keep::Path, Plus::Literal, &mut out),
                Err(BadEscape),
                "{wire}"
            );
        }
    }

    #[test]
    fn java_values_in_lower_case() {
        let text = run(|out| java_lower("A*~b c.-_\u{c9}(".as_bytes(), out));
        assert_eq!(text, "a*%7eb%20c.-_%c3%89%28");
    }

    #[test]
    fn numbers_and_digests() {
        assert_eq!(run(|out| decimal(0, out)), "0");
        assert_eq!(run(|out| decimal(u64::MAX, out)), "18446744073709551615");
        assert_eq!(run(|out| hex(&[0, 0xAB, 0x7F], out)), "00ab7f");
        assert_eq!(hex32(&[0x5A; 32]).as_slice(), "5a".repeat(32).as_bytes());
        assert_eq!(run(|out| base64(&[0xFF; 20], out)), "//////////////////////////8=");
    }

    #[test]
    fn pieces_split_on_the_first_equals_sign() {
        let found: Vec<_> = pieces(b"a=1=2&&b&=c&d=").collect();
        let expected: [(&[u8], Option<&[u8]>); 4] =
            [(b"a", Some(b"1=2")), (b"b", None), (b"", Some(b"c")), (b"d", Some(b""))];
        assert_eq!(found, expected);
    }
}

//! Percent rules, hexadecimal and Base64, each rule named after the side that demands it.
//!
//! Every function appends to a buffer that the caller owns and reuses. Nothing here knows a scheme, and nothing
//! guesses: an escape that is not two hexadecimal digits is an error, never kept as it is.

mod marks;
mod scan;

pub use scan::{Copied, Piece, pieces, scan};

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
/// Stands for itself on the wire, whatever `+` means.
const DIRECT: u8 = 8;

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
        if !matches!(b, b'%' | b'+') {
            table[byte] |= DIRECT;
        }
        byte += 1;
    }
    table[b'~' as usize] |= UNRESERVED | PATH;
    table[b'/' as usize] |= PATH;
    // java.net.URLEncoder leaves `*` alone and escapes `~`.
    table[b'*' as usize] |= JAVA;
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

/// The two digits of every byte.
const LOWER_PAIRS: [[u8; 2]; 256] = {
    let mut table = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = [LOWER[byte >> 4], LOWER[byte & 15]];
        byte += 1;
    }
    table
};

fn escape(byte: u8, digits: &[u8; 16], out: &mut Vec<u8>) {
    out.extend_from_slice(&[b'%', digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]]);
}

fn class(byte: u8) -> u8 {
    CLASS[usize::from(byte)]
}

/// How many bytes from `at` on are of a class. By fours, because most bytes of most requests are.
fn run(input: &[u8], at: usize, mask: u8) -> usize {
    let rest = input.get(at..).unwrap_or_default();
    let mut length = 0;
    for four in rest.chunks_exact(4) {
        if class(four[0]) & class(four[1]) & class(four[2]) & class(four[3]) & mask == 0 {
            break;
        }
        length += 4;
    }
    while rest.get(length).is_some_and(|&byte| class(byte) & mask != 0) {
        length += 1;
    }
    length
}

/// Percent-encodes with upper-case digits; a space becomes `%20`.
pub fn percent(input: &[u8], keep: Keep, out: &mut Vec<u8>) {
    let mask = keep.mask();
    let mut at = 0;
    loop {
        let kept = run(input, at, mask);
        out.extend_from_slice(&input[at..at + kept]);
        at += kept;
        let Some(&byte) = input.get(at) else { return };
        escape(byte, UPPER, out);
        at += 1;
    }
}

/// Decodes and encodes strictly in one pass: the same bytes, spelled in the one way that AWS and its like spell
/// them (protocols: "emit one strict encoding").
pub fn respell(wire: &[u8], keep: Keep, plus: Plus, out: &mut Vec<u8>) -> Result<(), BadEscape> {
    let mask = keep.mask();
    let mut at = 0;
    loop {
        let kept = run(wire, at, mask);
        out.extend_from_slice(&wire[at..at + kept]);
        at += kept;
        let decoded = match wire.get(at) {
            None => return Ok(()),
            Some(b'%') => {
                let decoded = unescape(wire, at)?;
                at += 2;
                decoded
            }
            Some(b'+') if plus == Plus::Space => b' ',
            Some(&other) => other,
        };
        at += 1;
        if class(decoded) & mask == 0 {
            escape(decoded, UPPER, out);
        } else {
            out.push(decoded);
        }
    }
}

/// Percent-decodes.
pub fn decode(wire: &[u8], plus: Plus, out: &mut Vec<u8>) -> Result<(), BadEscape> {
    let mut at = 0;
    loop {
        let direct = run(wire, at, DIRECT);
        out.extend_from_slice(&wire[at..at + direct]);
        at += direct;
        match wire.get(at) {
            None => return Ok(()),
            Some(b'%') => {
                out.push(unescape(wire, at)?);
                at += 2;
            }
            Some(b'+') if plus == Plus::Space => out.push(b' '),
            Some(&other) => out.push(other),
        }
        at += 1;
    }
}

/// The byte that the escape at `at` stands for.
fn unescape(wire: &[u8], at: usize) -> Result<u8, BadEscape> {
    let (Some(&high), Some(&low)) = (wire.get(at + 1), wire.get(at + 2)) else { return Err(BadEscape) };
    let (high, low) = (NIBBLE[usize::from(high)], NIBBLE[usize::from(low)]);
    if high > 15 || low > 15 { Err(BadEscape) } else { Ok(high << 4 | low) }
}

/// A value as CloudStack's server spells it before it puts all of it in lower case: Java's `URLEncoder` with `+`
/// replaced by `%20` (`ApiServer.verifyRequest`). So `*` stays, `~` becomes `%7e`, and `É` is `%c3%89`, never folded
/// to `é`. Lower case is left to the caller, who does it for a whole text at once.
pub fn java(value: &[u8], out: &mut Vec<u8>) {
    let mut at = 0;
    loop {
        let kept = run(value, at, JAVA);
        out.extend_from_slice(&value[at..at + kept]);
        at += kept;
        let Some(&byte) = value.get(at) else { return };
        escape(byte, LOWER, out);
        at += 1;
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8], out: &mut Vec<u8>) {
    for &byte in bytes {
        out.extend_from_slice(&LOWER_PAIRS[usize::from(byte)]);
    }
}

/// A SHA-256 digest in lower-case hexadecimal.
pub fn hex32(digest: &[u8; 32]) -> [u8; 64] {
    let mut text = [0; 64];
    for (pair, &byte) in text.as_chunks_mut::<2>().0.iter_mut().zip(digest) {
        *pair = LOWER_PAIRS[usize::from(byte)];
    }
    text
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Standard Base64 with padding of an HMAC-SHA1.
pub fn base64(mac: &[u8; 20]) -> [u8; 28] {
    let digit = |bits: u32| BASE64[(bits & 63) as usize];
    let mut text = [b'='; 28];
    let (triples, rest) = mac.as_chunks::<3>();
    for (quad, &[a, b, c]) in text.as_chunks_mut::<4>().0.iter_mut().zip(triples) {
        let bits = u32::from_be_bytes([0, a, b, c]);
        *quad = [digit(bits >> 18), digit(bits >> 12), digit(bits >> 6), digit(bits)];
    }
    // Twenty bytes are six triples and two more, which are three digits and the padding.
    if let &[a, b] = rest {
        let bits = u32::from_be_bytes([0, a, b, 0]);
        text[24..27].copy_from_slice(&[digit(bits >> 18), digit(bits >> 12), digit(bits >> 6)]);
    }
    text
}

/// How a query carries each character of Base64, the first byte lowest, and in the highest byte how long that is.
const BASE64_ESCAPED: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        #[allow(clippy::cast_possible_truncation)] // below 256 by the loop's bound
        let b = byte as u8;
        let (high, low) = (UPPER[byte >> 4], UPPER[byte & 15]);
        let spelled = if b.is_ascii_alphanumeric() { [b, 0, 0, 1] } else { [b'%', high, low, 3] };
        table[byte] = u32::from_le_bytes(spelled);
        byte += 1;
    }
    table
};

/// The same as a query carries it. Without a branch, because what a signature holds cannot be foretold.
pub fn base64_escaped(text: &[u8; 28], out: &mut Vec<u8>) {
    let mut spelled = [0; 4 * 28];
    let mut end = 0;
    for byte in text {
        let character = BASE64_ESCAPED[usize::from(*byte)];
        if let Some(to) = spelled.get_mut(end..end + 4) {
            to.copy_from_slice(&character.to_le_bytes());
        }
        end += (character >> 24) as usize;
    }
    out.extend_from_slice(&spelled[..end]);
}

/// The two digits of every number below a hundred.
const DECIMAL_PAIRS: [[u8; 2]; 100] = {
    let mut table = [[0; 2]; 100];
    let mut number = 0;
    while number < 100 {
        #[allow(clippy::cast_possible_truncation)] // below a hundred
        let (tens, ones) = (number as u8 / 10, number as u8 % 10);
        table[number] = [b'0' + tens, b'0' + ones];
        number += 1;
    }
    table
};

/// Unsigned decimal digits.
pub fn decimal(number: u64, out: &mut Vec<u8>) {
    let mut text = [0; 20];
    let mut at = text.len();
    let mut rest = number;
    while rest >= 10 {
        #[allow(clippy::cast_possible_truncation)] // below a hundred
        let pair = DECIMAL_PAIRS[(rest % 100) as usize];
        at -= 2;
        text[at..at + 2].copy_from_slice(&pair);
        rest /= 100;
    }
    // What is left is one digit, or nothing behind an even number of them.
    if rest > 0 || number == 0 {
        at -= 1;
        #[allow(clippy::cast_possible_truncation)] // a digit
        let digit = rest as u8;
        text[at] = b'0' + digit;
    }
    out.extend_from_slice(&text[at..]);
}

/// Whether a byte would move a field boundary in a text of lines: C0 controls and DEL.
pub fn is_control(byte: u8) -> bool {
    byte < 0x20 || byte == 0x7F
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn text(f: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        f(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn strict_encoding_keeps_only_unreserved() {
        let all: Vec<u8> = (0..=255).collect();
        let all_text = text(|out| percent(&all, Keep::Unreserved, out));
        let kept: String = all_text.split('%').map(|piece| piece.get(2..).unwrap_or("")).collect();
        assert_eq!(kept, "-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~");
        assert_eq!(text(|out| percent(b"/a b+", Keep::Path, out)), "/a%20b%2B");
    }

    #[test]
    fn respelling_is_decoding_then_encoding() {
        let cases: [&[u8]; 6] = [b"a%2fb+c%7E%41", b"", b"%00%FF", b"plain", b"+%2B", "\u{20ac}*".as_bytes()];
        for wire in cases {
            for (keep, plus) in [(Keep::Path, Plus::Literal), (Keep::Unreserved, Plus::Space)] {
                let mut decoded = Vec::new();
                decode(wire, plus, &mut decoded).unwrap();
                let slow = text(|out| percent(&decoded, keep, out));
                assert_eq!(text(|out| respell(wire, keep, plus, out).unwrap()), slow);
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
    fn java_values() {
        let spelled = text(|out| java("A*~b c.-_\u{c9}(".as_bytes(), out));
        assert_eq!(spelled, "A*%7eb%20c.-_%c3%89%28");
    }

    #[test]
    fn numbers_and_digests() {
        for number in (0..1100).chain([9_999, 10_000, 10_001, 99_999, 100_000, 1_772_626_200, u64::MAX]) {
            assert_eq!(text(|out| decimal(number, out)), number.to_string());
        }
        assert_eq!(text(|out| hex(&[0, 0xAB, 0x7F], out)), "00ab7f");
        assert_eq!(hex32(&[0x5A; 32]).as_slice(), "5a".repeat(32).as_bytes());
        assert_eq!(&base64(&[0xFF; 20]), b"//////////////////////////8=");
    }

    #[test]
    fn base64_is_the_standard_one() {
        use base64::Engine as _;
        let engine = base64::engine::general_purpose::STANDARD;
        for seed in 0..=255_u8 {
            let mut byte = seed.wrapping_mul(31);
            let mac = [(); 20].map(|()| {
                byte = byte.wrapping_add(37);
                byte
            });
            let spelled = base64(&mac);
            assert_eq!(String::from_utf8_lossy(&spelled), engine.encode(mac), "{seed}");
            let escaped = text(|out| percent(&spelled, Keep::Unreserved, out));
            assert_eq!(text(|out| base64_escaped(&spelled, out)), escaped, "{seed}");
        }
    }

    /// What a scan calls plain is the same under every rule, and each byte that is not makes its piece not plain.
    #[test]
    fn plain_pieces_need_no_spelling() {
        for byte in 0..=255_u8 {
            for wire in [
                [b"abcd".as_slice(), &[byte], b"efg=hijkl"].concat(),
                [b"ab=cdefgh", &[byte][..], b"i"].concat(),
            ] {
                for piece in scan(&wire) {
                    let value = piece.value.unwrap_or_default();
                    if !piece.spelling.is_plain() {
                        assert!(!byte.is_ascii_alphanumeric() && !b"-._".contains(&byte), "{byte}");
                        continue;
                    }
                    for part in [piece.name, value] {
                        let mut spellings = [const { Vec::new() }; 5];
                        decode(part, Plus::Space, &mut spellings[0]).unwrap();
                        respell(part, Keep::Unreserved, Plus::Space, &mut spellings[1]).unwrap();
                        percent(part, Keep::Unreserved, &mut spellings[2]);
                        percent(part, Keep::Path, &mut spellings[3]);
                        java(part, &mut spellings[4]);
                        assert!(spellings.iter().all(|spelling| spelling == part), "{byte}");
                    }
                }
            }
        }
    }

    #[test]
    fn pieces_split_on_the_first_equals_sign() {
        let found: Vec<_> = pieces(b"a=1=2&&b&=c&d=").collect();
        let expected: [(&[u8], Option<&[u8]>); 4] =
            [(b"a", Some(b"1=2")), (b"b", None), (b"", Some(b"c")), (b"d", Some(b""))];
        assert_eq!(found, expected);
    }
}

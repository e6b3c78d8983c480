//! Splitting a query or a form into its pieces, and learning on the way how each piece is spelled.
//!
//! What means nothing is passed over many bytes at a time. Nothing here decodes, and nothing is judged: a broken escape makes a piece loose, and
//! whoever decodes it refuses it.

use super::marks::Marks;
use super::{CLASS, NIBBLE, UNRESERVED};

/// One piece of a query or form.
pub struct Piece<'w> {
    /// Where it begins.
    pub start: usize,
    /// All of it.
    pub whole: &'w [u8],
    /// What stands before the first `=`.
    pub name: &'w [u8],
    /// What stands after it; `None` without a `=`.
    pub value: Option<&'w [u8]>,
    /// How name and value are spelled.
    pub spelling: Spelling,
}

/// What is known of how a piece is spelled. A name is plain, or the piece is loose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spelling(u8);

/// Escapes in the value, each of which must be there, in upper case.
const ESCAPED: u8 = 1;
/// `~` or `*`, about which the rules differ.
const STAR: u8 = 2;
/// Escapes of bytes that are not ASCII.
const HIGH: u8 = 4;
/// Anything else.
const LOOSE: u8 = 8;

impl Spelling {
    /// Whether name and value are spelled alike in every encoding, so that neither need be looked at again.
    pub fn is_plain(self) -> bool {
        self.0 == 0
    }

    /// Whether the piece is what [`super::percent`] makes of the decoded name and value, with [`super::Keep::Unreserved`].
    pub fn is_strict(self) -> bool {
        self.0 & LOOSE == 0
    }

    /// Whether it is strict and, but for the letter case of its digits, what [`super::java`] makes of the value too.
    pub fn is_common(self) -> bool {
        self.0 & (LOOSE | STAR) == 0
    }

    /// Whether a strict value decodes to ASCII.
    pub fn is_ascii(self) -> bool {
        self.0 & HIGH == 0
    }
}

/// What an escape says of its piece, by the byte that it stands for.
const ESCAPE: [u8; 256] = {
    let mut table = [ESCAPED; 256];
    let mut byte = 0;
    while byte < 256 {
        if CLASS[byte] & UNRESERVED != 0 {
            table[byte] = LOOSE;
        } else if byte >= 0x80 {
            table[byte] |= HIGH;
        }
        byte += 1;
    }
    table[b'*' as usize] |= STAR;
    table
};

/// What the escape at `at` says of its piece.
fn escape(wire: &[u8], at: usize) -> u8 {
    let Some(&[high, low]) = wire.get(at + 1..at + 3) else { return LOOSE };
    // Lower-case digits are read, but not written.
    if high > b'F' || low > b'F' {
        return LOOSE;
    }
    let (high, low) = (NIBBLE[usize::from(high)], NIBBLE[usize::from(low)]);
    if high > 15 || low > 15 { LOOSE } else { ESCAPE[usize::from(high << 4 | low)] }
}

/// The pieces of a query or form: split on `&`, then on the first `=`. Empty pieces are skipped, as every server
/// here does.
pub fn scan(wire: &[u8]) -> impl Iterator<Item = Piece<'_>> {
    let mut marks = Marks::new(wire);
    let mut next = 0;
    std::iter::from_fn(move || {
        let mut start = next;
        let (mut equals, mut spelling) = (None, 0);
        let at = loop {
            let Some(at) = marks.next() else { break wire.len() };
            match wire.get(at) {
                Some(b'&') if at == start => start = at + 1,
                Some(b'&') => break at,
                Some(b'=') if equals.is_none() => equals = Some(at),
                Some(b'%') if equals.is_some() => spelling |= escape(wire, at),
                Some(b'~') if equals.is_some() => spelling |= STAR,
                _ => spelling |= LOOSE,
            }
        };
        next = at + 1;
        let whole = wire.get(start..at).filter(|whole| !whole.is_empty())?;
        let (name, value) = match equals {
            Some(at) => (&whole[..at - start], Some(&whole[at - start + 1..])),
            None => (whole, None),
        };
        Some(Piece { start, whole, name, value, spelling: Spelling(spelling) })
    })
}

/// The same pieces as names and values; `None` is a piece without `=`.
pub fn pieces(wire: &[u8]) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
    scan(wire).map(|piece| (piece.name, piece.value))
}

/// Copies those pieces of a wire that stand as they are sent, neighbours among them at once.
pub struct Copied<'w> {
    wire: &'w [u8],
    /// What is still to be copied.
    start: usize,
    end: usize,
}

impl<'w> Copied<'w> {
    /// Nothing copied yet.
    pub fn new(wire: &'w [u8]) -> Self {
        Self { wire, start: 0, end: 0 }
    }

    /// Takes a piece, or the beginning of one.
    pub fn take(&mut self, piece: &Piece<'w>, length: usize, out: &mut Vec<u8>) {
        if self.start == self.end || self.end + 1 != piece.start {
            self.finish(out);
            self.start = piece.start;
        }
        self.end = piece.start + length;
    }

    /// Copies what is left; to be called before anything else is written.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        let pieces = self.wire.get(self.start..self.end).unwrap_or_default();
        self.start = self.end;
        if pieces.is_empty() {
            return;
        }
        if !out.is_empty() {
            out.push(b'&');
        }
        out.extend_from_slice(pieces);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::{Keep, Plus, decode, java, percent};
    use super::*;

    fn spelled(text: &[u8], spell: impl Fn(&[u8], &mut Vec<u8>)) -> Vec<u8> {
        let (mut decoded, mut out) = (Vec::new(), Vec::new());
        decode(text, Plus::Space, &mut decoded).unwrap();
        spell(&decoded, &mut out);
        out
    }

    fn strictly(text: &[u8]) -> Vec<u8> {
        spelled(text, |decoded, out| percent(decoded, Keep::Unreserved, out))
    }

    /// Each verdict on a piece against the slow way, for every byte as it is and in every spelling of its escape, in
    /// a name and in a value, alone and beside others.
    #[test]
    fn spellings_are_what_the_encoders_write() {
        let mut parts = vec![b"a".to_vec(), b"A%20b~c".to_vec(), b"%C3%89-%2A".to_vec(), b"%20".to_vec()];
        for byte in 0..=255_u8 {
            parts.push(format!("%{byte:02X}").into_bytes());
            parts.push(format!("x%{byte:02x}").into_bytes());
            if !b"%&=".contains(&byte) {
                parts.push(vec![b'x', byte]);
            }
        }
        for part in &parts {
            for wire in [[b"name=", &part[..]].concat(), [part, &b"=value"[..]].concat()] {
                let piece = scan(&wire).next().unwrap();
                let (name, value, spelling) = (piece.name, piece.value.unwrap(), piece.spelling);
                let is_plain_name = !name.contains(&b'%') && !name.contains(&b'~') && strictly(name) == name;
                let is_strict = is_plain_name && strictly(value) == value;
                assert_eq!(spelling.is_strict(), is_strict, "{}", wire.escape_ascii());
                let signed = spelled(value, java).to_ascii_lowercase();
                let is_common = is_strict && signed == value.to_ascii_lowercase();
                // A star beside what is spelled alike is judged by the star.
                assert!(is_common || !spelling.is_common(), "{}", wire.escape_ascii());
                let has_star = value.contains(&b'~') || value.windows(3).any(|three| three == b"%2A");
                assert!(spelling.is_common() || !is_common || has_star, "{}", wire.escape_ascii());
                let is_ascii = spelled(value, |decoded, out| out.extend_from_slice(decoded)).is_ascii();
                assert!(!is_strict || spelling.is_ascii() == is_ascii, "{}", wire.escape_ascii());
            }
        }
    }

    #[test]
    fn broken_escapes_are_loose() {
        for wire in ["a=%", "a=%4", "a=%4G", "a=%G4", "a=%:0", "a=%2", "a=b=c", "a=1&b=%"] {
            assert!(!scan(wire.as_bytes()).last().unwrap().spelling.is_strict(), "{wire}");
        }
        assert!(!scan(b"a=%2&b=c").next().unwrap().spelling.is_strict());
    }

    #[test]
    fn pieces_know_where_they_stand() {
        let wire = b"&a=1&&bc=2&d&";
        let found: Vec<_> = scan(wire).map(|piece| (piece.start, piece.whole)).collect();
        assert_eq!(found, [(1, &b"a=1"[..]), (6, b"bc=2"), (11, b"d")]);
        assert!(scan(wire).all(|piece| &wire[piece.start..][..piece.whole.len()] == piece.whole));
    }

    /// Every choice of pieces out of some, neighbours and not, comes out as joining them would have it.
    #[test]
    fn copied_pieces_are_joined() {
        let wire = b"&a=1&bc=2&&d=3&e=4&f=5";
        for choice in 0..32 {
            let (mut copied, mut out, mut expected) = (Copied::new(wire), Vec::new(), Vec::new());
            for (at, piece) in scan(wire).enumerate() {
                if choice >> at & 1 == 1 {
                    // Of one piece only the name is taken.
                    let length = if at == 2 { 1 } else { piece.whole.len() };
                    copied.take(&piece, length, &mut out);
                    expected.push(&piece.whole[..length]);
                }
            }
            copied.finish(&mut out);
            assert_eq!(out, expected.join(&b'&'), "{choice}");
        }
    }
}

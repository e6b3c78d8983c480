//! Splitting a query or a form into its pieces, and learning on the way how each piece is spelled.
//!
//! Each byte is looked at once. Nothing here decodes, and nothing is judged: a broken escape makes a piece loose, and
//! whoever decodes it refuses it.

use super::{CLASS, NIBBLE, PLAIN, UNRESERVED, run};

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
    let mut next = 0;
    std::iter::from_fn(move || {
        while wire.get(next) == Some(&b'&') {
            next += 1;
        }
        let start = next;
        let (mut at, mut equals, mut spelling) = (start, None, 0);
        loop {
            at += run(wire, at, PLAIN);
            match wire.get(at) {
                None | Some(b'&') => break,
                Some(b'=') if equals.is_none() => equals = Some(at),
                Some(b'%') if equals.is_some() => spelling |= escape(wire, at),
                Some(b'~') if equals.is_some() => spelling |= STAR,
                Some(_) => spelling |= LOOSE,
            }
            at += 1;
        }
        next = at;
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

/// Whether a text is spelled alike in every encoding.
pub fn is_plain(text: &[u8]) -> bool {
    run(text, 0, PLAIN) == text.len()
}

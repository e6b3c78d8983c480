//! What signing changes, and where the text of it is written.
//!
//! [`Scratch`] is reused from one signature to the next: cleared, never freed, so that signing allocates nothing
//! once it is warm. [`Edits`] borrow from it and are applied by the shell; a dry run applies nothing.

use std::cmp::Ordering;
use std::ops::Range;

use http::HeaderName;
use zeroize::Zeroize as _;

use super::SignError;
use super::date::Latest;

/// The most headers that any scheme sets.
pub const MAX_HEADERS: usize = 5;

/// The outcome of one signature.
pub struct Edits<'s> {
    /// Headers to set, replacing any of the same name.
    pub headers: [Option<(HeaderName, &'s str)>; MAX_HEADERS],
    /// The whole new query without its `?`, when the scheme writes one; the old one is dropped. An empty text means
    /// that the request has no query.
    pub query: Option<&'s str>,
    /// The whole new form body, when the scheme signs in a form.
    pub form: Option<&'s str>,
    /// The intermediate texts, for `sign`, `explain`, golden tests and the audit's digest.
    pub stages: Stages<'s>,
}

/// The named stages of a signature.
#[derive(Clone, Copy)]
pub struct Stages<'s> {
    /// SigV4 only.
    pub canonical_request: Option<&'s [u8]>,
    /// What the MAC is taken over.
    pub string_to_sign: &'s [u8],
    /// As the scheme writes it: hex or Base64. Never logged.
    pub signature: &'s str,
}

/// Reused buffers for one signature at a time. Keep one per thread and lend it to each call; what a call returns
/// borrows from it, so the borrow checker sees to it that nothing is read after the next signature began.
///
/// It may hold a session token and signatures, so it is wiped when dropped.
#[derive(Default)]
pub struct Scratch {
    /// Decoded or respelled pieces that `fields` points into.
    pub(super) arena: Vec<u8>,
    /// What is sorted: parameters or headers.
    pub(super) fields: Vec<Field>,
    /// SigV2's headers, sorted apart from its parameters.
    pub(super) headers: Vec<Field>,
    /// SigV4's canonical request.
    pub(super) canonical: Vec<u8>,
    /// The string to sign.
    pub(super) to_sign: Vec<u8>,
    /// The signature as the scheme writes it.
    pub(super) signature: Vec<u8>,
    /// The text of each header that is set, or of each authentication parameter while verifying.
    pub(super) values: [Vec<u8>; MAX_HEADERS],
    /// The new query.
    pub(super) query: Vec<u8>,
    /// The new form.
    pub(super) form: Vec<u8>,
    /// SigV4's date, kept from one signature to the next.
    pub(super) amz: Latest<16>,
    /// CloudStack's `expires`, likewise.
    pub(super) iso: Latest<30>,
    /// SigV2's date, likewise.
    pub(super) http: Latest<29>,
}

impl Scratch {
    /// Empty buffers; they grow to the size of the largest request seen.
    pub fn new() -> Self {
        Self::default()
    }

    /// Empties every buffer and frees none. The dates stay: they are right for their second whatever the request.
    pub(super) fn clear(&mut self) {
        self.arena.clear();
        self.fields.clear();
        self.headers.clear();
        self.canonical.clear();
        self.to_sign.clear();
        self.signature.clear();
        self.values.iter_mut().for_each(Vec::clear);
        self.query.clear();
        self.form.clear();
    }

    /// The stages of a scheme that has no canonical request.
    pub(super) fn stages(&self) -> Result<Stages<'_>, SignError> {
        Ok(Stages {
            canonical_request: None,
            string_to_sign: &self.to_sign,
            signature: text(&self.signature, "signature")?,
        })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        for buffer in [
            &mut self.arena,
            &mut self.canonical,
            &mut self.to_sign,
            &mut self.signature,
            &mut self.query,
            &mut self.form,
        ] {
            buffer.zeroize();
        }
        self.values.iter_mut().for_each(Vec::zeroize);
    }
}

/// A name and a value in [`Scratch`]'s arena. Offsets are 32 bits: a head and a form are limited far below that.
#[derive(Clone, Copy)]
pub(super) struct Field {
    start: u32,
    name_end: u32,
    value_start: u32,
    end: u32,
    /// Whether all of it stands as it is signed.
    is_ready: bool,
    /// The first eight bytes of the name as a number, padded with zeros: tells most names apart and orders them as
    /// their bytes do; equal numbers say nothing.
    prefix: u64,
}

impl Field {
    /// The field whose name begins at `start` and whose value begins at `middle` and ends where the arena ends.
    pub(super) fn closing(arena: &[u8], start: usize, middle: usize) -> Result<Self, SignError> {
        let offset = |at: usize| u32::try_from(at).map_err(|_| SignError::TooLong);
        let prefix = prefix(arena.get(start..middle).unwrap_or_default());
        let (start, middle, end) = (offset(start)?, offset(middle)?, offset(arena.len())?);
        Ok(Self { start, name_end: middle, value_start: middle, end, is_ready: false, prefix })
    }

    /// The same with one byte between the name, which ends at `middle`, and the value.
    pub(super) fn closing_pair(arena: &[u8], start: usize, middle: usize) -> Result<Self, SignError> {
        let field = Self::closing(arena, start, middle)?;
        Ok(Self { value_start: field.name_end.saturating_add(1).min(field.end), ..field })
    }

    /// A field that ends before the arena does.
    pub(super) fn pair_within(
        arena: &[u8],
        start: usize,
        middle: usize,
        end: usize,
    ) -> Result<Self, SignError> {
        Self::closing_pair(arena.get(..end).unwrap_or_default(), start, middle)
    }

    /// The same, known to stand as it is signed or not.
    pub(super) fn with_ready(self, is_ready: bool) -> Self {
        Self { is_ready, ..self }
    }

    pub(super) fn is_ready(&self) -> bool {
        self.is_ready
    }

    /// Whether `name` comes before this field's, by their bytes.
    pub(super) fn comes_after(&self, name: &[u8], arena: &[u8]) -> bool {
        match prefix(name).cmp(&self.prefix) {
            Ordering::Equal => name < self.name(arena),
            other => other == Ordering::Less,
        }
    }

    /// The order of the names' bytes.
    pub(super) fn by_name(&self, other: &Self, arena: &[u8]) -> Ordering {
        self.prefix.cmp(&other.prefix).then_with(|| self.name(arena).cmp(other.name(arena)))
    }

    pub(super) fn has_name_of(&self, other: &Self, arena: &[u8]) -> bool {
        self.prefix == other.prefix && self.name(arena) == other.name(arena)
    }

    /// Name and value with whatever stands between them.
    pub(super) fn whole<'a>(&self, arena: &'a [u8]) -> &'a [u8] {
        Self::slice(self.start..self.end, arena)
    }

    fn slice(range: Range<u32>, arena: &[u8]) -> &[u8] {
        let at = |offset| usize::try_from(offset).unwrap_or(usize::MAX);
        arena.get(at(range.start)..at(range.end)).unwrap_or_default()
    }

    pub(super) fn name<'a>(&self, arena: &'a [u8]) -> &'a [u8] {
        Self::slice(self.start..self.name_end, arena)
    }

    pub(super) fn value<'a>(&self, arena: &'a [u8]) -> &'a [u8] {
        Self::slice(self.value_start..self.end, arena)
    }

    /// Takes what was appended to the arena since as more of this field's value. Only for the last field.
    pub(super) fn extend(&mut self, arena: &[u8]) -> Result<(), SignError> {
        self.end = u32::try_from(arena.len()).map_err(|_| SignError::TooLong)?;
        Ok(())
    }

    /// Where the field stands among the others, for telling equal names apart by their order.
    pub(super) fn position(&self) -> u32 {
        self.start
    }
}

fn prefix(name: &[u8]) -> u64 {
    if let Some(first) = name.first_chunk() {
        return u64::from_be_bytes(*first);
    }
    let mut first = [0; 8];
    first.iter_mut().zip(name).for_each(|(to, &from)| *to = from);
    u64::from_be_bytes(first)
}

/// The text of a buffer that was written as text.
pub(super) fn text<'s>(buffer: &'s [u8], what: &'static str) -> Result<&'s str, SignError> {
    std::str::from_utf8(buffer).map_err(|_| SignError::Encoding(what))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// The number in front never disagrees with the bytes behind it.
    #[test]
    fn names_order_as_their_bytes_do() {
        let names: [&[u8]; 12] = [
            b"",
            b"\0",
            b"a",
            b"a\0",
            b"a\0b",
            b"ab",
            b"abcdefg",
            b"abcdefgh",
            b"abcdefgh\0",
            b"abcdefghi",
            b"b",
            b"\xff",
        ];
        for a in names {
            for b in names {
                let arena = [a, b].concat();
                let field = |start, middle| Field::closing(&arena, start, middle).unwrap();
                let (first, second) = (field(0, a.len()), field(a.len(), arena.len()));
                assert_eq!(first.by_name(&second, &arena), a.cmp(b), "{a:?} {b:?}");
                assert_eq!(first.has_name_of(&second, &arena), a == b, "{a:?} {b:?}");
            }
        }
    }
}

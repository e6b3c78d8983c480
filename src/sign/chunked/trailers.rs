//! The trailers of a streamed body: which were announced, which have come.
//!
//! Judges form and completeness only. What a trailer says (a checksum) is for whoever reads the body.

use super::TRAILER_SIGNATURE;
use super::error::{DecodeError, TrailerFault};

/// The most names that `x-amz-trailer` may hold. Amazon knows one at a time.
const MAX_DECLARED: usize = 16;

/// A trailing header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trailer {
    /// In lower case.
    pub name: String,
    /// Without blanks around it.
    pub value: String,
}

/// What a line of the trailers is.
pub(super) enum Entry<'l> {
    /// A trailer, kept.
    Trailer,
    /// The value of `x-amz-trailer-signature`, which covers all trailers kept so far.
    Signature(&'l str),
}

/// The trailers of one body.
pub(super) struct Trailers {
    /// In lower case.
    declared: Vec<String>,
    found: Vec<Trailer>,
}

impl Trailers {
    /// Expects the names of `x-amz-trailer`.
    pub(super) fn new(declared: &[&str]) -> Result<Self, DecodeError> {
        let fault = Err(DecodeError::MalformedTrailer(TrailerFault::Declaration));
        if declared.len() > MAX_DECLARED {
            return fault;
        }
        let mut names: Vec<String> = Vec::with_capacity(declared.len());
        for name in declared {
            let name = name.trim_matches(BLANK).to_ascii_lowercase();
            if !is_name(name.as_bytes()) || name == TRAILER_SIGNATURE || names.contains(&name) {
                return fault;
            }
            names.push(name);
        }
        Ok(Self { declared: names, found: Vec::new() })
    }

    /// No trailer is announced.
    pub(super) fn is_none(&self) -> bool {
        self.declared.is_empty()
    }

    /// Takes a line that is not empty.
    pub(super) fn take<'l>(&mut self, line: &'l [u8]) -> Result<Entry<'l>, TrailerFault> {
        let (name, value) = parse(line).ok_or(TrailerFault::Syntax)?;
        let name = name.to_ascii_lowercase();
        if name == TRAILER_SIGNATURE {
            return Ok(Entry::Signature(value));
        }
        if !self.declared.contains(&name) {
            return Err(TrailerFault::Undeclared);
        }
        if self.found.iter().any(|trailer| trailer.name == name) {
            return Err(TrailerFault::Repeated);
        }
        self.found.push(Trailer { name, value: value.to_owned() });
        Ok(Entry::Trailer)
    }

    /// All that were announced have come. None came that was not, so counting is enough.
    pub(super) fn are_complete(&self) -> bool {
        self.found.len() == self.declared.len()
    }

    /// In the order in which they came.
    pub(super) fn found(&self) -> &[Trailer] {
        &self.found
    }

    pub(super) fn into_found(self) -> Vec<Trailer> {
        self.found
    }
}

/// Optional white space around a header's value (RFC 9110, 5.6.3).
const BLANK: [char; 2] = [' ', '\t'];

/// Name and value. Blanks may stand around the value, but not before the colon.
fn parse(line: &[u8]) -> Option<(&str, &str)> {
    let (name, value) = std::str::from_utf8(line).ok()?.split_once(':')?;
    let is_text = value.bytes().all(|b| matches!(b, b'\t' | b' '..=b'~'));
    (is_name(name.as_bytes()) && is_text).then(|| (name, value.trim_matches(BLANK)))
}

/// A token (RFC 9110, 5.6.2).
fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b))
}

//! The head of an upstream's answer: from bytes to status and headers, and how its body is framed.
//!
//! Pure. What two parsers could read differently is refused: line ends that are no CRLF, folded lines, lengths that
//! stand more than once or are no plain number, codings other than `chunked`, a coding beside a length, an upgrade that
//! nobody asked for.

use std::mem::MaybeUninit;
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderName, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, StatusCode};
use httparse::ParserConfig;
use memchr::memchr_iter;

use crate::body::transfer::Chunked;

/// Headers of an answer.
const MOST_HEADERS: usize = 256;
/// Bytes of an answer's head, together with those of the interim answers before it.
pub(super) const HEAD_BYTES: usize = 128 << 10;
/// Interim answers before the final one.
const MOST_INTERIM: u8 = 32;
/// Names that are remembered from one answer to the next, and the length of each.
const MOST_NAMES: usize = 32;
const LONGEST_NAME: usize = 64;

/// It is no answer, or has more than one reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// What comes after a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// Nothing.
    Over,
    /// So many bytes.
    Length(u64),
    /// Chunks.
    Chunked(Chunked),
    /// Everything until the connection is closed.
    Close,
}

/// What a head says beside its headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// The status, never an interim one.
    pub(super) status: StatusCode,
    /// What follows.
    pub(super) framing: Framing,
    /// Whether the connection outlives the answer.
    pub(super) keep_alive: bool,
}

/// What is kept from one answer of a connection to the next: the headers' names by their place, as most answers have
/// the same; and room for what was parsed.
#[derive(Default)]
pub(super) struct Kept {
    names: Vec<HeaderName>,
    parsed: Vec<(HeaderName, Range<usize>)>,
}

impl Kept {
    fn name(&mut self, text: &str) -> Result<HeaderName, Malformed> {
        let place = self.parsed.len();
        if let Some(known) = self.names.get(place)
            && known.as_str().eq_ignore_ascii_case(text)
        {
            return Ok(known.clone());
        }
        let name = HeaderName::from_bytes(text.as_bytes()).map_err(|_| Malformed)?;
        if text.len() <= LONGEST_NAME {
            if let Some(known) = self.names.get_mut(place) {
                *known = name.clone();
            } else if place == self.names.len() && place < MOST_NAMES {
                self.names.push(name.clone());
            }
        }
        Ok(name)
    }

    /// Moves what was parsed of `bytes` into a map.
    fn fill(&mut self, bytes: &Bytes, headers: &mut HeaderMap) -> Result<(), Malformed> {
        headers.try_reserve(self.parsed.len()).map_err(|_| Malformed)?;
        for (name, place) in self.parsed.drain(..) {
            let value = HeaderValue::from_maybe_shared(bytes.slice(place)).map_err(|_| Malformed)?;
            headers.try_append(name, value).map_err(|_| Malformed)?;
        }
        self.parsed.shrink_to(MOST_NAMES);
        Ok(())
    }
}

/// Looks for the head of one answer in what comes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reader {
    /// Bytes that were looked at without finding an end.
    seen: usize,
    /// Bytes of interim answers, and how many these are.
    interim_bytes: usize,
    interim: u8,
}

impl Reader {
    /// Takes the head of the final answer out of `buffer`, once it is there whole; its headers are all that `headers`
    /// holds then. `bodiless` is whether the request was one for a head alone.
    pub(super) fn read(
        &mut self,
        buffer: &mut BytesMut,
        headers: &mut HeaderMap,
        kept: &mut Kept,
        bodiless: bool,
    ) -> Result<Option<Head>, Malformed> {
        while !buffer.is_empty() {
            let ends = self.seen == 0 || may_end(buffer, self.seen);
            let Some((length, head)) = (if ends { parse(buffer, kept, bodiless)? } else { None }) else {
                self.seen = buffer.len();
                self.room(buffer.len())?;
                return Ok(None);
            };
            self.room(length)?;
            let bytes = buffer.split_to(length).freeze();
            if !head.status.is_informational() {
                headers.clear();
                kept.fill(&bytes, headers)?;
                return Ok(Some(head));
            }
            if head.status == StatusCode::SWITCHING_PROTOCOLS || self.interim == MOST_INTERIM {
                return Err(Malformed);
            }
            self.interim += 1;
            self.interim_bytes += length;
            self.seen = 0;
        }
        Ok(None)
    }

    fn room(&self, length: usize) -> Result<(), Malformed> {
        if self.interim_bytes + length > HEAD_BYTES { Err(Malformed) } else { Ok(()) }
    }
}

/// Whether a head may end in bytes of which `seen` were looked at before: so that one that comes byte by byte is not
/// parsed as often.
fn may_end(bytes: &[u8], seen: usize) -> bool {
    let fresh = &bytes[seen.saturating_sub(2)..];
    fresh.windows(2).any(|pair| pair == b"\n\n") || fresh.windows(3).any(|three| three == b"\n\r\n")
}

/// Reads one head and tells its length, if it is there whole.
fn parse(bytes: &[u8], kept: &mut Kept, bodiless: bool) -> Result<Option<(usize, Head)>, Malformed> {
    // The parser would skip empty lines.
    if bytes.first() != Some(&b'H') {
        return Err(Malformed);
    }
    let mut parsed = httparse::Response::new(&mut []);
    let table = &mut [const { MaybeUninit::uninit() }; MOST_HEADERS];
    let config = ParserConfig::default();
    let length = match config.parse_response_with_uninit_headers(&mut parsed, bytes, table) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(Malformed),
    };
    // The parser takes a line feed alone for the end of a line; a carriage return only before a line feed.
    let head = bytes.get(..length).ok_or(Malformed)?;
    if memchr_iter(b'\n', head).count() != memchr_iter(b'\r', head).count() {
        return Err(Malformed);
    }
    let (Some(code), Some(minor)) = (parsed.code, parsed.version) else { return Err(Malformed) };
    let status = StatusCode::from_u16(code).map_err(|_| Malformed)?;
    let mut said = Said::default();
    kept.parsed.clear();
    for header in parsed.headers.iter() {
        let name = kept.name(header.name)?;
        said.hear(&name, header.value)?;
        let start = header.value.as_ptr().addr().checked_sub(head.as_ptr().addr()).ok_or(Malformed)?;
        let place = start..start + header.value.len();
        head.get(place.clone()).ok_or(Malformed)?;
        kept.parsed.push((name, place));
    }
    let framing = said.framing(minor, bodiless || matches!(code, 204 | 304))?;
    let keep_alive = !said.close && (minor == 1 || said.keep_alive) && framing != Framing::Close;
    Ok(Some((length, Head { status, framing, keep_alive })))
}

/// What headers say of the connection and of the body.
#[derive(Default)]
struct Said {
    length: Option<u64>,
    chunked: bool,
    close: bool,
    keep_alive: bool,
}

impl Said {
    fn hear(&mut self, name: &HeaderName, value: &[u8]) -> Result<(), Malformed> {
        match *name {
            CONTENT_LENGTH => {
                let length = number(value).ok_or(Malformed)?;
                if self.length.replace(length).is_some() {
                    return Err(Malformed);
                }
            }
            TRANSFER_ENCODING => {
                if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(Malformed);
                }
                self.chunked = true;
            }
            CONNECTION => {
                for word in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                    self.close |= word.eq_ignore_ascii_case(b"close");
                    self.keep_alive |= word.eq_ignore_ascii_case(b"keep-alive");
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// RFC 9112, 6.3.
    fn framing(&self, minor: u8, bodiless: bool) -> Result<Framing, Malformed> {
        if self.chunked && (self.length.is_some() || minor == 0) {
            return Err(Malformed);
        }
        Ok(match self.length {
            _ if bodiless => Framing::Over,
            _ if self.chunked => Framing::Chunked(Chunked::default()),
            Some(0) => Framing::Over,
            Some(length) => Framing::Length(length),
            None => Framing::Close,
        })
    }
}

/// A plain number.
pub(super) fn number(digits: &[u8]) -> Option<u64> {
    // A sign would be parsed; nothing at all is not.
    digits.iter().all(u8::is_ascii_digit).then(|| std::str::from_utf8(digits).ok()?.parse().ok())?
}

#[cfg(test)]
mod tests;

//! HTTP/1's transfer coding `chunked` (RFC 9112, section 7.1), of requests and of answers, read in one way only.
//!
//! Pure, and strict: lines end in CRLF, sizes are bounded hexadecimal, every chunk ends where its size says. What may
//! stand beside sizes and after the last chunk is read and dropped, up to a bound. What breaks the grammar is an error,
//! never a shorter body.

use bytes::{Buf as _, Bytes, BytesMut};

/// Bytes of extensions and trailers of one body, beside as many as it has data: there are servers that pad every size.
const ASIDE: u64 = 16 << 10;
/// Trailers of one body.
const TRAILERS: u8 = 100;
/// Digits of a size.
const DIGITS: u8 = 16;

/// What comes is no body in chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// Where in the framing a body stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In the digits of a size, of which there were so many.
    Size(u8),
    /// In blanks after a size.
    Blank,
    /// In an extension.
    Extension,
    /// Before the line feed that ends a size.
    SizeEnd,
    /// In data.
    Data,
    /// Before the CRLF that ends data, and in it.
    DataEnd,
    DataFeed,
    /// Where a trailer may begin, in its name, in its value, and before the line feed that ends it.
    Trailer,
    Name,
    Value,
    ValueEnd,
    /// Before the last line feed.
    LastFeed,
    /// Behind everything.
    Over,
    /// It was malformed.
    Broken,
}

/// The state of a body in chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunked {
    place: Place,
    /// What is left of a chunk, or its size so far.
    left: u64,
    /// What may still be said beside the data.
    aside: u64,
    trailers: u8,
}

impl Default for Chunked {
    fn default() -> Self {
        Self { place: Place::Size(0), left: 0, aside: ASIDE, trailers: 0 }
    }
}

impl Chunked {
    /// The next data in `buffer`, as far as it is there; nothing that comes after the body is taken.
    ///
    /// # Errors
    /// The grammar is broken, now and from now on.
    pub fn take(&mut self, buffer: &mut BytesMut) -> Result<Option<Bytes>, Malformed> {
        self.skip(buffer)?;
        if self.place != Place::Data || buffer.is_empty() {
            return Ok(None);
        }
        let data = piece(buffer, &mut self.left);
        self.aside = self.aside.saturating_add(data.len() as u64);
        if self.left == 0 {
            self.place = Place::DataEnd;
            // The end, if it is there, is known with the last data; a fault is told after them.
            let _ = self.skip(buffer);
        }
        Ok(Some(data))
    }

    /// Whether the last chunk and its trailers were read.
    pub fn is_over(&self) -> bool {
        self.place == Place::Over
    }

    /// What is known to come still.
    pub fn left(&self) -> u64 {
        if self.place == Place::Data { self.left } else { 0 }
    }

    /// Goes over what is no data.
    fn skip(&mut self, buffer: &mut BytesMut) -> Result<(), Malformed> {
        let mut count = 0;
        for &byte in &buffer[..] {
            if matches!(self.place, Place::Data | Place::Over) {
                break;
            }
            self.place = self.step(byte).unwrap_or(Place::Broken);
            count += 1;
        }
        buffer.advance(count);
        if self.place == Place::Broken { Err(Malformed) } else { Ok(()) }
    }

    fn step(&mut self, byte: u8) -> Option<Place> {
        Some(match (self.place, byte) {
            (Place::Size(digits), b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') if digits < DIGITS => {
                let digit = char::from(byte).to_digit(16)?;
                self.left = self.left.checked_mul(16)?.checked_add(digit.into())?;
                Place::Size(digits + 1)
            }
            (Place::Size(1..) | Place::Blank | Place::Extension, b'\r') => Place::SizeEnd,
            (Place::Size(1..) | Place::Blank, b' ' | b'\t') => self.aside(Place::Blank)?,
            (Place::Size(1..) | Place::Blank, b';') => self.aside(Place::Extension)?,
            (Place::SizeEnd, b'\n') if self.left == 0 => Place::Trailer,
            (Place::SizeEnd, b'\n') => Place::Data,
            (Place::DataEnd, b'\r') => Place::DataFeed,
            (Place::DataFeed, b'\n') => Place::Size(0),
            (Place::Trailer, b'\r') => Place::LastFeed,
            (Place::Trailer, byte) if is_token(byte) && self.trailers < TRAILERS => {
                self.trailers += 1;
                self.aside(Place::Name)?
            }
            (Place::Name, byte) if is_token(byte) => self.aside(Place::Name)?,
            (Place::Name, b':') => self.aside(Place::Value)?,
            (Place::Value, b'\r') => Place::ValueEnd,
            (Place::ValueEnd, b'\n') => Place::Trailer,
            (place @ (Place::Extension | Place::Value), b'\t' | b' '..=b'~' | 0x80..) => self.aside(place)?,
            (Place::LastFeed, b'\n') => Place::Over,
            _ => return None,
        })
    }

    fn aside(&mut self, place: Place) -> Option<Place> {
        self.aside = self.aside.checked_sub(1)?;
        Some(place)
    }
}

/// As much of what is `left` as is there.
pub fn piece(buffer: &mut BytesMut, left: &mut u64) -> Bytes {
    let size = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len());
    *left -= size as u64;
    buffer.split_to(size).freeze()
}

/// Whether a byte may stand in a name (RFC 9110, section 5.6.2).
pub fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests;

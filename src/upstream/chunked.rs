//! The chunks of an upstream's answer, taken out of their framing.
//!
//! Pure, and strict: lines end in CRLF, sizes are bounded hexadecimal, every chunk ends where its size says. What may
//! stand beside sizes and after the last chunk is read and dropped, up to a bound.

use bytes::{Buf as _, Bytes, BytesMut};

use super::head::Malformed;

/// Bytes of extensions and trailers of one body.
const ASIDE: u16 = 16 << 10;
/// Digits of a size.
const DIGITS: u8 = 16;

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
pub(super) struct Chunked {
    place: Place,
    /// What is left of a chunk, or its size so far.
    left: u64,
    /// What may still be said beside the data.
    aside: u16,
}

impl Default for Chunked {
    fn default() -> Self {
        Self { place: Place::Size(0), left: 0, aside: ASIDE }
    }
}

impl Chunked {
    /// The next data in `buffer`, as far as it is there.
    pub(super) fn take(&mut self, buffer: &mut BytesMut) -> Result<Option<Bytes>, Malformed> {
        self.skip(buffer)?;
        if self.place != Place::Data || buffer.is_empty() {
            return Ok(None);
        }
        let count = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let data = buffer.split_to(count).freeze();
        self.left -= count as u64;
        if self.left == 0 {
            self.place = Place::DataEnd;
            // The end, if it is there, is known with the last data; a fault is told after them.
            let _ = self.skip(buffer);
        }
        Ok(Some(data))
    }

    /// Whether the last chunk and its trailers were read.
    pub(super) fn is_over(&self) -> bool {
        self.place == Place::Over
    }

    /// What is known to come still.
    pub(super) fn left(&self) -> u64 {
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
            (Place::Trailer | Place::Name, byte) if is_token(byte) => self.aside(Place::Name)?,
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

/// A character of a header's name.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests;

//! Where a request's body ends among the bytes of its connection (RFC 9112, sections 6 and 7), read in one way only.
//!
//! Chunk extensions and trailers are checked and dropped. What breaks the grammar is an error, never a shorter body.
//! It does no I/O.

use bytes::{Buf, Bytes, BytesMut};

use crate::body::incoming::Broken;

/// The most bytes of chunk extensions and of trailers in one body.
const ASIDE: u32 = 16 << 10;
/// The most trailers of one body.
const TRAILERS: u32 = 100;
/// The most digits of a chunk's size: those of a 64-bit number.
const DIGITS: u8 = 16;

/// What is left of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// This many bytes.
    Length(u64),
    /// Chunks.
    Chunked(Chunked),
}

/// A place in a chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunked {
    state: State,
    /// Bytes of extensions and trailers so far.
    aside: u32,
    /// Trailers so far.
    trailers: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In a size, of which there are so many digits.
    Size(u64, u8),
    /// Blanks follow a size; only an extension may come.
    Blank(u64),
    /// In an extension.
    Extension(u64),
    /// The line feed of a size line is due.
    SizeEnd(u64),
    /// This many bytes of the chunk are left.
    Data(u64),
    /// The line end after a chunk is due.
    DataReturn,
    DataEnd,
    /// At the start of a line after the last chunk.
    Line,
    /// In the name of a trailer, and in its value.
    Name,
    Value,
    /// The line feed of a trailer is due, and that of the last line.
    ValueEnd,
    LastEnd,
    /// The body is over.
    Over,
}

/// What the bytes so far hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Bytes of the body, and whether they are the last.
    Data(Bytes, bool),
    /// Nothing more of the body; more bytes are needed.
    More,
    /// The body was over.
    End,
}

impl Framing {
    /// A chunked body from its start.
    pub(super) fn chunked() -> Self {
        Self::Chunked(Chunked { state: State::Size(0, 0), aside: 0, trailers: 0 })
    }

    /// Takes what it can from the front of `buffer`, and nothing that comes after the body.
    pub(super) fn take(&mut self, buffer: &mut BytesMut) -> Result<Step, Broken> {
        match self {
            Self::Length(0) => Ok(Step::End),
            Self::Length(left) => Ok(match piece(buffer, left) {
                None => Step::More,
                Some(data) => Step::Data(data, *left == 0),
            }),
            Self::Chunked(chunked) => chunked.take(buffer),
        }
    }

    /// The bytes that are left, where that is known.
    pub(super) fn left(self) -> Option<u64> {
        match self {
            Self::Length(left) => Some(left),
            Self::Chunked(_) => None,
        }
    }
}

/// The next bytes of `left` that there are.
fn piece(buffer: &mut BytesMut, left: &mut u64) -> Option<Bytes> {
    let size = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len());
    *left -= size as u64;
    (size > 0).then(|| buffer.split_to(size).freeze())
}

impl Chunked {
    fn take(&mut self, buffer: &mut BytesMut) -> Result<Step, Broken> {
        let mut read = 0;
        let step = loop {
            if let State::Data(left) = &mut self.state {
                buffer.advance(std::mem::take(&mut read));
                let Some(data) = piece(buffer, left) else { break Step::More };
                if *left == 0 {
                    self.state = State::DataReturn;
                }
                break Step::Data(data, false);
            }
            if self.state == State::Over {
                break Step::End;
            }
            let Some(&byte) = buffer.get(read) else { break Step::More };
            read += 1;
            self.state = self.after(byte)?;
        };
        buffer.advance(read);
        Ok(step)
    }

    /// The state after a byte that is none of the body's own.
    fn after(&mut self, byte: u8) -> Result<State, Broken> {
        Ok(match (self.state, byte) {
            (State::Size(size, digits), b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') if digits < DIGITS => {
                State::Size(size << 4 | hexadecimal(byte), digits + 1)
            }
            (State::Size(size, 1..) | State::Extension(size), b'\r') => State::SizeEnd(size),
            (State::Size(size, 1..) | State::Blank(size), b';') => State::Extension(size),
            (State::Size(size, 1..) | State::Blank(size), b' ' | b'\t') => {
                self.passes()?;
                State::Blank(size)
            }
            (State::Extension(size), byte) if is_text(byte) => {
                self.passes()?;
                State::Extension(size)
            }
            (State::SizeEnd(0) | State::ValueEnd, b'\n') => State::Line,
            (State::SizeEnd(size), b'\n') => State::Data(size),
            (State::DataReturn, b'\r') => State::DataEnd,
            (State::DataEnd, b'\n') => State::Size(0, 0),
            (State::Line, b'\r') => State::LastEnd,
            (State::Line, byte) if is_token(byte) && self.trailers < TRAILERS => {
                self.trailers += 1;
                self.passes()?;
                State::Name
            }
            (State::Name, b':') => State::Value,
            (State::Name, byte) if is_token(byte) => {
                self.passes()?;
                State::Name
            }
            (State::Value, b'\r') => State::ValueEnd,
            (State::Value, byte) if is_text(byte) => {
                self.passes()?;
                State::Value
            }
            (State::LastEnd, b'\n') => State::Over,
            _ => return Err(Broken),
        })
    }

    /// Counts a byte that is dropped.
    fn passes(&mut self) -> Result<(), Broken> {
        self.aside += 1;
        if self.aside > ASIDE { Err(Broken) } else { Ok(()) }
    }
}

fn hexadecimal(digit: u8) -> u64 {
    char::from(digit).to_digit(16).unwrap_or_default().into()
}

/// Whether a byte may stand in a value: anything but control characters, of which a tab may.
fn is_text(byte: u8) -> bool {
    byte == b'\t' || !byte.is_ascii_control()
}

/// Whether a byte may stand in a name (RFC 9110, section 5.6.2).
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// What came of a body: its bytes and what is left of the input, `None` when it broke, and whether it ended.
    type Read = Option<(Vec<u8>, Vec<u8>, bool)>;

    /// Feeds the pieces one after the other.
    fn feed(mut framing: Framing, pieces: &[&[u8]]) -> Read {
        let (mut buffer, mut body) = (BytesMut::new(), Vec::new());
        for piece in pieces {
            buffer.extend_from_slice(piece);
            loop {
                match framing.take(&mut buffer) {
                    Ok(Step::Data(data, last)) => {
                        assert!(!data.is_empty());
                        body.extend_from_slice(&data);
                        assert!(!last || framing.take(&mut buffer) == Ok(Step::End));
                    }
                    Ok(Step::More) => {
                        assert!(buffer.is_empty(), "what it does not take is not the body's");
                        break;
                    }
                    Ok(Step::End) => break,
                    Err(Broken) => return None,
                }
            }
        }
        let over = framing.take(&mut buffer) == Ok(Step::End);
        Some((body, buffer.to_vec(), over))
    }

    /// The same however the bytes are split.
    #[track_caller]
    fn read(framing: Framing, bytes: &[u8]) -> Read {
        let whole = feed(framing, &[bytes]);
        for at in 0..bytes.len() {
            assert_eq!(feed(framing, &[&bytes[..at], &bytes[at..]]), whole, "split at {at}");
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(feed(framing, &single), whole, "one by one");
        whole
    }

    #[test]
    fn a_length_takes_its_bytes_and_no_more() {
        let taken = |length, bytes: &[u8]| read(Framing::Length(length), bytes).unwrap();
        assert_eq!(taken(0, b"GET"), (vec![], b"GET".to_vec(), true));
        assert_eq!(taken(3, b"abcGET"), (b"abc".to_vec(), b"GET".to_vec(), true));
        assert_eq!(taken(9, b"abc"), (b"abc".to_vec(), vec![], false));
        assert_eq!(taken(u64::MAX, b"abc"), (b"abc".to_vec(), vec![], false));
        assert_eq!(Framing::Length(3).left(), Some(3));
    }

    #[test]
    fn chunks_become_a_body() {
        let good = [
            "5\r\nhello\r\n0\r\n\r\n",
            "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
            "0005\r\nhello\r\n000\r\n\r\n",
            "0000000000000005\r\nhello\r\n0\r\n\r\n",
            "5;a=b\r\nhello\r\n0;c\r\n\r\n",
            "5 ;a=\"b c\"\r\nhello\r\n0\t;\r\n\r\n",
            "5\r\nhello\r\n0\r\nX-A: b\r\nc:\r\n\r\n",
        ];
        for bytes in good {
            let next = format!("{bytes}GET");
            assert_eq!(
                read(Framing::chunked(), next.as_bytes()),
                Some((b"hello".to_vec(), b"GET".to_vec(), true)),
                "{bytes:?}"
            );
            // Until its last byte it is not over.
            let (_, rest, over) = feed(Framing::chunked(), &[&bytes.as_bytes()[..bytes.len() - 1]]).unwrap();
            assert!(rest.is_empty() && !over, "{bytes:?}");
        }
        assert_eq!(Framing::chunked().left(), None);
        // Line ends inside of a chunk are bytes like others.
        let (body, ..) = read(Framing::chunked(), b"4\r\n\r\n0\r\r\n0\r\n\r\n").unwrap();
        assert_eq!(body, b"\r\n0\r");
        // A size is whatever fits.
        let (body, _, over) = read(Framing::chunked(), b"ffffffffffffffff\r\nab").unwrap();
        assert_eq!((&*body, over), (&b"ab"[..], false));
    }

    #[test]
    fn what_is_no_chunk_is_an_error() {
        for bad in [
            "\r\nhello",
            ";a\r\nhello",
            " 5\r\nhello",
            "0x5\r\nhello",
            "+5\r\nhello",
            "-1\r\nhello",
            "g\r\nhello",
            "5g\r\nhello",
            "5\nhello",
            "5\rhello",
            "5\r\rhello",
            "5 \r\nhello",
            "5 5\r\nhello",
            "5\x0b\r\nhello",
            "5;a\nb\r\nhello",
            "5;a\rb\r\nhello",
            "5;a\0b\r\nhello",
            "5;a\x7fb\r\nhello",
            "10000000000000005\r\nhello",
            "00000000000000005\r\nhello",
            "5\r\nhelloX",
            "5\r\nhello\n0\r\n\r\n",
            "5\r\nhello\rX",
            "5\r\nhello0\r\n\r\n",
            "0\r\n\n",
            "0\r\n\rX",
            "0\n\r\n",
            "0\r\nno trailer\r\n\r\n",
            "0\r\n: b\r\n\r\n",
            "0\r\nA : b\r\n\r\n",
            "0\r\n A: b\r\n\r\n",
            "0\r\nA: b\n\r\n",
            "0\r\nA: b\rc\r\n\r\n",
            "0\r\nA: \0\r\n\r\n",
            "0\r\nA: b\r\n folded\r\n\r\n",
            "0\r\nA\r\n\r\n",
        ] {
            assert_eq!(read(Framing::chunked(), bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn what_is_dropped_has_a_bound() {
        let chunk = |extension: usize| format!("1;{}\r\na\r\n", "x".repeat(extension));
        let broken = |bytes: String| feed(Framing::chunked(), &[bytes.as_bytes()]).is_none();
        let most = ASIDE as usize;
        assert!(!broken(chunk(most)) && broken(chunk(most + 1)));
        assert!(broken(chunk(most / 2) + &chunk(most / 2) + &chunk(1)), "for all chunks together");
        assert!(broken(format!("1{}", " ".repeat(most + 1))));
        assert!(!broken(format!("0\r\nA:{}", "x".repeat(most - 1))));
        assert!(broken(format!("0\r\nA:{}", "x".repeat(most))));
        assert!(broken(format!("0\r\n{}", "A".repeat(most + 1))));
        assert!(!broken(format!("0\r\n{}\r\n", "A:\r\n".repeat(100))));
        assert!(broken(format!("0\r\n{}\r\n", "A:\r\n".repeat(101))));
    }
}

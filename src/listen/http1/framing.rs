//! Where a request's body ends among the bytes of its connection (RFC 9112, section 6), read in one way only.
//!
//! It does no I/O.

use bytes::{Bytes, BytesMut};

use crate::body::incoming::Broken;
use crate::body::transfer::{Chunked, piece};

/// What is left of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// This many bytes.
    Length(u64),
    /// Chunks.
    Chunked(Chunked),
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
        Self::Chunked(Chunked::default())
    }

    /// Takes what it can from the front of `buffer`, and nothing that comes after the body.
    pub(super) fn take(&mut self, buffer: &mut BytesMut) -> Result<Step, Broken> {
        match self {
            Self::Length(0) => Ok(Step::End),
            Self::Length(_) if buffer.is_empty() => Ok(Step::More),
            Self::Length(left) => Ok(Step::Data(piece(buffer, left), *left == 0)),
            Self::Chunked(chunked) => Ok(match chunked.take(buffer).map_err(|_| Broken)? {
                Some(data) => Step::Data(data, chunked.is_over()),
                None if chunked.is_over() => Step::End,
                None => Step::More,
            }),
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
    fn chunks_take_their_bytes_and_no_more() {
        for bytes in ["5\r\nhello\r\n0\r\n\r\n", "2;a\r\nhe\r\n3\r\nllo\r\n0\r\nX-A: b\r\n\r\n"] {
            let next = format!("{bytes}GET");
            let expected = (b"hello".to_vec(), b"GET".to_vec(), true);
            assert_eq!(read(Framing::chunked(), next.as_bytes()), Some(expected), "{bytes:?}");
            // Until its last byte it is not over.
            let (_, rest, over) = feed(Framing::chunked(), &[&bytes.as_bytes()[..bytes.len() - 1]]).unwrap();
            assert!(rest.is_empty() && !over, "{bytes:?}");
        }
        assert_eq!(read(Framing::chunked(), b"5\nhello"), None);
        assert_eq!(Framing::chunked().left(), None);
    }
}

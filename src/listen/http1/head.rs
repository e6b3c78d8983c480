//! The head of a request, from the bytes of a connection to the types of `http`.
//!
//! `httparse` reads the grammar; what it would let pass and another parser could read differently is judged here, once,
//! on the complete head. Such a head is not refused here: it is handed on as suspect, so that the request path refuses
//! it like any other request, with a record. What is no head at all is refused with nothing but a status. It does no
//! I/O, and the bytes are not copied: values are slices of what was read.

use std::mem::MaybeUninit;

use bytes::{Buf, Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, StatusCode, Uri, Version};
use memchr::memchr;

use super::framing::Framing;
use super::names::Names;
use crate::body::incoming::Incoming;
use crate::body::transfer::is_token;

/// Headers for which there is room on the stack.
const ON_STACK: usize = 100;
/// The longest target that a [`Uri`] holds.
const LONGEST_TARGET: usize = u16::MAX as usize - 1;
/// Empty lines that may stand before a request (RFC 9112, section 2.2).
const EMPTY_LINES: u8 = 8;

/// A request whose body, if it has one, is still on the wire.
#[derive(Debug)]
pub(super) struct Head {
    /// The request, without its body.
    pub(super) request: Request<Incoming>,
    /// How its body is framed, if it has one.
    pub(super) framing: Option<Framing>,
    /// What its answer must keep to.
    pub(super) terms: Terms,
    /// What in it could be read in two ways. No byte behind it can be told from another request then.
    pub(super) suspect: Option<&'static str>,
}

/// What the answer to a request must keep to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is one fact of a head")]
pub(super) struct Terms {
    /// The caller speaks HTTP/1.0.
    pub(super) is_old: bool,
    /// The connection may serve another request.
    pub(super) keep_alive: bool,
    /// The answer has no body.
    pub(super) is_head: bool,
    /// The body comes when the caller is told to go on.
    pub(super) expects: bool,
}

/// How far one head was looked at.
#[derive(Debug, Default)]
pub(super) struct Reader {
    scanned: usize,
    empty_lines: u8,
    bare: bool,
}

impl Reader {
    /// The head that `buffer` begins with, taken from it; `None` while it is not whole.
    ///
    /// # Errors
    /// The status to refuse with what is no head, or too large a one.
    pub(super) fn read(
        &mut self,
        buffer: &mut BytesMut,
        limits: (usize, usize),
        (headers, names): (impl FnOnce() -> HeaderMap, &Names),
    ) -> Result<Option<Head>, StatusCode> {
        let (longest, most) = limits;
        if self.scanned == 0 {
            while buffer.starts_with(b"\r\n") {
                buffer.advance(2);
                self.empty_lines += 1;
                if self.empty_lines > EMPTY_LINES {
                    return Err(StatusCode::BAD_REQUEST);
                }
            }
            match buffer.first() {
                None => return Ok(None),
                Some(b'\r') if buffer.len() == 1 => return Ok(None),
                Some(&byte) if !is_token(byte) => return Err(StatusCode::BAD_REQUEST),
                Some(_) => {}
            }
        }
        let is_first_look = self.scanned == 0;
        let Some(end) = self.end(buffer) else {
            if buffer.len() >= longest {
                return Err(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
            }
            // Whoever speaks something else, TLS for instance, is told at once; a trickle is not read again and again.
            return if is_first_look { with_table(most, |table| begins(buffer, table)) } else { Ok(None) };
        };
        if end > longest {
            return Err(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
        }
        let head = buffer.split_to(end).freeze();
        let bare = self.bare;
        *self = Self::default();
        with_table(most, |table| parse(&head, table, bare, headers(), names)).map(Some)
    }

    /// Where the head ends, up to and including its empty line. Notes line ends without a carriage return.
    fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        while let Some(at) = memchr(b'\n', &bytes[self.scanned..]) {
            let after = self.scanned + at + 1;
            let end = match &bytes[after..] {
                [b'\n', ..] => Some((after + 1, true)),
                [b'\r', b'\n', ..] => Some((after + 2, false)),
                // What comes next decides.
                [] | [b'\r'] => {
                    self.scanned = after - 1;
                    return None;
                }
                _ => None,
            };
            self.bare |= after < 2 || bytes[after - 2] != b'\r';
            if let Some((end, bare)) = end {
                self.bare |= bare;
                return Some(end);
            }
            self.scanned = after;
        }
        self.scanned = bytes.len();
        None
    }
}

type Table<'t, 'h> = &'t mut [MaybeUninit<httparse::Header<'h>>];

/// Runs with a table for `most` headers.
fn with_table<'h, T>(most: usize, run: impl FnOnce(Table<'_, 'h>) -> T) -> T {
    let mut on_stack = [const { MaybeUninit::uninit() }; ON_STACK];
    match on_stack.get_mut(..most) {
        Some(table) => run(table),
        None => run(&mut Box::new_uninit_slice(most)),
    }
}

fn refused(error: httparse::Error) -> StatusCode {
    match error {
        httparse::Error::TooManyHeaders => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        _ => StatusCode::BAD_REQUEST,
    }
}

/// Whether a head may begin like this.
fn begins<'h>(bytes: &'h [u8], table: Table<'_, 'h>) -> Result<Option<Head>, StatusCode> {
    let mut found = httparse::Request::new(&mut []);
    found.parse_with_uninit_headers(bytes, table).map(|_| None).map_err(refused)
}

fn parse<'h>(
    head: &'h Bytes,
    table: Table<'_, 'h>,
    bare: bool,
    mut headers: HeaderMap,
    names: &Names,
) -> Result<Head, StatusCode> {
    let bad = StatusCode::BAD_REQUEST;
    let mut found = httparse::Request::new(&mut []);
    match found.parse_with_uninit_headers(head, table).map_err(refused)? {
        httparse::Status::Complete(end) if end == head.len() => {}
        _ => return Err(bad),
    }
    let (Some(method), Some(target), Some(minor)) = (found.method, found.path, found.version) else {
        return Err(bad);
    };
    if target.len() > LONGEST_TARGET {
        return Err(StatusCode::URI_TOO_LONG);
    }
    let mut facts = Facts::default();
    headers.reserve(found.headers.len());
    for header in &*found.headers {
        let name = names.name(header.name).ok_or(bad)?;
        // An empty value may lie anywhere.
        let value = if header.value.is_empty() { Bytes::new() } else { head.slice_ref(header.value) };
        let value = HeaderValue::from_maybe_shared(value).map_err(|_| bad)?;
        facts.note(&name, &value);
        headers.try_append(name, value).map_err(|_| StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)?;
    }
    let is_old = minor == 0;
    let fragment = method.contains('#') || memchr(b'#', target.as_bytes()).is_some();
    let framing = facts.framing(is_old);
    let suspect = if bare {
        Some("a line of the head ends in a bare line feed")
    } else if fragment {
        Some("a fragment in the request target")
    } else {
        framing.err()
    };
    let framing = framing.unwrap_or_default();
    let mut request = Request::new(Incoming::Empty);
    *request.method_mut() = Method::from_bytes(method.as_bytes()).map_err(|_| bad)?;
    *request.uri_mut() = Uri::from_maybe_shared(head.slice_ref(target.as_bytes())).map_err(|_| bad)?;
    *request.version_mut() = if is_old { Version::HTTP_10 } else { Version::HTTP_11 };
    *request.headers_mut() = headers;
    let terms = Terms {
        is_old,
        keep_alive: suspect.is_none() && !facts.close && (!is_old || facts.keep_alive),
        is_head: *request.method() == Method::HEAD,
        expects: facts.expects && !is_old && framing.is_some(),
    };
    Ok(Head { request, framing: framing.filter(|_| suspect.is_none()), terms, suspect })
}

/// What the headers of one head say of its framing and its connection.
#[derive(Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is one fact of a head")]
struct Facts {
    lengths: usize,
    /// The last stated length, unless it is none.
    length: Option<u64>,
    encodings: usize,
    /// Whether the last stated encoding is `chunked`.
    is_chunked: bool,
    close: bool,
    keep_alive: bool,
    expects: bool,
}

impl Facts {
    fn note(&mut self, name: &HeaderName, value: &HeaderValue) {
        let value = value.as_bytes();
        match *name {
            header::CONTENT_LENGTH => {
                self.lengths += 1;
                self.length = plain(value);
            }
            header::TRANSFER_ENCODING => {
                self.encodings += 1;
                self.is_chunked = value.eq_ignore_ascii_case(b"chunked");
            }
            header::CONNECTION => {
                for option in value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
                    self.close |= option.eq_ignore_ascii_case(b"close");
                    self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                }
            }
            header::EXPECT => self.expects = value.eq_ignore_ascii_case(b"100-continue"),
            _ => {}
        }
    }

    /// How the body is framed, or why nobody can tell.
    fn framing(&self, is_old: bool) -> Result<Option<Framing>, &'static str> {
        match (self.lengths, self.encodings) {
            (2.., _) => Err("two Content-Length headers"),
            (_, 2..) => Err("two Transfer-Encoding headers"),
            (1, 1) => Err("both Transfer-Encoding and Content-Length"),
            (0, 0) => Ok(None),
            (0, 1) if !self.is_chunked => Err("a Transfer-Encoding other than exactly `chunked`"),
            (0, 1) if is_old => Err("a Transfer-Encoding in HTTP/1.0"),
            (0, 1) => Ok(Some(Framing::chunked())),
            (1, 0) => match self.length {
                None => Err("a Content-Length that is not one plain number"),
                Some(0) => Ok(None),
                Some(length) => Ok(Some(Framing::Length(length))),
            },
        }
    }
}

/// A number as everybody writes it: digits alone, and no zero before others.
fn plain(text: &[u8]) -> Option<u64> {
    let canonical = text == b"0" || !text.starts_with(b"0");
    let digits = canonical && !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| digits)?.parse().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

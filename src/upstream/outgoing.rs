//! A signed request on its way out: its head as it was signed, and its body as it comes.
//!
//! Nothing is added to the head but what frames the body. A body that turns out to be longer or shorter than its head
//! says, or that fails, is never brought to an end that looks proper.

use std::io::{self, IoSlice, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use http_body::Body as _;
use tokio::io::AsyncWrite;

use crate::body::Body;
use crate::outbound::SignedHead;

/// Why a request was not sent to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The upstream takes no more.
    Wire,
    /// The body failed on its caller's side, or is not what the head says.
    Body,
}

/// How much of a body is still to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// Nothing.
    Over,
    /// So many bytes.
    Length(u64),
    /// Chunks until the body ends.
    Chunked,
}

/// What is still to be written of a request: text, then a piece of its body, then what ends that piece.
pub(super) struct Outgoing {
    text: Vec<u8>,
    /// Bytes of the text that are written.
    at: usize,
    piece: Bytes,
    tail: &'static [u8],
    body: Body,
    framing: Framing,
    begun: bool,
    done: bool,
}

impl Default for Outgoing {
    fn default() -> Self {
        Self {
            text: Vec::new(),
            at: 0,
            piece: Bytes::new(),
            tail: b"",
            body: Body::Empty,
            framing: Framing::Over,
            begun: false,
            done: true,
        }
    }
}

impl Outgoing {
    /// Writes down the head of a request whose body is this one, in the empty `text`; the two must not contradict each
    /// other.
    pub(super) fn begin(&mut self, head: &SignedHead, body: Body, text: Vec<u8>) -> Result<(), Fault> {
        self.text = text;
        (self.at, self.piece, self.tail) = (0, Bytes::new(), b"");
        let (framing, unstated) = framing(head, &body).ok_or(Fault::Body)?;
        (self.framing, self.body) = (framing, body);
        (self.begun, self.done) = (false, false);
        for piece in [head.method.as_str().as_bytes(), b" ", &head.target, b" HTTP/1.1\r\n"] {
            self.text.extend_from_slice(piece);
        }
        for (name, value) in &head.headers {
            self.line(name, value.as_bytes());
        }
        match framing {
            Framing::Chunked => self.line(&TRANSFER_ENCODING, b"chunked"),
            Framing::Length(length) if unstated => {
                self.line(&CONTENT_LENGTH, HeaderValue::from(length).as_bytes());
            }
            _ => {}
        }
        self.text.extend_from_slice(b"\r\n");
        Ok(())
    }

    fn line(&mut self, name: &HeaderName, value: &[u8]) {
        for piece in [name.as_str().as_bytes(), b": ", value, b"\r\n"] {
            self.text.extend_from_slice(piece);
        }
    }

    /// The room of a text that is written.
    pub(super) fn take_text(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.text)
    }

    /// Whether everything is written and flushed.
    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    /// Whether a byte was written.
    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    /// The body, to be sent elsewhere; only when nothing of it is lost with this connection.
    pub(super) fn take_back(&mut self) -> Option<Body> {
        if self.begun {
            return None;
        }
        match std::mem::replace(&mut self.body, Body::Empty) {
            Body::Whole(None, reservation) if !self.piece.is_empty() => {
                Some(Body::Whole(Some(std::mem::take(&mut self.piece)), reservation))
            }
            Body::Empty => Some(Body::Empty),
            // Nothing of it was taken.
            body if self.framing != Framing::Over && self.piece.is_empty() => Some(body),
            _ => None,
        }
    }

    /// Sends what there is; ready when the request is out.
    pub(super) fn poll<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Fault>> {
        if self.done {
            return Poll::Ready(Ok(()));
        }
        let mut waits = false;
        loop {
            // Asked for before the head is written, so that a small request leaves in one piece.
            if !waits && self.framing != Framing::Over && self.piece.is_empty() && self.tail.is_empty() {
                waits = self.poll_body(context)?.is_pending();
            }
            if self.at < self.text.len() || !self.piece.is_empty() || !self.tail.is_empty() {
                ready!(self.poll_write(stream, context)).map_err(|_| Fault::Wire)?;
            } else {
                ready!(Pin::new(&mut *stream).poll_flush(context)).map_err(|_| Fault::Wire)?;
                if self.framing != Framing::Over {
                    return Poll::Pending;
                }
                self.done = true;
                self.body = Body::Empty;
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Takes the next piece of the body.
    fn poll_body(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        loop {
            let frame = ready!(Pin::new(&mut self.body).poll_frame(context)).transpose();
            let data = match frame.map_err(|_| Fault::Body)? {
                Some(frame) => frame.into_data().unwrap_or_default(),
                None => return Poll::Ready(self.ended()),
            };
            if data.is_empty() {
                continue;
            }
            match &mut self.framing {
                Framing::Over => return Poll::Ready(Err(Fault::Body)),
                Framing::Length(left) => {
                    let Some(rest) = left.checked_sub(data.len() as u64) else {
                        return Poll::Ready(Err(Fault::Body));
                    };
                    *left = rest;
                    if rest == 0 {
                        self.framing = Framing::Over;
                    }
                }
                Framing::Chunked => {
                    // Writing to memory does not fail.
                    let _ = write!(self.text, "{:X}\r\n", data.len());
                    self.tail = b"\r\n";
                }
            }
            self.piece = data;
            return Poll::Ready(Ok(()));
        }
    }

    fn ended(&mut self) -> Result<(), Fault> {
        if self.framing != Framing::Chunked {
            return Err(Fault::Body);
        }
        self.text.extend_from_slice(b"0\r\n\r\n");
        self.framing = Framing::Over;
        Ok(())
    }

    fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let text = &self.text[self.at..];
        let stream = Pin::new(stream);
        let mut count = if self.piece.is_empty() && self.tail.is_empty() {
            ready!(stream.poll_write(context, text))?
        } else if text.is_empty() && self.tail.is_empty() {
            ready!(stream.poll_write(context, &self.piece))?
        } else {
            let slices = [IoSlice::new(text), IoSlice::new(&self.piece), IoSlice::new(self.tail)];
            ready!(stream.poll_write_vectored(context, &slices))?
        };
        if count == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.begun = true;
        let of_text = count.min(self.text.len() - self.at);
        self.at += of_text;
        if self.at == self.text.len() {
            self.text.clear();
            self.at = 0;
        }
        count -= of_text;
        let of_piece = count.min(self.piece.len());
        self.piece.advance(of_piece);
        count -= of_piece;
        self.tail = self.tail.get(count..).unwrap_or_default();
        Poll::Ready(Ok(()))
    }
}

/// How the body is sent, and whether its length still has to be stated; `None` when the head says something else of
/// it than the body itself.
fn framing(head: &SignedHead, body: &Body) -> Option<(Framing, bool)> {
    let stated = stated_length(&head.headers)?;
    if body.is_end_stream() {
        return matches!(stated, None | Some(0)).then_some((Framing::Over, false));
    }
    match (stated, body.length()) {
        (Some(0), Some(0) | None) | (None, Some(0)) => Some((Framing::Over, false)),
        (Some(stated), Some(length)) => (stated == length).then_some((Framing::Length(length), false)),
        (Some(stated), None) => Some((Framing::Length(stated), false)),
        (None, Some(length)) => Some((Framing::Length(length), true)),
        // Nobody expects a body of these; one without a length is left out.
        (None, None) if matches!(head.method, Method::GET | Method::HEAD | Method::CONNECT) => {
            Some((Framing::Over, false))
        }
        (None, None) => Some((Framing::Chunked, false)),
    }
}

/// The length that a head states, if it does; `None` when it cannot be read, or when a coding is named that is not
/// ours to name.
#[allow(clippy::option_option)]
fn stated_length(headers: &HeaderMap) -> Option<Option<u64>> {
    if headers.contains_key(TRANSFER_ENCODING) {
        return None;
    }
    let mut values = headers.get_all(CONTENT_LENGTH).iter();
    match (values.next(), values.next()) {
        (None, _) => Some(None),
        (Some(value), None) => super::head::number(value.as_bytes()).map(Some),
        _ => None,
    }
}

#[cfg(test)]
mod tests;

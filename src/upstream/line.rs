//! An HTTP/1 connection to an upstream: its stream, what is on the way out, and what came in.
//!
//! Whoever holds a [`Line`] drives it: nothing runs beside the request that is on it. It takes blocks to read into when
//! there is something to read; what an answer is made of are pieces of them, never copies.

use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use tokio::io::{AsyncRead as _, AsyncReadExt as _, ReadBuf};

use super::head::{Framing, Head, Malformed, Reader};
use super::outgoing::{Fault, Outgoing};
use super::spares::{BLOCK, Spares};
use super::stream::Stream;
use crate::body::Body;
use crate::body::transfer::piece;
use crate::outbound::SignedHead;

/// Bytes that are read at a time of a long body.
const LONG: usize = 128 << 10;

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The connection was closed, or what came is no answer.
    Upstream,
    /// The request's body failed.
    Body,
}

impl From<Malformed> for Failure {
    fn from(_: Malformed) -> Self {
        Self::Upstream
    }
}

/// A connection, in use or idle.
pub(super) struct Line {
    stream: Stream,
    /// What came and was not taken yet.
    read: BytesMut,
    /// Bytes of its block; 0 when it has none.
    block: usize,
    reader: Reader,
    out: Outgoing,
    spares: Rc<Spares>,
    /// Whether the upstream takes no more; it may still answer.
    deaf: bool,
}

impl Line {
    /// A connection that is open.
    pub(super) fn new(stream: Stream, spares: Rc<Spares>) -> Box<Self> {
        Box::new(Self {
            stream,
            read: BytesMut::new(),
            block: 0,
            reader: Reader::default(),
            out: Outgoing::default(),
            spares,
            deaf: false,
        })
    }

    /// A request is to be sent.
    pub(super) fn begin(&mut self, head: &SignedHead, body: Body) -> Result<(), Failure> {
        self.reader = Reader::default();
        self.out.begin(head, body, self.spares.text()).map_err(|_| Failure::Body)
    }

    /// The body of a request of which nothing was written.
    pub(super) fn take_back(&mut self) -> Option<Body> {
        self.out.take_back()
    }

    /// Sends what can be sent; the body's failure is the only one that counts at once.
    pub(super) fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        if self.deaf {
            return Poll::Pending;
        }
        match ready!(self.out.poll(&mut self.stream, context)) {
            Ok(()) => {
                self.spares.keep_text(self.out.take_text());
                Poll::Ready(Ok(()))
            }
            Err(Fault::Body) => Poll::Ready(Err(Failure::Body)),
            Err(Fault::Wire) => {
                self.deaf = true;
                Poll::Pending
            }
        }
    }

    /// Sends the request and waits for the head of its answer, whichever is over first. `headers` is left alone until
    /// there is one, and holds its headers then.
    pub(super) fn poll_answer(
        &mut self,
        context: &mut Context<'_>,
        headers: &mut HeaderMap,
        bodiless: bool,
    ) -> Poll<Result<Head, Failure>> {
        if let Poll::Ready(Err(failure)) = self.poll_send(context) {
            return Poll::Ready(Err(failure));
        }
        loop {
            let came = ready!(self.poll_fill(BLOCK, context))?;
            // Whatever comes before the request is no answer to it.
            if !came || !self.out.has_begun() {
                return Poll::Ready(Err(Failure::Upstream));
            }
            let read =
                self.reader.read(&mut self.read, headers, &mut self.spares.kept.borrow_mut(), bodiless);
            if let Some(head) = read? {
                return Poll::Ready(Ok(head));
            }
        }
    }

    /// The next bytes of an answer's body, as `framing` has them; none at its end. Reads only when nothing is there.
    pub(super) fn poll_body(
        &mut self,
        framing: &mut Framing,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Failure>>> {
        loop {
            if let Some(data) = take(framing, &mut self.read).transpose() {
                return Poll::Ready(Some(data.map_err(Failure::from)));
            }
            let wanted = match framing {
                Framing::Over => return Poll::Ready(None),
                Framing::Length(left) => usize::try_from(*left).unwrap_or(LONG).min(LONG),
                Framing::Chunked(chunked) => {
                    usize::try_from(chunked.left()).unwrap_or(LONG).clamp(BLOCK, LONG)
                }
                Framing::Close => LONG,
            };
            match ready!(self.poll_fill(wanted, context)) {
                Ok(true) => {}
                Ok(false) if *framing == Framing::Close => *framing = Framing::Over,
                _ => return Poll::Ready(Some(Err(Failure::Upstream))),
            }
        }
    }

    /// Reads something; whether there was anything before the end. There is room for `wanted` bytes, or for half of
    /// them.
    fn poll_fill(&mut self, wanted: usize, context: &mut Context<'_>) -> Poll<Result<bool, Failure>> {
        if self.block == 0 && wanted <= BLOCK {
            (self.read, self.block) = (self.spares.block(), BLOCK);
        }
        let spare = self.read.capacity() - self.read.len();
        // A block whose pieces are all gone is used from its beginning; one that is in use, while it has room.
        if spare < wanted && !self.read.try_reclaim(wanted) && spare <= wanted / 2 {
            self.read.reserve(wanted.max(self.read.len()));
            self.block = self.read.capacity();
        }
        let read = pin!(self.stream.read_buf(&mut self.read)).poll(context);
        if read.is_pending() {
            self.give_block_back();
        }
        let read = ready!(read);
        Poll::Ready(read.map(|count| count > 0).map_err(|_| Failure::Upstream))
    }

    /// Gives its block back, if all that it holds was taken. A long one is left as it is: more is to come.
    fn give_block_back(&mut self) {
        if self.block == BLOCK && self.read.is_empty() {
            self.spares.keep_block(std::mem::take(&mut self.read));
            self.block = 0;
        }
    }

    /// Whether the request is written whole.
    pub(super) fn is_sent(&self) -> bool {
        self.out.is_done()
    }

    /// Whether the request may still come to its end.
    pub(super) fn is_open(&self) -> bool {
        !self.deaf
    }

    /// Whether another request may be sent: the last one was written whole, and its answer was all that came. Takes
    /// nothing from the upstream unless there is something to take, which there must not be.
    pub(super) fn is_quiet(&mut self) -> bool {
        let mut byte = [0];
        let context = &mut Context::from_waker(Waker::noop());
        !self.deaf
            && self.out.is_done()
            && self.read.is_empty()
            && Pin::new(&mut self.stream).poll_read(context, &mut ReadBuf::new(&mut byte)).is_pending()
    }

    /// Gives back what an idle connection does not need; whether nothing is left over on it.
    pub(super) fn rest(&mut self) -> bool {
        if !self.read.is_empty() {
            return false;
        }
        self.give_block_back();
        (self.read, self.block) = (BytesMut::new(), 0);
        true
    }
}

/// What is there of a body.
fn take(framing: &mut Framing, buffer: &mut BytesMut) -> Result<Option<Bytes>, Malformed> {
    let data = match framing {
        Framing::Over => None,
        Framing::Length(left) => {
            let data = piece(buffer, left);
            (!data.is_empty()).then_some(data)
        }
        Framing::Chunked(chunked) => chunked.take(buffer).map_err(|_| Malformed)?,
        Framing::Close => (!buffer.is_empty()).then(|| buffer.split().freeze()),
    };
    let over = match framing {
        Framing::Length(left) => *left == 0,
        Framing::Chunked(chunked) => chunked.is_over(),
        Framing::Over | Framing::Close => false,
    };
    if over {
        *framing = Framing::Over;
    }
    Ok(data)
}

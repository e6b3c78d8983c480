//! The body of an upstream's answer, on its way in.
//!
//! A body owns the connection that it comes from, until its last byte was read. Whoever drops it before closes the
//! connection, and an answer that breaks off is an error, never a shorter answer.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::Pool;
use super::head::Framing;
use super::line::Line;

/// The upstream's answer broke off.
#[derive(Debug, thiserror::Error)]
#[error("the upstream's answer broke off")]
pub struct BrokenOff;

/// The body of an answer.
pub enum Incoming {
    /// From a connection of its own.
    Own(Reply),
    /// From an HTTP/2 connection, which many share.
    Shared(hyper::body::Incoming),
}

/// What still comes on an HTTP/1 connection.
pub struct Reply {
    /// None once everything was read, or the connection broke.
    line: Option<Box<Line>>,
    framing: Framing,
    /// Whether the upstream keeps the connection.
    keep_alive: bool,
    pool: Rc<Pool>,
}

impl Reply {
    pub(super) fn new(line: Box<Line>, framing: Framing, keep_alive: bool, pool: Rc<Pool>) -> Self {
        let mut reply = Self { line: Some(line), framing, keep_alive, pool };
        reply.end();
        reply
    }

    /// Gives the connection back once the last byte was read.
    fn end(&mut self) {
        if self.framing == Framing::Over
            && let Some(line) = self.line.take()
        {
            self.pool.give_back(line, self.keep_alive);
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, BrokenOff>>> {
        let Some(line) = &mut self.line else {
            return Poll::Ready((self.framing != Framing::Over).then_some(Err(BrokenOff)));
        };
        // An answer that came early: the rest of the request goes on being sent.
        if !line.is_sent()
            && let Poll::Ready(Err(_)) = line.poll_send(context)
        {
            return self.break_off(context);
        }
        match ready!(line.poll_body(&mut self.framing, context)) {
            Some(Err(_)) => self.break_off(context),
            Some(Ok(data)) => {
                self.end();
                Poll::Ready(Some(Ok(data)))
            }
            None => {
                self.end();
                Poll::Ready(None)
            }
        }
    }

    /// Closes the connection. Told at the next call, so that what came before leaves first: the caller's connection is
    /// cut at the word.
    fn break_off(&mut self, context: &Context<'_>) -> Poll<Option<Result<Bytes, BrokenOff>>> {
        self.line = None;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match self.get_mut() {
            Self::Own(reply) => reply.poll(context).map(|data| data.map(|data| data.map(Frame::data))),
            Self::Shared(incoming) => {
                let frame = ready!(Pin::new(incoming).poll_frame(context));
                Poll::Ready(frame.map(|frame| frame.map_err(|_| BrokenOff)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(reply) => reply.framing == Framing::Over,
            Self::Shared(incoming) => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(reply) => match reply.framing {
                Framing::Over => SizeHint::with_exact(0),
                Framing::Length(left) => SizeHint::with_exact(left),
                Framing::Chunked(_) | Framing::Close => SizeHint::new(),
            },
            Self::Shared(incoming) => incoming.size_hint(),
        }
    }
}

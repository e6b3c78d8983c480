//! Bodies on their way to an upstream, in constant memory.
//!
//! An [`incoming::Incoming`] is what a connection gives, a [`stream::Stream`] the caller's bytes as they come, a
//! [`plain::Plain`] what they mean, with every digest that the caller stated checked before the last byte goes on, and
//! a [`Body`] what the upstream gets. Bodies that must be known before they are sent are gathered by [`spool`].

pub mod chunks;
pub mod incoming;
pub mod plain;
pub mod spool;
pub mod stream;
pub mod transfer;

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::reason::Reason;
use chunks::Chunks;
use plain::Plain;
use spool::Reservation;

/// What both sides of a transfer may ask about a body while it flows.
#[derive(Default)]
pub struct Meter {
    /// Bytes of the caller's body so far, as they came.
    pub bytes: Cell<u64>,
    /// Frames that moved, either way: while it grows, nobody is stuck.
    pub moved: Cell<u64>,
    /// Why the body failed, if it did: the upstream's error is then only the consequence.
    pub failed: RefCell<Option<Reason>>,
}

impl Meter {
    /// Notes why a body failed; the first reason counts.
    pub fn fail(&self, reason: Reason) -> BodyError {
        self.failed.borrow_mut().get_or_insert(reason);
        BodyError
    }

    fn step(&self) {
        self.moved.set(self.moved.get() + 1);
    }
}

/// The body failed; why stands in its [`Meter`].
#[derive(Debug, thiserror::Error)]
#[error("the request body failed")]
pub struct BodyError;

/// The next bytes of a body, or its proper end.
pub type Data = Poll<Option<Result<Bytes, BodyError>>>;

/// A body on its way to an upstream.
pub enum Body {
    /// Nothing.
    Empty,
    /// Bytes in memory, and the place that they take; no bytes once they are sent.
    Whole(Option<Bytes>, Option<Reservation>),
    /// Streams as it is.
    Stream(Box<Plain>),
    /// Streams, signed chunk by chunk.
    Chunks(Box<Chunks>),
}

impl Body {
    /// A body of these bytes.
    pub fn whole(bytes: Bytes, reservation: Option<Reservation>) -> Self {
        if bytes.is_empty() { Self::Empty } else { Self::Whole(Some(bytes), reservation) }
    }

    /// Its length on the wire, when known.
    pub fn length(&self) -> Option<u64> {
        match self {
            Self::Empty => Some(0),
            Self::Whole(bytes, _) => Some(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Stream(plain) => plain.length(),
            Self::Chunks(chunks) => Some(chunks.encoded_length()),
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let data = match self.get_mut() {
            Self::Empty => None,
            Self::Whole(bytes, _) => bytes.take().map(Ok),
            Self::Stream(plain) => ready!(plain.poll_data(context)),
            Self::Chunks(chunks) => ready!(chunks.poll_data(context)),
        };
        Poll::Ready(data.map(|data| data.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Empty | Self::Whole(None, _))
    }

    fn size_hint(&self) -> SizeHint {
        self.length().map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

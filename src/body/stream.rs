//! The caller's body, byte for byte as it comes. It may not stall, and it may not end before its stated length.
//! Trailers are dropped.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as _, Frame};
use tokio::time::{Instant, Sleep};

use super::incoming::{Broken, Incoming};
use super::{Data, Meter};
use crate::reason::Reason;

/// Where a caller's body comes from.
pub enum Input {
    /// A connection.
    Caller(Incoming),
    /// Memory: dry runs.
    Memory(Option<Bytes>),
}

impl Input {
    /// Whether there is nothing to read.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Caller(incoming) => incoming.is_end_stream(),
            Self::Memory(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
        }
    }

    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self {
            Self::Caller(incoming) => Pin::new(incoming).poll_frame(context),
            Self::Memory(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
        }
    }
}

/// A caller's body as it streams in.
pub struct Stream {
    input: Input,
    length: Option<u64>,
    read: u64,
    meter: Rc<Meter>,
    timeout: Duration,
    stall: Option<Pin<Box<Sleep>>>,
}

impl Stream {
    /// Wraps a body of stated `length` bytes (none: HTTP chunked) that must not stall for `timeout`.
    pub fn new(input: Input, length: Option<u64>, timeout: Duration, meter: Rc<Meter>) -> Self {
        Self { input, length, read: 0, meter, timeout, stall: None }
    }

    /// Its stated length in bytes.
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// The meter of the call.
    pub fn meter(&self) -> &Rc<Meter> {
        &self.meter
    }

    /// The next bytes; none of length zero.
    pub fn poll_data(&mut self, context: &mut Context<'_>) -> Data {
        loop {
            if self.length == Some(self.read) {
                // Not asked of the connection, which may be at its next request by now.
                return Poll::Ready(None);
            }
            let frame = match self.input.poll_frame(context) {
                Poll::Ready(frame) => {
                    self.stall = None;
                    frame
                }
                Poll::Pending => return self.poll_stall(context),
            };
            match frame {
                Some(Ok(frame)) => {
                    let Ok(data) = frame.into_data() else { continue };
                    if !data.is_empty() {
                        self.read += data.len() as u64;
                        self.meter.bytes.set(self.read);
                        self.meter.step();
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
                Some(Err(_)) => return Poll::Ready(Some(Err(self.meter.fail(Reason::BodyIncomplete)))),
                None if self.length.is_some() => {
                    return Poll::Ready(Some(Err(self.meter.fail(Reason::BodyIncomplete))));
                }
                None => return Poll::Ready(None),
            }
        }
    }

    fn poll_stall(&mut self, context: &mut Context<'_>) -> Data {
        let deadline = Instant::now() + self.timeout;
        let stall = self.stall.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        ready!(stall.as_mut().poll(context));
        Poll::Ready(Some(Err(self.meter.fail(Reason::BodyTimeout))))
    }
}

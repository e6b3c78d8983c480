//! A caller's byte stream of HTTP/2, bounded in time.
//!
//! A connection without a request and a caller who does not read its answers are each cut off after their own time.
//! Times for bodies are kept where bodies are read.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use crate::config::Limits;
use crate::gateway::Connection;

/// A stream of bytes between a caller and the HTTP parser.
pub struct Guarded<S> {
    stream: S,
    connection: Rc<Connection>,
    idle_timeout: Duration,
    write_timeout: Duration,
    reading: Deadline,
    writing: Deadline,
}

/// A timer that is armed while a side waits; the timer itself is kept from one wait to the next.
#[derive(Default)]
struct Deadline {
    timer: Option<Pin<Box<Sleep>>>,
    armed: Option<Duration>,
}

impl Deadline {
    /// Whether `after` has passed since this wait began. A wait of another kind begins anew.
    fn passed(&mut self, after: Duration, context: &mut Context<'_>) -> bool {
        let until = Instant::now() + after;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        if self.armed != Some(after) {
            timer.as_mut().reset(until);
            self.armed = Some(after);
        }
        timer.as_mut().poll(context).is_ready()
    }

    fn disarm(&mut self) {
        self.armed = None;
    }
}

impl<S> Guarded<S> {
    /// Guards a stream.
    pub fn new(stream: S, connection: Rc<Connection>, limits: &Limits) -> Self {
        Self {
            stream,
            connection,
            idle_timeout: limits.idle_timeout,
            write_timeout: limits.body_timeout,
            reading: Deadline::default(),
            writing: Deadline::default(),
        }
    }

    /// How long the present wait for bytes may last; `None` while a request is in progress, whose body has its own.
    fn patience(&self) -> Option<Duration> {
        (self.connection.inflight.get() == 0).then_some(self.idle_timeout)
    }

    fn wrote<T>(&mut self, result: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.writing.disarm();
        } else if self.writing.passed(self.write_timeout, context) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        result
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let result = Pin::new(&mut this.stream).poll_read(context, buffer);
        if result.is_pending() {
            return match this.patience() {
                Some(patience) if this.reading.passed(patience, context) => {
                    Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
                }
                Some(_) => Poll::Pending,
                None => {
                    this.reading.disarm();
                    Poll::Pending
                }
            };
        }
        this.reading.disarm();
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(result, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.wrote(result, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_flush(context);
        self.wrote(result, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

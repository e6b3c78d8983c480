//! How much an upstream may say before its answer begins.
//!
//! The parser bounds one head, but not how many interim answers (1xx) come before the final one, and it reads on as
//! long as there is something to read: an upstream that floods would hold up everything else on the worker's thread.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes from sending a request to the end of the answer's head. Well above what the longest head and the beginning of
/// a body that is read with it come to.
const MOST: usize = 1 << 20;

/// What is left of the allowance of one connection; `None` while a body flows, which has its own bounds.
#[derive(Default)]
pub(super) struct Allowance(Cell<Option<usize>>);

impl Allowance {
    /// A request is about to be sent.
    pub(super) fn begin(&self) {
        self.0.set(Some(MOST));
    }

    /// The answer has begun.
    pub(super) fn end(&self) {
        self.0.set(None);
    }

    fn spend(&self, count: usize) -> io::Result<()> {
        let Some(left) = self.0.get() else { return Ok(()) };
        let left = left.checked_sub(count).ok_or(io::ErrorKind::InvalidData)?;
        self.0.set(Some(left));
        Ok(())
    }
}

/// An upstream's stream whose bytes are counted against an allowance.
pub(super) struct Counted<S> {
    pub(super) stream: S,
    pub(super) allowance: Rc<Allowance>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(context, buffer);
        match result {
            Poll::Ready(Ok(())) => Poll::Ready(self.allowance.spend(buffer.filled().len() - before)),
            other => other,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

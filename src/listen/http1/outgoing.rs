//! Bytes on their way to a caller: a head, a piece of a body behind it, and what ends that piece.
//!
//! It knows no time and no connection; whoever has a stream asks it to write.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};

use super::wire::Wire;

/// Bytes for a caller.
#[derive(Default)]
pub(super) struct Outgoing {
    /// A head, the size of a chunk, short bodies.
    pub(super) head: Vec<u8>,
    /// How much of it is out.
    at: usize,
    /// Bytes of a body.
    data: Bytes,
    /// What ends a chunk.
    tail: &'static [u8],
}

/// The longest piece of a body that is copied behind the head in front of it, where a write of several pieces would
/// cost more than the copy.
pub(super) const COPIED: usize = 4 << 10;

impl Outgoing {
    /// Nothing yet; heads will be written into `head`, which is empty.
    pub(super) fn new(head: Vec<u8>) -> Self {
        Self { head, ..Self::default() }
    }

    /// Adds bytes of a body and what ends them. All that was added before must be out, but for a head.
    pub(super) fn push(&mut self, data: Bytes, tail: &'static [u8]) {
        if data.len() <= COPIED {
            self.head.extend_from_slice(&data);
            self.head.extend_from_slice(tail);
        } else {
            (self.data, self.tail) = (data, tail);
        }
    }

    /// Whether all is out.
    pub(super) fn is_empty(&self) -> bool {
        self.at == self.head.len() && self.data.is_empty() && self.tail.is_empty()
    }

    /// Writes some of it; how many bytes.
    pub(super) fn poll_write<S: ?Sized + Wire>(
        &mut self,
        stream: Pin<&mut S>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let head = &self.head[self.at..];
        let written = if self.data.is_empty() && self.tail.is_empty() {
            stream.poll_write(context, head)
        } else {
            let slices = [head, &self.data, self.tail].map(IoSlice::new);
            let empty = slices.iter().take_while(|slice| slice.is_empty()).count();
            stream.poll_write_vectored(context, &slices[empty..])
        };
        let written = ready!(written)?;
        let of_head = written.min(self.head.len() - self.at);
        let of_data = (written - of_head).min(self.data.len());
        self.at += of_head;
        self.data.advance(of_data);
        self.tail = self.tail.get(written - of_head - of_data..).unwrap_or_default();
        if self.at == self.head.len() {
            self.head.clear();
            self.at = 0;
        }
        Poll::Ready(Ok(written))
    }
}

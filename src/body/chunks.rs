//! A stream that is framed and signed as `aws-chunked` on its way. Chunk boundaries are our own; trailers are those
//! that the caller's body ended with, once they are checked.

use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};

use super::Data;
use super::plain::Plain;
use crate::sign::chunked::ChunkSigner;

/// The driver of a [`ChunkSigner`].
pub struct Chunks {
    plain: Plain,
    signer: ChunkSigner,
    size: usize,
    pending: BytesMut,
    encoded: u64,
    trailers: bool,
    finished: bool,
}

impl Chunks {
    /// Frames `plain` in chunks of `size` bytes, with its `trailers` if wanted; `encoded` is the length of the whole
    /// on the wire.
    pub fn new(plain: Plain, signer: ChunkSigner, size: usize, encoded: u64, trailers: bool) -> Self {
        Self { plain, signer, size, pending: BytesMut::new(), encoded, trailers, finished: false }
    }

    /// Its length on the wire in bytes.
    pub fn encoded_length(&self) -> u64 {
        self.encoded
    }

    /// The next frames.
    pub fn poll_data(&mut self, context: &mut Context<'_>) -> Data {
        loop {
            if self.finished {
                return Poll::Ready(None);
            }
            if self.pending.len() >= self.size {
                let data = self.pending.split_to(self.size);
                let mut out = Vec::with_capacity(data.len() + 128);
                self.signer.chunk(&data, &mut out);
                return Poll::Ready(Some(Ok(out.into())));
            }
            match ready!(self.plain.poll_data(context)) {
                Some(Ok(data)) => self.pending.extend_from_slice(&data),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(Some(Ok(self.finish()))),
            }
        }
    }

    fn finish(&mut self) -> Bytes {
        self.finished = true;
        let data = self.pending.split();
        let mut out = Vec::with_capacity(data.len() + 512);
        if !data.is_empty() {
            self.signer.chunk(&data, &mut out);
        }
        let trailers = self.plain.trailers().iter().filter(|_| self.trailers);
        let trailers: Vec<_> =
            trailers.map(|trailer| (trailer.name.as_str(), trailer.value.as_str())).collect();
        self.signer.finish(&trailers, &mut out);
        out.into()
    }
}

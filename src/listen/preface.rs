//! Which HTTP a caller begins to speak on a cleartext connection: HTTP/2 with prior knowledge opens with a preface
//! that no HTTP/1 request begins with (RFC 9113, section 3.4).
//!
//! Looks at no byte beyond the preface, and gives back every byte that it read.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.0 or 1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// Reads until the protocol is clear; the connection goes on as if nothing had been read.
pub async fn tell<S: AsyncRead + Unpin>(mut stream: S) -> io::Result<(Protocol, Resumed<S>)> {
    let mut seen = Vec::with_capacity(PREFACE.len());
    while seen.len() < PREFACE.len() && PREFACE.starts_with(&seen) {
        let mut left = (&mut stream).take((PREFACE.len() - seen.len()) as u64);
        if left.read_buf(&mut seen).await? == 0 {
            break;
        }
    }
    let protocol = if seen == PREFACE { Protocol::Http2 } else { Protocol::Http1 };
    Ok((protocol, Resumed::after(seen, stream)))
}

/// A stream of which the first bytes were read already.
pub struct Resumed<S> {
    seen: Vec<u8>,
    at: usize,
    stream: S,
}

impl<S> Resumed<S> {
    /// A stream of which these bytes were read.
    pub fn after(seen: Vec<u8>, stream: S) -> Self {
        Self { seen, at: 0, stream }
    }

    /// The stream itself.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Resumed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let left = &this.seen[this.at..];
        if left.is_empty() {
            return Pin::new(&mut this.stream).poll_read(context, buffer);
        }
        let taken = left.len().min(buffer.remaining());
        buffer.put_slice(&left[..taken]);
        this.at += taken;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Resumed<S> {
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_byte_comes_back() {
        let long = [PREFACE, b"\0\0\0\x04\0\0\0\0\0"].concat();
        let cases: [(&[u8], Protocol); 5] = [
            (&long, Protocol::Http2),
            (PREFACE, Protocol::Http2),
            (b"PRI * HTTP/1.1\r\n\r\n", Protocol::Http1),
            (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", Protocol::Http1),
            (b"P", Protocol::Http1),
        ];
        for (bytes, expected) in cases {
            let (protocol, mut resumed) = tell(bytes).await.unwrap();
            assert_eq!(protocol, expected);
            let mut all = Vec::new();
            resumed.read_to_end(&mut all).await.unwrap();
            assert_eq!(all, bytes);
        }
    }
}

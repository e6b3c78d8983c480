//! The streams that HTTP/1 is spoken on, with callers: TCP and Unix sockets, as they are and below TLS.

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

use crate::listen::preface::Resumed;

/// A stream of bytes to and from a caller.
pub(in crate::listen) trait Wire: AsyncRead + AsyncWrite + Unpin {
    /// Has the stream end in an error for the caller, where it can.
    fn cut(&self) {}
}

impl Wire for TcpStream {
    fn cut(&self) {
        // A failure means that it is over anyway.
        let _ = self.set_zero_linger();
    }
}

impl Wire for UnixStream {}

impl<S: Wire> Wire for Resumed<S> {
    fn cut(&self) {
        self.get_ref().cut();
    }
}

/// TLS says by itself whether it was ended or cut.
impl<S: Wire> Wire for TlsStream<S> {}

//! Who is at the other end of a connection, as plain values. Nothing here decides what they may do.

use std::net::SocketAddr;

/// What is known of a caller from the connection alone.
#[derive(Clone, Debug, Default)]
pub struct Peer {
    /// The remote address; `None` on a unix socket.
    pub address: Option<SocketAddr>,
    /// The user id behind a unix socket.
    pub unix_user: Option<u32>,
    /// Whether a client certificate was presented and verified.
    pub certificate: bool,
}

impl std::fmt::Display for Peer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.address, self.unix_user) {
            (Some(address), _) => write!(formatter, "{}", address.ip()),
            (None, Some(user)) => write!(formatter, "unix:uid={user}"),
            (None, None) => formatter.write_str("unix"),
        }
    }
}

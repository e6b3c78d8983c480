//! Whose socket is at the other end of a loopback connection: how an unchanged script on this machine has an
//! identity without holding anything.
//!
//! The kernel is asked for exactly one socket, the caller's end of the connection, by both addresses and both ports:
//! over netlink, or from `/proc/net/tcp` where netlink cannot be used. What comes back counts only if it is that
//! very socket, connected, and still held by a process. Everything else is no owner. In particular a socket whose
//! process is gone, and one in `TIME_WAIT`, is listed as user 0, and a *listening* socket on the caller's port is what
//! the kernel offers when the caller's own is gone.
//!
//! Nothing here decides what an owner may do; what it proves, and what it does not, is in `docs/identity.md`.

pub mod netlink;
pub mod proc;

use std::cell::Cell;
use std::io::ErrorKind;
use std::net::SocketAddr;

use super::namespace;
use netlink::Diag;

/// Both ends of the caller's socket, as the caller sees them. IPv4 addresses that are mapped into IPv6 are written
/// as IPv4, so that a socket of either family is the same pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The caller's address and port.
    pub caller: SocketAddr,
    /// The address and port that it is connected to.
    pub gateway: SocketAddr,
}

impl Pair {
    /// The pair of a connection that came from `caller` to `gateway`.
    pub fn new(caller: SocketAddr, gateway: SocketAddr) -> Self {
        Self { caller: canonical(caller), gateway: canonical(gateway) }
    }

    /// Whether both ends are loopback addresses: the only connections whose other end is surely on this machine.
    pub fn is_loopback(&self) -> bool {
        self.caller.ip().is_loopback() && self.gateway.ip().is_loopback()
    }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// A TCP socket as the kernel lists it.
#[derive(Clone, Copy, Debug)]
pub struct Listed {
    /// Its two ends.
    pub pair: Pair,
    /// The kernel's number of its state (`include/net/tcp_states.h`).
    pub state: u8,
    /// The user id of whoever opened it.
    pub user: u32,
    /// 0 when no process holds it any more.
    pub inode: u64,
}

/// `ESTABLISHED`, `FIN_WAIT1`, `FIN_WAIT2`, `CLOSE_WAIT`: a process may hold such a socket and read an answer or
/// write a request.
const CONNECTED: [u8; 4] = [1, 4, 5, 8];

impl Listed {
    /// The owner of the socket `wanted`, if this is it and a process holds it.
    pub fn owner(&self, wanted: &Pair) -> Option<u32> {
        let held = self.inode != 0 && CONNECTED.contains(&self.state);
        (held && self.pair == *wanted).then_some(self.user).and_then(namespace::user)
    }
}

/// Looks owners up for one worker.
#[derive(Default)]
pub struct Owners {
    diag: Diag,
    /// Held while the table is read, which takes a while: one reader of a worker is enough.
    reading: tokio::sync::Mutex<()>,
    told: Cell<bool>,
}

impl Owners {
    /// The user who owns the caller's end of a connection; `None` unless both ends are on loopback and the owner is
    /// certain.
    pub async fn of(&self, caller: SocketAddr, gateway: SocketAddr) -> Option<u32> {
        let pair = Pair::new(caller, gateway);
        if !pair.is_loopback() {
            return None;
        }
        let error = match self.diag.find(&pair) {
            Ok(found) => return found?.owner(&pair),
            Err(error) => error,
        };
        // That the very first caller was gone at once is no lack of anything.
        if error.kind() != ErrorKind::Unsupported && !self.told.replace(true) {
            tracing::warn!(%error, "no netlink: owners of sockets are looked for in /proc/net/tcp, which is slow");
        }
        let _one = self.reading.lock().await;
        tokio::task::spawn_blocking(move || proc::owner(&pair)).await.ok().flatten()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_a_held_connected_socket_has_an_owner() {
        let pair = |caller: &str, gateway: &str| Pair::new(caller.parse().unwrap(), gateway.parse().unwrap());
        let wanted = pair("127.0.0.1:1000", "127.0.0.1:80");
        let listed = Listed { pair: wanted, state: 1, user: 7, inode: 9 };
        assert_eq!(listed.owner(&wanted), Some(7));
        assert_eq!(Listed { user: 0, ..listed }.owner(&wanted), Some(0), "root may call, too");
        assert_eq!(Listed { inode: 0, ..listed }.owner(&wanted), None);
        assert_eq!(Listed { user: u32::MAX, ..listed }.owner(&wanted), None);
        for state in 0..=u8::MAX {
            let connected = [1, 4, 5, 8].contains(&state);
            assert_eq!(Listed { state, ..listed }.owner(&wanted).is_some(), connected, "state {state}");
        }
        for other in [
            pair("127.0.0.1:80", "127.0.0.1:1000"),
            pair("127.0.0.1:1001", "127.0.0.1:80"),
            pair("127.0.0.2:1000", "127.0.0.1:80"),
            pair("127.0.0.1:1000", "127.0.0.2:80"),
            pair("[::1]:1000", "[::1]:80"),
        ] {
            assert_eq!(Listed { pair: other, ..listed }.owner(&wanted), None, "{other:?}");
        }
        assert_eq!(pair("[::ffff:127.0.0.1]:1000", "[::ffff:127.0.0.1]:80"), wanted);
    }
}

//! Listening sockets: one per worker and address for TCP, shared for unix paths.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdTcp};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener as StdUnix, UnixStream as StdUnixStream};
use std::path::Path;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::namespace;
use crate::caller::Peer;
use crate::config::Address;

/// The backlog of a listening socket; the kernel caps it.
const BACKLOG: i32 = 4096;
/// Who may connect to a unix socket: its owner and group.
const SOCKET_MODE: u32 = 0o660;

/// A socket that listens, not yet part of a runtime.
#[derive(Debug)]
pub enum Listening {
    /// On an address.
    Tcp(StdTcp),
    /// On a path.
    Unix(StdUnix),
}

impl Listening {
    /// Binds `address`. A TCP port may be bound once per worker; the kernel spreads connections over them.
    pub fn bind(address: &Address) -> io::Result<Self> {
        match address {
            Address::Tcp(address) => tcp(*address).map(Self::Tcp),
            Address::Unix(path) => unix(path).map(Self::Unix),
        }
    }

    /// Another handle for another worker: its own TCP socket on the same port, or the same unix socket.
    pub fn again(&self) -> io::Result<Self> {
        match self {
            Self::Tcp(listener) => tcp(listener.local_addr()?).map(Self::Tcp),
            Self::Unix(listener) => listener.try_clone().map(Self::Unix),
        }
    }

    /// Where callers connect, as text.
    pub fn name(&self) -> String {
        match self {
            Self::Tcp(listener) => {
                listener.local_addr().map_or_else(|_| "?".into(), |address: SocketAddr| address.to_string())
            }
            Self::Unix(listener) => listener
                .local_addr()
                .ok()
                .and_then(|address| Some(format!("unix:{}", address.as_pathname()?.display())))
                .unwrap_or_else(|| "unix:?".into()),
        }
    }

    /// The bound port: what a configured port 0 became.
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok().map(|address| address.port()),
            Self::Unix(_) => None,
        }
    }

    /// Makes it part of the running runtime.
    pub fn into_bound(self) -> io::Result<Bound> {
        Ok(match self {
            Self::Tcp(listener) => Bound::Tcp(TcpListener::from_std(listener)?),
            Self::Unix(listener) => Bound::Unix(UnixListener::from_std(listener)?),
        })
    }
}

fn tcp(address: SocketAddr) -> io::Result<StdTcp> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Whether a TCP address can be bound by a process alone: with shared ports, binding would not tell that another
/// process listens there.
pub fn is_free(address: SocketAddr) -> io::Result<()> {
    if address.port() == 0 { Ok(()) } else { StdTcp::bind(address).map(drop) }
}

/// A path left behind by a process that is gone is taken over; a socket that answers, or any other file, is not.
fn unix(path: &Path) -> io::Result<StdUnix> {
    if let Ok(found) = std::fs::symlink_metadata(path) {
        let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
        // Only a refused connection tells that nobody listens; a full queue or missing rights do not.
        if !found.file_type().is_socket() || !StdUnixStream::connect(path).is_err_and(refused) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        std::fs::remove_file(path)?;
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Linux gives the file the mode of the socket less the umask, so it is never open to others, not even for
    // the moment until the umask is made up for.
    rustix::fs::fchmod(&socket, rustix::fs::Mode::from_raw_mode(SOCKET_MODE))?;
    socket.bind(&SockAddr::unix(path)?)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(SOCKET_MODE))?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// A socket that accepts.
pub enum Bound {
    /// On an address.
    Tcp(TcpListener),
    /// On a path.
    Unix(UnixListener),
}

/// An accepted connection.
pub enum Stream {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a unix socket.
    Unix(UnixStream),
}

impl Bound {
    /// The next connection, and who is behind it.
    pub async fn accept(&self) -> io::Result<(Stream, Peer)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                // A failure to set it costs latency only.
                let _ = stream.set_nodelay(true);
                let address = Some(address.ip().to_canonical());
                Ok((Stream::Tcp(stream), Peer { address, ..Peer::default() }))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                // Those of the process that connected (unix(7), SO_PEERCRED).
                let told = stream.peer_cred().ok();
                let user = told.and_then(|told| namespace::user(told.uid()));
                let group = told.and_then(|told| namespace::group(told.gid()));
                Ok((Stream::Unix(stream), Peer { user, group, ..Peer::default() }))
            }
        }
    }
}

/// A loopback address with a port of the kernel's choice.
pub fn any_loopback() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

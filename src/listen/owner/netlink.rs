//! One socket by its four numbers, over netlink (`sock_diag(7)`): a hash look-up in the kernel, whatever else is
//! connected.
//!
//! The kernel answers while it takes the question; the time that is allowed here only keeps a kernel that does not
//! from holding up a worker.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use netlink_packet_core::{
    ErrorBuffer, NLM_F_REQUEST, NetlinkBuffer, NetlinkHeader, NetlinkMessage, NetlinkPayload, Parseable,
};
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, InetResponseHeader, SocketId, StateFlags};
use netlink_packet_sock_diag::{AF_INET, AF_INET6, IPPROTO_TCP, SOCK_DIAG_BY_FAMILY, SockDiagMessage};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, sockopt};

use super::{Listed, Pair};

/// How long an answer may take that is due at once.
const PATIENCE: Duration = Duration::from_millis(20);
/// The type of a message that reports an error (`NLMSG_ERROR`, netlink(7)).
const ERROR: u16 = 2;
/// `ENOENT`, as the kernel reports that there is no such socket.
const NO_ENTRY: i32 = -2;
/// Answers to earlier questions that are skipped before giving up.
const STALE: usize = 8;

/// A netlink socket that is opened when first needed, kept, and opened anew after a failure.
#[derive(Default)]
pub struct Diag {
    socket: RefCell<Option<OwnedFd>>,
    sequence: Cell<u32>,
    /// Whether it ever found a socket. Before that, "no such socket" may also mean that this kernel has no such
    /// service for TCP.
    proven: Cell<bool>,
}

impl Diag {
    /// What the kernel lists for this pair. `Ok(None)`: surely no such socket. An error: it cannot be told this way.
    pub fn find(&self, pair: &Pair) -> io::Result<Option<Listed>> {
        let mut socket = self.socket.borrow_mut();
        let open = match socket.take() {
            Some(open) => open,
            None => connect()?,
        };
        let number = self.sequence.get().wrapping_add(1);
        self.sequence.set(number);
        let answer = ask(&open, pair, number)?;
        // Only a socket that answered in good order is used again.
        *socket = Some(open);
        match answer {
            Some(listed) => {
                self.proven.set(true);
                Ok(Some(listed))
            }
            None if self.proven.get() => Ok(None),
            None => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

/// A socket that hears the kernel only: connected, it takes no message from another process.
fn connect() -> io::Result<OwnedFd> {
    let protocol = Some(netlink::SOCK_DIAG);
    let flags = SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, protocol)?;
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(PATIENCE))?;
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Send, Some(PATIENCE))?;
    rustix::net::connect(&socket, &netlink::SocketAddrNetlink::new(0, 0))?;
    Ok(socket)
}

/// The question, as bytes.
fn question(pair: &Pair, number: u32) -> Vec<u8> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST;
    header.sequence_number = number;
    let request = InetRequest {
        family: if pair.caller.is_ipv4() { AF_INET } else { AF_INET6 },
        protocol: IPPROTO_TCP,
        extensions: ExtensionFlags::empty(),
        states: StateFlags::all(),
        socket_id: SocketId {
            source_address: pair.caller.ip(),
            source_port: pair.caller.port(),
            destination_address: pair.gateway.ip(),
            destination_port: pair.gateway.port(),
            interface_id: 0,
            // No cookie (`INET_DIAG_NOCOOKIE`).
            cookie: [0xff; 8],
        },
    };
    let payload = NetlinkPayload::from(SockDiagMessage::InetRequest(request));
    let mut message = NetlinkMessage::new(header, payload);
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

fn ask(socket: &OwnedFd, pair: &Pair, number: u32) -> io::Result<Option<Listed>> {
    rustix::net::send(socket, &question(pair, number), SendFlags::empty())?;
    let mut buffer = [0; 4096];
    for _ in 0..STALE {
        let (length, _) = rustix::net::recv(socket, &mut buffer, RecvFlags::empty())?;
        if let Some(answer) = answer(&buffer[..length], number)? {
            return answer;
        }
    }
    Err(io::ErrorKind::InvalidData.into())
}

/// What a message says: `None` when it answers another question, and an error within when it says that the question
/// failed.
#[allow(clippy::option_option, reason = "the outer one skips the message, the inner one is its answer")]
fn answer(bytes: &[u8], number: u32) -> io::Result<Option<io::Result<Option<Listed>>>> {
    let invalid = |_| io::Error::from(io::ErrorKind::InvalidData);
    let message = NetlinkBuffer::new_checked(bytes).map_err(invalid)?;
    if message.sequence_number() != number {
        return Ok(None);
    }
    Ok(Some(match message.message_type() {
        SOCK_DIAG_BY_FAMILY => {
            let listed = InetResponseHeader::parse(message.payload()).map_err(invalid)?;
            Ok(Some(listed.into()))
        }
        ERROR => {
            let code = ErrorBuffer::new_checked(message.payload()).map_err(invalid)?.code();
            match code.map(std::num::NonZeroI32::get) {
                Some(NO_ENTRY) => Ok(None),
                Some(code) => Err(io::Error::from_raw_os_error(-code)),
                None => Err(io::ErrorKind::InvalidData.into()),
            }
        }
        _ => Err(io::ErrorKind::InvalidData.into()),
    }))
}

impl From<InetResponseHeader> for Listed {
    fn from(header: InetResponseHeader) -> Self {
        let SocketId { source_address, source_port, destination_address, destination_port, .. } =
            header.socket_id;
        Self {
            pair: Pair::new(
                SocketAddr::new(source_address, source_port),
                SocketAddr::new(destination_address, destination_port),
            ),
            state: header.state,
            user: header.uid,
            inode: header.inode.into(),
        }
    }
}

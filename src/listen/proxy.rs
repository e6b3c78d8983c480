//! The header with which a proxy tells, before any byte of its caller's, for whom it opened a connection: the PROXY
//! protocol, versions 1 and 2 (haproxy, `doc/proxy-protocol.txt`).
//!
//! Only the caller's address is taken from it. Whether the proxy is one to be believed is asked before; a header from
//! anybody else is never read as one.

use std::io;
use std::net::IpAddr;

use ppp::{HeaderResult, v1, v2};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::preface::Resumed;

/// The longest header of version 1, with its line end.
const LINE: usize = 107;
/// The longest header of version 2 that is read; addresses take at most 232 bytes, the rest is for extensions.
const BINARY: usize = 4096;
const START: &[u8] = b"PROXY ";

/// Reads the header that the connection must begin with. What comes after it belongs to the caller.
///
/// The address is `None` where the proxy speaks for itself (a health check: `LOCAL`), or does not know whom it speaks
/// for (`UNKNOWN`, an unspecified family, or one without IP addresses).
///
/// # Errors
/// `InvalidData`, when the connection begins with anything else or the header is longer than any that is in use;
/// `UnexpectedEof`, when it ends inside the header; `ConnectionAborted`, when it ends without a byte, as health checks
/// do that only connect.
pub async fn read<S: AsyncRead + Unpin>(mut stream: S) -> io::Result<(Option<IpAddr>, Resumed<S>)> {
    let mut seen = Vec::with_capacity(256);
    loop {
        if let Some(length) = length(&seen)? {
            let address = address(&seen[..length])?;
            seen.drain(..length);
            return Ok((address, Resumed::after(seen, stream)));
        }
        if stream.read_buf(&mut seen).await? == 0 {
            let nothing = seen.is_empty();
            let kind = if nothing { io::ErrorKind::ConnectionAborted } else { io::ErrorKind::UnexpectedEof };
            return Err(kind.into());
        }
    }
}

/// How long the header is that the bytes begin with; `None` while more are needed to tell.
fn length(bytes: &[u8]) -> io::Result<Option<usize>> {
    let begins = |with: &[u8]| with.starts_with(&bytes[..bytes.len().min(with.len())]);
    if begins(START) {
        let line = &bytes[..bytes.len().min(LINE)];
        return match line.windows(2).position(|end| end == b"\r\n") {
            Some(end) => Ok(Some(end + 2)),
            None if bytes.len() < LINE => Ok(None),
            None => Err(io::ErrorKind::InvalidData.into()),
        };
    }
    if !begins(v2::PROTOCOL_PREFIX) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let fixed = v2::PROTOCOL_PREFIX.len() + 4;
    let Some(&[high, low]) = bytes.get(fixed - 2..fixed) else { return Ok(None) };
    let whole = fixed + usize::from(u16::from_be_bytes([high, low]));
    if whole > BINARY {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok((bytes.len() >= whole).then_some(whole))
}

/// The caller's address by a whole header.
fn address(header: &[u8]) -> io::Result<Option<IpAddr>> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidData);
    // Whatever follows UNKNOWN in its line is to be ignored.
    if header == b"PROXY UNKNOWN\r\n" || header.starts_with(b"PROXY UNKNOWN ") {
        return Ok(None);
    }
    let address = match HeaderResult::parse(header) {
        HeaderResult::V1(Ok(found)) if found.header.len() == header.len() => match found.addresses {
            v1::Addresses::Tcp4(ends) => Some(IpAddr::V4(ends.source_address)),
            v1::Addresses::Tcp6(ends) => Some(IpAddr::V6(ends.source_address)),
            v1::Addresses::Unknown => None,
        },
        HeaderResult::V2(Ok(found)) if found.len() == header.len() => {
            let tells = found.command == v2::Command::Proxy && found.protocol == v2::Protocol::Stream;
            match found.addresses {
                v2::Addresses::IPv4(ends) if tells => Some(IpAddr::V4(ends.source_address)),
                v2::Addresses::IPv6(ends) if tells => Some(IpAddr::V6(ends.source_address)),
                _ => None,
            }
        }
        _ => return Err(invalid()),
    };
    Ok(address.map(|address| address.to_canonical()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

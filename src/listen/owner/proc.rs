//! One socket among all of `/proc/net/tcp` and `/proc/net/tcp6` (proc(5)): the way where netlink cannot be used. It
//! takes time in proportion to what is connected on the machine.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Listed, Pair};

/// The owner of a socket, looked for in the tables of this network namespace. The second table is read for IPv4 as
/// well: a socket of the IPv6 family may be connected to a mapped address.
pub fn owner(pair: &Pair) -> Option<u32> {
    let mut found = None;
    for table in ["/proc/self/net/tcp", "/proc/self/net/tcp6"] {
        // A machine without IPv6 has no second table.
        let Ok(file) = File::open(table) else { continue };
        for line in BufReader::with_capacity(64 << 10, file).lines().skip(1) {
            let listed = listed(&line.ok()?);
            if let Some(owner) = listed.and_then(|listed| listed.owner(pair)) {
                // The table may move while it is read, so that a line comes twice; two owners are none.
                if found.is_some_and(|earlier| earlier != owner) {
                    return None;
                }
                found = Some(owner);
            }
        }
    }
    found
}

/// A line: number, the socket's own end, the other end, state, queues, timer, retransmits, user, timeout, inode.
pub fn listed(line: &str) -> Option<Listed> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (caller, gateway) = (end(fields.next()?)?, end(fields.next()?)?);
    let state = u8::from_str_radix(fields.next()?, 16).ok()?;
    let mut fields = fields.skip(3);
    let user = fields.next()?.parse().ok()?;
    let inode = fields.nth(1)?.parse().ok()?;
    Some(Listed { pair: Pair::new(caller, gateway), state, user, inode })
}

/// An address in 32-bit words, each printed as this machine reads it from memory, and a port as a number.
fn end(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| {
        let digits = address.get(at * 8..at * 8 + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    let ip = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let mut octets = [0; 16];
            for (at, bytes) in octets.chunks_exact_mut(4).enumerate() {
                bytes.copy_from_slice(&word(at)?);
            }
            IpAddr::V6(Ipv6Addr::from(octets))
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(all(test, target_endian = "little"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_both_tables_are_read() {
        let line = "   1: 0100007F:A2B4 0100007F:2120 01 00000000:00000000 00:00000000 00000000  1000        0 31337 1 0000 20 4 30 10 -1";
        let found = listed(line).unwrap();
        let pair = Pair::new("127.0.0.1:41652".parse().unwrap(), "127.0.0.1:8480".parse().unwrap());
        assert_eq!((found.pair, found.state, found.user, found.inode), (pair, 1, 1000, 31337));

        let mapped = "   0: 0000000000000000FFFF00000100007F:A2B4 0000000000000000FFFF00000100007F:2120 08 00000000:00000000 00:00000000 00000000     5        0 7 1 0000 20 4 30 10 -1";
        let found = listed(mapped).unwrap();
        assert_eq!((found.pair, found.state, found.user, found.inode), (pair, 8, 5, 7));

        let six = "   0: 00000000000000000000000001000000:0050 B80D01200000000000000000EFBEADDE:0051 01 00000000:00000000 00:00000000 00000000     0        0 7 1";
        let pair = Pair::new("[::1]:80".parse().unwrap(), "[2001:db8::dead:beef]:81".parse().unwrap());
        let found = listed(six).unwrap();
        // Words are read as the machine has them: `DEADBEEF` in memory is printed `EFBEADDE`.
        assert_eq!(found.pair, pair);

        let header = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";
        for bad in [
            "",
            header,
            "1: 0100007F:A2B4",
            "1: 0100007:1 0100007F:1 01 0:0 0:0 0 0 0 1",
            "1: ééééé:1 0100007F:1 01 0:0 0:0 0 0 0 1",
        ] {
            assert!(listed(bad).is_none(), "{bad}");
        }
        for cut in 0..line.find(" 31337").unwrap() {
            assert!(listed(&line[..cut]).is_none(), "{cut}");
        }
    }
}

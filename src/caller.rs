//! Who is at the other end of a connection, as plain values. Nothing here decides what they may do.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

/// What a connection tells of its caller, or what a trusted proxy said in its place. `docs/identity.md` states what
/// each of these proves.
///
/// An absent value holds no condition: what is not known is never taken for anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// The caller's address, IPv4 even where it arrived mapped into IPv6: the connection's own, or the one that a
    /// trusted proxy named. `None` on a unix socket, and where a trusted proxy named none.
    pub address: Option<IpAddr>,
    /// The address of the connection itself, where a trusted proxy speaks for the caller.
    pub proxy: Option<IpAddr>,
    /// The user id behind a unix socket or, on loopback, the owner of the caller's socket.
    pub user: Option<u32>,
    /// The primary group of the process that opened a unix socket.
    pub group: Option<u32>,
    /// The groups that the account database gives to `user`, looked up only where a client asks for one.
    pub groups: Arc<[u32]>,
    /// The subject alternative names of the caller's verified certificate.
    pub names: Arc<[String]>,
}

impl Peer {
    /// Whether the caller belongs to this group: by the group that its process had, or by the account database.
    pub fn is_in_group(&self, group: u32) -> bool {
        self.user.is_some() && (self.group == Some(group) || self.groups.contains(&group))
    }
}

/// Whether an address lies in one of these networks. Addresses are compared as IPv4 where they are mapped into IPv6,
/// on either side; `::/0` holds no IPv4 address.
pub fn is_within(networks: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    networks.iter().any(|network| match (network, address) {
        (IpNet::V6(mapped), IpAddr::V4(address)) if mapped.prefix_len() >= 96 => {
            mapped.contains(&address.to_ipv6_mapped())
        }
        _ => network.contains(&address),
    })
}

impl std::fmt::Display for Peer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.address, self.proxy, self.user) {
            (Some(address), Some(proxy), _) => write!(formatter, "{address} via {proxy}"),
            (None, Some(proxy), _) => write!(formatter, "unknown via {proxy}"),
            (Some(address), None, Some(user)) => write!(formatter, "{address} uid={user}"),
            (Some(address), None, None) => write!(formatter, "{address}"),
            (None, None, Some(user)) => write!(formatter, "unix:uid={user}"),
            (None, None, None) => formatter.write_str("unix"),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_mapped_addresses_too() {
        let within =
            |network: &str, address: &str| is_within(&[network.parse().unwrap()], address.parse().unwrap());
        for (network, address, expected) in [
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("10.0.0.0/8", "11.1.2.3", false),
            ("10.0.0.0/8", "::10.1.2.3", false),
            ("::ffff:10.0.0.0/104", "10.1.2.3", true),
            ("::ffff:10.0.0.0/104", "11.1.2.3", false),
            ("::/0", "10.1.2.3", false),
            ("::/0", "::ffff:10.1.2.3", false),
            ("::/0", "2001:db8::1", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("0.0.0.0/0", "::ffff:1.1.1.1", true),
            ("fd00::/8", "fd12::1", true),
            ("127.0.0.1/32", "127.0.0.2", false),
        ] {
            assert_eq!(within(network, address), expected, "{address} in {network}");
        }
        assert!(!is_within(&[], "127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn a_group_is_held_by_the_process_or_by_the_account() {
        let peer = Peer { user: Some(1000), group: Some(5), groups: vec![7, 8].into(), ..Peer::default() };
        let held: Vec<u32> = (0..10).filter(|group| peer.is_in_group(*group)).collect();
        assert_eq!(held, [5, 7, 8]);
        let nobody = Peer { user: None, ..peer };
        assert!(!(0..10).any(|group| nobody.is_in_group(group)), "groups without a user prove nothing");
    }
}

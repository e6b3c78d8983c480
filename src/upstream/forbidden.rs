//! Addresses that a name must not lead to: link-local ones, and those of clouds' metadata services, which hand out
//! keys to whoever can reach them. Only a route that states such an address itself is connected to it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// IPv4: link-local (RFC 3927), and the metadata services of Alibaba Cloud, Oracle Cloud and Azure that lie elsewhere.
const V4: [(Ipv4Addr, u8); 4] = [
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(100, 100, 100, 200), 32),
    (Ipv4Addr::new(192, 0, 0, 192), 32),
    (Ipv4Addr::new(168, 63, 129, 16), 32),
];

/// IPv6: link-local (RFC 4291), and the metadata services of Amazon, Google Cloud and Oracle Cloud.
const V6: [(Ipv6Addr, u8); 4] = [
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10),
    (Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254), 128),
    (Ipv6Addr::new(0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe), 128),
];

/// Ranges of IPv6 in which an IPv4 address stands, and how many bytes from the front: mapped and compatible (RFC 4291),
/// NAT64 (RFC 6052, and RFC 8215 with the prefix lengths that leave it whole at the end), 6to4 (RFC 3056).
const EMBEDDED: [(Ipv6Addr, u8, usize); 5] = [
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96, 12),
    (Ipv6Addr::UNSPECIFIED, 96, 12),
    (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96, 12),
    (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48, 12),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, 2),
];

/// Whether an address is one of these, or leads to one of them in another form.
pub(super) fn is_forbidden(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_forbidden_v4(address),
        IpAddr::V6(address) => {
            let bits = u128::from(address);
            let within = |network: Ipv6Addr, length: u8| shared(bits, u128::from(network), 128 - length);
            let embedded = |&(network, length, at): &(Ipv6Addr, u8, usize)| {
                let octets = address.octets();
                let inner = [octets[at], octets[at + 1], octets[at + 2], octets[at + 3]];
                within(network, length) && is_forbidden_v4(inner.into())
            };
            V6.iter().any(|&(network, length)| within(network, length)) || EMBEDDED.iter().any(embedded)
        }
    }
}

fn is_forbidden_v4(address: Ipv4Addr) -> bool {
    let bits = u128::from(u32::from(address));
    V4.iter().any(|&(network, length)| shared(bits, u32::from(network).into(), 32 - length))
}

/// Whether two addresses differ in their last `host` bits only.
fn shared(one: u128, two: u128, host: u8) -> bool {
    (one ^ two).checked_shr(host.into()).unwrap_or(0) == 0
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn metadata_services_are_forbidden_in_every_form() {
        for address in [
            "169.254.0.0",
            "169.254.169.254",
            "169.254.170.2",
            "169.254.255.255",
            "100.100.100.200",
            "192.0.0.192",
            "168.63.129.16",
            "fe80::1",
            "febf:ffff::1",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",
            "fd00:c1::a9fe:a9fe",
            "::ffff:169.254.1.1",
            "::ffff:100.100.100.200",
            "::169.254.169.254",
            "64:ff9b::169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::169.254.169.254",
            "64:ff9b:1:abcd::169.254.169.254",
            "2002:a9fe:a9fe::1",
            "2002:6464:64c8::",
        ] {
            assert!(is_forbidden(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn everything_else_is_dialled() {
        for address in [
            "10.0.0.1",
            "127.0.0.1",
            "169.253.255.255",
            "169.255.0.0",
            "100.100.100.199",
            "192.0.0.191",
            "168.63.129.17",
            "::1",
            "fec0::1",
            "fe7f:ffff::1",
            "fd00:ec1::254",
            "fd00:ec3::254",
            "fd20:ce::253",
            "::ffff:10.0.0.1",
            "64:ff9b::8.8.8.8",
            "64:ff9c::169.254.169.254",
            "2002:a00:1::a9fe:a9fe",
            "2001:db8::a9fe:a9fe",
        ] {
            assert!(!is_forbidden(address.parse().unwrap()), "{address}");
        }
    }
}

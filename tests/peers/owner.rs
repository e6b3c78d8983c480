//! The owner of a loopback socket: both ways to look it up, in every state that a socket can be found in.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::fchown;

use countersign::listen::owner::netlink::Diag;
use countersign::listen::owner::{Owners, Pair, proc};
use socket2::{Domain, SockRef, Socket, Type};

use super::*;

/// The addresses that a caller connects to, and what its listener is bound to.
const WAYS: [(&str, &str); 6] = [
    ("127.0.0.1", "127.0.0.1"),
    ("127.9.8.7", "0.0.0.0"),
    ("::1", "::1"),
    ("::1", "::"),
    // A socket of the IPv6 family connected to IPv4, at either end or both.
    ("::ffff:127.0.0.1", "127.0.0.1"),
    ("127.0.0.1", "::"),
];

/// A connection: the caller's end, and the gateway's.
struct Met {
    caller: Option<TcpStream>,
    gateway: TcpStream,
    pair: (SocketAddr, SocketAddr),
}

impl Met {
    fn at((to, bound): (&str, &str)) -> Self {
        let bound: std::net::IpAddr = bound.parse().unwrap();
        let socket = Socket::new(Domain::for_address((bound, 0).into()), Type::STREAM, None).unwrap();
        if bound.is_ipv6() {
            socket.set_only_v6(false).unwrap();
        }
        socket.bind(&SocketAddr::new(bound, 0).into()).unwrap();
        socket.listen(16).unwrap();
        let listener: TcpListener = socket.into();
        let port = listener.local_addr().unwrap().port();
        let to: std::net::IpAddr = to.parse().unwrap();
        // `TcpStream::connect` would make a socket of the IPv4 family of a mapped address.
        let caller = Socket::new(Domain::for_address((to, 0).into()), Type::STREAM, None).unwrap();
        caller.connect(&SocketAddr::new(to, port).into()).unwrap();
        let (gateway, peer) = listener.accept().unwrap();
        let pair = (peer, gateway.local_addr().unwrap());
        Self { caller: Some(caller.into()), gateway, pair }
    }

    /// Gives the caller's socket to another user, as if that user's process had opened it.
    fn given_to(self, user: u32) -> Self {
        fchown(self.caller.as_ref().unwrap(), Some(user), None).unwrap();
        self
    }

    /// The owner by netlink, which must be at work here, by the table, and by what serves traffic.
    fn owners(&self) -> [Option<u32>; 3] {
        let pair = Pair::new(self.pair.0, self.pair.1);
        // A fresh one cannot tell "none" from "not supported"; this one has seen the gateway's own end.
        let diag = Diag::default();
        let own = Met::at(WAYS[0]);
        diag.find(&Pair::new(own.pair.0, own.pair.1))
            .expect("netlink works")
            .expect("a live socket is found");
        let by_netlink = diag.find(&pair).unwrap().and_then(|listed| listed.owner(&pair));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let owners = Owners::default();
        assert!(runtime.block_on(owners.of(own.pair.0, own.pair.1)).is_some());
        let served = runtime.block_on(owners.of(self.pair.0, self.pair.1));
        [by_netlink, proc::owner(&pair), served]
    }
}

#[test]
fn every_kind_of_loopback_socket_has_its_owner() {
    for way in WAYS {
        assert_eq!(Met::at(way).owners(), [Some(own()); 3], "{way:?}");
    }
    if is_root("sockets of other users") {
        for way in WAYS {
            for user in [OTHER, 1, 4_000_000_000] {
                assert_eq!(Met::at(way).given_to(user).owners(), [Some(user); 3], "{way:?} {user}");
            }
        }
    }
}

#[test]
fn a_caller_that_has_finished_sending_keeps_its_owner() {
    for way in WAYS {
        let mut met = Met::at(way);
        let caller = met.caller.as_mut().unwrap();
        caller.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        caller.shutdown(Shutdown::Write).unwrap();
        assert_eq!(met.owners(), [Some(own()); 3], "{way:?}: FIN_WAIT2");
        met.gateway.shutdown(Shutdown::Write).unwrap();
        assert_eq!(met.owners(), [None; 3], "{way:?}: closed on both sides, nobody waits for an answer");
        let met = Met::at(way);
        met.gateway.shutdown(Shutdown::Write).unwrap();
        assert_eq!(met.owners(), [Some(own()); 3], "{way:?}: CLOSE_WAIT");
    }
}

/// The kernel lists a socket without a process as user 0.
#[test]
fn a_caller_that_is_gone_is_nobody() {
    for way in WAYS {
        // Sends its request and leaves; first with an answer still to come, then after the gateway has closed, too.
        let mut met = Met::at(way);
        met.caller.as_mut().unwrap().write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        drop(met.caller.take());
        assert_eq!(met.owners(), [None; 3], "{way:?}: orphaned");
        let mut request = Vec::new();
        met.gateway.read_to_end(&mut request).unwrap();
        assert!(request.starts_with(b"GET"), "the request is there all the same");
        assert_eq!(met.owners(), [None; 3], "{way:?}: orphaned, and read");
        met.gateway.shutdown(Shutdown::Both).unwrap();
        assert_eq!(met.owners(), [None; 3], "{way:?}: TIME_WAIT");

        // With bytes unsent, because nobody takes them.
        let mut met = Met::at(way);
        let caller = met.caller.as_mut().unwrap();
        caller.set_nonblocking(true).unwrap();
        while caller.write(&[0; 65536]).is_ok() {}
        drop(met.caller.take());
        assert_eq!(met.owners(), [None; 3], "{way:?}: FIN_WAIT1, orphaned");

        // Breaks the connection.
        let mut met = Met::at(way);
        let caller = met.caller.take().unwrap();
        SockRef::from(&caller).set_linger(Some(std::time::Duration::ZERO)).unwrap();
        drop(caller);
        assert_eq!(met.owners(), [None; 3], "{way:?}: reset");
    }
}

/// Asked for a connection that is gone, the kernel answers with whatever listens on the caller's port.
#[test]
fn whoever_listens_on_the_callers_port_is_not_the_caller() {
    for (to, any) in [("127.0.0.1", "0.0.0.0"), ("::1", "::")] {
        for address in [to, any] {
            // The port may be taken by then: there are other tests.
            let (met, listener) =
                (0..100).find_map(|_| taken_over(to, address)).expect("a port of one's own");
            let pair = Pair::new(met.pair.0, met.pair.1);
            let listed = Diag::default().find(&pair).unwrap().expect("the listener is what the kernel finds");
            assert_eq!(listed.state, 10, "LISTEN");
            assert_eq!(met.owners(), [None; 3], "{to} {address}");
            drop(listener);
        }
    }
}

/// A connection that its caller broke, and somebody else's listener on the caller's port.
fn taken_over(to: &str, address: &str) -> Option<(Met, TcpListener)> {
    let mut met = Met::at((to, to));
    let caller = met.caller.take().unwrap();
    SockRef::from(&caller).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    drop(caller);
    let address: std::net::IpAddr = address.parse().unwrap();
    let listener = TcpListener::bind((address, met.pair.0.port())).ok()?;
    Some((met, listener))
}

#[test]
fn only_loopback_is_asked_for() {
    let met = Met::at(WAYS[0]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let of =
        |caller: SocketAddr, gateway: SocketAddr| runtime.block_on(Owners::default().of(caller, gateway));
    let (caller, gateway) = met.pair;
    assert_eq!(of(caller, gateway), Some(own()));
    let elsewhere = |port| SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), port));
    assert_eq!(of(elsewhere(caller.port()), gateway), None);
    assert_eq!(of(caller, elsewhere(gateway.port())), None);
    // The ends the wrong way round, the wrong port, the other family.
    assert_eq!(of((caller.ip(), 1).into(), gateway), None);
    assert_eq!(
        of((Ipv6Addr::LOCALHOST, caller.port()).into(), (Ipv6Addr::LOCALHOST, gateway.port()).into()),
        None
    );
}

/// Two hundred sockets at once, of random family, owner and state: both ways say the same, and it is right.
#[test]
fn both_ways_agree() {
    let other = is_root("random owners");
    let mut state = 11_u32;
    let mut random = |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) as usize % below
    };
    let met: Vec<(Met, Option<u32>)> = (0..200)
        .map(|_| {
            let mut met = Met::at(WAYS[random(WAYS.len())]);
            let user = if other { u32::try_from(random(30_000)).unwrap() } else { own() };
            if other {
                met = met.given_to(user);
            }
            match random(5) {
                0 => drop(met.caller.take()),
                1 => met.caller.as_ref().unwrap().shutdown(Shutdown::Write).unwrap(),
                2 => met.gateway.shutdown(Shutdown::Write).unwrap(),
                _ => {}
            }
            let expected = met.caller.as_ref().map(|_| user);
            (met, expected)
        })
        .collect();
    let owned = met.iter().filter(|(_, expected)| expected.is_some()).count();
    assert!((100..200).contains(&owned), "{owned}");
    let diag = Diag::default();
    diag.find(&Pair::new(met[0].0.pair.1, met[0].0.pair.0)).unwrap().expect("the gateway's own end is found");
    for (met, expected) in &met {
        let pair = Pair::new(met.pair.0, met.pair.1);
        let by_netlink = diag.find(&pair).unwrap().and_then(|listed| listed.owner(&pair));
        assert_eq!((by_netlink, proc::owner(&pair)), (*expected, *expected), "{pair:?}");
    }
}

/// A question that finds nothing on a fresh socket does not decide: the kernel may lack the service.
#[test]
fn an_unproven_no_is_no_answer() {
    let nowhere = Pair::new("127.0.0.1:1".parse().unwrap(), "127.0.0.1:2".parse().unwrap());
    let diag = Diag::default();
    assert!(diag.find(&nowhere).is_err());
    let met = Met::at(WAYS[0]);
    assert!(diag.find(&Pair::new(met.pair.0, met.pair.1)).unwrap().is_some());
    assert!(diag.find(&nowhere).unwrap().is_none());
}

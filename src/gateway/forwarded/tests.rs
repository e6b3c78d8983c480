//! Lists as proxies and their callers write them.

use http::HeaderValue;

use super::*;

fn proxies(tell: ClientAddress) -> Listener {
    let trusted = ["10.1.0.0/16", "fd00::/8", "127.0.0.1/32"].map(|network| network.parse().unwrap());
    Listener { hosts: Vec::new(), tls: None, proxies: Some(Proxies::new(tell, trusted.to_vec())) }
}

fn headers(name: &HeaderName, lines: &[&str]) -> HeaderMap {
    let value = |line: &&str| HeaderValue::from_bytes(line.as_bytes()).unwrap();
    lines.iter().map(|line| (name.clone(), value(line))).collect()
}

/// The address of a request that came from the trusted `10.1.0.5` with these lines.
fn told(tell: ClientAddress, lines: &[&str]) -> Option<String> {
    let name = if tell == ClientAddress::Forwarded { FORWARDED } else { X_FORWARDED_FOR };
    let peer = Peer { address: Some("10.1.0.5".parse().unwrap()), user: Some(3), ..Peer::default() };
    let connection = Connection::new(peer, 0);
    let caller = connection.caller(&headers(&name, lines), &proxies(tell)).into_owned();
    let address = caller.address;
    let proxy = Some("10.1.0.5".parse().unwrap());
    assert_eq!(caller, Peer { address, proxy, ..Peer::default() }, "nothing else is known of the caller");
    address.map(|address| address.to_string())
}

#[test]
fn x_forwarded_for_is_read_from_its_end() {
    for (lines, expected) in [
        (&["203.0.113.9"][..], Some("203.0.113.9")),
        (&[" 203.0.113.9 \t"], Some("203.0.113.9")),
        (&["203.0.113.9:4711"], Some("203.0.113.9")),
        (&["2001:db8::1"], Some("2001:db8::1")),
        (&["[2001:db8::1]"], Some("2001:db8::1")),
        (&["[2001:db8::1]:80"], Some("2001:db8::1")),
        (&["::ffff:203.0.113.9"], Some("203.0.113.9")),
        // What the caller wrote itself stands before what the proxies saw.
        (&["127.0.0.1, 203.0.113.9"], Some("203.0.113.9")),
        (&["8.8.8.8, 203.0.113.9, 10.1.2.3, fd00::1"], Some("203.0.113.9")),
        (&["8.8.8.8", "203.0.113.9", "10.1.2.3,10.1.2.4"], Some("203.0.113.9")),
        (&["8.8.8.8", "203.0.113.9, ::ffff:10.1.2.3"], Some("203.0.113.9")),
        (&["garbage, \", é, 203.0.113.9"], None),
        (&["garbage, \"unknown, 203.0.113.9"], Some("203.0.113.9")),
        // Who is only told by what cannot be read is not told.
        (&["203.0.113.9, garbage"], None),
        (&["203.0.113.9, unknown, 10.1.2.3"], None),
        (&["203.0.113.9,"], None),
        (&["203.0.113.9", ""], None),
        (&["203.0.113.9, , 10.1.2.3"], None),
        (&["203.0.113.9 203.0.113.8"], None),
        (&["203.0.113.9:"], None),
        (&["203.0.113.9:123456"], None),
        (&["203.0.113.9:99999"], None),
        (&["203.0.113.9:+1"], None),
        (&["203.0.113"], None),
        (&["0203.0.113.9"], None),
        (&["203.0.113.9/32"], None),
        (&["fe80::1%eth0"], None),
        (&["[203.0.113.9]"], None),
        (&["[2001:db8::1"], None),
        (&["[2001:db8::1]x"], None),
        (&["2001:db8::1]:80"], None),
        (&["\"203.0.113.9\""], None),
        (&["for=203.0.113.9"], None),
        (&[""], None),
        (&[], None),
        (&["10.1.2.3"], None),
        (&["10.1.2.3, fd00::7, 127.0.0.1"], None),
    ] {
        // The library takes bytes over 127 for text that is none.
        assert_eq!(told(ClientAddress::XForwardedFor, lines).as_deref(), expected, "{lines:?}");
    }
}

#[test]
fn forwarded_is_read_by_its_grammar() {
    for (lines, expected) in [
        (&["for=203.0.113.9"][..], Some("203.0.113.9")),
        (&["For=\"[2001:db8::1]:4711\""], Some("2001:db8::1")),
        (&["for=\"[2001:db8::1]\""], Some("2001:db8::1")),
        (&["for=\"203.0.113.9:80\";proto=http;by=10.1.0.9"], Some("203.0.113.9")),
        (&["proto=http ; by=_x ; FOR=203.0.113.9"], Some("203.0.113.9")),
        (&["for=\"203\\.0.113.9\""], Some("203.0.113.9")),
        (&["for=8.8.8.8, for=203.0.113.9, for=10.1.0.9"], Some("203.0.113.9")),
        (&["for=8.8.8.8", "for=203.0.113.9;host=\"a,for=1.1.1.1\"", "for=10.1.0.9"], Some("203.0.113.9")),
        (&["for=203.0.113.9,,", ","], Some("203.0.113.9")),
        (&[";for=203.0.113.9;;"], Some("203.0.113.9")),
        (&["for=unknown, for=_hidden, for=203.0.113.9"], Some("203.0.113.9")),
        (&["for=203.0.113.9, for=unknown"], None),
        (&["for=203.0.113.9, for=\"_gazonk\""], None),
        (&["for=203.0.113.9, for=_gazonk, for=10.1.0.9"], None),
        (&["for=203.0.113.9, proto=http"], None),
        (&["for=203.0.113.9;for=203.0.113.9"], None),
        (&["for=203.0.113.9;proto=http;Proto=http"], None),
        (&["for"], None),
        (&["for="], None),
        (&["for =203.0.113.9"], None),
        (&["for= 203.0.113.9"], None),
        (&["for=203.0.113.9 by=10.1.0.9"], None),
        (&["for=203.0.113.9:80"], None),
        (&["for=[2001:db8::1]"], None),
        (&["for=2001:db8::1"], None),
        (&["for=\"[203.0.113.9]\""], None),
        (&["203.0.113.9"], None),
        (&["for=10.1.0.9"], None),
        (&["for=\"\""], None),
        (&["for=\"203.0.113.9"], None),
        (&["for=\"203.0.113.9\\"], None),
        (&["for=\"203.0.113.9\"x"], None),
        (&[""], None),
        (&[], None),
    ] {
        assert_eq!(told(ClientAddress::Forwarded, lines).as_deref(), expected, "{lines:?}");
    }
}

/// Whatever a caller writes in front, it does not choose the address that a proxy's own addition then gives.
#[test]
fn a_caller_does_not_write_its_own_address() {
    let pieces = ["for=6.6.6.6", "\"", "\\", ",", ";", "=", "for=", "x", " ", "\\\"", "by=\"", "6.6.6.6"];
    let additions = [
        "for=203.0.113.9",
        "for=\"[2001:db8::1]:4711\"",
        "for=203.0.113.9;by=\"_p:1\"",
        "for=\"203.0.113.9:80\";by=\"[fd00::1]:2\";host=\"a\"",
    ];
    let mut state = 7_u32;
    let mut random = |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) as usize % below
    };
    let mut told_right = 0;
    for _ in 0..20_000 {
        let written: String = (0..random(7)).map(|_| pieces[random(pieces.len())]).collect();
        let addition = additions[random(additions.len())];
        let joined = format!("{written}, {addition}");
        for lines in [&[joined.as_str()][..], &[&written, addition]] {
            let told = told(ClientAddress::Forwarded, lines);
            let right = told.as_deref().is_some_and(|told| addition.contains(told));
            assert!(told.is_none() || right, "{lines:?} gave {told:?}");
            told_right += usize::from(right);
        }
    }
    assert!(told_right > 1000, "{told_right}");
}

#[test]
fn nobody_else_is_believed() {
    let lines = headers(&X_FORWARDED_FOR, &["203.0.113.9"]);
    let peer = |address: &str| Peer { address: address.parse().ok(), user: Some(3), ..Peer::default() };
    let seen =
        |peer: Peer, listener: &Listener| Connection::new(peer, 0).caller(&lines, listener).into_owned();
    let x_forwarded_for = proxies(ClientAddress::XForwardedFor);
    for stranger in ["10.2.0.1", "203.0.113.1", "::1", "127.0.0.2"] {
        assert_eq!(seen(peer(stranger), &x_forwarded_for), peer(stranger), "{stranger}");
    }
    // Of the other header, of a listener without proxies, and of a unix socket nothing is read.
    let told = seen(peer("10.1.0.5"), &proxies(ClientAddress::Forwarded));
    assert_eq!((told.address, told.user), (None, None));
    let without = Listener { hosts: Vec::new(), tls: None, proxies: None };
    assert_eq!(seen(peer("10.1.0.5"), &without), peer("10.1.0.5"));
    let unix = Peer { user: Some(3), ..Peer::default() };
    assert_eq!(seen(unix.clone(), &x_forwarded_for), unix);
    // A connection that came with a PROXY header belongs to its caller, even one that is within the proxies' network.
    let introduced = Peer { proxy: peer("10.1.0.5").address, ..peer("10.1.0.7") };
    for tell in [ClientAddress::ProxyProtocol, ClientAddress::XForwardedFor] {
        assert_eq!(seen(introduced.clone(), &proxies(tell)), introduced);
    }
    // One that should have come with it, and did not, belongs to nobody.
    let told = seen(peer("10.1.0.5"), &proxies(ClientAddress::ProxyProtocol));
    assert_eq!((told.address, told.user, told.proxy), (None, None, peer("10.1.0.5").address));
}

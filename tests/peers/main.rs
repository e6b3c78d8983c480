//! What a connection tells of its caller, on real sockets: owners, PROXY and forwarding headers, certificates.
//!
//! Users other than the one that runs the tests take root; without it those parts say that they are skipped.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::format_push_string)]

mod certificate;
mod forwarded;
mod owner;
mod process;
mod proxy;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/tls.rs"]
mod tls;

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use support::*;

const LIST: &str = "/client/api?command=listUsers&response=json";
/// A user who exists everywhere and owns nothing here.
const OTHER: u32 = 65534;

/// The user who runs the tests.
fn own() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Whether sockets may be given to other users; says so when not.
fn is_root(part: &str) -> bool {
    let root = own() == 0;
    if !root {
        let _ = writeln!(std::io::stderr(), "SKIPPED, as it takes root: {part}");
    }
    root
}

fn cloud(upstream: &Upstream) -> String {
    let url = format!("\"{}\"", upstream.url());
    route("cloud", "path = \"/client/api\"", &url, "cloudstack = { credential = \"key\" }")
}

/// Where the tests' trusted proxy connects from; other callers come from `127.0.0.1`.
const PROXY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// A connection from the trusted proxy.
fn from_proxy(to: SocketAddr) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((PROXY, 0)).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    socket.into()
}

/// A listener that believes the tests' proxy.
fn behind_proxy(told_by: &str, more: &str) -> String {
    format!(
        "{{ address = \"127.0.0.1:0\", trusted-proxies = [\"{PROXY}\"], client-address = \"{told_by}\"{more} }}"
    )
}

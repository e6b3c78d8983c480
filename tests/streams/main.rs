//! Bodies and connections: what streams, what is cut, what is kept alive, and that nothing broken looks whole.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../support/mod.rs"]
mod support;

mod connections;
mod failures;
mod flow;
mod framing;
mod hostile_upstreams;
mod http1;

use support::{Ask, Gateway, Setup, Upstream, ask, every_scheme};

/// A gateway with a route of every scheme.
fn gateway(upstream: &Upstream) -> Gateway {
    Gateway::with(&every_scheme(upstream))
}

/// The same with other limits.
fn limited(upstream: &Upstream, limits: &str) -> Gateway {
    Setup::routes(&every_scheme(upstream)).limits(limits).start()
}

/// A call to the version 2 route, whose bodies stream uncovered.
fn v2(method: &str, target: &str) -> Ask {
    ask(method, target).header("Host", "ceph.internal")
}

/// A call to the version 4 route, whose bodies are hashed or signed in chunks.
fn v4(method: &str, target: &str) -> Ask {
    ask(method, target).header("Host", "s3.internal")
}

/// The head of a request, to be followed by bytes of the test's own.
fn head(lines: &[&str]) -> Vec<u8> {
    format!("{}\r\n\r\n", lines.join("\r\n")).into_bytes()
}

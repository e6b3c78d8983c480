//! What goes over the wire: the bytes that an upstream really receives are judged by naive verifiers that share no
//! code with the signer, and what must not arrive is looked for.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../support/mod.rs"]
mod support;

mod answers;
mod cloudstack;
mod headers;
mod hosts;
mod s3v2;
mod s3v4;
mod service;
mod zstack;

use support::{Gateway, Upstream};

/// A gateway whose only route is `text`, in which `URL` stands for the upstream's.
fn with_route(upstream: &Upstream, text: &str) -> Gateway {
    Gateway::with(&text.replace("URL", &upstream.url()))
}

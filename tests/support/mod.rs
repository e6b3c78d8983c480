//! The harness of the tests that run the real program: a gateway process, raw upstreams, raw callers, and naive
//! verifiers of every scheme.
//!
//! Everything speaks bytes over plain sockets, so that a test sees what was really sent; nothing here uses the
//! crate's own parser, signer or canonicalisation. Every wait has a limit: a hang fails the test that hangs.

#![allow(dead_code, unused_imports, unreachable_pub, missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc)]
#![allow(clippy::format_push_string, clippy::format_collect)]

pub mod caller;
pub mod gateway;
pub mod line;
pub mod message;
pub mod naive;
pub mod upstream;

pub use caller::{Ask, Caller, Response, ask};
pub use gateway::{Gateway, Setup};
pub use message::Headers;
pub use upstream::{Request, Talk, Upstream, answer};

use std::time::{Duration, Instant};

/// The longest that anything on loopback may take before a test calls it a hang.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// The text of one route: what it matches and how it signs, as TOML. All calls and answers pass, so that tests can
/// have upstreams say what they like.
pub fn route(name: &str, matches: &str, upstream: &str, sign: &str) -> String {
    format!(
        "[routes.{name}]\nmatch = {{ {matches} }}\nupstream = {upstream}\nsecrets = \"allow\"\nsign.{sign}\n"
    )
}

/// One route of each scheme, all with the credential `key`, to one upstream: CloudStack under `/client/api`, ZStack
/// under `/zstack` (server in UTC+8), version 2 on `ceph.internal`, version 4 on `s3.internal`, SQS under `/sqs`.
pub fn every_scheme(upstream: &Upstream) -> String {
    let url = format!("\"{}\"", upstream.url());
    let rewritten = format!("{{ url = {url}, rewrite-path = \"/\" }}");
    let region = "credential = \"key\", region =";
    [
        route("cloud", "path = \"/client/api\"", &url, "cloudstack = { credential = \"key\" }"),
        route(
            "zstack",
            "path = \"/zstack\"",
            &url,
            "zstack = { credential = \"key\", time-zone = \"Asia/Shanghai\" }",
        ),
        route(
            "ceph",
            "host = \"ceph.internal\"",
            &url,
            "s3-v2 = { credential = \"key\", dialect = \"ceph\" }",
        ),
        route("s3", "host = \"s3.internal\"", &url, &format!("s3-v4 = {{ {region} \"us-east-1\" }}")),
        route(
            "sqs",
            "path = \"/sqs\"",
            &rewritten,
            &format!("aws-v4 = {{ {region} \"eu-central-1\", service = \"sqs\" }}"),
        ),
    ]
    .concat()
}

/// Waits until `holds`, and fails after [`PATIENCE`].
#[track_caller]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "still not so: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

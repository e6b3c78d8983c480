//! Hostile input as raw bytes: what two parsers could read differently, what a web page could send, what leaves its
//! route, what grows without bound. Each has its verdict, and no upstream ever sees it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

#[path = "../support/mod.rs"]
mod support;

mod browsers;
mod framing;
mod http2;
mod limits;
mod mutations;
mod parameters;
mod targets;

use support::{Gateway, Response, Setup, Upstream, every_scheme};

/// A well-formed request that must not be read out of whatever stands before it.
const NEXT: &[u8] = b"GET /client/api?command=smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A gateway and an upstream that nobody may reach.
struct Untouched {
    gateway: Gateway,
    upstream: Upstream,
}

impl Untouched {
    fn new() -> Self {
        let upstream = Upstream::ok();
        Self { gateway: Gateway::with(&every_scheme(&upstream)), upstream }
    }

    /// On a plain listener, and on one that takes cleartext HTTP/2 too.
    fn both() -> [Self; 2] {
        let upstream = Upstream::ok();
        let setup = Setup::routes(&every_scheme(&upstream));
        let gateway = setup.listen("{ address = \"127.0.0.1:0\", h2c = true }").start();
        [Self::new(), Self { gateway, upstream }]
    }

    /// Sends bytes with a well-formed request behind them. The answer is a refusal, the connection is closed after
    /// it, and nothing is forwarded.
    #[track_caller]
    fn refuses(&self, bytes: &[u8]) -> Option<Response> {
        let said = String::from_utf8_lossy(bytes).into_owned();
        let mut caller = self.gateway.connect();
        caller.send(&[bytes, NEXT].concat());
        let answer = caller.try_response("GET").unwrap_or_else(|why| panic!("{said:?}: {why}"));
        if let Some(answer) = &answer {
            assert!((400..500).contains(&answer.status), "{said:?}: {} {}", answer.status, answer.text());
        }
        let rest = caller.quiet_for(support::PATIENCE);
        assert_eq!(rest, None, "{said:?}: the connection went on after {answer:?}");
        assert_eq!(self.upstream.connections(), 0, "{said:?}: the upstream was reached");
        answer
    }

    /// The same, refused by the gateway itself with this status and code.
    #[track_caller]
    fn refuses_with(&self, bytes: &[u8], status: u16, code: &str) {
        let said = String::from_utf8_lossy(bytes).into_owned();
        let answer = self.refuses(bytes).unwrap_or_else(|| panic!("{said:?}: closed without an answer"));
        assert_eq!((answer.status, answer.error()), (status, code), "{said:?}: {}", answer.text());
    }
}

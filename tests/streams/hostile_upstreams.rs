//! Upstreams that misbehave: what they say is passed on only where it has one reading.

use crate::support::{Upstream, answer, ask};
use crate::{gateway, head};

/// An upstream that answers the first request of each connection with these bytes and closes.
fn saying(bytes: &'static [u8]) -> Upstream {
    Upstream::scripted(move |talk| {
        if talk.request().is_some() {
            talk.write(bytes);
        }
    })
}

#[test]
fn answers_with_two_readings_are_a_502() {
    for bytes in [
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: evil\r\nConnection: upgrade\r\n\r\nEVIL".as_slice(),
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nEVILx",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4, 5\r\n\r\nEVILx",
        b"HTTP/1.1 200 OK\r\nContent-Length: +4\r\n\r\nEVIL",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nEVIL",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nEVIL",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nContent-Length: 4\r\n\r\nEVIL",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n4\r\nEVIL\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX Y: EVIL\r\nContent-Length: 4\r\n\r\nEVIL",
        b"HTTP/1.1 200 OK\r\nX-A: a\0EVIL\r\nContent-Length: 4\r\n\r\nEVIL",
        b"HTTP/2.0 200 OK\r\nContent-Length: 4\r\n\r\nEVIL",
        b"HTTP/1.1 999999 OK\r\n\r\nEVIL",
        b"EVIL",
        b"",
    ] {
        let upstream = saying(bytes);
        let gateway = gateway(&upstream);
        let said = String::from_utf8_lossy(bytes);
        let answer = gateway.raw(&ask("GET", "/zstack/v1/x").bytes(gateway.address));
        let answer = answer.ok().flatten().unwrap_or_else(|| panic!("no answer of ours to {said:?}"));
        assert_eq!(
            (answer.status, answer.error()),
            (502, "upstream-protocol"),
            "{said:?}: {}",
            answer.text()
        );
        assert!(!answer.text().contains("EVIL"));
        assert_eq!(upstream.requests().len(), 1, "nothing is tried again");
    }
}

#[test]
fn an_endless_head_is_a_502() {
    let upstream = Upstream::scripted(|talk| {
        if talk.request().is_some() {
            talk.write(b"HTTP/1.1 200 OK\r\n");
            while talk.write(format!("X-Filler: {}\r\n", "x".repeat(4000)).as_bytes()) {}
        }
    });
    let gateway = gateway(&upstream);
    let before = gateway.peak();
    gateway.call(&ask("GET", "/zstack/v1/x")).refused(502, "upstream-protocol");
    assert!(gateway.peak() - before < 8 << 20);
}

#[test]
fn a_large_head_passes() {
    let value = "x".repeat(8000);
    let upstream =
        Upstream::answering(move |_| answer(200, &[("x-long", value.as_str()), ("x-b", "c")], b"ok"));
    let gateway = gateway(&upstream);
    let answer = gateway.call(&ask("GET", "/zstack/v1/x"));
    assert_eq!(answer.passed(200).headers.one("x-long").map(str::len), Some(8000));
}

#[test]
fn folded_and_odd_lines_do_not_split_the_answer() {
    let upstream = saying(b"HTTP/1.1 200 OK\r\nX-A: a\r\n  Set-Cookie: EVIL\r\nContent-Length: 2\r\n\r\nok");
    let gateway = gateway(&upstream);
    let mut caller = gateway.connect();
    caller.send(&head(&["GET /zstack/v1/x HTTP/1.1", "Host: localhost"]));
    let answer = caller.response("GET");
    assert!(!answer.headers.has("set-cookie"), "{answer:?}");
    assert!(answer.status == 502 || answer.headers.one("x-a").is_some(), "{answer:?}");
}

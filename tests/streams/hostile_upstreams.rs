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
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nEVIL",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4, 4\r\n\r\nEVIL",
        b"HTTP/1.1 200 OK\nContent-Length: 4\n\nEVIL",
        b"HTTP/1.1 200 OK\r\nX-A: a\nContent-Length: 4\r\n\r\nEVIL",
        b"HTTP/1.1 200 OK\r\nX-A: a\r\n Content-Length: 4\r\n\r\nEVIL",
        b"HTTP/1.1 200 OK\r\nContent-Length : 4\r\n\r\nEVIL",
        b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nEVIL\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nEVIL\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n4\r\nEVIL\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\nContent-Length: 4\r\n\r\nEVILHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
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

/// Chunks that are none end the answer as a broken one, behind what came before; nobody gets what follows.
#[test]
fn spoilt_chunks_break_the_answer_off() {
    for chunks in [
        "zz\r\nEVIL\r\n0\r\n\r\n",
        "-4\r\nEVIL\r\n0\r\n\r\n",
        "4\nEVIL\r\n0\r\n\r\n",
        "0x4\r\nEVIL\r\n0\r\n\r\n",
        "10000000000000004\r\nEVIL\r\n0\r\n\r\n",
        "\r\n0\r\n\r\n",
        "0\r\nHTTP/1.1 200 OK\r\n\r\n",
        "0\r\nX-A: EVIL\n\r\n",
        "0\r\n\n",
    ] {
        let upstream = Upstream::scripted(move |talk| {
            while talk.request().is_some() {
                let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n";
                talk.write(format!("{head}{chunks}").as_bytes());
            }
        });
        let gateway = gateway(&upstream);
        let mut caller = gateway.connect();
        let answer = caller.call(&ask("GET", "/zstack/v1/x"));
        assert_eq!(
            (answer.status, answer.text().as_str(), answer.complete),
            (200, "good", false),
            "{}",
            chunks.escape_debug()
        );
        caller.closed();
        crate::support::eventually("the upstream's connection is closed", || upstream.is_closed(0));
    }
}

/// However few bytes come at a time, the answer is the same.
#[test]
fn answers_that_drip_are_whole() {
    for bytes in [
        "HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 6\r\n\r\nabcdef",
        "HTTP/1.1 200 OK\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\n3;e\r\nabc\r\n3\r\ndef\r\n0\r\nX-T: t\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 6\r\n\r\nabcdef",
    ] {
        let upstream = Upstream::scripted(move |talk| {
            while talk.request().is_some() {
                for byte in bytes.as_bytes().chunks(1) {
                    talk.write(byte);
                    std::thread::sleep(std::time::Duration::from_micros(200));
                }
            }
        });
        let gateway = gateway(&upstream);
        for _ in 0..3 {
            let answer = gateway.call(&ask("GET", "/zstack/v1/x"));
            assert_eq!((answer.passed(200).text().as_str(), answer.complete), ("abcdef", true));
            assert_eq!(answer.headers.one("x-a"), Some("b"));
        }
        assert_eq!(upstream.connections(), 1);
    }
}

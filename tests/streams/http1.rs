//! HTTP/1 as this gateway speaks it towards callers: what a connection survives, how answers are framed for whom, and
//! what is told to somebody who speaks something else.

use std::io::Read as _;
use std::time::{Duration, Instant};

use crate::support::{Upstream, answer, ask};
use crate::{gateway, head, limited};

const READ: &str = "/client/api?command=listUsers";

#[test]
fn requests_are_the_same_however_their_bytes_arrive() {
    let upstream = Upstream::answering(|request| answer(200, &[], &request.body));
    let gateway = gateway(&upstream);
    let mut bytes = head(&["PUT /b/first HTTP/1.1", "Host: ceph.internal", "Transfer-Encoding: chunked"]);
    bytes.extend_from_slice(b"3;x=y\r\none\r\n4\r\n\r\n\r\n\r\n0\r\nA: b\r\n\r\n");
    bytes.extend(head(&["PUT /b/second HTTP/1.1", "Host: ceph.internal", "Content-Length: 3"]));
    bytes.extend_from_slice(b"two");
    bytes.extend(head(&["GET /b/third HTTP/1.1", "Host: ceph.internal"]));
    let check = |pieces: &[&[u8]]| {
        let mut caller = gateway.connect();
        for piece in pieces {
            caller.send(piece);
            if pieces.len() == 2 {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        for (method, text) in [("PUT", "one\r\n\r\n"), ("PUT", "two"), ("GET", "")] {
            assert_eq!(caller.response(method).passed(200).text(), text);
        }
        caller.call(&ask("GET", "/nowhere")).refused(404, "route-not-found");
        let paths: Vec<_> = upstream.take().iter().map(|request| request.path().to_owned()).collect();
        assert_eq!(paths, ["/b/first", "/b/second", "/b/third"]);
    };
    for at in 0..bytes.len() {
        check(&[&bytes[..at], &bytes[at..]]);
    }
    check(&bytes.chunks(1).collect::<Vec<_>>());
}

#[test]
fn a_download_may_take_longer_than_an_idle_connection() {
    let upstream = Upstream::scripted(|talk| {
        while talk.request().is_some() {
            talk.write(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n");
            for _ in 0..8 {
                std::thread::sleep(Duration::from_millis(150));
                talk.write(b"x");
            }
        }
    });
    let gateway = limited(&upstream, "idle-timeout = \"300ms\"\nheader-timeout = \"300ms\"");
    let mut caller = gateway.connect();
    let slow = caller.call(&ask("GET", "/zstack/v1/slow"));
    assert_eq!((slow.passed(200).text().as_str(), slow.complete), ("xxxxxxxx", true));
    caller.closed();
}

#[test]
fn a_caller_of_http_1_0_is_answered_in_its_way() {
    let upstream = Upstream::scripted(|talk| {
        while let Some(request) = talk.request() {
            if request.path() == "/b/length" {
                talk.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwell");
            } else {
                talk.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwell\r\n");
                std::thread::sleep(Duration::from_millis(50));
                if request.path() == "/b/broken" {
                    return;
                }
                talk.write(b"0\r\n\r\n");
            }
        }
    });
    let gateway = gateway(&upstream);
    let get = |path: &str| {
        head(&[&format!("GET /b/{path} HTTP/1.0"), "Host: ceph.internal", "Connection: keep-alive"])
    };
    let mut caller = gateway.connect();
    for _ in 0..2 {
        caller.send(&get("length"));
        let answer = caller.response("GET");
        assert_eq!(answer.passed(200).text(), "well");
        assert_eq!(answer.headers.one("connection"), Some("keep-alive"));
    }
    // A body of unknown length ends with the connection.
    caller.send(&get("chunked"));
    let answer = caller.response("GET");
    assert_eq!(answer.passed(200).text(), "well");
    assert!(!answer.headers.has("transfer-encoding") && !answer.headers.has("connection"), "{answer:?}");
    // One that breaks off must not look as if it had ended.
    let caller = gateway.connect();
    std::io::Write::write_all(&mut caller.stream(), &get("broken")).unwrap();
    let error = caller.stream().read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn what_a_refused_request_leaves_unread_decides_about_its_connection() {
    let upstream = Upstream::ok();
    let gateway = gateway(&upstream);
    let refused = |framing: &str, body: &[u8], goes_on: bool| {
        let mut caller = gateway.connect();
        caller.send(&[&head(&["PUT /nowhere HTTP/1.1", "Host: localhost", framing])[..], body].concat());
        let answer = caller.response("PUT");
        answer.refused(404, "route-not-found");
        let told = answer.headers.one("connection");
        assert_eq!(told, if goes_on { None } else { Some("close") }, "{framing}");
        if goes_on {
            caller.call(&ask("GET", READ)).passed(200);
        } else {
            caller.closed();
        }
    };
    refused("Content-Length: 5", b"hello", true);
    refused("Transfer-Encoding: chunked", b"5\r\nhello\r\n0\r\n\r\n", true);
    refused("Content-Length: 1000000000", b"hello", false);
    refused("Transfer-Encoding: chunked", b"5\r\nhello\r\n", false);
    refused("Transfer-Encoding: chunked", b"zzz", false);
    // A caller that does not stop sending gets its answer all the same, and is not listened to for ever.
    let mut caller = gateway.connect();
    caller.send(&head(&["PUT /nowhere HTTP/1.1", "Host: localhost", "Content-Length: 1000000000"]));
    let start = Instant::now();
    let block = vec![b'x'; 16 << 10];
    while start.elapsed() < Duration::from_secs(8) && caller.send(&block) {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
}

#[test]
fn what_is_no_request_is_told_so_and_nothing_else() {
    let upstream = Upstream::ok();
    let gateway = gateway(&upstream);
    for (bytes, status) in [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03EVIL".to_vec(), "400 Bad Request"),
        (b"GET /EVIL\0 HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(), "400 Bad Request"),
        (
            format!("GET /EVIL{} HTTP/1.1\r\n\r\n", "x".repeat(70_000)).into_bytes(),
            "431 Request Header Fields Too Large",
        ),
    ] {
        let mut caller = gateway.connect();
        caller.send(&bytes);
        let mut said = Vec::new();
        let _ = caller.stream().read_to_end(&mut said);
        let said = String::from_utf8_lossy(&said).into_owned();
        let expected = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\ndate: ");
        assert!(
            said.starts_with(&expected) && said.ends_with(" GMT\r\n\r\n") && !said.contains("EVIL"),
            "{said}"
        );
    }
    // It harms nobody else.
    gateway.call(&ask("GET", READ)).passed(200);
    assert_eq!(upstream.take().len(), 1);
}

#[test]
fn answers_say_when_they_were_given() {
    let upstream = Upstream::answering(|request| {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        let headers: &[_] = if request.path().ends_with("dated") { &[("date", date)] } else { &[] };
        answer(200, headers, b"ok")
    });
    let gateway = gateway(&upstream);
    let date = |path: &str| {
        let answer = gateway.call(&ask("GET", path));
        answer.headers.one("date").unwrap_or_default().to_owned()
    };
    assert_eq!(date("/zstack/v1/dated"), "Sun, 06 Nov 1994 08:49:37 GMT");
    for path in ["/zstack/v1/x", "/nowhere"] {
        let now = date(path);
        assert!(now.len() == 29 && now.ends_with(" GMT") && !now.contains("1994"), "{path}: {now}");
    }
}

#[test]
fn a_request_behind_a_suspect_one_is_none() {
    let upstream = Upstream::ok();
    let gateway = gateway(&upstream);
    let mut caller = gateway.connect();
    let mut bytes = head(&["GET /zstack/v1/x HTTP/1.1", "Host: localhost"]);
    bytes.extend(head(&[
        "PUT /zstack/v1/x HTTP/1.1",
        "Host: localhost",
        "Content-Length: 2",
        "Transfer-Encoding: chunked",
    ]));
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes.extend(head(&["GET /zstack/v1/evil HTTP/1.1", "Host: localhost"]));
    caller.send(&bytes);
    caller.response("GET").passed(200);
    let refused = caller.response("PUT");
    refused.refused(400, "ambiguous-request");
    assert_eq!(refused.headers.one("connection"), Some("close"));
    caller.closed();
    assert_eq!(upstream.take().len(), 1);
    assert_eq!(gateway.record_of(&refused)["error"], "ambiguous-request");
}

//! Methods and statuses without a body, lengths, chunks, trailers, and `Expect: 100-continue`.

use std::time::Duration;

use crate::support::message::Framing;
use crate::support::naive::{self, Keys, S3V2, SigV4};
use crate::support::{Upstream, answer, ask};
use crate::{gateway, head, limited, v2, v4};

#[test]
fn answers_without_a_body_end_with_their_head() {
    let upstream = Upstream::answering(|request| {
        let start = match request.path() {
            "/b/204" => "HTTP/1.1 204 No Content\r\n",
            "/b/304" => "HTTP/1.1 304 Not Modified\r\ncontent-length: 1000\r\netag: \"x\"\r\n",
            _ => "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\netag: \"x\"\r\n",
        };
        format!("{start}x-amz-request-id: 1\r\n\r\n").into_bytes()
    });
    let gateway = gateway(&upstream);
    let mut caller = gateway.connect();
    for (method, path, status) in
        [("HEAD", "/b/k", 200), ("DELETE", "/b/204", 204), ("GET", "/b/304", 304), ("HEAD", "/b/304", 304)]
    {
        for call in [v2(method, path), v4(method, path)] {
            let answer = caller.call(&call);
            answer.passed(status);
            assert!(answer.body.is_empty());
            if method == "HEAD" && status == 200 {
                assert_eq!(answer.headers.one("content-length"), Some("1000"));
            }
        }
    }
    // The same connections served them all, to the caller and to the two upstream pools.
    assert_eq!(caller.quiet_for(Duration::from_millis(50)), Some(Vec::new()));
    assert!(upstream.connections() <= 2, "{}", upstream.connections());
}

#[test]
fn ranges_pass_through() {
    let upstream = Upstream::answering(|request| {
        assert_eq!(request.headers.one("range"), Some("bytes=2-4"));
        answer(206, &[("content-range", "bytes 2-4/10"), ("accept-ranges", "bytes")], b"cde")
    });
    let gateway = gateway(&upstream);
    for call in [v2("GET", "/b/k"), v4("GET", "/b/k")] {
        let answer = gateway.call(&call.header("Range", "bytes=2-4"));
        answer.passed(206);
        assert_eq!(
            (answer.headers.one("content-range"), answer.text().as_str()),
            (Some("bytes 2-4/10"), "cde")
        );
    }
}

#[test]
fn nothing_is_said_to_be_nothing() {
    let upstream = Upstream::ok();
    let gateway = gateway(&upstream);
    let calls = |method: &str| {
        [v2(method, "/b/k"), v4(method, "/b/k"), ask(method, "/zstack/v1/x"), ask(method, "/sqs/x")]
    };
    for method in ["PUT", "POST"] {
        for call in calls(method).into_iter().chain(calls(method).map(|call| call.body(""))) {
            gateway.call(&call).passed(200);
            let request = upstream.take().remove(0);
            assert_eq!(request.framing, Framing::Length(0), "{method} {}", request.target);
        }
    }
    for method in ["GET", "HEAD", "DELETE"] {
        for call in calls(method).into_iter().filter(|_| method != "HEAD").chain([v4(method, "/b/k")]) {
            gateway.call(&call).passed(200);
            assert_eq!(upstream.take()[0].framing, Framing::None, "{method}");
        }
    }
}

#[test]
fn chunked_uploads_arrive_whole() {
    let upstream = Upstream::ok();
    let gateway = gateway(&upstream);
    let host = upstream.address.to_string();
    let chunks = "5;ext=\"evil\r\n".replace("\"evil", "1")
        + "hello\r\n6\r\n world\r\n0\r\nX-Evil: EVIL\r\nAuthorization: EVIL\r\n\r\n";
    for (target, name) in [
        ("/b/k", "ceph.internal"),
        ("/b/k", "s3.internal"),
        ("/zstack/v1/x", "localhost"),
        ("/sqs/x", "localhost"),
    ] {
        let mut caller = gateway.connect();
        caller.send(&head(&[
            &format!("POST {target} HTTP/1.1"),
            &format!("Host: {name}"),
            "Transfer-Encoding: chunked",
            "Trailer: X-Evil",
        ]));
        caller.send(chunks.as_bytes());
        caller.response("POST").passed(200);
        let request = upstream.take().remove(0);
        assert_eq!((request.text().as_str(), request.complete), ("hello world", true));
        assert!(request.trailers.is_empty() && !request.headers.has("trailer"), "{:?}", request.trailers);
        let bytes = String::from_utf8_lossy(&upstream.bytes(request.connection)).into_owned();
        assert!(!bytes.contains("EVIL") && !bytes.contains("ext="), "{bytes}");
        match name {
            "ceph.internal" => naive::s3v2(&request, &Keys::default(), S3V2::Ceph(&host)).unwrap(),
            "s3.internal" => {
                naive::sigv4(&request, &Keys::default(), SigV4::S3).unwrap();
                assert_eq!(request.framing, Framing::Length(11), "what is hashed has a length");
            }
            _ => {}
        }
        // The caller's connection stands behind the trailers and goes on.
        caller.call(&ask("GET", "/client/api?command=listUsers")).passed(200);
        upstream.take();
    }
}

#[test]
fn a_form_may_be_chunked() {
    let upstream = Upstream::ok();
    let gateway = gateway(&upstream);
    let mut caller = gateway.connect();
    caller.send(&head(&[
        "POST /client/api HTTP/1.1",
        "Host: localhost",
        "Content-Type: application/x-www-form-urlencoded",
        "Transfer-Encoding: chunked",
    ]));
    caller.send(b"8\r\ncommand=\r\n");
    std::thread::sleep(Duration::from_millis(20));
    caller.send(b"14\r\ndeployVirtualMachine\r\n0\r\n\r\n");
    caller.response("POST").passed(200);
    let request = upstream.last();
    assert_eq!(naive::cloudstack(&request, &Keys::default()).unwrap()["command"], "deployVirtualMachine");
}

#[test]
fn answers_of_every_framing_pass() {
    let upstream = Upstream::scripted(|talk| {
        while let Some(request) = talk.request() {
            match request.path() {
                "/zstack/v1/chunked" => talk.write(
                    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-evil\r\n\r\n3;ext=EVIL\r\nabc\r\n3\r\ndef\r\n\
                      0\r\nX-Evil: EVIL\r\n\r\n",
                ),
                "/zstack/v1/close" => {
                    talk.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabcdef");
                    return;
                }
                "/zstack/v1/old" => {
                    talk.write(b"HTTP/1.0 200 OK\r\n\r\nabcdef");
                    return;
                }
                _ => talk.write(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: EVIL\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabcdef"),
            };
        }
    });
    let gateway = gateway(&upstream);
    let mut caller = gateway.connect();
    for path in ["chunked", "close", "old", "interim", "chunked"] {
        let answer = caller.call(&ask("GET", &format!("/zstack/v1/{path}")));
        answer.passed(200);
        assert_eq!((answer.text().as_str(), answer.complete), ("abcdef", true), "{path}");
        assert!(answer.trailers.is_empty() && !format!("{answer:?}").contains("EVIL"), "{answer:?}");
        assert!(answer.interim.is_empty(), "{:?}", answer.interim);
    }
}

#[test]
fn expect_is_answered_here_when_the_body_is_wanted() {
    let upstream = Upstream::ok();
    let gateway = gateway(&upstream);
    let host = upstream.address.to_string();
    for (method, target, name) in [
        ("PUT", "/b/k", "ceph.internal"),
        ("PUT", "/b/k", "s3.internal"),
        ("POST", "/zstack/v1/x", "localhost"),
        ("POST", "/client/api?command=deployVirtualMachine", "localhost"),
    ] {
        let mut caller = gateway.connect();
        caller.send(&head(&[
            &format!("{method} {target} HTTP/1.1"),
            &format!("Host: {name}"),
            "Content-Type: application/x-www-form-urlencoded",
            "Expect: 100-Continue",
            "Content-Length: 4",
        ]));
        let (status, headers) = caller.response_head().unwrap().unwrap();
        assert_eq!((status, headers.0.len()), (100, 0), "{target}");
        caller.send(b"a=bc");
        caller.response(method).passed(200);
        let request = upstream.take().remove(0);
        assert!(!request.headers.has("expect"));
        if name == "ceph.internal" {
            naive::s3v2(&request, &Keys::default(), S3V2::Ceph(&host)).unwrap();
        }
    }
}

#[test]
fn a_refusal_comes_instead_of_100_continue() {
    let upstream = Upstream::ok();
    let gateway = limited(&upstream, "form = \"1KiB\"\nbody = \"1KiB\"");
    for (target, name, status, code) in [
        ("/nowhere", "localhost", 404, "route-not-found"),
        ("/b/k", "evil.example", 421, "unknown-host"),
        ("/b/%zz", "s3.internal", 400, "bad-path"),
        ("/client/api?command=x", "localhost", 413, "body-too-large"),
        ("/sqs/x", "localhost", 413, "body-too-large"),
        ("/zstack/v1//x", "localhost", 400, "bad-path"),
    ] {
        let mut caller = gateway.connect();
        caller.send(&head(&[
            &format!("POST {target} HTTP/1.1"),
            &format!("Host: {name}"),
            "Content-Type: application/x-www-form-urlencoded",
            "Expect: 100-continue",
            "Content-Length: 2000",
        ]));
        let answer = caller.response("POST");
        answer.refused(status, code);
        assert!(answer.interim.is_empty(), "{target}: the body was asked for and then refused");
        // Nobody knows whether the body will come: the connection cannot go on.
        caller.closed();
    }
    upstream.assert_untouched("refused");
}

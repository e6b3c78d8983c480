//! Transfers that break: the caller leaves, the upstream dies, somebody stalls. Nothing of it may look whole.

use std::time::{Duration, Instant};

use crate::support::{Upstream, answer, ask, eventually};
use crate::{gateway, head, limited};

const MIB: usize = 1 << 20;

#[test]
fn a_caller_who_leaves_takes_the_upload_with_it() {
    // Unsigned with a length, unsigned in chunks, signed chunk by chunk.
    let length = format!("Content-Length: {}", 4 * MIB);
    for (host, framing) in [
        ("ceph.internal", length.as_str()),
        ("ceph.internal", "Transfer-Encoding: chunked"),
        ("s3.internal", length.as_str()),
    ] {
        let upstream = Upstream::ok();
        let gateway = gateway(&upstream);
        let mut caller = gateway.connect();
        caller.send(&head(&["PUT /b/k HTTP/1.1", &format!("Host: {host}"), framing]));
        let data = vec![b'x'; MIB];
        if framing.starts_with("Transfer") {
            caller.send(format!("{MIB:x}\r\n").as_bytes());
        }
        caller.send(&data);
        eventually("the upload is under way", || {
            upstream.connections() == 1 && !upstream.bytes(0).is_empty()
        });
        drop(caller);
        let request = upstream.wait_for(1).remove(0);
        assert!(!request.complete, "{host} {framing}: half an upload looked whole");
        eventually("the connection is closed", || upstream.is_closed(0));
        assert!(!upstream.bytes(0).ends_with(b"0\r\n\r\n"), "{host} {framing}");
        let record = gateway.wait_for_records(1).remove(0);
        assert!(record["ended"] == "caller-left" || record["error"] == "body-incomplete", "{record}");
    }
}

#[test]
fn a_body_that_must_be_whole_is_never_sent_in_part() {
    let upstream = Upstream::ok();
    let gateway = gateway(&upstream);
    for target in ["/client/api?command=deployVirtualMachine", "/sqs/x"] {
        let mut caller = gateway.connect();
        caller.send(&head(&[
            &format!("POST {target} HTTP/1.1"),
            "Host: localhost",
            "Content-Type: application/x-www-form-urlencoded",
            "Content-Length: 100",
        ]));
        caller.send(b"a=b");
        caller.finish_sending();
        if let Ok(Some(answer)) = caller.try_response("POST") {
            answer.refused(400, "body-incomplete");
        }
    }
    upstream.assert_untouched("the body never came");
}

#[test]
fn an_upstream_that_dies_midway_is_seen_by_the_caller() {
    let upstream = Upstream::scripted(|talk| {
        let Some(request) = talk.request() else { return };
        match request.path() {
            "/zstack/v1/length" => drop(talk.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")),
            "/zstack/v1/chunked" => {
                talk.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n");
            }
            "/zstack/v1/size" => {
                talk.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n");
                talk.drain();
            }
            _ => {
                talk.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
                std::thread::sleep(Duration::from_millis(50));
                talk.reset();
            }
        }
    });
    let gateway = gateway(&upstream);
    for path in ["length", "chunked", "size", "reset"] {
        let mut caller = gateway.connect();
        let answer = caller.call(&ask("GET", &format!("/zstack/v1/{path}")));
        assert_eq!((answer.status, answer.text().as_str(), answer.complete), (200, "half", false), "{path}");
        caller.closed();
        let record = gateway.record_of(&answer);
        assert_eq!(record["ended"], "upstream-broke-off", "{path}: {record}");
    }
    assert_eq!(upstream.connections(), 4, "none of them was used again");
}

#[test]
fn an_upstream_that_dies_before_its_answer_is_a_502_and_nothing_is_repeated() {
    let upstream = Upstream::scripted(|talk| {
        let Some(request) = talk.request() else { return };
        match request.path() {
            "/zstack/v1/close" => {}
            "/zstack/v1/reset" => talk.reset(),
            "/zstack/v1/half" => drop(talk.write(b"HTTP/1.1 200 OK\r\nContent-Le")),
            _ => drop(talk.write(b"SSH-2.0-nonsense\r\n\r\n")),
        }
    });
    let gateway = gateway(&upstream);
    let paths = ["close", "reset", "half", "nonsense"];
    for path in paths {
        for call in
            [ask("GET", &format!("/zstack/v1/{path}")), ask("PUT", &format!("/zstack/v1/{path}")).body("{}")]
        {
            gateway.call(&call).refused(502, "upstream-protocol");
        }
    }
    assert_eq!(upstream.requests().len(), 2 * paths.len());
}

#[test]
fn a_caller_who_leaves_ends_the_download() {
    let upstream = Upstream::scripted(|talk| {
        if talk.request().is_some() {
            talk.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 64 * MIB).as_bytes());
            let block = vec![b'x'; MIB];
            while talk.write(&block) {}
        }
    });
    let gateway = gateway(&upstream);
    let mut caller = gateway.connect();
    caller.send(&head(&["GET /b/k HTTP/1.1", "Host: s3.internal"]));
    assert_eq!(caller.response_head().unwrap().unwrap().0, 200);
    assert_eq!(caller.read(1000).len(), 1000);
    drop(caller);
    eventually("the upstream's connection is closed", || upstream.is_closed(0));
    let record = gateway.wait_for_records(1).remove(0);
    assert_eq!((record["ended"].as_str(), record["status"].as_u64()), (Some("caller-left"), Some(200)));
}

#[test]
fn a_caller_who_leaves_before_the_answer_ends_the_call() {
    let upstream = Upstream::scripted(|talk| {
        if talk.request().is_some() {
            talk.drain();
        }
    });
    let gateway = gateway(&upstream);
    let mut caller = gateway.connect();
    caller.send(&ask("GET", "/zstack/v1/x").bytes(gateway.address));
    upstream.wait_for(1);
    drop(caller);
    eventually("the upstream's connection is closed", || upstream.is_closed(0));
    let record = gateway.wait_for_records(1).remove(0);
    assert_eq!((record["ended"].as_str(), record["status"].as_u64()), (Some("caller-left"), Some(0)));
}

#[test]
fn an_early_answer_reaches_the_caller_and_the_rest_is_not_waited_for() {
    // It answers before the body came and never reads it.
    let upstream = Upstream::scripted(|talk| {
        if talk.head().is_some() {
            talk.write(&answer(403, &[], b"early"));
            std::thread::sleep(Duration::from_secs(1));
        }
    });
    let gateway = gateway(&upstream);
    for host in ["ceph.internal", "s3.internal"] {
        let mut caller = gateway.connect();
        let length = format!("Content-Length: {}", 8 * MIB);
        caller.send(&head(&["PUT /b/k HTTP/1.1", &format!("Host: {host}"), &length]));
        caller.send(&vec![b'x'; 100_000]);
        let answer = caller.response("PUT");
        answer.passed(403);
        assert_eq!((answer.text().as_str(), answer.complete), ("early", true), "{host}");
    }
    assert!(upstream.requests().is_empty(), "no request was ever whole");
}

#[test]
fn an_early_answer_does_not_cut_an_upload_that_is_still_read() {
    let upstream = Upstream::scripted(|talk| {
        while let Some(head) = talk.head() {
            talk.write(&answer(200, &[], b"early"));
            if talk.body(&head).is_none() {
                return;
            }
        }
    });
    let gateway = gateway(&upstream);
    let mut caller = gateway.connect();
    let body = vec![b'x'; 300_000];
    caller.send(&head(&["PUT /b/k HTTP/1.1", "Host: ceph.internal", "Content-Length: 300000"]));
    caller.send(&body[..1000]);
    let answer = caller.response("PUT");
    assert_eq!((answer.status, answer.text().as_str()), (200, "early"));
    caller.send(&body[1000..]);
    // Whole or cut, but never whole in looks only.
    let request = upstream.wait_for(1).remove(0);
    assert!(!request.complete || request.body == body);
    gateway.call(&ask("GET", "/b/k").header("Host", "ceph.internal")).passed(200);
}

#[test]
fn whoever_stalls_is_cut_off() {
    let upstream = Upstream::scripted(|talk| {
        let Some(head) = talk.head() else { return };
        if head.start.contains("/upload") {
            talk.body(&head);
        } else if head.start.contains("/silent") {
            talk.drain();
        } else {
            talk.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
            talk.drain();
        }
    });
    let gateway = limited(&upstream, "response-timeout = \"400ms\"\nbody-timeout = \"400ms\"");
    let start = Instant::now();
    gateway.call(&ask("GET", "/zstack/v1/silent")).refused(504, "upstream-timeout");
    let mut caller = gateway.connect();
    let answer = caller.call(&ask("GET", "/zstack/v1/stalled"));
    assert_eq!((answer.status, answer.text().as_str(), answer.complete), (200, "half", false));
    caller.closed();
    assert_eq!(gateway.record_of(&answer)["ended"], "upstream-stalled");
    for host in ["ceph.internal", "s3.internal"] {
        let mut caller = gateway.connect();
        caller.send(&head(&["PUT /b/upload HTTP/1.1", &format!("Host: {host}"), "Content-Length: 4000000"]));
        caller.send(&vec![b'x'; 100_000]);
        caller.response("PUT").refused(408, "body-timeout");
        caller.closed();
    }
    let mut caller = gateway.connect();
    let form = "Content-Type: application/x-www-form-urlencoded";
    caller.send(&head(&["POST /client/api HTTP/1.1", "Host: localhost", form, "Content-Length: 100"]));
    caller.response("POST").refused(408, "body-timeout");
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
    assert!(upstream.requests().iter().all(|request| !request.complete));
    for connection in 0..upstream.connections() {
        eventually("the upstream's connection is closed", || upstream.is_closed(connection));
    }
}

#[test]
fn a_slow_upload_that_moves_is_not_cut_off() {
    let upstream = Upstream::ok();
    let gateway = limited(&upstream, "response-timeout = \"400ms\"\nbody-timeout = \"400ms\"");
    let mut caller = gateway.connect();
    caller.send(&head(&["PUT /b/k HTTP/1.1", "Host: ceph.internal", "Content-Length: 10"]));
    for _ in 0..10 {
        std::thread::sleep(Duration::from_millis(150));
        caller.send(b"x");
    }
    caller.response("PUT").passed(200);
    assert_eq!(upstream.last().text(), "xxxxxxxxxx");
}

//! Connections kept alive on both sides, and what may never pass from one request to another.

use std::time::Duration;

use crate::support::naive::{self, Keys};
use crate::support::{Setup, Upstream, answer, ask, eventually, route};
use crate::{gateway, head, v2};

const READ: &str = "/client/api?command=listUsers";

#[test]
fn upstream_connections_are_used_again() {
    let upstream = Upstream::ok();
    let gateway = gateway(&upstream);
    let mut caller = gateway.connect();
    for _ in 0..5 {
        caller.call(&ask("GET", READ)).passed(200);
    }
    for _ in 0..5 {
        gateway.call(&ask("POST", "/client/api").form("command=deployVirtualMachine")).passed(200);
    }
    let requests = upstream.wait_for(10);
    assert_eq!(upstream.connections(), 1);
    for request in requests {
        naive::cloudstack(&request, &Keys::default()).unwrap();
    }
}

#[test]
fn a_connection_that_the_upstream_closed_is_replaced() {
    let upstream = Upstream::scripted(|talk| {
        if talk.request().is_some() {
            talk.write(&answer(200, &[], b"ok"));
        }
    });
    let gateway = gateway(&upstream);
    let deploy = ask("POST", "/client/api").form("command=deployVirtualMachine");
    for _ in 0..4 {
        gateway.call(&deploy).passed(200);
        // Time to notice.
        std::thread::sleep(Duration::from_millis(150));
    }
    assert_eq!((upstream.take().len(), upstream.connections()), (4, 4));
    // Without that time the request may be lost with the connection; it is never sent twice.
    let good = (0..20).filter(|_| gateway.call(&deploy).status == 200).count();
    assert_eq!(upstream.take().len(), good);
}

#[test]
fn a_request_that_was_written_is_not_repeated() {
    // The second request on a connection is read and never answered.
    let upstream = Upstream::scripted(|talk| {
        if talk.request().is_some() {
            talk.write(&answer(200, &[], b"ok"));
            talk.request();
        }
    });
    let gateway = gateway(&upstream);
    for call in [ask("POST", "/client/api").form("command=deployVirtualMachine"), ask("GET", READ)] {
        gateway.call(&call).passed(200);
        gateway.call(&call).refused(502, "upstream-protocol");
        assert_eq!(upstream.take().len(), 2, "the request was sent a second time");
    }
}

#[test]
fn surplus_bytes_never_reach_another_caller() {
    const SURPLUS: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL";
    let upstream = Upstream::scripted(|talk| {
        while let Some(request) = talk.request() {
            let mut bytes = match request.path() {
                "/b/204" => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
                "/b/head" => b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n".to_vec(),
                "/b/chunked" => {
                    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n".to_vec()
                }
                _ => answer(200, &[], b"ok"),
            };
            if request.path() == "/b/later" {
                talk.write(&bytes);
                std::thread::sleep(Duration::from_millis(50));
                bytes.clear();
            }
            if request.path() != "/b/good" {
                bytes.extend_from_slice(SURPLUS);
            }
            talk.write(&bytes);
        }
    });
    let gateway = gateway(&upstream);
    for (method, path) in [
        ("GET", "/b/length"),
        ("GET", "/b/chunked"),
        ("DELETE", "/b/204"),
        ("HEAD", "/b/head"),
        ("GET", "/b/later"),
    ] {
        for pause in [0, 80] {
            if path == "/b/later" && pause == 0 {
                // Bytes that come after the next request was written are an answer to it, as far as anyone can tell.
                continue;
            }
            gateway.call(&v2(method, path));
            std::thread::sleep(Duration::from_millis(pause));
            let next = gateway.call(&v2("GET", "/b/good"));
            assert_ne!(next.text(), "EVIL", "{path}: an answer that nobody asked for");
            assert!(next.status == 200 && next.text() == "ok" || next.status == 502, "{path}: {next:?}");
        }
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let upstream = Upstream::answering(|request| {
        if request.path().ends_with("slow") {
            std::thread::sleep(Duration::from_millis(100));
        }
        answer(200, &[], request.path().as_bytes())
    });
    let gateway = gateway(&upstream);
    let mut caller = gateway.connect();
    let mut bytes = Vec::new();
    for path in ["slow", "a", "b"] {
        let call = ask("POST", &format!("/zstack/v1/{path}"))
            .body("GET /zstack/v1/evil HTTP/1.1\r\nHost: localhost\r\n\r\n");
        bytes.extend(call.bytes(gateway.address));
    }
    bytes.extend(ask("GET", "/nowhere").bytes(gateway.address));
    bytes.extend(ask("GET", "/zstack/v1/c").bytes(gateway.address));
    caller.send(&bytes);
    for path in ["slow", "a", "b"] {
        assert_eq!(caller.response("POST").passed(200).text(), format!("/zstack/v1/{path}"));
    }
    caller.response("GET").refused(404, "route-not-found");
    // A refusal may end the connection; what comes after it is answered rightly or not at all.
    if let Ok(Some(last)) = caller.try_response("GET") {
        assert_eq!(last.passed(200).text(), "/zstack/v1/c");
    }
    let paths: Vec<_> = upstream.requests().iter().map(|request| request.path().to_owned()).collect();
    assert!(paths.len() >= 3 && paths.iter().all(|path| !path.contains("evil")), "{paths:?}");
}

#[test]
fn the_body_of_a_refused_request_is_never_read_as_a_request() {
    let upstream = Upstream::ok();
    let gateway = gateway(&upstream);
    let inner = format!("GET {READ}&smuggled=1 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let length = format!("Content-Length: {}", inner.len());
    let chunks = format!("{:x}\r\n{inner}\r\n0\r\n\r\n", inner.len());
    for (target, host) in [
        ("/nowhere", "localhost"),
        ("/b/%zz", "s3.internal"),
        ("/b/k", "evil.example"),
        ("/zstack//x", "localhost"),
    ] {
        for (framing, body) in [(length.as_str(), &inner), ("Transfer-Encoding: chunked", &chunks)] {
            let mut caller = gateway.connect();
            let mut bytes = head(&[&format!("POST {target} HTTP/1.1"), &format!("Host: {host}"), framing]);
            bytes.extend_from_slice(body.as_bytes());
            caller.send(&bytes);
            assert!(caller.response("POST").status >= 400);
            assert_eq!(caller.quiet_for(Duration::from_millis(30)).unwrap_or_default(), b"", "{target}");
        }
    }
    upstream.assert_untouched("a body was read as a request");
}

#[test]
fn callers_never_get_each_others_answers_or_keys() {
    let upstream = Upstream::answering(|request| {
        let parameters = request.query().unwrap_or_default();
        let id = parameters.split('&').find_map(|field| field.strip_prefix("id=")).unwrap_or_default();
        answer(200, &[], id.as_bytes())
    });
    let keys: Vec<Keys> = (0..3)
        .map(|n| Keys { id: format!("AKID{n}"), secret: format!("canary-secret-{n}"), token: None })
        .collect();
    let url = format!("\"{}\"", upstream.url());
    let mut setup = Setup::default().workers(2);
    for (n, key) in keys.iter().enumerate() {
        let sign = format!("cloudstack = {{ credential = \"key{n}\" }}");
        setup = setup.credential(&format!("key{n}"), key.clone());
        setup = setup.text(&route(&format!("cloud{n}"), &format!("path = \"/cloud{n}\""), &url, &sign));
    }
    let gateway = setup.start();
    std::thread::scope(|scope| {
        for thread in 0..6 {
            let gateway = &gateway;
            scope.spawn(move || {
                let mut caller = gateway.connect();
                for call in 0..40 {
                    let route = (thread + call) % 3;
                    let id = format!("{thread}-{call}-{route}");
                    let target = format!("/cloud{route}?command=listUsers&id={id}");
                    assert_eq!(caller.call(&ask("GET", &target)).passed(200).text(), id);
                }
            });
        }
    });
    let requests = upstream.wait_for(240);
    assert_eq!(requests.len(), 240);
    for request in requests {
        let route = request.path().strip_prefix("/cloud").unwrap().parse::<usize>().unwrap();
        let parameters = naive::cloudstack(&request, &keys[route]).unwrap();
        assert!(parameters["id"].ends_with(&format!("-{route}")));
    }
    assert!(upstream.connections() <= 36, "{}", upstream.connections());
}

#[test]
fn idle_callers_are_let_go() {
    let upstream = Upstream::ok();
    let gateway = crate::limited(&upstream, "idle-timeout = \"300ms\"\nheader-timeout = \"300ms\"");
    let mut silent = gateway.connect();
    let mut used = gateway.connect();
    used.call(&ask("GET", READ)).passed(200);
    silent.closed();
    used.closed();
    // A call that takes longer than that is no idle caller.
    let slow = Upstream::answering(|_| {
        std::thread::sleep(Duration::from_millis(800));
        answer(200, &[], b"ok")
    });
    let gateway = crate::limited(&slow, "idle-timeout = \"300ms\"\nheader-timeout = \"300ms\"");
    gateway.call(&ask("GET", READ)).passed(200);
    eventually("both are counted", || gateway.records().len() == 1);
}

//! Upstreams that answer before they have read the body: the answer passes, and neither connection is reused wrongly.

use std::time::Duration;

use crate::body::{Form, Http, MIB, Upload, data};
use crate::gateway;
use crate::support::{Caller, Gateway, Upstream, answer, eventually};

const HOSTS: [&str; 3] = ["ceph.internal", "chunked-trailer.internal", "unsigned-signed.internal"];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum After {
    /// Reads the body after all, and serves on.
    Reads,
    /// Never reads another byte.
    Ignores,
    /// Says that this was the connection's last answer, and reads on until it is closed.
    Closes,
}

/// Answers `status` as soon as it has a head on the path `/b/early`, and properly otherwise.
fn hasty(status: u16, after: After) -> Upstream {
    Upstream::scripted(move |talk| {
        while let Some(head) = talk.head() {
            if !head.start.contains("/early") {
                if talk.body(&head).is_none_or(|request| !request.complete) {
                    return;
                }
                talk.write(&answer(200, &[], b"ok"));
                continue;
            }
            match after {
                After::Reads => {
                    talk.write(&answer(status, &[], b"early"));
                    if talk.body(&head).is_none_or(|request| !request.complete) {
                        return;
                    }
                }
                After::Ignores => {
                    talk.write(&answer(status, &[], b"early"));
                    std::thread::sleep(Duration::from_millis(300));
                    return;
                }
                After::Closes => {
                    talk.write(&answer(status, &[("connection", "close")], b"early"));
                    talk.drain();
                    return;
                }
            }
        }
    })
}

fn good(gateway: &Gateway, host: &str) {
    let mut caller = gateway.connect();
    caller.send(&Upload::new(Form::Plain, &data(70_000)).bytes("PUT", "/b/good", host, Http::Length));
    let answer = caller.response("PUT");
    assert_eq!((answer.passed(200).text().as_str(), answer.complete), ("ok", true));
}

/// After the early answer the caller's connection serves another request rightly, or is closed; what is left of the
/// body is never an answer's or a request's business.
fn goes_on(mut caller: Caller, rest: &[u8], host: &str) {
    caller.send(rest);
    caller.send(&Upload::new(Form::Plain, b"next").bytes("PUT", "/b/next", host, Http::Length));
    if let Ok(Some(answer)) = caller.try_response("PUT") {
        assert_eq!((answer.passed(200).text().as_str(), answer.complete), ("ok", true));
    }
}

#[test]
fn early_answers_pass() {
    for after in [After::Reads, After::Ignores, After::Closes] {
        for status in [403, 200] {
            let upstream = hasty(status, after);
            let gateway = gateway(&upstream);
            for host in HOSTS {
                for length in [70_000, 4 * MIB] {
                    let form =
                        if host.starts_with("ch") { Form::UnsignedTrailer("crc32") } else { Form::Plain };
                    let bytes = Upload::new(form, &data(length)).bytes("PUT", "/b/early", host, Http::Length);
                    let half = bytes.len() - 30_000;
                    let mut caller = gateway.connect();
                    let sender = {
                        let mut stream = caller.stream().try_clone().unwrap();
                        let part = bytes[..half].to_vec();
                        std::thread::spawn(move || drop(std::io::Write::write_all(&mut stream, &part)))
                    };
                    let answer = caller.response("PUT");
                    let case = format!("{after:?} {status} {host} {length}");
                    assert_eq!((answer.status, answer.error()), (status, ""), "{case}");
                    assert_eq!((answer.text().as_str(), answer.complete), ("early", true), "{case}");
                    good(&gateway, host);
                    if after == After::Reads {
                        sender.join().unwrap();
                        goes_on(caller, &bytes[half..], host);
                    } else {
                        drop(caller);
                        sender.join().unwrap();
                    }
                    good(&gateway, host);
                }
            }
            // Nothing that arrived was out of place: every request is one that was sent.
            for request in upstream.take() {
                let known = ["/b/early", "/b/good", "/b/next"];
                assert!(known.contains(&request.path()), "{}", request.target);
                if request.complete && request.path() == "/b/good" {
                    assert!(request.headers.has("authorization"));
                }
            }
        }
    }
}

/// An upload that turns out to be broken after the upstream has answered is still cut.
#[test]
fn a_fault_after_an_early_answer_commits_nothing() {
    let upstream = hasty(200, After::Reads);
    let gateway = gateway(&upstream);
    let body = data(200_000);
    // A version 2 upstream is not asked before a framed body is whole: its checksum has to stand in a header.
    for host in HOSTS.into_iter().filter(|host| *host != "ceph.internal") {
        let mut bad = Upload::new(Form::UnsignedTrailer("crc32"), &body);
        bad = bad.replacing(&crate::body::checksum("crc32", &body), "AAAAAA==");
        let bytes = bad.bytes("PUT", "/b/early", host, Http::Length);
        let mut caller = gateway.connect();
        caller.send(&bytes[..bytes.len() - 10]);
        assert_eq!(caller.response("PUT").passed(200).text(), "early");
        caller.send(&bytes[bytes.len() - 10..]);
        let mut seen = Vec::new();
        eventually("the request is over", || {
            seen.extend(upstream.take());
            !seen.is_empty()
        });
        assert!(seen.iter().all(|request| !request.complete), "{host}: it was committed");
        goes_on(caller, b"", host);
        good(&gateway, host);
        upstream.take();
    }
}

/// A long answer that comes before the body was read: both go on, and the connection is good for another request once
/// both are over.
#[test]
fn an_upload_goes_on_beside_its_answer() {
    let upstream = Upstream::scripted(|talk| {
        while let Some(head) = talk.head() {
            talk.write(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", 2 * MIB).as_bytes());
            for _ in 0..32 {
                talk.write(&vec![b'x'; 2 * MIB / 32]);
                std::thread::sleep(Duration::from_millis(5));
            }
            if talk.body(&head).is_none_or(|request| !request.complete) {
                return;
            }
        }
    });
    let gateway = gateway(&upstream);
    let body = data(3 * MIB);
    for _ in 0..2 {
        let bytes =
            Upload::new(Form::Plain, &body).bytes("PUT", "/b/early", "unsigned-none.internal", Http::Length);
        let mut caller = gateway.connect();
        let mut stream = caller.stream().try_clone().unwrap();
        let sender = std::thread::spawn(move || std::io::Write::write_all(&mut stream, &bytes).is_ok());
        let answer = caller.response("PUT");
        assert_eq!((answer.passed(200).body.len(), answer.complete), (2 * MIB, true));
        assert!(sender.join().unwrap(), "the caller could send its body");
        let request = upstream.wait_for(1).remove(0);
        assert!(request.complete && request.body == body);
        upstream.take();
        drop(caller);
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(upstream.connections(), 1, "it was used again");
}

//! Answers that cannot be searched: kept back while that is possible, and broken off where it no longer is.

use crate::support::{Talk, Upstream, answer, ask};
use crate::{JSON, XML, always, assert_discreet, changing, routes};

const ZONES: &str = "/client/api?command=listZones&response=json";

#[test]
fn what_cannot_be_searched_is_kept_back() {
    let (gateway, upstream, next) = changing("");
    let kind = |kind: &'static str| [("Content-Type", kind)];
    let encoded = |coding: &'static str| [JSON, ("Content-Encoding", coding)];
    let utf16: Vec<u8> = "{\"a\":\"canary\"}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let answers = [
        answer(200, &encoded("gzip"), b"\x1f\x8bcanary"),
        answer(200, &encoded("br"), b"{\"a\":\"canary\"}"),
        answer(200, &encoded("identity, gzip"), b"{}"),
        answer(206, &[JSON, ("Content-Range", "bytes 0-1/2")], b"{}"),
        answer(200, &kind("application/octet-stream"), b"{\"a\":\"canary\"}"),
        answer(200, &kind("image/png"), b"canary"),
        answer(200, &kind("text/html"), b"<p>canary<br></p>"),
        answer(200, &kind("text/plain"), b"canary"),
        answer(200, &[], b"canary"),
        answer(200, &[JSON], b"{\"a\":\"canary\""),
        answer(200, &[JSON], b"{\"a\":\"canary\"}{\"a\":1}"),
        answer(200, &[JSON], b"<a>canary</a>"),
        answer(200, &[JSON], b"{\"a\":'canary'}"),
        answer(500, &[JSON], b"canary"),
        answer(200, &[XML], b"<!DOCTYPE a [<!ENTITY e 'canary'>]><a>&e;</a>"),
        answer(200, &[XML], b"<a>canary</b>"),
        answer(200, &[XML], b"<?xml version='1.0' encoding='utf-16'?><a>canary</a>"),
        answer(200, &[JSON], &utf16),
        answer(200, &kind("application/json; charset=utf-16"), b"{\"a\":\"canary\"}"),
        answer(200, &[JSON, ("Content-Type", "text/xml")], b"{\"a\":\"canary\"}"),
        answer(200, &kind("application/vnd.amazon.eventstream"), b"\0\0\0canary"),
    ];
    for bytes in answers {
        let shown = String::from_utf8_lossy(&bytes).into_owned();
        next(bytes);
        for target in [ZONES, "/zstack/v1/zones", "/aws/?Action=ListTables"] {
            let response = gateway.call(&ask("GET", target));
            assert_eq!((response.status, response.error()), (502, "answer-unreadable"), "{shown}");
            assert_discreet(&response);
            let record = gateway.record_of(&response);
            assert_eq!((&record["status"], &record["error"]), (&502.into(), &"answer-unreadable".into()));
        }
    }
    assert!(!gateway.output().contains("canary-"));
    let response = gateway.call(&ask("GET", ZONES));
    assert!(
        response.text().starts_with("{\"listzonesresponse\":{"),
        "in the caller's protocol: {}",
        response.text()
    );
    assert!(!gateway.events("an answer is kept back: it cannot be searched for secrets").is_empty());
    // Whole answers give their connection back; what was not read takes it along.
    assert!(upstream.connections() < 30, "{}", upstream.connections());
}

#[test]
fn nothing_is_nothing() {
    let (gateway, _upstream, next) = changing("");
    for (status, headers) in [
        (200, vec![("Content-Type", "application/octet-stream")]),
        (200, vec![("Content-Encoding", "gzip")]),
        (404, vec![]),
        (503, vec![("Content-Type", "text/html")]),
    ] {
        next(answer(status, &headers, b""));
        assert_eq!(gateway.call(&ask("GET", ZONES)).passed(status).body, b"");
    }
    for bytes in ["HTTP/1.1 204 No\r\n\r\n", "HTTP/1.1 304 No\r\nContent-Type: image/png\r\n\r\n"] {
        next(bytes.into());
        gateway.call(&ask("GET", ZONES)).passed(bytes[9..12].parse().unwrap());
    }
    next(answer(200, &[("Content-Type", "image/png")], b"  \r\n"));
    assert_eq!(gateway.call(&ask("GET", ZONES)).passed(200).body, b"  \r\n");
    let upstream = Upstream::scripted(|talk: &mut Talk| {
        while talk.request().is_some() {
            talk.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\nContent-Type: image/png\r\n\r\n");
        }
    });
    let gateway = crate::Gateway::with(&routes(&upstream, ""));
    gateway.call(&ask("HEAD", "/aws/x").header("Host", "127.0.0.1")).passed(200);
}

#[test]
fn an_answer_that_turns_unreadable_is_broken_off() {
    // More than is read at a time, before the place and behind it.
    let filler = "[\"filler\", 1],".repeat(40_000);
    let blanks = " ".repeat(4 << 20);
    for (kind, begin, end, is_read_whole) in [
        ("application/json", format!("[{filler}"), "{\"a\" \"canary\"}]", false),
        ("application/json", format!("[{filler}"), "2", true),
        ("application/json", format!("[{filler}3"), "] \"canary\"", false),
        ("text/xml", format!("<a>{filler}"), "<b></a>canary", false),
        ("text/xml", format!("<a>{filler}"), "", true),
    ] {
        let body = begin + end + &blanks;
        let (gateway, upstream) = always("", answer(200, &[("Content-Type", kind)], body.as_bytes()));
        let response = gateway.call(&ask("GET", ZONES));
        assert_eq!(response.status, 200, "it had begun well");
        assert!(!response.complete, "{kind} {end}: it looks whole");
        assert!(!response.headers.has("content-length"));
        assert_discreet(&response);
        let record = gateway.record_of(&response);
        assert_eq!((&record["ended"], &record["status"]), (&"answer-unreadable".into(), &200.into()));
        gateway.wait_for_event("an answer is broken off: it cannot be searched for secrets");
        gateway.call(&ask("GET", ZONES));
        // What was not read to its end takes its connection with it.
        assert_eq!(upstream.connections(), if is_read_whole { 1 } else { 2 }, "{kind} {end}");
    }
}

#[test]
fn an_upstream_that_breaks_off_or_stalls_is_told_apart() {
    let upstream = Upstream::scripted(|talk: &mut Talk| {
        let Some(request) = talk.request() else { return };
        talk.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n[");
        if request.target.contains("late") {
            talk.write("\"filler\",".repeat(3_000).as_bytes());
        }
    });
    let gateway = crate::Gateway::with(&routes(&upstream, ""));
    gateway.call(&ask("GET", ZONES)).refused(502, "upstream-protocol");
    let response = gateway.call(&ask("GET", &format!("{ZONES}&late=1")));
    assert!(response.status == 200 && !response.complete);
    assert_eq!(gateway.record_of(&response)["ended"], "upstream-broke-off");
}

//! Calls as server-sent events.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use super::*;

/// A page that listens.
struct Listener(BufReader<TcpStream>);

impl Listener {
    /// Listens, and gives the head of the answer.
    fn to(gateway: &Gateway, filter: &str) -> (Self, String) {
        let mut stream = TcpStream::connect(gateway.admin).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let query = naive::encoded(filter.as_bytes(), "");
        write!(stream, "GET /events?filter={query} HTTP/1.1\r\nHost: {}\r\n\r\n", gateway.admin).unwrap();
        let mut listener = Self(BufReader::new(stream));
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(listener.0.read_line(&mut head).unwrap() > 0, "{head}");
        }
        (listener, head)
    }

    /// The next piece of the body: one event.
    fn event(&mut self) -> String {
        let mut size = String::new();
        self.0.read_line(&mut size).unwrap();
        let mut piece = vec![0; usize::from_str_radix(size.trim(), 16).unwrap() + 2];
        self.0.read_exact(&mut piece).unwrap();
        piece.truncate(piece.len() - 2);
        String::from_utf8(piece).unwrap()
    }

    /// The next event that is a call.
    fn call(&mut self) -> Value {
        loop {
            let event = self.event();
            if let Some(data) = event.strip_prefix("event: call\nid: ") {
                let (id, data) = data.split_once("\ndata: ").unwrap();
                let data = data.strip_suffix("\n\n").expect(&event);
                assert!(!data.contains('\n'), "{event}");
                let call: Value = serde_json::from_str(data).unwrap();
                assert_eq!(call["id"], id);
                return call;
            }
            assert!(event.starts_with(": ") || event.starts_with("retry: "), "{event}");
        }
    }
}

fn s3(key: &str) -> Ask {
    ask("GET", &format!("/bucket/{key}")).header("Host", "s3.internal")
}

#[test]
fn calls_come_as_they_end() {
    let upstream = Upstream::ok();
    let gateway = Gateway::with(&every_scheme(&upstream));
    let (mut listener, head) = Listener::to(&gateway, "");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(head.contains("content-type: text/event-stream\r\n"), "{head}");
    assert!(listener.event().starts_with("retry: "));
    let answered = gateway.call(&s3("a%0Ab").header("User-Agent", "test/1"));
    let call = listener.call();
    let record = gateway.record_of(&answered);
    for (name, as_in) in [
        ("id", "request-id"),
        ("client", "client"),
        ("route", "route"),
        ("scheme", "scheme"),
        ("credential", "credential"),
        ("operation", "operation"),
        ("status", "status"),
        ("method", "method"),
        ("source", "source"),
        ("bytes-in", "bytes-in"),
        ("bytes-out", "bytes-out"),
        ("decision", "decision"),
    ] {
        assert_eq!(call[name], record[as_in], "{name}: {call} {record}");
    }
    assert_eq!(call["agent"], "test/1");
    // A newline in a key breaks neither the event nor the page.
    assert_eq!(call["resource"].as_str().map(|resource| resource.contains('\n')), Some(false), "{call}");
    assert!(!call.to_string().contains("string-to-sign"), "{call}");
}

#[test]
fn a_filter_chooses() {
    let upstream = Upstream::answering(|request| match request.path() {
        path if path.ends_with("missing") => answer(404, &[], b"none"),
        _ => answer(200, &[], b"ok"),
    });
    let gateway = Gateway::with(&every_scheme(&upstream));
    let (mut listener, _) = Listener::to(&gateway, "route:s3 status:4xx key");
    gateway.call(&s3("key"));
    gateway.call(&s3("other/missing"));
    gateway.call(&ask("GET", "/bucket/key/missing").header("Host", "ceph.internal"));
    gateway.call(&s3("key/missing"));
    assert_eq!(listener.call()["resource"], "bucket/key/missing");
    assert_eq!(json(&gateway, "/calls?filter=route:s3+status:4xx+key").as_array().map(Vec::len), Some(1));
    let told = gateway.admin("/events?filter=status:wrong");
    assert_eq!(told.status, 400);
    assert_eq!(told.text(), "`wrong` is no status: write `status:403`, `status:4xx` or `status:400-499`\n");
}

#[test]
fn so_many_may_watch_and_places_become_free_again() {
    let upstream = Upstream::ok();
    let gateway = Gateway::with(&every_scheme(&upstream));
    let listeners: Vec<Listener> = (0..16).map(|_| Listener::to(&gateway, "").0).collect();
    assert_eq!(gateway.admin("/events").status, 503);
    // Other pages of the listener are answered meanwhile.
    assert_eq!(gateway.admin("/livez").status, 200);
    drop(listeners);
    eventually("a place is free", || {
        // What is written to a closed connection shows that it is closed.
        gateway.call(&s3("key"));
        let (_, head) = Listener::to(&gateway, "");
        head.starts_with("HTTP/1.1 200 ")
    });
}

#[test]
fn who_listens_does_not_hold_up_the_end() {
    let upstream = Upstream::ok();
    let mut gateway = Gateway::with(&every_scheme(&upstream));
    let (_listener, _) = Listener::to(&gateway, "");
    gateway.signal("TERM");
    assert_eq!(gateway.wait().code(), Some(0));
}

//! The PROXY protocol in front of a gateway process: whom it believes, and what becomes of everything else.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;

use super::tls::{self, Authority, Session};
use super::*;

const V1: &[u8] = b"PROXY TCP4 203.0.113.9 10.0.0.1 4660 8480\r\n";
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xcb\x00\x71\x09\x0a\x00\x00\x01\x12\x34\x21\x20";
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00";

fn gateway(upstream: &Upstream, limits: &str) -> Gateway {
    Setup::routes(&cloud(upstream)).listen(&behind_proxy("proxy-protocol", "")).limits(limits).start()
}

/// How often a trusted proxy sent no good header.
fn refused(gateway: &Gateway) -> String {
    let metrics = gateway.admin("/metrics").text();
    let line = metrics.lines().find(|line| line.starts_with("countersign_proxy_headers_refused_total"));
    line.unwrap().split(' ').next_back().unwrap().to_owned()
}

#[test]
fn a_trusted_proxy_names_its_caller() {
    let upstream = Upstream::ok();
    let gateway = gateway(&upstream, "");
    for (header, source) in [
        (V1, "203.0.113.9 via 127.0.0.2"),
        (V2, "203.0.113.9 via 127.0.0.2"),
        (b"PROXY TCP6 2001:db8::1 ::1 1 2\r\n", "2001:db8::1 via 127.0.0.2"),
        (LOCAL, "unknown via 127.0.0.2"),
        (b"PROXY UNKNOWN\r\n", "unknown via 127.0.0.2"),
    ] {
        let mut caller = Caller::over(from_proxy(gateway.address));
        // Header and request in one piece; further requests belong to the same caller, whatever they claim.
        let request = ask("GET", LIST).bytes(gateway.address);
        caller.send(&[header, &request].concat());
        let first = caller.response("GET");
        first.passed(200);
        assert_eq!(gateway.record_of(&first)["source"], source);
        let claim = ask("GET", LIST).header("X-Forwarded-For", "8.8.8.8").header("Forwarded", "for=8.8.8.8");
        let second = caller.call(&claim);
        second.passed(200);
        assert_eq!(gateway.record_of(&second)["source"], source);
        let seen = upstream.last();
        for name in ["x-forwarded-for", "forwarded"] {
            assert!(seen.headers.all(name).is_empty(), "{name} reached the upstream");
        }
    }
    // In pieces, and slowly.
    let mut caller = Caller::over(from_proxy(gateway.address));
    for byte in V1 {
        caller.send(&[*byte]);
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(gateway.record_of(&caller.call(&ask("GET", LIST)))["source"], "203.0.113.9 via 127.0.0.2");
    assert_eq!(refused(&gateway), "0");
}

#[test]
fn a_trusted_proxy_must_name_its_caller() {
    let upstream = Upstream::ok();
    let gateway = gateway(&upstream, "header-timeout = \"400ms\"");
    let mut bad = 0;
    for header in [V1, V2, LOCAL] {
        for cut in 1..header.len() {
            let mut caller = Caller::over(from_proxy(gateway.address));
            caller.send(&header[..cut]);
            caller.finish_sending();
            caller.closed();
            bad += 1;
        }
    }
    let request = ask("GET", LIST).bytes(gateway.address);
    for header in
        [&b""[..], b"PROXY TCP4 203.0.113.9\r\n", b"PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n", &V2[..12], &V1[1..]]
    {
        let mut caller = Caller::over(from_proxy(gateway.address));
        caller.send(&[header, &request].concat());
        caller.closed();
        bad += 1;
    }
    // Silence, at the beginning and inside: cut off in time.
    let start = Instant::now();
    let (mut silent, mut slow) =
        (Caller::over(from_proxy(gateway.address)), Caller::over(from_proxy(gateway.address)));
    slow.send(&V1[..20]);
    silent.closed();
    slow.closed();
    bad += 2;
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(390) && took < Duration::from_secs(8), "{took:?}");
    upstream.assert_untouched("nobody was named");
    assert!(gateway.records().is_empty());
    eventually("all are counted", || refused(&gateway) == bad.to_string());
    // A health check that only connects is no fault.
    let mut check = Caller::over(from_proxy(gateway.address));
    check.finish_sending();
    check.closed();
    assert_eq!(refused(&gateway), bad.to_string());
    let event = gateway.wait_for_event("a trusted proxy sent no good PROXY header; connection closed");
    assert_eq!(event["proxy"], "127.0.0.2");
}

#[test]
fn nobody_else_names_callers() {
    let upstream = Upstream::ok();
    let gateway = gateway(&upstream, "");
    let plain = gateway.call(&ask("GET", LIST));
    plain.passed(200);
    assert_eq!(gateway.record_of(&plain)["source"], "127.0.0.1");
    let count = upstream.requests().len();
    let request = ask("GET", LIST).bytes(gateway.address);
    for header in [V1, V2, LOCAL, b"PROXY UNKNOWN\r\n"] {
        let answer = gateway.raw(&[header, &request].concat()).unwrap().expect("an answer");
        assert_eq!(answer.status, 400, "{answer:?}");
    }
    assert_eq!(upstream.requests().len(), count);
    // Of a listener without proxies, the same.
    let gateway = Gateway::with(&cloud(&upstream));
    let answer = gateway.raw(&[V1, &request].concat()).unwrap().expect("an answer");
    assert_eq!(answer.status, 400);
    assert_eq!(upstream.requests().len(), count);
}

#[tokio::test]
async fn tls_begins_behind_the_header() {
    let upstream = Upstream::ok();
    let authority = Authority::new("ca");
    let leaf = authority.server(&["localhost"]);
    let place = std::env::temp_dir().join(format!("countersign-test-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir(&place).unwrap();
    let (certificate, key) = (place.join("tls.pem"), place.join("tls.key"));
    std::fs::write(&certificate, &leaf.certificate).unwrap();
    std::fs::write(&key, &leaf.key).unwrap();
    let tls =
        format!(", tls = {{ certificate = \"{}\", key = \"{}\" }}", certificate.display(), key.display());
    let gateway = Setup::routes(&cloud(&upstream)).listen(&behind_proxy("proxy-protocol", &tls)).start();
    std::fs::remove_dir_all(&place).unwrap();
    for alpn in [&["h2"][..], &["http/1.1"]] {
        let config = tls::caller(&authority, None, alpn);
        let request = || {
            let request = http::Request::get(format!("https://localhost{LIST}"));
            request.header("host", "localhost").body(Full::<Bytes>::default()).unwrap()
        };
        for header in [V1, V2] {
            let mut stream = from_proxy(gateway.address);
            stream.write_all(header).unwrap();
            stream.set_nonblocking(true).unwrap();
            let stream = tokio::net::TcpStream::from_std(stream).unwrap();
            let mut session = Session::tls_over(stream, &config, "localhost").await.unwrap();
            let answer = session.send(request()).await.unwrap();
            assert_eq!(answer.status, 200);
            let record = gateway.wait_for_records(1).pop().unwrap();
            assert_eq!(record["source"], "203.0.113.9 via 127.0.0.2");
        }
        // The handshake is not taken for a header, and a header from others not for a handshake.
        let mut stream = from_proxy(gateway.address);
        stream.set_nonblocking(true).unwrap();
        let silent = tokio::net::TcpStream::from_std(stream).unwrap();
        assert!(Session::tls_over(silent, &config, "localhost").await.is_err());
        stream = std::net::TcpStream::connect(gateway.address).unwrap();
        stream.write_all(V1).unwrap();
        stream.set_nonblocking(true).unwrap();
        let stranger = tokio::net::TcpStream::from_std(stream).unwrap();
        assert!(Session::tls_over(stranger, &config, "localhost").await.is_err());
    }
    assert_eq!(upstream.requests().len(), 4);
}

#[test]
fn a_drain_does_not_wait_for_a_header() {
    let upstream = Upstream::ok();
    let mut gateway = gateway(&upstream, "header-timeout = \"10s\"");
    let mut silent = Caller::over(from_proxy(gateway.address));
    silent.send(&V1[..5]);
    std::thread::sleep(Duration::from_millis(100));
    let start = Instant::now();
    gateway.signal("TERM");
    assert_eq!(gateway.wait().code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

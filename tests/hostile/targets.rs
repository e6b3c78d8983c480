//! Request targets that name another place than they seem to.

use crate::Untouched;
use crate::support::naive::{self, Keys};
use crate::support::{Gateway, Upstream, ask, every_scheme};

fn get(line: &str, host: &str) -> Vec<u8> {
    format!("{line} HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes()
}

#[test]
fn targets_that_are_no_paths() {
    let world = Untouched::new();
    for (line, host, status, code) in [
        ("GET http://evil.example/client/api?command=listUsers", "localhost", 400, "ambiguous-request"),
        ("GET http://localhost/client/api?command=listUsers", "evil.example", 400, "ambiguous-request"),
        ("GET http://localhost:1/client/api?command=listUsers", "localhost", 400, "ambiguous-request"),
        ("GET http://evil.example/client/api?command=listUsers", "evil.example", 421, "unknown-host"),
        (
            "GET http://user:pass@localhost/client/api?command=listUsers",
            "localhost",
            400,
            "ambiguous-request",
        ),
        (
            "GET http://user@localhost/client/api?command=listUsers",
            "user@localhost",
            400,
            "ambiguous-request",
        ),
        ("GET ftp://localhost/client/api?command=listUsers", "localhost", 400, "ambiguous-request"),
        ("GET file:///client/api?command=listUsers", "localhost", 400, ""),
        ("CONNECT localhost:443", "localhost:443", 400, "upgrade-refused"),
        ("CONNECT /client/api?command=listUsers", "localhost", 400, ""),
        ("GET localhost:443", "localhost", 400, "ambiguous-request"),
        ("GET *", "localhost", 400, "ambiguous-request"),
        ("OPTIONS *", "localhost", 400, "ambiguous-request"),
        ("OPTIONS /client/api?command=listUsers", "localhost", 403, "browser-request"),
        ("TRACE /client/api?command=listUsers", "localhost", 405, "method-not-allowed"),
        ("GET client/api?command=listUsers", "localhost", 400, ""),
        ("GET ?command=listUsers", "localhost", 400, ""),
        ("GET /client/api?command=listUsers#fragment", "localhost", 400, "ambiguous-request"),
        ("GET /client/api#?command=listUsers", "localhost", 400, "ambiguous-request"),
    ] {
        let bytes = get(line, host);
        match world.refuses(&bytes) {
            Some(answer) if code.is_empty() => assert_eq!(answer.status, status, "{line}"),
            Some(answer) => assert_eq!((answer.status, answer.error()), (status, code), "{line}"),
            None => panic!("{line}: closed without an answer"),
        }
    }
}

#[test]
fn an_absolute_target_that_agrees_with_its_host_is_a_path() {
    let upstream = Upstream::ok();
    let gateway = Gateway::with(&every_scheme(&upstream));
    let bytes = get("GET http://LOCALHOST:80/client/api?command=listUsers", "localhost:80");
    gateway.raw(&bytes).unwrap().unwrap().passed(200);
    let request = upstream.last();
    assert_eq!(request.path(), "/client/api");
    naive::cloudstack(&request, &Keys::default()).unwrap();
}

#[test]
fn upgrades_are_refused() {
    let world = Untouched::new();
    for lines in [
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n",
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n",
        "Upgrade: h2c\r\n",
        "Connection: upgrade\r\nUpgrade: TLS/1.0\r\n",
    ] {
        let head = "GET /client/api?command=listUsers HTTP/1.1\r\nHost: localhost\r\n";
        world.refuses_with(format!("{head}{lines}\r\n").as_bytes(), 400, "upgrade-refused");
    }
}

#[test]
fn connection_may_not_name_what_travels_end_to_end() {
    let world = Untouched::new();
    for name in [
        "x-amz-date",
        "X-Amz-Content-Sha256",
        "close, x-amz-meta-a",
        "authorization",
        "Host",
        "content-length",
        "content-type",
        "date",
        "cookie",
        "range",
        "expect",
        "accept-encoding",
    ] {
        for host in ["s3.internal", "ceph.internal"] {
            let bytes = format!(
                "GET /b/k HTTP/1.1\r\nHost: {host}\r\nConnection: {name}\r\nRange: bytes=0-1\r\n\r\n"
            );
            world.refuses_with(bytes.as_bytes(), 400, "bad-header");
        }
    }
}

#[test]
fn header_names_that_some_servers_change_are_refused() {
    let world = Untouched::new();
    for name in ["X_Amz_Date", "x_forwarded_for", "Content_Length", "Transfer_Encoding", "proxy_path", "_"] {
        let bytes = format!("GET /b/k HTTP/1.1\r\nHost: s3.internal\r\n{name}: 1\r\n\r\n");
        world.refuses_with(bytes.as_bytes(), 400, "bad-header");
    }
}

#[test]
fn api_paths_have_one_reading() {
    let upstream = Upstream::ok();
    let gateway = Gateway::with(&every_scheme(&upstream));
    for path in [
        "/zstack/v1%2fx",
        "/zstack/v1/a%2Fb",
        "/zstack/v1/../x",
        "/zstack/v1/..",
        "/zstack/./v1",
        "/zstack/%2e%2e/x",
        "/zstack/v1/%2E/x",
        "/zstack/v1/.%2e/x",
        "/zstack/v1//x",
        "/zstack//v1/x",
        "/zstack/v1/x;jsessionid=1",
        "/zstack/v1/x%3bjsessionid=1",
        "/zstack/v1/..;/x",
        "/zstack/v1/a%5cb",
        "/zstack/v1/a%00b",
        "/zstack/v1/a%0ab",
        "/zstack/v1/a%0db",
        "/zstack/v1/a%7fb",
        "/zstack/v1/%ff",
        "/zstack/v1/%c0%ae%c0%ae/x",
        "/zstack/v1/%zz",
        "/zstack/v1/%2",
        "/zstack/v1/%",
        "/zstack/v1/%u002e",
        "/client/api/%2e%2e/x?command=listUsers",
        "/client/api/..?command=listUsers",
        "/client/api//?command=listUsers",
        "/client/api;a?command=listUsers",
    ] {
        let answer = gateway.call(&ask("GET", path));
        let verdict = (answer.status, answer.error());
        assert!(matches!(verdict, (400, "bad-path") | (404, "route-not-found")), "{path}: {verdict:?}");
    }
    upstream.assert_untouched("paths with two readings");
}

#[test]
fn bytes_that_uris_do_not_have_are_refused_or_encoded() {
    let upstream = Upstream::ok();
    let gateway = Gateway::with(&every_scheme(&upstream));
    let mut arrived = 0;
    for byte in 0x21..=0xff_u8 {
        if matches!(byte, b'?' | b'#' | b'%') {
            continue;
        }
        let mut bytes = b"GET /zstack/v1/a".to_vec();
        bytes.push(byte);
        bytes.extend_from_slice(b"b HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let answer = gateway.raw(&bytes).unwrap().unwrap();
        if answer.status == 200 {
            arrived += 1;
            let request = upstream.take().remove(0);
            assert!(request.target.bytes().all(|b| b.is_ascii_graphic()), "{}", request.target);
            naive::zstack(&request, &Keys::default(), "/zstack", 8 * 3600).unwrap();
        } else {
            assert_eq!((answer.status, upstream.take().len()), (400, 0), "byte {byte:#x}");
        }
    }
    assert!(arrived >= 70, "{arrived} bytes arrived");
}

#[test]
fn queries_may_hold_no_raw_control_and_no_raw_high_bytes_unencoded() {
    let upstream = Upstream::ok();
    let gateway = Gateway::with(&every_scheme(&upstream));
    for byte in 0x21..=0xff_u8 {
        if matches!(byte, b'&' | b'#' | b'%' | b'=') {
            continue;
        }
        let mut bytes = b"GET /client/api?command=listUsers&v=".to_vec();
        bytes.push(byte);
        bytes.extend_from_slice(b" HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let answer = gateway.raw(&bytes).unwrap().unwrap();
        if answer.status == 200 {
            let request = upstream.take().remove(0);
            assert!(request.target.bytes().all(|b| b.is_ascii_graphic()), "{}", request.target);
            let parameters = naive::cloudstack(&request, &Keys::default()).unwrap();
            let expected = if byte == b'+' { " ".to_owned() } else { char::from(byte).to_string() };
            assert_eq!(parameters["v"], expected);
        } else {
            assert_eq!((answer.status, upstream.take().len()), (400, 0), "byte {byte:#x}");
        }
    }
}

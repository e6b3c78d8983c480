//! Heads and bodies whose framing two parsers could read differently.

use crate::support::{Gateway, Upstream, every_scheme};
use crate::{NEXT, Untouched};

/// A form POST with these lines between its head and its body.
fn post(lines: &str, body: &str) -> Vec<u8> {
    format!(
        "POST /client/api HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n{lines}\r\n\
         {body}"
    )
    .into_bytes()
}

const FORM: &str = "command=listUsers";
const CHUNKS: &str = "11\r\ncommand=listUsers\r\n0\r\n\r\n";

#[test]
fn lengths_and_encodings_with_two_readings() {
    let worlds = Untouched::both();
    for lines in [
        "Content-Length: 17\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 17\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked;q=1\r\n",
        "Transfer-Encoding: \"chunked\"\r\n",
        "Transfer-Encoding: \x0bchunked\r\n",
        "Transfer-Encoding: ,chunked\r\n",
        "Transfer-Encoding:\r\n",
        "Transfer-Encoding:\r\n chunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding\r\n: chunked\r\n",
        "Content-Length: 17\r\nTransfer-Encoding:\r\n",
        "Content-Length: 017\r\n",
        "Content-Length: 17\r\nContent-Length: 17\r\n",
        "Content-Length: 17\r\nContent-Length: 0\r\n",
        "Content-Length: 0\r\nContent-Length: 17\r\n",
        "Content-Length: 17, 17\r\n",
        "Content-Length: 17,\r\n",
        "Content-Length: +17\r\n",
        "Content-Length: -17\r\n",
        "Content-Length: 0x11\r\n",
        "Content-Length: 1e1\r\n",
        "Content-Length: 17.0\r\n",
        "Content-Length: 17 \x0b\r\n",
        "Content-Length: 1 7\r\n",
        "Content-Length:\r\n",
        "Content-Length: \r\n",
        "Content-Length: 18446744073709551633\r\n",
        "Content-Length : 17\r\n",
        "Content-Length: 17\r\n \r\n",
    ] {
        for (world, body) in worlds.iter().flat_map(|world| [(world, FORM), (world, CHUNKS)]) {
            let answer = world.refuses(&post(lines, body));
            assert_eq!(answer.map(|answer| answer.status), Some(400), "{lines:?}");
        }
    }
}

#[test]
fn heads_that_parsers_split_differently() {
    let worlds = Untouched::both();
    let get = |lines: &str| format!("GET /client/api?command=listUsers HTTP/1.1\r\n{lines}");
    for bytes in [
        get("Host: localhost\n\n"),
        get("Host: localhost\r\n\n"),
        get("Host: localhost\r\nX-A: b\n\r\n"),
        get("Host: localhost\nX-A: b\r\n\r\n"),
        "GET /client/api?command=listUsers HTTP/1.1\nHost: localhost\r\n\r\n".to_owned(),
        get("Host: localhost\r\nX-A: b\r\n folded\r\n\r\n"),
        get("Host: localhost\r\n X-A: b\r\n\r\n"),
        get(" Host: localhost\r\n\r\n"),
        get("Host: localhost\r\nX-A : b\r\n\r\n"),
        get("Host: localhost\r\nX-A\t: b\r\n\r\n"),
        get("Host: localhost\r\n: b\r\n\r\n"),
        get("Host: localhost\r\nX-A\r\n\r\n"),
        get("Host: localhost\r\nX A: b\r\n\r\n"),
        get("Host: localhost\r\nX(A): b\r\n\r\n"),
        get("Host: localhost\r\nX-A: b\0c\r\n\r\n"),
        get("Host: localhost\r\nX-A: b\rc\r\n\r\n"),
        get("Host: localhost\r\nX-A: b\r\rc: d\r\n\r\n"),
        get("Host: localhost\r\nX-A: \x7f\r\n\r\n"),
        get("Host: localhost\r\nX-A: \x1b[31m\r\n\r\n"),
        get("Host: localhost\r\nX\u{e9}: b\r\n\r\n"),
        get("Host: local\x08host\r\n\r\n"),
        get("Host:\x0blocalhost\r\n\r\n"),
    ] {
        for world in &worlds {
            let answer = world.refuses(bytes.as_bytes());
            assert_eq!(answer.map(|answer| answer.status), Some(400), "{bytes:?}");
        }
    }
}

#[test]
fn request_lines_with_two_readings() {
    let worlds = Untouched::both();
    for line in [
        "GET  /client/api?command=listUsers HTTP/1.1",
        "GET /client/api?command=listUsers  HTTP/1.1",
        " GET /client/api?command=listUsers HTTP/1.1",
        "GET\t/client/api?command=listUsers\tHTTP/1.1",
        "GET /client/api?command=list Users HTTP/1.1",
        "GET /client/api?command=listUsers",
        "GET /client/api?command=listUsers HTTP/1.2",
        "GET /client/api?command=listUsers HTTP/2.0",
        "GET /client/api?command=listUsers HTTP/11",
        "GET /client/api?command=listUsers http/1.1",
        "GET /client/api?command=listUsers HTTP/1.1 ",
        "GET /client/api?command=listUsers HTTP/1.1 HTTP/1.1",
        "GET /client/api?command=list\0Users HTTP/1.1",
        "GET /client/api?command=list\x7fUsers HTTP/1.1",
        "GET /client/api?command=list\rUsers HTTP/1.1",
        "G@T /client/api?command=listUsers HTTP/1.1",
        "PRI * HTTP/2.0",
        "/client/api?command=listUsers HTTP/1.1",
        "\u{16}\u{3}\u{1}\u{2}",
    ] {
        for world in &worlds {
            let answer = world.refuses(format!("{line}\r\nHost: localhost\r\n\r\n").as_bytes());
            assert!(answer.is_none_or(|answer| answer.status == 400), "{line:?}");
        }
    }
}

#[test]
fn chunks_with_two_readings_are_refused_or_reframed() {
    let te = "Transfer-Encoding: chunked\r\n";
    // Read in one way by everyone: the size alone counts.
    for body in [
        "11;name=value\r\ncommand=listUsers\r\n0\r\n\r\n",
        "11;a=\"b\";c\r\ncommand=listUsers\r\n0;x\r\n\r\n",
        "0011\r\ncommand=listUsers\r\n000\r\n\r\n",
        "11 \r\ncommand=listUsers\r\n0\r\n\r\n",
        "8\r\ncommand=\r\n9\r\nlistUsers\r\n0\r\n\r\n",
    ] {
        let upstream = Upstream::ok();
        let gateway = Gateway::with(&every_scheme(&upstream));
        let mut caller = gateway.connect();
        caller.send(&[&post(te, body), NEXT].concat());
        let answer = caller.response("POST");
        match answer.status {
            200 => {
                let request = upstream.wait_for(1).remove(0);
                assert!(request.text().contains("command=listUsers"), "{body:?}: {}", request.text());
                caller.response("GET").passed(200);
            }
            status => assert_eq!((status, upstream.connections()), (400, 0), "{body:?}"),
        }
    }
    let world = Untouched::new();
    for body in [
        "0x11\r\ncommand=listUsers\r\n0\r\n\r\n",
        "+11\r\ncommand=listUsers\r\n0\r\n\r\n",
        "-1\r\ncommand=listUsers\r\n0\r\n\r\n",
        "g\r\ncommand=listUsers\r\n0\r\n\r\n",
        "\r\ncommand=listUsers\r\n0\r\n\r\n",
        ";\r\ncommand=listUsers\r\n0\r\n\r\n",
        "10000000000000011\r\ncommand=listUsers\r\n0\r\n\r\n",
        "11\ncommand=listUsers\r\n0\r\n\r\n",
        "11\rXcommand=listUsers\r\n0\r\n\r\n",
        "11;a\nb\r\ncommand=listUsers\r\n0\r\n\r\n",
        "11\r\ncommand=listUsersX\r\n0\r\n\r\n",
        "11\r\ncommand=listUsers0\r\n\r\n",
        "11\r\ncommand=listUsers\n0\r\n\r\n",
        "11\r\ncommand=listUsers\r\n0\r\nbad trailer\r\n\r\n",
    ] {
        let answer = world.refuses(&post(te, body));
        assert!(answer.is_none_or(|answer| answer.status == 400), "{body:?}");
    }
}

#[test]
fn old_versions_and_hosts() {
    let world = Untouched::new();
    for (bytes, code) in [
        ("GET /client/api?command=listUsers HTTP/1.1\r\n\r\n", "ambiguous-request"),
        ("GET /client/api?command=listUsers HTTP/1.0\r\n\r\n", "ambiguous-request"),
        (
            "GET /client/api?command=listUsers HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
            "ambiguous-request",
        ),
        (
            "GET /client/api?command=listUsers HTTP/1.1\r\nHost: localhost\r\nhost: evil.example\r\n\r\n",
            "ambiguous-request",
        ),
        ("GET /client/api?command=listUsers HTTP/1.1\r\nHost: user@localhost\r\n\r\n", "ambiguous-request"),
    ] {
        world.refuses_with(bytes.as_bytes(), 400, code);
    }
    let chunked = "POST /client/api HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\
                   Content-Type: application/x-www-form-urlencoded\r\n\r\n";
    world.refuses(format!("{chunked}{CHUNKS}").as_bytes());

    // What is old and plain is served, and answered in its own way.
    let upstream = Upstream::ok();
    let gateway = Gateway::with(&every_scheme(&upstream));
    let mut caller = gateway.connect();
    caller.send(b"\r\n\r\nGET /client/api?command=listUsers HTTP/1.0\r\nHost: localhost\r\n\r\n");
    caller.response("GET").passed(200);
    caller.closed();
}

#[test]
fn expectations_that_nobody_knows() {
    let world = Untouched::new();
    for value in ["200-ok", "100-continue, 100-continue", "", "100-continue;q=1"] {
        world.refuses_with(
            &post(&format!("Content-Length: 17\r\nExpect: {value}\r\n"), FORM),
            400,
            "bad-header",
        );
    }
    let twice = "Content-Length: 17\r\nExpect: 100-continue\r\nExpect: x\r\n";
    world.refuses_with(&post(twice, FORM), 400, "bad-header");
}

#[test]
fn bodies_where_the_protocol_has_none() {
    let world = Untouched::new();
    for target in ["/client/api?command=listUsers", "/zstack/v1/x"] {
        for (lines, body) in
            [("Content-Length: 2\r\n", "ab"), ("Transfer-Encoding: chunked\r\n", "2\r\nab\r\n0\r\n\r\n")]
        {
            let bytes = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n{body}");
            let mut caller = world.gateway.connect();
            caller.send(bytes.as_bytes());
            caller.response("GET").refused(400, "unexpected-body");
            assert_eq!(caller.quiet_for(std::time::Duration::from_millis(50)).unwrap_or_default(), b"");
        }
    }
    world.upstream.assert_untouched("a GET with a body");
}

use super::*;

const LIMITS: (usize, usize) = (1000, 20);

/// What came of a head, with what was left behind it.
#[derive(Debug, PartialEq, Eq)]
enum Read {
    Whole {
        text: String,
        framing: Option<Framing>,
        terms: Terms,
        suspect: Option<&'static str>,
        rest: Vec<u8>,
    },
    Refused(StatusCode),
    Partial,
}

/// Feeds the pieces one after the other.
fn feed(pieces: &[&[u8]]) -> Read {
    let (mut reader, mut buffer, names) = (Reader::default(), BytesMut::new(), Names::default());
    for (index, piece) in pieces.iter().enumerate() {
        buffer.extend_from_slice(piece);
        match reader.read(&mut buffer, LIMITS, (HeaderMap::new, &names)) {
            Err(status) => return Read::Refused(status),
            Ok(None) => {}
            Ok(Some(head)) => {
                let Head { request, framing, terms, suspect } = head;
                let mut text = format!("{} {} {:?}", request.method(), request.uri(), request.version());
                for (name, value) in request.headers() {
                    text.push_str(&format!("|{name}={}", String::from_utf8_lossy(value.as_bytes())));
                }
                buffer.extend(pieces[index + 1..].concat());
                return Read::Whole { text, framing, terms, suspect, rest: buffer.to_vec() };
            }
        }
    }
    Read::Partial
}

/// The same however the bytes are split.
#[track_caller]
fn read(bytes: &[u8]) -> Read {
    let whole = feed(&[bytes]);
    for at in 0..bytes.len() {
        assert_eq!(
            feed(&[&bytes[..at], &bytes[at..]]),
            whole,
            "{:?} at {at}",
            String::from_utf8_lossy(bytes)
        );
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(feed(&single), whole, "{:?} one by one", String::from_utf8_lossy(bytes));
    whole
}

/// A good head: what it says, how its body is framed and what its answer keeps to.
#[track_caller]
fn good(bytes: &str) -> (String, Option<Framing>, Terms) {
    match read(bytes.as_bytes()) {
        Read::Whole { text, framing, terms, suspect: None, rest } if rest.is_empty() => {
            (text, framing, terms)
        }
        other => panic!("{bytes:?}: {other:?}"),
    }
}

#[track_caller]
fn suspect(bytes: &str) -> &'static str {
    match read(bytes.as_bytes()) {
        Read::Whole {
            suspect: Some(what), framing: None, terms: Terms { keep_alive: false, .. }, ..
        } => what,
        other => panic!("{bytes:?}: {other:?}"),
    }
}

#[track_caller]
fn status(bytes: &str) -> u16 {
    match read(bytes.as_bytes()) {
        Read::Refused(status) => status.as_u16(),
        other => panic!("{bytes:?}: {other:?}"),
    }
}

const TERMS: Terms = Terms { is_old: false, keep_alive: true, is_head: false, expects: false };

#[test]
fn a_head_is_what_it_says() {
    let (text, framing, terms) =
        good("GET /a?b=%20c HTTP/1.1\r\nHost: a:1\r\nX-A:  b c \t\r\nX-B:\r\nx-a: \u{e9}\r\n\r\n");
    assert_eq!(text, "GET /a?b=%20c HTTP/1.1|host=a:1|x-a=b c|x-a=\u{e9}|x-b=");
    assert_eq!((framing, terms), (None, TERMS));
    let Read::Whole { text, framing, rest, .. } =
        read(b"\r\n\r\nput /a HTTP/1.1\r\nContent-Length: 4\r\n\r\n\n\r\n\nGET / HTTP/1.1\r\n")
    else {
        panic!()
    };
    assert_eq!((&*text, framing), ("put /a HTTP/1.1|content-length=4", Some(Framing::Length(4))));
    assert_eq!(rest, b"\n\r\n\nGET / HTTP/1.1\r\n", "what comes behind a head is left alone");
    for part in [
        "",
        "\r",
        "\r\n",
        "GET",
        "GET / HTTP/1.1\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n",
        "GET / HTTP/1.1\r\n\r",
    ] {
        assert_eq!(read(part.as_bytes()), Read::Partial, "{part:?}");
    }
}

#[test]
fn what_follows_a_head_is_known() {
    let lines = |method: &str, lines: &str| good(&format!("{method} / HTTP/1.1\r\n{lines}\r\n"));
    for (text, framing) in [
        ("Content-Length: 0\r\n", None),
        ("Content-Length: 17\r\n", Some(Framing::Length(17))),
        ("content-length:\t18446744073709551615 \r\n", Some(Framing::Length(u64::MAX))),
        ("Transfer-Encoding: chunked\r\n", Some(Framing::chunked())),
        ("transfer-encoding:CHUNKED\t\r\n", Some(Framing::chunked())),
    ] {
        assert_eq!(lines("PUT", text).1, framing, "{text:?}");
        assert_eq!(lines("GET", text).1, framing, "{text:?}");
    }
    for (text, keep_alive) in [
        ("Connection: close\r\n", false),
        ("Connection: keep-alive, Close\r\n", false),
        ("Connection: keep-alive\r\nConnection: close\r\n", false),
        ("Connection: closed\r\n", true),
        ("Connection: keep-alive\r\n", true),
    ] {
        assert_eq!(lines("GET", text).2, Terms { keep_alive, ..TERMS }, "{text:?}");
    }
    for (text, expects) in [
        ("Expect: 100-Continue\r\nContent-Length: 1\r\n", true),
        ("Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n", true),
        ("Expect: 100-continue\r\n", false),
        ("Expect: 100-continue\r\nContent-Length: 0\r\n", false),
        ("Expect: 200-ok\r\nContent-Length: 1\r\n", false),
    ] {
        assert_eq!(lines("PUT", text).2, Terms { expects, ..TERMS }, "{text:?}");
    }
    assert!(lines("HEAD", "").2.is_head);
    let old = |lines: &str| {
        good(&format!("PUT / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n{lines}\r\n")).2
    };
    let terms = Terms { is_old: true, keep_alive: false, ..TERMS };
    assert_eq!(old(""), terms);
    assert_eq!(old("Connection: Keep-Alive\r\n"), Terms { keep_alive: true, ..terms });
    assert_eq!(old("Connection: keep-alive, close\r\n"), terms);
}

#[test]
fn heads_with_two_readings_are_found_wherever_they_stand() {
    let post = |lines: &str| suspect(&format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n"));
    for lines in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        "Content-Length: 4\r\nTransfer-Encoding:\r\n",
    ] {
        assert_eq!(post(lines), "both Transfer-Encoding and Content-Length", "{lines:?}");
    }
    for lines in ["1\r\nContent-Length: 1\r\n", "1\r\ncontent-length: 0\r\n", "x\r\nContent-Length: 1\r\n"] {
        assert_eq!(post(&format!("Content-Length: {lines}")), "two Content-Length headers", "{lines:?}");
    }
    for lines in ["chunked\r\nTransfer-Encoding: chunked\r\n", "gzip\r\nTransfer-Encoding: chunked\r\n"] {
        assert_eq!(
            post(&format!("Transfer-Encoding: {lines}")),
            "two Transfer-Encoding headers",
            "{lines:?}"
        );
    }
    for value in
        ["gzip, chunked", "chunked, chunked", "identity", "chunked;q=1", "\"chunked\"", ",chunked", ""]
    {
        let lines = format!("Transfer-Encoding: {value}\r\n");
        assert_eq!(post(&lines), "a Transfer-Encoding other than exactly `chunked`", "{lines:?}");
    }
    for value in
        ["017", "00", "17, 17", "17,", "+17", "-17", "0x11", "1e1", "17.0", "1 7", "", "18446744073709551616"]
    {
        let lines = format!("Content-Length: {value}\r\n");
        assert_eq!(post(&lines), "a Content-Length that is not one plain number", "{lines:?}");
    }
    let old = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(suspect(old), "a Transfer-Encoding in HTTP/1.0");
    for bytes in ["GET /#x HTTP/1.1\r\n\r\n", "GET /a?b#c HTTP/1.1\r\n\r\n", "G#T / HTTP/1.1\r\n\r\n"] {
        assert_eq!(suspect(bytes), "a fragment in the request target", "{bytes:?}");
    }
    for bytes in [
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\n",
        "GET / HTTP/1.1\r\n\n",
        "GET / HTTP/1.1\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 4\n\r\n",
    ] {
        assert_eq!(suspect(bytes), "a line of the head ends in a bare line feed", "{bytes:?}");
    }
}

#[test]
fn what_is_no_head_is_refused() {
    for line in [
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        " GET / HTTP/1.1",
        "GET\t/\tHTTP/1.1",
        "GET / a HTTP/1.1",
        "GET /",
        "GET / HTTP/1.2",
        "GET / HTTP/2.0",
        "GET / HTTP/11",
        "GET / http/1.1",
        "GET / HTTP/1.1 ",
        "GET / HTTP/1.1 HTTP/1.1",
        "GET /\0 HTTP/1.1",
        "GET /\x7f HTTP/1.1",
        "GET /\r HTTP/1.1",
        "GET /\u{e9}/<a HTTP/1.1",
        "GET client/api HTTP/1.1",
        "G@T / HTTP/1.1",
        "PRI * HTTP/2.0",
        "/ HTTP/1.1",
        "\u{16}\u{3}\u{1}\u{2}",
        "\nGET / HTTP/1.1",
        "\rGET / HTTP/1.1",
        ": a",
    ] {
        assert_eq!(status(&format!("{line}\r\nHost: a\r\n\r\n")), 400, "{line:?}");
    }
    for line in [
        "X-A: b\r\n folded",
        " X-A: b",
        "X-A : b",
        "X-A\t: b",
        ": b",
        "X-A",
        "X A: b",
        "X(A): b",
        "X-A: b\0c",
        "X-A: b\rc",
        "X-A: \x7f",
        "X-A: \x1b[31m",
        "X\u{e9}: b",
        "Host:\x0ba",
    ] {
        assert_eq!(status(&format!("GET / HTTP/1.1\r\n{line}\r\n\r\n")), 400, "{line:?}");
    }
    assert_eq!(status(&format!("{}GET / HTTP/1.1\r\n\r\n", "\r\n".repeat(9))), 400);
    good(&format!("{}GET / HTTP/1.1\r\n\r\n", "\r\n".repeat(8)));
}

#[test]
fn what_speaks_something_else_is_told_at_once() {
    for bytes in [&b"\x16\x03\x01\x02\x00"[..], b"GET / HTTP/2", b"GET /\0", b"SSH-2.0-x\r\n", b"\0"] {
        assert_eq!(feed(&[bytes]), Read::Refused(StatusCode::BAD_REQUEST), "{bytes:?}");
    }
}

#[test]
fn heads_have_a_size() {
    let headers = |count: usize| format!("GET / HTTP/1.1\r\n{}\r\n", "X-A: b\r\n".repeat(count));
    good(&headers(20));
    assert_eq!(feed(&[headers(21).as_bytes()]), Read::Refused(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE));
    let long = |length: usize| {
        let mut head = "GET / HTTP/1.1\r\nX-A: ".to_owned();
        head.push_str(&"x".repeat(length - head.len() - 4));
        head + "\r\n\r\n"
    };
    good(&long(1000));
    assert_eq!(status(&long(1001)), 431);
    // One that does not end is not waited for.
    let endless = &long(2000)[..1000];
    assert_eq!(feed(&[endless.as_bytes()]), Read::Refused(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE));
    assert_eq!(feed(&[&endless.as_bytes()[..999]]), Read::Partial);
    // More headers than there is room for on the stack, and a target that no URI holds.
    let (mut reader, names) = (Reader::default(), Names::default());
    let mut read = |bytes: String| {
        let mut buffer = BytesMut::from(bytes.as_bytes());
        reader = Reader::default();
        reader.read(&mut buffer, (1 << 20, 1000), (HeaderMap::new, &names)).map(|head| head.unwrap().request)
    };
    assert_eq!(read(headers(1000)).unwrap().headers().len(), 1000);
    assert_eq!(read(headers(1001)).unwrap_err(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    let target = |length: usize| format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(length - 1));
    assert_eq!(read(target(LONGEST_TARGET)).unwrap().uri().path().len(), LONGEST_TARGET);
    assert_eq!(read(target(LONGEST_TARGET + 1)).unwrap_err(), StatusCode::URI_TOO_LONG);
}

/// What is found in a head stays when heads come behind one another on a connection.
#[test]
fn each_head_is_judged_by_itself() {
    let (mut reader, names) = (Reader::default(), Names::default());
    let heads = "GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\nA: b\n\r\nGET /c HTTP/1.1\r\n\r\n";
    let mut buffer = BytesMut::from(heads);
    let mut next = || {
        let head = reader.read(&mut buffer, LIMITS, (HeaderMap::new, &names)).unwrap().unwrap();
        (head.request.uri().path().to_owned(), head.suspect.is_some())
    };
    assert_eq!([next(), next(), next()], [("/a".into(), false), ("/b".into(), true), ("/c".into(), false)]);
}

//! Heads: whole, byte by byte, cut at every place, behind interim ones, and with every fault.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

type Read = Result<Option<(u16, Framing, bool, String, Vec<u8>)>, Malformed>;

/// Reads pieces as they come: status, framing, whether the connection stays, the headers as text, and what is left.
fn read(pieces: &[&[u8]], bodiless: bool) -> Read {
    let (mut reader, mut kept) = (Reader::default(), Kept::default());
    let (mut buffer, mut headers) = (BytesMut::new(), HeaderMap::new());
    headers.insert("x-left", HeaderValue::from_static("of the request"));
    let mut found = None;
    for piece in pieces {
        buffer.extend_from_slice(piece);
        if found.is_none() {
            found = reader.read(&mut buffer, &mut headers, &mut kept, bodiless)?;
        }
    }
    let lines: String = headers
        .iter()
        .map(|(name, value)| format!("{name}={:?};", value.as_bytes().escape_ascii().to_string()))
        .collect();
    Ok(found.map(|head| (head.status.as_u16(), head.framing, head.keep_alive, lines, buffer.to_vec())))
}

fn every_way(bytes: &[u8]) -> Read {
    let whole = read(&[bytes], false);
    let same = |other: Read, how: &str| match (&whole, &other) {
        // A fault may be noticed before everything is there.
        (Err(_), other) => assert!(other.is_err(), "{} {how}", bytes.escape_ascii()),
        (whole, other) => assert_eq!(whole, other, "{} {how}", bytes.escape_ascii()),
    };
    same(read(&bytes.chunks(1).collect::<Vec<_>>(), false), "byte by byte");
    for at in 0..=bytes.len() {
        same(read(&[&bytes[..at], &bytes[at..]], false), &format!("at {at}"));
    }
    whole
}

fn good(bytes: &[u8]) -> (u16, Framing, bool, String, Vec<u8>) {
    every_way(bytes).expect("a sound head").expect("a whole head")
}

#[test]
fn sound_heads_are_read() {
    let chunked = Framing::Chunked(Chunked::default());
    for (bytes, status, framing, keep_alive) in [
        (&b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"[..], 200, Framing::Length(5), true),
        (b"HTTP/1.1 200\r\ncontent-length:0\r\n\r\n", 200, Framing::Over, true),
        (b"HTTP/1.1 404 \x80\r\nTransfer-Encoding: CHUNKED\r\n\r\n", 404, chunked, true),
        (b"HTTP/1.1 200 OK\r\n\r\n", 200, Framing::Close, false),
        (b"HTTP/1.1 204 No\r\n\r\n", 204, Framing::Over, true),
        (b"HTTP/1.1 304 No\r\nContent-Length: 9\r\n\r\n", 304, Framing::Over, true),
        (b"HTTP/1.1 304 No\r\nTransfer-Encoding: chunked\r\n\r\n", 304, Framing::Over, true),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n", 200, Framing::Length(1), false),
        (
            b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: x, Keep-Alive\r\n\r\n",
            200,
            Framing::Length(1),
            true,
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: x ,Close\r\n\r\n",
            200,
            Framing::Length(1),
            false,
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\nConnection: keep-alive\r\n\r\n",
            200,
            Framing::Length(1),
            false,
        ),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", 200, Framing::Close, false),
        (
            b"HTTP/1.1 599 x\r\nContent-Length: 18446744073709551615\r\n\r\n",
            599,
            Framing::Length(u64::MAX),
            true,
        ),
    ] {
        let (read, is, stays, _, left) = good(bytes);
        assert_eq!(
            (read, is, stays, left.len()),
            (status, framing, keep_alive, 0),
            "{}",
            bytes.escape_ascii()
        );
    }
}

#[test]
fn headers_are_what_stands_there_and_nothing_else() {
    let (.., lines, left) = good(
        b"HTTP/1.1 200 OK\r\nX-One:  a b\t \r\nx-two:\r\nX-ONE: \xc3\xa9\r\nContent-Length: 2\r\n\r\nokHTTP",
    );
    assert_eq!(lines, r#"x-one="a b";x-one="\\xc3\\xa9";x-two="";content-length="2";"#);
    assert_eq!(left, b"okHTTP");
}

#[test]
fn a_head_for_itself_has_no_body() {
    for framed in ["Content-Length: 7\r\n", "Transfer-Encoding: chunked\r\n", ""] {
        let bytes = format!("HTTP/1.1 200 OK\r\n{framed}\r\n");
        let (_, framing, keep_alive, ..) = read(&[bytes.as_bytes()], true).unwrap().unwrap();
        assert_eq!((framing, keep_alive), (Framing::Over, true));
    }
}

#[test]
fn what_has_two_readings_is_refused() {
    for lines in [
        "Content-Length: 4\r\nContent-Length: 5\r\n",
        "Content-Length: 4\r\nContent-Length: 4\r\n",
        "Content-Length: 4, 4\r\n",
        "Content-Length: +4\r\n",
        "Content-Length: -4\r\n",
        "Content-Length: 0x4\r\n",
        "Content-Length: 4 4\r\n",
        "Content-Length:\r\n",
        "Content-Length: 18446744073709551616\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding:\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "X-A: a\r\n folded\r\n",
        "X-A: a\r\n\tfolded\r\n",
        " X-A: a\r\n",
        "X-A: a\nContent-Length: 4\r\n",
        "X-A: a\n",
        "X-A: a\rb\r\n",
        "X-A: a\0b\r\n",
        "X-A: a\x7f\r\n",
        "X-A : a\r\n",
        "X A: a\r\n",
        ": a\r\n",
        "no colon\r\n",
    ] {
        for status in ["200 OK", "304 Not Modified"] {
            let bytes = format!("HTTP/1.1 {status}\r\n{lines}\r\n");
            assert_eq!(every_way(bytes.as_bytes()), Err(Malformed), "{}", bytes.escape_debug());
        }
    }
    for start in [
        "\r\nHTTP/1.1 200 OK",
        " HTTP/1.1 200 OK",
        "HTTP/1.1 200 OK\n",
        "HTTP/1.1  200 OK",
        "HTTP/1.1 20 OK",
        "HTTP/1.1 2000 OK",
        "HTTP/1.1 099 OK",
        "HTTP/1.1 101 Switching",
        "HTTP/2.0 200 OK",
        "HTTP/1.2 200 OK",
        "HTTP/0.9 200 OK",
        "http/1.1 200 OK",
        "HTTP/1.1 200 O\0",
        "HTTP/1.1\t200 OK",
        "HTTP/11 200 OK",
        "ICY 200 OK",
        "200 OK",
    ] {
        assert_eq!(every_way(format!("{start}\r\n\r\n").as_bytes()), Err(Malformed), "{start:?}");
    }
    // A version without chunks.
    let old = b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(every_way(old), Err(Malformed));
    assert_eq!(every_way(b"HTTP/1.1 200 OK\r\nContent-Length: 4\n\n"), Err(Malformed), "line feeds alone");
    assert_eq!(every_way(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\n"), Err(Malformed));
}

#[test]
fn interim_answers_are_passed_over_up_to_a_bound() {
    let last = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
    let several = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: EVIL\r\nContent-Length: 9\r\n\r\nHTTP/1.1 102 P\r\n\r\n";
    let (status, framing, .., lines, left) = good(format!("{several}{last}ok").as_bytes());
    assert_eq!(
        (status, framing, &*lines, &*left),
        (200, Framing::Length(2), "content-length=\"2\";", &b"ok"[..])
    );
    let hint = "HTTP/1.1 103 Early Hints\r\n\r\n";
    let most = usize::from(MOST_INTERIM);
    assert!(
        read(&[format!("{}{last}", hint.repeat(most)).as_bytes()], false).is_ok_and(|head| head.is_some())
    );
    assert!(read(&[hint.repeat(most + 1).as_bytes()], false).is_err());
    assert!(read(&[format!("{hint}rest").as_bytes()], false).is_err());
}

/// The bound holds for all heads of one answer, whether their ends are seen or not.
#[test]
fn heads_are_bounded() {
    let filled = |bytes: usize| {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: \r\n\r\n";
        head.replace("X: ", &format!("X: {}", "x".repeat(bytes - head.len())))
    };
    assert!(read(&[filled(HEAD_BYTES).as_bytes()], false).is_ok_and(|head| head.is_some()));
    assert!(read(&[filled(HEAD_BYTES + 1).as_bytes()], false).is_err());
    let endless = filled(2 * HEAD_BYTES);
    assert!(read(&[&endless.as_bytes()[..HEAD_BYTES]], false).is_ok());
    assert!(read(&[&endless.as_bytes()[..=HEAD_BYTES]], false).is_err());
    let interim = format!("HTTP/1.1 103 E\r\nX: {}\r\n\r\n", "x".repeat(HEAD_BYTES / 2));
    assert!(read(&[interim.as_bytes(), interim.as_bytes()], false).is_err());
    let lines =
        |count: usize| format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n{}\r\n", "a: b\r\n".repeat(count));
    assert!(read(&[lines(MOST_HEADERS - 1).as_bytes()], false).is_ok_and(|head| head.is_some()));
    assert!(read(&[lines(MOST_HEADERS).as_bytes()], false).is_err());
}

/// Names that are remembered are those of the answer that is read, whatever the one before it said.
#[test]
fn remembered_names_are_never_another_answers() {
    let answers = [
        "HTTP/1.1 200 OK\r\nX-Amz-Id-2: 1\r\nServer: a\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx-amz-id-2: 2\r\nServer: b\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nServer: c\r\nX-Amz-Id-2: 3\r\nX-Amz-Id-3: 3\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-Same: d\r\nX-Amz-Id-4: 4\r\nX-Amz-Id-2: 4\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nServer: c\r\nX-Amz-Id-2: 3\r\nX-Amz-Id-3: 3\r\nContent-Length: 0\r\n\r\n",
    ];
    let (mut kept, mut headers) = (Kept::default(), HeaderMap::new());
    for answer in answers {
        let mut buffer = BytesMut::from(answer.as_bytes());
        let head = Reader::default().read(&mut buffer, &mut headers, &mut kept, false);
        assert_eq!(head.unwrap().unwrap().framing, Framing::Over);
        let expected: Vec<_> = answer.lines().skip(1).filter_map(|line| line.split_once(": ")).collect();
        let read: Vec<_> =
            headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        assert_eq!(read.len(), expected.len());
        for ((name, value), (expected_name, expected_value)) in read.into_iter().zip(expected) {
            assert_eq!((name, value), (&*expected_name.to_ascii_lowercase(), expected_value));
        }
    }
    let long = format!("HTTP/1.1 200 OK\r\n{}: b\r\n{}\r\n", "n".repeat(70), "b: c\r\n".repeat(100));
    let mut buffer = BytesMut::from(long.as_bytes());
    assert!(Reader::default().read(&mut buffer, &mut headers, &mut kept, false).is_ok());
    assert!(
        kept.names.len() <= MOST_NAMES && kept.names.iter().all(|name| name.as_str().len() <= LONGEST_NAME)
    );
}

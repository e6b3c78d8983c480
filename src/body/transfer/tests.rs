//! Bodies in chunks: whole, byte by byte, cut at every place, and spoilt.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

/// Everything that the pieces bring, whether the body is over, and what is left behind it.
fn decode(pieces: &[&[u8]]) -> Result<(Vec<u8>, bool, Vec<u8>), Malformed> {
    let (mut chunked, mut buffer, mut data) = (Chunked::default(), BytesMut::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        while let Some(some) = chunked.take(&mut buffer)? {
            assert!(!some.is_empty(), "nothing is no data");
            data.extend_from_slice(&some);
        }
    }
    Ok((data, chunked.is_over(), buffer.to_vec()))
}

/// The same however the bytes are cut.
fn every_way(bytes: &[u8]) -> Result<(Vec<u8>, bool, Vec<u8>), Malformed> {
    let whole = decode(&[bytes]);
    assert_eq!(decode(&bytes.chunks(1).collect::<Vec<_>>()), whole, "{}", bytes.escape_ascii());
    for at in 0..=bytes.len() {
        assert_eq!(decode(&[&bytes[..at], &bytes[at..]]), whole, "{} at {at}", bytes.escape_ascii());
    }
    whole
}

#[test]
fn sound_bodies_are_read_and_nothing_behind_them() {
    for (bytes, data) in [
        (&b"0\r\n\r\n"[..], &b""[..]),
        (b"3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n", b"abcdef"),
        (b"0003;ext=1;e=\"q\\\" \x80\"\r\na\r\n\r\n0;x\r\n\r\n", b"a\r\n"),
        (b"A \t\r\n0123456789\r\n00 \t; x\r\n\r\n", b"0123456789"),
        (b"a\r\n0123456789\r\n000\r\nX-A: b\r\nx-c:\r\n\r\n", b"0123456789"),
        (b"0000000000000001\r\nx\r\n0000000000000000\r\n\r\n", b"x"),
        (b"5 ;a=\"b c\"\r\nhello\r\n0\t;\r\n\r\n", b"hello"),
        (b"4\r\n\r\n0\r\r\n0\r\n\r\n", b"\r\n0\r"),
    ] {
        assert_eq!(every_way(bytes), Ok((data.to_vec(), true, Vec::new())), "{}", bytes.escape_ascii());
        let mut more = bytes.to_vec();
        more.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
        assert_eq!(every_way(&more), Ok((data.to_vec(), true, b"HTTP/1.1 200 OK\r\n".to_vec())));
        for end in 0..bytes.len() {
            assert!(decode(&[&bytes[..end]]).is_ok_and(|(.., over, _)| !over), "a beginning is no end");
        }
    }
}

#[test]
fn what_has_two_readings_is_refused() {
    for bytes in [
        &b"\r\n"[..],
        b";\r\n",
        b" 1\r\n",
        b"-1\r\n",
        b"+1\r\n",
        b"0x1\r\n",
        b"g\r\n",
        b"1 1\r\n",
        b"1\n",
        b"1\rx",
        b"0\rx",
        b"1;e\n",
        b"1;e\0\r\n",
        b"1;e\rx",
        b"1 \n",
        b"1\x0b\r\n",
        b"1;a\x7fb\r\n",
        b"1\r\na0\r\n\r\n",
        b"00000000000000001\r\n",
        b"10000000000000000\r\n",
        b"fffffffffffffffff\r\n",
        b"1\r\nab\r\n",
        b"1\r\na\n",
        b"1\r\na\rb",
        b"2\r\na\r\n0\r\n\r\n",
        b"0\r\n\n",
        b"0\r\n\rx",
        b"0\r\nno colon\r\n",
        b"0\r\nname\r\n\r\n",
        b"0\r\n: value\r\n",
        b"0\r\n folded: x\r\n",
        b"0\r\na : x\r\n",
        b"0\r\na: x\n\n",
        b"0\r\na: \0\r\n",
        b"0\r\na: x\ry",
        b"0\r\na: b\r\n folded\r\n\r\n",
        b"0\r\nHTTP/1.1 200 OK\r\n\r\n",
    ] {
        assert_eq!(every_way(bytes), Err(Malformed), "{}", bytes.escape_ascii());
    }
    assert_eq!(decode(&[b"FFFFFFFFFFFFFFFF\r\nx"]).unwrap().0, b"x", "the longest chunk there is");
}

/// Data that came before a fault are told before it, and the fault stays.
#[test]
fn a_fault_is_told_after_what_came_before() {
    let (mut chunked, mut buffer) = (Chunked::default(), BytesMut::from(&b"4\r\nhalf\r\nzz\r\n"[..]));
    assert_eq!(chunked.take(&mut buffer), Ok(Some(Bytes::from_static(b"half"))));
    assert!(!chunked.is_over());
    for _ in 0..3 {
        assert_eq!(chunked.take(&mut buffer), Err(Malformed));
        buffer.clear();
    }
}

#[test]
fn what_is_said_aside_is_bounded() {
    let fill = |count: usize| "x".repeat(count);
    let room = 16 << 10;
    for (bytes, good) in [
        (format!("1;{}\r\na\r\n0\r\n\r\n", fill(room - 1)), true),
        (format!("4\r\nabcd\r\n1;{}\r\na\r\n0\r\n\r\n", fill(room + 3)), true),
        (format!("4\r\nabcd\r\n1;{}\r\na\r\n0\r\n\r\n", fill(room + 4)), false),
        (format!("{}0\r\n\r\n", "8      \r\n12345678\r\n".repeat(room)), true),
        (format!("1;{}\r\na\r\n0\r\n\r\n", fill(room)), false),
        (format!("1{}\r\na\r\n0\r\n\r\n", " ".repeat(room + 1)), false),
        (format!("0\r\na:{}\r\n\r\n", fill(room - 2)), true),
        (format!("0\r\na:{}\r\n\r\n", fill(room - 1)), false),
        (format!("0\r\n{}:\r\n\r\n", fill(room)), false),
        (format!("0\r\n{}\r\n", "a:b\r\n".repeat(room / 3 + 1)), false),
        ("1;x\r\na\r\n".repeat(room - 1), true),
        ("1;x\r\na\r\n".repeat(room), false),
        (format!("0\r\n{}\r\n", "a:\r\n".repeat(100)), true),
        (format!("0\r\n{}\r\n", "a:\r\n".repeat(101)), false),
    ] {
        assert_eq!(decode(&[bytes.as_bytes()]).is_ok(), good, "{}…", &bytes[..bytes.len().min(20)]);
    }
}

#[test]
fn what_is_left_is_known_within_a_chunk_only() {
    let (mut chunked, mut buffer) = (Chunked::default(), BytesMut::from(&b"10\r\nabc"[..]));
    assert_eq!(chunked.left(), 0);
    assert_eq!(chunked.take(&mut buffer).unwrap().unwrap().len(), 3);
    assert_eq!(chunked.left(), 13);
    let mut size = BytesMut::from(&b"ff"[..]);
    let mut other = Chunked::default();
    assert_eq!((other.take(&mut size), other.left()), (Ok(None), 0), "a size that is not whole");
}

//! Headers of both versions, written by hand from the protocol's own page.

use tokio::io::AsyncReadExt;

use super::*;

const SIGNATURE: [u8; 12] = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a];

fn binary(command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    [&SIGNATURE[..], &[command, family], &length, payload].concat()
}

fn v4() -> Vec<u8> {
    vec![203, 0, 113, 9, 10, 0, 0, 1, 0x12, 0x34, 0x21, 0x20]
}

fn v6(source: &str) -> Vec<u8> {
    let source: std::net::Ipv6Addr = source.parse().unwrap();
    [&source.octets()[..], &[0; 16], &[0x12, 0x34, 0x21, 0x20]].concat()
}

/// What is read of a connection that sends these bytes in pieces of this size: the address, and what is left over.
async fn told(bytes: &[u8], piece: usize) -> io::Result<(Option<IpAddr>, Vec<u8>)> {
    let stream = tokio_stream(bytes, piece);
    let (address, mut rest) = read(stream).await?;
    let mut left = Vec::new();
    rest.read_to_end(&mut left).await?;
    Ok((address, left))
}

/// A stream that gives at most `piece` bytes at once.
fn tokio_stream(bytes: &[u8], piece: usize) -> impl AsyncRead + Unpin {
    struct Pieces(Vec<u8>, usize, usize);
    impl AsyncRead for Pieces {
        fn poll_read(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            buffer: &mut tokio::io::ReadBuf<'_>,
        ) -> std::task::Poll<io::Result<()>> {
            let end = self.0.len().min(self.1 + self.2.min(buffer.remaining()));
            buffer.put_slice(&self.0[self.1..end]);
            self.1 = end;
            std::task::Poll::Ready(Ok(()))
        }
    }
    Pieces(bytes.to_vec(), 0, piece)
}

fn good() -> Vec<(Vec<u8>, Option<&'static str>)> {
    let line = |text: &str| text.as_bytes().to_vec();
    let longest = "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n";
    let extended = [&v4()[..], &[0x04, 0, 3, 1, 2, 3], &[0x02, 0, 1, b'a']].concat();
    vec![
        (line("PROXY TCP4 203.0.113.9 10.0.0.1 4660 8480\r\n"), Some("203.0.113.9")),
        (line("PROXY TCP6 2001:db8::1 ::1 4660 8480\r\n"), Some("2001:db8::1")),
        (line("PROXY TCP6 ::ffff:203.0.113.9 ::1 4660 8480\r\n"), Some("203.0.113.9")),
        (line(longest), Some("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")),
        (line("PROXY UNKNOWN\r\n"), None),
        (line("PROXY UNKNOWN 1.2.3.4 5.6.7.8 1 2\r\n"), None),
        (line("PROXY UNKNOWN whatever it is that somebody wrote in this place\r\n"), None),
        (binary(0x21, 0x11, &v4()), Some("203.0.113.9")),
        (binary(0x21, 0x11, &extended), Some("203.0.113.9")),
        (binary(0x21, 0x21, &v6("2001:db8::1")), Some("2001:db8::1")),
        (binary(0x21, 0x21, &v6("::ffff:203.0.113.9")), Some("203.0.113.9")),
        // A health check, with and without addresses of the proxy's own.
        (binary(0x20, 0x00, &[]), None),
        (binary(0x20, 0x11, &v4()), None),
        (binary(0x21, 0x00, &[]), None),
        (binary(0x21, 0x00, &[7; 30]), None),
        (binary(0x21, 0x12, &v4()), None),
        (binary(0x21, 0x31, &[b'x'; 216]), None),
        (binary(0x21, 0x11, &[&v4()[..], &[0; 4096 - 16 - 12]].concat()), Some("203.0.113.9")),
    ]
}

#[tokio::test]
async fn the_callers_bytes_begin_after_the_header() {
    for (header, address) in good() {
        let address: Option<IpAddr> = address.map(|address| address.parse().unwrap());
        for rest in
            [&b""[..], b"GET / HTTP/1.1\r\n\r\n", b"\r\n", b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1\r\n", &[0; 9000]]
        {
            let bytes = [&header[..], rest].concat();
            for piece in [1, 2, 13, 100, 1 << 20] {
                let (found, left) = told(&bytes, piece).await.unwrap();
                assert_eq!(found, address, "{header:?}");
                assert!(left == rest, "{header:?} {piece}: {} bytes left of {}", left.len(), rest.len());
            }
        }
    }
}

#[tokio::test]
async fn a_header_cut_anywhere_is_none() {
    for (header, _) in good() {
        for cut in 0..header.len() {
            let error = told(&header[..cut], 7).await.unwrap_err();
            let nothing = cut == 0;
            let kind = if nothing { io::ErrorKind::ConnectionAborted } else { io::ErrorKind::UnexpectedEof };
            assert_eq!(error.kind(), kind, "{cut} of {header:?}");
        }
    }
}

#[tokio::test]
async fn anything_else_is_refused_without_waiting_for_more() {
    let line = |text: &str| text.as_bytes().to_vec();
    let bad = [
        line("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        line("\x16\x03\x01\x02\x00\x01\x00\x01\x7c"),
        line("\r\n\r\nGET"),
        line("proxy TCP4 1.2.3.4 1.2.3.4 1 1\r\n"),
        line("PROXY  TCP4 1.2.3.4 1.2.3.4 1 1\r\n"),
        line("PROXY TCP4  1.2.3.4 1.2.3.4 1 1\r\n"),
        line("PROXY TCP4 1.2.3.4 1.2.3.4 1 1 \r\n"),
        line("PROXY TCP4 1.2.3.4 1.2.3.4 1 1 1\r\n"),
        line("PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n"),
        line("PROXY TCP4 1.2.3.4, 1.2.3.4 1 1\r\n"),
        line("PROXY TCP4 1.2.3 1.2.3.4 1 1\r\n"),
        line("PROXY TCP4 01.2.3.4 1.2.3.4 1 1\r\n"),
        line("PROXY TCP4 256.2.3.4 1.2.3.4 1 1\r\n"),
        line("PROXY TCP4 ::1 ::1 1 1\r\n"),
        line("PROXY TCP6 1.2.3.4 1.2.3.4 1 1\r\n"),
        line("PROXY TCP6 fe80::1%eth0 ::1 1 1\r\n"),
        line("PROXY TCP4 1.2.3.4 1.2.3.4 65536 1\r\n"),
        line("PROXY TCP4 1.2.3.4 1.2.3.4 -1 1\r\n"),
        line("PROXY UDP4 1.2.3.4 1.2.3.4 1 1\r\n"),
        line("PROXY UNKNOWNS\r\n"),
        line("PROXY \r\n"),
        line("PROXY TCP4 1.2.3.4 1.2.3.4 1 1\rX\r\n"),
        line(&format!("PROXY TCP4 1.2.3.4 1.2.3.4 1 1\n{}", "x".repeat(100))),
        line(&format!("PROXY UNKNOWN {}\r\n", "x".repeat(100))),
        [b"PROXY TCP4 1.2.3.4 1.2.3.4 1 ".as_slice(), b"\xff\r\n"].concat(),
        // Another version, command, family, transport; a length that the family does not fit in.
        binary(0x11, 0x11, &v4()),
        binary(0x31, 0x11, &v4()),
        binary(0x22, 0x11, &v4()),
        binary(0x2f, 0x11, &v4()),
        binary(0x21, 0x41, &v4()),
        binary(0x21, 0x13, &v4()),
        binary(0x21, 0x11, &v4()[..11]),
        binary(0x21, 0x21, &v4()),
        binary(0x21, 0x31, &[0; 215]),
        // Longer than is read: refused by its length alone.
        binary(0x21, 0x11, &[0; 4096 - 16 + 1]),
        binary(0x21, 0x11, &vec![0; 65535])[..16].to_vec(),
    ];
    for header in bad {
        let error = told(&header, 5).await.unwrap_err();
        let text = String::from_utf8_lossy(&header[..header.len().min(60)]);
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{text:?}");
    }
}

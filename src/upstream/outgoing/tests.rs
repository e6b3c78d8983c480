//! Requests on their way out: the bytes, however few the stream takes at a time, and bodies that break.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::rc::Rc;
use std::task::Waker;
use std::time::Duration;

use http::Request;

use super::*;
use crate::body::Meter;
use crate::body::plain::{Checks, Plain};
use crate::body::stream::{Input, Stream};

/// Takes so many bytes at each call, and nothing at every other one.
struct Narrow {
    width: usize,
    took: Vec<u8>,
    calls: usize,
    closed: bool,
}

impl Narrow {
    fn new(width: usize) -> Self {
        Self { width, took: Vec::new(), calls: 0, closed: false }
    }
}

impl AsyncWrite for Narrow {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.calls += 1;
        if this.closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if this.width < 100 && this.calls.is_multiple_of(2) {
            return Poll::Pending;
        }
        let count = bytes.len().min(this.width);
        this.took.extend_from_slice(&bytes[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let all: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        self.poll_write(context, &all)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn head(method: &str, headers: &[(&str, &str)]) -> SignedHead {
    let mut request = Request::builder().method(method);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let head = request.body(()).unwrap().into_parts().0;
    SignedHead { method: head.method, target: Bytes::from_static(b"/b/k?x=%20"), headers: head.headers }
}

/// A caller's body of these bytes that says it has `length`.
fn stream(bytes: &'static [u8], length: Option<u64>) -> Body {
    let input = Input::Memory(Some(Bytes::from_static(bytes)));
    let stream = Stream::new(input, length, Duration::from_secs(1), Rc::<Meter>::default());
    Body::Stream(Box::new(Plain::raw(stream, Checks::default())))
}

/// Sends to the end, or to the fault; what was taken.
fn send(out: &mut Outgoing, to: &mut Narrow) -> Result<String, Fault> {
    let context = &mut Context::from_waker(Waker::noop());
    for _ in 0..10_000 {
        if let Poll::Ready(sent) = out.poll(to, context) {
            return sent.map(|()| to.took.escape_ascii().to_string());
        }
    }
    panic!("it is not sent: {}", to.took.escape_ascii());
}

/// Headers of a case.
type Fields = &'static [(&'static str, &'static str)];
/// What makes the body of a case.
type Make = fn() -> Body;

#[test]
fn requests_are_written_as_they_were_signed() {
    let cases: [(&str, Fields, Make, &str); 8] = [
        (
            "GET",
            &[("Host", "h"), ("X-A", "\u{e9}"), ("x-a", "")],
            || Body::Empty,
            "host: h\r\nx-a: \u{e9}\r\nx-a: \r\n\r\n",
        ),
        ("PUT", &[("content-length", "0")], || Body::Empty, "content-length: 0\r\n\r\n"),
        ("PUT", &[("content-length", "0")], || stream(b"", Some(0)), "content-length: 0\r\n\r\n"),
        (
            "PUT",
            &[("content-length", "5")],
            || Body::whole(Bytes::from_static(b"hello"), None),
            "content-length: 5\r\n\r\nhello",
        ),
        ("PUT", &[("content-length", "5")], || stream(b"hello", Some(5)), "content-length: 5\r\n\r\nhello"),
        ("POST", &[], || Body::whole(Bytes::from_static(b"hello"), None), "content-length: 5\r\n\r\nhello"),
        (
            "PUT",
            &[("a", "b")],
            || stream(b"hello, long world", None),
            "a: b\r\ntransfer-encoding: chunked\r\n\r\n11\r\nhello, long world\r\n0\r\n\r\n",
        ),
        ("GET", &[], || stream(b"hello", None), "\r\n"),
    ];
    for (method, headers, body, expected) in cases {
        for width in [1, 2, 3, 7, 1000] {
            let (mut out, mut to) = (Outgoing::default(), Narrow::new(width));
            // Twice: nothing of a request is left for the next one.
            for _ in 0..2 {
                to.took.clear();
                out.begin(&head(method, headers), body(), Vec::new()).unwrap();
                assert!(!out.is_done() && !out.has_begun());
                let expected = format!("{method} /b/k?x=%20 HTTP/1.1\r\n{expected}");
                assert_eq!(
                    send(&mut out, &mut to),
                    Ok(expected.as_bytes().escape_ascii().to_string()),
                    "{width}"
                );
                assert!(out.is_done() && out.has_begun());
                assert!(out.text.is_empty() && out.at == 0 && out.body.is_end_stream());
            }
        }
    }
}

/// One write for a head and a body that is there.
#[test]
fn short_requests_leave_in_one_piece() {
    for body in [|| Body::whole(Bytes::from_static(b"hello"), None), || stream(b"hello", Some(5))] {
        let (mut out, mut to) = (Outgoing::default(), Narrow::new(1000));
        out.begin(&head("PUT", &[("content-length", "5")]), body(), Vec::new()).unwrap();
        send(&mut out, &mut to).unwrap();
        assert_eq!(to.calls, 1);
    }
}

#[test]
fn heads_and_bodies_that_contradict_each_other_are_not_sent() {
    for (headers, body) in [
        (&[("content-length", "4")][..], stream(b"hello", Some(5))),
        (&[("content-length", "4")], Body::whole(Bytes::from_static(b"hello"), None)),
        (&[("content-length", "4")], Body::Empty),
        (&[("content-length", "0")], Body::whole(Bytes::from_static(b"hello"), None)),
        (&[("content-length", "5"), ("content-length", "5")], stream(b"hello", Some(5))),
        (&[("content-length", "+5")], stream(b"hello", Some(5))),
        (&[("transfer-encoding", "chunked")], stream(b"hello", None)),
    ] {
        assert_eq!(
            Outgoing::default().begin(&head("PUT", headers), body, Vec::new()),
            Err(Fault::Body),
            "{headers:?}"
        );
    }
}

/// A body that is not as long as its head says is never sent whole, and never more of it.
#[test]
fn bodies_of_another_length_break_off() {
    let long = || stream(b"hello", None);
    for (length, most) in [("4", ""), ("9", "hello"), ("1", "")] {
        let (mut out, mut to) = (Outgoing::default(), Narrow::new(1000));
        out.begin(&head("PUT", &[("content-length", length)]), long(), Vec::new()).unwrap();
        assert_eq!(send(&mut out, &mut to), Err(Fault::Body), "{length}");
        let sent = String::from_utf8(to.took).unwrap();
        assert_eq!(sent.split_once("\r\n\r\n").map_or("", |(_, body)| body), most);
        assert!(!out.is_done());
    }
    // One that fails by itself: chunks without a last one.
    let (mut out, mut to) = (Outgoing::default(), Narrow::new(1000));
    let mut checks = Checks::default();
    checks.md5([0; 16]);
    let input = Input::Memory(Some(Bytes::from_static(b"hello")));
    let failing = Stream::new(input, None, Duration::from_secs(1), Rc::<Meter>::default());
    out.begin(&head("PUT", &[]), Body::Stream(Box::new(Plain::raw(failing, checks))), Vec::new()).unwrap();
    assert_eq!(send(&mut out, &mut to), Err(Fault::Body));
    assert!(!to.took.ends_with(b"0\r\n\r\n"));
}

#[test]
fn a_request_is_taken_back_only_when_nothing_of_it_was_written() {
    const LENGTH: Fields = &[("content-length", "5")];
    let whole = || Body::whole(Bytes::from_static(b"hello"), None);
    let bodies: [(Make, Fields, Option<u64>); 4] = [
        (whole, LENGTH, Some(5)),
        (|| Body::Empty, &[], Some(0)),
        // A piece of these was taken.
        (|| stream(b"hello", Some(5)), LENGTH, None),
        (|| stream(b"hello", None), &[], None),
    ];
    for (body, headers, back) in bodies {
        let (mut out, mut to) = (Outgoing::default(), Narrow::new(1000));
        to.closed = true;
        out.begin(&head("PUT", headers), body(), Vec::new()).unwrap();
        assert_eq!(send(&mut out, &mut to), Err(Fault::Wire));
        let mut taken = out.take_back();
        assert_eq!(taken.as_ref().and_then(Body::length), back);
        if back == Some(5) {
            let context = &mut Context::from_waker(Waker::noop());
            let frame = Pin::new(taken.as_mut().unwrap()).poll_frame(context);
            let Poll::Ready(Some(Ok(frame))) = frame else { panic!("no piece of the body") };
            assert_eq!(frame.into_data().unwrap(), "hello");
        }
        // And one byte is enough to keep it.
        let (mut out, mut to) = (Outgoing::default(), Narrow::new(1));
        out.begin(&head("PUT", headers), body(), Vec::new()).unwrap();
        assert!(out.poll(&mut to, &mut Context::from_waker(Waker::noop())).is_pending());
        to.closed = true;
        assert_eq!(send(&mut out, &mut to), Err(Fault::Wire));
        assert!(out.has_begun() && out.take_back().is_none());
    }
}

/// Framing of chunks does not gather in memory.
#[test]
fn a_long_stream_of_chunks_takes_no_room() {
    struct Endless(usize);
    let mut out = Outgoing::default();
    out.begin(&head("PUT", &[]), stream(b"x", None), Vec::new()).unwrap();
    let mut to = Narrow::new(1000);
    let mut left = Endless(1000);
    while left.0 > 0 {
        left.0 -= 1;
        // The next piece of the same body.
        out.body = stream(b"x", None);
        out.framing = Framing::Chunked;
        let context = &mut Context::from_waker(Waker::noop());
        assert!(out.poll_body(context).is_ready());
        while out.at < out.text.len() || !out.piece.is_empty() || !out.tail.is_empty() {
            assert!(out.poll_write(&mut to, context).is_ready());
        }
        assert!(out.text.is_empty());
    }
}

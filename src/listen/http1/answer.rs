//! The head of an answer as bytes, and how its body is framed (RFC 9112, section 6).
//!
//! The framing is decided here and nowhere else: whatever an upstream said of its own connection and of the length of
//! its body stays behind, but for the length that an answer to `HEAD` tells. It does no I/O.

use std::cell::Cell;
use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use http::header::{self, HeaderMap};
use http::{Response, StatusCode};
use jiff::Timestamp;

use super::head::Terms;

/// How a body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// There is none.
    None,
    /// So many bytes are still to come.
    Length(u64),
    /// In chunks.
    Chunked,
    /// It ends with the connection.
    Close,
}

/// Writes the head of an answer whose body has this length, if it is known, and says how the body is framed. Whether
/// the connection goes on is noted in `terms`.
pub(super) fn head<B>(
    answer: &Response<B>,
    length: Option<u64>,
    terms: &mut Terms,
    date: &Date,
    out: &mut Vec<u8>,
) -> Coding {
    let (status, headers) = (answer.status(), answer.headers());
    out.extend_from_slice(if terms.is_old { b"HTTP/1.0 " } else { b"HTTP/1.1 " });
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    // Some parsers want a word.
    out.extend_from_slice(status.canonical_reason().unwrap_or("<none>").as_bytes());
    out.extend_from_slice(b"\r\n");
    for (name, value) in headers {
        if *name == header::CONNECTION {
            let mut options = value.as_bytes().split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
            terms.keep_alive &= !options.any(|option| option.eq_ignore_ascii_case(b"close"));
        } else if !matches!(*name, header::CONTENT_LENGTH | header::TRANSFER_ENCODING) {
            out.extend_from_slice(name.as_str().as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }
    let coding = framing(status, headers, length, terms, out);
    match (terms.is_old, terms.keep_alive) {
        (false, false) => out.extend_from_slice(b"connection: close\r\n"),
        (true, true) => out.extend_from_slice(b"connection: keep-alive\r\n"),
        (false, true) | (true, false) => {}
    }
    if !headers.contains_key(header::DATE) {
        out.extend_from_slice(b"date: ");
        out.extend_from_slice(&date.now());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
    coding
}

fn framing(
    status: StatusCode,
    headers: &HeaderMap,
    length: Option<u64>,
    terms: &mut Terms,
    out: &mut Vec<u8>,
) -> Coding {
    let is_bare = status == StatusCode::NO_CONTENT || status.is_informational();
    if terms.is_head && !is_bare {
        // What a GET would be told; an upstream's own word for it, where it is one number.
        let mut stated = headers.get_all(header::CONTENT_LENGTH).iter().map(header::HeaderValue::as_bytes);
        let digits = |text: &&[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
        match (stated.next().filter(digits), stated.next(), length) {
            (Some(stated), None, _) => {
                out.extend_from_slice(b"content-length: ");
                out.extend_from_slice(stated);
                out.extend_from_slice(b"\r\n");
            }
            (None, None, Some(length @ 1..)) => stating(length, out),
            _ => {}
        }
    }
    if terms.is_head || is_bare || status == StatusCode::NOT_MODIFIED {
        return Coding::None;
    }
    match length {
        Some(0) => {
            stating(0, out);
            Coding::None
        }
        Some(length) => {
            stating(length, out);
            Coding::Length(length)
        }
        None if terms.is_old => {
            terms.keep_alive = false;
            Coding::Close
        }
        None => {
            out.extend_from_slice(b"transfer-encoding: chunked\r\n");
            Coding::Chunked
        }
    }
}

fn stating(length: u64, out: &mut Vec<u8>) {
    // Writing to memory does not fail.
    let _ = write!(out, "content-length: {length}\r\n");
}

/// Writes the line in front of a chunk.
pub(super) fn chunk(length: usize, out: &mut Vec<u8>) {
    // Writing to memory does not fail.
    let _ = write!(out, "{length:x}\r\n");
}

/// The whole answer to what was no request: a status, and that nothing follows.
pub(super) fn bare(status: StatusCode, date: &Date, out: &mut Vec<u8>) {
    let mut terms = Terms { is_old: false, keep_alive: false, is_head: false, expects: false };
    let mut answer = Response::new(());
    *answer.status_mut() = status;
    head(&answer, Some(0), &mut terms, date, out);
}

/// The time as `Date` spells it, spelled once a second.
#[derive(Default)]
pub(super) struct Date(Cell<(u64, [u8; 29])>);

impl Date {
    fn now(&self) -> [u8; 29] {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let (at, text) = self.0.get();
        if at == now {
            return text;
        }
        let text = spelled(now).unwrap_or(*b"Thu, 01 Jan 1970 00:00:00 GMT");
        self.0.set((now, text));
        text
    }
}

fn spelled(seconds: u64) -> Option<[u8; 29]> {
    let time = Timestamp::from_second(i64::try_from(seconds).ok()?).ok()?;
    let text = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&time).ok()?;
    text.as_bytes().try_into().ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const TERMS: Terms = Terms { is_old: false, keep_alive: true, is_head: false, expects: false };

    fn written(answer: &Response<()>, length: Option<u64>, mut terms: Terms) -> (String, Coding, bool) {
        let mut out = Vec::new();
        let coding = head(answer, length, &mut terms, &Date::default(), &mut out);
        (String::from_utf8_lossy(&out).into_owned(), coding, terms.keep_alive)
    }

    fn answer(status: u16, headers: &[(&'static str, &'static str)]) -> Response<()> {
        let mut answer = Response::new(());
        *answer.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
        for (name, value) in headers {
            answer.headers_mut().append(*name, HeaderValue::from_static(value));
        }
        // So that the time does not stand in it.
        answer.headers_mut().insert("date", HeaderValue::from_static("D"));
        answer
    }

    #[test]
    fn bodies_are_framed_by_what_is_known_of_them() {
        let old = Terms { is_old: true, ..TERMS };
        let closing = Terms { keep_alive: false, ..TERMS };
        let head = Terms { is_head: true, ..TERMS };
        let lies: &[(&str, &str)] = &[("content-length", "9"), ("transfer-encoding", "gzip, chunked")];
        for (status, headers, length, terms, text, coding, goes_on) in [
            (200, lies, Some(5), TERMS, "HTTP/1.1 200 OK|date: D|content-length: 5", Coding::Length(5), true),
            (200, lies, Some(0), TERMS, "HTTP/1.1 200 OK|date: D|content-length: 0", Coding::None, true),
            (
                200,
                lies,
                None,
                TERMS,
                "HTTP/1.1 200 OK|date: D|transfer-encoding: chunked",
                Coding::Chunked,
                true,
            ),
            (
                200,
                &[],
                Some(5),
                old,
                "HTTP/1.0 200 OK|date: D|content-length: 5|connection: keep-alive",
                Coding::Length(5),
                true,
            ),
            (200, &[], None, old, "HTTP/1.0 200 OK|date: D", Coding::Close, false),
            (
                200,
                &[],
                None,
                closing,
                "HTTP/1.1 200 OK|date: D|transfer-encoding: chunked|connection: close",
                Coding::Chunked,
                false,
            ),
            (
                403,
                &[("connection", "x, Close")],
                Some(1),
                TERMS,
                "HTTP/1.1 403 Forbidden|date: D|content-length: 1|connection: close",
                Coding::Length(1),
                false,
            ),
            (200, lies, Some(0), head, "HTTP/1.1 200 OK|date: D|content-length: 9", Coding::None, true),
            (200, &[], Some(7), head, "HTTP/1.1 200 OK|date: D|content-length: 7", Coding::None, true),
            (200, &[], Some(0), head, "HTTP/1.1 200 OK|date: D", Coding::None, true),
            (200, &[], None, head, "HTTP/1.1 200 OK|date: D", Coding::None, true),
            (
                200,
                &[("content-length", "9"), ("content-length", "9")],
                None,
                head,
                "HTTP/1.1 200 OK|date: D",
                Coding::None,
                true,
            ),
            (204, lies, Some(0), TERMS, "HTTP/1.1 204 No Content|date: D", Coding::None, true),
            (204, lies, Some(0), head, "HTTP/1.1 204 No Content|date: D", Coding::None, true),
            (304, lies, Some(0), TERMS, "HTTP/1.1 304 Not Modified|date: D", Coding::None, true),
            (
                299,
                &[("a", "b"), ("a", "c")],
                None,
                TERMS,
                "HTTP/1.1 299 <none>|a: b|a: c|date: D|transfer-encoding: chunked",
                Coding::Chunked,
                true,
            ),
        ] {
            let expected = format!("{}\r\n\r\n", text.replace('|', "\r\n"));
            assert_eq!(written(&answer(status, headers), length, terms), (expected, coding, goes_on));
        }
    }

    #[test]
    fn the_time_is_spelled_as_http_does() {
        assert_eq!(
            spelled(784_111_777).as_ref().map(|text| &text[..]),
            Some(&b"Sun, 06 Nov 1994 08:49:37 GMT"[..])
        );
        let date = Date::default();
        let now = date.now();
        assert!(now.ends_with(b" GMT") && date.0.get().1 == now);
        let mut out = Vec::new();
        bare(StatusCode::BAD_REQUEST, &date, &mut out);
        let text = String::from_utf8_lossy(&out);
        let start = "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\ndate: ";
        assert!(text.starts_with(start) && text.ends_with(" GMT\r\n\r\n"), "{text}");
    }
}

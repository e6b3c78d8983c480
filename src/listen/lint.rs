//! A look at the bytes of HTTP/1 heads before the parser has them.
//!
//! hyper accepts some heads that another parser would read differently, and by the time a handler sees them the
//! evidence is gone: `Content-Length` beside `Transfer-Encoding`, a bare LF as line end, a fragment in the target.
//! [`Watch`] follows the framing of a connection just closely enough to find where heads begin, and raises the
//! connection's suspicion; the request path then refuses that request and closes the connection. It never changes
//! a byte. It does no timing and no I/O.

/// Where in the stream of a connection we are.
#[derive(Debug)]
enum State {
    /// Between messages or inside a head; the bytes of it so far.
    Head(Vec<u8>),
    /// This many bytes of body are left.
    Length(u64),
    /// Inside a chunked body.
    Chunked(Chunk),
    /// Lost track, or found what it looks for: the connection closes after this request.
    Blind,
}

#[derive(Debug, Clone, Copy)]
enum Chunk {
    /// In a size line: the size so far, and whether only an extension follows.
    Size(u64, bool),
    /// This many bytes of data are left, with their CRLF.
    Data(u64),
    /// In the trailers: length of the current line.
    Trailer(usize),
}

/// Follows one connection.
#[derive(Debug)]
pub struct Watch {
    state: State,
    limit: usize,
}

impl Watch {
    /// Watches a connection whose heads hold at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { state: State::Head(Vec::new()), limit }
    }

    /// Whether a head has begun and not ended: the caller is being slow, not idle.
    pub fn in_head(&self) -> bool {
        matches!(&self.state, State::Head(bytes) if !bytes.is_empty())
    }

    /// Whether the stream stands between two requests.
    pub fn between_requests(&self) -> bool {
        matches!(&self.state, State::Head(bytes) if bytes.is_empty())
    }

    /// Takes note of bytes that were read; what is ambiguous in a head that ends in them, if anything is.
    pub fn read(&mut self, mut bytes: &[u8]) -> Option<&'static str> {
        let mut found = None;
        while !bytes.is_empty() {
            match &mut self.state {
                State::Blind => return found,
                State::Head(head) => {
                    if head.is_empty() {
                        // Line ends before a request line are to be ignored (RFC 9112, 2.2).
                        let ends = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
                        bytes = &bytes[ends..];
                        if bytes.is_empty() {
                            return found;
                        }
                    }
                    // Most heads come whole and are judged where they lie; of others the beginning is kept.
                    let ended = end_of_head(head, bytes);
                    let taken = ended.unwrap_or(bytes.len());
                    let (of_head, rest) = bytes.split_at(taken);
                    bytes = rest;
                    if head.len() + taken > self.limit + 4 {
                        self.state = State::Blind;
                    } else if ended.is_none() {
                        head.extend_from_slice(of_head);
                    } else {
                        let judged = if head.is_empty() {
                            judge(of_head)
                        } else {
                            head.extend_from_slice(of_head);
                            judge(head)
                        };
                        match judged {
                            Ok(next) => self.state = next,
                            Err(what) => {
                                found = Some(what);
                                self.state = State::Blind;
                            }
                        }
                    }
                }
                State::Length(left) => {
                    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                    *left -= taken as u64;
                    if *left == 0 {
                        self.state = State::Head(Vec::new());
                    }
                    bytes = &bytes[taken..];
                }
                State::Chunked(chunk) => {
                    let (next, taken) = chunk.read(bytes);
                    bytes = &bytes[taken..];
                    self.state = next;
                }
            }
        }
        found
    }
}

/// How many bytes, up to and including an empty line, end a head that begins with `before`; `None` when none do.
fn end_of_head(before: &[u8], bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|&byte| byte == b'\n') {
        let end = from + at;
        // The two bytes in front of this line feed, of which some may have come before.
        let back = |distance: usize| match end.checked_sub(distance) {
            Some(index) => Some(bytes[index]),
            None => before.len().checked_sub(distance - end).map(|index| before[index]),
        };
        if back(1) == Some(b'\n') || back(1) == Some(b'\r') && back(2) == Some(b'\n') {
            return Some(end + 1);
        }
        from = end + 1;
    }
    None
}

/// What follows a complete head, or what is ambiguous in it.
fn judge(head: &[u8]) -> Result<State, &'static str> {
    let bare = head.iter().enumerate().any(|(at, &byte)| byte == b'\n' && (at == 0 || head[at - 1] != b'\r'));
    if bare {
        return Err("a line of the head ends in a bare line feed");
    }
    let mut lines = head.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    if lines.next().is_some_and(|request| request.contains(&b'#')) {
        return Err("a fragment in the request target");
    }
    let mut length: Option<&[u8]> = None;
    let mut encoding: Option<&[u8]> = None;
    for line in lines {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") && length.replace(value).is_some() {
            return Err("two Content-Length headers");
        }
        if name.eq_ignore_ascii_case(b"transfer-encoding") && encoding.replace(value).is_some() {
            return Err("two Transfer-Encoding headers");
        }
    }
    match (length, encoding) {
        (Some(_), Some(_)) => Err("both Transfer-Encoding and Content-Length"),
        (None, None) => Ok(State::Head(Vec::new())),
        (None, Some(encoding)) if encoding.eq_ignore_ascii_case(b"chunked") => {
            Ok(State::Chunked(Chunk::Size(0, false)))
        }
        (None, Some(_)) => Err("a Transfer-Encoding other than exactly `chunked`"),
        (Some(length), None) => {
            let canonical = length == b"0" || !length.starts_with(b"0");
            let digits =
                std::str::from_utf8(length).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
            match digits.and_then(|text| text.parse().ok()) {
                Some(0) if canonical => Ok(State::Head(Vec::new())),
                Some(length) if canonical => Ok(State::Length(length)),
                _ => Err("a Content-Length that is not one plain number"),
            }
        }
    }
}

impl Chunk {
    /// Advances over some of `bytes`; the next state, and how many were taken.
    fn read(self, bytes: &[u8]) -> (State, usize) {
        match self {
            Self::Data(left) => {
                let taken = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                let left = left - taken as u64;
                let next = if left == 0 { Self::Size(0, false) } else { Self::Data(left) };
                (State::Chunked(next), taken)
            }
            Self::Size(size, extension) => {
                let byte = bytes[0];
                let next = match char::from(byte).to_digit(16) {
                    _ if byte == b'\n' && size == 0 => Some(Self::Trailer(0)),
                    _ if byte == b'\n' => size.checked_add(2).map(Self::Data),
                    _ if extension || byte == b'\r' => Some(Self::Size(size, extension)),
                    Some(digit) => {
                        size.checked_mul(16).map(|size| Self::Size(size + u64::from(digit), false))
                    }
                    None => Some(Self::Size(size, true)),
                };
                (next.map_or(State::Blind, State::Chunked), 1)
            }
            Self::Trailer(line) => match bytes[0] {
                b'\n' if line == 0 => (State::Head(Vec::new()), 1),
                b'\n' => (State::Chunked(Self::Trailer(0)), 1),
                b'\r' => (State::Chunked(self), 1),
                _ => (State::Chunked(Self::Trailer(line + 1)), 1),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found when the bytes come one by one, which must be what is found when they come at once.
    fn found(bytes: &str) -> Option<&'static str> {
        let whole = Watch::new(1000).read(bytes.as_bytes());
        let mut watch = Watch::new(1000);
        let single = bytes.as_bytes().iter().find_map(|byte| watch.read(std::slice::from_ref(byte)));
        assert_eq!(whole, single, "{bytes:?}");
        for at in 0..bytes.len() {
            let (first, second) = bytes.as_bytes().split_at(at);
            let mut watch = Watch::new(1000);
            assert_eq!(watch.read(first).or_else(|| watch.read(second)), whole, "{bytes:?} at {at}");
        }
        whole
    }

    #[test]
    fn ambiguous_heads_are_found_wherever_they_stand() {
        let good = [
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "PUT / HTTP/1.1\r\nContent-Length: 4\r\n\r\n\n\n\n\n",
            "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2;x=\"0\"\r\n\n\n\r\n0\r\nA: b\r\n\r\n",
            "\r\nPUT / HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
        ];
        let bad = [
            "GET / HTTP/1.1\nHost: a\n\n",
            "GET /#x HTTP/1.1\r\nHost: a\r\n\r\n",
            "PUT / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
            "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n",
            "PUT / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "PUT / HTTP/1.1\r\nContent-Length: 01\r\n\r\n",
            "PUT / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            "PUT / HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
        ];
        for first in good {
            assert_eq!(found(first), None, "{first:?}");
            for second in bad {
                assert!(found(&format!("{first}{second}")).is_some(), "{first:?} {second:?}");
                assert!(found(second).is_some(), "{second:?}");
            }
        }
    }
}

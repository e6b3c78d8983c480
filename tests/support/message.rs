//! HTTP/1.1 messages as the tests read them: strictly, and without any help from an HTTP library.

use std::io::{self, Read};

/// The headers of a message in their order, values as they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(pub Vec<(String, String)>);

impl Headers {
    /// All values of a name, whatever its letter case.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let same = |(known, _): &&(String, String)| known.eq_ignore_ascii_case(name);
        self.0.iter().filter(same).map(|(_, value)| value.as_str()).collect()
    }

    /// The only value of a name; two of them fail the test.
    #[track_caller]
    pub fn one(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "header {name} stands {} times: {all:?}", all.len());
        all.first().copied()
    }

    /// Whether a name is there.
    pub fn has(&self, name: &str) -> bool {
        !self.all(name).is_empty()
    }

    /// All names, lower case, in their order.
    pub fn names(&self) -> Vec<String> {
        self.0.iter().map(|(name, _)| name.to_ascii_lowercase()).collect()
    }
}

/// A start line and headers. Bytes above ASCII are read as Latin-1, so that nothing is lost.
#[derive(Clone, Debug, Default)]
pub struct Head {
    pub start: String,
    pub headers: Headers,
}

impl Head {
    /// Reads a head strictly; what is wrong with it, if anything.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text: String = bytes.iter().map(|&byte| char::from(byte)).collect();
        let text = text.strip_suffix("\r\n\r\n").ok_or("the head does not end in an empty line")?;
        let mut lines = text.split("\r\n");
        let start = lines.next().unwrap_or_default().to_owned();
        let mut headers = Headers::default();
        for line in lines {
            let (name, value) = line.split_once(':').ok_or(format!("no colon in {line:?}"))?;
            let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
            if name.is_empty() || !name.chars().all(token) || value.chars().any(|c| c.is_ascii_control()) {
                return Err(format!("a header that no strict parser takes: {line:?}"));
            }
            headers.0.push((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()));
        }
        if start.chars().any(|c| c.is_ascii_control()) {
            return Err(format!("a control character in {start:?}"));
        }
        Ok(Self { start, headers })
    }

    /// How the body after this head is framed; `Err` when two parsers could differ.
    pub fn framing(&self) -> Result<Framing, String> {
        let lengths = self.headers.all("content-length");
        let encodings = self.headers.all("transfer-encoding");
        match (lengths.as_slice(), encodings.as_slice()) {
            ([], []) => Ok(Framing::None),
            ([], ["chunked"]) => Ok(Framing::Chunked),
            ([digits], []) if *digits == "0" || !digits.starts_with('0') => {
                let length = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok());
                length.flatten().map(Framing::Length).ok_or(format!("bad length {digits:?}"))
            }
            other => Err(format!("ambiguous framing {other:?}")),
        }
    }
}

/// How a body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Nothing says.
    None,
    /// `Content-Length`.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// A body, and whether its framing said that it was over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body {
    pub bytes: Vec<u8>,
    pub complete: bool,
    pub trailers: Vec<String>,
}

/// Reads messages from a stream, byte for byte.
pub struct Wire<S> {
    pub stream: S,
    buffer: Vec<u8>,
    /// Everything that was ever read.
    pub seen: Vec<u8>,
    keep: bool,
}

impl<S: Read> Wire<S> {
    /// A reader that remembers everything.
    pub fn new(stream: S) -> Self {
        Self { stream, buffer: Vec::new(), seen: Vec::new(), keep: true }
    }

    /// Stops remembering: long bodies.
    pub fn forget(&mut self) {
        self.keep = false;
    }

    /// Reads more; how many bytes, 0 at the end.
    pub fn fill(&mut self) -> io::Result<usize> {
        let mut chunk = [0; 16 << 10];
        let count = self.stream.read(&mut chunk)?;
        self.buffer.extend_from_slice(&chunk[..count]);
        if self.keep {
            self.seen.extend_from_slice(&chunk[..count]);
        }
        Ok(count)
    }

    /// Bytes that were read and not yet asked for.
    pub fn pending(&self) -> &[u8] {
        &self.buffer
    }

    /// The bytes up to and including `end`; `None` when the stream ends before.
    pub fn until(&mut self, end: &[u8]) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(at) = self.buffer.windows(end.len()).position(|window| window == end) {
                return Ok(Some(self.buffer.drain(..at + end.len()).collect()));
            }
            if self.fill()? == 0 {
                return Ok(None);
            }
        }
    }

    /// A head; `Ok(None)` when the stream ends before its first byte.
    pub fn head(&mut self) -> Result<Option<Head>, String> {
        let text = |error: io::Error| format!("reading a head: {error}");
        match self.until(b"\r\n\r\n").map_err(text)? {
            Some(bytes) => Head::parse(&bytes).map(Some),
            None if self.buffer.is_empty() => Ok(None),
            None => Err(format!("half a head: {:?}", String::from_utf8_lossy(&self.buffer))),
        }
    }

    /// `count` bytes, or fewer at the end of the stream.
    pub fn exactly(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() < count {
            if self.fill()? == 0 {
                break;
            }
        }
        let count = count.min(self.buffer.len());
        Ok(self.buffer.drain(..count).collect())
    }

    /// The body that follows a head; a stream that breaks off gives what came, not complete.
    pub fn body(&mut self, framing: Framing) -> Result<Body, String> {
        match framing {
            Framing::None => Ok(Body { complete: true, ..Body::default() }),
            Framing::Length(length) => {
                let length = usize::try_from(length).map_err(|error| error.to_string())?;
                let bytes = self.exactly(length).map_err(|error| format!("reading a body: {error}"))?;
                Ok(Body { complete: bytes.len() == length, bytes, trailers: Vec::new() })
            }
            Framing::Chunked => self.chunks(),
        }
    }

    /// Everything until the stream ends.
    pub fn rest(&mut self) -> Result<Vec<u8>, String> {
        while self.fill().map_err(|error| format!("reading the rest: {error}"))? > 0 {}
        Ok(std::mem::take(&mut self.buffer))
    }

    fn chunks(&mut self) -> Result<Body, String> {
        let text = |error: io::Error| format!("reading chunks: {error}");
        let mut body = Body::default();
        loop {
            let Some(line) = self.until(b"\r\n").map_err(text)? else { return Ok(body) };
            let digits = String::from_utf8_lossy(&line[..line.len() - 2]).into_owned();
            let size = usize::from_str_radix(&digits, 16).map_err(|_| format!("chunk size {digits:?}"))?;
            if size == 0 {
                break;
            }
            let data = self.exactly(size + 2).map_err(text)?;
            if data.len() < size + 2 {
                body.bytes.extend_from_slice(&data[..data.len().min(size)]);
                return Ok(body);
            }
            if &data[size..] != b"\r\n" {
                return Err("a chunk that does not end in CRLF".to_owned());
            }
            body.bytes.extend_from_slice(&data[..size]);
        }
        loop {
            match self.until(b"\r\n").map_err(text)? {
                None => return Ok(body),
                Some(line) if line == b"\r\n" => break,
                Some(line) => body.trailers.push(String::from_utf8_lossy(&line).trim_end().to_owned()),
            }
        }
        body.complete = true;
        Ok(body)
    }
}

//! A raw caller: it sends the bytes it is told to and reads answers strictly.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use super::PATIENCE;
use super::message::{Framing, Headers, Wire};

/// A request to be written out.
#[derive(Clone, Debug)]
pub struct Ask {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    length: bool,
}

/// A request for `target`, to be sent with a `Host` of the listener unless one is set.
pub fn ask(method: &str, target: &str) -> Ask {
    let (method, target) = (method.to_owned(), target.to_owned());
    Ask { method, target, headers: Vec::new(), body: Vec::new(), length: false }
}

impl Ask {
    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the body, with its length.
    #[must_use]
    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        body.as_ref().clone_into(&mut self.body);
        self.length = true;
        self
    }

    /// Sets a form as the body.
    #[must_use]
    pub fn form(self, form: &str) -> Self {
        self.header("Content-Type", "application/x-www-form-urlencoded").body(form)
    }

    /// The bytes, for a listener on `address`.
    pub fn bytes(&self, address: SocketAddr) -> Vec<u8> {
        let mut out = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            out.extend_from_slice(format!("Host: {address}\r\n").as_bytes());
        }
        for (name, value) in &self.headers {
            out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        if self.length {
            out.extend_from_slice(format!("Content-Length: {}\r\n", self.body.len()).as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&self.body);
        out
    }

    /// The method.
    pub fn method(&self) -> &str {
        &self.method
    }
}

/// An answer as it arrived.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Headers,
    pub body: Vec<u8>,
    /// Whether the framing said that the body was over.
    pub complete: bool,
    pub trailers: Vec<String>,
    /// The statuses of 1xx answers that came before.
    pub interim: Vec<u16>,
}

impl Response {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The code of a refusal of the gateway's own.
    #[track_caller]
    pub fn error(&self) -> &str {
        self.headers.one("x-countersign-error").unwrap_or("")
    }

    /// Fails unless the gateway refused with this status and code.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) -> &Self {
        assert_eq!((self.status, self.error()), (status, code), "{self:?}");
        self
    }

    /// Fails unless the status is this one and the answer came from the upstream.
    #[track_caller]
    pub fn passed(&self, status: u16) -> &Self {
        assert_eq!((self.status, self.error()), (status, ""), "{}", self.text());
        self
    }
}

/// A connection to a gateway.
pub struct Caller {
    wire: Wire<TcpStream>,
    address: SocketAddr,
}

impl Caller {
    /// Connects.
    pub fn to(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).unwrap())
    }

    /// Goes on with a connection.
    pub fn over(stream: TcpStream) -> Self {
        let address = stream.peer_addr().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { wire: Wire::new(stream), address }
    }

    /// Sends bytes. That the other side has closed shows when reading.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.wire.stream.write_all(bytes).is_ok()
    }

    /// Sends a request and reads its answer.
    #[track_caller]
    pub fn call(&mut self, ask: &Ask) -> Response {
        let bytes = ask.bytes(self.address);
        self.send(&bytes);
        self.response(ask.method())
    }

    /// Reads the answer to a request of `method`.
    #[track_caller]
    pub fn response(&mut self, method: &str) -> Response {
        match self.try_response(method) {
            Ok(Some(response)) => response,
            Ok(None) => panic!("the connection was closed without an answer"),
            Err(error) => panic!("no answer: {error}"),
        }
    }

    /// Reads an answer's head and leaves its body on the wire.
    pub fn response_head(&mut self) -> Result<Option<(u16, Headers)>, String> {
        let Some(head) = self.wire.head()? else { return Ok(None) };
        let status = head.start.strip_prefix("HTTP/1.1 ").or_else(|| head.start.strip_prefix("HTTP/1.0 "));
        let status = status.and_then(|rest| rest.get(..3)?.parse().ok());
        Ok(Some((status.ok_or(format!("status line {:?}", head.start))?, head.headers)))
    }

    /// Reads an answer; `Ok(None)` when the connection was closed before one.
    pub fn try_response(&mut self, method: &str) -> Result<Option<Response>, String> {
        let mut interim = Vec::new();
        loop {
            let Some((status, headers)) = self.response_head()? else { return Ok(None) };
            if (100..200).contains(&status) {
                interim.push(status);
                continue;
            }
            let head = super::message::Head { start: String::new(), headers };
            let framing = head.framing()?;
            let bodiless = method == "HEAD" || status == 204 || status == 304;
            let body = match framing {
                _ if bodiless => self.wire.body(Framing::None)?,
                Framing::None => {
                    // Ends with the connection: nothing tells whole from cut.
                    let bytes = self.wire.rest()?;
                    super::message::Body { bytes, complete: false, trailers: Vec::new() }
                }
                framing => self.wire.body(framing)?,
            };
            let super::message::Body { bytes, complete, trailers } = body;
            let headers = head.headers;
            return Ok(Some(Response { status, headers, body: bytes, complete, trailers, interim }));
        }
    }

    /// Reads `count` bytes, or fewer at the end.
    pub fn read(&mut self, count: usize) -> Vec<u8> {
        self.wire.exactly(count).unwrap_or_default()
    }

    /// Reads whatever comes within `time`; `None` when the connection was closed.
    pub fn quiet_for(&mut self, time: Duration) -> Option<Vec<u8>> {
        if !self.wire.pending().is_empty() {
            let pending = self.wire.pending().len();
            return self.wire.exactly(pending).ok();
        }
        self.wire.stream.set_read_timeout(Some(time)).unwrap();
        let mut byte = [0; 4096];
        let read = self.wire.stream.read(&mut byte);
        self.wire.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        match read {
            Ok(0) => None,
            Ok(count) => Some(byte[..count].to_vec()),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Some(Vec::new())
            }
            Err(_) => None,
        }
    }

    /// Fails unless the gateway closes the connection without another byte.
    #[track_caller]
    pub fn closed(&mut self) {
        match self.quiet_for(PATIENCE) {
            None => {}
            Some(bytes) if bytes.is_empty() => panic!("the connection was not closed"),
            Some(bytes) => panic!("more bytes came: {:?}", String::from_utf8_lossy(&bytes)),
        }
    }

    /// Sends no more, and still reads.
    pub fn finish_sending(&self) {
        self.wire.stream.shutdown(Shutdown::Write).ok();
    }

    /// The stream itself.
    pub fn stream(&self) -> &TcpStream {
        &self.wire.stream
    }
}

//! A scripted upstream on a raw socket: it records every byte of every connection and answers as the test says.

use std::io::Write;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use super::PATIENCE;
use super::message::{Body, Framing, Head, Headers, Wire};

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Request {
    /// Which connection carried it, counted from 0.
    pub connection: usize,
    pub method: String,
    /// The request target, byte for byte.
    pub target: String,
    pub headers: Headers,
    pub framing: Framing,
    /// The body without HTTP framing.
    pub body: Vec<u8>,
    /// Whether the framing said that the body was over.
    pub complete: bool,
    pub trailers: Vec<String>,
}

impl Request {
    fn new(connection: usize, head: &Head, framing: Framing, body: Body) -> Result<Self, String> {
        let mut words = head.start.split(' ');
        let (method, target, version) = (words.next(), words.next(), words.next());
        if version != Some("HTTP/1.1") || words.next().is_some() {
            return Err(format!("request line {:?}", head.start));
        }
        Ok(Self {
            connection,
            method: method.unwrap_or_default().to_owned(),
            target: target.unwrap_or_default().to_owned(),
            headers: head.headers.clone(),
            framing,
            body: body.bytes,
            complete: body.complete,
            trailers: body.trailers,
        })
    }

    /// The target before `?`.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The target after `?`.
    pub fn query(&self) -> Option<&str> {
        self.target.split_once('?').map(|(_, query)| query)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

#[derive(Default)]
struct Seen {
    /// Every byte that each connection brought.
    connections: Vec<Vec<u8>>,
    /// How each connection ended, once it has.
    closed: Vec<bool>,
    requests: Vec<Request>,
    faults: Vec<String>,
}

/// An upstream; its threads end with it.
pub struct Upstream {
    pub address: SocketAddr,
    seen: Arc<(Mutex<Seen>, Condvar)>,
    ended: Arc<AtomicBool>,
}

impl Upstream {
    /// Answers every request with `200 ok`.
    pub fn ok() -> Self {
        Self::answering(|_| answer(200, &[], b"ok"))
    }

    /// Reads each request whole and answers with the bytes of `script`.
    pub fn answering(script: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::scripted(move |talk| {
            while let Some(request) = talk.request() {
                talk.write(&script(&request));
            }
        })
    }

    /// Hands each connection to `script`; it is closed when the script returns.
    pub fn scripted(script: impl Fn(&mut Talk) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new((Mutex::new(Seen::default()), Condvar::new()));
        let ended = Arc::new(AtomicBool::new(false));
        let script = Arc::new(script);
        let (all, over) = (seen.clone(), ended.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { continue };
                if over.load(Ordering::SeqCst) {
                    return;
                }
                stream.set_read_timeout(Some(PATIENCE * 2)).unwrap();
                stream.set_nodelay(true).unwrap();
                let connection = {
                    let mut seen = all.0.lock().unwrap();
                    seen.connections.push(Vec::new());
                    seen.closed.push(false);
                    seen.connections.len() - 1
                };
                let (script, all) = (script.clone(), all.clone());
                std::thread::spawn(move || {
                    let mut talk = Talk { wire: Wire::new(stream), connection, seen: all, flushed: 0 };
                    script(&mut talk);
                    talk.end();
                });
            }
        });
        Self { address, seen, ended }
    }

    /// `http://` and the address.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many connections were made.
    pub fn connections(&self) -> usize {
        self.seen.0.lock().unwrap().connections.len()
    }

    /// Every byte that a connection brought so far.
    pub fn bytes(&self, connection: usize) -> Vec<u8> {
        self.seen.0.lock().unwrap().connections[connection].clone()
    }

    /// Whether the other side has closed a connection.
    pub fn is_closed(&self, connection: usize) -> bool {
        self.seen.0.lock().unwrap().closed.get(connection).copied().unwrap_or(false)
    }

    /// All requests that were read to the end or broke off; fails when bytes came that are no request.
    #[track_caller]
    pub fn requests(&self) -> Vec<Request> {
        let seen = self.seen.0.lock().unwrap();
        assert!(seen.faults.is_empty(), "the upstream was sent what is no HTTP: {:?}", seen.faults);
        seen.requests.clone()
    }

    /// Waits until there have been `count` requests.
    #[track_caller]
    pub fn wait_for(&self, count: usize) -> Vec<Request> {
        let start = Instant::now();
        let mut seen = self.seen.0.lock().unwrap();
        while seen.requests.len() < count {
            assert!(start.elapsed() < PATIENCE, "{count} requests expected, {} came", seen.requests.len());
            seen = self.seen.1.wait_timeout(seen, Duration::from_millis(50)).unwrap().0;
        }
        drop(seen);
        self.requests()
    }

    /// The last request; there must have been one.
    #[track_caller]
    pub fn last(&self) -> Request {
        self.wait_for(1).pop().unwrap()
    }

    /// Forgets the requests so far and gives them.
    #[track_caller]
    pub fn take(&self) -> Vec<Request> {
        let requests = self.requests();
        self.seen.0.lock().unwrap().requests.clear();
        requests
    }

    /// Fails if anybody ever connected.
    #[track_caller]
    pub fn assert_untouched(&self, why: &str) {
        assert_eq!(self.connections(), 0, "a connection was made: {why}");
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // Wakes the accepting thread.
        let _ = TcpStream::connect(self.address);
    }
}

/// One connection, in a script's hands.
pub struct Talk {
    wire: Wire<TcpStream>,
    /// Which one, counted from 0.
    pub connection: usize,
    seen: Arc<(Mutex<Seen>, Condvar)>,
    flushed: usize,
}

impl Talk {
    /// Stops recording bytes: long bodies.
    pub fn forget(&mut self) {
        self.wire.forget();
    }

    /// Reads a head; `None` when the connection ends.
    pub fn head(&mut self) -> Option<Head> {
        let head = self.wire.head();
        self.flush();
        match head {
            Ok(head) => head,
            Err(fault) => self.fault(fault),
        }
    }

    /// Reads a whole request and records it; `None` when the connection ends.
    pub fn request(&mut self) -> Option<Request> {
        let head = self.head()?;
        self.body(&head)
    }

    /// Reads the body after a head and records the request.
    pub fn body(&mut self, head: &Head) -> Option<Request> {
        let read = head.framing().and_then(|framing| {
            let body = self.wire.body(framing)?;
            Request::new(self.connection, head, framing, body)
        });
        self.flush();
        match read {
            Ok(request) => {
                self.seen.0.lock().unwrap().requests.push(request.clone());
                self.seen.1.notify_all();
                Some(request)
            }
            Err(fault) => self.fault(fault),
        }
    }

    /// Reads at least `count` bytes and throws them away; how many came before the end.
    pub fn skip(&mut self, count: usize) -> usize {
        let read = self.wire.exactly(count).unwrap_or_default().len();
        self.flush();
        read
    }

    /// Reads until the other side closes; what came.
    pub fn drain(&mut self) -> Vec<u8> {
        let rest = self.wire.rest().unwrap_or_default();
        self.end();
        rest
    }

    /// Writes bytes; whether the other side took them.
    pub fn write(&mut self, bytes: &[u8]) -> bool {
        self.wire.stream.write_all(bytes).is_ok()
    }

    /// Closes abruptly: the other side sees a reset.
    pub fn reset(&mut self) {
        let _ = socket2::SockRef::from(&self.wire.stream).set_linger(Some(Duration::ZERO));
        self.wire.stream.shutdown(Shutdown::Both).ok();
    }

    fn flush(&mut self) {
        let fresh = &self.wire.seen[self.flushed..];
        self.seen.0.lock().unwrap().connections[self.connection].extend_from_slice(fresh);
        self.flushed = self.wire.seen.len();
    }

    fn fault<T>(&self, fault: String) -> Option<T> {
        // A read that broke off, by time or by reset, is the test's business and not malformed.
        if !fault.starts_with("reading") {
            self.seen.0.lock().unwrap().faults.push(fault);
        }
        None
    }

    fn end(&mut self) {
        self.flush();
        let mut seen = self.seen.0.lock().unwrap();
        seen.closed[self.connection] = true;
        self.seen.1.notify_all();
    }
}

/// The bytes of an answer with a length.
pub fn answer(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut out = format!("HTTP/1.1 {status} Status\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        out.push_str(&format!("{name}: {value}\r\n"));
    }
    out.push_str("\r\n");
    let mut out = out.into_bytes();
    out.extend_from_slice(body);
    out
}

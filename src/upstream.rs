//! Connections to upstreams: one pool per worker and endpoint, which sends a [`SignedRequest`] and nothing else.
//!
//! A connection goes back to its pool only when its answer was read to the end; whatever was cut short, answered
//! early or broke the protocol takes its connection with it. A request is tried again only when the connection
//! turned out to be closed before a single byte of it was written. Redirects are never followed.

mod allowance;
mod forbidden;

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use http::{Request, Response, Uri, header};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::body::Body;
use crate::outbound::SignedRequest;
use crate::reason::Reason;
use crate::snapshot::Endpoint;
use allowance::{Allowance, Counted};
use forbidden::is_forbidden;

/// An idle connection is not trusted longer than this: most servers close theirs after 60 to 75 seconds.
const IDLE: Duration = Duration::from_secs(30);
/// Idle connections kept per worker and endpoint.
const MOST_IDLE: usize = 128;
/// How long a connection may take to become idle after its answer ended.
const SETTLE: Duration = Duration::from_secs(5);
/// Headers of an answer, and their bytes.
const MOST_HEADERS: usize = 256;
const HEAD_BYTES: usize = 128 << 10;

/// Runs hyper's helper tasks on the worker's own thread.
#[derive(Clone, Copy)]
pub struct LocalExecutor;

impl<F: Future + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

/// All pools of one worker.
#[derive(Default)]
pub struct Pools(RefCell<HashMap<usize, Rc<Pool>>>);

impl Pools {
    /// The pool of an endpoint. Endpoints outlive reloads that do not change them, and so do their pools.
    pub fn of(&self, endpoint: &Arc<Endpoint>) -> Rc<Pool> {
        let key = Arc::as_ptr(endpoint).addr();
        if let Some(pool) = self.0.borrow().get(&key) {
            return pool.clone();
        }
        let pool = Rc::new(Pool {
            endpoint: Arc::downgrade(endpoint),
            idle: RefCell::default(),
            shared: RefCell::default(),
        });
        self.0.borrow_mut().insert(key, pool.clone());
        pool
    }

    /// Closes what has been idle for too long and forgets endpoints that no snapshot uses any more.
    pub fn sweep(&self) {
        self.0.borrow_mut().retain(|_, pool| {
            pool.idle.borrow_mut().retain(Idle::is_fresh);
            pool.endpoint.strong_count() > 0
        });
    }
}

/// The connections of one endpoint.
pub struct Pool {
    /// Held by snapshots alone, so that the pools of all workers go when the last of those does. While this is
    /// here no other endpoint gets its address.
    endpoint: Weak<Endpoint>,
    idle: RefCell<Vec<Idle>>,
    /// An HTTP/2 connection, which many requests share.
    shared: RefCell<Option<http2::SendRequest<Body>>>,
}

/// An HTTP/1 connection.
struct Line {
    sender: http1::SendRequest<Body>,
    allowance: Rc<Allowance>,
}

struct Idle {
    line: Line,
    since: Instant,
}

impl Idle {
    fn is_fresh(&self) -> bool {
        self.since.elapsed() < IDLE && self.line.sender.is_ready()
    }
}

/// A connection that is in use: given back when the answer's last byte was read, closed when it is dropped before.
pub struct Lease {
    pool: Rc<Pool>,
    line: Line,
}

impl Lease {
    /// Gives the connection back. One whose request is still being written waits for that a little: the upstream
    /// answered early, and if it does not read the rest the connection is closed.
    pub fn give_back(mut self) {
        if self.line.sender.is_ready() {
            self.pool.keep(self.line);
            return;
        }
        tokio::task::spawn_local(async move {
            let ready = tokio::time::timeout(SETTLE, self.line.sender.ready()).await;
            if matches!(ready, Ok(Ok(()))) {
                self.pool.keep(self.line);
            }
        });
    }
}

/// A connection for one request.
enum Connection {
    Own(Line),
    Shared(http2::SendRequest<Body>),
}

/// An exchange that failed, with the request when not one byte of it was written.
struct Unsent(Option<Box<Request<Body>>>, Reason);

/// An upstream's answer, and the lease that its body holds.
pub struct Answer {
    /// Head and body.
    pub response: Response<Incoming>,
    /// The connection, where it belongs to this answer alone.
    pub lease: Option<Lease>,
}

impl Pool {
    fn keep(&self, line: Line) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < MOST_IDLE {
            idle.push(Idle { line, since: Instant::now() });
        }
    }

    /// Sends a signed request. The caller bounds the time; `connect` bounds connecting alone.
    pub async fn send(self: &Rc<Self>, request: SignedRequest, connect: Duration) -> Result<Answer, Reason> {
        let mut request = request.into_request();
        // The request's own snapshot holds it.
        let endpoint = self.endpoint.upgrade().ok_or(Reason::Internal)?;
        loop {
            let (connection, reused) = if let Some(connection) = self.reuse() {
                (connection, true)
            } else {
                // Boxed: opening is rare, and its state would make every request's larger.
                let opened = tokio::time::timeout(connect, Box::pin(self.open(&endpoint))).await;
                (opened.map_err(|_| Reason::UpstreamConnect)??, false)
            };
            match self.exchange(connection, request, endpoint.tls.is_some()).await {
                Ok(answer) => return Ok(answer),
                Err(Unsent(Some(unsent), _)) if reused => request = *unsent,
                Err(Unsent(_, reason)) => return Err(reason),
            }
        }
    }

    fn reuse(&self) -> Option<Connection> {
        let mut shared = self.shared.borrow_mut();
        match shared.as_ref() {
            Some(sender) if !sender.is_closed() => return Some(Connection::Shared(sender.clone())),
            _ => *shared = None,
        }
        let mut idle = self.idle.borrow_mut();
        while let Some(newest) = idle.pop() {
            if newest.is_fresh() {
                return Some(Connection::Own(newest.line));
            }
        }
        None
    }

    /// Sends on one connection.
    async fn exchange(
        self: &Rc<Self>,
        connection: Connection,
        request: Request<Body>,
        tls: bool,
    ) -> Result<Answer, Unsent> {
        match connection {
            Connection::Own(mut line) => {
                line.allowance.begin();
                let answered = line.sender.try_send_request(request).await;
                line.allowance.end();
                match answered {
                    Ok(response) => Ok(Answer { response, lease: Some(Lease { pool: self.clone(), line }) }),
                    Err(mut error) => {
                        Err(Unsent(error.take_message().map(Box::new), Reason::UpstreamProtocol))
                    }
                }
            }
            Connection::Shared(mut sender) => {
                let request = framed_for_http2(request, tls).ok_or(Unsent(None, Reason::Internal))?;
                match sender.try_send_request(request).await {
                    Ok(response) => Ok(Answer { response, lease: None }),
                    Err(mut error) => {
                        let unsent = error.take_message().map(|request| Box::new(framed_for_http1(request)));
                        Err(Unsent(unsent, Reason::UpstreamProtocol))
                    }
                }
            }
        }
    }

    async fn open(&self, endpoint: &Endpoint) -> Result<Connection, Reason> {
        let upstream = &endpoint.upstream;
        let stream = dial(&upstream.connect_host, upstream.connect_port).await?;
        let Some(tls) = &endpoint.tls else { return handshake1(stream).await };
        let name = ServerName::try_from(upstream.sni.clone()).map_err(|_| Reason::UpstreamTls)?;
        let stream = TlsConnector::from(tls.clone()).connect(name, stream).await.map_err(|error| {
            tracing::warn!(upstream = %upstream.host, %error, "TLS to the upstream failed");
            Reason::UpstreamTls
        })?;
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            let sender = handshake2(stream).await?;
            *self.shared.borrow_mut() = Some(sender.clone());
            return Ok(Connection::Shared(sender));
        }
        handshake1(stream).await
    }
}

async fn handshake1(stream: impl AsyncRead + AsyncWrite + Unpin + 'static) -> Result<Connection, Reason> {
    let mut builder = http1::Builder::new();
    // The same bound for what is read at a time: hyper's own is several times that.
    builder.max_headers(MOST_HEADERS).max_header_size(HEAD_BYTES).max_buf_size(HEAD_BYTES);
    let allowance = Rc::<Allowance>::default();
    let stream = Counted { stream, allowance: allowance.clone() };
    let handshake = builder.handshake(TokioIo::new(stream)).await;
    let (sender, connection) = handshake.map_err(|_| Reason::UpstreamProtocol)?;
    // A connection's own error reaches the request that is on it.
    tokio::task::spawn_local(async move { drop(connection.await) });
    Ok(Connection::Own(Line { sender, allowance }))
}

async fn handshake2(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
) -> Result<http2::SendRequest<Body>, Reason> {
    let mut builder = http2::Builder::new(LocalExecutor);
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10))
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
        .max_header_list_size(128 << 10);
    let handshake = builder.handshake(TokioIo::new(stream)).await;
    let (sender, connection) = handshake.map_err(|_| Reason::UpstreamProtocol)?;
    tokio::task::spawn_local(async move { drop(connection.await) });
    Ok(sender)
}

/// HTTP/2 carries the signed `Host` as `:authority`.
fn framed_for_http2(mut request: Request<Body>, tls: bool) -> Option<Request<Body>> {
    let host = request.headers_mut().remove(header::HOST);
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.scheme = Some(if tls { http::uri::Scheme::HTTPS } else { http::uri::Scheme::HTTP });
    parts.authority = host.and_then(|host| http::uri::Authority::try_from(host.as_bytes()).ok());
    *request.uri_mut() = Uri::from_parts(parts).ok()?;
    Some(request)
}

/// Undoes [`framed_for_http2`] for another try.
fn framed_for_http1(mut request: Request<Body>) -> Request<Body> {
    let parts = std::mem::take(request.uri_mut()).into_parts();
    if let Some(authority) = &parts.authority
        && let Ok(host) = http::HeaderValue::from_str(authority.as_str())
    {
        request.headers_mut().insert(header::HOST, host);
    }
    *request.uri_mut() = parts.path_and_query.map(Uri::from).unwrap_or_default();
    request
}

/// Connects to the first address that answers. What a name resolves to is judged anew each time; an address that the
/// configuration states literally was meant.
async fn dial(host: &str, port: u16) -> Result<TcpStream, Reason> {
    let addresses = if let Ok(stated) = host.parse::<IpAddr>() {
        vec![SocketAddr::new(stated, port)]
    } else {
        let found = tokio::net::lookup_host((host, port)).await.map_err(|_| Reason::UpstreamUnresolved)?;
        permitted(found)?
    };
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // A failure to set it costs latency only.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => tracing::warn!(upstream = host, %address, %error, "no connection to the upstream"),
        }
    }
    Err(Reason::UpstreamConnect)
}

/// The addresses of a name that may be dialled; at least one.
fn permitted(found: impl Iterator<Item = SocketAddr>) -> Result<Vec<SocketAddr>, Reason> {
    let mut found = found.peekable();
    if found.peek().is_none() {
        return Err(Reason::UpstreamUnresolved);
    }
    let permitted: Vec<SocketAddr> = found.filter(|address| !is_forbidden(address.ip())).collect();
    if permitted.is_empty() { Err(Reason::UpstreamForbidden) } else { Ok(permitted) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_may_not_lead_to_metadata_services() {
        let resolved = |addresses: &[&str]| {
            permitted(addresses.iter().map(|address| SocketAddr::new(address.parse().unwrap(), 80)))
        };
        assert_eq!(resolved(&[]), Err(Reason::UpstreamUnresolved));
        assert_eq!(resolved(&["169.254.169.254", "::ffff:169.254.169.254"]), Err(Reason::UpstreamForbidden));
        let good = SocketAddr::new("10.0.0.1".parse().unwrap(), 80);
        assert_eq!(resolved(&["fe80::1", "10.0.0.1", "fd00:ec2::254"]), Ok(vec![good]));
    }
}

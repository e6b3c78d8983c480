//! Connections to upstreams: one pool per worker and endpoint, which sends a [`SignedRequest`] and nothing else.
//!
//! A connection goes back to its pool only when its answer was read to the end; whatever was cut short, answered
//! early or broke the protocol takes its connection with it. A request is tried again only when the connection
//! turned out to be closed before a single byte of it was written. Redirects are never followed.

mod answer;
mod forbidden;
mod head;
mod http2;
mod line;
mod outgoing;
mod spares;
mod stream;

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::{Duration, Instant};

use http::{Method, Response};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

pub use answer::{BrokenOff, Incoming, Reply};

use crate::body::Body;
use crate::outbound::{SignedHead, SignedRequest};
use crate::reason::Reason;
use crate::snapshot::Endpoint;
use forbidden::is_forbidden;
use line::{Failure, Line};
use spares::Spares;
use stream::Stream;

/// An idle connection is not trusted longer than this: most servers close theirs after 60 to 75 seconds.
const IDLE: Duration = Duration::from_secs(30);
/// Idle connections kept per worker and endpoint.
const MOST_IDLE: usize = 1_024;
/// How long a connection may take to become idle after its answer ended.
const SETTLE: Duration = Duration::from_secs(5);
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
            spares: Rc::default(),
            shared: RefCell::default(),
        });
        self.0.borrow_mut().insert(key, pool.clone());
        pool
    }

    /// Closes what has been idle for too long and forgets endpoints that no snapshot uses any more.
    pub fn sweep(&self) {
        self.0.borrow_mut().retain(|_, pool| {
            pool.idle.borrow_mut().retain_mut(Idle::is_fresh);
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
    spares: Rc<Spares>,
    /// An HTTP/2 connection, which many requests share.
    shared: RefCell<Option<http2::Sender>>,
}

/// An HTTP/1 connection that waits for a request.
struct Idle {
    line: Box<Line>,
    since: Instant,
}

impl Idle {
    fn is_fresh(&mut self) -> bool {
        self.since.elapsed() < IDLE && self.line.is_quiet()
    }
}

/// A connection for one request.
enum Connection {
    Own(Box<Line>),
    Shared(http2::Sender),
}

/// An exchange that failed, with the request when not one byte of it was written.
struct Unsent(Option<Box<(SignedHead, Body)>>, Reason);

/// An upstream's answer.
pub struct Answer {
    /// Head and body; the body holds the connection.
    pub response: Response<Incoming>,
}

impl Pool {
    /// Takes a connection back whose answer was read to its end. One whose request is still being written waits for
    /// that a little: the upstream answered early, and if it does not read the rest the connection is closed.
    fn give_back(self: &Rc<Self>, mut line: Box<Line>, keep_alive: bool) {
        if line.is_sent() {
            if keep_alive {
                self.keep(line);
            }
            return;
        }
        let pool = self.clone();
        tokio::task::spawn_local(async move {
            let sent = poll_fn(|context| match line.poll_send(context) {
                Poll::Pending if line.is_open() => Poll::Pending,
                done => Poll::Ready(matches!(done, Poll::Ready(Ok(())))),
            });
            if matches!(tokio::time::timeout(SETTLE, sent).await, Ok(true)) && keep_alive {
                pool.keep(line);
            }
        });
    }

    /// Keeps a connection on which nothing is left over.
    fn keep(&self, mut line: Box<Line>) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < MOST_IDLE && line.rest() {
            idle.push(Idle { line, since: Instant::now() });
        }
    }

    /// Sends a signed request. The caller bounds the time; `connect` bounds connecting alone.
    pub async fn send(self: &Rc<Self>, request: SignedRequest, connect: Duration) -> Result<Answer, Reason> {
        let (mut head, mut body) = request.into_parts();
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
            match self.exchange(connection, head, body, endpoint.tls.is_some()).await {
                Ok(answer) => return Ok(answer),
                Err(Unsent(Some(unsent), _)) if reused => (head, body) = *unsent,
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
        while let Some(mut newest) = idle.pop() {
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
        head: SignedHead,
        body: Body,
        tls: bool,
    ) -> Result<Answer, Unsent> {
        match connection {
            Connection::Own(line) => self.exchange1(line, head, body).await,
            Connection::Shared(mut sender) => {
                let request = http2::framed(head, body, tls).ok_or(Unsent(None, Reason::Internal))?;
                match sender.try_send_request(request).await {
                    Ok(response) => Ok(Answer { response: response.map(Incoming::Shared) }),
                    Err(mut error) => {
                        let unsent = error.take_message().map(|request| Box::new(http2::unframed(request)));
                        Err(Unsent(unsent, Reason::UpstreamProtocol))
                    }
                }
            }
        }
    }

    /// Sends on an HTTP/1 connection. The map of the request's headers becomes that of the answer's.
    async fn exchange1(
        self: &Rc<Self>,
        mut line: Box<Line>,
        mut head: SignedHead,
        body: Body,
    ) -> Result<Answer, Unsent> {
        let bodiless = head.method == Method::HEAD;
        let answered = match line.begin(&head, body) {
            Ok(()) => poll_fn(|context| line.poll_answer(context, &mut head.headers, bodiless)).await,
            Err(failure) => Err(failure),
        };
        match answered {
            Ok(answered) => {
                let reply = Reply::new(line, answered.framing, answered.keep_alive, self.clone());
                let mut response = Response::new(Incoming::Own(reply));
                *response.status_mut() = answered.status;
                *response.headers_mut() = head.headers;
                Ok(Answer { response })
            }
            Err(Failure::Upstream) => {
                let unsent = line.take_back().map(|body| Box::new((head, body)));
                Err(Unsent(unsent, Reason::UpstreamProtocol))
            }
            // The body's own reason, where it has one, goes before this.
            Err(Failure::Body) => Err(Unsent(None, Reason::UpstreamProtocol)),
        }
    }

    async fn open(&self, endpoint: &Endpoint) -> Result<Connection, Reason> {
        let upstream = &endpoint.upstream;
        let stream = dial(&upstream.connect_host, upstream.connect_port).await?;
        let Some(tls) = &endpoint.tls else {
            return Ok(Connection::Own(Line::new(Stream::Plain(stream), self.spares.clone())));
        };
        let name = ServerName::try_from(upstream.sni.clone()).map_err(|_| Reason::UpstreamTls)?;
        let stream = TlsConnector::from(tls.clone()).connect(name, stream).await.map_err(|error| {
            tracing::warn!(upstream = %upstream.host, %error, "TLS to the upstream failed");
            Reason::UpstreamTls
        })?;
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            let sender = http2::handshake(stream).await?;
            *self.shared.borrow_mut() = Some(sender.clone());
            return Ok(Connection::Shared(sender));
        }
        Ok(Connection::Own(Line::new(Stream::Tls(stream), self.spares.clone())))
    }
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

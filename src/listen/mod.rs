//! From a listening socket to HTTP: accept, find out who is at the other end, TLS where it is spoken, then HTTP/1 by
//! `http1`, or HTTP/2 by hyper over a guarded stream.
//!
//! Nothing here looks at a request beyond its framing, and nothing decides what a caller may do.

pub mod bind;
pub mod certificate;
pub mod http1;
pub mod io;
pub mod namespace;
pub mod open;
pub mod owner;
pub mod preface;
pub mod proxy;

use std::convert::Infallible;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use arc_swap::ArcSwap;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncRead;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::body::incoming::Incoming;
use crate::caller::Peer;
use crate::config::{ClientAddress, Limits};
use crate::gateway::{Connection, Gateway};
use crate::identify::account;
use crate::metrics::Metrics;
use crate::snapshot::Snapshot;
use crate::upstream::LocalExecutor;
use bind::Bound;
use http1::{Spares, Wire};
use io::Guarded;
use open::Slot;
use owner::Owners;
use preface::{Protocol, Resumed};

pub use open::OpenConnections;

/// What every connection of a worker shares.
pub struct Shared {
    /// The request path.
    pub gateway: Gateway,
    /// The world, for TLS and limits at accept.
    pub world: Arc<ArcSwap<Snapshot>>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Connections of all workers, against the limit.
    pub connections: Arc<AtomicUsize>,
    /// Turns true when the gateway drains.
    pub draining: watch::Receiver<bool>,
    /// Looks up whose sockets callers on this machine have.
    pub owners: Owners,
    /// What connections take for a request and give back.
    pub spares: Rc<Spares>,
}

/// Accepts on one socket until the drain begins. Each connection becomes a task of this thread.
pub async fn accept(shared: Rc<Shared>, bound: Bound, listener: usize, h2c: bool, open: Rc<OpenConnections>) {
    let mut draining = shared.draining.clone();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = draining.wait_for(|draining| *draining) => return open.drain(),
            accepted = bound.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, most likely: wait for some to come back instead of spinning.
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let limit = shared.world.load().limits.connections;
        let Some(slot) = Slot::take(&shared, limit, &open) else {
            shared.metrics.connections_refused.inc();
            continue;
        };
        let arrival = Arrival { shared: shared.clone(), open: open.clone(), listener, h2c };
        tokio::task::spawn_local(async move {
            serve(&arrival, stream, peer).await;
            drop(slot);
        });
    }
}

/// What a connection is served with, whatever it speaks.
struct Arrival {
    shared: Rc<Shared>,
    open: Rc<OpenConnections>,
    listener: usize,
    h2c: bool,
}

async fn serve(arrival: &Arrival, stream: bind::Stream, mut peer: Peer) {
    let Arrival { shared, listener, .. } = arrival;
    let world = shared.world.load_full();
    match stream {
        bind::Stream::Tcp(stream) => {
            let Some(address) = peer.address else { return };
            match world.listeners[*listener].speaks_for_others(address) {
                Some(ClientAddress::ProxyProtocol) => {
                    let Some((caller, stream)) = introduced(shared, stream, address, &world.limits).await
                    else {
                        return;
                    };
                    peer = Peer { address: caller, proxy: Some(address), ..Peer::default() };
                    return tcp(arrival, stream, peer, &world).await;
                }
                None if world.needs_owner => {
                    peer.user = owner(shared, &stream).await;
                    peer.groups = groups(&world, peer.user).await;
                }
                // The owner of a proxy's socket is the proxy; its callers are told apart by their requests.
                Some(ClientAddress::XForwardedFor | ClientAddress::Forwarded) | None => {}
            }
            tcp(arrival, stream, peer, &world).await;
        }
        // Configuration refuses TLS on a unix socket.
        bind::Stream::Unix(_) if world.listeners[*listener].tls.is_some() => {}
        bind::Stream::Unix(stream) => {
            peer.groups = groups(&world, peer.user).await;
            cleartext(arrival, stream, peer, &world.limits).await;
        }
    }
}

/// Who owns the caller's end of a connection.
async fn owner(shared: &Rc<Shared>, stream: &TcpStream) -> Option<u32> {
    let (caller, gateway) = (stream.peer_addr().ok()?, stream.local_addr().ok()?);
    let owner = shared.owners.of(caller, gateway).await?;
    // A caller may send a request, break its connection, and leave its port to somebody else, who connects from it
    // while the request waits here. As long as this end has not been reset, nobody can: it has a peer then.
    stream.peer_addr().is_ok().then_some(owner)
}

/// What the account database says about a user, where a client asks for it: once for a connection, and not on this
/// thread, as it may have to ask elsewhere.
async fn groups(world: &Snapshot, user: Option<u32>) -> Arc<[u32]> {
    match user {
        Some(user) if world.needs_groups => {
            let asked = tokio::task::spawn_blocking(move || account::groups(user));
            asked.await.unwrap_or_default().into()
        }
        _ => Arc::default(),
    }
}

/// Reads what a trusted proxy says in front of its caller's bytes; `None` when it does not say it properly or in time.
async fn introduced<S: AsyncRead + Unpin>(
    shared: &Rc<Shared>,
    stream: S,
    address: IpAddr,
    limits: &Limits,
) -> Option<(Option<IpAddr>, Resumed<S>)> {
    let mut draining = shared.draining.clone();
    let told = tokio::select! {
        told = tokio::time::timeout(limits.header_timeout, proxy::read(stream)) => told,
        _ = draining.wait_for(|draining| *draining) => return None,
    };
    let error = match told {
        Ok(Ok(told)) => return Some(told),
        Ok(Err(error)) if error.kind() == ErrorKind::ConnectionAborted => return None,
        Ok(Err(error)) => error.kind(),
        Err(_) => ErrorKind::TimedOut,
    };
    // Only those whom the configuration trusts come here, so it is the operator's business.
    tracing::warn!(proxy = %address, %error, "a trusted proxy sent no good PROXY header; connection closed");
    shared.metrics.proxy_headers_refused.inc();
    None
}

async fn tcp(arrival: &Arrival, stream: impl Wire + 'static, peer: Peer, world: &Snapshot) {
    match &world.listeners[arrival.listener].tls {
        None => cleartext(arrival, stream, peer, &world.limits).await,
        // What a handshake needs is large, and no connection without TLS shall take it.
        Some(tls) => Box::pin(secured(arrival, tls.clone(), stream, peer, &world.limits)).await,
    }
}

async fn secured(
    arrival: &Arrival,
    tls: Arc<rustls::ServerConfig>,
    stream: impl Wire + 'static,
    mut peer: Peer,
    limits: &Limits,
) {
    let accept = TlsAcceptor::from(tls).accept(stream);
    let Ok(Ok(stream)) = tokio::time::timeout(limits.handshake_timeout, accept).await else { return };
    let session = stream.get_ref().1;
    peer.names = certificate::names_of(session, jiff::Timestamp::now().as_second()).into();
    let protocol = if session.alpn_protocol() == Some(b"h2") { Protocol::Http2 } else { Protocol::Http1 };
    http(arrival, stream, peer, protocol, limits).await;
}

async fn cleartext(arrival: &Arrival, stream: impl Wire + 'static, peer: Peer, limits: &Limits) {
    if !arrival.h2c {
        return http(arrival, stream, peer, Protocol::Http1, limits).await;
    }
    let mut draining = arrival.shared.draining.clone();
    let told = tokio::select! {
        told = tokio::time::timeout(limits.header_timeout, preface::tell(stream)) => told,
        _ = draining.wait_for(|draining| *draining) => return,
    };
    if let Ok(Ok((protocol, stream))) = told {
        http(arrival, stream, peer, protocol, limits).await;
    }
}

async fn http(
    arrival: &Arrival,
    stream: impl Wire + 'static,
    peer: Peer,
    protocol: Protocol,
    limits: &Limits,
) {
    let connection = Connection::new(peer, arrival.listener);
    let (shared, open) = (arrival.shared.clone(), arrival.open.clone());
    match protocol {
        Protocol::Http1 => http1::serve(shared, open, stream, connection, limits).await,
        Protocol::Http2 => Box::pin(http2(shared, stream, connection, limits)).await,
    }
}

async fn http2(shared: Rc<Shared>, stream: impl Wire + 'static, connection: Connection, limits: &Limits) {
    let connection = Rc::new(connection);
    let stream = TokioIo::new(Guarded::new(stream, connection.clone(), limits));
    let mut draining = shared.draining.clone();
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let (shared, connection) = (shared.clone(), connection.clone());
        let request = request.map(Incoming::Http2);
        async move { Ok::<_, Infallible>(shared.gateway.handle(request, connection).await) }
    });
    // What goes wrong on a connection is its caller's business and was told to it; there is nobody else to tell.
    let mut connection = pin!(http2_builder(limits).serve_connection(stream, service));
    tokio::select! {
        biased;
        done = connection.as_mut() => drop(done),
        _ = draining.wait_for(|draining| *draining) => {
            connection.as_mut().graceful_shutdown();
            drop(connection.await);
        }
    }
}

/// HTTP/2 streams of one connection.
const STREAMS: u32 = 100;

/// Windows and counts as edge proxies set them; a caller who stops answering pings is gone.
fn http2_builder(limits: &Limits) -> http2::Builder<LocalExecutor> {
    let mut builder = http2::Builder::new(LocalExecutor);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(256)
        .initial_stream_window_size(64 << 10)
        .initial_connection_window_size(1 << 20)
        .max_header_list_size(u32::try_from(limits.head).unwrap_or(u32::MAX))
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10));
    builder
}

//! The admin listener: is it alive, is it ready, what has it counted. Read-only, loopback only, never on a data
//! listener, and guarded against web pages like every other.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::TimeoutLayer;

use crate::gateway::of_another_site;
use crate::metrics::Metrics;
use crate::reload::{CLIENT, Unresolved};
use crate::snapshot::Snapshot;

/// What the admin listener can see.
#[derive(Clone)]
pub struct State(Arc<Inner>);

struct Inner {
    metrics: Arc<Metrics>,
    unresolved: Unresolved,
    world: Arc<ArcSwap<Snapshot>>,
    draining: AtomicBool,
}

impl State {
    /// The state of a gateway that is serving.
    pub fn new(metrics: Arc<Metrics>, unresolved: Unresolved, world: Arc<ArcSwap<Snapshot>>) -> Self {
        Self(Arc::new(Inner { metrics, unresolved, world, draining: AtomicBool::new(false) }))
    }

    /// Takes readiness away.
    pub fn drain(&self) {
        self.0.draining.store(true, Ordering::Relaxed);
    }

    /// Why the gateway is not ready; empty when it is.
    fn faults(&self) -> Vec<String> {
        let mut faults: Vec<String> = {
            let unresolved = self.0.unresolved.lock().unwrap_or_else(PoisonError::into_inner);
            let world = self.0.world.load();
            let mute = world.routes.iter().filter(|route| route.signer.is_none());
            // Resolved, and yet nothing that the route's scheme can sign with.
            let unfit = mute.filter(|route| !unresolved.contains_key(&*route.credential)).map(|route| {
                let (scheme, route, credential) = (route.scheme_name(), &route.name, &route.credential);
                format!("credential-unavailable {credential}: route `{route}` cannot sign {scheme} with it")
            });
            let missing = unresolved.iter().map(|(name, why)| match name.strip_prefix(CLIENT) {
                Some(client) => format!("client-unprovable {client}: {why}"),
                None => format!("credential-unavailable {name}: {why}"),
            });
            unfit.chain(missing).collect()
        };
        faults.sort();
        if self.0.draining.load(Ordering::Relaxed) {
            faults.push("draining".to_owned());
        }
        faults
    }
}

/// The admin socket, bound and not yet answering.
pub struct Listener {
    socket: std::net::TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Binds `address`; an error tells which it was.
    pub fn bind(address: SocketAddr) -> Result<Self, (SocketAddr, std::io::Error)> {
        let bound = std::net::TcpListener::bind(address).and_then(|socket| {
            socket.set_nonblocking(true)?;
            Ok(Self { address: socket.local_addr()?, socket })
        });
        bound.map_err(|error| (address, error))
    }

    /// The bound address: what a configured port 0 became.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts answering, as tasks of the current thread.
    pub fn start(self, state: State) -> std::io::Result<()> {
        answer_on(TcpListener::from_std(self.socket)?, self.address, state);
        Ok(())
    }
}

fn answer_on(listener: TcpListener, address: SocketAddr, state: State) {
    let own = address.ip();
    let stack = ServiceBuilder::new()
        // A defect here must not take the control thread with it.
        .layer(CatchPanicLayer::new())
        .layer(SetResponseHeaderLayer::overriding(
            header::CACHE_CONTROL,
            HeaderValue::from_static("no-store"),
        ))
        .layer(SetResponseHeaderLayer::overriding(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ))
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, Duration::from_secs(10)))
        .service(tower::service_fn(move |request: Request<Incoming>| {
            let response = answer(&request, &state, &own.to_string());
            async move { Ok::<_, Infallible>(response) }
        }));
    tokio::task::spawn_local(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let service = TowerToHyperService::new(stack.clone());
            tokio::task::spawn_local(async move {
                let mut builder = http1::Builder::new();
                builder
                    .timer(TokioTimer::new())
                    .header_read_timeout(Duration::from_secs(10))
                    .max_headers(100);
                // A broken admin connection is its caller's business.
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
}

fn answer<B>(request: &Request<B>, state: &State, own: &str) -> Response<Full<Bytes>> {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    let name = name.map_or(host, |(name, _)| name).trim_start_matches('[').trim_end_matches(']');
    if !["localhost", "127.0.0.1", "::1", own].contains(&name) {
        return text(StatusCode::MISDIRECTED_REQUEST, "unknown-host\n".into());
    }
    // What a user types into a browser passes; `Sec-Purpose` is the browser guessing ahead, for a page.
    if of_another_site(request.headers()) || request.headers().contains_key("sec-purpose") {
        return text(StatusCode::FORBIDDEN, "browser-request\n".into());
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "this listener is read-only\n".into());
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match request.uri().path() {
        "/livez" => text(StatusCode::OK, "ok\n".into()),
        "/readyz" => match state.faults() {
            faults if faults.is_empty() => text(StatusCode::OK, "ok\n".into()),
            faults => text(StatusCode::SERVICE_UNAVAILABLE, faults.join("\n") + "\n"),
        },
        "/metrics" => {
            let mut response = text(StatusCode::OK, state.0.metrics.text());
            let openmetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(openmetrics));
            response
        }
        _ => text(StatusCode::NOT_FOUND, "/livez /readyz /metrics\n".into()),
    }
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

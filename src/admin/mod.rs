//! The admin listener: is it alive, is it ready, what has it counted, and a page to look at it all. Read-only, loopback
//! only, never on a data listener, and guarded against web pages like every other; its own page is the one that may.

mod events;
mod guard;
mod history;
mod html;
mod page;
pub mod record;
pub mod search;
mod state;
pub mod status;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde::Serialize;
use tokio::net::TcpListener;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;

pub use search::Search;
pub use state::{Parts, State};

use crate::live::{Call, Filter, visible};
use crate::target::{Parameter, parameters};
use search::{Found, Terms};
use status::Status;

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// The longest that an answer may take to begin; searching the record is the longest of all.
const PATIENCE: Duration = Duration::from_secs(30);
/// Those who may watch at a time.
const WATCHERS: usize = 16;
/// The longest history that is plotted, in seconds.
const PLOTTED: f64 = 4.0 * 3600.0;
/// Parameters of a question.
const PARAMETERS: usize = 20;

/// What its pages may load: files of this listener, and nothing that is written into them. No other page may frame them.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                                       img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; \
                                       require-trusted-types-for 'script'; trusted-types 'none'";
/// What every answer says.
const EVERYWHERE: [(header::HeaderName, &str); 6] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// The files of the console.
const FILES: [(&str, &str, &str); 10] = [
    ("/console/style.css", "text/css; charset=utf-8", include_str!("console/style.css")),
    ("/console/app.js", SCRIPT, include_str!("console/app.js")),
    ("/console/call.js", SCRIPT, include_str!("console/call.js")),
    ("/console/calls.js", SCRIPT, include_str!("console/calls.js")),
    ("/console/chart.js", SCRIPT, include_str!("console/chart.js")),
    ("/console/history.js", SCRIPT, include_str!("console/history.js")),
    ("/console/page.js", SCRIPT, include_str!("console/page.js")),
    ("/console/search.js", SCRIPT, include_str!("console/search.js")),
    ("/console/status.js", SCRIPT, include_str!("console/status.js")),
    ("/console/words.js", SCRIPT, include_str!("console/words.js")),
];
const SCRIPT: &str = "text/javascript; charset=utf-8";

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
    let own = address.ip().to_string();
    let history = state.clone();
    tokio::task::spawn_local(async move {
        let mut steps = tokio::time::interval_at(tokio::time::Instant::now() + history::STEP, history::STEP);
        loop {
            steps.tick().await;
            history.step();
        }
    });
    let stack = ServiceBuilder::new()
        .map_response(marked)
        // A defect here must not take the control thread with it.
        .layer(CatchPanicLayer::new())
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, PATIENCE))
        .service(tower::service_fn(move |request: Request<Incoming>| {
            let (state, own) = (state.clone(), own.clone());
            async move { Ok::<_, Infallible>(answer(&request, &state, &own).await) }
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

/// Every answer says what may be done with it.
fn marked<B>(mut response: Response<B>) -> Response<B> {
    for (name, value) in EVERYWHERE {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn answer<B>(request: &Request<B>, state: &State, own: &str) -> Response<Body> {
    if let Err((status, why)) = guard::admit(request.method(), request.headers(), own) {
        let mut response = text(status, why.to_owned());
        if status == StatusCode::METHOD_NOT_ALLOWED {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        return response;
    }
    let Ok(asked) = parameters(request.uri().query().unwrap_or_default(), PARAMETERS) else {
        return text(StatusCode::BAD_REQUEST, "the query cannot be read\n".to_owned());
    };
    let asked = Asked(&asked);
    match request.uri().path() {
        "/livez" => text(StatusCode::OK, "ok\n".into()),
        "/readyz" => match state.faults() {
            faults if faults.is_empty() => text(StatusCode::OK, "ok\n".into()),
            faults => text(StatusCode::SERVICE_UNAVAILABLE, faults.join("\n") + "\n"),
        },
        "/metrics" => typed(
            StatusCode::OK,
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            state.metrics(),
        ),
        "/" => overview(state, &asked).await,
        // For whoever notes it elsewhere, now and then.
        "/audit/head" => match state.audit().head {
            Some(head) => text(StatusCode::OK, head + "\n"),
            None => text(StatusCode::NOT_FOUND, "the record has no chained line yet\n".to_owned()),
        },
        "/call" => {
            state.feed().look();
            let call = state.feed().call(asked.one("id"));
            let status = if call.is_some() { StatusCode::OK } else { StatusCode::NOT_FOUND };
            html_page(status, page::detail(call.as_deref()))
        }
        "/status" => json(&Status::of(state)),
        "/history" => json(&state.plot(asked.window(), asked.some("route"))),
        "/calls" => match asked.filter() {
            Ok(filter) => json(&calls(state, &filter)),
            Err(why) => text(StatusCode::BAD_REQUEST, why),
        },
        "/events" => match asked.filter() {
            Ok(_) if state.feed().watchers() >= WATCHERS => {
                text(StatusCode::SERVICE_UNAVAILABLE, "too many watch already\n".to_owned())
            }
            Ok(filter) => {
                let body = StreamBody::new(events::stream(state.feed(), filter));
                of_type(StatusCode::OK, "text/event-stream", BodyExt::boxed_unsync(body))
            }
            Err(why) => text(StatusCode::BAD_REQUEST, why),
        },
        "/search" => match found(state, &asked).await {
            None => text(StatusCode::NOT_FOUND, "the record cannot be searched here\n".to_owned()),
            Some(Ok(found)) => json(&found),
            Some(Err(why)) => text(StatusCode::BAD_REQUEST, why + "\n"),
        },
        path => {
            if let Some(call) = path.strip_prefix("/calls/") {
                return state.feed().call(call).map_or_else(missing, |call| json(&Detail::of(&call)));
            }
            let file = FILES.iter().find(|(name, ..)| *name == path);
            file.map_or_else(missing, |(_, media_type, content)| typed(StatusCode::OK, media_type, *content))
        }
    }
}

fn missing() -> Response<Body> {
    text(
        StatusCode::NOT_FOUND,
        "/ /livez /readyz /metrics /status /history /calls /events /audit/head\n".to_owned(),
    )
}

/// The parameters of a request.
struct Asked<'a>(&'a [Parameter]);

impl Asked<'_> {
    /// The first value of a name; empty where there is none.
    fn one(&self, name: &str) -> &str {
        self.some(name).unwrap_or_default()
    }

    fn some(&self, name: &str) -> Option<&str> {
        self.pairs().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Names and values that are text.
    fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(|parameter| {
            let name = std::str::from_utf8(&parameter.name).ok()?;
            let value = std::str::from_utf8(parameter.value.as_deref().unwrap_or_default()).ok()?;
            Some((name, value))
        })
    }

    fn filter(&self) -> Result<Filter, String> {
        self.one("filter").parse().map_err(|error| format!("{error}\n"))
    }

    /// How many seconds of the history.
    fn window(&self) -> f64 {
        let hours = self.one("hours").parse::<f64>().ok().filter(|hours| hours.is_finite());
        hours.map_or(PLOTTED, |hours| (hours * 3600.0).clamp(60.0, PLOTTED))
    }
}

/// The page, with everything that it shows without a script.
async fn overview(state: &State, asked: &Asked<'_>) -> Response<Body> {
    let (filter, error) = match asked.filter() {
        Ok(filter) => (filter, None),
        Err(why) => (Filter::default(), Some(why)),
    };
    let calls = calls(state, &filter);
    let found = if asked.some("search").is_some() { found(state, asked).await } else { None };
    let (typed, terms) = (asked.one("filter"), Terms::of(asked.pairs()));
    let shown = page::Shown {
        status: Status::of(state),
        calls,
        filter: typed,
        error,
        terms,
        found,
        searchable: state.search().is_some(),
    };
    html_page(StatusCode::OK, page::overview(&shown))
}

/// The calls that are kept, latest first. Looking keeps those that are to come.
fn calls(state: &State, filter: &Filter) -> Vec<std::sync::Arc<Call>> {
    state.feed().look();
    state.feed().recent().into_iter().filter(|call| filter.matches(call)).collect()
}

/// What the record says; nothing where it cannot be searched.
async fn found(state: &State, asked: &Asked<'_>) -> Option<Result<Vec<Found>, String>> {
    let search = state.search()?.clone();
    let terms = Terms::of(asked.pairs());
    let found = tokio::task::spawn_blocking(move || search.ask(&terms)).await;
    let found = found.unwrap_or_else(|_| Err("the search failed".to_owned()));
    // Words of callers, and words of an error about them.
    Some(
        found
            .map(|calls| calls.into_iter().map(Found::visible).collect())
            .map_err(|why| visible(&why).into_owned()),
    )
}

/// A call and how it was signed.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Detail<'c> {
    #[serde(flatten)]
    call: &'c Call,
    canonical_request: Option<&'c str>,
    string_to_sign: Option<&'c str>,
}

impl<'c> Detail<'c> {
    fn of(call: &'c Call) -> Self {
        let stages = call.stages.as_ref();
        Self {
            call,
            canonical_request: stages.and_then(|stages| stages.canonical_request.as_deref()),
            string_to_sign: stages.map(|stages| stages.string_to_sign.as_str()),
        }
    }
}

fn text(status: StatusCode, body: String) -> Response<Body> {
    typed(status, "text/plain; charset=utf-8", body)
}

fn html_page(status: StatusCode, body: String) -> Response<Body> {
    typed(status, "text/html; charset=utf-8", body)
}

fn json(value: &impl Serialize) -> Response<Body> {
    match serde_json::to_string(value) {
        Ok(body) => typed(StatusCode::OK, "application/json", body),
        Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "this cannot be written as JSON\n".to_owned()),
    }
}

fn typed(status: StatusCode, media_type: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    of_type(status, media_type, BodyExt::boxed_unsync(Full::new(body.into())))
}

fn of_type(status: StatusCode, media_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

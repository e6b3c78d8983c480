//! The request path: [`Gateway::handle`], top to bottom.
//!
//! A request is admitted, matched to a route, rebuilt, signed last, sent, and answered; every step that can refuse
//! it gives a [`Reason`], and nothing that was refused is ever forwarded. The steps live in the files beside this one.

mod admit;
mod call;
mod dry_run;
mod filter;
mod forwarded;
mod hand_over;
mod headers;
mod identify;
mod jobs;
mod judge;
mod payload;
mod quota;
mod rebuild;
mod received;
mod refuse;
mod rejection;
mod respond;
mod room;
mod scribe;
mod watch;

use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures_util::FutureExt;
use http::header::USER_AGENT;
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use jiff::Timestamp;
use tokio::sync::watch as tokio_watch;

pub use dry_run::{DryRun, Planned};
pub use respond::AnswerBody;
pub use scribe::Scribe;

use crate::audit::{Record, millis};
use crate::body::Meter;
use crate::body::incoming::Incoming;
use crate::body::spool::Store;
use crate::caller::Peer;
use crate::config::Limits;
use crate::live::Reporter;
use crate::metrics::Metrics;
use crate::operation::Access;
use crate::outbound::{Arena, Content, Draft, SignedRequest};
use crate::reason::Reason;
use crate::sign::digest::sha256;
use crate::sign::{Scratch, Signer, Stages};
use crate::snapshot::{Route, Snapshot};
use crate::trace::TRACEPARENT;
use crate::upstream::{Answer, Pools};
use call::{Call, Office};
use identify::{Asking, Caller, use_up};
use judge::Desk;
use received::Received;
use refuse::Protocol;
use room::Room;

/// What a connection tells its requests.
pub struct Connection {
    /// Who is at the other end.
    pub peer: Peer,
    /// The same as records show it.
    source: Box<str>,
    /// The index of the listener in the configuration.
    pub listener: usize,
    /// Requests in progress on it.
    pub inflight: Cell<usize>,
    /// Set when the bytes of a head could be read in two ways; that request is refused and the connection closed.
    pub suspect: Cell<Option<&'static str>>,
}

impl Connection {
    /// A new connection of `peer` on the listener of this index.
    pub fn new(peer: Peer, listener: usize) -> Self {
        let source = peer.to_string().into();
        Self { peer, source, listener, inflight: Cell::new(0), suspect: Cell::new(None) }
    }
}

/// One worker's gateway. Nothing in it is shared with other workers but the snapshot, the record and the metrics.
pub struct Gateway {
    world: Arc<ArcSwap<Snapshot>>,
    office: Rc<Office>,
    pools: Pools,
    scratch: RefCell<Scratch>,
    arena: RefCell<Arena>,
    store: Store,
    /// Turns true when the gateway drains: nothing is waited for any longer.
    draining: tokio_watch::Receiver<bool>,
    room: Rc<Room>,
}

/// Counts a request in progress on its connection, also when the request is abandoned.
struct InProgress(Rc<Connection>);

impl InProgress {
    fn on(connection: Rc<Connection>) -> Self {
        connection.inflight.set(connection.inflight.get() + 1);
        Self(connection)
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        self.0.inflight.set(self.0.inflight.get() - 1);
    }
}

/// How far a request has got: what an error answer needs to know.
struct Progress {
    call: Call,
    protocol: Protocol,
    meter: Rc<Meter>,
    close: bool,
}

/// What a request that went well is answered with.
enum Outcome {
    /// The upstream's answer.
    Pass(Received),
    /// A redirect of our own.
    HandOver(Response<Bytes>),
}

/// What all exchanges of one call with its upstream share.
struct Way<'c> {
    gateway: &'c Gateway,
    route: &'c Route,
    signer: &'c dyn Signer,
    limits: &'c Limits,
    meter: &'c Meter,
}

impl Gateway {
    /// A gateway for one worker; `store` is where bodies wait that must be known before they are sent, and
    /// `draining` turns true when no answer shall be waited for any longer than it takes; `reporter` is told of calls.
    pub fn new(
        world: Arc<ArcSwap<Snapshot>>,
        scribe: Scribe,
        metrics: Arc<Metrics>,
        store: Store,
        draining: tokio_watch::Receiver<bool>,
        reporter: Reporter,
    ) -> Self {
        let (pools, scratch) = (Pools::default(), RefCell::default());
        let (arena, room) = (RefCell::default(), Rc::default());
        let office = Office { scribe, metrics, reporter }.into();
        Self { world, office, pools, scratch, arena, store, draining, room }
    }

    /// Answers a request, whatever it is; never an error.
    pub async fn handle(
        &self,
        request: Request<Incoming>,
        connection: Rc<Connection>,
    ) -> Response<AnswerBody> {
        let headers = request.headers();
        let agent = headers.get(USER_AGENT).map(HeaderValue::as_bytes);
        let record = self.room.record(&connection.source, request.method().as_str(), agent);
        let call = Call::open(record, headers, &self.office);
        let meter = self.room.meter();
        let mut progress = Progress { call, protocol: Protocol::Problem, meter: meter.clone(), close: false };
        let in_progress = InProgress::on(connection);
        // A defect in here costs its own request an error 500, not the worker its other connections.
        let answer = {
            // Pinned where it is made, so that it is not moved any more: it is the largest thing of a call.
            let forward = pin!(self.forward(request, &in_progress.0, &mut progress));
            AssertUnwindSafe(forward).catch_unwind().await
        };
        progress.call.record.bytes_in = progress.meter.bytes.get();
        let answer = match answer {
            Ok(Ok(Outcome::Pass(answer))) => self.pass(answer, progress),
            Ok(Ok(Outcome::HandOver(redirect))) => redirected(redirect, progress),
            Ok(Err(reason)) => refuse(&reason, progress),
            Err(_) => refuse(&Reason::Internal, progress),
        };
        self.room.keep_meter(meter);
        answer
    }

    /// The path of a request that goes well.
    async fn forward(
        &self,
        request: Request<Incoming>,
        connection: &Connection,
        progress: &mut Progress,
    ) -> Result<Outcome, Reason> {
        let world = self.world.load_full();
        let (head, incoming) = request.into_parts();
        let peer = connection.caller(&head.headers, &world.listeners[connection.listener]);
        if peer.proxy.is_some() {
            let source = &mut progress.call.record.source;
            source.clear();
            let _ = write!(source, "{peer}");
        }
        let inbound = admit::admit(&head, connection, &world).inspect_err(|_| progress.close = true)?;

        let route = world.table.find(&inbound.host, inbound.path).ok_or(Reason::RouteNotFound)?;
        let route = &world.routes[route];
        progress.call.routed(route);
        progress.protocol = Protocol::of(route, &head, None);

        let asking = Asking { world: &world, route, inbound: &inbound, head: &head, peer: &peer };
        let Caller { signature, source } = self.identify(asking, incoming, progress).await?;

        let signer = route.signer.as_deref().ok_or(Reason::CredentialUnavailable)?;
        let client = progress.call.client().and_then(|name| world.grants.get(name)).map(|grant| &**grant);
        progress.call.holds(quota::begin(&route.grant.quota, client.map(|grant| &grant.quota))?);
        let way = Way { gateway: self, route, signer, limits: &world.limits, meter: &progress.meter };
        let record = &mut progress.call.record;
        let mut desk =
            Desk { route, client, hasher: &self.office.scribe.hasher, record, headers: self.room.headers() };
        if let Some(rule) = route.hand_over
            && let Some(redirect) = Box::pin(hand_over::offer(rule, &way, &inbound, &head, &mut desk)).await?
        {
            if head.method != Method::GET {
                use_up(signature.as_ref(), &world, route)?;
            }
            return Ok(Outcome::HandOver(redirect));
        }

        let rebuilt = rebuild::rebuild(&mut desk, &inbound, &head, source, &world.limits).await;
        let (mut draft, content, operation) = rebuilt?;
        desk.judge(&operation)?;
        filter::prepare(route, &operation, &mut draft.headers);
        let tls = world.listeners[connection.listener].tls.is_some();
        let follow = jobs::Follow::plan(route, &head, tls, &operation.ask.name, &mut draft, &content)?;
        self.office.scribe.ready_for(record).await?;
        if operation.access != Access::Read {
            use_up(signature.as_ref(), &world, route)?;
        }

        let answer = way.send(draft, content, record).await?;
        let answer = match follow {
            None => Received::from(answer),
            Some(follow) => Box::pin(follow.through(answer, &way, record)).await?,
        };
        let answer = filter::through(answer, route, &operation, world.limits.body_timeout).await?;
        self.room.keep_headers(head.headers);
        Ok(Outcome::Pass(answer))
    }
}

impl Way<'_> {
    /// Signs a draft, sends it, and gives the upstream's answer once its head is there.
    async fn send(&self, mut draft: Draft, content: Content, record: &mut Record) -> Result<Answer, Reason> {
        let Self { gateway, route, signer, limits, meter, .. } = *self;
        if let Some(trace) = &record.trace {
            // No scheme signs it: a hop on the way may write its own.
            draft.headers.insert(TRACEPARENT, trace.outgoing());
        }
        let signing = Instant::now();
        let now = Timestamp::now();
        let mut digest = None;
        let observe = |stages: &Stages<'_>| {
            digest = Some(sha256(stages.string_to_sign));
            watch::sign(&gateway.office.reporter, route, &record.request_id, stages);
        };
        // Given back before anything is waited for: the next request of this worker signs with it meanwhile.
        let signed = {
            let (scratch, arena) = (&mut gateway.scratch.borrow_mut(), &mut gateway.arena.borrow_mut());
            SignedRequest::sign(draft, content, signer, now, (scratch, arena), observe)?
        };
        // One look at the clock ends one span and begins the next.
        let sending = Instant::now();
        let signed_in = sending.duration_since(signing);
        record.string_to_sign = digest;
        route.meters.sign_duration.observe(signed_in.as_secs_f64());
        record.sign_us =
            record.sign_us.saturating_add(u64::try_from(signed_in.as_micros()).unwrap_or(u64::MAX));

        if record.polls == 0 {
            record.attempts += 1;
        }
        let pool = gateway.pools.of(&route.endpoint);
        let sent = pin!(pool.send(signed, limits.connect_timeout));
        let answer = answered_in_time(sent, limits.response_timeout, meter).await;
        let answered_in = sending.elapsed();
        record.upstream_ms += millis(answered_in);
        route.meters.upstream_duration.observe(answered_in.as_secs_f64());
        // A body that failed on the caller's side took the upstream's connection with it: the cause is the answer.
        let answer = answer.map_err(|reason| meter.failed.borrow_mut().take().unwrap_or(reason))?;
        record.answered(answer.response.status().as_u16(), request_id(answer.response.headers()));
        if route.meters.clock_is_due(record.arrived.as_second())
            && let Some(skew) = respond::clock_skew(answer.response.headers(), Timestamp::now())
        {
            route.meters.clock_skew.set(skew);
        }
        // The connection of an answer that could be read in two ways goes with it.
        if respond::has_one_reading(&answer.response) { Ok(answer) } else { Err(Reason::UpstreamProtocol) }
    }
}

impl Gateway {
    /// The upstream's answer, on its way to the caller.
    fn pass(&self, answer: Received, progress: Progress) -> Response<AnswerBody> {
        let mut call = progress.call;
        call.answered(&answer.head);
        let timeout = self.world.load().limits.body_timeout;
        respond::pass(answer, call, timeout, &mut self.arena.borrow_mut())
    }

    /// Closes idle upstream connections; called now and then by the worker.
    pub fn sweep(&self) {
        self.pools.sweep();
    }
}

/// The upstream's own id of a request: the name that S3, Swift, OpenStack and most others give it.
fn request_id(headers: &HeaderMap) -> Option<&str> {
    const NAMES: [&str; 5] =
        ["x-amz-request-id", "x-amzn-requestid", "x-trans-id", "x-openstack-request-id", "x-request-id"];
    let named = headers.iter().filter_map(|(name, value)| {
        let rank = NAMES.iter().position(|known| *known == name.as_str())?;
        Some((rank, value.to_str().ok()?))
    });
    named.min_by_key(|(rank, _)| *rank).map(|(_, id)| id)
}

/// A redirect to the upstream itself.
fn redirected(redirect: Response<Bytes>, progress: Progress) -> Response<AnswerBody> {
    let mut call = progress.call;
    call.record.status = redirect.status().as_u16();
    call.record.ended = "handed-over";
    respond::own(redirect, call, progress.close)
}

/// An answer of our own, in the caller's protocol.
fn refuse(reason: &Reason, progress: Progress) -> Response<AnswerBody> {
    let Progress { mut call, protocol, close, .. } = progress;
    call.refused(reason);
    let answer = refuse::answer(reason, protocol, call.route().map(|route| &**route));
    call.record.status = answer.status().as_u16();
    respond::own(answer, call, close)
}

/// Bounds the wait for an answer's head: the time runs from the last byte of the request that moved, so that a long
/// upload is not cut short while it flows.
async fn answered_in_time(
    mut sent: Pin<&mut impl Future<Output = Result<Answer, Reason>>>,
    timeout: Duration,
    meter: &Meter,
) -> Result<Answer, Reason> {
    let mut seen = meter.moved.get();
    loop {
        match tokio::time::timeout(timeout, sent.as_mut()).await {
            Ok(answer) => return answer,
            Err(_) if meter.moved.get() != seen => seen = meter.moved.get(),
            Err(_) => return Err(Reason::UpstreamTimeout),
        }
    }
}

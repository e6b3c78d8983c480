//! The built world that one request sees: match table, routes with their prepared signers, limits. Immutable;
//! a reload builds a new one, and a request keeps the one it began with.

mod listener;
pub mod quota;
mod tls;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;

use crate::audit::Place;
use crate::audit::event::Decision;
use crate::config::{self, Config, HostMatch, Limits, Secrets, Shape, Upstream};
use crate::credentials::{ClientSecrets, Resolved};
use crate::identify::{Clients, Entrance, Replays, SameToken};
use crate::metrics::{Answered, DecisionLabels, Late, Metrics, RouteLabel, SchemeLabel};
use crate::policy::Policy;
use crate::redact::{Filter, Level, Needles};
use crate::route::Table;
use crate::sign::s3v2::Dialect;
use crate::sign::{Scheme, Signer};

pub use listener::{Listener, Proxies};
use quota::Quota;

/// Where a route's connections go and with what trust. One pool per worker belongs to each.
pub struct Endpoint {
    /// Connect address, host and server name.
    pub upstream: Upstream,
    /// The upstream's `Host`.
    pub host: Arc<str>,
    /// The credential whose requests travel on these connections.
    pub credential: Arc<str>,
    /// TLS, shared by all workers so that sessions resume.
    pub tls: Option<Arc<ClientConfig>>,
    /// The certificates that `ca-file` held.
    roots: Option<Vec<CertificateDer<'static>>>,
}

/// One route, ready to serve.
pub struct Route {
    /// Its name.
    pub name: Arc<str>,
    /// Its host condition; a suffix tells the bucket.
    pub host: HostMatch,
    /// Its path prefix.
    pub path: String,
    /// What is done around signing.
    pub shape: Shape,
    /// The scheme and its options.
    pub scheme: Scheme,
    /// The name of the credential.
    pub credential: Arc<str>,
    /// What the record says of its calls.
    pub place: Arc<Place>,
    /// The prepared signer; `None` while the credential is not resolved.
    pub signer: Option<Box<dyn Signer>>,
    /// Further request headers that pass.
    pub forward_headers: Vec<String>,
    /// Whether jobs are waited for.
    pub wait: Option<config::Wait>,
    /// Whom it admits; `None`: anyone.
    pub entrance: Option<Entrance>,
    /// Whether a mutating call with a local signature may come only once.
    pub refuse_replays: bool,
    /// Whether large objects go round the gateway.
    pub hand_over: Option<config::HandOver>,
    /// What its callers may do.
    pub grant: Grant,
    /// What becomes of calls about secrets.
    pub secrets: config::Secrets,
    /// Whether what it grants is enforced.
    pub enforcement: config::Enforcement,
    /// What is taken out of its answers; none where they pass as they are.
    pub filter: Option<Arc<Filter>>,
    /// Where it leads.
    pub endpoint: Arc<Endpoint>,
    /// Its meters.
    pub meters: RouteMeters,
}

/// What a route's callers or a client may do, and how much of it.
pub struct Grant {
    /// Which operations.
    pub policy: Policy,
    /// How many.
    pub quota: Quota,
}

impl Grant {
    /// What the configuration grants; what was used of `earlier` is used.
    fn new(rules: &config::Rules, quota: &config::Quota, earlier: Option<&Self>) -> Self {
        let quota = Quota::new(quota, earlier.map(|earlier| &earlier.quota));
        Self { policy: Policy::new(rules), quota }
    }
}

/// The metrics of a route, looked up once.
pub struct RouteMeters {
    /// Requests that were answered.
    pub requests: Answered,
    /// Requests in progress.
    pub inflight: Gauge,
    /// Whole durations.
    pub request_duration: Histogram,
    /// Upstream durations.
    pub upstream_duration: Histogram,
    /// Signing durations.
    pub sign_duration: Histogram,
    /// Bytes of bodies from callers.
    pub received: Counter,
    /// Bytes of bodies to callers.
    pub sent: Counter,
    /// How far the upstream's clock is ahead, once it is known.
    pub clock_skew: Late,
    /// The second of the epoch in which it was last looked at.
    clock_looked_at: AtomicI64,
    /// Calls that all rules let pass.
    pub allowed: Counter,
    /// Calls that passed because the route learns.
    pub learnt: Counter,
    /// Calls that a rule refused.
    pub denied: Counter,
}

impl RouteMeters {
    /// Whether the upstream's clock was not looked at yet for a call of this second of the epoch.
    pub fn clock_is_due(&self, second: i64) -> bool {
        self.clock_looked_at.load(Relaxed) != second && self.clock_looked_at.swap(second, Relaxed) != second
    }

    /// Counts what policy said.
    pub fn decided(&self, decision: Decision) {
        let meter = match decision {
            Decision::Allow => &self.allowed,
            Decision::Learn => &self.learnt,
            Decision::Deny => &self.denied,
        };
        meter.inc();
    }
}

impl Route {
    /// The word that names the scheme in configuration, logs and metrics.
    pub fn scheme_name(&self) -> &'static str {
        scheme_name(&self.scheme, &self.shape)
    }
}

fn scheme_name(scheme: &Scheme, shape: &Shape) -> &'static str {
    match (scheme, shape) {
        (Scheme::Cloudstack(_), _) => "cloudstack",
        (Scheme::Zstack(_), _) => "zstack",
        (Scheme::S3V2(_), _) => "s3-v2",
        (Scheme::SigV4(_), Shape::S3 { .. }) => "s3-v4",
        (Scheme::SigV4(_), _) => "aws-v4",
    }
}

/// The world.
pub struct Snapshot {
    /// The match table over `routes`.
    pub table: Table,
    /// All routes.
    pub routes: Vec<Arc<Route>>,
    /// All clients.
    pub clients: Clients,
    /// What each client may do on all routes, by its name.
    pub grants: HashMap<Arc<str>, Arc<Grant>>,
    /// Local signatures that were used; outlives reloads.
    pub replays: Arc<Replays>,
    /// As the configuration's `server.listen`, in order.
    pub listeners: Vec<Listener>,
    /// Whether a client is known by its user or group, so that owners of sockets are looked up.
    pub needs_owner: bool,
    /// Whether a client is known by its group, so that groups of users are looked up.
    pub needs_groups: bool,
    /// Limits and timeouts.
    pub limits: Limits,
    /// How long a drain may take.
    pub drain: Duration,
}

/// What the configuration names cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct BuildError {
    path: String,
    problem: String,
}

impl BuildError {
    fn new(path: &Path, problem: impl std::fmt::Display) -> Self {
        Self { path: path.display().to_string(), problem: problem.to_string() }
    }

    fn of_clients(problem: &SameToken) -> Self {
        Self { path: "[clients]".to_owned(), problem: problem.to_string() }
    }
}

impl Snapshot {
    /// Builds the world from a checked configuration and the keys and secrets that could be resolved, reading every file that
    /// it names. Endpoints of `previous` that did not change are kept, so that their connections outlive a reload.
    pub fn build(
        config: &Config,
        (keys, secrets): (&HashMap<String, Resolved>, &ClientSecrets),
        metrics: &Metrics,
        previous: Option<&Self>,
    ) -> Result<Self, BuildError> {
        let clients = Clients::new(config, secrets).map_err(|problem| BuildError::of_clients(&problem))?;
        let replays = previous.map(|world| world.replays.clone()).unwrap_or_default();
        let endpoints = config.routes.iter().map(|route| {
            let earlier = previous.and_then(|world| world.route(&route.name));
            endpoint(route, earlier.map(|old| &old.endpoint))
        });
        let endpoints = endpoints.collect::<Result<Vec<_>, _>>()?;
        let listeners = config.server.listen.iter().map(Listener::build).collect::<Result<_, _>>()?;
        Ok(Self::assemble(
            config,
            (keys, secrets),
            metrics,
            previous,
            endpoints,
            listeners,
            (clients, replays),
        ))
    }

    /// This world with other keys and secrets. Reads no file, so that nothing else can fail.
    pub fn renewed(
        &self,
        config: &Config,
        (keys, secrets): (&HashMap<String, Resolved>, &ClientSecrets),
        metrics: &Metrics,
    ) -> Result<Self, BuildError> {
        let clients = Clients::new(config, secrets).map_err(|problem| BuildError::of_clients(&problem))?;
        let endpoints = self.routes.iter().map(|route| route.endpoint.clone());
        let (listeners, replays) = (self.listeners.clone(), self.replays.clone());
        Ok(Self::assemble(
            config,
            (keys, secrets),
            metrics,
            Some(self),
            endpoints,
            listeners,
            (clients, replays),
        ))
    }

    /// The route of this name.
    pub fn route(&self, name: &str) -> Option<&Arc<Route>> {
        self.routes.iter().find(|route| *route.name == *name)
    }

    /// `endpoints` are in the order of the configuration's routes.
    fn assemble(
        config: &Config,
        (keys, secrets): (&HashMap<String, Resolved>, &ClientSecrets),
        metrics: &Metrics,
        previous: Option<&Self>,
        endpoints: impl IntoIterator<Item = Arc<Endpoint>>,
        listeners: Vec<Listener>,
        (clients, replays): (Clients, Arc<Replays>),
    ) -> Self {
        let needles = Arc::new(needles(keys, secrets));
        let routes = config.routes.iter().zip(endpoints).map(|(route, endpoint)| {
            Arc::new(Route {
                name: route.name.as_str().into(),
                host: route.host.clone(),
                path: route.path.clone(),
                shape: route.shape.clone(),
                scheme: route.scheme.clone(),
                credential: endpoint.credential.clone(),
                place: Arc::new(place(route, keys.get(&route.credential))),
                signer: keys.get(&route.credential).and_then(|key| signer(route, key)),
                forward_headers: route.forward_headers.clone(),
                wait: route.wait,
                entrance: clients.entrance(route),
                refuse_replays: route.refuse_replays,
                hand_over: route.hand_over,
                grant: {
                    let earlier = previous.and_then(|world| world.route(&route.name));
                    Grant::new(&route.rules, &route.quota, earlier.map(|earlier| &earlier.grant))
                },
                secrets: route.secrets,
                enforcement: route.policy,
                filter: filter(route, &needles),
                endpoint,
                meters: meters(metrics, route),
            })
        });
        let grants = config.clients.iter().map(|client| {
            let earlier = previous.and_then(|world| world.grants.get(client.name.as_str()));
            let grant = Grant::new(&client.rules, &client.quota, earlier.map(|earlier| &**earlier));
            (client.name.as_str().into(), Arc::new(grant))
        });
        let table = Table::new(config.routes.iter().map(|route| (&route.host, route.path.as_str())));
        let config::Server { limits, drain, .. } = &config.server;
        let asks = |condition: fn(&config::Conditions) -> bool| {
            config.clients.iter().any(|client| condition(&client.conditions))
        };
        let needs_groups = asks(|conditions| conditions.unix_group.is_some());
        let needs_owner = needs_groups || asks(|conditions| conditions.unix_user.is_some());
        let (routes, grants, limits) = (routes.collect(), grants.collect(), limits.clone());
        let drain = *drain;
        Self { table, routes, clients, grants, replays, listeners, needs_owner, needs_groups, limits, drain }
    }
}

/// What the record says of a route's calls.
fn place(route: &config::Route, key: Option<&Resolved>) -> Place {
    let (source, region) = match (&route.scheme, &route.shape) {
        (Scheme::Cloudstack(_), _) => ("cloudstack", None),
        (Scheme::Zstack(_), _) => ("zstack", None),
        (Scheme::S3V2(options), _) if options.dialect == Dialect::Ostor => ("ostor", None),
        (Scheme::S3V2(_), _) => ("s3", None),
        (Scheme::SigV4(options), Shape::S3 { .. }) => ("s3", Some(options.region.clone())),
        (Scheme::SigV4(options), _) => (options.service.as_str(), Some(options.region.clone())),
    };
    let upstream = &route.upstream;
    Place {
        route: route.name.as_str().into(),
        scheme: scheme_name(&route.scheme, &route.shape),
        credential: route.credential.as_str().into(),
        access_key: key.map(|resolved| resolved.key.id.clone()),
        region,
        source: source.to_owned(),
        upstream: format!("{}://{}", if upstream.tls { "https" } else { "http" }, upstream.host),
    }
}

/// The signer of a route; `None` when its key is none that the scheme can use.
fn signer(route: &config::Route, key: &Resolved) -> Option<Box<dyn Signer>> {
    match route.scheme.prepare(key.key.duplicate()) {
        Ok(signer) => Some(signer),
        Err(error) => {
            tracing::error!(route = route.name, credential = route.credential, %error, "no signer");
            None
        }
    }
}

/// Everything that this gateway holds and that no answer shall show.
fn needles(keys: &HashMap<String, Resolved>, secrets: &ClientSecrets) -> Needles {
    let mut needles = Needles::of(keys.values().map(|resolved| &resolved.key));
    for secret in secrets.keys.iter().filter_map(|held| held.value.as_ref().ok()) {
        needles.add_secret(secret);
    }
    needles
}

/// What a route takes out of its answers.
fn filter(route: &config::Route, needles: &Arc<Needles>) -> Option<Arc<Filter>> {
    let level = match route.secrets {
        Secrets::Default | Secrets::Deny => Level::ApiKeys,
        Secrets::Redact => Level::AllSecrets,
        Secrets::Allow => return None,
    };
    Some(Arc::new(Filter::new(level, &route.redact, needles.clone())))
}

/// The endpoint of a route: the one that it had, unless anything of it changed, the content of its `ca-file` included.
fn endpoint(route: &config::Route, earlier: Option<&Arc<Endpoint>>) -> Result<Arc<Endpoint>, BuildError> {
    let upstream = &route.upstream;
    let roots = upstream.ca_file.as_deref().map(tls::certificates).transpose()?;
    let same = |known: &&Arc<Endpoint>| {
        known.upstream == *upstream && *known.credential == *route.credential && known.roots == roots
    };
    if let Some(endpoint) = earlier.filter(same) {
        return Ok(endpoint.clone());
    }
    let tls = if upstream.tls { Some(tls::upstream(upstream, roots.as_deref())?) } else { None };
    let credential = route.credential.as_str().into();
    let host = upstream.host.as_str().into();
    Ok(Arc::new(Endpoint { upstream: upstream.clone(), host, credential, tls, roots }))
}

fn meters(metrics: &Metrics, route: &config::Route) -> RouteMeters {
    let label = RouteLabel { route: route.name.clone() };
    let decisions = |decision| {
        let label = DecisionLabels { route: route.name.clone(), decision };
        metrics.decisions.get_or_create(&label).clone()
    };
    let scheme = scheme_name(&route.scheme, &route.shape);
    let requests = Answered::new(&metrics.requests, &route.name, scheme);
    let scheme = SchemeLabel { scheme };
    RouteMeters {
        requests,
        inflight: metrics.inflight.get_or_create(&label).clone(),
        request_duration: metrics.request_duration.get_or_create(&label).clone(),
        upstream_duration: metrics.upstream_duration.get_or_create(&label).clone(),
        sign_duration: metrics.sign_duration.get_or_create(&scheme).clone(),
        received: metrics.received.get_or_create(&label).clone(),
        sent: metrics.sent.get_or_create(&label).clone(),
        clock_skew: Late::new(&metrics.clock_skew, &route.name),
        clock_looked_at: AtomicI64::new(i64::MIN),
        allowed: decisions("allow"),
        learnt: decisions("learn"),
        denied: decisions("deny"),
    }
}

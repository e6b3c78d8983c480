//! The built world that one request sees: match table, routes with their prepared signers, limits. Immutable;
//! a reload builds a new one, and a request keeps the one it began with.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_platform_verifier::BuilderVerifierExt;

use crate::config::{self, Config, HostMatch, Limits, ListenerTls, Shape, Upstream};
use crate::credentials::Resolved;
use crate::metrics::{Metrics, RouteLabel, SchemeLabel};
use crate::route::Table;
use crate::sign::{Scheme, Signer};

/// Where a route's connections go and with what trust. One pool per worker belongs to each.
pub struct Endpoint {
    /// Connect address, host and server name.
    pub upstream: Upstream,
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
    /// The prepared signer; `None` while the credential is not resolved.
    pub signer: Option<Box<dyn Signer>>,
    /// Further request headers that pass.
    pub forward_headers: Vec<String>,
    /// Whether jobs are waited for.
    pub wait: Option<config::Wait>,
    /// Whether large objects go round the gateway.
    pub hand_over: Option<config::HandOver>,
    /// Where it leads.
    pub endpoint: Arc<Endpoint>,
    /// Its meters.
    pub meters: RouteMeters,
}

/// The metrics of a route, looked up once.
pub struct RouteMeters {
    /// Requests in progress.
    pub inflight: Gauge,
    /// Whole durations.
    pub request_duration: Histogram,
    /// Upstream durations.
    pub upstream_duration: Histogram,
    /// Signing durations.
    pub sign_duration: Histogram,
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

/// What a data listener answers to.
#[derive(Clone)]
pub struct Listener {
    /// Host names that it accepts beside those of the routes.
    pub hosts: Vec<String>,
    /// TLS, when it is spoken.
    pub tls: Option<Arc<ServerConfig>>,
}

/// The world.
pub struct Snapshot {
    /// The match table over `routes`.
    pub table: Table,
    /// All routes.
    pub routes: Vec<Arc<Route>>,
    /// As the configuration's `server.listen`, in order.
    pub listeners: Vec<Listener>,
    /// Limits and timeouts.
    pub limits: Limits,
    /// How long a drain may take.
    pub drain: Duration,
}

/// A file that the configuration names cannot be used.
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
}

impl Snapshot {
    /// Builds the world from a checked configuration and the keys that could be resolved, reading every file that
    /// it names. Endpoints of `previous` that did not change are kept, so that their connections outlive a reload.
    pub fn build(
        config: &Config,
        keys: &HashMap<String, Resolved>,
        metrics: &Metrics,
        previous: Option<&Self>,
    ) -> Result<Self, BuildError> {
        let endpoints = config.routes.iter().map(|route| {
            let earlier = previous.and_then(|world| world.routes.iter().find(|old| *old.name == *route.name));
            endpoint(route, earlier.map(|old| &old.endpoint))
        });
        let endpoints = endpoints.collect::<Result<Vec<_>, _>>()?;
        let listeners = config.server.listen.iter().map(listener).collect::<Result<_, _>>()?;
        Ok(Self::assemble(config, keys, metrics, endpoints, listeners))
    }

    /// This world with other keys. Reads no file, so that nothing but the keys can fail.
    #[must_use]
    pub fn renewed(&self, config: &Config, keys: &HashMap<String, Resolved>, metrics: &Metrics) -> Self {
        let endpoints = self.routes.iter().map(|route| route.endpoint.clone());
        Self::assemble(config, keys, metrics, endpoints, self.listeners.clone())
    }

    /// `endpoints` are in the order of the configuration's routes.
    fn assemble(
        config: &Config,
        keys: &HashMap<String, Resolved>,
        metrics: &Metrics,
        endpoints: impl IntoIterator<Item = Arc<Endpoint>>,
        listeners: Vec<Listener>,
    ) -> Self {
        let routes = config.routes.iter().zip(endpoints).map(|(route, endpoint)| {
            Arc::new(Route {
                name: route.name.as_str().into(),
                host: route.host.clone(),
                path: route.path.clone(),
                shape: route.shape.clone(),
                scheme: route.scheme.clone(),
                credential: endpoint.credential.clone(),
                signer: keys.get(&route.credential).and_then(|key| signer(route, key)),
                forward_headers: route.forward_headers.clone(),
                wait: route.wait,
                hand_over: route.hand_over,
                endpoint,
                meters: meters(metrics, route),
            })
        });
        let table = Table::new(config.routes.iter().map(|route| (&route.host, route.path.as_str())));
        let config::Server { limits, drain, .. } = &config.server;
        Self { table, routes: routes.collect(), listeners, limits: limits.clone(), drain: *drain }
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

/// The endpoint of a route: the one that it had, unless anything of it changed, the content of its `ca-file` included.
fn endpoint(route: &config::Route, earlier: Option<&Arc<Endpoint>>) -> Result<Arc<Endpoint>, BuildError> {
    let upstream = &route.upstream;
    let roots = upstream.ca_file.as_deref().map(certificates).transpose()?;
    let same = |known: &&Arc<Endpoint>| {
        known.upstream == *upstream && *known.credential == *route.credential && known.roots == roots
    };
    if let Some(endpoint) = earlier.filter(same) {
        return Ok(endpoint.clone());
    }
    let tls = if upstream.tls { Some(upstream_tls(upstream, roots.as_deref())?) } else { None };
    let credential = route.credential.as_str().into();
    Ok(Arc::new(Endpoint { upstream: upstream.clone(), credential, tls, roots }))
}

fn meters(metrics: &Metrics, route: &config::Route) -> RouteMeters {
    let label = RouteLabel { route: route.name.clone() };
    let scheme = SchemeLabel { scheme: scheme_name(&route.scheme, &route.shape) };
    RouteMeters {
        inflight: metrics.inflight.get_or_create(&label).clone(),
        request_duration: metrics.request_duration.get_or_create(&label).clone(),
        upstream_duration: metrics.upstream_duration.get_or_create(&label).clone(),
        sign_duration: metrics.sign_duration.get_or_create(&scheme).clone(),
    }
}

/// The trust of a route: the system's roots, or the route's own.
fn upstream_tls(
    upstream: &Upstream,
    roots: Option<&[CertificateDer<'static>]>,
) -> Result<Arc<ClientConfig>, BuildError> {
    let builder = ClientConfig::builder();
    let mut tls = match (&upstream.ca_file, roots) {
        (Some(path), Some(roots)) => {
            builder.with_root_certificates(store(path, roots)?).with_no_client_auth()
        }
        _ => builder
            .with_platform_verifier()
            .map_err(|error| BuildError::new(Path::new("system trust store"), error))?
            .with_no_client_auth(),
    };
    if upstream.http2 {
        tls.alpn_protocols.push(b"h2".to_vec());
    }
    tls.alpn_protocols.push(b"http/1.1".to_vec());
    Ok(Arc::new(tls))
}

fn listener(listener: &config::Listener) -> Result<Listener, BuildError> {
    let mut hosts: Vec<String> = ["localhost", "127.0.0.1", "[::1]"].map(String::from).to_vec();
    hosts.extend(listener.hosts.iter().cloned());
    if let config::Address::Tcp(address) = listener.address
        && !address.ip().is_unspecified()
    {
        hosts.push(match address.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        });
    }
    Ok(Listener { hosts, tls: listener.tls.as_ref().map(listener_tls).transpose()? })
}

fn listener_tls(files: &ListenerTls) -> Result<Arc<ServerConfig>, BuildError> {
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| BuildError::new(&files.key, error))?;
    let builder = match &files.client_ca {
        None => ServerConfig::builder().with_no_client_auth(),
        Some(path) => {
            let verifier = WebPkiClientVerifier::builder(Arc::new(store(path, &certificates(path)?)?))
                .build()
                .map_err(|error| BuildError::new(path, error))?;
            ServerConfig::builder().with_client_cert_verifier(verifier)
        }
    };
    let mut tls = builder
        .with_single_cert(certificates(&files.certificate)?, key)
        .map_err(|error| BuildError::new(&files.certificate, error))?;
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(tls))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, BuildError> {
    let found = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| BuildError::new(path, error))?;
    if found.is_empty() {
        return Err(BuildError::new(path, "no PEM certificate in this file"));
    }
    Ok(found)
}

fn store(path: &Path, roots: &[CertificateDer<'static>]) -> Result<RootCertStore, BuildError> {
    let mut store = RootCertStore::empty();
    for certificate in roots {
        store.add(certificate.clone()).map_err(|error| BuildError::new(path, error))?;
    }
    Ok(store)
}

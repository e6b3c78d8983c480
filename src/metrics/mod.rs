//! Counters and histograms, and their Prometheus text. Labels are bounded: routes, schemes, codes; never a caller's
//! text, never a secret.

mod answered;
mod late;
mod process;
pub mod reading;
pub mod record;

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

pub use answered::{Answered, method_label};
pub use late::Late;

/// The bounds that OpenTelemetry gives to HTTP durations, in seconds.
const BOUNDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// Signing takes microseconds; bounds in seconds.
const SIGN_BOUNDS: [f64; 8] = [0.000_002, 0.000_005, 0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.001, 0.01];

/// Labels of a finished request.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct RequestLabels {
    /// The route's name, or empty when none matched.
    pub route: String,
    /// The scheme's name.
    pub scheme: &'static str,
    /// A standard method, or `_OTHER`.
    pub method: &'static str,
    /// `2xx` and so on.
    pub code_class: &'static str,
}

/// Labels of a refusal or failure of our own.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct RefusedLabels {
    /// The route's name, or empty when none matched.
    pub route: String,
    /// The code of the reason.
    pub reason: &'static str,
}

/// Labels of an answer in which an upstream refuses the signature.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct RejectedLabels {
    /// The route's name.
    pub route: String,
    /// Why, as far as the upstream says: a word of a fixed list.
    pub reason: &'static str,
}

/// Labels of what policy decided.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct DecisionLabels {
    /// The route's name.
    pub route: String,
    /// `allow`, `learn` or `deny`.
    pub decision: &'static str,
}

/// A route alone.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct RouteLabel {
    /// The route's name.
    pub route: String,
}

/// A credential alone.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct CredentialLabel {
    /// The credential's name.
    pub credential: String,
}

/// A scheme alone.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct SchemeLabel {
    /// The scheme's name.
    pub scheme: &'static str,
}

fn durations() -> Histogram {
    Histogram::new(BOUNDS)
}

fn sign_durations() -> Histogram {
    Histogram::new(SIGN_BOUNDS)
}

/// All metrics of the process.
pub struct Metrics {
    registry: Registry,
    /// `countersign_requests_total`.
    pub requests: Family<RequestLabels, Counter>,
    /// `countersign_refused_total`.
    pub refused: Family<RefusedLabels, Counter>,
    /// `countersign_policy_decisions_total`.
    pub decisions: Family<DecisionLabels, Counter>,
    /// `countersign_request_duration_seconds`.
    pub request_duration: Family<RouteLabel, Histogram, fn() -> Histogram>,
    /// `countersign_upstream_duration_seconds`.
    pub upstream_duration: Family<RouteLabel, Histogram, fn() -> Histogram>,
    /// `countersign_sign_duration_seconds`.
    pub sign_duration: Family<SchemeLabel, Histogram, fn() -> Histogram>,
    /// `countersign_inflight_requests`.
    pub inflight: Family<RouteLabel, Gauge>,
    /// `countersign_request_body_bytes_total`.
    pub received: Family<RouteLabel, Counter>,
    /// `countersign_response_body_bytes_total`.
    pub sent: Family<RouteLabel, Counter>,
    /// `countersign_upstream_signature_rejected_total`.
    pub rejected: Family<RejectedLabels, Counter>,
    /// `countersign_upstream_clock_skew_seconds`: how far the upstream's clock is ahead.
    pub clock_skew: Family<RouteLabel, Gauge<f64, AtomicU64>>,
    /// `countersign_audit_*`: brought up to date by whoever asks.
    pub record: record::Record,
    /// `countersign_connections`.
    pub connections: Gauge,
    /// `countersign_connections_refused_total`.
    pub connections_refused: Counter,
    /// `countersign_proxy_headers_refused_total`: connections of trusted proxies without a good PROXY header.
    pub proxy_headers_refused: Counter,
    /// `countersign_credential_ready`: 1 while a credential is resolved.
    pub credential_ready: Family<CredentialLabel, Gauge>,
    /// `countersign_credential_expiry_timestamp_seconds`.
    pub credential_expiry: Family<CredentialLabel, Gauge>,
    /// `countersign_credential_refresh_failures_total`.
    pub credential_failures: Family<CredentialLabel, Counter>,
    /// `countersign_config_reload_success`: 1 when the last reload was good.
    pub reload_success: Gauge,
    /// `countersign_config_reload_timestamp_seconds`.
    pub reload_timestamp: Gauge<f64, AtomicU64>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::default(),
            requests: Family::default(),
            refused: Family::default(),
            decisions: Family::default(),
            request_duration: Family::new_with_constructor(durations),
            upstream_duration: Family::new_with_constructor(durations),
            sign_duration: Family::new_with_constructor(sign_durations),
            inflight: Family::default(),
            received: Family::default(),
            sent: Family::default(),
            rejected: Family::default(),
            clock_skew: Family::default(),
            record: record::Record::default(),
            connections: Gauge::default(),
            connections_refused: Counter::default(),
            proxy_headers_refused: Counter::default(),
            credential_ready: Family::default(),
            credential_expiry: Family::default(),
            credential_failures: Family::default(),
            reload_success: Gauge::default(),
            reload_timestamp: Gauge::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        self.registry.register_collector(Box::new(process::Process::default()));
        let to = self.registry.sub_registry_with_prefix("countersign");
        let version =
            Info::new([("version", env!("CARGO_PKG_VERSION")), ("rustc", env!("COUNTERSIGN_RUSTC"))]);
        to.register("build", "What is running", version);
        to.register("requests", "Requests answered", self.requests.clone());
        to.register("refused", "Requests that the gateway itself refused or failed", self.refused.clone());
        to.register("policy_decisions", "Calls that policy judged", self.decisions.clone());
        let seconds = || Unit::Seconds;
        let (request, upstream) = (self.request_duration.clone(), self.upstream_duration.clone());
        to.register_with_unit("request_duration", "From arrival to the last byte", seconds(), request);
        to.register_with_unit(
            "upstream_duration",
            "From sending to the upstream's head",
            seconds(),
            upstream,
        );
        to.register_with_unit("sign_duration", "Time to sign", seconds(), self.sign_duration.clone());
        to.register("inflight_requests", "Requests in progress", self.inflight.clone());
        let bytes = || Unit::Bytes;
        let (received, sent) = (self.received.clone(), self.sent.clone());
        to.register_with_unit("request_body", "Bytes of bodies from callers", bytes(), received);
        to.register_with_unit("response_body", "Bytes of bodies to callers", bytes(), sent);
        let rejected = self.rejected.clone();
        let help = "Answers in which the upstream refuses the signature";
        to.register("upstream_signature_rejected", help, rejected);
        let skew = self.clock_skew.clone();
        to.register_with_unit(
            "upstream_clock_skew",
            "How far the upstream's clock is ahead",
            seconds(),
            skew,
        );
        self.record.register(to);
        to.register("connections", "Connections of callers", self.connections.clone());
        let refused = self.connections_refused.clone();
        to.register("connections_refused", "Connections closed at the limit", refused);
        let refused = self.proxy_headers_refused.clone();
        let help = "Connections of trusted proxies closed for want of a good PROXY header";
        to.register("proxy_headers_refused", help, refused);
        to.register("credential_ready", "Whether a credential is resolved", self.credential_ready.clone());
        let expiry = self.credential_expiry.clone();
        to.register_with_unit("credential_expiry_timestamp", "When a credential expires", seconds(), expiry);
        let failures = self.credential_failures.clone();
        to.register("credential_refresh_failures", "Failed attempts to resolve a credential", failures);
        to.register("config_reload_success", "Whether the last reload was good", self.reload_success.clone());
        let reloaded = self.reload_timestamp.clone();
        to.register_with_unit(
            "config_reload_timestamp",
            "When the configuration was last read",
            seconds(),
            reloaded,
        );
    }

    /// The `OpenMetrics` text of everything.
    pub fn text(&self) -> String {
        let mut text = String::new();
        if encode(&mut text, &self.registry).is_err() {
            text.clear();
        }
        text
    }
}

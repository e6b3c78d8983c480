//! How the gateway stands, as one value: what the console's tables and `countersign status` show.
//!
//! Every number comes from a reading of the metrics, so that all three agree.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::history::{CLASSES, Counts};
use super::record::Audit;
use super::state::State;
use crate::metrics::reading::Reading;

/// Rates and times of routes are of so many seconds.
pub(super) const WINDOW: f64 = 300.0;
/// Buckets that are named.
const BUCKETS: usize = 10;

/// How the gateway stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Status {
    /// What is running.
    pub version: String,
    /// The compiler that built it.
    pub rustc: String,
    /// When this was so.
    pub now: Timestamp,
    /// When the process was started.
    pub started: Timestamp,
    /// Whether it is ready.
    pub ready: bool,
    /// Why it is not.
    pub faults: Vec<String>,
    /// Whether the last reload was good.
    pub reload_success: bool,
    /// When the configuration was last read.
    pub reloaded: Timestamp,
    /// Connections of callers.
    pub connections: u64,
    /// How the record stands.
    pub audit: Audit,
    /// Rates and times are of so many seconds.
    pub window_seconds: f64,
    /// In the order of the configuration; a last one without a name, when there were requests without a route.
    pub routes: Vec<Route>,
    /// By name.
    pub credentials: Vec<Credential>,
    /// Most first.
    pub refusals: Vec<Refusals>,
    /// Most bytes first.
    pub buckets: Vec<Bucket>,
}

/// One route.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Route {
    /// Its name.
    pub name: String,
    /// The scheme.
    pub scheme: String,
    /// Scheme and host of the upstream.
    pub upstream: String,
    /// The name of the credential.
    pub credential: String,
    /// Whether it can sign.
    pub ready: bool,
    /// When its credential expires.
    pub expires: Option<Timestamp>,
    /// Requests in progress.
    pub in_flight: u64,
    /// Requests since the start.
    pub requests: u64,
    /// The same by class of the answer.
    pub classes: BTreeMap<String, u64>,
    /// Requests a second, lately.
    pub rate: f64,
    /// Seconds that half of the requests took at most, lately.
    pub p50_seconds: Option<f64>,
    /// Seconds that 99 of a hundred took at most, lately.
    pub p99_seconds: Option<f64>,
    /// The share of answers 4xx, lately.
    pub share_4xx: Option<f64>,
    /// The share of answers 5xx, and of callers who left before one, lately.
    pub share_5xx: Option<f64>,
    /// How far the upstream's clock is ahead.
    pub clock_skew_seconds: Option<f64>,
    /// Answers in which the upstream refused the signature.
    pub signature_rejected: u64,
    /// Bytes of bodies from callers.
    pub received_bytes: u64,
    /// Bytes of bodies to callers.
    pub sent_bytes: u64,
}

/// One credential.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Credential {
    /// Its name.
    pub name: String,
    /// Whether it is resolved and usable.
    pub ready: bool,
    /// When it expires.
    pub expires: Option<Timestamp>,
    /// Failed attempts to resolve it.
    pub failures: u64,
}

/// Refusals for one reason.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Refusals {
    /// The code.
    pub reason: String,
    /// How many.
    pub count: u64,
}

/// Traffic of one bucket.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// Calls that an upstream answered.
    pub calls: u64,
    /// Bytes from callers.
    pub received: u64,
    /// Bytes to callers.
    pub sent: u64,
}

/// Counters are whole numbers, written as such.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float never leaves the range as `as` cuts"
)]
fn whole(value: f64) -> u64 {
    value.max(0.0).round() as u64
}

#[allow(clippy::cast_possible_truncation, reason = "as above")]
fn moment(seconds: f64) -> Timestamp {
    Timestamp::from_second(seconds as i64).unwrap_or_default()
}

impl Status {
    /// How it stands now.
    pub(super) fn of(state: &State) -> Self {
        let now = Timestamp::now();
        let reading = state.reading();
        let faults = state.faults();
        let build = |label| {
            let mut infos = reading.all("countersign_build_info").map(|info| info.label(label).to_owned());
            infos.next().unwrap_or_default()
        };
        Self {
            version: build("version"),
            rustc: build("rustc"),
            now,
            started: reading.plain("process_start_time_seconds").map_or(state.started(), moment),
            ready: faults.is_empty(),
            faults,
            reload_success: reading.plain("countersign_config_reload_success") == Some(1.0),
            reloaded: moment(reading.plain("countersign_config_reload_timestamp_seconds").unwrap_or(0.0)),
            connections: whole(reading.plain("countersign_connections").unwrap_or(0.0)),
            audit: state.audit(),
            window_seconds: WINDOW,
            routes: routes(state, &reading),
            credentials: credentials(&reading),
            refusals: refusals(&reading),
            buckets: buckets(state),
        }
    }
}

fn routes(state: &State, reading: &Reading) -> Vec<Route> {
    let (recent, seconds) = state.recent(reading);
    let expiry = "countersign_credential_expiry_timestamp_seconds";
    let mut routes: Vec<Route> = state
        .world()
        .routes
        .iter()
        .map(|route| {
            let upstream = &route.endpoint.upstream;
            Route {
                name: route.name.to_string(),
                scheme: route.scheme_name().to_owned(),
                upstream: format!("{}://{}", if upstream.tls { "https" } else { "http" }, upstream.host),
                credential: route.credential.to_string(),
                ready: route.signer.is_some(),
                expires: reading.one(expiry, ("credential", &route.credential)).map(moment),
                ..Route::default()
            }
        })
        .collect();
    // What no route matched is counted under the empty name.
    if reading.sums("countersign_requests_total", "route").get("").is_some_and(|count| *count > 0.0) {
        routes.push(Route { ready: true, ..Route::default() });
    }
    for route in &mut routes {
        count(route, reading);
        if let Some(counts) = recent.get(&route.name) {
            measure(route, counts, seconds);
        }
    }
    routes
}

/// What was since the start.
fn count(route: &mut Route, reading: &Reading) {
    let label = ("route", route.name.as_str());
    for sample in reading.all("countersign_requests_total").filter(|sample| sample.label("route") == label.1)
    {
        *route.classes.entry(sample.label("code_class").to_owned()).or_default() += whole(sample.value);
    }
    route.requests = route.classes.values().sum();
    let one = |name| reading.one(name, label).map(whole).unwrap_or_default();
    let (in_flight, received, sent) = (
        one("countersign_inflight_requests"),
        one("countersign_request_body_bytes_total"),
        one("countersign_response_body_bytes_total"),
    );
    (route.in_flight, route.received_bytes, route.sent_bytes) = (in_flight, received, sent);
    let rejected = reading.sums("countersign_upstream_signature_rejected_total", "route");
    route.signature_rejected = rejected.get(label.1).copied().map(whole).unwrap_or_default();
    route.clock_skew_seconds = reading.one("countersign_upstream_clock_skew_seconds", label);
}

/// What was lately.
fn measure(route: &mut Route, counts: &Counts, seconds: f64) {
    let all = counts.requests();
    let share = |classes: &[&str]| {
        let of = CLASSES.iter().zip(counts.classes).filter(|(class, _)| classes.contains(class));
        (all > 0.0).then(|| of.map(|(_, count)| count).sum::<f64>() / all)
    };
    route.rate = if seconds > 0.0 { all / seconds } else { 0.0 };
    route.p50_seconds = counts.quantile(0.5);
    route.p99_seconds = counts.quantile(0.99);
    route.share_4xx = share(&["4xx"]);
    route.share_5xx = share(&["5xx", "none"]);
}

fn credentials(reading: &Reading) -> Vec<Credential> {
    let ready = reading.sums("countersign_credential_ready", "credential");
    let of = |name: &str, credential: &str| reading.one(name, ("credential", credential));
    let each = ready.into_iter().map(|(name, ready)| Credential {
        ready: ready > 0.0,
        expires: of("countersign_credential_expiry_timestamp_seconds", &name).map(moment),
        failures: of("countersign_credential_refresh_failures_total", &name).map(whole).unwrap_or_default(),
        name,
    });
    each.collect()
}

fn refusals(reading: &Reading) -> Vec<Refusals> {
    let sums = reading.sums("countersign_refused_total", "reason");
    let mut refusals: Vec<Refusals> =
        sums.into_iter().map(|(reason, count)| Refusals { reason, count: whole(count) }).collect();
    refusals.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.reason.cmp(&b.reason)));
    refusals
}

fn buckets(state: &State) -> Vec<Bucket> {
    let traffic = state.feed().traffic().into_iter().take(BUCKETS);
    let each = traffic.map(|(name, traffic)| Bucket {
        name,
        calls: traffic.calls,
        received: traffic.received,
        sent: traffic.sent,
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::float_cmp, reason = "tenths of ten")]
    fn who_left_before_an_answer_counts_with_failures() {
        let (mut route, mut counts) = (Route::default(), Counts::default());
        // 1xx, 2xx, 3xx, 4xx, 5xx, none.
        counts.classes = [0.0, 4.0, 1.0, 2.0, 1.0, 2.0];
        measure(&mut route, &counts, 5.0);
        assert_eq!((route.rate, route.share_4xx, route.share_5xx), (2.0, Some(0.2), Some(0.3)));
        measure(&mut route, &Counts::default(), 0.0);
        assert_eq!((route.rate, route.share_4xx, route.share_5xx), (0.0, None, None));
    }
}

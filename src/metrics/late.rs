//! A gauge that appears with its first value, so that nobody takes a zero for a measurement.

use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use super::RouteLabel;

/// One route's gauge, looked up once, when there is something to say.
pub struct Late {
    family: Family<RouteLabel, Gauge<f64, AtomicU64>>,
    route: String,
    gauge: OnceLock<Gauge<f64, AtomicU64>>,
}

impl Late {
    /// The gauge of `route` in `family`.
    pub fn new(family: &Family<RouteLabel, Gauge<f64, AtomicU64>>, route: &str) -> Self {
        Self { family: family.clone(), route: route.to_owned(), gauge: OnceLock::new() }
    }

    /// Sets the value.
    pub fn set(&self, value: f64) {
        let look_up = || self.family.get_or_create(&RouteLabel { route: self.route.clone() }).clone();
        self.gauge.get_or_init(look_up).set(value);
    }
}

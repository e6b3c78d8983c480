//! One call in progress: its record, its route, its meters.
//!
//! A guard: whatever becomes of the call, and wherever it is dropped, it is counted once and its record is written.

use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;

use crate::audit::{Entry, Log};
use crate::metrics::{Metrics, RefusedLabels, RequestLabels, class_label, method_label};
use crate::reason::Reason;
use crate::snapshot::Route;

use super::quota::Places;

/// A call from its arrival to the last byte of its answer.
pub(super) struct Call {
    /// What is known of it.
    pub(super) entry: Entry,
    route: Option<Arc<Route>>,
    places: Option<Places>,
    started: Instant,
    metrics: Arc<Metrics>,
}

impl Call {
    /// A call that arrived at `now`.
    pub(super) fn open(
        log: &Log,
        metrics: &Arc<Metrics>,
        now: Timestamp,
        source: String,
        method: &str,
    ) -> Self {
        let id = uuid::Uuid::now_v7().to_string();
        let entry = Entry::open(log, now, id, source, method);
        Self { entry, route: None, places: None, started: Instant::now(), metrics: metrics.clone() }
    }

    /// The call has found its route.
    pub(super) fn routed(&mut self, route: &Arc<Route>) {
        let record = &mut self.entry.record;
        record.route = route.name.clone();
        if route.entrance.is_none() {
            record.client = "anonymous".into();
        }
        record.scheme = route.scheme_name();
        record.credential = route.credential.clone();
        route.meters.inflight.inc();
        self.route = Some(route.clone());
    }

    /// The route, once found.
    pub(super) fn route(&self) -> Option<&Arc<Route>> {
        self.route.as_ref()
    }

    /// The caller is known.
    pub(super) fn identified(&mut self, client: Arc<str>, proof: &'static str) {
        self.entry.record.client = client;
        self.entry.record.proof = proof;
    }

    /// The client that the caller has proved to be.
    pub(super) fn client(&self) -> Option<&str> {
        let record = &self.entry.record;
        (!record.proof.is_empty()).then_some(&*record.client)
    }

    /// The call takes places until its last byte.
    pub(super) fn holds(&mut self, places: Places) {
        self.places = Some(places);
    }

    /// The call is refused, or failed here.
    pub(super) fn refused(&mut self, reason: &Reason) {
        self.entry.record.error = reason.code();
        let label = RefusedLabels { route: self.entry.record.route.to_string(), reason: reason.code() };
        self.metrics.refused.get_or_create(&label).inc();
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let record = &self.entry.record;
        let label = RequestLabels {
            route: record.route.to_string(),
            scheme: record.scheme,
            method: method_label(&record.method),
            code_class: class_label(record.status),
        };
        self.metrics.requests.get_or_create(&label).inc();
        if let Some(route) = &self.route {
            route.meters.inflight.dec();
            match record.decision {
                "allow" => drop(route.meters.allowed.inc()),
                "learn" => drop(route.meters.learnt.inc()),
                "deny" => drop(route.meters.denied.inc()),
                _ => {}
            }
            route.meters.request_duration.observe(self.started.elapsed().as_secs_f64());
        }
    }
}

//! One call in progress: its record, its route, its meters.
//!
//! A guard: whatever becomes of the call, and wherever it is dropped, it is counted once and its record is written.

use std::rc::Rc;
use std::sync::Arc;

use http::HeaderMap;
use http::response::Parts;

use crate::audit::Who;
use crate::audit::event::Kind;
use crate::live::Reporter;
use crate::metrics::{Answered, Metrics, RefusedLabels, RejectedLabels};
use crate::reason::Reason;
use crate::snapshot::Route;
use crate::trace::Trace;

use super::quota::Places;
use super::rejection::Rejection;
use super::room::Kept;
use super::scribe::Scribe;
use super::watch;

/// Where the ends of all calls of a worker are made known.
pub(super) struct Office {
    pub(super) scribe: Scribe,
    pub(super) metrics: Arc<Metrics>,
    /// Tells those who watch.
    pub(super) reporter: Reporter,
}

/// A call from its arrival to the last byte of its answer.
pub(super) struct Call {
    /// What is known of it.
    pub(super) record: Kept,
    office: Rc<Office>,
    route: Option<Arc<Route>>,
    places: Option<Places>,
    /// An error answer that is on its way.
    rejection: Option<Rejection>,
}

impl Call {
    /// A call of which this is known. Its end is reported, and its trace goes on; where traces are exported and it is
    /// in none, one begins.
    pub(super) fn open(mut record: Kept, headers: &HeaderMap, office: &Rc<Office>) -> Self {
        let continued = Trace::continued(headers);
        record.trace = continued.or_else(|| office.reporter.is_exported().then(Trace::begun));
        Self { record, office: office.clone(), route: None, places: None, rejection: None }
    }

    /// The call has found its route.
    pub(super) fn routed(&mut self, route: &Arc<Route>) {
        self.record.place = Some(route.place.clone());
        if route.entrance.is_none() {
            self.record.who = Who::Anonymous;
        }
        route.meters.inflight.inc();
        self.route = Some(route.clone());
    }

    /// The route, once found.
    pub(super) fn route(&self) -> Option<&Arc<Route>> {
        self.route.as_ref()
    }

    /// The caller is known.
    pub(super) fn identified(&mut self, name: Arc<str>, proof: &'static str) {
        self.record.who = Who::Client { name, proof };
    }

    /// The client that the caller has proved to be.
    pub(super) fn client(&self) -> Option<&str> {
        match &self.record.who {
            Who::Client { name, .. } => Some(name),
            Who::Unknown | Who::Anonymous => None,
        }
    }

    /// The call takes places until its last byte.
    pub(super) fn holds(&mut self, places: Places) {
        self.places = Some(places);
    }

    /// The upstream has answered with this head.
    pub(super) fn answered(&mut self, head: &Parts) {
        self.record.status = head.status.as_u16();
        self.rejection = self.route.as_ref().and_then(|route| Rejection::suspected(route, head));
    }

    /// Bytes of the answer go to the caller.
    pub(super) fn passes(&mut self, data: &[u8]) {
        self.record.bytes_out += data.len() as u64;
        if let Some(rejection) = &mut self.rejection {
            rejection.see(data);
        }
    }

    /// The call is refused, or failed here.
    pub(super) fn refused(&mut self, reason: &Reason) {
        self.record.error = reason.code();
        self.record.message = reason.message().into_owned();
        let label = RefusedLabels { route: self.record.route().to_owned(), reason: reason.code() };
        self.office.metrics.refused.get_or_create(&label).inc();
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let rejection = self.rejection.take();
        self.record.upstream_error = rejection.as_ref().and_then(Rejection::code);
        let record = &self.record;
        let Office { scribe, metrics, reporter } = &*self.office;
        record.tell(Kind::Outcome, |event| scribe.recorder.outcome(event));
        match &self.route {
            Some(route) => route.meters.requests.count(&record.method, record.status),
            None => Answered::new(&metrics.requests, "", "").count(&record.method, record.status),
        }
        if let Some(route) = &self.route {
            route.meters.inflight.dec();
            if let Some(decision) = record.decision {
                route.meters.decided(decision);
            }
            route.meters.request_duration.observe(record.started.elapsed().as_secs_f64());
            route.meters.received.inc_by(record.bytes_in);
            route.meters.sent.inc_by(record.bytes_out);
            if let Some(reason) = rejection.as_ref().and_then(Rejection::reason) {
                let label = RejectedLabels { route: record.route().to_owned(), reason };
                metrics.rejected.get_or_create(&label).inc();
            }
            watch::count(reporter, route, record);
        }
        reporter.publish(|| watch::call(record));
    }
}

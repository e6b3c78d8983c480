//! What the admin listener can see.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use jiff::Timestamp;

use super::history::{Counts, History, Plot};
use super::record::Audit;
use super::search::Search;
use super::status::WINDOW;
use crate::audit::recorder;
use crate::config::OnFull;
use crate::live::Feed;
use crate::metrics::Metrics;
use crate::metrics::reading::Reading;
use crate::reload::{CLIENT, Unresolved};
use crate::snapshot::Snapshot;

/// What an admin listener is given.
pub struct Parts {
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// What could not be resolved.
    pub unresolved: Unresolved,
    /// The world that workers see.
    pub world: Arc<ArcSwap<Snapshot>>,
    /// Where workers report to.
    pub feed: Feed,
    /// Tells how the record stands; asked whenever somebody looks, so it must not block.
    pub audit: Box<dyn Fn() -> recorder::State + Send + Sync>,
    /// What becomes of reads while nothing can be recorded: where they pass, the gateway stays ready.
    pub on_full: OnFull,
    /// Searches the record; without it, nobody is offered to.
    pub search: Option<Search>,
}

/// What the admin listener can see. Cheap to clone.
#[derive(Clone)]
pub struct State(Arc<Inner>);

struct Inner {
    parts: Parts,
    draining: AtomicBool,
    started: Timestamp,
    history: Mutex<History>,
}

/// Seconds since 1970.
#[allow(clippy::cast_precision_loss, reason = "milliseconds since 1970 are far below 2^53")]
fn now() -> f64 {
    Timestamp::now().as_millisecond() as f64 / 1e3
}

impl State {
    /// The state of a gateway that is about to serve.
    pub fn new(parts: Parts) -> Self {
        let history = Mutex::new(History::begin(now()));
        let (draining, started) = (AtomicBool::new(false), Timestamp::now());
        Self(Arc::new(Inner { parts, draining, started, history }))
    }

    /// Takes readiness away.
    pub fn drain(&self) {
        self.0.draining.store(true, Ordering::Relaxed);
    }

    /// Why the gateway is not ready; empty when it is.
    pub(super) fn faults(&self) -> Vec<String> {
        let mut faults: Vec<String> = {
            let unresolved = self.0.parts.unresolved.lock().unwrap_or_else(PoisonError::into_inner);
            let world = self.0.parts.world.load();
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
        if self.0.parts.on_full == OnFull::Refuse {
            faults.extend(self.audit().fault());
        }
        if self.0.draining.load(Ordering::Relaxed) {
            faults.push("draining".to_owned());
        }
        faults
    }

    /// How the record stands.
    pub(super) fn audit(&self) -> Audit {
        Audit::of(&(self.0.parts.audit)())
    }

    /// The text that collectors read.
    pub(super) fn metrics(&self) -> String {
        let metrics = &self.0.parts.metrics;
        metrics.record.set(&self.audit().numbers());
        metrics.text()
    }

    /// All metrics as they are now.
    pub(super) fn reading(&self) -> Reading {
        Reading::of(&self.metrics())
    }

    /// The world that workers see.
    pub(super) fn world(&self) -> Arc<Snapshot> {
        self.0.parts.world.load_full()
    }

    /// Where workers report to.
    pub(super) fn feed(&self) -> &Feed {
        &self.0.parts.feed
    }

    /// What searches the record.
    pub(super) fn search(&self) -> Option<&Search> {
        self.0.parts.search.as_ref()
    }

    /// When it began to serve.
    pub(super) fn started(&self) -> Timestamp {
        self.0.started
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.0.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends a step of the history.
    pub(super) fn step(&self) {
        let reading = self.reading();
        self.history().step(&reading, now());
    }

    /// What routes did lately, and within how many seconds.
    pub(super) fn recent(&self, reading: &Reading) -> (BTreeMap<String, Counts>, f64) {
        self.history().recent(reading, now(), WINDOW)
    }

    /// What is plotted: the last `window` seconds of one route or of everything.
    pub(super) fn plot(&self, window: f64, route: Option<&str>) -> Plot {
        let reading = self.reading();
        self.history().plot(&reading, now(), window, route)
    }
}

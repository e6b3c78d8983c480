//! One worker: a thread with its own runtime, its own sockets, its own upstream pools. Workers share nothing that a
//! request would have to wait for.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::body::spool::Store;
use crate::gateway::{Gateway, Scribe};
use crate::listen::bind::Listening;
use crate::listen::owner::Owners;
use crate::listen::{OpenConnections, Shared, accept};
use crate::live::Feed;
use crate::metrics::Metrics;
use crate::snapshot::Snapshot;

/// How often idle upstream connections are looked through.
const SWEEP: Duration = Duration::from_secs(10);

/// What a worker is given.
pub struct Parts {
    /// The world.
    pub world: Arc<ArcSwap<Snapshot>>,
    /// What calls are recorded with.
    pub scribe: Scribe,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Connections of all workers.
    pub connections: Arc<AtomicUsize>,
    /// Turns true when the drain begins.
    pub draining: watch::Receiver<bool>,
    /// Its sockets, as in the configuration, and whether each takes cleartext HTTP/2.
    pub sockets: Vec<(Listening, bool)>,
    /// Where bodies wait that must be known before they are sent.
    pub store: Store,
    /// What those who watch are told through.
    pub feed: Feed,
    /// Turns true when the drain has taken long enough.
    pub cut: watch::Receiver<bool>,
}

/// Serves until the drain is over or cut; whether every connection ended by itself.
pub fn run(parts: Parts) -> std::io::Result<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, serve(parts))
}

async fn serve(parts: Parts) -> std::io::Result<bool> {
    let Parts { world, scribe, metrics, connections, draining, sockets, store, feed, mut cut } = parts;
    let reporter = feed.reporter();
    let gateway = Gateway::new(world.clone(), scribe, metrics.clone(), store, draining.clone(), reporter);
    let mut drained = draining.clone();
    let owners = Owners::default();
    let spares = Rc::default();
    let shared = Rc::new(Shared { gateway, world, metrics, connections, draining, owners, spares });
    let open = Rc::new(OpenConnections::default());
    for (index, (socket, h2c)) in sockets.into_iter().enumerate() {
        let bound = socket.into_bound()?;
        tokio::task::spawn_local(accept(shared.clone(), bound, index, h2c, open.clone()));
    }
    let mut sweep = tokio::time::interval(SWEEP);
    loop {
        tokio::select! {
            _ = sweep.tick() => shared.gateway.sweep(),
            _ = drained.wait_for(|draining| *draining) => break,
        }
    }
    tokio::select! {
        biased;
        () = open.none() => Ok(true),
        // What is still open is dropped with its runtime, and its records are written as those of cut calls.
        _ = cut.wait_for(|cut| *cut) => Ok(false),
    }
}

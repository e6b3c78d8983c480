//! What somebody who watches sees: calls as they end, how they were signed, and which buckets the bytes went to.
//!
//! Plain values on their way from workers to whoever watches; no socket, no clock but for the end of an interest. While
//! nobody watches, a call costs one relaxed load, and nothing is kept. What is kept is bounded, and never holds a
//! signature, a secret or a value that the record would not show either.

mod call;
mod filter;
mod stages;
mod tally;
mod text;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::broadcast;

pub use call::Call;
pub use filter::{Filter, FilterError};
pub use stages::{Layout, Part, Stages};
pub use tally::Traffic;
pub use text::visible;

use tally::Tally;

/// Calls that are kept for those who begin to watch.
const RING: usize = 500;
/// Calls that a slow watcher may be behind before some are left out for it.
const BEHIND: usize = 256;
/// Calls that are signed and not yet over whose stages are kept.
const UNDER_WAY: usize = 1_000;
/// How long calls are kept after a single look, for pages that are loaded again and again.
const LOOK: Duration = Duration::from_secs(60);

/// Somebody watches.
const WATCHED: u8 = 1;
/// Every call is exported.
const EXPORTED: u8 = 2;

/// What becomes of every call that is exported; it must not block.
pub type Export = Box<dyn Fn(&Call) + Send + Sync>;

/// Where all workers report to. Cheap to clone.
#[derive(Clone)]
pub struct Feed(Arc<Inner>);

struct Inner {
    /// [`WATCHED`] and [`EXPORTED`].
    wanted: AtomicU8,
    watchers: AtomicUsize,
    /// When the last look is over. Whoever turns [`WATCHED`] on or off holds it.
    until: Mutex<Option<Instant>>,
    calls: broadcast::Sender<Arc<Call>>,
    ring: Mutex<VecDeque<Arc<Call>>>,
    /// Of calls that are not over yet, by their ids.
    stages: Mutex<HashMap<String, Stages>>,
    tallies: Mutex<Vec<Arc<Tally>>>,
    export: Option<Export>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Default for Feed {
    fn default() -> Self {
        Self::new(None)
    }
}

impl Feed {
    /// A feed that nobody watches yet; `export` is given every call.
    pub fn new(export: Option<Export>) -> Self {
        let wanted = AtomicU8::new(if export.is_some() { EXPORTED } else { 0 });
        Self(Arc::new(Inner {
            wanted,
            watchers: AtomicUsize::new(0),
            until: Mutex::default(),
            calls: broadcast::Sender::new(BEHIND),
            ring: Mutex::default(),
            stages: Mutex::default(),
            tallies: Mutex::default(),
            export,
        }))
    }

    /// The end that one worker holds.
    pub fn reporter(&self) -> Reporter {
        let tally = Arc::new(Tally::default());
        locked(&self.0.tallies).push(tally.clone());
        Reporter(Arc::new(End { feed: self.0.clone(), tally }))
    }

    /// Somebody looks once: calls are kept for a minute.
    pub fn look(&self) {
        let mut until = locked(&self.0.until);
        *until = Some(Instant::now() + LOOK);
        self.0.wanted.fetch_or(WATCHED, Relaxed);
    }

    /// Watches from now on, until what this gives is dropped.
    pub fn watch(&self) -> Watch {
        let until = locked(&self.0.until);
        self.0.watchers.fetch_add(1, Relaxed);
        self.0.wanted.fetch_or(WATCHED, Relaxed);
        drop(until);
        Watch { calls: self.0.calls.subscribe(), feed: self.clone() }
    }

    /// How many watch.
    pub fn watchers(&self) -> usize {
        self.0.watchers.load(Relaxed)
    }

    /// The calls that are kept, latest first.
    pub fn recent(&self) -> Vec<Arc<Call>> {
        locked(&self.0.ring).iter().rev().cloned().collect()
    }

    /// The call of this id, if it is kept.
    pub fn call(&self, id: &str) -> Option<Arc<Call>> {
        locked(&self.0.ring).iter().find(|call| call.id == id).cloned()
    }

    /// Bytes by bucket since the start, most first; of many buckets those beyond a bound stand together under
    /// `(others)`.
    pub fn traffic(&self) -> Vec<(String, Traffic)> {
        let mut all = HashMap::new();
        for tally in &*locked(&self.0.tallies) {
            tally.add_to(&mut all);
        }
        let mut all: Vec<(String, Traffic)> = all.into_iter().collect();
        all.sort_by(|(a, one), (b, other)| other.bytes().cmp(&one.bytes()).then_with(|| a.cmp(b)));
        all
    }
}

impl Inner {
    /// A call is over, and somebody wants to know.
    fn take(&self, wanted: u8, mut call: Call) {
        let watched = wanted & WATCHED != 0;
        if watched {
            call.stages = locked(&self.stages).remove(&call.id);
        }
        if let Some(export) = &self.export {
            export(&call);
        }
        if !watched {
            return;
        }
        let call = Arc::new(call);
        {
            let mut ring = locked(&self.ring);
            if ring.len() >= RING {
                ring.pop_front();
            }
            ring.push_back(call.clone());
        }
        // Nobody need be listening: a look is enough to keep calls.
        let _ = self.calls.send(call);
        let until = locked(&self.until);
        if self.watchers.load(Relaxed) == 0 && until.is_none_or(|until| until < Instant::now()) {
            self.wanted.fetch_and(!WATCHED, Relaxed);
            locked(&self.stages).clear();
        }
    }
}

/// One who watches.
pub struct Watch {
    calls: broadcast::Receiver<Arc<Call>>,
    feed: Feed,
}

impl Watch {
    /// The next call that is over; or how many were left out because they came faster than they were taken.
    pub async fn next(&mut self) -> Result<Arc<Call>, u64> {
        loop {
            match self.calls.recv().await {
                Ok(call) => return Ok(call),
                Err(broadcast::error::RecvError::Lagged(missed)) => return Err(missed),
                // The feed, which this holds, holds the other end.
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Who closes a page may have opened another one.
        *locked(&self.feed.0.until) = Some(Instant::now() + LOOK);
        self.feed.0.watchers.fetch_sub(1, Relaxed);
    }
}

/// The end of a feed that one worker reports at. Cheap to clone.
#[derive(Clone)]
pub struct Reporter(Arc<End>);

struct End {
    feed: Arc<Inner>,
    tally: Arc<Tally>,
}

impl Reporter {
    /// Whether anybody wants to know of calls.
    pub fn is_wanted(&self) -> bool {
        self.0.feed.wanted.load(Relaxed) != 0
    }

    /// Whether calls are exported, so that each needs a trace.
    pub fn is_exported(&self) -> bool {
        self.0.feed.export.is_some()
    }

    /// Keeps how a call was signed until it is over, while somebody watches. Of a call that is signed several times
    /// the first time counts.
    pub fn sign(&self, id: &str, stages: impl FnOnce() -> Stages) {
        let feed = &self.0.feed;
        if feed.wanted.load(Relaxed) & WATCHED == 0 {
            return;
        }
        let mut kept = locked(&feed.stages);
        if kept.len() < UNDER_WAY && !kept.contains_key(id) {
            kept.insert(id.to_owned(), stages());
        }
    }

    /// A call is over.
    pub fn publish(&self, call: impl FnOnce() -> Call) {
        let wanted = self.0.feed.wanted.load(Relaxed);
        if wanted != 0 {
            self.0.feed.take(wanted, call());
        }
    }

    /// Bytes of a call about a bucket went by.
    pub fn count(&self, bucket: &str, received: u64, sent: u64) {
        self.0.tally.count(bucket, received, sent);
    }
}

#[cfg(test)]
mod tests;

//! Bytes by bucket, one tally for each worker.
//!
//! A worker locks its own only, which nobody else does but for a moment now and then, to read it.

use std::collections::HashMap;
use std::sync::Mutex;

use super::{locked, visible};

/// Buckets that a worker tells apart. A caller can make up names; what is beyond stands together.
const BUCKETS: usize = 1_000;
/// Where the rest is counted; no bucket has such a name.
const OTHERS: &str = "(others)";

/// What went by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Calls.
    pub calls: u64,
    /// Bytes from callers.
    pub received: u64,
    /// Bytes to callers.
    pub sent: u64,
}

impl Traffic {
    /// Both ways.
    pub fn bytes(&self) -> u64 {
        self.received.saturating_add(self.sent)
    }

    fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.received += other.received;
        self.sent += other.sent;
    }
}

/// The counts of one worker.
#[derive(Default)]
pub(super) struct Tally(Mutex<HashMap<String, Traffic>>);

impl Tally {
    pub(super) fn count(&self, bucket: &str, received: u64, sent: u64) {
        let call = Traffic { calls: 1, received, sent };
        let mut buckets = locked(&self.0);
        if let Some(known) = buckets.get_mut(bucket) {
            known.add(call);
        } else if buckets.len() < BUCKETS {
            buckets.insert(bucket.to_owned(), call);
        } else {
            buckets.entry(OTHERS.to_owned()).or_default().add(call);
        }
    }

    pub(super) fn add_to(&self, all: &mut HashMap<String, Traffic>) {
        for (bucket, traffic) in &*locked(&self.0) {
            all.entry(visible(bucket).into_owned()).or_default().add(*traffic);
        }
    }
}

//! Which local signatures were used already, for routes that take each one once.
//!
//! A signature is remembered until no server would accept it any more; one that never ends cannot be. Memory is
//! bounded, and when it is full nothing more is let through: what cannot be remembered could come again.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Mutex, PoisonError};

use crate::sign::Timestamp;
use crate::sign::claim::Claim;
use crate::sign::digest::RunningSha256;

/// How many signatures are remembered at once.
const CAPACITY: usize = 1_000_000;
/// Parts with a lock each, so that workers rarely wait for one another.
const SHARDS: usize = 64;

/// Why a signature is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replay {
    /// It came before.
    Seen,
    /// It never ends.
    WithoutEnd,
    /// There is no room to remember it.
    Full,
}

/// The memory of all workers.
pub struct Replays {
    shards: Box<[Mutex<Shard>]>,
    room: usize,
}

#[derive(Default)]
struct Shard {
    seen: HashSet<u128>,
    /// The same, the next to be forgotten first.
    ends: BTreeSet<(i64, u128)>,
}

impl Default for Replays {
    fn default() -> Self {
        Self::with_room(CAPACITY)
    }
}

impl Replays {
    fn with_room(signatures: usize) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, room: signatures.div_ceil(SHARDS) }
    }

    /// Takes a verified signature, once.
    ///
    /// # Errors
    /// It came before, or it cannot be remembered for as long as it holds.
    pub fn take(&self, claim: &Claim, now: Timestamp) -> Result<(), Replay> {
        // A second more than it holds: times are compared in whole seconds.
        let end = claim.until.ok_or(Replay::WithoutEnd)?.as_second().saturating_add(1);
        let mark = mark(claim);
        let at = usize::try_from(mark % SHARDS as u128).unwrap_or_default();
        let mut shard = self.shards[at].lock().unwrap_or_else(PoisonError::into_inner);
        shard.forget(now.as_second());
        if shard.seen.contains(&mark) {
            return Err(Replay::Seen);
        }
        if shard.seen.len() >= self.room {
            return Err(Replay::Full);
        }
        shard.seen.insert(mark);
        shard.ends.insert((end, mark));
        Ok(())
    }
}

impl Shard {
    fn forget(&mut self, now: i64) {
        while let Some(&(end, mark)) = self.ends.first().filter(|(end, _)| *end < now) {
            self.ends.remove(&(end, mark));
            self.seen.remove(&mark);
        }
    }
}

/// Half of a digest of key and signature: only the number is kept, never the signature.
fn mark(claim: &Claim) -> u128 {
    let mut hash = RunningSha256::new();
    for part in [claim.key.as_bytes(), b"\0", claim.signature.as_bytes()] {
        hash.update(part);
    }
    let digest = hash.finish();
    digest[..16].iter().fold(0, |number, byte| number << 8 | u128::from(*byte))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::sign::claim::{Family, Place};

    fn claim(key: &str, signature: &str, until: Option<i64>) -> Claim {
        Claim {
            family: Family::SigV4,
            place: Place::Header,
            key: key.to_owned(),
            signature: signature.to_owned(),
            signed_at: None,
            until: until.map(|second| Timestamp::from_second(second).unwrap()),
            payload: None,
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn each_signature_counts_once_while_it_holds() {
        let replays = Replays::default();
        assert_eq!(replays.take(&claim("a", "x", Some(100)), at(50)), Ok(()));
        assert_eq!(replays.take(&claim("a", "x", Some(100)), at(50)), Err(Replay::Seen));
        assert_eq!(replays.take(&claim("a", "x", Some(100)), at(101)), Err(Replay::Seen));
        assert_eq!(replays.take(&claim("b", "x", Some(100)), at(50)), Ok(()));
        assert_eq!(replays.take(&claim("a", "y", Some(100)), at(50)), Ok(()));
        assert_eq!(replays.take(&claim("a", "z", None), at(50)), Err(Replay::WithoutEnd));
    }

    #[test]
    fn room_is_bounded_and_comes_back() {
        let replays = Replays::with_room(SHARDS * 16);
        let outcomes: Vec<_> =
            (0..5000).map(|n| replays.take(&claim("a", &n.to_string(), Some(100)), at(50))).collect();
        let taken = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!(taken, SHARDS * 16);
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(()) | Err(Replay::Full))));
        // What was not taken may come again when there is room, and what was taken may not until it ends.
        assert_eq!(replays.take(&claim("a", "0", Some(100)), at(99)), Err(Replay::Seen));
        for n in 0..100 {
            assert_eq!(replays.take(&claim("b", &n.to_string(), Some(300)), at(200)), Ok(()));
        }
        let held: usize = replays.shards.iter().map(|shard| shard.lock().unwrap().seen.len()).sum();
        let ends: usize = replays.shards.iter().map(|shard| shard.lock().unwrap().ends.len()).sum();
        assert_eq!(held, ends);
        assert!(held < SHARDS * 16);
    }
}

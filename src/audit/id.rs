//! Ids of calls and events: UUIDs of version 7, which sort by time. Their random part alone makes them unique, so that
//! no lock is taken for a counter; each thread fetches random bytes for many of them at once.

use std::cell::RefCell;

use jiff::Timestamp;
use rustix::rand::{GetRandomFlags, getrandom};
use uuid::{Builder, Uuid};

/// Random bytes of one id.
const EACH: usize = 10;
/// Ids for which bytes are fetched at a time.
const IDS: usize = 64;

struct Store {
    bytes: [u8; EACH * IDS],
    used: usize,
}

thread_local! {
    static STORE: RefCell<Store> = const { RefCell::new(Store { bytes: [0; EACH * IDS], used: EACH * IDS }) };
}

/// An id of something that happened at `time`.
pub(super) fn at(time: Timestamp) -> Uuid {
    let milliseconds = u64::try_from(time.as_millisecond()).unwrap_or_default();
    Builder::from_unix_timestamp_millis(milliseconds, &random()).into_uuid()
}

/// Whether all of `bytes` are random now.
fn fill(mut bytes: &mut [u8]) -> bool {
    while !bytes.is_empty() {
        match getrandom(&mut *bytes, GetRandomFlags::empty()) {
            Ok(0) => return false,
            Ok(filled) => bytes = &mut bytes[filled..],
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
        }
    }
    true
}

/// Bytes that no other id has.
fn random() -> [u8; EACH] {
    STORE.with_borrow_mut(|store| {
        if store.used == store.bytes.len() {
            // From the kernel: the source that TLS has takes a tenth of a second to begin with, on every thread.
            if !fill(&mut store.bytes) {
                // The other source panics rather than to give what is not random.
                store
                    .bytes
                    .as_chunks_mut()
                    .0
                    .iter_mut()
                    .for_each(|bytes| *bytes = *Uuid::new_v4().as_bytes());
            }
            store.used = 0;
        }
        let mut bytes = [0; EACH];
        bytes.copy_from_slice(&store.bytes[store.used..store.used + EACH]);
        store.used += EACH;
        bytes
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_sort_by_time_and_are_unique() {
        let at_millisecond = |millisecond| at(Timestamp::from_millisecond(millisecond).unwrap_or_default());
        let ids: Vec<Uuid> = (0..1_000).map(at_millisecond).collect();
        assert!(ids.is_sorted());
        assert!(ids.iter().all(|id| id.get_version_num() == 7));
        let same: HashSet<Uuid> = (0..1_000).map(|_| at_millisecond(7)).collect();
        assert_eq!(same.len(), 1_000);
        // Threads do not share what they have fetched.
        let other = std::thread::spawn(move || (0..1_000).map(|_| at_millisecond(7)).collect::<HashSet<_>>());
        assert!(other.join().is_ok_and(|other| other.is_disjoint(&same)));
    }
}

//! Room that a worker keeps from one call to the next, so that a call which is like the last one takes none from the
//! heap. Nothing of a call is left in it: each piece is emptied when it is given back or when it is taken.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

use http::HeaderMap;

use crate::audit::Record;
use crate::body::Meter;

/// Pieces of each kind that are kept.
const KEPT: usize = 256;
/// Headers that a map has room for, at most, to be kept.
const MOST_HEADERS: usize = 64;

/// What is kept.
#[derive(Default)]
pub(super) struct Room {
    #[allow(clippy::vec_box, reason = "a call takes one as it is, and moves a pointer")]
    records: RefCell<Vec<Box<Record>>>,
    headers: RefCell<Vec<HeaderMap>>,
    meters: RefCell<Vec<Rc<Meter>>>,
}

fn keep<T>(kept: &RefCell<Vec<T>>, piece: T) {
    let mut kept = kept.borrow_mut();
    if kept.len() < KEPT {
        kept.push(piece);
    }
}

impl Room {
    /// The record of a call that arrives now.
    pub(super) fn record(self: &Rc<Self>, source: &str, method: &str, agent: Option<&[u8]>) -> Kept {
        let mut record = self.records.borrow_mut().pop().unwrap_or_default();
        record.reopen(source, method, agent);
        Kept { record: Some(record), room: self.clone() }
    }

    /// An empty map.
    pub(super) fn headers(&self) -> HeaderMap {
        self.headers.borrow_mut().pop().unwrap_or_default()
    }

    /// Takes a map that nobody needs any more.
    pub(super) fn keep_headers(&self, mut headers: HeaderMap) {
        headers.clear();
        if headers.capacity() <= MOST_HEADERS {
            keep(&self.headers, headers);
        }
    }

    /// A meter at zero.
    pub(super) fn meter(&self) -> Rc<Meter> {
        self.meters.borrow_mut().pop().unwrap_or_default()
    }

    /// Takes a meter, unless somebody still looks at it.
    pub(super) fn keep_meter(&self, mut meter: Rc<Meter>) {
        if let Some(own) = Rc::get_mut(&mut meter) {
            *own = Meter::default();
            keep(&self.meters, meter);
        }
    }
}

/// A record in the room of earlier ones; its own is given back with it.
pub(super) struct Kept {
    /// There until it is dropped.
    record: Option<Box<Record>>,
    room: Rc<Room>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(record) = self.record.take() {
            keep(&self.room.records, record);
        }
    }
}

impl Deref for Kept {
    type Target = Record;

    fn deref(&self) -> &Record {
        self.record.as_deref().unwrap_or_else(|| unreachable!("taken when it is dropped, and not before"))
    }
}

impl DerefMut for Kept {
    fn deref_mut(&mut self) -> &mut Record {
        self.record.as_deref_mut().unwrap_or_else(|| unreachable!("taken when it is dropped, and not before"))
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn nothing_of_a_call_is_left() {
        let room = Rc::new(Room::default());
        let mut record = room.record("unix:uid=7", "DELETE", Some(b"first"));
        record.is_about("bucket/first");
        record.resources.push("bucket/second".to_owned());
        record.answered(500, Some("theirs"));
        (record.error, record.polls) = ("code", 3);
        let first = record.request_id.clone();
        drop(record);
        let next = room.record("unix", "GET", None);
        assert_eq!((&*next.source, &*next.method, &*next.agent), ("unix", "GET", ""));
        assert_eq!((next.resource(), next.resources.len(), &*next.upstream_request_id), ("", 1, ""));
        assert_eq!((next.upstream_status, next.error, next.polls), (None, "", 0));
        assert_ne!(next.request_id, first);

        let mut headers = room.headers();
        headers.insert("a", HeaderValue::from_static("b"));
        room.keep_headers(headers);
        assert!(room.headers().is_empty());

        let meter = room.meter();
        meter.bytes.set(7);
        let other = meter.clone();
        room.keep_meter(meter);
        assert_eq!(room.meter().bytes.get(), 0, "one that is looked at is not given to the next call");
        room.keep_meter(other);
        assert_eq!(room.meter().bytes.get(), 0);
    }
}

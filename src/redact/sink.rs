//! What leaves a filter, and values that wait for the name beside them.
//!
//! In `{"value": "…", "name": "secretkey"}` the value comes first. Such a value is held back, with what follows,
//! until the object ends or tells the name; at most [`HELD`] bytes, then it goes.

use super::run::room;

/// The most that is held back.
const HELD: usize = 8 << 10;

/// See the module.
#[derive(Default)]
pub(super) struct Sink {
    held: Vec<u8>,
    marks: Vec<Mark>,
    /// Something that came went out otherwise.
    pub(super) changed: bool,
}

/// A value in what is held.
struct Mark {
    /// The object that it is a member of, counted from the root.
    level: usize,
    from: usize,
    to: usize,
}

impl Sink {
    /// Bytes that go out as they are.
    pub(super) fn put(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if self.held.len() + bytes.len() > HELD {
            self.marks.clear();
            self.flush(out);
        }
        if self.marks.is_empty() {
            out.extend_from_slice(bytes);
        } else {
            room(&mut self.held, bytes.len(), HELD);
            self.held.extend_from_slice(bytes);
        }
    }

    /// Bytes in the place of others.
    pub(super) fn replace(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.changed = true;
        self.put(bytes, out);
    }

    /// A value of the object on this level begins, and may yet be named.
    pub(super) fn hold(&mut self, level: usize) {
        let from = self.held.len();
        self.marks.push(Mark { level, from, to: from });
    }

    /// The value that was held last ends.
    pub(super) fn held_to_here(&mut self) {
        let end = self.held.len();
        if let Some(mark) = self.marks.last_mut() {
            mark.to = end;
        }
    }

    /// The value that was held last is none that could be replaced.
    pub(super) fn let_last_go(&mut self, out: &mut Vec<u8>) {
        self.marks.pop();
        self.flush(out);
    }

    /// The object on this level has named its values as secrets.
    pub(super) fn withhold(&mut self, level: usize, replacement: &[u8], out: &mut Vec<u8>) {
        while let Some(mark) = self.marks.pop_if(|mark| mark.level == level) {
            if mark.from < mark.to {
                self.held.splice(mark.from..mark.to, replacement.iter().copied());
                self.changed = true;
            }
        }
        self.flush(out);
    }

    /// The object on this level is over.
    pub(super) fn close(&mut self, level: usize, out: &mut Vec<u8>) {
        while self.marks.pop_if(|mark| mark.level >= level).is_some() {}
        self.flush(out);
    }

    /// The document is over.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        self.close(0, out);
    }

    /// The bytes that it has taken from the memory.
    pub(super) fn footprint(&self) -> usize {
        self.held.capacity() + self.marks.capacity() * size_of::<Mark>()
    }

    fn flush(&mut self, out: &mut Vec<u8>) {
        if self.marks.is_empty() && !self.held.is_empty() {
            out.extend_from_slice(&self.held);
            self.held.clear();
        }
    }
}

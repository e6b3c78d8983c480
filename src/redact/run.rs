//! A run of text on its way: as it is spelled, and as it is meant.
//!
//! A JSON string, or what stands between two XML tags. Up to [`WINDOW`] bytes are kept until the run is over, so
//! that it can be replaced as a whole; a longer one slides through, and half a window stays behind so that nothing
//! looked for is cut in two. Where it slides depends on the run alone and not on how the bytes arrived.

/// The most that is kept of a run, in spelled bytes; one character or escape may stand over.
pub(super) const WINDOW: usize = 16 << 10;

/// What may stand over the window.
const OVER: usize = 16;

/// Where the half begins that stays behind.
const HALF: usize = WINDOW / 2;

/// Below this, buffers grow as vectors do.
const SMALL: usize = 1 << 10;

/// See the module.
#[derive(Default)]
pub(super) struct Run {
    /// As it is spelled.
    pub(super) raw: Vec<u8>,
    /// As it is meant.
    pub(super) text: Vec<u8>,
    /// The first place behind [`HALF`] where both may be cut.
    middle: Option<(usize, usize)>,
    /// Some of it has been let go.
    pub(super) long: bool,
    /// The rest of it is withheld.
    pub(super) cut: bool,
}

impl Run {
    /// Forgets everything: another run begins.
    pub(super) fn clear(&mut self) {
        self.forget();
        self.raw.shrink_to(SMALL);
        self.text.shrink_to(SMALL);
        (self.long, self.cut) = (false, false);
    }

    /// Forgets what was kept of a run that goes on.
    pub(super) fn forget(&mut self) {
        self.raw.clear();
        self.text.clear();
        self.middle = None;
    }

    /// Nothing of the run has been seen.
    pub(super) fn is_empty(&self) -> bool {
        self.raw.is_empty() && !self.long
    }

    /// Whether there is no room for a character that begins with this byte.
    pub(super) fn is_full(&self, next: u8) -> bool {
        self.raw.len() >= WINDOW && !is_continuation(next)
    }

    /// Takes bytes that mean themselves, as many as fit before a decision is due; at least one. The caller asks
    /// [`Self::is_full`] before each.
    pub(super) fn plain(&mut self, bytes: &[u8]) -> usize {
        let Some(&first) = bytes.first() else { return 0 };
        self.begin(first);
        // Up to the next place where something is decided, whatever arrived in one piece.
        let stop = match self.middle {
            Some(_) => WINDOW,
            None => HALF,
        };
        let count = stop.saturating_sub(self.raw.len()).clamp(1, bytes.len());
        self.push(&bytes[..count], &bytes[..count]);
        count
    }

    /// Takes one unit that is spelled otherwise than it is meant: an escape, a reference, a part of a markup.
    pub(super) fn unit(&mut self, raw: &[u8], text: &[u8]) {
        self.begin(raw.first().copied().unwrap_or_default());
        self.push(raw, text);
    }

    fn begin(&mut self, first: u8) {
        if self.middle.is_none() && self.raw.len() >= HALF && !is_continuation(first) {
            self.middle = Some((self.raw.len(), self.text.len()));
        }
    }

    fn push(&mut self, raw: &[u8], text: &[u8]) {
        room(&mut self.raw, raw.len(), WINDOW + OVER);
        room(&mut self.text, text.len(), WINDOW + OVER);
        self.raw.extend_from_slice(raw);
        self.text.extend_from_slice(text);
    }

    /// The spelled half that can go now.
    pub(super) fn half(&self) -> &[u8] {
        &self.raw[..self.middle.map_or(0, |(raw, _)| raw)]
    }

    /// Lets the first half go.
    pub(super) fn slide(&mut self) {
        if let Some((raw, text)) = self.middle.take() {
            self.raw.drain(..raw);
            self.text.drain(..text);
        }
        self.long = true;
    }

    /// The bytes that it has taken from the memory.
    pub(super) fn footprint(&self) -> usize {
        self.raw.capacity() + self.text.capacity()
    }
}

/// Makes room for `more` bytes in a buffer that will hold `most`: at once, and not by doubling beyond it.
pub(super) fn room(buffer: &mut Vec<u8>, more: usize, most: usize) {
    let length = buffer.len() + more;
    if length > buffer.capacity() && length > SMALL {
        buffer.reserve_exact(most.max(length) - buffer.len());
    }
}

fn is_continuation(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

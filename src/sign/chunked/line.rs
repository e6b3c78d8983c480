//! One line of framing, put together from pieces.
//!
//! Never longer than it was allowed to be, whatever arrives.

use bytes::{Buf as _, Bytes};

/// Why no line can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineFault {
    /// The line does not end within its limit.
    TooLong,
    /// A line feed without a carriage return before it.
    End,
}

/// A line under way.
pub(super) struct Line {
    bytes: Vec<u8>,
}

impl Line {
    /// With room for every size line, so that usual framing allocates only here.
    pub(super) fn new() -> Self {
        Self { bytes: Vec::with_capacity(128) }
    }

    /// Takes from `input` up to the end of the line, at most `limit` bytes of line with its end. True when the line is
    /// complete: then [`Line::text`] is its text and [`Line::clear`] makes room for the next.
    pub(super) fn read(&mut self, input: &mut Bytes, limit: usize) -> Result<bool, LineFault> {
        let room = limit.saturating_sub(self.bytes.len());
        let reach = &input[..room.min(input.len())];
        let Some(at) = reach.iter().position(|&b| b == b'\n') else {
            if reach.len() == room {
                return Err(LineFault::TooLong);
            }
            self.bytes.extend_from_slice(reach);
            input.advance(reach.len());
            return Ok(false);
        };
        self.bytes.extend_from_slice(&reach[..=at]);
        input.advance(at + 1);
        if self.bytes.ends_with(super::LINE_END) { Ok(true) } else { Err(LineFault::End) }
    }

    /// The line without its end, once it is complete.
    pub(super) fn text(&self) -> &[u8] {
        self.bytes.strip_suffix(super::LINE_END).unwrap_or(&self.bytes)
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

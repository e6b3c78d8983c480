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

    /// Like [`Line::read`], but one line feed may stand between a text and the line's end: `minio-go`, and `mc` with it,
    /// writes a trailer as it signs it, `name:value` and a line feed, and ends the line after that.
    pub(super) fn read_trailer(&mut self, input: &mut Bytes, limit: usize) -> Result<bool, LineFault> {
        match self.read(input, limit) {
            Err(LineFault::End) if self.bytes.iter().position(|&b| b == b'\n') == self.last_of_text() => {
                self.read(input, limit)
            }
            read => read,
        }
    }

    /// The place of the last byte, if there is text before it.
    fn last_of_text(&self) -> Option<usize> {
        self.bytes.len().checked_sub(1).filter(|&last| last > 0)
    }

    /// The line without its end, once it is complete.
    pub(super) fn text(&self) -> &[u8] {
        let text = self.bytes.strip_suffix(super::LINE_END).unwrap_or(&self.bytes);
        text.strip_suffix(b"\n").unwrap_or(text)
    }

    /// The length of the line with its end.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

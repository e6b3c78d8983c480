//! What the connections of one upstream take when they need it and give back when they do not: blocks to read into,
//! room for heads that are written, the names of headers. A connection that waits has none of it, so that many of them
//! go over the same memory.

use std::cell::RefCell;
use std::collections::VecDeque;

use bytes::BytesMut;

use super::head::Kept;

/// Bytes of a block: those of a head and a short body.
pub(super) const BLOCK: usize = 8 << 10;
/// Blocks and texts that are kept.
const BLOCKS: usize = 32;
const TEXTS: usize = 8;
/// Bytes that a text has room for, at most, to be kept.
const LONGEST_TEXT: usize = 16 << 10;

/// What is there to be taken.
#[derive(Default)]
pub(super) struct Spares {
    /// The first is the likeliest that nobody looks at any more.
    blocks: RefCell<VecDeque<BytesMut>>,
    texts: RefCell<Vec<Vec<u8>>>,
    /// What answers have in common.
    pub(super) kept: RefCell<Kept>,
}

impl Spares {
    /// An empty block.
    pub(super) fn block(&self) -> BytesMut {
        // One that somebody still looks at is his from now on: he may take long.
        let spare = self.blocks.borrow_mut().pop_front();
        let spare = spare.and_then(|mut block| block.try_reclaim(BLOCK).then_some(block));
        spare.unwrap_or_else(|| BytesMut::with_capacity(BLOCK))
    }

    /// Takes a block of [`BLOCK`] bytes of which everything was taken, perhaps a moment ago.
    pub(super) fn keep_block(&self, block: BytesMut) {
        let mut blocks = self.blocks.borrow_mut();
        if blocks.len() >= BLOCKS {
            return;
        }
        if block.capacity() >= BLOCK {
            blocks.push_front(block);
        } else {
            blocks.push_back(block);
        }
    }

    /// Room for a text.
    pub(super) fn text(&self) -> Vec<u8> {
        self.texts.borrow_mut().pop().unwrap_or_default()
    }

    /// Takes the room of a text that nobody needs any more.
    pub(super) fn keep_text(&self, mut text: Vec<u8>) {
        text.clear();
        let mut texts = self.texts.borrow_mut();
        if texts.len() < TEXTS && (1..=LONGEST_TEXT).contains(&text.capacity()) {
            texts.push(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_come_back_when_nobody_looks_at_them() {
        let spares = Spares::default();
        let mut block = spares.block();
        block.extend_from_slice(b"secret");
        let looked_at = block.split().freeze();
        let place = looked_at.as_ptr();
        spares.keep_block(block);
        let other = spares.block();
        assert!(other.is_empty() && other.capacity() == BLOCK && other.as_ptr() != place);
        assert!(spares.blocks.borrow().is_empty(), "one that is looked at is not kept");

        let mut block = spares.block();
        block.extend_from_slice(b"secret");
        let looked_at = block.split().freeze();
        let place = looked_at.as_ptr();
        spares.keep_block(block);
        drop(looked_at);
        // Fresh ones go first, and behind them the one that was used.
        spares.keep_block(other);
        assert_ne!(spares.block().as_ptr(), place);
        let again = spares.block();
        assert!(again.is_empty() && again.capacity() == BLOCK && again.as_ptr() == place);
        for _ in 0..2 * BLOCKS {
            spares.keep_block(BytesMut::with_capacity(BLOCK));
        }
        assert_eq!(spares.blocks.borrow().len(), BLOCKS);
    }

    #[test]
    fn nothing_of_a_text_is_left() {
        let spares = Spares::default();
        spares.keep_text(b"secret".to_vec());
        let text = spares.text();
        assert!(text.is_empty() && text.capacity() > 0);
        spares.keep_text(Vec::with_capacity(2 * LONGEST_TEXT));
        assert_eq!(spares.text().capacity(), 0, "large ones are not kept");
    }
}

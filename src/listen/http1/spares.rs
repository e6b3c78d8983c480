//! What a worker's HTTP/1 connections take when a request arrives and give back when it is answered: blocks to read
//! into, maps for headers, room for heads that are written and for exchanges. A connection that waits has none of it,
//! and a request that is like the last one takes none from the heap.

use std::cell::RefCell;

use bytes::BytesMut;
use http::HeaderMap;

use super::answer::Date;
use super::exchange::Room;
use super::names::Names;

/// How much is read at a time, unless more is known to come.
pub(super) const BLOCK: usize = 8 << 10;
/// Pieces of each kind that are kept.
const KEPT: usize = 256;
/// Headers that a map has room for, at most, to be kept.
const MOST_HEADERS: usize = 64;
/// Bytes that a written head has room for, at most, to be kept.
const LONGEST_HEAD: usize = 16 << 10;

/// What is there to be taken.
#[derive(Default)]
pub struct Spares {
    blocks: RefCell<Vec<BytesMut>>,
    headers: RefCell<Vec<HeaderMap>>,
    heads: RefCell<Vec<Vec<u8>>>,
    rooms: RefCell<Vec<Room>>,
    pub(super) names: Names,
    pub(super) date: Date,
}

fn keep<T>(kept: &RefCell<Vec<T>>, piece: T) {
    let mut kept = kept.borrow_mut();
    if kept.len() < KEPT {
        kept.push(piece);
    }
}

fn taken<T>(kept: &RefCell<Vec<T>>) -> Option<T> {
    kept.borrow_mut().pop()
}

impl Spares {
    /// An empty block.
    pub(super) fn block(&self) -> BytesMut {
        taken(&self.blocks).unwrap_or_else(|| BytesMut::with_capacity(BLOCK))
    }

    /// Takes an empty block, unless it is large or somebody still looks at its bytes.
    pub(super) fn keep_block(&self, mut block: BytesMut) {
        block.clear();
        if block.try_reclaim(BLOCK) && block.capacity() < 2 * BLOCK {
            keep(&self.blocks, block);
        }
    }

    /// An empty map.
    pub(super) fn headers(&self) -> HeaderMap {
        taken(&self.headers).unwrap_or_default()
    }

    /// Takes a map that nobody needs any more.
    pub(super) fn keep_headers(&self, mut headers: HeaderMap) {
        headers.clear();
        if headers.capacity() <= MOST_HEADERS {
            keep(&self.headers, headers);
        }
    }

    /// Room for a head.
    pub(super) fn head(&self) -> Vec<u8> {
        taken(&self.heads).unwrap_or_default()
    }

    /// Takes the room of a head that is out.
    pub(super) fn keep_head(&self, mut head: Vec<u8>) {
        head.clear();
        if head.capacity() <= LONGEST_HEAD {
            keep(&self.heads, head);
        }
    }

    /// Room for an exchange, if there is some.
    pub(super) fn room(&self) -> Option<Room> {
        taken(&self.rooms)
    }

    /// Takes the room of an exchange that is over.
    pub(super) fn keep_room(&self, room: Room) {
        keep(&self.rooms, room);
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn nothing_of_a_request_is_left() {
        let spares = Spares::default();
        let mut block = spares.block();
        block.extend_from_slice(b"secret");
        let looked_at = block.split_to(6).freeze();
        spares.keep_block(block);
        assert_eq!(spares.blocks.borrow().len(), 0, "somebody looks at it");
        drop(looked_at);

        let mut block = spares.block();
        block.extend_from_slice(b"secret");
        drop(block.split_to(6).freeze());
        spares.keep_block(block);
        assert_eq!(spares.blocks.borrow().len(), 1);
        let block = spares.block();
        assert!(block.is_empty() && block.capacity() == BLOCK && spares.blocks.borrow().is_empty());
        spares.keep_block(BytesMut::with_capacity(8 * BLOCK));
        assert!(spares.blocks.borrow().is_empty(), "large ones are not kept");

        let mut headers = spares.headers();
        headers.insert("a", HeaderValue::from_static("b"));
        spares.keep_headers(headers);
        assert!(spares.headers().is_empty());
        spares.keep_head(b"secret".to_vec());
        assert!(spares.head().is_empty());
    }
}

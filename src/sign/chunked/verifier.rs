//! Judging the signatures that a caller put on its chunks, while the data flows past.
//!
//! Never holds data, never says what a signature should have been, and has no `Debug`: the chain in it is keyed.

use subtle::ConstantTimeEq as _;

use super::chain::Chain;
use super::{ChunkSigner, HEX_SIGNATURE, Trailer};
use crate::sign::digest::RunningSha256;

/// The verifier of one streamed body. Made from the [`ChunkSigner`] that would sign that body with the caller's key,
/// at the caller's `x-amz-date`, seeded with the signature of the caller's head: the two share one chain.
pub struct ChunkVerifier {
    chain: Chain,
    /// Of the data of the chunk under way.
    data: RunningSha256,
}

impl From<ChunkSigner> for ChunkVerifier {
    /// The signer must not have signed a chunk yet.
    fn from(signer: ChunkSigner) -> Self {
        Self { chain: signer.into_chain(), data: RunningSha256::new() }
    }
}

impl ChunkVerifier {
    pub(super) fn update(&mut self, data: &[u8]) {
        self.data.update(data);
    }

    /// Whether this is the signature of the chunk whose data has passed. In constant time.
    pub(super) fn is_chunk(&mut self, claimed: &[u8; HEX_SIGNATURE]) -> bool {
        let digest = std::mem::take(&mut self.data).finish();
        self.chain.chunk(&digest).ct_eq(claimed).into()
    }

    /// Whether this is the signature of these trailers, in the order in which they came. In constant time.
    pub(super) fn is_trailers(&mut self, trailers: &[Trailer], claimed: &[u8; HEX_SIGNATURE]) -> bool {
        let mut lines = RunningSha256::new();
        for Trailer { name, value } in trailers {
            for part in [name, ":", value, "\n"] {
                lines.update(part.as_bytes());
            }
        }
        self.chain.trailers(&lines.finish()).ct_eq(claimed).into()
    }
}

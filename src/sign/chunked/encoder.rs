//! Framing and signing a body chunk by chunk.
//!
//! [`ChunkSigner`] is given data and writes frames to a buffer that its caller owns. It never holds data back, so the
//! sizes of the chunks are its caller's choice; whoever announces a `Content-Length` cuts the data as
//! [`encoded_length`] was told, 8 KiB at least on Amazon.

use bytes::BufMut;

use super::chain::Chain;
use super::{CHUNK_SIGNATURE, HEX_SIGNATURE, LINE_END, TRAILER_SIGNATURE};
use crate::sign::ChunkMode;
use crate::sign::digest::{self, MacSha256};

/// The driver of one streamed body. Each signature covers the one before, so one driver serves one body.
pub struct ChunkSigner {
    mode: ChunkMode,
    chain: Chain,
    /// The trailers as they are signed.
    trailers: Vec<u8>,
}

impl ChunkSigner {
    /// A driver seeded by the signature of the head; `None` when that is not 64 hexadecimal digits.
    pub(in crate::sign) fn new(
        mode: ChunkMode,
        mac: MacSha256,
        preamble: Vec<u8>,
        seed: &str,
    ) -> Option<Self> {
        let chain = Chain::new(mac, preamble, seed)?;
        // Room for a usual trailer, so that only making the driver allocates.
        Some(Self { mode, chain, trailers: Vec::with_capacity(128) })
    }

    pub(super) fn into_chain(self) -> Chain {
        self.chain
    }

    /// Frames one chunk. Empty data is no chunk, because a chunk of size zero would end the body.
    pub fn chunk(&mut self, data: &[u8], out: &mut impl BufMut) {
        if data.is_empty() {
            return;
        }
        self.chunk_head(data, out);
        out.put_slice(data);
        out.put_slice(LINE_END);
    }

    /// Writes only the line before a chunk's data, for a sender that passes the data on without copying it; the data
    /// and [`LINE_END`] must follow. Does nothing for empty data.
    pub fn chunk_head(&mut self, data: &[u8], out: &mut impl BufMut) {
        if !data.is_empty() {
            self.size_line(data, out);
        }
    }

    /// Ends the body: the chunk of size zero, the trailers in the trailer modes (names in lower case, values as they
    /// are), and the closing line end. [`ChunkMode::Signed`] has no trailers, so they are not written there.
    pub fn finish(&mut self, trailers: &[(&str, &str)], out: &mut impl BufMut) {
        self.size_line(b"", out);
        if self.mode == ChunkMode::Signed {
            out.put_slice(LINE_END);
            return;
        }
        self.trailers.clear();
        for (name, value) in trailers {
            for part in [name.as_bytes(), b":", value.as_bytes()] {
                out.put_slice(part);
                self.trailers.extend_from_slice(part);
            }
            out.put_slice(LINE_END);
            self.trailers.push(b'\n');
        }
        if self.mode == ChunkMode::SignedTrailer {
            let signature = self.chain.trailers(&digest::sha256(&self.trailers));
            out.put_slice(TRAILER_SIGNATURE.as_bytes());
            out.put_slice(b":");
            out.put_slice(signature);
            out.put_slice(LINE_END);
        }
        out.put_slice(LINE_END);
    }

    /// The latest string to sign, for tests and explanations; empty in the unsigned mode.
    pub fn string_to_sign(&self) -> &[u8] {
        self.chain.string_to_sign()
    }

    /// The latest signature in hexadecimal; the seed before the first chunk.
    pub fn signature(&self) -> &[u8] {
        self.chain.signature()
    }

    fn size_line(&mut self, data: &[u8], out: &mut impl BufMut) {
        let mut digits = [0; 16];
        out.put_slice(hex_size(data.len(), &mut digits));
        if self.mode != ChunkMode::UnsignedTrailer {
            let signature = self.chain.chunk(&digest::sha256(data));
            out.put_slice(CHUNK_SIGNATURE);
            out.put_slice(signature);
        }
        out.put_slice(LINE_END);
    }
}

/// Lower-case hexadecimal without padding.
fn hex_size(size: usize, digits: &mut [u8; 16]) -> &[u8] {
    let mut at = digits.len();
    let mut rest = size;
    loop {
        at -= 1;
        digits[at] = b"0123456789abcdef"[rest & 15];
        rest >>= 4;
        if rest == 0 || at == 0 {
            break;
        }
    }
    &digits[at..]
}

/// The `Content-Length` of the encoded body: `decoded` bytes cut into chunks of `chunk_size` (the last one shorter),
/// with `trailers` given as names and lengths of values, so that a checksum need not be known yet. `None` when
/// `chunk_size` is zero or the length overflows.
pub fn encoded_length(
    decoded: u64,
    chunk_size: u64,
    mode: ChunkMode,
    trailers: &[(&str, usize)],
) -> Option<u64> {
    let signature = match mode {
        ChunkMode::UnsignedTrailer => 0,
        ChunkMode::Signed | ChunkMode::SignedTrailer => length(CHUNK_SIGNATURE.len() + HEX_SIGNATURE)?,
    };
    let frame = |size: u64| -> Option<u64> {
        let digits = u64::from(size.checked_ilog2().map_or(1, |bits| bits / 4 + 1));
        // Data and size line end in a line end each; the chunk of size zero ends in the body's own.
        digits.checked_add(signature + 4)?.checked_add(size)
    };
    let whole = decoded.checked_div(chunk_size)?;
    let rest = decoded % chunk_size;
    let mut total = frame(0)?;
    if whole > 0 {
        total = total.checked_add(whole.checked_mul(frame(chunk_size)?)?)?;
    }
    if rest > 0 {
        total = total.checked_add(frame(rest)?)?;
    }
    if mode != ChunkMode::Signed {
        for (name, value) in trailers {
            total = total.checked_add(length(name.len().checked_add(*value)?.checked_add(3)?)?)?;
        }
    }
    if mode == ChunkMode::SignedTrailer {
        total = total.checked_add(length(TRAILER_SIGNATURE.len() + HEX_SIGNATURE + 3)?)?;
    }
    Some(total)
}

fn length(bytes: usize) -> Option<u64> {
    u64::try_from(bytes).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn signer(mode: ChunkMode) -> ChunkSigner {
        ChunkSigner::new(mode, MacSha256::new(b"k"), b"date\nscope".to_vec(), &"0".repeat(64)).unwrap()
    }

    #[test]
    fn the_announced_length_is_the_written_one() {
        let trailers = [("x-amz-checksum-crc32c", "AAAAAA==")];
        let lengths = trailers.map(|(name, value)| (name, value.len()));
        for mode in [ChunkMode::Signed, ChunkMode::SignedTrailer, ChunkMode::UnsignedTrailer] {
            for decoded in [0_usize, 1, 9, 10, 11, 15, 16, 17, 255, 256, 300] {
                for size in [1, 10, 16, 256] {
                    let mut out = Vec::new();
                    let mut signer = signer(mode);
                    vec![7; decoded].chunks(size).for_each(|data| signer.chunk(data, &mut out));
                    signer.finish(&trailers, &mut out);
                    let announced = encoded_length(decoded as u64, size as u64, mode, &lengths);
                    assert_eq!(announced, Some(out.len() as u64), "{mode:?} {decoded} {size}");
                }
            }
        }
        assert_eq!(encoded_length(1, 0, ChunkMode::Signed, &[]), None);
        assert_eq!(encoded_length(u64::MAX, 1, ChunkMode::Signed, &[]), None);
    }

    #[test]
    fn empty_data_never_ends_the_body() {
        let mut out = Vec::new();
        signer(ChunkMode::Signed).chunk(b"", &mut out);
        signer(ChunkMode::UnsignedTrailer).chunk_head(b"", &mut out);
        assert!(out.is_empty());
    }

    #[test]
    fn a_seed_is_a_signature() {
        let mac = || MacSha256::new(b"k");
        assert!(ChunkSigner::new(ChunkMode::Signed, mac(), Vec::new(), "abc").is_none());
        assert!(ChunkSigner::new(ChunkMode::Signed, mac(), Vec::new(), &"g".repeat(64)).is_none());
    }
}

//! The chain of signatures in one streamed body: each covers the one before, and the first the head's.
//!
//! Knows the strings to sign and nothing of framing, so that signing and verifying cannot drift apart.

use super::HEX_SIGNATURE;
use crate::sign::digest::MacSha256;
use crate::sign::encode;

/// SHA-256 of nothing, which stands in every chunk's string to sign.
const EMPTY: &[u8] = b"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// The day's key and the latest signature.
pub(super) struct Chain {
    mac: MacSha256,
    /// Timestamp, line end, credential scope.
    preamble: Vec<u8>,
    previous: [u8; HEX_SIGNATURE],
    to_sign: Vec<u8>,
}

impl Chain {
    /// A chain that begins with the signature of the head; `None` when that is not 64 hexadecimal digits.
    pub(super) fn new(mac: MacSha256, preamble: Vec<u8>, seed: &str) -> Option<Self> {
        let previous: [u8; HEX_SIGNATURE] = seed.as_bytes().try_into().ok()?;
        if !seed.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        // Room for any string to sign, so that only making the chain allocates.
        Some(Self { mac, preamble, previous, to_sign: Vec::with_capacity(320) })
    }

    /// Signs a chunk whose data has this SHA-256.
    pub(super) fn chunk(&mut self, data: &[u8; 32]) -> &[u8; HEX_SIGNATURE] {
        self.begin(b"AWS4-HMAC-SHA256-PAYLOAD\n");
        self.to_sign.extend_from_slice(EMPTY);
        self.to_sign.push(b'\n');
        self.sign(data)
    }

    /// Signs trailers whose lines, each `name:value` and a line feed, have this SHA-256.
    pub(super) fn trailers(&mut self, lines: &[u8; 32]) -> &[u8; HEX_SIGNATURE] {
        self.begin(b"AWS4-HMAC-SHA256-TRAILER\n");
        self.sign(lines)
    }

    /// The latest string to sign; empty before the first.
    pub(super) fn string_to_sign(&self) -> &[u8] {
        &self.to_sign
    }

    /// The latest signature in hexadecimal; the seed before the first chunk.
    pub(super) fn signature(&self) -> &[u8; HEX_SIGNATURE] {
        &self.previous
    }

    /// Algorithm, timestamp, scope and previous signature, each with its line end.
    fn begin(&mut self, algorithm: &[u8]) {
        self.to_sign.clear();
        self.to_sign.extend_from_slice(algorithm);
        self.to_sign.extend_from_slice(&self.preamble);
        self.to_sign.push(b'\n');
        self.to_sign.extend_from_slice(&self.previous);
        self.to_sign.push(b'\n');
    }

    fn sign(&mut self, digest: &[u8; 32]) -> &[u8; HEX_SIGNATURE] {
        self.to_sign.extend_from_slice(&encode::hex32(digest));
        self.previous = encode::hex32(&self.mac.sign(&self.to_sign));
        &self.previous
    }
}

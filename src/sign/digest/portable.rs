//! SHA-256 and HMAC-SHA256 by the `RustCrypto` crates: plain Rust, and what the other back end is compared with.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

/// HMAC-SHA256 with its key in it.
#[derive(Clone)]
pub struct MacSha256(Hmac<Sha256>);

impl MacSha256 {
    /// Prepares the keyed state; a key of any length will do.
    pub fn new(key: &[u8]) -> Self {
        let block = super::block(key, |long, out| out[..32].copy_from_slice(&Sha256::digest(long)));
        Self(Hmac::new(&(*block).into()))
    }

    /// The MAC of `message`.
    pub fn sign(&self, message: &[u8]) -> [u8; 32] {
        let mut mac = self.0.clone();
        mac.update(message);
        mac.finalize().into_bytes().into()
    }

    /// The MAC of a message in pieces.
    pub fn sign_all(&self, pieces: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.0.clone();
        for piece in pieces {
            mac.update(piece);
        }
        mac.finalize().into_bytes().into()
    }
}

/// SHA-256 of bytes at hand.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// SHA-256 of bytes that arrive piece by piece, for a body that is hashed as it is collected.
#[derive(Clone, Default)]
pub struct RunningSha256(Sha256);

impl RunningSha256 {
    /// Nothing hashed yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next piece.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all pieces.
    pub fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

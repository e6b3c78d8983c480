//! SHA-256 and HMAC-SHA256 by aws-lc-rs: assembly chosen for the processor when the program runs.
//!
//! AWS-LC keeps the keyed state inside the key object and wipes it, and every copy of it, when that is dropped.

use aws_lc_rs::{digest, hmac};

/// HMAC-SHA256 with its key in it.
#[derive(Clone)]
pub struct MacSha256(hmac::Key);

impl MacSha256 {
    /// Prepares the keyed state; a key of any length will do.
    pub fn new(key: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// The MAC of `message`.
    pub fn sign(&self, message: &[u8]) -> [u8; 32] {
        fixed(hmac::sign(&self.0, message).as_ref())
    }

    /// The MAC of a message in pieces.
    pub fn sign_all(&self, pieces: &[&[u8]]) -> [u8; 32] {
        let mut mac = hmac::Context::with_key(&self.0);
        for piece in pieces {
            mac.update(piece);
        }
        fixed(mac.sign().as_ref())
    }
}

/// SHA-256 of bytes at hand.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    fixed(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// SHA-256 of bytes that arrive piece by piece, for a body that is hashed as it is collected.
#[derive(Clone)]
pub struct RunningSha256(digest::Context);

impl RunningSha256 {
    /// Nothing hashed yet.
    pub fn new() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }

    /// Takes the next piece.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all pieces.
    pub fn finish(self) -> [u8; 32] {
        fixed(self.0.finish().as_ref())
    }
}

/// The library gives digests of every length as one type; SHA-256 always has 32 bytes.
fn fixed(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(bytes);
    out
}

//! SHA-256 and HMAC-SHA256 by whichever back end the processor runs faster.

use super::{linked, portable};

/// Whether the processor has instructions for SHA-256, and `RustCrypto`'s code for them is built in.
fn has_instructions() -> bool {
    !cfg!(any(sha2_backend = "soft", sha2_256_backend = "soft")) && is_detected()
}

// Found out once by the standard library; a load after that.
#[cfg(target_arch = "x86_64")]
fn is_detected() -> bool {
    std::arch::is_x86_feature_detected!("sha")
}

#[cfg(target_arch = "aarch64")]
fn is_detected() -> bool {
    std::arch::is_aarch64_feature_detected!("sha2")
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn is_detected() -> bool {
    false
}

/// HMAC-SHA256 with its key in it.
#[derive(Clone)]
pub struct MacSha256(Mac);

// Kept in place: a box would cost each signature an allocation and keep nothing small that is made often.
#[allow(clippy::large_enum_variant)]
#[derive(Clone)]
enum Mac {
    Linked(linked::MacSha256),
    Portable(portable::MacSha256),
}

impl MacSha256 {
    /// Prepares the keyed state; a key of any length will do.
    pub fn new(key: &[u8]) -> Self {
        Self(if has_instructions() {
            Mac::Portable(portable::MacSha256::new(key))
        } else {
            Mac::Linked(linked::MacSha256::new(key))
        })
    }

    /// The MAC of `message`.
    pub fn sign(&self, message: &[u8]) -> [u8; 32] {
        match &self.0 {
            Mac::Linked(mac) => mac.sign(message),
            Mac::Portable(mac) => mac.sign(message),
        }
    }

    /// The MAC of a message in pieces.
    pub fn sign_all(&self, pieces: &[&[u8]]) -> [u8; 32] {
        match &self.0 {
            Mac::Linked(mac) => mac.sign_all(pieces),
            Mac::Portable(mac) => mac.sign_all(pieces),
        }
    }
}

/// SHA-256 of bytes at hand.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    if has_instructions() { portable::sha256(bytes) } else { linked::sha256(bytes) }
}

/// SHA-256 of bytes that arrive piece by piece, for a body that is hashed as it is collected.
#[derive(Clone)]
pub struct RunningSha256(Running);

#[allow(clippy::large_enum_variant)]
#[derive(Clone)]
enum Running {
    Linked(linked::RunningSha256),
    Portable(portable::RunningSha256),
}

impl Default for RunningSha256 {
    fn default() -> Self {
        Self::new()
    }
}

impl RunningSha256 {
    /// Nothing hashed yet.
    pub fn new() -> Self {
        Self(if has_instructions() {
            Running::Portable(portable::RunningSha256::new())
        } else {
            Running::Linked(linked::RunningSha256::new())
        })
    }

    /// Takes the next piece.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            Running::Linked(running) => running.update(bytes),
            Running::Portable(running) => running.update(bytes),
        }
    }

    /// The digest of all pieces.
    pub fn finish(self) -> [u8; 32] {
        match self.0 {
            Running::Linked(running) => running.finish(),
            Running::Portable(running) => running.finish(),
        }
    }
}

//! Digests and keyed MAC states: the one seam where another cryptographic back end may be put later.
//!
//! A keyed state is prepared once and cloned for each signature, which saves hashing the key again. The states are
//! wiped when dropped; nothing here can print one.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// The block that HMAC pads its key to, for both digests.
const BLOCK: usize = 64;

/// HMAC-SHA1 with its key in it.
#[derive(Clone)]
pub struct MacSha1(Hmac<Sha1>);

impl MacSha1 {
    /// Prepares the keyed state; a key of any length will do.
    pub fn new(key: &[u8]) -> Self {
        Self(Hmac::new(&(*block(key, |long, out| out[..20].copy_from_slice(&Sha1::digest(long)))).into()))
    }

    /// The MAC of `message`.
    pub fn sign(&self, message: &[u8]) -> [u8; 20] {
        let mut mac = self.0.clone();
        mac.update(message);
        mac.finalize().into_bytes().into()
    }
}

/// HMAC-SHA256 with its key in it.
#[derive(Clone)]
pub struct MacSha256(Hmac<Sha256>);

impl MacSha256 {
    /// Prepares the keyed state; a key of any length will do.
    pub fn new(key: &[u8]) -> Self {
        Self(Hmac::new(&(*block(key, |long, out| out[..32].copy_from_slice(&Sha256::digest(long)))).into()))
    }

    /// The MAC of `message`.
    pub fn sign(&self, message: &[u8]) -> [u8; 32] {
        let mut mac = self.0.clone();
        mac.update(message);
        mac.finalize().into_bytes().into()
    }
}

/// The key as HMAC's first step makes it (RFC 2104): hashed when longer than a block, then padded with zeros. Doing
/// this here makes the constructor of the keyed state infallible.
fn block(key: &[u8], shorten: impl FnOnce(&[u8], &mut [u8; BLOCK])) -> Zeroizing<[u8; BLOCK]> {
    let mut padded = Zeroizing::new([0; BLOCK]);
    if key.len() > BLOCK {
        shorten(key, &mut padded);
    } else {
        padded[..key.len()].copy_from_slice(key);
    }
    padded
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

#[cfg(test)]
mod tests {
    use super::super::encode::hex;
    use super::*;

    fn text(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        hex(bytes, &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    /// RFC 2202 and RFC 4231: a short key, and one longer than a block.
    #[test]
    fn published_macs() {
        let message = b"Test Using Larger Than Block-Size Key - Hash Key First";
        let what = b"what do ya want for nothing?";
        assert_eq!(text(&MacSha1::new(b"Jefe").sign(what)), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
        assert_eq!(
            text(&MacSha1::new(&[0xAA; 80]).sign(message)),
            "aa4ae5e15272d00e95705637ce8a3b55ed402112"
        );
        assert_eq!(
            text(&MacSha256::new(b"Jefe").sign(what)),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(
            text(&MacSha256::new(&[0xAA; 131]).sign(message)),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    #[test]
    fn pieces_hash_like_the_whole() {
        let mut running = RunningSha256::new();
        running.update(b"ab");
        running.update(b"");
        running.update(b"c");
        assert_eq!(running.finish(), sha256(b"abc"));
        assert_eq!(text(&sha256(b"")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}

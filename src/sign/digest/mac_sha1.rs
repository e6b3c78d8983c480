//! HMAC-SHA1, for the schemes that were made when it was new. `RustCrypto`'s, which is the faster for short texts.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::{Digest as _, Sha1};

/// HMAC-SHA1 with its key in it.
#[derive(Clone)]
pub struct MacSha1(Hmac<Sha1>);

impl MacSha1 {
    /// Prepares the keyed state; a key of any length will do.
    pub fn new(key: &[u8]) -> Self {
        let block = super::block(key, |long, out| out[..20].copy_from_slice(&Sha1::digest(long)));
        Self(Hmac::new(&(*block).into()))
    }

    /// The MAC of `message`.
    pub fn sign(&self, message: &[u8]) -> [u8; 20] {
        let mut mac = self.0.clone();
        mac.update(message);
        mac.finalize().into_bytes().into()
    }
}

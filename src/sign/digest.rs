//! Digests and keyed MAC states: the one seam behind which the cryptographic back end is chosen.
//!
//! Two back ends stand behind it. `linked` is aws-lc-rs, which TLS links in any case; `portable` is the `RustCrypto`
//! crates, and the oracle that the tests hold the other one to. The choice was measured (`benches/signing.rs`): for
//! texts as short as those signed here, `RustCrypto` is the faster wherever the processor has instructions for SHA-256,
//! and aws-lc-rs at nearly twice the speed where it has not. For SHA-1 `RustCrypto` is as fast or faster everywhere.
//! So SHA-1 is always `portable`, and SHA-256 is chosen by the processor when the program runs; without the feature
//! `linked-digests` it is `portable` too.
//!
//! A keyed state is prepared once and copied for each signature, which saves hashing the key again. Both back ends
//! wipe their states when they are dropped; nothing here can print one.

#[cfg(feature = "linked-digests")]
mod chosen;
#[allow(unreachable_pub)] // alike in both, of which one may stand for `chosen`
#[cfg(feature = "linked-digests")]
mod linked;
mod mac_sha1;
#[allow(unreachable_pub)]
mod portable;

#[cfg(not(feature = "linked-digests"))]
use portable as chosen;

pub use chosen::{MacSha256, RunningSha256, sha256};
pub use mac_sha1::MacSha1;

use zeroize::Zeroizing;

/// The block that HMAC pads its key to, for both digests.
const BLOCK: usize = 64;

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

#[cfg(test)]
mod tests;

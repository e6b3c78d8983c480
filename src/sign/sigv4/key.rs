//! The signing key of a UTC day: derived once, kept, and rolled when the day changes.

use std::sync::Arc;

use super::{Signer, TERMINATOR};
use crate::sign::digest::MacSha256;

/// A day (`YYYYMMDD`) and the keyed state for it.
pub(super) struct DayKey {
    day: [u8; 8],
    mac: MacSha256,
}

impl Signer {
    /// Lends the key of `day`. It is kept only when `day` is `today` and later than the one kept: a verifier asked
    /// about yesterday, or a clock that steps back, never displaces the key that every other request uses.
    pub(super) fn day_mac<T>(&self, day: [u8; 8], today: &[u8], sign: impl FnOnce(&MacSha256) -> T) -> T {
        let kept = self.today.load();
        if let Some(kept) = kept.as_ref().filter(|kept| kept.day == day) {
            return sign(&kept.mac);
        }
        let key = DayKey { day, mac: self.derive(day) };
        let outcome = sign(&key.mac);
        let is_later = kept.as_ref().is_none_or(|kept| kept.day < day);
        if day == today && is_later {
            // Two threads may both derive at midnight and both store; the keys are the same.
            self.today.store(Some(Arc::new(key)));
        }
        outcome
    }

    /// The chain of Amazon's reference: date, region, service, terminator.
    fn derive(&self, day: [u8; 8]) -> MacSha256 {
        let date = self.root.sign(&day);
        let region = MacSha256::new(&date).sign(self.options.region.as_bytes());
        let service = MacSha256::new(&region).sign(self.options.service.as_bytes());
        MacSha256::new(&MacSha256::new(&service).sign(TERMINATOR.as_bytes()))
    }

    #[cfg(test)]
    pub(super) fn kept_day(&self) -> Option<String> {
        self.today.load().as_ref().map(|kept| String::from_utf8_lossy(&kept.day).into_owned())
    }
}

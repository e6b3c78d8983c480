//! How calls are recorded: `[audit]`. Plain values; writing is the business of another room.

use std::path::PathBuf;
use std::time::Duration;

use super::SecretRef;

/// `[audit]`.
#[derive(Debug, PartialEq, Eq)]
pub struct Audit {
    /// `file`: the active segment, by its absolute path; absent: standard output.
    pub file: Option<PathBuf>,
    /// `on-full`.
    pub on_full: OnFull,
    /// `rotate-size`: bytes at which a segment is complete (256 MiB).
    pub rotate_size: u64,
    /// `rotate-age`: time after which a segment is complete, unless it holds nothing (24 h).
    pub rotate_age: Duration,
    /// `retain`: time after which sealed segments are deleted; absent: never.
    pub retain: Option<Duration>,
    /// `key`: with it, the chain can be continued only by who has it.
    pub key: Option<SecretRef>,
}

impl Default for Audit {
    fn default() -> Self {
        Self {
            file: None,
            on_full: OnFull::default(),
            rotate_size: 256 << 20,
            rotate_age: Duration::from_secs(24 * 3600),
            retain: None,
            key: None,
        }
    }
}

/// `on-full`: what becomes of calls when nothing can be recorded. Calls that are not known to be reads are refused in
/// any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFull {
    /// Reads are refused too.
    #[default]
    Refuse,
    /// Reads pass; those that are not recorded are counted, in the metrics and, later, in the record.
    DropReads,
}

//! Recording, as far as a call has to wait for it: nothing goes upstream that could not be recorded.
//!
//! A call that is not known to be a read is sent once its intent is durable; a read, as long as its outcome can be
//! recorded, or `on-full` says that it may pass without.

use std::time::Instant;

use crate::audit::event::Kind;
use crate::audit::parameters::Hasher;
use crate::audit::{Record, Recorder, millis};
use crate::config::OnFull;
use crate::reason::Reason;

/// What one worker records calls with.
#[derive(Clone)]
pub struct Scribe {
    /// Takes events.
    pub recorder: Recorder,
    /// Stands for values of parameters that are not shown.
    pub hasher: Hasher,
    /// What becomes of reads when nothing can be recorded.
    pub on_full: OnFull,
}

impl Scribe {
    /// Waits until a call may be sent as far as the record is concerned.
    pub(super) async fn ready_for(&self, record: &mut Record) -> Result<(), Reason> {
        if record.read_only && self.recorder.is_free() {
            return Ok(());
        }
        let waiting = Instant::now();
        let recorded = if record.read_only {
            let admitted = self.recorder.admit().await;
            if self.on_full == OnFull::DropReads { Ok(()) } else { admitted }
        } else {
            record.tell(Kind::Intent, |event| self.recorder.intent(event)).await
        };
        record.queue_ms += millis(waiting.elapsed());
        recorded.map_err(|unrecorded| Reason::Unrecorded(unrecorded.why()))
    }
}

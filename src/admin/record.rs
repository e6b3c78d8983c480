//! How the record stands: what its writer tells, as the console, `countersign status` and the metrics show it.

use serde::{Deserialize, Serialize};

use crate::audit::recorder;
use crate::metrics::record::Numbers;

/// How the record stands. All counts are since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Audit {
    /// Whether calls can be recorded now.
    pub writable: bool,
    /// What keeps them from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub obstacle: Option<String>,
    /// The last failure to write, for as long as nothing could be written since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// The last line that is durable, `SEQ:HASH` as `countersign audit verify --head` takes it: whoever notes it
    /// elsewhere finds out when somebody cuts the record's end off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<String>,
    /// The number of the segment that is written to.
    pub segment: u64,
    /// Lines of calls written: intents and outcomes.
    pub records: u64,
    /// Intents written.
    pub intents: u64,
    /// Outcomes written.
    pub outcomes: u64,
    /// Times that lines were made durable.
    pub commits: u64,
    /// Failures to write.
    pub errors: u64,
    /// Lines that wait to be written.
    pub waiting: usize,
    /// Their bytes.
    pub waiting_bytes: usize,
    /// Outcomes of reads that could not be kept.
    pub lost_reads: u64,
    /// Outcomes of other calls that could not be kept.
    pub lost_writes: u64,
}

impl Audit {
    pub(super) fn of(state: &recorder::State) -> Self {
        Self {
            writable: state.obstacle.is_none(),
            obstacle: state.obstacle.map(|obstacle| obstacle.to_string()),
            last_error: state.last_error.clone(),
            head: state.head.map(|head| head.to_string()),
            segment: state.segment,
            records: state.intents + state.outcomes,
            intents: state.intents,
            outcomes: state.outcomes,
            commits: state.commits,
            errors: state.errors,
            waiting: state.waiting_lines,
            waiting_bytes: state.waiting_bytes,
            lost_reads: state.lost_reads,
            lost_writes: state.lost_writes,
        }
    }

    /// Why nothing can be recorded now, in a line.
    pub fn fault(&self) -> Option<String> {
        let obstacle = self.obstacle.as_deref()?;
        let more = self.last_error.as_deref().map(|error| format!(": {error}")).unwrap_or_default();
        Some(format!("audit-unwritable {obstacle}{more}"))
    }

    /// Outcomes that could not be kept.
    pub fn lost(&self) -> u64 {
        self.lost_reads + self.lost_writes
    }

    pub(super) fn numbers(&self) -> Numbers {
        Numbers {
            intents: self.intents,
            outcomes: self.outcomes,
            commits: self.commits,
            errors: self.errors,
            lost_reads: self.lost_reads,
            lost_writes: self.lost_writes,
            waiting_lines: self.waiting,
            waiting_bytes: self.waiting_bytes,
            writable: self.writable,
        }
    }
}

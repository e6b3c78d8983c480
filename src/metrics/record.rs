//! The record's metrics: brought up to date from what its writer knows, whenever somebody asks.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// The kind of a record.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct KindLabel {
    /// `intent` or `outcome`.
    kind: &'static str,
}

/// What a call does to what it is about.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct AccessLabel {
    /// `read` or `other`.
    access: &'static str,
}

/// How the record stands, in numbers; all but what waits are since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Intents written.
    pub intents: u64,
    /// Outcomes written.
    pub outcomes: u64,
    /// Times that lines were made durable.
    pub commits: u64,
    /// Failures to write.
    pub errors: u64,
    /// Outcomes of reads that could not be kept.
    pub lost_reads: u64,
    /// Outcomes of other calls that could not be kept.
    pub lost_writes: u64,
    /// Lines that wait to be written.
    pub waiting_lines: usize,
    /// Their bytes.
    pub waiting_bytes: usize,
    /// Whether calls can be recorded now.
    pub writable: bool,
}

/// `countersign_audit_*`.
#[derive(Default)]
pub struct Record {
    records: Family<KindLabel, Counter>,
    lost: Family<AccessLabel, Counter>,
    commits: Counter,
    errors: Counter,
    queue_records: Gauge,
    queue_bytes: Gauge,
    writable: Gauge,
}

impl Record {
    pub(super) fn register(&self, to: &mut Registry) {
        to.register("audit_records", "Lines of calls written to the record", self.records.clone());
        to.register("audit_lost_records", "Outcomes that could not be kept", self.lost.clone());
        to.register("audit_commits", "Times that lines were made durable", self.commits.clone());
        to.register("audit_errors", "Failures to write the record", self.errors.clone());
        to.register("audit_queue_records", "Lines that wait to be written", self.queue_records.clone());
        let bytes = self.queue_bytes.clone();
        to.register_with_unit("audit_queue", "Bytes that wait to be written", Unit::Bytes, bytes);
        to.register("audit_writable", "Whether calls can be recorded now", self.writable.clone());
        // There from the start, so that a first increase is one.
        self.set(&Numbers { writable: true, ..Numbers::default() });
    }

    /// This is how it stands now.
    pub fn set(&self, numbers: &Numbers) {
        let count = |counter: &Counter<u64, AtomicU64>, value: u64| counter.inner().store(value, Relaxed);
        for (kind, value) in [("intent", numbers.intents), ("outcome", numbers.outcomes)] {
            count(&self.records.get_or_create(&KindLabel { kind }), value);
        }
        for (access, value) in [("read", numbers.lost_reads), ("other", numbers.lost_writes)] {
            count(&self.lost.get_or_create(&AccessLabel { access }), value);
        }
        count(&self.commits, numbers.commits);
        count(&self.errors, numbers.errors);
        self.queue_records.set(i64::try_from(numbers.waiting_lines).unwrap_or(i64::MAX));
        self.queue_bytes.set(i64::try_from(numbers.waiting_bytes).unwrap_or(i64::MAX));
        self.writable.set(i64::from(numbers.writable));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;
    use crate::metrics::reading::Reading;

    #[test]
    fn every_number_has_its_own_series() {
        let metrics = Metrics::default();
        let names = |text: &str| text.lines().filter(|line| line.starts_with("countersign_audit_")).count();
        assert_eq!(names(&metrics.text()), 9);
        assert_eq!(Reading::of(&metrics.text()).plain("countersign_audit_writable"), Some(1.0));
        let numbers = Numbers {
            intents: 1,
            outcomes: 2,
            commits: 3,
            errors: 4,
            lost_reads: 5,
            lost_writes: 6,
            waiting_lines: 7,
            waiting_bytes: 8,
            writable: false,
        };
        metrics.record.set(&numbers);
        let reading = Reading::of(&metrics.text());
        let labelled = [
            reading.one("countersign_audit_records_total", ("kind", "intent")),
            reading.one("countersign_audit_records_total", ("kind", "outcome")),
            reading.one("countersign_audit_lost_records_total", ("access", "read")),
            reading.one("countersign_audit_lost_records_total", ("access", "other")),
        ];
        assert_eq!(labelled, [Some(1.0), Some(2.0), Some(5.0), Some(6.0)]);
        let plain = ["commits_total", "errors_total", "queue_records", "queue_bytes", "writable"];
        let plain = plain.map(|name| reading.plain(&format!("countersign_audit_{name}")));
        assert_eq!(plain, [Some(3.0), Some(4.0), Some(7.0), Some(8.0), Some(0.0)]);
        assert_eq!(names(&metrics.text()), 9);
    }
}

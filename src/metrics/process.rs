//! The process itself, under the names that every Prometheus client library gives to it: read from `/proc` when asked.

use std::sync::OnceLock;

use procfs::WithCurrentSystemInfo as _;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

/// The collector. What cannot be read is left out.
#[derive(Debug, Default)]
pub(super) struct Process {
    /// Seconds since 1970; does not change.
    started: OnceLock<f64>,
}

impl Collector for Process {
    fn encode(&self, mut to: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        let Ok(process) = procfs::process::Process::myself() else { return Ok(()) };
        if let Ok(stat) = process.stat() {
            let ticks = exact(procfs::ticks_per_second());
            let used = ConstCounter::new(exact(stat.utime + stat.stime) / ticks);
            let seconds = Some(&Unit::Seconds);
            let help = "Processor time used, by the program and by the kernel for it";
            let cpu = to.encode_descriptor("process_cpu", help, seconds, used.metric_type())?;
            used.encode(cpu)?;
            gauge(&mut to, "process_resident_memory", "Memory in use", &Unit::Bytes, stat.rss_bytes().get())?;
            gauge(&mut to, "process_virtual_memory", "Address space in use", &Unit::Bytes, stat.vsize)?;
            let count = ConstGauge::new(stat.num_threads);
            count.encode(to.encode_descriptor("process_threads", "Threads", None, count.metric_type())?)?;
            let started = match self.started.get() {
                Some(started) => Some(*started),
                None => procfs::boot_time_secs()
                    .ok()
                    .map(|boot| *self.started.get_or_init(|| exact(boot) + exact(stat.starttime) / ticks)),
            };
            if let Some(started) = started {
                gauge(
                    &mut to,
                    "process_start_time",
                    "When it was started, since 1970",
                    &Unit::Seconds,
                    started,
                )?;
            }
        }
        if let Ok(count) = process.fd_count() {
            let count = ConstGauge::new(i64::try_from(count).unwrap_or(i64::MAX));
            let help = "Open file descriptors";
            count.encode(to.encode_descriptor("process_open_fds", help, None, count.metric_type())?)?;
        }
        if let Ok(limits) = process.limits()
            && let procfs::process::LimitValue::Value(most) = limits.max_open_files.soft_limit
        {
            let most = ConstGauge::new(i64::try_from(most).unwrap_or(i64::MAX));
            let help = "Most file descriptors that may be open";
            most.encode(to.encode_descriptor("process_max_fds", help, None, most.metric_type())?)?;
        }
        Ok(())
    }
}

fn gauge(
    to: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    unit: &Unit,
    value: impl EncodeGaugeValue + Copy + std::fmt::Debug,
) -> std::fmt::Result {
    let value = ConstGauge::new(value);
    value.encode(to.encode_descriptor(name, help, Some(unit), value.metric_type())?)
}

#[allow(clippy::cast_precision_loss, reason = "ticks since the machine was started are far below 2^53")]
fn exact(count: u64) -> f64 {
    count as f64
}

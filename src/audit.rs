//! The record of one call, and the thread that writes records down.
//!
//! An [`Entry`] is a guard: it is written when it is dropped, whatever became of the request, so a caller who hangs
//! up leaves a line like everyone else. It holds names and numbers only; no header, query or body ever enters it.

use std::fmt::Write as _;
use std::io::Write;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Instant;

use jiff::Timestamp;
use serde::Serialize;

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people at a terminal.
    Text,
    /// One JSON object a line.
    Json,
}

/// What is known of one call when it is over. Empty texts mean that the call did not get that far.
#[derive(Serialize, Default)]
#[serde(rename_all = "kebab-case")]
pub struct Record {
    /// When it arrived, in UTC.
    pub time: String,
    /// The id that the answer carried.
    pub request_id: String,
    /// The address behind the connection.
    pub source: String,
    /// The configured identity; `anonymous` where the route needs none, empty when the caller was none of its clients.
    #[serde(serialize_with = "shared_text")]
    pub client: Arc<str>,
    /// How it was proved: the condition's name in the configuration.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub proof: &'static str,
    /// The local key that the caller signed with, or claimed to.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub local_key: String,
    /// The route that matched.
    #[serde(serialize_with = "shared_text")]
    pub route: Arc<str>,
    /// The scheme it was signed with.
    pub scheme: &'static str,
    /// The *name* of the credential.
    #[serde(serialize_with = "shared_text")]
    pub credential: Arc<str>,
    /// The call's own name.
    pub operation: String,
    /// What it is about: bucket and key.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub resource: String,
    /// What policy said: `allow`, `deny`, or `learn` for what it would have refused.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub decision: &'static str,
    /// The rule that decided, as it stands in the configuration.
    #[serde(skip_serializing_if = "shared_is_empty", serialize_with = "shared_text")]
    pub rule: Arc<str>,
    /// The rules that admit the call, where the route learns.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub asks: Vec<String>,
    /// The method that the caller used.
    pub method: String,
    /// The status that the caller got; 0 when it left before.
    pub status: u16,
    /// The code of a refusal or failure of our own.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub error: &'static str,
    /// What exactly was wrong, where the code alone does not say it; never a caller's text.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cause: String,
    /// How the call ended, when not by its last byte.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub ended: &'static str,
    /// How often the job that the call began was asked for.
    #[serde(skip_serializing_if = "is_zero")]
    pub polls: u32,
    /// Bytes of the request body.
    pub bytes_in: u64,
    /// Bytes of the answer's body.
    pub bytes_out: u64,
    /// Time to sign, in microseconds; with polls, all of it.
    pub sign_us: u64,
    /// Time from sending to the upstream's head, in milliseconds; with polls, all of it.
    pub upstream_ms: f64,
    /// Time from arrival to the last byte, in milliseconds.
    pub duration_ms: f64,
}

fn shared_text<S: serde::Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

fn shared_is_empty(text: &Arc<str>) -> bool {
    text.is_empty()
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// One call in progress; writes its record when dropped.
pub struct Entry {
    /// What is known so far.
    pub record: Record,
    started: Instant,
    log: Log,
}

impl Entry {
    /// Opens the record of a call that arrived at `now`.
    pub fn open(log: &Log, now: Timestamp, request_id: String, source: String, method: &str) -> Self {
        let method = method.chars().take(16).collect();
        let time = format!("{now:.3}");
        let record = Record { time, request_id, source, method, ..Record::default() };
        Self { record, started: Instant::now(), log: log.clone() }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.record.duration_ms = millis(self.started);
        if self.record.status == 0 {
            self.record.ended = "caller-left";
        }
        self.log.write(&self.record);
    }
}

/// Milliseconds since `start`, with three decimals.
pub fn millis(start: Instant) -> f64 {
    (start.elapsed().as_secs_f64() * 1e6).round() / 1e3
}

/// A handle to the writer thread.
#[derive(Clone)]
pub struct Log {
    lines: SyncSender<String>,
    format: Format,
}

/// Lines that may wait for a slow sink before callers wait with them. Nothing is ever dropped.
const QUEUE: usize = 8192;

impl Log {
    /// Starts the thread that writes to `sink`; it ends when the last handle is gone.
    pub fn start(
        format: Format,
        mut sink: impl Write + Send + 'static,
    ) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (lines, queue) = sync_channel::<String>(QUEUE);
        let writer = std::thread::Builder::new().name("audit".into()).spawn(move || {
            while let Ok(line) = queue.recv() {
                let mut batch = line;
                while batch.len() < 64 << 10
                    && let Ok(more) = queue.try_recv()
                {
                    batch.push_str(&more);
                }
                if let Err(error) = sink.write_all(batch.as_bytes()).and_then(|()| sink.flush()) {
                    tracing::error!(%error, "request log cannot be written");
                    if error.kind() == std::io::ErrorKind::BrokenPipe {
                        return;
                    }
                }
            }
        })?;
        Ok((Self { lines, format }, writer))
    }

    fn write(&self, record: &Record) {
        let line = match self.format {
            Format::Json => json(record),
            Format::Text => text(record),
        };
        // The queue is closed only when the sink is gone for good, which was said once.
        let _ = self.lines.send(line);
    }
}

/// One JSON object, pure ASCII: no input can break a line, a terminal or the reading direction.
fn json(record: &Record) -> String {
    let line = serde_json::to_string(record).unwrap_or_default();
    let mut out = String::with_capacity(line.len() + 1);
    for unit in line.chars() {
        if unit.is_ascii() && unit != '\u{7f}' {
            out.push(unit);
        } else {
            for half in unit.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{half:04x}");
            }
        }
    }
    out.push('\n');
    out
}

fn text(record: &Record) -> String {
    let shown = |text: &str| if text.is_empty() { "-".to_owned() } else { text.escape_default().to_string() };
    let Record { time, status, duration_ms, bytes_in, bytes_out, upstream_ms, .. } = record;
    let mut line = format!(
        "{time} {status} {} {} {} {} client={} key={} in={bytes_in} out={bytes_out} upstream={upstream_ms}ms \
         total={duration_ms}ms id={}",
        shown(&record.route),
        shown(&record.method),
        shown(&record.operation),
        shown(&record.source),
        shown(&record.client),
        shown(&record.credential),
        record.request_id,
    );
    let words = [("proof", record.proof), ("decision", record.decision)];
    for (name, value) in words.into_iter().chain([("error", record.error), ("ended", record.ended)]) {
        if !value.is_empty() {
            let _ = write!(line, " {name}={value}");
        }
    }
    let texts = [
        ("resource", record.resource.as_str()),
        ("local-key", &record.local_key),
        ("rule", &record.rule),
        ("cause", &record.cause),
    ];
    for (name, value) in texts {
        if !value.is_empty() {
            let _ = write!(line, " {name}=\"{}\"", value.escape_default());
        }
    }
    if record.polls > 0 {
        let _ = write!(line, " polls={}", record.polls);
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_input_breaks_a_line() {
        let operation = "a\r\n\"b\u{202e}\u{1b}[31m\u{1f600}".to_owned();
        let record = Record { operation: operation.clone(), ..Record::default() };
        for line in [json(&record), text(&record)] {
            assert!(line.trim_end().bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{line:?}");
            assert_eq!(line.matches('\n').count(), 1);
        }
        let parsed: serde_json::Value = serde_json::from_str(&json(&record)).unwrap_or_default();
        assert_eq!(parsed["operation"], operation);
    }
}

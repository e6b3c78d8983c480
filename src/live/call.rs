//! One call that is over, as a watcher sees it.

use jiff::Timestamp;
use serde::Serialize;

use super::stages::Stages;
use crate::trace::Trace;

/// What is known of a call. Texts are safe to show: see [`super::visible`]. Empty ones mean that the call did not get
/// that far.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Call {
    /// The id that the answer carried.
    pub id: String,
    /// When it arrived.
    #[serde(serialize_with = "milliseconds")]
    pub time: Timestamp,
    /// The address behind the connection.
    pub source: String,
    /// What the caller says it is.
    pub agent: String,
    /// The configured identity.
    pub client: String,
    /// How it was proved.
    pub proof: &'static str,
    /// The route that matched.
    pub route: String,
    /// The scheme it was signed with.
    pub scheme: &'static str,
    /// The name of the credential.
    pub credential: String,
    /// The call's own name.
    pub operation: String,
    /// What it is about.
    pub resource: String,
    /// What policy said.
    pub decision: &'static str,
    /// The rule that decided.
    pub rule: String,
    /// The caller's method.
    pub method: String,
    /// The status that the caller got; 0 when it left before.
    pub status: u16,
    /// The code of a refusal or failure of our own.
    pub error: &'static str,
    /// How it ended, when not by its last byte.
    pub ended: &'static str,
    /// Bytes of the request's body.
    pub bytes_in: u64,
    /// Bytes of the answer's body.
    pub bytes_out: u64,
    /// Microseconds of signing.
    pub sign_us: u64,
    /// Milliseconds from sending to the upstream's head.
    pub upstream_ms: f64,
    /// Milliseconds from arrival to the last byte.
    pub duration_ms: f64,
    /// The trace that it is part of, where there is one.
    #[serde(rename = "trace-id", serialize_with = "trace_id")]
    pub trace: Option<Trace>,
    /// Scheme and host of the upstream.
    pub upstream: String,
    /// How it was signed; not in lists.
    #[serde(skip)]
    pub stages: Option<Stages>,
}

fn milliseconds<S: serde::Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{time:.3}"))
}

#[allow(clippy::ref_option, reason = "serde asks for a reference to the field")]
fn trace_id<S: serde::Serializer>(trace: &Option<Trace>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&trace.map(|trace| trace.id()).unwrap_or_default())
}

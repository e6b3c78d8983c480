//! OCSF 1.3.0, class 6003 *API Activity*, one event a line.
//!
//! The version is pinned: attributes move between versions (1.9 renames `actor.app_name`), and consumers go by
//! `metadata.version`.
//!
//! | OCSF | the record |
//! | --- | --- |
//! | `time`, `metadata.original_time` | `eventTime`, in milliseconds and as it stands |
//! | `metadata.uid`, `metadata.correlation_uid` | `eventID`, `requestID` |
//! | `metadata.log_name`, `metadata.product` | `countersign audit`, countersign and its version |
//! | `activity_id` | Read (2) by `readOnly`; else Create (1), Delete (4) or Update (3) by the operation's name; Other (99) where no table knows the call |
//! | `status_id`, `status_code`, `status_detail` | Success (1) below 400, Failure (2), Unknown (0) for intents and callers who left; the status; `errorMessage` |
//! | `severity_id` | Informational (1); Low (2) where the gateway refused |
//! | `actor.user` | `userIdentity`: `userName`, and `accessKeyId` as `credential_uid` |
//! | `api.operation`, `api.service.name` | the operation, `eventSource` |
//! | `api.request.uid`, `api.response` | `requestID`; status, `errorCode`, `errorMessage` |
//! | `src_endpoint` | `ip` of `sourceIPAddress`, or `name` for a unix socket |
//! | `dst_endpoint.name` | `upstream` |
//! | `http_request`, `http_response` | method, `userAgent`; status and length |
//! | `resources[].name` | `resources[].name` |
//! | `duration` | `totalMs` |
//! | `unmapped` | route, client proof, credential, scheme, decision, rule, `bytesIn`, `ended`, `traceId`, `record` |

use std::net::IpAddr;

use serde_json::{Value, json};

use super::super::line::Line;
use super::{Outcome, Verb, object};

/// The version of the schema.
pub const VERSION: &str = "1.3.0";

/// One event.
pub fn event(line: &Line<'_>) -> Value {
    let (activity, name) = match Verb::of(line) {
        Verb::Create => (1, "Create"),
        Verb::Read => (2, "Read"),
        Verb::Update => (3, "Update"),
        Verb::Delete => (4, "Delete"),
        Verb::Unknown => (99, "Other"),
    };
    let (status_id, status) = match Outcome::of(line) {
        Outcome::Success => (1, "Success"),
        Outcome::Failure => (2, "Failure"),
        Outcome::Unknown => (0, "Unknown"),
    };
    let (severity_id, severity) = if line.refused() { (2, "Low") } else { (1, "Informational") };
    let code = line.extra.status;
    let code = if code == 0 { Value::Null } else { code.into() };
    object([
        ("activity_id", activity.into()),
        ("activity_name", name.into()),
        ("category_uid", 6.into()),
        ("category_name", "Application Activity".into()),
        ("class_uid", 6003.into()),
        ("class_name", "API Activity".into()),
        ("type_uid", (600_300 + activity).into()),
        ("type_name", format!("API Activity: {name}").into()),
        ("time", line.time().map(|time| time.div_euclid(1000)).into()),
        ("severity_id", severity_id.into()),
        ("severity", severity.into()),
        ("status_id", status_id.into()),
        ("status", status.into()),
        ("status_code", if code.is_null() { Value::Null } else { code.to_string().into() }),
        ("status_detail", json!(line.error_message)),
        ("duration", (line.total_us() / 1000).into()),
        ("metadata", metadata(line)),
        ("actor", actor(line)),
        ("api", api(line)),
        ("src_endpoint", source(line)),
        ("dst_endpoint", object([("name", json!(line.extra.upstream))])),
        (
            "http_request",
            object([("http_method", json!(line.extra.method)), ("user_agent", json!(line.user_agent))]),
        ),
        (
            "http_response",
            if code.is_null() {
                Value::Null
            } else {
                json!({ "code": code, "length": line.extra.bytes_out })
            },
        ),
        ("resources", resources(line)),
        (
            "unmapped",
            object([
                ("record", json!(line.extra.record)),
                ("route", json!(line.extra.route)),
                ("proof", json!(line.user_identity.proof)),
                ("credential", json!(line.extra.credential)),
                ("scheme", json!(line.extra.scheme)),
                ("decision", json!(line.extra.decision)),
                ("rule", json!(line.extra.rule)),
                ("bytesIn", line.extra.bytes_in.into()),
                ("ended", json!(line.extra.ended)),
                ("traceId", json!(line.extra.trace_id)),
            ]),
        ),
    ])
}

fn metadata(line: &Line<'_>) -> Value {
    let version = env!("CARGO_PKG_VERSION");
    object([
        ("version", VERSION.into()),
        ("product", json!({ "name": "countersign", "vendor_name": "countersign", "version": version })),
        ("uid", json!(line.event_id)),
        ("correlation_uid", json!(line.request_id)),
        ("original_time", json!(line.event_time)),
        ("log_name", "countersign audit".into()),
    ])
}

fn actor(line: &Line<'_>) -> Value {
    let name = if line.client().is_empty() { "unknown" } else { line.client() };
    let key = json!(line.user_identity.access_key_id);
    json!({ "user": object([("name", name.into()), ("type_id", 0.into()), ("credential_uid", key)]) })
}

fn api(line: &Line<'_>) -> Value {
    let operation = if line.operation().is_empty() { "unknown" } else { line.operation() };
    let code = line.extra.status;
    object([
        ("operation", operation.into()),
        ("service", object([("name", json!(line.event_source))])),
        ("request", object([("uid", json!(line.request_id))])),
        (
            "response",
            object([
                ("code", if code == 0 { Value::Null } else { code.into() }),
                ("error", json!(line.error_code)),
                ("error_message", json!(line.error_message)),
            ]),
        ),
    ])
}

/// The class wants to know an address or some name.
fn source(line: &Line<'_>) -> Value {
    match &*line.source {
        "" => json!({ "name": "unknown" }),
        source if source.parse::<IpAddr>().is_ok() => json!({ "ip": source }),
        source => json!({ "name": source }),
    }
}

fn resources(line: &Line<'_>) -> Value {
    let names = line.resources.iter().map(|resource| &resource.name).filter(|name| !name.is_empty());
    names.map(|name| json!({ "name": name })).collect()
}

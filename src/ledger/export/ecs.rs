//! Elastic Common Schema 8.17, one event a line. What the schema has no name for is under `countersign`.
//!
//! | ECS | the record |
//! | --- | --- |
//! | `@timestamp`, `event.id` | `eventTime`, `eventID` |
//! | `event.kind`, `category`, `type` | `event`; `api`; `access`, `creation`, `change` or `deletion`, and `denied` where the gateway refused |
//! | `event.action`, `event.provider`, `event.dataset` | the operation, `eventSource`, `countersign.audit` |
//! | `event.outcome`, `event.duration` | success below 400, failure, unknown; `totalMs` in nanoseconds |
//! | `event.code`, `error.code`, `error.message` | `errorCode`, and its message |
//! | `user.name`, `user_agent.original` | `userIdentity.userName`, `userAgent` |
//! | `source.address`, `source.ip` | `sourceIPAddress` |
//! | `http.request`, `http.response` | `requestID`, method, bytes, status |
//! | `url.original`, `cloud.region`, `rule.name` | `upstream`, `awsRegion`, `rule` |
//! | `trace.id` | `traceId` |

use std::net::IpAddr;

use serde_json::{Value, json};

use super::super::line::Line;
use super::{Outcome, Verb, object};

/// The version of the schema.
pub const VERSION: &str = "8.17.0";

/// One event.
pub fn event(line: &Line<'_>) -> Value {
    let mut types = vec![match Verb::of(line) {
        Verb::Create => "creation",
        Verb::Read => "access",
        Verb::Update => "change",
        Verb::Delete => "deletion",
        Verb::Unknown => "info",
    }];
    if line.refused() {
        types.push("denied");
    }
    let outcome = match Outcome::of(line) {
        Outcome::Success => "success",
        Outcome::Failure => "failure",
        Outcome::Unknown => "unknown",
    };
    let status = line.extra.status;
    let status = if status == 0 { Value::Null } else { status.into() };
    let address = line
        .source
        .parse::<IpAddr>()
        .map_or(Value::Null, |address| address.to_canonical().to_string().into());
    let resources: Vec<&str> =
        line.resources.iter().map(|resource| &*resource.name).filter(|name| !name.is_empty()).collect();
    object([
        ("@timestamp", json!(line.event_time)),
        ("ecs", json!({ "version": VERSION })),
        (
            "event",
            object([
                ("kind", "event".into()),
                ("category", json!(["api"])),
                ("type", json!(types)),
                ("action", line.operation().into()),
                ("id", json!(line.event_id)),
                ("provider", json!(line.event_source)),
                ("module", "countersign".into()),
                ("dataset", "countersign.audit".into()),
                ("outcome", outcome.into()),
                ("code", json!(line.error_code)),
                ("duration", (line.total_us().saturating_mul(1000)).into()),
            ]),
        ),
        ("error", object([("code", json!(line.error_code)), ("message", json!(line.error_message))])),
        ("user", object([("name", line.client().into())])),
        ("user_agent", object([("original", json!(line.user_agent))])),
        ("source", object([("address", json!(line.source)), ("ip", address)])),
        (
            "http",
            object([
                (
                    "request",
                    object([
                        ("id", json!(line.request_id)),
                        ("method", json!(line.extra.method)),
                        ("body", json!({ "bytes": line.extra.bytes_in })),
                    ]),
                ),
                (
                    "response",
                    object([("status_code", status), ("body", json!({ "bytes": line.extra.bytes_out }))]),
                ),
            ]),
        ),
        ("url", object([("original", json!(line.extra.upstream))])),
        ("cloud", object([("region", json!(line.aws_region))])),
        ("rule", object([("name", json!(line.extra.rule))])),
        ("trace", object([("id", json!(line.extra.trace_id))])),
        (
            "countersign",
            object([
                ("record", json!(line.extra.record)),
                ("route", json!(line.extra.route)),
                ("proof", json!(line.user_identity.proof)),
                ("local_key", json!(line.user_identity.access_key_id)),
                ("credential", json!(line.extra.credential)),
                ("scheme", json!(line.extra.scheme)),
                ("decision", json!(line.extra.decision)),
                ("resources", json!(resources)),
                ("ended", json!(line.extra.ended)),
            ]),
        ),
    ])
}

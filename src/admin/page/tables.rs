//! Rows of the console's tables.

use std::fmt::{Display, Write as _};

use jiff::Timestamp;

use super::super::html::{Escaped, bytes, percent, rate, seconds};
use super::super::record::Audit;
use super::super::status::{Bucket, Credential, Refusals, Route, Status};
use crate::live::Call;

/// A cell; `name` stands before the value where the table is too narrow for columns.
pub(super) fn cell(name: &str, class: &str, value: impl Display) -> String {
    let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
    format!("<td data-name=\"{name}\"{class}>{}</td>", Escaped(&value.to_string()))
}

fn or_dash<T>(value: Option<T>, show: impl Fn(T) -> String) -> String {
    value.map_or_else(|| "–".to_owned(), show)
}

/// A clock's difference, with its sign.
fn skew(value: f64) -> String {
    if value.abs() < 1.0 { "±0 s".to_owned() } else { format!("{value:+.0} s") }
}

fn expiry(at: Timestamp, now: Timestamp) -> String {
    let left = at.duration_since(now).as_secs();
    match left {
        ..=0 => "expired".to_owned(),
        1..3_600 => format!("in {} min", left / 60),
        3_600..172_800 => format!("in {} h", left / 3_600),
        _ => format!("in {} d", left / 86_400),
    }
}

pub(super) fn route_row(route: &Route, now: Timestamp) -> String {
    let name = if route.name.is_empty() { "(no route)" } else { &route.name };
    let bad = |bad: bool| if bad { "n bad" } else { "n" };
    let far = route.clock_skew_seconds.is_some_and(|skew| skew.abs() >= 60.0);
    let mut credential = route.credential.clone();
    if !route.ready {
        credential.push_str(" unavailable");
    } else if let Some(at) = route.expires {
        let _ = write!(credential, ", expires {}", expiry(at, now));
    }
    if route.signature_rejected > 0 {
        let _ = write!(credential, ", rejected {}×", route.signature_rejected);
    }
    let cells = [
        cell("Upstream", "", &route.upstream),
        cell("Requests", "n", route.requests),
        cell("Rate", "n", rate(route.rate)),
        cell("p50", "n", or_dash(route.p50_seconds, seconds)),
        cell("p99", "n", or_dash(route.p99_seconds, seconds)),
        cell("4xx", "n", or_dash(route.share_4xx, percent)),
        cell("5xx", bad(route.share_5xx.is_some_and(|share| share > 0.0)), or_dash(route.share_5xx, percent)),
        cell("In flight", "n", route.in_flight),
        cell("Clock", bad(far), or_dash(route.clock_skew_seconds, skew)),
        cell("Credential", if route.ready && route.signature_rejected == 0 { "" } else { "bad" }, credential),
    ];
    let (key, name) = (Escaped(&route.name), Escaped(name));
    let head = format!("<th scope=\"row\">{name} <small>{}</small></th>", Escaped(&route.scheme));
    format!("<tr data-route=\"{key}\">{head}{}</tr>", cells.concat())
}

/// What tells the kind of a status.
pub(super) fn class(status: u16) -> &'static str {
    match status / 100 {
        2 | 3 => "n good",
        4 => "n warn",
        _ => "n bad",
    }
}

pub(super) fn status_text(status: u16) -> String {
    if status == 0 { "left".to_owned() } else { status.to_string() }
}

pub(super) fn call_row(call: &Call) -> String {
    let cells = [
        cell("Client", "", &call.client),
        cell("Route", "", &call.route),
        cell("Operation", "", if call.operation.is_empty() { call.method.as_str() } else { &call.operation }),
        cell("Resource", "", &call.resource),
        cell("Status", class(call.status), status_text(call.status)),
        cell("In", "n", bytes(call.bytes_in)),
        cell("Out", "n", bytes(call.bytes_out)),
        cell("Took", "n", seconds(call.duration_ms / 1e3)),
    ];
    let (id, time) = (Escaped(&call.id), call.time.strftime("%H:%M:%S%.3f"));
    let link = format!("<th scope=\"row\"><a href=\"/call?id={id}\">{time}</a></th>");
    format!("<tr data-id=\"{id}\">{link}{}</tr>", cells.concat())
}

pub(super) fn credentials(status: &Status) -> String {
    let row = |credential: &Credential| {
        let (state, class) = if credential.ready { ("ready", "good") } else { ("unavailable", "bad") };
        let cells = [
            cell("State", class, state),
            cell("Expires", "", or_dash(credential.expires, |at| expiry(at, status.now))),
            cell("Failures", "n", credential.failures),
        ];
        format!("<tr><th scope=\"row\">{}</th>{}</tr>", Escaped(&credential.name), cells.concat())
    };
    status.credentials.iter().map(row).collect()
}

pub(super) fn refusals(status: &Status) -> String {
    let row = |refusals: &Refusals| {
        let (reason, count) = (Escaped(&refusals.reason), cell("Count", "n", refusals.count));
        format!("<tr><th scope=\"row\">{reason}</th>{count}</tr>")
    };
    status.refusals.iter().map(row).collect()
}

pub(super) fn buckets(status: &Status) -> String {
    let row = |bucket: &Bucket| {
        let cells = [
            cell("Calls", "n", bucket.calls),
            cell("In", "n", bytes(bucket.received)),
            cell("Out", "n", bytes(bucket.sent)),
        ];
        format!("<tr><th scope=\"row\">{}</th>{}</tr>", Escaped(&bucket.name), cells.concat())
    };
    status.buckets.iter().map(row).collect()
}

/// How the record stands: names and values.
pub(super) fn record(audit: &Audit) -> String {
    let state = match (&audit.obstacle, &audit.last_error) {
        (None, _) => "written".to_owned(),
        (Some(obstacle), None) => obstacle.clone(),
        (Some(obstacle), Some(error)) => format!("{obstacle}: {error}"),
    };
    let bad = |bad: bool| if bad { "bad" } else { "" };
    let facts = [
        ("State", state, if audit.writable { "good" } else { "bad" }),
        ("Intents", audit.intents.to_string(), ""),
        ("Outcomes", audit.outcomes.to_string(), ""),
        ("Commits", audit.commits.to_string(), ""),
        ("Waiting", format!("{} ({})", audit.waiting, bytes(audit.waiting_bytes as u64)), ""),
        ("Errors", audit.errors.to_string(), bad(audit.errors > 0)),
        ("Lost", audit.lost().to_string(), bad(audit.lost() > 0)),
        ("Segment", audit.segment.to_string(), ""),
        ("Head of the chain", audit.head.clone().unwrap_or_else(|| "none yet".to_owned()), "head"),
    ];
    let mut out = String::new();
    for (name, value, class) in facts {
        // Writing to a String cannot fail.
        let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
        let _ = write!(out, "<div{class}><dt>{name}</dt><dd>{}</dd></div>", Escaped(&value));
    }
    out
}

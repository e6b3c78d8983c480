//! The page of one call, and how it was signed.

use std::fmt::Write as _;

use super::super::html::{Escaped, bytes, seconds};
use super::tables::status_text;
use super::{escaped, fill};
use crate::live::{Call, Stages};

pub(super) const DETAIL: &str = include_str!("../console/detail.html");

/// The page of one call; without one, of a call that is not kept.
pub(in crate::admin) fn detail(call: Option<&Call>) -> String {
    let Some(call) = call else {
        let told = "<p>This call is not kept: only the last 500 are, of the time while somebody watches.</p>";
        return fill(DETAIL, &[("title", "No such call".to_owned()), ("detail", told.to_owned())]);
    };
    let title = if call.operation.is_empty() { &call.method } else { &call.operation };
    let trace = call.trace.map(|trace| trace.id()).unwrap_or_default();
    let took = format!(
        "{} in all, {} upstream, {} µs signing",
        seconds(call.duration_ms / 1e3),
        seconds(call.upstream_ms / 1e3),
        call.sign_us
    );
    let facts = [
        ("Request id", call.id.clone()),
        ("Arrived", format!("{:.3}", call.time)),
        ("Client", joined(&call.client, call.proof)),
        ("Source", call.source.clone()),
        ("User agent", call.agent.clone()),
        ("Route", joined(&call.route, call.scheme)),
        ("Upstream", call.upstream.clone()),
        ("Credential", call.credential.clone()),
        ("Operation", call.operation.clone()),
        ("Resource", call.resource.clone()),
        ("Decision", joined(call.decision, &call.rule)),
        ("Method", call.method.clone()),
        ("Status", joined(&status_text(call.status), call.error)),
        ("Ended", call.ended.to_owned()),
        ("Bytes", format!("{} in, {} out", bytes(call.bytes_in), bytes(call.bytes_out))),
        ("Took", took),
        ("Trace", trace),
    ];
    let mut out = String::from("<dl class=\"detail\">");
    for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
        // Writing to a String cannot fail.
        let class = if matches!(*name, "Request id" | "Trace") { " class=\"code\"" } else { "" };
        let _ = write!(out, "<div{class}><dt>{name}</dt><dd>{}</dd></div>", Escaped(value));
    }
    out.push_str("</dl>");
    out.push_str(&stages(call.stages.as_ref()));
    fill(DETAIL, &[("title", escaped(title)), ("detail", out)])
}

fn joined(text: &str, more: &str) -> String {
    if text.is_empty() || more.is_empty() { format!("{text}{more}") } else { format!("{text} ({more})") }
}

fn stages(stages: Option<&Stages>) -> String {
    let Some(stages) = stages else {
        return "<p class=\"note\">How it was signed is not kept: nobody watched then, or it was never signed.</p>".to_owned();
    };
    let stage =
        |name: &str, text: &str| format!("<h3>{name}</h3><pre tabindex=\"0\">{}</pre>", Escaped(text));
    let canonical = stages.canonical_request.as_deref().map(|text| stage("Canonical request", text));
    canonical.unwrap_or_default() + &stage("String to sign", &stages.string_to_sign)
}

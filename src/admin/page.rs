//! The console's pages as they come from here: whole without a script, which then only keeps them up to date.

mod call;
mod tables;

use std::fmt::Display;
use std::sync::Arc;

use super::html::{Escaped, rate, seconds};
use super::search::{Found, MOST, Terms};
use super::status::{Status, WINDOW};
use crate::live::Call;

pub(super) use call::detail;
use tables::{buckets, call_row, cell, class, credentials, record, refusals, route_row, status_text};

const INDEX: &str = include_str!("console/index.html");

/// What the overview shows.
pub(super) struct Shown<'s> {
    /// How the gateway stands.
    pub(super) status: Status,
    /// Calls, latest first.
    pub(super) calls: Vec<Arc<Call>>,
    /// The filter as it was typed.
    pub(super) filter: &'s str,
    /// What is wrong with it.
    pub(super) error: Option<String>,
    /// What of the record is asked for.
    pub(super) terms: Terms,
    /// What it answers.
    pub(super) found: Option<Result<Vec<Found>, String>>,
    /// Whether the record can be searched at all.
    pub(super) searchable: bool,
}

/// Puts a text, which is HTML already, into each `{{slot}}`. Slots are looked for in the template only, so that no
/// value is taken for one.
fn fill(template: &str, slots: &[(&str, String)]) -> String {
    let mut out = String::with_capacity(template.len() * 2);
    let mut parts = template.split("{{");
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (name, rest) = part.split_once("}}").unwrap_or((part, ""));
        let value = slots.iter().find(|(slot, _)| *slot == name).map(|(_, value)| value.as_str());
        out.push_str(value.unwrap_or_default());
        out.push_str(rest);
    }
    out
}

fn escaped(text: impl Display) -> String {
    Escaped(&text.to_string()).to_string()
}

/// The attribute that hides an element.
fn hidden(hide: bool) -> String {
    if hide { " hidden" } else { "" }.to_owned()
}

/// The page.
pub(super) fn overview(shown: &Shown<'_>) -> String {
    let status = &shown.status;
    let faults = status.faults.iter().map(|fault| format!("<li>{}</li>", Escaped(fault))).collect();
    let options = status.routes.iter().filter(|route| !route.name.is_empty());
    let options = options.map(|route| format!("<option>{}</option>", Escaped(&route.name)));
    let kept = match shown.calls.len() {
        0 => String::new(),
        count => format!("{count} kept"),
    };
    let slots = [
        ("version", escaped(&status.version)),
        ("ready-class", if status.ready { "good" } else { "bad" }.to_owned()),
        ("ready", if status.ready { "ready" } else { "not ready" }.to_owned()),
        ("facts", facts(status)),
        ("faults-hidden", hidden(status.faults.is_empty())),
        ("faults", faults),
        ("window", format!("{:.0}", WINDOW / 60.0)),
        ("routes", status.routes.iter().map(|route| route_row(route, status.now)).collect()),
        ("route-options", options.collect()),
        ("kept", kept),
        ("filter", escaped(shown.filter)),
        ("filter-error", shown.error.as_deref().map(escaped).unwrap_or_default()),
        ("calls", shown.calls.iter().map(|call| call_row(call)).collect()),
        ("calls-hidden", hidden(!shown.calls.is_empty())),
        ("record", record(&status.audit)),
        ("search", if shown.searchable { search(shown) } else { String::new() }),
        ("credentials", credentials(status)),
        ("refusals", refusals(status)),
        ("buckets", buckets(status)),
    ];
    fill(INDEX, &slots)
}

fn facts(status: &Status) -> String {
    let up = status.now.duration_since(status.started).as_secs().max(0);
    let up = match (up / 86_400, up / 3_600 % 24, up / 60 % 60) {
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    };
    let all: f64 = status.routes.iter().map(|route| route.rate).sum();
    let requests: u64 = status.routes.iter().map(|route| route.requests).sum();
    let mut facts = vec![
        ("up", up),
        ("requests", requests.to_string()),
        ("rate", rate(all)),
        ("connections", status.connections.to_string()),
    ];
    if !status.reload_success {
        facts.push(("last reload", "refused".to_owned()));
    }
    let fact =
        |(name, value): (&str, String)| format!("<div><dt>{name}</dt><dd>{}</dd></div>", Escaped(&value));
    facts.into_iter().map(fact).collect()
}

/// The search of the record: its form, and what was found.
fn search(shown: &Shown<'_>) -> String {
    let terms = &shown.terms;
    let field = |name: &str, title: &str, value: &str, example: &str| {
        format!(
            "<label class=\"field\"><span>{title}</span><input name=\"{name}\" value=\"{}\" placeholder=\"{example}\" \
             autocomplete=\"off\" spellcheck=\"false\" maxlength=\"1100\"></label>",
            Escaped(value)
        )
    };
    let fields = [
        field("since", "Since", &terms.since, "2h"),
        field("client", "Client", &terms.client, "billing-cron"),
        field("route", "Route", &terms.route, "backups"),
        field("operation", "Operation", &terms.operation, "s3:Get*"),
        field("resource", "Resource begins with", &terms.resource, "logs/2026/"),
        field("status", "Status", &terms.status, "4xx"),
        field("request", "Request id", &terms.request, ""),
    ];
    let checked = if terms.refused { " checked" } else { "" };
    let found = match &shown.found {
        None => String::new(),
        Some(Err(why)) => format!("<p class=\"error\">{}</p>", Escaped(why)),
        Some(Ok(calls)) => found_table(calls),
    };
    format!(
        "<form class=\"search\" id=\"search-form\" action=\"/#audit\" method=\"get\"><input type=\"hidden\" name=\"search\" value=\"1\">{}\
         <label class=\"check\"><input type=\"checkbox\" name=\"refused\" value=\"1\"{checked}> refused only</label>\
         <button type=\"submit\">Search</button></form><div id=\"found\" aria-live=\"polite\">{found}</div>",
        fields.concat()
    )
}

fn found_table(calls: &[Found]) -> String {
    if calls.is_empty() {
        return "<p class=\"note\">No call of the record is such.</p>".to_owned();
    }
    let row = |call: &Found| {
        let cells = [
            cell("Client", "", &call.client),
            cell("Route", "", &call.route),
            cell("Operation", "", &call.operation),
            cell("Resource", "", &call.resource),
            cell("Status", class(call.status), status_text(call.status)),
            cell("Error", "", &call.error),
            cell("Took", "n", seconds(call.duration_ms / 1e3)),
        ];
        format!("<tr><th scope=\"row\">{}</th>{}</tr>", Escaped(&call.time), cells.concat())
    };
    let rows: String = calls.iter().map(row).collect();
    let most =
        if calls.len() < MOST { String::new() } else { format!("<p class=\"note\">The latest {MOST}.</p>") };
    format!(
        "<table class=\"stack\"><thead><tr><th scope=\"col\">Time</th><th scope=\"col\">Client</th><th scope=\"col\">Route</th>\
         <th scope=\"col\">Operation</th><th scope=\"col\">Resource</th><th scope=\"col\" class=\"n\">Status</th>\
         <th scope=\"col\">Error</th><th scope=\"col\" class=\"n\">Took</th></tr></thead><tbody>{rows}</tbody></table>{most}"
    )
}

#[cfg(test)]
mod tests;

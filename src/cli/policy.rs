//! `countersign policy suggest`: from the record of calls to `allow` lists.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::process::ExitCode;

use super::audit::fail;
use super::audit::source::Record;
use super::{NO, output};
use crate::ledger::filter::Filter;
use crate::ledger::line::Line;
use crate::ledger::scan::scan;
use crate::policy::learn::{Inexpressible, Learnt};

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Print the smallest `allow` lists that admit what was recorded as used.
    Suggest(Suggest),
}

#[derive(clap::Args)]
pub(super) struct Suggest {
    #[command(flatten)]
    record: Record,
    /// Only the list of this route.
    #[arg(long, value_name = "NAME")]
    route: Option<String>,
    /// Only the list of this client.
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
}

pub(super) fn run(command: &Command) -> ExitCode {
    let Command::Suggest(suggest) = command;
    let record = match suggest.record.find() {
        Ok(record) => record,
        Err(code) => return code,
    };
    let from = record.log.display();
    let mut used = Used::default();
    // Which calls count is decided by each of them: all are looked at.
    let scanned = scan(&record.log, &Filter::default(), |line, _| {
        used.add(line);
        Ok(())
    });
    let scanned = match scanned {
        Ok(scanned) => scanned,
        Err(error) => return fail(&error),
    };
    for (count, what) in [
        (scanned.malformed, "lines that are none of the record's, left out"),
        (used.inexpressible, "calls whose names no rule can speak of alone, left out"),
    ] {
        if count > 0 {
            output::hint(&format!("{from}: {what}: {count}"));
        }
    }
    let text = used.written(suggest.route.as_deref(), suggest.client.as_deref());
    if text.is_empty() {
        return output::fail(NO, &format!("{from}: no record of a call that passed"));
    }
    output::all(text.as_bytes())
}

/// The calls that passed, by route and client; there is no client where the route needs none.
#[derive(Default)]
struct Used {
    calls: BTreeMap<(String, Option<String>), Learnt>,
    inexpressible: u64,
}

impl Used {
    /// Takes in a call, unless it was refused or never judged.
    fn add(&mut self, line: &Line<'_>) {
        if !matches!(&*line.extra.decision, "allow" | "learn") {
            return;
        }
        let mut learnt = Learnt::default();
        let said: Result<(), Inexpressible> = if line.extra.asks().len() == 0 {
            learnt.add(line.operation(), line.resource())
        } else {
            line.extra.asks().try_for_each(|rule| learnt.add_rule(rule))
        };
        if said.is_err() {
            self.inexpressible += 1;
            return;
        }
        let client = (line.user_identity.kind == "Client").then(|| line.user_identity.user_name.to_string());
        self.calls.entry((line.extra.route.to_string(), client)).or_default().merge(&learnt);
    }

    /// As configuration: a list for each route, and one for each client that shares a route with another. A client's
    /// list holds on all of its routes, so that it is made from all of them.
    fn written(&self, only_route: Option<&str>, only_client: Option<&str>) -> String {
        let mut routes: BTreeMap<&str, Learnt> = BTreeMap::new();
        let mut clients: BTreeMap<&str, Learnt> = BTreeMap::new();
        let mut callers: BTreeMap<&str, BTreeSet<Option<&str>>> = BTreeMap::new();
        for ((route, client), learnt) in &self.calls {
            routes.entry(route).or_default().merge(learnt);
            callers.entry(route).or_default().insert(client.as_deref());
            if let Some(client) = client {
                clients.entry(client).or_default().merge(learnt);
            }
        }
        let asked = |wanted: Option<&str>, other: Option<&str>, name: &str| match (wanted, other) {
            (None, None) => true,
            (None, Some(_)) => false,
            (Some(wanted), _) => wanted == name,
        };
        let shares = |client: &str| callers.values().any(|all| all.len() > 1 && all.contains(&Some(client)));
        let mut text = String::new();
        for (name, learnt) in &routes {
            if asked(only_route, only_client, name) {
                table(&mut text, "routes", name, learnt);
            }
        }
        for (name, learnt) in &clients {
            let named = only_client.is_some();
            if asked(only_client, only_route, name) && (named || shares(name)) {
                table(&mut text, "clients", name, learnt);
            }
        }
        text
    }
}

fn table(text: &mut String, kind: &str, name: &str, learnt: &Learnt) {
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let key = if !name.is_empty() && name.chars().all(bare) { name.to_owned() } else { quoted(name) };
    let blank = if text.is_empty() { "" } else { "\n" };
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{blank}[{kind}.{key}]\nallow = [");
    for rule in learnt.rules() {
        let _ = writeln!(text, "    {},", quoted(&rule));
    }
    let _ = writeln!(text, "]");
}

/// A string of TOML.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::audit::event::{Additional, Decision, Event, Identity, IdentityType};

    fn used(events: &[Event<'_>]) -> Used {
        let mut used = Used::default();
        for event in events {
            let text = event.json();
            used.add(&Line::read(text.as_bytes()).unwrap());
        }
        used
    }

    fn event<'a>(
        route: &'a str,
        client: Option<&'a str>,
        decision: Option<Decision>,
        operation: &'a str,
        resources: &'a [&'a str],
    ) -> Event<'a> {
        let kind = if client.is_some() { IdentityType::Client } else { IdentityType::Anonymous };
        Event {
            name: operation.rsplit(':').next().unwrap(),
            identity: Identity { kind, name: client, ..Identity::default() },
            resources,
            additional: Additional {
                route: Some(route),
                operation: Some(operation),
                decision,
                ..Additional::default()
            },
            ..Event::default()
        }
    }

    #[test]
    fn what_passed_is_suggested_and_what_was_refused_is_not() {
        let (allow, learn, deny) = (Some(Decision::Allow), Some(Decision::Learn), Some(Decision::Deny));
        let used = used(&[
            event("cloud", None, learn, "listUsers", &[]),
            event("s3", Some("ops"), allow, "s3:GetObject", &["logs/2024/a", "never/looked-at"]),
            event("s3", Some("ops"), learn, "s3:GetObject", &["logs/2025/b"]),
            event("s3", Some("ci"), allow, "s3:PutObject", &["data/x"]),
            event("s3", Some("ci"), deny, "s3:DeleteObject", &["data/x"]),
            event("s3", Some("ci"), None, "s3:DeleteBucket", &["data"]),
            event("odd", Some("ci"), allow, "two words", &[]),
        ]);
        assert_eq!(used.inexpressible, 1);
        let get = "    \"s3:GetObject logs/*\",\n";
        let put = "    \"s3:PutObject data/x\",\n";
        let s3 = format!("[routes.s3]\nallow = [\n{get}{put}]\n");
        let (ci, ops) =
            (format!("[clients.ci]\nallow = [\n{put}]\n"), format!("[clients.ops]\nallow = [\n{get}]\n"));
        let cloud = "[routes.cloud]\nallow = [\n    \"listUsers\",\n]\n";
        assert_eq!(used.written(None, None), format!("{cloud}\n{s3}\n{ci}\n{ops}"));
        assert_eq!(used.written(Some("s3"), None), s3);
        assert_eq!(used.written(None, Some("ops")), ops);
        assert_eq!(used.written(Some("none"), None), "");
    }

    #[test]
    fn rules_that_were_learnt_go_before_the_name_of_the_call() {
        let asks = ["s3:DeleteObject tmp/*".to_owned(), "s3:PutObject tmp/a".to_owned()];
        let mut bulk = event("s3", None, Some(Decision::Learn), "s3:DeleteObjects", &["tmp"]);
        bulk.additional.asks = &asks;
        let expected =
            "[routes.s3]\nallow = [\n    \"s3:DeleteObject tmp/*\",\n    \"s3:PutObject tmp/a\",\n]\n";
        assert_eq!(used(&[bulk]).written(None, None), expected);
    }

    #[test]
    fn a_client_called_anonymous_is_a_client() {
        let allow = Some(Decision::Allow);
        let used = used(&[
            event("s3", Some("anonymous"), allow, "s3:GetObject", &["a/b"]),
            event("s3", None, allow, "s3:GetObject", &["c/d"]),
        ]);
        assert!(
            used.written(None, None)
                .ends_with("[clients.anonymous]\nallow = [\n    \"s3:GetObject a/b\",\n]\n")
        );
    }
}

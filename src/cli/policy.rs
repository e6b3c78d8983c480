//! `countersign policy suggest`: from the request log to `allow` lists.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;
use std::process::ExitCode;

use serde::Deserialize;

use super::{FAILED, NO, output};
use crate::policy::learn::{Inexpressible, Learnt};

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Print the smallest `allow` lists that admit what was recorded as used.
    Suggest(Suggest),
}

#[derive(clap::Args)]
pub(super) struct Suggest {
    /// The request log as JSON lines; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// Only the list of this route.
    #[arg(long, value_name = "NAME")]
    route: Option<String>,
    /// Only the list of this client.
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
}

pub(super) fn run(command: &Command) -> ExitCode {
    let Command::Suggest(suggest) = command;
    let from = suggest.from.display();
    let read = if suggest.from.as_os_str() == "-" {
        Used::read(io::stdin().lock())
    } else {
        File::open(&suggest.from).and_then(|file| Used::read(BufReader::new(file)))
    };
    let used = match read {
        Ok(used) => used,
        Err(error) => return output::fail(FAILED, &format!("{from}: {error}")),
    };
    for (count, what) in [
        (used.unreadable, "lines that are no records of requests, left out"),
        (used.inexpressible, "calls whose names no rule can speak of alone, left out"),
    ] {
        if count > 0 {
            // The exit code says what the suggestion is worth.
            let _ = output::fail(NO, &format!("{from}: {what}: {count}"));
        }
    }
    let text = used.written(suggest);
    if text.is_empty() {
        return output::fail(NO, &format!("{from}: no record of a call that passed"));
    }
    output::all(text.as_bytes())
}

/// What a record says of a call; everything else in it does not matter here.
#[derive(Deserialize)]
struct Line {
    route: String,
    client: String,
    operation: String,
    #[serde(default)]
    resource: String,
    #[serde(default)]
    decision: String,
    #[serde(default)]
    asks: Vec<String>,
}

/// The calls that passed, by route and client.
#[derive(Default)]
struct Used {
    calls: BTreeMap<(String, String), Learnt>,
    unreadable: u64,
    inexpressible: u64,
}

/// What records say in place of a client on routes that need none.
const ANYONE: &str = "anonymous";

impl Used {
    fn read(mut lines: impl BufRead) -> io::Result<Self> {
        let mut used = Self::default();
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line)? > 0 {
            match serde_json::from_slice::<Line>(&line) {
                Ok(record) => used.add(record),
                Err(_) if line.trim_ascii().is_empty() => {}
                Err(_) => used.unreadable += 1,
            }
            line.clear();
        }
        Ok(used)
    }

    /// Takes in a call, unless it was refused or never judged.
    fn add(&mut self, record: Line) {
        if !matches!(record.decision.as_str(), "allow" | "learn") {
            return;
        }
        let mut learnt = Learnt::default();
        let said: Result<(), Inexpressible> = if record.asks.is_empty() {
            learnt.add(&record.operation, &record.resource)
        } else {
            record.asks.iter().try_for_each(|rule| learnt.add_rule(rule))
        };
        match said {
            Ok(()) => self.calls.entry((record.route, record.client)).or_default().merge(&learnt),
            Err(Inexpressible) => self.inexpressible += 1,
        }
    }

    /// As configuration: a list for each route, and one for each client that shares a route with another. A client's
    /// list holds on all of its routes, so that it is made from all of them.
    fn written(&self, suggest: &Suggest) -> String {
        let mut routes: BTreeMap<&str, Learnt> = BTreeMap::new();
        let mut clients: BTreeMap<&str, Learnt> = BTreeMap::new();
        let mut callers: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for ((route, client), learnt) in &self.calls {
            routes.entry(route).or_default().merge(learnt);
            callers.entry(route).or_default().insert(client);
            if client != ANYONE {
                clients.entry(client).or_default().merge(learnt);
            }
        }
        let asked = |wanted: &Option<String>, other: &Option<String>, name: &str| match (wanted, other) {
            (None, None) => true,
            (None, Some(_)) => false,
            (Some(wanted), _) => wanted == name,
        };
        let shares = |client: &str| callers.values().any(|all| all.len() > 1 && all.contains(client));
        let mut text = String::new();
        for (name, learnt) in &routes {
            if asked(&suggest.route, &suggest.client, name) {
                table(&mut text, "routes", name, learnt);
            }
        }
        for (name, learnt) in &clients {
            let named = suggest.client.is_some();
            if asked(&suggest.client, &suggest.route, name) && (named || shares(name)) {
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

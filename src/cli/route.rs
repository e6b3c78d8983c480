//! `countersign route METHOD URL`: which route takes a request, what it asks for, and whether it may; nothing is sent.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Uri};

use super::sign::header;
use super::{BAD_CONFIG, ConfigFile, NO, output};
use crate::gateway::DryRun;
use crate::metrics::Metrics;
use crate::policy::{By, Decision};
use crate::reload::World;
use crate::snapshot::Snapshot;

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    file: ConfigFile,
    /// The method.
    method: Method,
    /// The URL as a caller would use it at the gateway.
    url: Uri,
    /// The client that calls; without it, only the rules of the route are judged.
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
    /// A header of the request; may be repeated.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// The body.
    #[arg(short, long, default_value = "")]
    data: String,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let world = match World::load(&arguments.file.config, Arc::new(Metrics::default())) {
        Ok(world) => world,
        Err(error) => return output::fail(BAD_CONFIG, &error.to_string()),
    };
    let clients = &world.config().clients;
    if let Some(name) = &arguments.client
        && !clients.iter().any(|client| client.name == *name)
    {
        return output::fail(BAD_CONFIG, &format!("client `{name}` is not defined"));
    }
    let mut request = Request::new(Bytes::from(arguments.data.clone()));
    *request.method_mut() = arguments.method.clone();
    *request.uri_mut() = arguments.url.clone();
    for (name, value) in &arguments.headers {
        request.headers_mut().append(name.clone(), value.clone());
    }
    let snapshot = world.snapshot().load_full();
    let dry_run = DryRun { request };
    let route = match dry_run.route(&snapshot) {
        Ok(route) => route,
        Err(reason) => return output::fail(NO, &format!("{}: {}", reason.code(), reason.message())),
    };
    let signs = if route.signer.is_some() { "" } else { " (credential unavailable: answers 503)" };
    let mut text = format!(
        "route {}\nscheme {}\ncredential {}{signs}\nupstream {}\n",
        route.name,
        route.scheme_name(),
        route.credential,
        route.endpoint.upstream.host
    );
    let listed = world.config().routes.iter().find(|known| *known.name == *route.name);
    let judged = match (&arguments.client, listed.and_then(|known| known.clients.as_ref())) {
        (Some(name), Some(all)) if !all.contains(name) => {
            let _ = writeln!(text, "decision deny\nrule clients");
            Err(format!("client `{name}` is none of the clients of route `{}`", route.name))
        }
        _ => judge(dry_run, &snapshot, arguments.client.as_deref(), &mut text),
    };
    let printed = output::all(text.as_bytes());
    match judged {
        Ok(()) => printed,
        Err(why) => output::fail(NO, &why),
    }
}

/// Writes what is asked for and what comes of it; why it is refused, if it is.
fn judge(dry_run: DryRun, world: &Snapshot, client: Option<&str>, text: &mut String) -> Result<(), String> {
    let told = |reason: crate::reason::Reason| format!("{}: {}", reason.code(), reason.message());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let planned = runtime.block_on(dry_run.plan(world)).map_err(told)?;
    for (ask, word) in
        planned.operation.asks().zip(std::iter::once("operation").chain(std::iter::repeat("and")))
    {
        let alias = ask.alias.map(|alias| format!(" ({alias})")).unwrap_or_default();
        let _ = writeln!(text, "{word} {}{alias}", shown(&ask.name));
        if !ask.resource.is_empty() {
            let _ = writeln!(text, "resource {}", shown(&ask.resource));
        }
    }
    let (decision, refusal) = planned.judged(world, client);
    let Decision { rule, by, .. } = &decision;
    let _ = writeln!(text, "decision {}", decision.word());
    if !rule.is_empty() {
        let holder = if *by == By::Route { "route" } else { "client" };
        let _ = writeln!(text, "rule {} (of the {holder})", shown(rule));
    }
    refusal.map_or(Ok(()), |reason| Err(told(reason)))
}

/// Text of anyone's choosing, fit for a terminal.
fn shown(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if c == ' ' || c.is_ascii_graphic() {
            out.push(c);
        } else {
            out.extend(c.escape_debug());
        }
    }
    out
}

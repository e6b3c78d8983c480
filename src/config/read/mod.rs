//! From the text of a file to a [`Config`], or to everything that is wrong with it.
//!
//! One file per table. Readers take what they can and go on: a problem in one place hides none in another, and
//! what depends on a broken value is simply not judged. Nothing here opens a file or a socket.

mod audit;
mod client;
mod credential;
mod route;
mod rules;
mod scheme;
mod server;
mod switch;
mod upstream;

use toml::de::DeTable;

use super::Config;
use super::diagnostic::{Problem, Problems};
use super::mask::mask;
use super::table::{Findings, Table};

/// The only format of the file so far.
const VERSION: i64 = 1;

/// Reads the text of a file that is called `name` in messages.
pub(super) fn read(name: &str, text: &str) -> Result<Config, Problems> {
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut findings = Findings::default();
    for error in &errors {
        findings.push(syntax_problem(error, text.len()));
    }
    // A key that stands twice leaves a sound tree; any other mistake leaves one full of consequences.
    if errors.iter().any(|error| error.message() != DUPLICATE_KEY) {
        return Err(Problems::new(name, mask(text, &[]), findings.problems));
    }
    let config = file(Table::root(document.get_ref()), &mut findings);
    match config {
        Some(config) if findings.problems.is_empty() => Ok(config),
        _ => Err(Problems::new(name, mask(text, &findings.shown), findings.problems)),
    }
}

/// toml's description of a key that stands twice.
const DUPLICATE_KEY: &str = "duplicate key";

fn syntax_problem(error: &toml::de::Error, end: usize) -> Problem {
    // The parser's messages name the grammar, never the text; the text is in its Display, which is not used.
    let problem =
        Problem::at(error.span().unwrap_or(end..end), format!("not valid TOML: {}", error.message()));
    if error.message() == DUPLICATE_KEY { problem.label("this key stands twice") } else { problem }
}

fn file(mut root: Table<'_>, findings: &mut Findings) -> Option<Config> {
    version(&mut root, findings);
    let server = root.optional(findings, "server");
    let audit = root.optional(findings, "audit");
    let credentials = root.optional(findings, "credentials");
    let clients = root.optional(findings, "clients");
    let routes = root.optional(findings, "routes");
    let server = server::read(server, findings);
    let audit = audit::read(audit, findings);
    let credentials = credential::read(credentials, findings);
    let clients = client::read(clients, findings);
    let routes = route::read(routes, &credentials.names, &clients.names, findings);
    server::refuse_open_listeners(&server, &routes, findings);
    server::refuse_unasked_certificates(&server, &clients, findings);
    root.finish(findings);
    let (credentials, clients, routes) = (credentials.list, clients.list, routes.list);
    Some(Config { server: server.server?, audit, credentials, clients, routes })
}

fn version(root: &mut Table<'_>, findings: &mut Findings) {
    let help = "begin the file with `version = 1`";
    let Some(field) = root.required(findings, "version", help) else { return };
    match field.as_integer() {
        Some(VERSION) => findings.show(&field.span()),
        Some(_) => {
            findings.show(&field.span());
            let problem = field.problem("this countersign reads `version = 1` only");
            findings.push(problem.help(help));
        }
        None => field.wrong_type(findings, "the integer 1"),
    }
}

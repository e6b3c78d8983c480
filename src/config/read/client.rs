//! `[clients.*]`: named identities. Tokens and secrets are references, as with credentials; a value that may be a
//! secret is never quoted.

use crate::config::access::{Client, Conditions, LocalKey};
use crate::config::diagnostic::Problem;
use crate::config::table::{Field, Findings, Span, Table, quoted};
use crate::config::value::{self, Fault};

use super::credential::reference;
use super::rules;

/// The name that records give to callers of routes without `clients`.
const RESERVED: &str = "anonymous";

/// The clients of a file.
#[derive(Default)]
pub(super) struct Clients<'d> {
    pub(super) list: Vec<Client>,
    /// The names of all, good or bad: a bad one is defined nevertheless.
    pub(super) names: Vec<&'d str>,
    /// Where a client asks for a certificate.
    pub(super) certificates: Vec<Span>,
}

pub(super) fn read<'d>(field: Option<Field<'d>>, findings: &mut Findings) -> Clients<'d> {
    let mut out = Clients::default();
    let Some(mut table) = field.and_then(|field| field.table(findings)) else { return out };
    let mut keys: Vec<(String, Span)> = Vec::new();
    for field in table.names(findings) {
        out.names.push(field.key);
        if let Err(fault) = value::name(field.key) {
            let message = format!("{} {}", quoted(field.key), fault.what);
            findings.push(Problem::at(field.key_span.clone(), message).maybe_help(fault.help));
        } else if field.key == RESERVED {
            let problem = Problem::at(field.key_span.clone(), "`anonymous` is no name for a client");
            findings
                .push(problem.help("records call callers of routes without `clients` so; choose another"));
        }
        let Some(table) = field.table(findings) else { continue };
        out.list.push(client(&field, table, &mut keys, &mut out.certificates, findings));
    }
    out
}

fn client(
    field: &Field<'_>,
    mut table: Table<'_>,
    taken: &mut Vec<(String, Span)>,
    certificates: &mut Vec<Span>,
    findings: &mut Findings,
) -> Client {
    let mut conditions = Conditions::default();
    let problems = findings.problems.len();
    if let Some(field) = table.optional(findings, "from") {
        conditions.from = networks(&field, findings);
    }
    if let Some(field) = table.optional(findings, "unix-user") {
        conditions.unix_user = account(&field, findings);
    }
    if let Some(field) = table.optional(findings, "unix-group") {
        conditions.unix_group = account(&field, findings);
    }
    if let Some(field) = table.optional(findings, "certificate") {
        certificates.push(field.span());
        conditions.certificate = field.parsed(findings, subject);
    }
    if let Some(field) = table.optional(findings, "token") {
        conditions.tokens = tokens(&field, findings);
    }
    if let Some(field) = table.optional(findings, "keys") {
        conditions.keys = keys(&field, taken, findings);
    }
    let Conditions { from, unix_user, unix_group, certificate, tokens, keys } = &conditions;
    let anyone = from.is_empty() && unix_user.is_none() && unix_group.is_none();
    let anyone = anyone && certificate.is_none() && tokens.is_empty() && keys.is_empty();
    if anyone && findings.problems.len() == problems {
        let message = format!("client {} has no condition: anyone would be it", quoted(field.key));
        let problem = Problem::at(field.key_span.clone(), message);
        findings
            .push(problem.help("add `from`, `unix-user`, `unix-group`, `certificate`, `token` or `keys`"));
    }
    let rules = rules::rules(&mut table, None, findings);
    let quota = rules::quota(&mut table, findings);
    table.finish(findings);
    Client { name: field.key.to_owned(), conditions, rules, quota }
}

/// CIDR networks, or single addresses.
pub(super) fn networks(field: &Field<'_>, findings: &mut Findings) -> Vec<ipnet::IpNet> {
    let Some(elements) = field.elements(findings) else { return Vec::new() };
    if elements.is_empty() {
        let problem = field.problem(format!("`{}` names no network", field.path));
        findings.push(problem.help("write networks like `10.20.0.0/16`, or leave the key out"));
    }
    elements.iter().filter_map(|element| element.parsed(findings, value::network)).collect()
}

/// The name or number of a user or group.
fn account(field: &Field<'_>, findings: &mut Findings) -> Option<String> {
    if let Some(number) = field.as_integer() {
        findings.show(&field.span());
        let id = u32::try_from(number).map(|id| id.to_string());
        return field.accept(findings, id.map_err(|_| Fault::new("is not the number of an account")));
    }
    field.parsed(findings, |text| {
        let good = |c: char| c.is_ascii_graphic() && !matches!(c, ':' | '/' | ',');
        if text.is_empty() || text.len() > 256 || !text.chars().all(good) {
            return Err(Fault::new("is not the name of an account").help("a name like `ops`, or a number"));
        }
        Ok(text.to_owned())
    })
}

fn subject(text: &str) -> Result<String, Fault> {
    if text.is_empty() || text.chars().any(|c| c.is_control() || c == ' ') || text.contains('*') {
        let help = "the exact subject alternative name of one certificate, like `partner.example`";
        return Err(Fault::new("is not the name in a certificate").help(help));
    }
    Ok(text.to_owned())
}

fn tokens(field: &Field<'_>, findings: &mut Findings) -> Vec<crate::config::SecretRef> {
    if field.peek_table().is_some() || field.is_text() {
        return reference(field, findings).into_iter().collect();
    }
    let Some(elements) = field.elements(findings) else { return Vec::new() };
    if elements.is_empty() {
        findings.push(field.problem(format!("`{}` names no token", field.path)));
    }
    elements.iter().filter_map(|element| reference(element, findings)).collect()
}

fn keys(field: &Field<'_>, taken: &mut Vec<(String, Span)>, findings: &mut Findings) -> Vec<LocalKey> {
    let mut out = Vec::new();
    let Some(elements) = field.elements(findings) else { return out };
    let example = "write `keys = [{ access-key = \"LOCAL…\", secret-key = { file = \"/…\" } }]`; `countersign keys \
                   new NAME` makes one";
    if elements.is_empty() {
        findings.push(field.problem(format!("`{}` names no key", field.path)).help(example));
    }
    for element in elements {
        let Some(table) = element.table_or(findings, "a table with `access-key` and `secret-key`") else {
            continue;
        };
        let mut table = table.guarded();
        let id_field = table.required(findings, "access-key", example);
        let secret = table.required(findings, "secret-key", example);
        let id = id_field.as_ref().and_then(|field| field.guarded_parsed(findings, access_key));
        let secret_key = secret.and_then(|field| reference(&field, findings));
        table.finish(findings);
        if let (Some(field), Some(id)) = (&id_field, &id) {
            if let Some((_, first)) = taken.iter().find(|(known, _)| known == id) {
                let problem = field.problem("two local keys have the same `access-key`").label("again here");
                findings.push(
                    problem
                        .also(first.clone(), "first here")
                        .help("`countersign keys new NAME` makes another"),
                );
            }
            taken.push((id.clone(), field.span()));
        }
        out.extend(id.zip(secret_key).map(|(access_key, secret_key)| LocalKey { access_key, secret_key }));
    }
    out
}

/// An id goes into headers, queries and credential scopes of every scheme, and is written by hand.
fn access_key(text: &str) -> Result<String, Fault> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !(3..=128).contains(&text.len()) || !text.chars().all(good) {
        let help =
            "3 to 128 letters, digits, `-`, `_` and `.`; the secret belongs into `secret-key`, by reference";
        return Err(Fault::new("is not the id of a local key").help(help));
    }
    Ok(text.to_owned())
}

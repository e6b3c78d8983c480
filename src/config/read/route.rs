//! `[routes.*]`: what each matches, where it goes, how it is signed.

use crate::config::diagnostic::Problem;
use crate::config::table::{Field, Findings, Span, nearest, quoted};
use crate::config::value;
use crate::config::{HostMatch, Route, Shape};

use super::{rules, scheme, switch, upstream};

/// The routes of a file.
#[derive(Default)]
pub(super) struct Routes {
    pub(super) list: Vec<Route>,
    /// The name and place of each that admits anyone, good or bad.
    pub(super) open: Vec<(String, Span)>,
}

/// A route's condition and where it stands.
struct Match {
    host: HostMatch,
    path: String,
    span: Span,
}

pub(super) fn read(
    field: Option<Field<'_>>,
    credentials: &[&str],
    clients: &[&str],
    findings: &mut Findings,
) -> Routes {
    let mut out = Routes::default();
    let fields = match field {
        None => Vec::new(),
        Some(field) => match field.table(findings) {
            None => return out,
            Some(mut table) => table.names(findings),
        },
    };
    if fields.is_empty() {
        let problem = Problem::of_file("the file has no route");
        findings.push(problem.help("a route is a table `[routes.NAME]` with `match`, `upstream` and `sign`"));
    }
    let mut matches: Vec<(Match, &str)> = Vec::new();
    for field in fields {
        if field.peek_table().is_none_or(|table| table.remaining().iter().all(|inner| inner.key != "clients"))
        {
            out.open.push((field.key.to_owned(), field.key_span.clone()));
        }
        if let Err(fault) = value::name(field.key) {
            let message = format!("{} {}", quoted(field.key), fault.what);
            findings.push(Problem::at(field.key_span.clone(), message).maybe_help(fault.help));
        }
        let Some((condition, rest)) = route(&field, credentials, clients, findings) else { continue };
        if let Some(condition) = &condition {
            refuse_duplicate(condition, &matches, &field, findings);
        }
        if let (Some(condition), Some(rest)) = (&condition, rest) {
            out.list.push(Route { host: condition.host.clone(), path: condition.path.clone(), ..rest });
        }
        matches.extend(condition.map(|condition| (condition, field.key)));
    }
    out
}

/// What the route matches, and the route itself but for that; each absent only together with a problem.
fn route(
    field: &Field<'_>,
    credentials: &[&str],
    clients: &[&str],
    findings: &mut Findings,
) -> Option<(Option<Match>, Option<Route>)> {
    let mut table = field.table(findings)?;
    let help = "say which requests it takes: `match = { path = \"/client/api\" }`, or \
                `match = { path = \"/\" }` for all";
    let matched = table.required(findings, "match", help);
    let matched = matched.and_then(|field| read_match(&field, findings));
    let help = "say where requests go: `upstream = \"https://cloud.example\"`";
    let upstream = table.required(findings, "upstream", help);
    let upstream = upstream.and_then(|field| upstream::read(&field, findings));
    let help = format!(
        "say how requests are signed, with one of: {}",
        scheme::NAMES.map(|name| format!("sign.{name}")).join(", ")
    );
    let signing = table.required(findings, "sign", &help);
    let signing = signing.and_then(|field| scheme::read(&field, upstream.as_ref(), credentials, findings));
    let forward_headers = table.optional(findings, "forward-headers");
    let shape = signing.as_ref().map(|signing| &signing.shape);
    let forward_headers = forward_headers.map(|field| read_forward_headers(&field, shape, findings));
    let wait = switch::wait(&mut table, shape, findings);
    let hand_over = switch::hand_over(&mut table, shape, upstream.as_ref(), findings);
    let admitted = table.optional(findings, "clients").map(|field| read_clients(&field, clients, findings));
    let rules = rules::rules(&mut table, shape, findings);
    let quota = rules::quota(&mut table, findings);
    let secrets = rules::secrets(&mut table, findings);
    let redact = rules::redact(&mut table, secrets, findings);
    let policy = rules::policy(&mut table, findings);
    let refuse_replays = table.optional(findings, "refuse-replays").and_then(|field| field.boolean(findings));
    table.finish(findings);
    let route = upstream.zip(signing).map(|(read, signing)| Route {
        name: field.key.to_owned(),
        host: HostMatch::Any,
        path: String::new(),
        upstream: read.upstream,
        credential: signing.credential,
        scheme: signing.scheme,
        shape: signing.shape,
        forward_headers: forward_headers.unwrap_or_default(),
        wait,
        hand_over,
        clients: admitted,
        rules,
        quota,
        secrets,
        redact,
        policy,
        refuse_replays: refuse_replays.unwrap_or(false),
    });
    Some((matched, route))
}

/// The names of those who may use a route.
fn read_clients(field: &Field<'_>, clients: &[&str], findings: &mut Findings) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let Some(elements) = field.elements(findings) else { return out };
    if elements.is_empty() {
        let problem = field.problem(format!("`{}` admits nobody", field.path));
        findings.push(problem.help("name at least one client, or leave the key out to admit anyone"));
    }
    for element in elements {
        let Some(name) = element.guarded_text(findings) else { continue };
        if !clients.contains(&name) {
            undefined(&element, name, clients, findings);
        } else if out.iter().any(|known| known == name) {
            findings.push(element.problem(format!("`{}` names `{name}` twice", field.path)));
        } else {
            findings.show(&element.span());
            out.push(name.to_owned());
        }
    }
    out
}

/// A client that no table defines. Its name is quoted only when it nearly is one: somebody may put a token here.
fn undefined(element: &Field<'_>, name: &str, clients: &[&str], findings: &mut Findings) {
    let problem = if let Some(near) = nearest(name, clients.iter().copied()) {
        findings.show(&element.span());
        let problem = element.problem(format!("client {} is not defined", quoted(name)));
        problem.help(format!("did you mean `{near}`?"))
    } else {
        let problem = element.problem(format!("`{}` names a client that is not defined", element.path));
        problem.help(match clients {
            [] => "define `[clients.NAME]` and write its name here".to_owned(),
            all => format!("defined clients: {}", all.join(", ")),
        })
    };
    findings.push(problem.label("no such `[clients.*]` in this file"));
}

fn read_match(field: &Field<'_>, findings: &mut Findings) -> Option<Match> {
    let mut table = field.table_or(findings, "a table with `path`, `host` or both")?;
    let host = table.optional(findings, "host");
    let path = table.optional(findings, "path");
    let none = host.is_none() && path.is_none();
    let host = host.map(|field| field.parsed(findings, value::host_match));
    let path = path.map(|field| field.parsed(findings, value::path_prefix));
    if none && table.remaining().is_empty() {
        let problem = field.problem(format!("`{}` has neither `path` nor `host`", field.path));
        findings.push(problem.help("write `match = { path = \"/\" }` to take every request"));
    }
    table.finish(findings);
    if none {
        return None;
    }
    let host = host.unwrap_or(Some(HostMatch::Any))?;
    let path = path.unwrap_or(Some(String::new()))?;
    Some(Match { host, path, span: field.key_span.clone() })
}

fn refuse_duplicate(matched: &Match, earlier: &[(Match, &str)], field: &Field<'_>, findings: &mut Findings) {
    let same = |(first, _): &&(Match, &str)| first.host == matched.host && first.path == matched.path;
    if let Some((first, name)) = earlier.iter().find(same) {
        let message = format!("routes {} and {} match the same requests", quoted(name), quoted(field.key));
        let problem = Problem::at(matched.span.clone(), message).label("the same host and path again");
        let problem = problem.also(first.span.clone(), "first here");
        findings.push(problem.help("give one of them another host or a longer path"));
    }
}

/// Headers that make ZStack do more than the request says: call an address of the caller's choice when the job is
/// over, and name the job (`RestServer.handleNonUniqueApi`). Nothing else knows them.
const ZSTACK_JOB_HEADERS: [&str; 2] = ["x-web-hook", "x-job-uuid"];

fn read_forward_headers(field: &Field<'_>, shape: Option<&Shape>, findings: &mut Findings) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for element in field.elements(findings).unwrap_or_default() {
        let Some(name) = element.parsed(findings, value::forwardable) else { continue };
        let elsewhere = shape.is_some_and(|shape| *shape != Shape::Zstack);
        if elsewhere && ZSTACK_JOB_HEADERS.contains(&name.as_str()) {
            let problem = element.problem(format!("`{}` names `{name}`, a header of ZStack", field.path));
            findings.push(problem.help("remove it from the list"));
        } else if out.contains(&name) {
            findings.push(element.problem(format!("`{}` names `{name}` twice", field.path)));
        } else {
            out.push(name);
        }
    }
    out
}

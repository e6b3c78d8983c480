//! `[server]`: listeners, the admin listener, workers, limits.

use std::net::SocketAddr;
use std::time::Duration;

use crate::config::diagnostic::Problem;
use crate::config::table::{Field, Findings, Span, Table, quoted};
use crate::config::value;
use crate::config::{Address, ClientAddress, ClientAuth, Limits, Listener, ListenerTls, Server};

use super::client;
use super::route::Routes;

/// Where callers connect when the file does not say.
const DEFAULT_LISTEN: &str = "127.0.0.1:8480";
/// How long a drain takes at most when the file does not say.
const DEFAULT_DRAIN: Duration = Duration::from_secs(30);
/// Far more than any machine has cores.
const MAX_WORKERS: i64 = 1024;

/// What is shorter is a mistake of units.
const SHORTEST: Duration = Duration::from_millis(100);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// `[server]` as read, with the places of its listeners.
pub(super) struct Read {
    /// Absent only together with a problem.
    pub(super) server: Option<Server>,
    listeners: Vec<(Listener, Span)>,
}

pub(super) fn read(field: Option<Field<'_>>, findings: &mut Findings) -> Read {
    let mut out = Server {
        listen: Vec::new(),
        admin: None,
        workers: 0,
        drain: DEFAULT_DRAIN,
        spool_directory: None,
        limits: Limits::default(),
    };
    let mut listeners = Vec::new();
    if let Some(mut table) = field.and_then(|field| field.table(findings)) {
        if let Some(field) = table.optional(findings, "listen") {
            listeners = listen(&field, findings);
            refuse_duplicates(&listeners, findings);
        }
        if let Some(field) = table.optional(findings, "admin") {
            out.admin = admin(&field, &listeners, findings);
        }
        if let Some(field) = table.optional(findings, "workers") {
            let workers = field.integer(findings, 0..=MAX_WORKERS);
            out.workers = workers.and_then(|workers| workers.try_into().ok()).unwrap_or_default();
        }
        if let Some(field) = table.optional(findings, "drain") {
            let drain = field.duration(findings, Duration::ZERO..=HOUR);
            out.drain = drain.unwrap_or(DEFAULT_DRAIN);
        }
        if let Some(field) = table.optional(findings, "spool-directory") {
            out.spool_directory = field.parsed(findings, value::absolute);
        }
        if let Some(table) = table.optional(findings, "limits").and_then(|field| field.table(findings)) {
            limits(table, &mut out.limits, findings);
        }
        table.finish(findings);
    }
    out.listen = listeners.iter().map(|(listener, _)| listener.clone()).collect();
    if out.listen.is_empty() {
        // Either none was asked for, or what was asked for is a problem already.
        out.listen.extend(value::address(DEFAULT_LISTEN).ok().map(plain));
    }
    Read { server: Some(out), listeners }
}

fn plain(address: Address) -> Listener {
    let trusted_proxies = Vec::new();
    Listener { address, hosts: Vec::new(), tls: None, h2c: false, trusted_proxies, client_address: None }
}

fn listen(field: &Field<'_>, findings: &mut Findings) -> Vec<(Listener, Span)> {
    let Some(elements) = field.elements(findings) else { return Vec::new() };
    if elements.is_empty() {
        let problem = field.problem("`server.listen` names no listener");
        findings.push(problem.help(format!("leave it out for {DEFAULT_LISTEN}, or name at least one")));
    }
    elements.iter().filter_map(|element| listener(element, findings)).collect()
}

fn listener(element: &Field<'_>, findings: &mut Findings) -> Option<(Listener, Span)> {
    if element.is_text() {
        let address = element.parsed(findings, value::address)?;
        return Some((plain(address), element.span()));
    }
    let mut table = element.table_or(findings, "strings like \"127.0.0.1:8480\" or tables")?;
    let help = "write it like `address = \"127.0.0.1:8480\"`";
    let field = table.required(findings, "address", help);
    let place = field.as_ref().map_or(element.span(), Field::span);
    let address = field.and_then(|field| field.parsed(findings, value::address));
    let mut hosts = Vec::new();
    if let Some(elements) = table.optional(findings, "hosts").and_then(|field| field.elements(findings)) {
        for element in elements {
            hosts.extend(element.parsed(findings, value::host));
        }
    }
    let tls = table.optional(findings, "tls");
    let speaks_tls = tls.is_some();
    let tls = tls.and_then(|field| field.table(findings)).and_then(|table| listener_tls(table, findings));
    let h2c = table.optional(findings, "h2c").and_then(|field| {
        let h2c = field.boolean(findings)?;
        if h2c && speaks_tls {
            let problem = field.problem("`h2c` is for listeners without `tls`");
            findings.push(problem.help("over TLS, HTTP/2 is negotiated by itself; remove the key"));
        }
        Some(h2c)
    });
    let (trusted_proxies, client_address) = proxies(&mut table, address.as_ref(), findings);
    table.finish(findings);
    let h2c = h2c.unwrap_or(false);
    Some((Listener { address: address?, hosts, tls, h2c, trusted_proxies, client_address }, place))
}

/// `trusted-proxies` and `client-address`: one says whom to believe, the other what.
fn proxies(
    table: &mut Table<'_>,
    address: Option<&Address>,
    findings: &mut Findings,
) -> (Vec<ipnet::IpNet>, Option<ClientAddress>) {
    let trusted = table.optional(findings, "trusted-proxies");
    let told = table.optional(findings, "client-address");
    let words = [
        ("proxy-protocol", ClientAddress::ProxyProtocol),
        ("x-forwarded-for", ClientAddress::XForwardedFor),
        ("forwarded", ClientAddress::Forwarded),
    ];
    match (&trusted, &told) {
        (Some(field), None) => {
            let problem = field.problem(format!("`{}` needs `client-address`", field.path));
            let all = words.map(|(word, _)| word).join(", ");
            findings.push(problem.help(format!("say how they tell for whom they speak: {all}")));
        }
        (None, Some(field)) => {
            let problem = field.problem(format!("`{}` needs `trusted-proxies`", field.path));
            findings.push(problem.help("say whom to believe, like `trusted-proxies = [\"10.0.0.5\"]`"));
        }
        _ => {}
    }
    if let (Some(field), Some(Address::Unix(_))) = (&trusted, address) {
        let problem = field.problem(format!("`{}` is for TCP listeners", field.path));
        findings.push(problem.help("callers of a unix socket have no address; remove the key"));
    }
    let trusted = trusted.map(|field| client::networks(&field, findings)).unwrap_or_default();
    (trusted, told.and_then(|field| field.one_of(findings, &words)))
}

fn listener_tls(mut table: Table<'_>, findings: &mut Findings) -> Option<ListenerTls> {
    let help = "a PEM file by its absolute path";
    let certificate = table.required(findings, "certificate", help);
    let certificate = certificate.and_then(|field| field.parsed(findings, value::absolute));
    let key = table.required(findings, "key", help);
    let key = key.and_then(|field| field.guarded_parsed(findings, value::absolute));
    let client_ca = table.optional(findings, "client-ca");
    let has_client_ca = client_ca.is_some();
    let client_ca = client_ca.and_then(|field| field.parsed(findings, value::absolute));
    let mut with_ca = |key: &'static str, findings: &mut Findings| {
        let field = table.optional(findings, key)?;
        if !has_client_ca {
            let problem = field.problem(format!("`{}` needs `client-ca`", field.path));
            findings.push(problem.help("no certificate is asked of callers without it; remove the key"));
        }
        Some(field)
    };
    let client_crl = with_ca("client-crl", findings);
    let client_crl = client_crl.and_then(|field| field.parsed(findings, value::absolute));
    let words = [("required", ClientAuth::Required), ("optional", ClientAuth::Optional)];
    let client_auth = with_ca("client-auth", findings);
    let client_auth = client_auth.and_then(|field| field.one_of(findings, &words)).unwrap_or_default();
    table.finish(findings);
    Some(ListenerTls { certificate: certificate?, key: key?, client_ca, client_crl, client_auth })
}

/// Port 0 asks the system for a free port, so two of them are two.
fn is_same(one: &Address, other: &Address) -> bool {
    one == other && !matches!(one, Address::Tcp(address) if address.port() == 0)
}

fn refuse_duplicates(listeners: &[(Listener, Span)], findings: &mut Findings) {
    for (index, (listener, span)) in listeners.iter().enumerate() {
        let first = listeners[..index].iter().find(|(first, _)| is_same(&first.address, &listener.address));
        if let Some((_, first)) = first {
            let problem = Problem::at(span.clone(), "two listeners have the same address");
            findings.push(problem.label("again here").also(first.clone(), "first here"));
        }
    }
}

fn admin(field: &Field<'_>, listeners: &[(Listener, Span)], findings: &mut Findings) -> Option<SocketAddr> {
    let address = field.parsed(findings, value::socket_address)?;
    if !value::is_loopback(address.ip()) {
        let problem = field.problem("`server.admin` must be a loopback address");
        findings.push(problem.help("whoever reaches it reads status and metrics; use `127.0.0.1:8481`"));
    }
    let same = listeners.iter().find(|(listener, _)| is_same(&listener.address, &Address::Tcp(address)));
    if let Some((_, span)) = same {
        let problem =
            field.problem("`server.admin` is a data listener too").also(span.clone(), "the same address");
        findings.push(problem.help("give the admin listener a port of its own"));
    }
    Some(address)
}

fn limits(mut table: Table<'_>, out: &mut Limits, findings: &mut Findings) {
    // The lowest head is what tools send; the highest target is what `http::Uri` holds.
    bytes(&mut table, findings, "head", 8 << 10, 1 << 20, |bytes| out.head = bytes);
    count(&mut table, findings, "headers", 8, 1_000, |count| out.headers = count);
    bytes(&mut table, findings, "target", 256, 65_534, |bytes| out.target = bytes);
    bytes(&mut table, findings, "form", 1 << 10, 64 << 20, |bytes| out.form = bytes);
    bytes(&mut table, findings, "body", 1 << 10, 5 << 40, |bytes| out.body = bytes);
    bytes(&mut table, findings, "memory", 0, 1 << 40, |bytes| out.memory = bytes);
    bytes(&mut table, findings, "spool", 0, 1 << 50, |bytes| out.spool = bytes);
    count(&mut table, findings, "parameters", 1, 100_000, |count| out.parameters = count);
    count(&mut table, findings, "connections", 1, 1_000_000, |count| out.connections = count);
    time(&mut table, findings, "header-timeout", 10 * MINUTE, &mut out.header_timeout);
    time(&mut table, findings, "idle-timeout", HOUR, &mut out.idle_timeout);
    time(&mut table, findings, "body-timeout", HOUR, &mut out.body_timeout);
    time(&mut table, findings, "handshake-timeout", MINUTE, &mut out.handshake_timeout);
    time(&mut table, findings, "connect-timeout", MINUTE, &mut out.connect_timeout);
    time(&mut table, findings, "response-timeout", HOUR, &mut out.response_timeout);
    table.finish(findings);
}

fn bytes<T: TryFrom<u64>>(
    table: &mut Table<'_>,
    findings: &mut Findings,
    key: &'static str,
    low: u64,
    high: u64,
    set: impl FnOnce(T),
) {
    let Some(field) = table.optional(findings, key) else { return };
    let Some(size) = field.size(findings) else { return };
    if size < low || size > high {
        findings.push(field.problem(format!("`{}` must be from {low} to {high} bytes", field.path)));
    } else if let Ok(size) = T::try_from(size) {
        set(size);
    }
}

fn count(
    table: &mut Table<'_>,
    findings: &mut Findings,
    key: &'static str,
    low: i64,
    high: i64,
    set: impl FnOnce(usize),
) {
    let count = table.optional(findings, key).and_then(|field| field.integer(findings, low..=high));
    if let Some(count) = count.and_then(|count| usize::try_from(count).ok()) {
        set(count);
    }
}

fn time(
    table: &mut Table<'_>,
    findings: &mut Findings,
    key: &'static str,
    high: Duration,
    out: &mut Duration,
) {
    let time = table.optional(findings, key);
    if let Some(time) = time.and_then(|field| field.duration(findings, SHORTEST..=high)) {
        *out = time;
    }
}

/// Whoever can reach a listener can have requests signed, unless routes say who may; only this machine's own
/// processes are trusted without that.
pub(super) fn refuse_open_listeners(read: &Read, routes: &Routes, findings: &mut Findings) {
    let Some((name, span)) = routes.open.first() else { return };
    for (listener, place) in &read.listeners {
        let Address::Tcp(address) = &listener.address else { continue };
        if value::is_loopback(address.ip()) {
            continue;
        }
        let message =
            format!("other machines can reach this listener, and route {} admits anyone", quoted(name));
        let problem = Problem::at(place.clone(), message).label("not a loopback address");
        let problem = problem.also(span.clone(), "this route does not say who may use it");
        let help = "say who may use the route (`clients = [\"…\"]`), or listen on a loopback address or a unix socket";
        findings.push(problem.help(help));
    }
}

/// A certificate that no listener asks for proves nothing to anyone.
pub(super) fn refuse_unasked_certificates(
    read: &Read,
    clients: &client::Clients<'_>,
    findings: &mut Findings,
) {
    let asks =
        |(listener, _): &(Listener, Span)| listener.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
    if read.listeners.iter().any(asks) {
        return;
    }
    for place in &clients.certificates {
        let problem = Problem::at(place.clone(), "no listener asks callers for a certificate");
        let help = "give a listener `tls = { …, client-ca = \"/…\" }`";
        findings.push(problem.label("nobody can be this client").help(help));
    }
}

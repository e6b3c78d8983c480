//! `countersign check`: reads the configuration and resolves every credential and key with the very code of `serve`,
//! and says all that is wrong. Opens no socket, sends nothing, prints no secret.

mod record;

use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal, Write as _};
use std::path::Path;
use std::process::ExitCode;

use serde_json::json;

use crate::config::{self, Config, Credential, CredentialSource, HostMatch, Problems, Route, Shape, Style};
use crate::credentials::{self, ClientSecrets, CredentialError, Resolved};
use crate::identify::Clients;
use crate::sign::Scheme;

use record::Record;

/// The exit code for a configuration that cannot be used.
const BAD_CONFIG: u8 = 2;

/// How the result is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people: problems as a compiler prints them on standard error, a summary on standard output.
    Text,
    /// For programs: one JSON object on standard output.
    Json,
}

/// What a check has found, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Whether `serve` would start with every route usable.
    pub good: bool,
    /// For standard output.
    pub out: String,
    /// For standard error.
    pub err: String,
}

/// Checks a file, prints the report, and gives the exit code: 0 when all is good, 2 otherwise.
pub fn run(file: &Path, format: Format) -> ExitCode {
    let report = examine(file, format, style(&io::stderr()));
    let good = if report.good { ExitCode::SUCCESS } else { ExitCode::from(BAD_CONFIG) };
    // Whoever closed the pipe has read enough; the verdict is in the exit code.
    let _ = io::stderr().lock().write_all(report.err.as_bytes());
    let mut out = io::stdout().lock();
    let _ = out.write_all(report.out.as_bytes()).and_then(|()| out.flush());
    good
}

/// Colours on a terminal, unless `NO_COLOR` (no-color.org) or a dumb terminal speak against it.
pub fn style(stream: &impl IsTerminal) -> Style {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    if stream.is_terminal() && !set("NO_COLOR") && !dumb { Style::Coloured } else { Style::Plain }
}

/// Checks a file and writes nothing.
pub fn examine(file: &Path, format: Format, style: Style) -> Report {
    match (config::load(file), format) {
        (Err(problems), Format::Text) => {
            Report { good: false, out: String::new(), err: problems_text(&problems, style) }
        }
        (Err(problems), Format::Json) => {
            let object = json!({ "ok": false, "problems": problems.to_json() });
            Report { good: false, out: format!("{object:#}\n"), err: String::new() }
        }
        (Ok(config), format) => {
            let resolved: Vec<_> = config.credentials.iter().map(|c| (c, credentials::resolve(c))).collect();
            let secrets = ClientSecrets::resolve(&config.clients);
            let clients = ClientFindings::of(&config, &secrets);
            let record = Record::of(&config.audit);
            let checked = Checked { file, config: &config, resolved: &resolved, clients, record };
            match format {
                Format::Text => checked.text(),
                Format::Json => checked.json(),
            }
        }
    }
}

fn problems_text(problems: &Problems, style: Style) -> String {
    let count = problems.iter().count();
    let s = if count == 1 { "" } else { "s" };
    format!("{}{}: {count} problem{s}\n", problems.render(style), problems.file())
}

/// A configuration whose file is sound.
struct Checked<'a> {
    file: &'a Path,
    config: &'a Config,
    resolved: &'a [(&'a Credential, Result<Resolved, CredentialError>)],
    clients: ClientFindings,
    record: Record<'a>,
}

impl Checked<'_> {
    fn failures(&self) -> impl Iterator<Item = &CredentialError> {
        self.resolved.iter().filter_map(|(_, outcome)| outcome.as_ref().err())
    }

    fn warnings(&self) -> Vec<String> {
        let mut all = warnings(self.config);
        all.extend(self.clients.warnings.iter().cloned());
        all.extend(self.record.warnings());
        all
    }

    fn is_good(&self) -> bool {
        self.failures().next().is_none()
            && self.clients.errors.is_empty()
            && self.record.errors().next().is_none()
    }

    fn text(&self) -> Report {
        let mut out = String::new();
        let mut err = String::new();
        // Writing to a String cannot fail.
        let _ = self.summary(&mut out);
        let _ = self.complaints(&mut err);
        Report { good: self.is_good(), out, err }
    }

    fn summary(&self, out: &mut String) -> fmt::Result {
        write!(out, "{}: valid", self.file.display())?;
        match self.failures().count() {
            0 if !self.clients.errors.is_empty() => writeln!(out, ", but not every client can be proved")?,
            0 if !self.is_good() => writeln!(out, ", but calls cannot be recorded")?,
            0 => writeln!(out)?,
            1 => writeln!(out, ", but a credential cannot be resolved")?,
            count => writeln!(out, ", but {count} credentials cannot be resolved")?,
        }
        writeln!(out, "listeners")?;
        for listener in &self.config.server.listen {
            let tls = match &listener.tls {
                None if listener.h2c => " (cleartext HTTP/2)",
                None => "",
                Some(tls) if tls.client_ca.is_some() => " (TLS, client certificates)",
                Some(_) => " (TLS)",
            };
            writeln!(out, "  {}{tls}", listener.address)?;
        }
        if let Some(admin) = self.config.server.admin {
            writeln!(out, "  {admin} (admin)")?;
        }
        writeln!(out, "routes")?;
        for route in &self.config.routes {
            let (name, scheme, to) = (&route.name, scheme(route), upstream(route));
            let admits = route.clients.as_ref().map(|clients| format!(", clients {}", clients.join(", ")));
            let (matched, credential) = (matched(route), &route.credential);
            writeln!(
                out,
                "  {name}: {matched} -> {to}, {scheme}, credential {credential}{}",
                admits.unwrap_or_default()
            )?;
        }
        if !self.resolved.is_empty() {
            writeln!(out, "credentials")?;
        }
        for (credential, outcome) in self.resolved {
            let state = match outcome {
                Ok(Resolved { expires: Some(expires), .. }) => format!("resolved, until {expires}"),
                Ok(Resolved { expires: None, .. }) => "resolved".to_owned(),
                Err(_) => "NOT RESOLVED".to_owned(),
            };
            writeln!(out, "  {}: {state} ({})", credential.name, sources(credential))?;
        }
        self.record.summary(out)
    }

    fn complaints(&self, err: &mut String) -> fmt::Result {
        for failure in self.failures() {
            writeln!(err, "error: {failure}")?;
        }
        for (_, problem) in &self.clients.errors {
            writeln!(err, "error: {problem}")?;
        }
        for problem in self.record.errors() {
            writeln!(err, "error: {problem}")?;
        }
        for warning in self.warnings() {
            writeln!(err, "warning: {warning}")?;
        }
        Ok(())
    }

    fn json(&self) -> Report {
        let good = self.is_good();
        let credentials = self.resolved.iter().map(|(credential, outcome)| {
            let expires = outcome.as_ref().ok().and_then(|resolved| resolved.expires);
            json!({
                "name": credential.name,
                "source": sources(credential),
                "resolved": outcome.is_ok(),
                "expires": expires.map(|expires| expires.to_string()),
            })
        });
        let routes = self.config.routes.iter().map(|route| {
            json!({
                "name": route.name,
                "match": matched(route),
                "upstream": upstream(route),
                "scheme": scheme(route),
                "credential": route.credential,
                "clients": route.clients,
            })
        });
        let problems = self.failures().map(|failure| {
            json!({
                "message": format!("credential `{}`: {}", failure.credential, failure.problem),
                "credential": failure.credential,
                "part": failure.part,
                "source": failure.source,
                "help": failure.help,
            })
        });
        let unprovable = self
            .clients
            .errors
            .iter()
            .map(|(client, problem)| json!({ "message": problem, "client": client }));
        let unrecorded = self.record.errors().map(|problem| json!({ "message": problem }));
        let listeners = self.config.server.listen.iter().map(|listener| listener.address.to_string());
        let object = json!({
            "ok": good,
            "problems": problems.chain(unprovable).chain(unrecorded).collect::<Vec<_>>(),
            "warnings": self.warnings(),
            "listeners": listeners.collect::<Vec<_>>(),
            "admin": self.config.server.admin.map(|admin| admin.to_string()),
            "routes": routes.collect::<Vec<_>>(),
            "credentials": credentials.collect::<Vec<_>>(),
            "record": self.record.json(),
        });
        Report { good, out: format!("{object:#}\n"), err: String::new() }
    }
}

/// What is wrong with clients, and what works and should still be known.
struct ClientFindings {
    /// The client, where it is one, and the whole sentence.
    errors: Vec<(Option<String>, String)>,
    warnings: Vec<String>,
}

impl ClientFindings {
    fn of(config: &Config, secrets: &ClientSecrets) -> Self {
        let mut errors: Vec<_> =
            secrets.faults().map(|fault| (Some(fault.client.clone()), fault.to_string())).collect();
        let mut warnings = Vec::new();
        match Clients::new(config, secrets) {
            Ok(clients) => {
                warnings.extend(clients.unprovable().map(|(name, why)| format!("client `{name}`: {why}")));
            }
            Err(problem) => errors.push((None, problem.to_string())),
        }
        Self { errors, warnings }
    }
}

/// `host/path` as the route matches it.
fn matched(route: &Route) -> String {
    let host = match &route.host {
        HostMatch::Any => "",
        HostMatch::Exact(host) => host,
        HostMatch::Suffix(suffix) => &format!("*.{suffix}"),
    };
    format!("{host}{}", if route.path.is_empty() { "/" } else { &route.path })
}

fn upstream(route: &Route) -> String {
    let upstream = &route.upstream;
    let scheme = if upstream.tls { "https" } else { "http" };
    let host = &upstream.connect_host;
    let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
    let plain = upstream.connect_port == if upstream.tls { 443 } else { 80 };
    let port = if plain { String::new() } else { format!(":{}", upstream.connect_port) };
    let mut text = format!("{scheme}://{host}{port}");
    if upstream.host != format!("{host}{port}") {
        let _ = write!(text, " (Host {})", upstream.host);
    }
    text
}

fn scheme(route: &Route) -> &'static str {
    match (&route.shape, &route.scheme) {
        (Shape::Cloudstack { .. }, _) => "cloudstack",
        (Shape::Zstack, _) => "zstack",
        (Shape::S3 { .. }, Scheme::S3V2(_)) => "s3-v2",
        (Shape::S3 { .. }, _) => "s3-v4",
        (Shape::Aws, _) => "aws-v4",
    }
}

/// Where a credential comes from, each kind once.
fn sources(credential: &Credential) -> String {
    let CredentialSource::Parts { access_key, secret_key, session_token } = &credential.source else {
        return "aws-profile".to_owned();
    };
    let mut kinds: Vec<_> = [Some(access_key), Some(secret_key), session_token.as_ref()]
        .into_iter()
        .flatten()
        .map(credentials::kind)
        .collect();
    kinds.dedup();
    kinds.join(", ")
}

/// What works and should still be known.
fn warnings(config: &Config) -> Vec<String> {
    let mut out = Vec::new();
    for credential in &config.credentials {
        let name = &credential.name;
        if sources(credential).contains("env") {
            out.push(format!(
                "credential `{name}` comes from the environment, which other processes of the same user can read"
            ));
        }
        if let CredentialSource::Parts { access_key, secret_key, session_token } = &credential.source {
            let all = [Some(access_key), Some(secret_key), session_token.as_ref()];
            let open = |reference: &config::SecretRef| {
                matches!(reference, config::SecretRef::File { allow_open_mode: true, .. })
            };
            if all.into_iter().flatten().any(open) {
                out.push(format!(
                    "credential `{name}` may lie in a file that others on this machine can read"
                ));
            }
        }
        if !config.routes.iter().any(|route| route.credential == *name) {
            out.push(format!("credential `{name}` is used by no route"));
        }
    }
    for route in &config.routes {
        let upstream = &route.upstream;
        let local = upstream.connect_host == "localhost"
            || upstream
                .connect_host
                .parse::<std::net::IpAddr>()
                .is_ok_and(|ip| ip.to_canonical().is_loopback());
        if !upstream.tls && !local {
            out.push(format!("route `{}` sends signed requests over plain http", route.name));
        }
    }
    out
}

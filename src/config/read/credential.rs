//! `[credentials.*]`: where keys come from, by reference only.
//!
//! Here a mistake is most likely to *be* a secret: nothing of these tables but known keys is ever quoted.

use crate::config::diagnostic::Problem;
use crate::config::table::{Field, Findings, Table, quoted};
use crate::config::value::{self, Fault};
use crate::config::{Credential, CredentialSource, SecretRef};

const REFERENCE: &str = "secrets are not written here; use { env = \"…\" }, { file = \"/…\" }, { systemd = \"…\" } or { exec = [\"…\"] }";

/// The credentials of a file.
#[derive(Default)]
pub(super) struct Credentials<'d> {
    pub(super) list: Vec<Credential>,
    /// The names of all, good or bad: a bad one is defined nevertheless.
    pub(super) names: Vec<&'d str>,
}

pub(super) fn read<'d>(field: Option<Field<'d>>, findings: &mut Findings) -> Credentials<'d> {
    let mut out = Credentials::default();
    let Some(mut table) = field.and_then(|field| field.table(findings)) else { return out };
    for field in table.names(findings) {
        out.names.push(field.key);
        if let Err(fault) = value::name(field.key) {
            let message = format!("{} {}", quoted(field.key), fault.what);
            findings.push(Problem::at(field.key_span.clone(), message).maybe_help(fault.help));
        }
        let source = field.table(findings).and_then(|table| source(table.guarded(), findings));
        if let Some(source) = source {
            out.list.push(Credential { name: field.key.to_owned(), source });
        }
    }
    out
}

fn source(mut table: Table<'_>, findings: &mut Findings) -> Option<CredentialSource> {
    let source = match table.optional(findings, "aws-profile") {
        Some(profile) => aws_profile(&mut table, &profile, findings),
        None => parts(&mut table, findings),
    };
    table.finish(findings);
    source
}

fn aws_profile(
    table: &mut Table<'_>,
    profile: &Field<'_>,
    findings: &mut Findings,
) -> Option<CredentialSource> {
    for key in ["access-key", "secret-key", "session-token"] {
        if let Some(field) = table.optional(findings, key) {
            let message = format!("`{}` stands beside `aws-profile`", field.path);
            let problem = Problem::at(field.key_span.clone(), message);
            findings.push(problem.help("a profile is a whole credential; remove one of the two"));
        }
    }
    let name = profile.guarded_text(findings)?;
    let usable = !name.is_empty() && name.len() <= 128 && !name.contains(['[', ']', '\\']);
    let usable = usable && !name.chars().any(char::is_control);
    let outcome = usable.then(|| name.to_owned()).ok_or_else(|| Fault::new("is not the name of a profile"));
    profile.accept(findings, outcome).map(CredentialSource::AwsProfile)
}

fn parts(table: &mut Table<'_>, findings: &mut Findings) -> Option<CredentialSource> {
    let access_key = table.required(findings, "access-key", REFERENCE);
    let secret_key = table.required(findings, "secret-key", REFERENCE);
    let session_token = table.optional(findings, "session-token");
    let access_key = access_key.and_then(|field| reference(&field, findings));
    let secret_key = secret_key.and_then(|field| reference(&field, findings));
    let session_token = session_token.map(|field| reference(&field, findings));
    Some(CredentialSource::Parts {
        access_key: access_key?,
        secret_key: secret_key?,
        session_token: match session_token {
            Some(token) => Some(token?),
            None => None,
        },
    })
}

/// A reference to a secret, never the secret.
pub(super) fn reference(field: &Field<'_>, findings: &mut Findings) -> Option<SecretRef> {
    let Some(mut table) = field.peek_table() else {
        let message = format!("`{}` must be a reference, not a value", field.path);
        findings.push(field.problem(message).label("not quoted: it may be a secret").help(REFERENCE));
        return None;
    };
    let env = table.optional(findings, "env");
    let file = table.optional(findings, "file");
    let systemd = table.optional(findings, "systemd");
    let exec = table.optional(findings, "exec");
    let open_mode = table.optional(findings, "allow-open-mode");
    let given = [&env, &file, &systemd, &exec].into_iter().flatten().count();
    if given != 1 {
        let what = if given == 0 { "names no source" } else { "names more than one source" };
        let problem = Problem::at(field.key_span.clone(), format!("`{}` {what}", field.path));
        findings.push(problem.help(REFERENCE));
    }
    if let (Some(open_mode), None) = (&open_mode, &file) {
        let message = format!("`{}` belongs to `file` only", open_mode.path);
        findings.push(Problem::at(open_mode.key_span.clone(), message));
    }
    let allow_open_mode = open_mode.and_then(|field| field.boolean(findings)).unwrap_or(false);
    let env = env.and_then(|field| field.guarded_parsed(findings, env_name)).map(SecretRef::Env);
    let file = file.and_then(|field| field.guarded_parsed(findings, value::absolute));
    let file = file.map(|path| SecretRef::File { path, allow_open_mode });
    let systemd = systemd.and_then(|field| field.guarded_parsed(findings, systemd_name));
    let exec = exec.and_then(|field| argv(&field, findings)).map(SecretRef::Exec);
    table.finish(findings);
    if given == 1 { env.or(file).or(systemd.map(SecretRef::Systemd)).or(exec) } else { None }
}

fn env_name(text: &str) -> Result<String, Fault> {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if text.is_empty() || text.starts_with(|c: char| c.is_ascii_digit()) || !text.chars().all(good) {
        let help = "this is the variable's name, not its value: letters, digits and `_`";
        return Err(Fault::new("is not the name of an environment variable").help(help));
    }
    Ok(text.to_owned())
}

/// A credential id of systemd.exec(5): a file name.
fn systemd_name(text: &str) -> Result<String, Fault> {
    let good = |c: char| c.is_ascii_graphic() && c != '/' && c != ':';
    if text.is_empty() || text.len() > 255 || matches!(text, "." | "..") || !text.chars().all(good) {
        let help = "this is the name given to `LoadCredential=`, without `/`";
        return Err(Fault::new("is not the name of a systemd credential").help(help));
    }
    Ok(text.to_owned())
}

fn argv(field: &Field<'_>, findings: &mut Findings) -> Option<Vec<String>> {
    if field.is_text() {
        field.wrong_type(findings, "an array: the program and its arguments, without a shell");
        return None;
    }
    let elements = field.elements(findings)?;
    let mut argv = Vec::with_capacity(elements.len());
    for element in &elements {
        argv.push(element.guarded_parsed(findings, |text| {
            if text.contains('\0') { Err(Fault::new("holds a NUL byte")) } else { Ok(text.to_owned()) }
        })?);
    }
    if argv.first().is_none_or(String::is_empty) {
        findings.push(field.problem(format!("`{}` names no program", field.path)));
        return None;
    }
    Some(argv)
}

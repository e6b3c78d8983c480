//! Credentials, resolved: from the references of the configuration to keys in memory.
//!
//! One file per source. Blocking: call it from a control thread, never from a worker. A value goes into a
//! [`Secret`] and nowhere else; no error here can carry one, because errors are made of names and fixed words.

mod aws_profile;
mod env;
mod exec;
mod file;
mod local;
mod record_key;
mod systemd;

pub use local::{ClientSecretError, ClientSecrets, Held};
pub use record_key::{RecordKeyError, record_key};

use std::ffi::OsString;
use std::fmt;

use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::config::{Credential, CredentialSource, SecretRef};
use crate::secret::{Key, Secret};

/// The most bytes of one value, whatever its source.
const MAX_VALUE: usize = 64 << 10;

/// A key, and until when it can be used.
pub struct Resolved {
    /// The key itself.
    pub key: Key,
    /// When a temporary credential ends; it must be resolved again before.
    pub expires: Option<Timestamp>,
}

/// Why a credential cannot be used. Holds names and what is wrong; never a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialError {
    /// The name of the credential.
    pub credential: String,
    /// `access-key`, `secret-key` or `session-token`; absent when the source gives all of them at once.
    pub part: Option<&'static str>,
    /// The source, as the configuration names its kind: `env`, `file`, `systemd`, `exec`, `aws-profile`.
    pub source: &'static str,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub help: String,
}

impl fmt::Display for CredentialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "credential `{}`", self.credential)?;
        if let Some(part) = self.part {
            write!(f, ", `{part}`")?;
        }
        write!(f, ", from {}: {}; {}", self.source, self.problem, self.help)
    }
}

impl std::error::Error for CredentialError {}

/// What one source has to say about a failure.
struct Failure {
    problem: String,
    help: String,
}

impl Failure {
    fn new(problem: impl Into<String>, help: impl Into<String>) -> Self {
        Self { problem: problem.into(), help: help.into() }
    }
}

/// Bytes on their way to becoming a [`Secret`]; wiped wherever they end.
type Bytes = Zeroizing<Vec<u8>>;

/// The environment, as a function, so that tests can bring their own.
type Environment<'e> = &'e dyn Fn(&str) -> Option<OsString>;

/// Resolves a credential from the process's environment, files and programs.
///
/// # Errors
/// The first part that cannot be had, with its source and what to do.
pub fn resolve(credential: &Credential) -> Result<Resolved, CredentialError> {
    resolve_in(credential, &|name| std::env::var_os(name))
}

/// As [`resolve`], in an environment given by the caller.
///
/// # Errors
/// As [`resolve`].
pub fn resolve_in(
    credential: &Credential,
    environment: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Resolved, CredentialError> {
    let (access_key, secret_key, session_token) = match &credential.source {
        CredentialSource::Parts { access_key, secret_key, session_token } => {
            (access_key, secret_key, session_token.as_ref())
        }
        CredentialSource::AwsProfile(profile) => {
            return aws_profile::resolve(profile, environment)
                .map_err(|failure| blame(credential, None, "aws-profile", failure));
        }
    };
    let part = |name: &'static str, reference: &SecretRef| {
        read(reference, environment)
            .and_then(|bytes| clean(bytes, name))
            .map_err(|failure| blame(credential, Some(name), kind(reference), failure))
    };
    let id = part("access-key", access_key)?;
    let id = text(id).map_err(|failure| blame(credential, Some("access-key"), kind(access_key), failure))?;
    let secret = Secret::new(take(part("secret-key", secret_key)?));
    let session_token = session_token.map(|reference| part("session-token", reference)).transpose()?;
    let session_token = session_token.map(|bytes| Secret::new(take(bytes)));
    Ok(Resolved { key: Key { id, secret, session_token }, expires: None })
}

fn blame(
    credential: &Credential,
    part: Option<&'static str>,
    source: &'static str,
    failure: Failure,
) -> CredentialError {
    let Failure { problem, help } = failure;
    CredentialError { credential: credential.name.clone(), part, source, problem, help }
}

/// The word of the configuration for a reference.
pub fn kind(reference: &SecretRef) -> &'static str {
    match reference {
        SecretRef::Env(_) => "env",
        SecretRef::File { .. } => "file",
        SecretRef::Systemd(_) => "systemd",
        SecretRef::Exec(_) => "exec",
    }
}

fn read(reference: &SecretRef, environment: Environment<'_>) -> Result<Bytes, Failure> {
    match reference {
        SecretRef::Env(name) => env::read(name, environment),
        SecretRef::File { path, allow_open_mode } => file::read_private(path, *allow_open_mode),
        SecretRef::Systemd(name) => systemd::read(name, environment),
        SecretRef::Exec(argv) => exec::read(argv),
    }
}

/// Takes one trailing newline off, as editors and `echo` leave it there. One only: what remains is a mistake
/// that [`clean`] reports.
fn without_newline(mut bytes: Bytes) -> Bytes {
    if bytes.ends_with(b"\n") {
        bytes.pop();
        if bytes.ends_with(b"\r") {
            bytes.pop();
        }
    }
    bytes
}

/// Refuses what no cloud issues as a key and what would break a header or a string to sign.
fn clean(bytes: Bytes, part: &str) -> Result<Bytes, Failure> {
    if bytes.is_empty() {
        return Err(Failure::new("the value is empty", format!("put the {part} there")));
    }
    if bytes.starts_with(b"\xef\xbb\xbf") {
        let help = "save it as UTF-8 without a BOM";
        return Err(Failure::new("the value begins with a UTF-8 byte order mark", help));
    }
    if bytes.iter().any(u8::is_ascii_control) {
        let help = format!("it must hold the {part} alone, on one line; one trailing newline is taken off");
        return Err(Failure::new(
            "the value holds a control character, such as a second newline or a tab",
            help,
        ));
    }
    if bytes.starts_with(b" ") || bytes.ends_with(b" ") {
        let help = format!("it must hold the {part} alone, without blanks or quotes around it");
        return Err(Failure::new("the value begins or ends with a blank", help));
    }
    Ok(bytes)
}

/// An access key id: it goes into headers and queries, where only visible ASCII can stand.
fn text(bytes: Bytes) -> Result<String, Failure> {
    if bytes.iter().all(u8::is_ascii_graphic) {
        // Wiping needs the text to have one owner only, so the bytes move.
        if let Ok(id) = String::from_utf8(take(bytes)) {
            return Ok(id);
        }
    }
    let help = "access key ids are visible ASCII; is this another part of the credential?";
    Err(Failure::new("the value is not an access key id", help))
}

/// The vector itself, without a copy; what remains behind is empty.
fn take(mut bytes: Bytes) -> Vec<u8> {
    std::mem::take(&mut *bytes)
}

/// A key from texts that a file or program gave together.
fn key(id: &str, secret: &str, session_token: Option<&str>) -> Result<Key, Failure> {
    let part = |value: &str, name: &str| {
        clean(Zeroizing::new(value.as_bytes().to_vec()), name)
            .map_err(|failure| Failure::new(format!("the {name}: {}", failure.problem), failure.help))
    };
    let id = text(part(id, "access key id")?)?;
    let secret = Secret::new(take(part(secret, "secret access key")?));
    let session_token = session_token.map(|token| part(token, "session token")).transpose()?;
    Ok(Key { id, secret, session_token: session_token.map(|bytes| Secret::new(take(bytes))) })
}

/// Whether a reference's own name may stand in a message. Somebody may have written the secret where its name
/// belongs, and generated secrets mix the cases of letters, which names of variables and files do not.
fn is_telling(name: &str) -> bool {
    let upper = name.bytes().any(|b| b.is_ascii_uppercase());
    let lower = name.bytes().any(|b| b.is_ascii_lowercase());
    name.len() <= 64 && upper != lower
}

/// Reads into a buffer that never grows, so that no copy of a value stays behind in freed memory. It is wiped when it is
/// dropped; what is given back takes as much memory as the value is long.
fn read_all(from: &mut dyn std::io::Read) -> std::io::Result<Option<Bytes>> {
    let mut bytes = Zeroizing::new(vec![0; MAX_VALUE + 1]);
    let mut len = 0;
    loop {
        match from.read(&mut bytes[len..]) {
            Ok(0) => break,
            Ok(more) => len += more,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if len > MAX_VALUE {
            return Ok(None);
        }
    }
    Ok(Some(Zeroizing::new(bytes[..len].to_vec())))
}

#[cfg(test)]
mod tests;

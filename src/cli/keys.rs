//! `countersign keys`: local keys, which work only here. `new` makes one, `list` says which there are.
//!
//! A secret is shown once, when it is made, and kept in a file of its owner's; it is never read back to anybody.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;
use zeroize::Zeroizing;

use super::{BAD_CONFIG, ConfigFile, FAILED, LogFormat, NO, output};
use crate::config;
use crate::credentials::ClientSecrets;

/// What local access keys begin with, so that nobody takes one for a cloud's.
const PREFIX: &str = "CS";
/// Characters of an access key after [`PREFIX`].
const ID: usize = 18;
/// Characters of a secret: as many as Amazon's have.
const SECRET: usize = 40;

const UPPER: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const ALPHANUMERIC: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

#[derive(clap::Subcommand)]
pub(super) enum Arguments {
    /// Make a local key for a client: print it once, keep its secret in a private file.
    New {
        /// The client that it is for.
        name: String,
        /// Where the secret is kept; by default beside the configuration.
        #[arg(long, value_name = "DIR")]
        directory: Option<PathBuf>,
        /// The configuration file, beside which the secret is kept.
        #[arg(long, value_name = "FILE", env = "COUNTERSIGN_CONFIG")]
        config: Option<PathBuf>,
        /// The form of the output.
        #[arg(long, value_enum, default_value_t = LogFormat::Text)]
        format: LogFormat,
    },
    /// List the local keys of all clients, never their secrets.
    List {
        #[command(flatten)]
        file: ConfigFile,
        /// The form of the list.
        #[arg(long, value_enum, default_value_t = LogFormat::Text)]
        format: LogFormat,
    },
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    match arguments {
        Arguments::New { name, directory, config, format } => {
            let beside = config.as_deref().and_then(Path::parent).filter(|path| !path.as_os_str().is_empty());
            new(name, directory.as_deref().or(beside).unwrap_or(Path::new(".")), *format)
        }
        Arguments::List { file, format } => list(&file.config, *format),
    }
}

fn new(client: &str, directory: &Path, format: LogFormat) -> ExitCode {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if client.is_empty() || client.len() > 64 || !client.bytes().all(good) {
        return output::fail(BAD_CONFIG, "a client's name is made of letters, digits, `-` and `_`");
    }
    let (Some(id), Some(secret)) = (random(UPPER, ID), random(ALPHANUMERIC, SECRET)) else {
        return output::fail(FAILED, "the system has no randomness to give");
    };
    let id = format!("{PREFIX}{}", *id);
    let file = match std::path::absolute(directory) {
        Ok(directory) => directory.join(format!("{client}-{id}.secret")),
        Err(error) => return output::fail(FAILED, &format!("{}: {error}", directory.display())),
    };
    let Some(path) = file.to_str() else {
        return output::fail(FAILED, "the directory's name is not UTF-8, which a configuration must be");
    };
    if let Err(error) = keep(&file, &secret) {
        return output::fail(FAILED, &format!("cannot write {}: {error}", file.display()));
    }
    let quoted = toml::Value::from(path).to_string();
    let line = format!("keys = [{{ access-key = \"{id}\", secret-key = {{ file = {quoted} }} }}]");
    let text = match format {
        LogFormat::Text => format!(
            "access key  {id}\nsecret key  {}\n\nThe secret is shown this once; {path} keeps it, mode 0600.\n\n\
             [clients.{client}]\n{line}\n\nWhile rotating, put it beside the old one: \
             `keys = [{{ … }}, {{ … }}]`, and reload.\n",
            *secret
        ),
        LogFormat::Json => {
            let object = json!({
                "client": client, "access-key": id, "secret-key": *secret, "file": path, "config": line,
            });
            format!("{object:#}\n")
        }
    };
    output::all(Zeroizing::new(text).as_bytes())
}

/// Characters of an alphabet, each as likely as any other: bytes beyond the last whole multiple are thrown away.
fn random(alphabet: &[u8], length: usize) -> Option<Zeroizing<String>> {
    let source = rustls::crypto::aws_lc_rs::default_provider().secure_random;
    let fair = 256 / alphabet.len() * alphabet.len();
    let mut text = Zeroizing::new(String::with_capacity(length));
    let mut bytes = Zeroizing::new([0; 64]);
    while text.len() < length {
        source.fill(&mut *bytes).ok()?;
        let fit = bytes.iter().map(|byte| usize::from(*byte)).filter(|byte| *byte < fair);
        let missing = length - text.len();
        text.extend(fit.take(missing).map(|byte| char::from(alphabet[byte % alphabet.len()])));
    }
    Some(text)
}

/// Writes a new file that only its owner may read.
fn keep(file: &Path, secret: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    file.write_all(secret.as_bytes())?;
    file.sync_all()
}

fn list(file: &Path, format: LogFormat) -> ExitCode {
    let config = match config::load(file) {
        Ok(config) => config,
        Err(problems) => return output::fail(BAD_CONFIG, &problems.to_string()),
    };
    let secrets = ClientSecrets::resolve(&config.clients);
    let mut text = String::new();
    let mut list = Vec::new();
    for held in &secrets.keys {
        let state = match &held.value {
            Ok(_) => "resolved".to_owned(),
            Err(error) => format!("NOT RESOLVED: {}; {}", error.problem, error.help),
        };
        let _ = writeln!(text, "{}  {}  {}  {state}", held.client, held.access_key, held.source);
        list.push(json!({
            "client": held.client,
            "access-key": held.access_key,
            "source": held.source,
            "resolved": held.value.is_ok(),
            "problem": held.value.as_ref().err().map(|error| &error.problem),
        }));
    }
    if secrets.keys.is_empty() {
        text.push_str("no client has local keys; `countersign keys new NAME` makes one\n");
    }
    if matches!(format, LogFormat::Json) {
        text = format!("{:#}\n", serde_json::Value::from(list));
    }
    let printed = output::all(text.as_bytes());
    if secrets.keys.iter().all(|held| held.value.is_ok()) { printed } else { ExitCode::from(NO) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_random_over_their_whole_alphabet() {
        let mut seen = std::collections::BTreeSet::new();
        let mut letters = std::collections::BTreeSet::new();
        for _ in 0..200 {
            let secret = random(ALPHANUMERIC, SECRET).unwrap();
            assert_eq!(secret.len(), SECRET);
            letters.extend(secret.bytes());
            assert!(seen.insert(secret.to_string()));
        }
        assert_eq!(letters.len(), ALPHANUMERIC.len());
        assert!(random(UPPER, ID).unwrap().bytes().all(|byte| UPPER.contains(&byte)));
    }
}

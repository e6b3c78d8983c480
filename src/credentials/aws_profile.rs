//! `aws-profile = "name"`: a profile of the shared AWS files, as the vendor's own tools read it.
//!
//! Static keys of the credentials file come first, then `credential_process` of either file, then static keys of
//! the configuration file: the order of the vendor's SDKs. Roles, single sign-on and metadata services are not
//! spoken here; their tools can print keys for `credential_process`.

mod ini;
mod process;

use std::path::PathBuf;

use zeroize::Zeroizing;

use super::{Environment, Failure, Resolved, key};
use ini::Section;

/// Shared files hold many profiles.
const MAX_FILE: u64 = 1 << 20;

pub(super) fn resolve(profile: &str, environment: Environment<'_>) -> Result<Resolved, Failure> {
    let credentials_path = place("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials", environment);
    let config_path = place("AWS_CONFIG_FILE", ".aws/config", environment);
    let credentials_text = credentials_path.as_ref().map(text).transpose()?.flatten();
    let config_text = config_path.as_ref().map(text).transpose()?.flatten();
    let credentials = credentials_text.as_deref().map(|text| ini::section(text, &|name| name == profile));
    let credentials = credentials.flatten();
    let config = config_text.as_deref().map(|text| ini::section(text, &|name| is_profile(name, profile)));
    let config = config.flatten();
    if credentials.is_none() && config.is_none() {
        return Err(absent(profile, credentials_path.as_ref(), config_path.as_ref()));
    }
    if let Some(resolved) = credentials.as_ref().and_then(static_keys) {
        return resolved;
    }
    let mut both = credentials.iter().chain(&config);
    if let Some(command) = both.find_map(|section| section.value("credential_process")) {
        return process::resolve(command);
    }
    if let Some(resolved) = config.as_ref().and_then(static_keys) {
        return resolved;
    }
    Err(no_keys(profile, &[credentials, config]))
}

fn place(variable: &str, below_home: &str, environment: Environment<'_>) -> Option<PathBuf> {
    let named = environment(variable).filter(|path| !path.is_empty()).map(PathBuf::from);
    named.or_else(|| {
        let home = environment("HOME").filter(|path| !path.is_empty())?;
        Some(PathBuf::from(home).join(below_home))
    })
}

/// The text of a file; nothing when there is none.
fn text(path: &PathBuf) -> Result<Option<Zeroizing<String>>, Failure> {
    let failed = |why: &dyn std::fmt::Display| {
        let help = "check the file, and that the user countersign runs as can read it";
        Failure::new(format!("`{}` cannot be read: {why}", path.display()), help)
    };
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(&error)),
        Ok(metadata) if !metadata.is_file() => return Err(failed(&"it is not a regular file")),
        Ok(metadata) if metadata.len() > MAX_FILE => return Err(failed(&"it is larger than 1 MiB")),
        Ok(_) => {}
    }
    // Read at once into a buffer of the file's size; on bad UTF-8 the error is not kept, for it holds the bytes.
    let bytes = Zeroizing::new(std::fs::read(path).map_err(|error| failed(&error))?);
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(Some(Zeroizing::new(text.trim_start_matches('\u{feff}').to_owned()))),
        Err(_) => Err(failed(&"it is not UTF-8")),
    }
}

/// In the configuration file a profile is `[profile name]`, but for `[default]`.
fn is_profile(section: &str, profile: &str) -> bool {
    let named = section.strip_prefix("profile").filter(|rest| rest.starts_with([' ', '\t']));
    match named {
        Some(rest) => rest.trim().trim_matches(['"', '\'']) == profile,
        None => section == "default" && profile == "default",
    }
}

/// The static keys of a section: nothing when it has none, a failure when it has half.
fn static_keys(section: &Section<'_>) -> Option<Result<Resolved, Failure>> {
    let (id, secret) = (section.value("aws_access_key_id"), section.value("aws_secret_access_key"));
    let half = |missing: &str| {
        let problem = format!("the profile has no `{missing}`");
        Some(Err(Failure::new(problem, "a static key needs `aws_access_key_id` and `aws_secret_access_key`")))
    };
    match (id, secret) {
        (None, None) => None,
        (None, Some(_)) => half("aws_access_key_id"),
        (Some(_), None) => half("aws_secret_access_key"),
        (Some(id), Some(secret)) => {
            let key = key(id, secret, section.value("aws_session_token"));
            Some(key.map(|key| Resolved { key, expires: None }))
        }
    }
}

fn absent(profile: &str, credentials: Option<&PathBuf>, config: Option<&PathBuf>) -> Failure {
    let named = [credentials, config].into_iter().flatten();
    let places: Vec<_> = named.map(|path| format!("`{}`", path.display())).collect();
    if places.is_empty() {
        let help = "set HOME, AWS_SHARED_CREDENTIALS_FILE or AWS_CONFIG_FILE";
        return Failure::new("there is no place to look for the profile", help);
    }
    let spoken = if super::is_telling(profile) { format!(" `{profile}`") } else { String::new() };
    let problem = format!("there is no profile{spoken} in {}", places.join(" or "));
    Failure::new(problem, "the credentials file names it `[NAME]`, the configuration file `[profile NAME]`")
}

fn no_keys(profile: &str, sections: &[Option<Section<'_>>]) -> Failure {
    let has = |key: &str| sections.iter().flatten().any(|section| section.value(key).is_some());
    let other = ["role_arn", "sso_session", "sso_start_url", "web_identity_token_file", "credential_source"];
    let problem = match other.into_iter().find(|key| has(key)) {
        Some(key) => format!("the profile uses `{key}`, which is not supported here"),
        None => "the profile has neither keys nor `credential_process`".to_owned(),
    };
    let spoken = if super::is_telling(profile) { profile } else { "NAME" };
    let help = format!(
        "let the vendor's tool do it: `credential_process = aws configure export-credentials --profile {spoken} \
         --format process` in a profile of its own"
    );
    Failure::new(problem, help)
}

//! `credential_process`: a command line that prints a key as JSON (AWS SDKs reference, "Process credential
//! provider"). Split into words as a POSIX shell would, quotes included, and run without one.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

use crate::credentials::{Failure, Resolved, exec, key};

#[derive(Deserialize)]
struct Output {
    #[serde(rename = "Version")]
    version: u32,
    #[serde(rename = "AccessKeyId", deserialize_with = "wiped")]
    access_key_id: Zeroizing<String>,
    #[serde(rename = "SecretAccessKey", deserialize_with = "wiped")]
    secret_access_key: Zeroizing<String>,
    #[serde(rename = "SessionToken", deserialize_with = "maybe_wiped", default)]
    session_token: Option<Zeroizing<String>>,
    #[serde(rename = "Expiration", default)]
    expiration: Option<String>,
}

fn wiped<'de, D: Deserializer<'de>>(from: D) -> Result<Zeroizing<String>, D::Error> {
    String::deserialize(from).map(Zeroizing::new)
}

fn maybe_wiped<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Zeroizing<String>>, D::Error> {
    Option::<String>::deserialize(from).map(|text| text.map(Zeroizing::new))
}

pub(super) fn resolve(command: &str) -> Result<Resolved, Failure> {
    let argv = shlex::split(command).ok_or_else(|| {
        Failure::new("`credential_process` has an unclosed quote", "write it as a shell would read it")
    })?;
    let json = exec::run(&argv, exec::TIME_LIMIT).map_err(|failure| {
        Failure::new(format!("`credential_process`: {}", failure.problem), failure.help)
    })?;
    parse(&json, Timestamp::now())
}

fn parse(json: &[u8], now: Timestamp) -> Result<Resolved, Failure> {
    let shape = "print {\"Version\": 1, \"AccessKeyId\": …, \"SecretAccessKey\": …}, with \"SessionToken\" and \
                 \"Expiration\" for a temporary key";
    // serde's message may quote the value; the kind of the mistake does not.
    let output: Output = serde_json::from_slice(json).map_err(|error| {
        let what = match error.classify() {
            serde_json::error::Category::Data => "is JSON of another shape",
            _ => "is not JSON",
        };
        Failure::new(format!("the output of `credential_process` {what}"), shape)
    })?;
    if output.version != 1 {
        return Err(Failure::new("the output of `credential_process` is not of version 1", shape));
    }
    let expires = match output.expiration.filter(|text| !text.is_empty()) {
        None => None,
        Some(text) => Some(text.parse::<Timestamp>().map_err(|_| {
            let problem = "the \"Expiration\" of `credential_process` is not a time";
            Failure::new(problem, "write it like 2026-01-31T12:00:00Z")
        })?),
    };
    if expires.is_some_and(|expires| expires <= now) {
        let help = "renew the session that it draws on, and check this machine's clock";
        return Err(Failure::new("the key that `credential_process` printed has expired", help));
    }
    let token = output.session_token.as_ref().map(|token| token.as_str()).filter(|token| !token.is_empty());
    let key = key(&output.access_key_id, &output.secret_access_key, token)?;
    Ok(Resolved { key, expires })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    #[test]
    fn reads_a_temporary_key() {
        let json = br#"{"Version": 1, "AccessKeyId": "ID", "SecretAccessKey": "a\/b", "SessionToken": "T",
            "Expiration": "2031-02-03T04:05:06Z", "Later": true}"#;
        let resolved = parse(json, NOW).ok().unwrap();
        assert_eq!(resolved.key.id, "ID");
        assert_eq!(resolved.key.secret.expose(), b"a/b");
        assert_eq!(resolved.key.session_token.unwrap().expose(), b"T");
        assert_eq!(resolved.expires.unwrap().to_string(), "2031-02-03T04:05:06Z");
    }

    #[test]
    fn no_mistake_repeats_a_value() {
        let bad = [
            "CANARY",
            r#""CANARY""#,
            r#"{"Version": "CANARY", "AccessKeyId": "CANARY", "SecretAccessKey": "CANARY"}"#,
            r#"{"Version": 2, "AccessKeyId": "CANARY", "SecretAccessKey": "CANARY"}"#,
            r#"{"Version": 1, "AccessKeyId": "CANARY", "SecretAccessKey": ["CANARY"]}"#,
            r#"{"Version": 1, "AccessKeyId": "CANARY"}"#,
            r#"{"Version": 1, "AccessKeyId": "CANARY", "SecretAccessKey": "CANARY", "Expiration": "CANARY"}"#,
            r#"{"Version": 1, "AccessKeyId": "CANARY", "SecretAccessKey": "CANARY\n"}"#,
            r#"{"Version": 1, "AccessKeyId": "CANARY", "SecretAccessKey": ""}"#,
            r#"{"Version": 1, "AccessKeyId": "", "SecretAccessKey": "CANARY"}"#,
            r#"{"Version": 1, "AccessKeyId": "C", "SecretAccessKey": "CANARY", "Expiration": "1969-01-01T00:00:00Z"}"#,
        ];
        for json in bad {
            let failure = parse(json.as_bytes(), NOW).err().unwrap();
            let said = format!("{} {}", failure.problem, failure.help);
            assert!(!said.contains("CANARY"), "{said}");
        }
    }
}

//! The key of the record (`audit.key`): with it, only its holder can write lines that verify. Read once, when the
//! record is begun; it never changes while a process writes.

use std::fmt;

use super::{Environment, Failure, clean, kind, read, take};
use crate::config::SecretRef;
use crate::secret::Secret;

/// Bytes of the shortest key: what is shorter can be guessed, and the chain proves nothing to who has guessed it.
const SHORTEST: usize = 16;

/// Why there is no key. Holds names and what is wrong; never a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordKeyError {
    /// The source, as the configuration names its kind.
    pub source: &'static str,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub help: String,
}

impl fmt::Display for RecordKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, problem, help } = self;
        write!(f, "`audit.key`, from {source}: {problem}; {help}")
    }
}

impl std::error::Error for RecordKeyError {}

/// Resolves the key from the process's environment, files and programs: the bytes of the value, without one trailing
/// newline.
///
/// # Errors
/// That it cannot be had, or is too short.
pub fn record_key(reference: &SecretRef) -> Result<Secret, RecordKeyError> {
    let environment: Environment<'_> = &|name| std::env::var_os(name);
    read(reference, environment)
        .and_then(|bytes| clean(bytes, "key"))
        .and_then(
            |bytes| if bytes.len() < SHORTEST { Err(too_short()) } else { Ok(Secret::new(take(bytes))) },
        )
        .map_err(|Failure { problem, help }| RecordKeyError { source: kind(reference), problem, help })
}

fn too_short() -> Failure {
    let help = "`openssl rand -hex 32` makes a good one";
    Failure::new(format!("the key is shorter than {SHORTEST} bytes"), help)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use super::*;

    fn of(text: &str, mode: u32) -> Result<Secret, RecordKeyError> {
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
        let path: PathBuf = folder.path().join("audit.key");
        assert!(fs::write(&path, text).is_ok());
        assert!(fs::set_permissions(&path, fs::Permissions::from_mode(mode)).is_ok());
        record_key(&SecretRef::File { path, allow_open_mode: false })
    }

    #[test]
    fn the_key_is_the_value_without_its_newline() {
        for text in ["0123456789abcdef", "0123456789abcdef\n", "0123456789abcdef\r\n"] {
            assert!(of(text, 0o600).is_ok_and(|key| key.expose() == b"0123456789abcdef"), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused_without_being_told() {
        for (text, mode, expected) in [
            ("0123456789CANARY", 0o640, "group or world can use"),
            ("012345678CANARY", 0o600, "shorter than 16 bytes"),
            ("012345678CANARY\n\n", 0o600, "control character"),
            ("", 0o600, "is empty"),
        ] {
            let error = of(text, mode).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.starts_with("`audit.key`, from file: ") && error.contains(expected), "{error}");
            assert!(!error.contains("CANARY"), "{error}");
        }
    }
}

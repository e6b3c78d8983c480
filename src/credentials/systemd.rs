//! `{ systemd = "name" }`: a credential that the service manager passed in `$CREDENTIALS_DIRECTORY`
//! (systemd.exec(5), `LoadCredential=`). The name is a file name and never leaves that directory.

use std::path::PathBuf;

use super::{Bytes, Environment, Failure, file, is_telling};

pub(super) fn read(name: &str, environment: Environment<'_>) -> Result<Bytes, Failure> {
    let directory = environment("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    let directory = directory.filter(|directory| directory.is_absolute()).ok_or_else(|| {
        let help = "run under a unit with `LoadCredential=`, or use another source";
        Failure::new("`$CREDENTIALS_DIRECTORY` is not set", help)
    })?;
    if name.contains('/') || matches!(name, "" | "." | "..") {
        return Err(Failure::new("the name is not a file name", "it is the name given to `LoadCredential=`"));
    }
    let spoken = if is_telling(name) { format!("`{name}`") } else { "the credential".to_owned() };
    file::read(&directory.join(name)).map_err(|failure| {
        if directory.join(name).exists() && is_telling(name) {
            failure
        } else {
            let problem = format!("{spoken} cannot be read from `$CREDENTIALS_DIRECTORY`");
            Failure::new(problem, "add `LoadCredential=NAME:/path` to the unit")
        }
    })
}

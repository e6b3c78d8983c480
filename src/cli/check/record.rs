//! What `check` finds of the record: whether its key resolves, and whether its file has a folder to be in. Nothing is
//! created or written.

use std::fmt::{self, Write};
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::config::{Audit, OnFull, SecretRef};
use crate::credentials::{self, RecordKeyError};

/// Where calls will be recorded, and what is in the way of it.
pub(super) struct Record<'a> {
    audit: &'a Audit,
    key: Option<Result<(), RecordKeyError>>,
    place: Result<(), String>,
}

impl<'a> Record<'a> {
    pub(super) fn of(audit: &'a Audit) -> Self {
        // The key itself is dropped at once.
        let key = audit.key.as_ref().map(|key| credentials::record_key(key).map(drop));
        let place = audit.file.as_deref().map_or(Ok(()), place);
        Self { audit, key, place }
    }

    /// Everything that keeps the record from being begun.
    pub(super) fn errors(&self) -> impl Iterator<Item = String> {
        let key = self.key.as_ref().and_then(|key| key.as_ref().err()).map(ToString::to_string);
        self.place.as_ref().err().cloned().into_iter().chain(key)
    }

    pub(super) fn warnings(&self) -> impl Iterator<Item = String> {
        let warning = match &self.audit.key {
            Some(SecretRef::Env(_)) => Some(
                "`audit.key` comes from the environment, which other processes of the same user can read",
            ),
            Some(SecretRef::File { allow_open_mode: true, .. }) => {
                Some("`audit.key` may lie in a file that others on this machine can read")
            }
            _ => None,
        };
        warning.map(str::to_owned).into_iter()
    }

    pub(super) fn summary(&self, out: &mut String) -> fmt::Result {
        let Audit { file, on_full, rotate_size, rotate_age, retain, .. } = self.audit;
        write!(out, "record\n  ")?;
        match file {
            Some(file) => {
                let (size, age) = (bytes(*rotate_size), time(*rotate_age));
                let kept = retain.map_or("for good".to_owned(), time);
                write!(out, "{}: segments of {size} or {age}, kept {kept}", file.display())?;
            }
            None => out.write_str("standard output")?,
        }
        write!(out, ", on-full {}", word(*on_full))?;
        match (&self.key, self.source()) {
            (Some(Ok(())), Some(source)) => writeln!(out, ", key resolved ({source})"),
            (Some(Err(_)), Some(source)) => writeln!(out, ", key NOT RESOLVED ({source})"),
            _ => writeln!(out),
        }
    }

    pub(super) fn json(&self) -> Value {
        let Audit { file, on_full, rotate_size, rotate_age, retain, .. } = self.audit;
        let key = self.key.as_ref().zip(self.source());
        json!({
            "file": file,
            "on-full": word(*on_full),
            "rotate-size": file.is_some().then_some(rotate_size),
            "rotate-age": file.is_some().then_some(rotate_age.as_secs()),
            "retain": retain.map(|retain| retain.as_secs()),
            "key": key.map(|(key, source)| json!({ "source": source, "resolved": key.is_ok() })),
        })
    }

    fn source(&self) -> Option<&'static str> {
        self.audit.key.as_ref().map(credentials::kind)
    }
}

/// Whether a file can be there. Whether this process may write it is not asked: another user may run the gateway.
fn place(file: &Path) -> Result<(), String> {
    if fs::metadata(file).is_ok_and(|there| there.is_dir()) {
        return Err(format!("`audit.file`: `{}` is a folder; name a file in it", file.display()));
    }
    let folder = file.parent().unwrap_or(file);
    match fs::metadata(folder) {
        Ok(there) if there.is_dir() => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Ok(()),
        _ => Err(format!(
            "`audit.file`: there is no folder `{}`; create it, for the user countersign runs as",
            folder.display()
        )),
    }
}

fn word(on_full: OnFull) -> &'static str {
    match on_full {
        OnFull::Refuse => "refuse",
        OnFull::DropReads => "drop-reads",
    }
}

/// As the configuration would write it.
fn bytes(size: u64) -> String {
    let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let whole = units.into_iter().find(|(_, unit)| size > 0 && size.is_multiple_of(*unit));
    whole.map_or_else(|| format!("{size} bytes"), |(name, unit)| format!("{}{name}", size / unit))
}

/// As the configuration would write it, to the second.
fn time(time: Duration) -> String {
    let seconds = time.as_secs();
    let units = [("d", 24 * 3600), ("h", 3600), ("m", 60)];
    let whole = units.into_iter().find(|(_, unit)| seconds > *unit && seconds.is_multiple_of(*unit));
    whole.map_or_else(|| format!("{seconds}s"), |(name, unit)| format!("{}{name}", seconds / unit))
}

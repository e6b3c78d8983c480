//! Where the record's files are: the active one as configured, and beside it
//!
//! - `NAME.00000007`: segment 7, no longer written to, on its way to being compressed, or without a seal;
//! - `NAME.00000007.zst`: segment 7, sealed and compressed;
//! - `NAME.torn`: last, incomplete lines that a crash left;
//! - `NAME.new`: a segment that is being begun; `NAME.00000007.zst.new`: one that is being compressed;
//! - `NAME.lock`: held while a process writes this record.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Digits of a number in a file's name.
const DIGITS: usize = 8;

/// The record's files, by what they are.
#[derive(Clone)]
pub(super) struct Layout {
    active: PathBuf,
}

/// A segment beside the active file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Past {
    pub(super) number: u64,
    pub(super) path: PathBuf,
    pub(super) compressed: bool,
}

impl Layout {
    /// Symbolic links are followed once, here: renaming must reach the file, not the link.
    pub(super) fn new(active: &Path) -> Self {
        Self { active: fs::canonicalize(active).unwrap_or_else(|_| active.to_owned()) }
    }

    pub(super) fn active(&self) -> &Path {
        &self.active
    }

    fn beside(&self, extension: &str) -> PathBuf {
        let mut name = OsString::from(&self.active);
        name.push(extension);
        name.into()
    }

    pub(super) fn past(&self, number: u64) -> PathBuf {
        self.beside(&format!(".{number:0DIGITS$}"))
    }

    pub(super) fn compressed(&self, number: u64) -> PathBuf {
        self.beside(&format!(".{number:0DIGITS$}.zst"))
    }

    pub(super) fn torn(&self) -> PathBuf {
        self.beside(".torn")
    }

    pub(super) fn new_segment(&self) -> PathBuf {
        self.beside(".new")
    }

    pub(super) fn lock(&self) -> PathBuf {
        self.beside(".lock")
    }

    fn folder(&self) -> &Path {
        match self.active.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        }
    }

    /// Makes names durable: created, renamed, removed.
    pub(super) fn sync_folder(&self) -> io::Result<()> {
        File::open(self.folder())?.sync_all()
    }

    /// The segments beside the active file, oldest first; one that stands there twice, plain first.
    pub(super) fn all_past(&self) -> io::Result<Vec<Past>> {
        let mut found = Vec::new();
        let name = self.active.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for entry in fs::read_dir(self.folder())? {
            let entry = entry?;
            let file = entry.file_name();
            let Some(rest) = file.to_str().and_then(|file| file.strip_prefix(&name)?.strip_prefix('.'))
            else {
                continue;
            };
            let (digits, compressed) =
                rest.strip_suffix(".zst").map_or((rest, false), |digits| (digits, true));
            let is_number = digits.len() >= DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
            if let Some(number) = is_number.then(|| digits.parse().ok()).flatten() {
                found.push(Past { number, path: entry.path(), compressed });
            }
        }
        found.sort_by_key(|past| (past.number, past.compressed));
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_its_own_files_only() {
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
        let layout = Layout::new(&folder.path().join("audit.jsonl"));
        let names = [
            "audit.jsonl",
            "audit.jsonl.00000002",
            "audit.jsonl.00000010.zst",
            "audit.jsonl.00000002.zst",
            "audit.jsonl.1",
            "audit.jsonl.00000003.zst.new",
            "other.jsonl.00000004",
            "audit.jsonl.torn",
        ];
        for name in names {
            assert!(fs::write(folder.path().join(name), "").is_ok());
        }
        let found: Vec<(u64, bool)> =
            layout.all_past().unwrap_or_default().iter().map(|past| (past.number, past.compressed)).collect();
        assert_eq!(found, [(2, false), (2, true), (10, true)]);
        assert!(layout.compressed(2).ends_with("audit.jsonl.00000002.zst"));
    }
}

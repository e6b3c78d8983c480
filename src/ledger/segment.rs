//! The segments of a record, oldest first.
//!
//! A segment is known by its first line, not by its name: it stays the same when it is moved or compressed.

use std::borrow::Cow;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::Error;
use super::line::Line;
use super::read::{Lines, settled};

/// One file of a record.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Where it is.
    pub path: PathBuf,
    /// SHA-256 of its first line.
    pub identity: [u8; 32],
    /// The number of its first line in the chain.
    pub first: u64,
    /// The segment's own number; 0 where its first line does not tell.
    pub number: u64,
    /// Whether it repeats lines of the segments before, which could not be written any more.
    pub(super) resumes: bool,
    /// Whether it is compressed.
    pub compressed: bool,
    /// Bytes of the file.
    pub size: u64,
}

/// The segments of the record at `log`, oldest first. A file whose first line is not complete yet is not there yet.
///
/// # Errors
/// [`Error::NoRecord`] where neither the file nor a segment of it exists; what cannot be read.
pub fn segments(log: &Path) -> Result<Vec<Segment>, Error> {
    let found = settled(log, |files| {
        let mut found: Vec<Segment> = Vec::new();
        for path in files {
            let segment = match Segment::open(path, path == log) {
                Ok(segment) => segment,
                // Moved or deleted since the folder was listed: then it is listed again.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(Looked::Unreadable(path.clone(), error)),
            };
            let Some(segment) = segment else { continue };
            // A copy of a segment is the segment.
            if found.iter().all(|known| known.identity != segment.identity) {
                found.push(segment);
            }
        }
        if files.is_empty() { Err(Looked::Nothing) } else { Ok(found) }
    });
    let mut found = found.map_err(|looked| match looked {
        Looked::Nothing => Error::NoRecord(log.to_owned()),
        Looked::Folder(error) if error.kind() == io::ErrorKind::NotFound => Error::NoRecord(log.to_owned()),
        Looked::Folder(error) => Error::record(log)(error),
        Looked::Unreadable(path, error) => Error::record(&path)(error),
    })?;
    found.sort_by(|one, other| {
        (one.first, one.number, &one.path).cmp(&(other.first, other.number, &other.path))
    });
    Ok(found)
}

/// What the open line says, as far as it matters here.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Opening<'a> {
    number: u64,
    #[serde(borrow)]
    after: Cow<'a, str>,
}

/// Why a look at a record's files gave no segments.
enum Looked {
    Nothing,
    Folder(io::Error),
    Unreadable(PathBuf, io::Error),
}

impl From<io::Error> for Looked {
    fn from(error: io::Error) -> Self {
        Self::Folder(error)
    }
}

impl Segment {
    /// Looks at one file; nothing where it does not begin with a line of a record. A file that was `named` is taken as it
    /// is: what was captured may have other lines before the first of ours.
    pub(super) fn open(path: &Path, named: bool) -> io::Result<Option<Self>> {
        let size = fs::metadata(path).map_or(0, |file| file.len());
        let mut lines = Lines::open(path)?;
        let compressed = lines.compressed();
        let first = match lines.complete() {
            Ok(Some(first)) => first,
            Ok(None) => return Ok(None),
            // A compressed file that is not whole, or not zstd after all.
            Err(_) if compressed => return Ok(None),
            Err(error) => return Err(error),
        };
        let line = Line::read(first.bytes).filter(|line| line.seq.is_some());
        let Some(line) = line.or_else(|| named.then(Line::default)) else { return Ok(None) };
        let opening: Opening<'_> =
            line.segment.and_then(|mark| serde_json::from_str(mark.get()).ok()).unwrap_or_default();
        Ok(Some(Self {
            path: path.to_owned(),
            identity: Sha256::digest(first.bytes).into(),
            first: line.seq.unwrap_or(0),
            number: opening.number,
            resumes: opening.after == "failure",
            compressed,
            size,
        }))
    }

    /// Its lines, from its beginning.
    pub(super) fn lines(&self) -> io::Result<Lines> {
        Lines::open(&self.path)
    }
}

//! The index of a record: a SQLite file that answers questions quickly, and counts.
//!
//! It is made from the record and never the record of truth: one that is missing, unfinished, damaged, of another
//! record or of another version is made anew by the next question. What a deleted segment's calls added up to stays
//! counted in it; an index that knows more usage than the record still holds is set aside (`….old`), not deleted,
//! when it must be made anew.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::Error;
use super::catch_up::{Stop, catch_up};
use super::schema;
use super::segment::segments;

/// How far an index has come while it catches up.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// Another process is bringing it up to date.
    Waiting,
    /// Bytes of the new parts of segments that were read, and all of them; lines so far.
    Reading {
        /// Read.
        bytes: u64,
        /// Of these.
        of: u64,
        /// Lines in them.
        lines: u64,
    },
    /// Orders that are made, and all of them.
    Sorting {
        /// Made.
        made: usize,
        /// Of these.
        of: usize,
    },
}

/// An index that was up to date when it was opened.
pub struct Index {
    pub(super) db: Connection,
    pub(super) log: PathBuf,
    pub(super) path: PathBuf,
}

/// What a question should say besides its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The segment.
    pub segment: String,
    /// Lines of it that are none of ours.
    pub malformed: u64,
    /// Why its end could not be read.
    pub broken: Option<String>,
}

/// Where the index of a record is unless it is said: `FILE.index.sqlite`.
pub fn beside(log: &Path) -> PathBuf {
    with(log, ".index.sqlite")
}

fn with(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

impl Index {
    /// Opens the index of the record at `log`, and brings it up to date; makes it where there is none that serves.
    ///
    /// # Errors
    /// [`Error::NoRecord`], a segment that cannot be read, a place where the index cannot be.
    pub fn open(log: &Path, path: Option<&Path>, progress: &mut dyn FnMut(Step)) -> Result<Self, Error> {
        Self::up_to_date(log, path, false, progress)
    }

    /// Makes the index of the record at `log` from nothing.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn rebuild(log: &Path, path: Option<&Path>, progress: &mut dyn FnMut(Step)) -> Result<Self, Error> {
        Self::up_to_date(log, path, true, progress)
    }

    fn up_to_date(
        log: &Path,
        path: Option<&Path>,
        anew: bool,
        progress: &mut dyn FnMut(Step),
    ) -> Result<Self, Error> {
        let path = path.map_or_else(|| beside(log), Path::to_owned);
        // Asked first: a mistyped name must not leave an index behind.
        let found = segments(log)?;
        let refuse = |why: String| Error::Index { path: path.clone(), why };
        if !is_ours(&path, log).map_err(|error| refuse(error.to_string()))? {
            return Err(refuse("this file is no index of countersign, and is left alone".to_owned()));
        }
        let lock = with(&path, ".lock");
        let lock = create(&lock, log).map_err(|error| refuse(error.to_string()))?;
        if lock.try_lock().is_err() {
            progress(Step::Waiting);
            lock.lock().map_err(|error| refuse(error.to_string()))?;
        }
        if !anew && let Some(db) = finished(&path) {
            match catch_up(&db, &found, progress) {
                Ok(()) => return Ok(Self { db, log: log.to_owned(), path }),
                Err(Stop::Record(path, source)) => return Err(Error::Record { path, source }),
                Err(Stop::Index(error)) if !is_damage(&error) => return Err(refuse(error.to_string())),
                Err(Stop::Changed | Stop::Index(_)) => {}
            }
        }
        set_aside(&path, log).map_err(|error| refuse(error.to_string()))?;
        create(&path, log).map_err(|error| refuse(error.to_string()))?;
        match build(&path, log, progress) {
            Ok(db) => Ok(Self { db, log: log.to_owned(), path }),
            Err(Stop::Record(path, source)) => Err(Error::Record { path, source }),
            Err(Stop::Index(error)) => Err(refuse(error.to_string())),
            Err(Stop::Changed) => Err(Error::Damaged(path)),
        }
    }

    /// What of the record the index could not take.
    ///
    /// # Errors
    /// The index.
    pub fn faults(&self) -> Result<Vec<Fault>, Error> {
        let read = || {
            let mut rows = self.db.prepare(
                "SELECT name, malformed, broken FROM segment WHERE gone = 0 AND (malformed > 0 OR broken IS NOT NULL) \
                 ORDER BY id",
            )?;
            let fault = |row: &rusqlite::Row<'_>| {
                let malformed = super::tally::unsigned(row, 1)?;
                Ok(Fault { segment: row.get(0)?, malformed, broken: row.get(2)? })
            };
            rows.query_map([], fault)?.collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(|error| self.error(&error))
    }

    /// What an error of SQLite means. A damaged index is marked, so that the next question makes it anew.
    pub(super) fn error(&self, error: &rusqlite::Error) -> Error {
        if is_damage(error) {
            return self.damaged();
        }
        Error::Index { path: self.path.clone(), why: error.to_string() }
    }

    /// Marks the index as not finished.
    pub(super) fn damaged(&self) -> Error {
        // What is too damaged for that is met again by whoever opens it.
        let _ = self.db.pragma_update(None, "user_version", 0);
        Error::Damaged(self.path.clone())
    }
}

/// A connection to an index that is whole and of this version; nothing where there is none.
fn finished(path: &Path) -> Option<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags).ok()?;
    let number = |name: &str| db.pragma_query_value(None, name, |row| row.get::<_, i32>(0)).ok();
    let whole = number("application_id") == Some(schema::APPLICATION)
        && number("user_version") == Some(schema::VERSION);
    (whole && db.busy_timeout(Duration::from_secs(10)).is_ok() && schema::ready(&db).is_ok()).then_some(db)
}

fn build(path: &Path, log: &Path, progress: &mut dyn FnMut(Step)) -> Result<Connection, Stop> {
    let db = Connection::open(path)?;
    schema::create(&db)?;
    let record = |error: Error| match error {
        Error::Record { path, source } => Stop::Record(path, source),
        other => Stop::Record(log.to_owned(), io::Error::other(other.to_string())),
    };
    catch_up(&db, &segments(log).map_err(record)?, progress)?;
    let of = schema::INDICES.len();
    for (made, index) in schema::INDICES.into_iter().enumerate() {
        progress(Step::Sorting { made, of });
        db.execute_batch(index)?;
    }
    progress(Step::Sorting { made: of, of });
    schema::finish(&db)?;
    schema::ready(&db)?;
    // A lock of the builder's kind is given back only by the next read.
    db.query_row("SELECT count(*) FROM segment", [], |_| Ok(()))?;
    Ok(db)
}

fn is_damage(error: &rusqlite::Error) -> bool {
    match error {
        rusqlite::Error::SqliteFailure(error, _) => {
            matches!(error.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown)
        }
        // No text, number or row where this version always writes one.
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::Utf8Error(..)
        | rusqlite::Error::QueryReturnedNoRows
        | rusqlite::Error::SqlInputError { .. } => true,
        _ => false,
    }
}

/// Whether the file may be overwritten: it is not there, is an index, or has the name of this record's.
fn is_ours(path: &Path, log: &Path) -> io::Result<bool> {
    if path == beside(log) {
        return Ok(true);
    }
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(error),
    };
    let mut id = [0; 4];
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::Start(68))?;
    match file.read_exact(&mut id) {
        Ok(()) => Ok(i32::from_be_bytes(id) == schema::APPLICATION),
        Err(_) => Ok(false),
    }
}

/// Makes a file, or opens it, for those who may read the record.
fn create(path: &Path, log: &Path) -> io::Result<File> {
    let mode = fs::metadata(log).map_or(0o600, |log| log.permissions().mode() & 0o666) | 0o600;
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(mode).open(path)
}

/// Takes an index out of the way. One that counts usage from before the record begins is kept under another name.
fn set_aside(path: &Path, log: &Path) -> io::Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let keeps = || -> Option<bool> {
        let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).ok()?;
        db.query_row("SELECT 1 FROM segment WHERE gone = 1 AND metered > 0 LIMIT 1", [], |_| Ok(())).ok()?;
        db.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(())).ok()?;
        Some(true)
    };
    if keeps().unwrap_or(false) {
        let old = with(path, ".old");
        tracing::warn!(old = %old.display(), log = %log.display(), "the old index counts usage of deleted segments, and is kept");
        fs::rename(path, old)?;
    }
    for ending in ["", "-wal", "-shm", "-journal"] {
        match fs::remove_file(with(path, ending)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

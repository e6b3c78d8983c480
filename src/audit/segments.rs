//! The record in files: one segment after the other, each only appended to.
//!
//! What a failed write or sync may have left on the disk is not known, so the file is not touched again: everything
//! since the last sync that succeeded is kept in memory, and stands again at the beginning of the next segment. A new
//! segment gets its name only when its first lines are durable.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::chain::{Algorithm, Chain, Head};
use super::layout::Layout;
use super::mark::{After, Mark, now};
use super::recover::{self, Continued, Found, MODE};

/// Bytes that may stand in a file without being synced; they are kept in memory too.
const UNSYNCED: usize = 4 << 20;
/// How long a start waits for another process to leave the record.
const LOCK: Duration = Duration::from_secs(1);

/// When a segment is complete.
#[derive(Clone, Copy, Debug)]
pub struct Rotation {
    /// At this many bytes.
    pub size: u64,
    /// At this age, unless it holds nothing.
    pub age: Duration,
}

/// The segment that is written to.
struct Active {
    file: File,
    first: u64,
    opened: Timestamp,
    size: u64,
}

/// The record's files, and where the chain is.
pub(super) struct Segments {
    layout: Layout,
    rotation: Rotation,
    host: Option<String>,
    chain: Chain,
    active: Option<Active>,
    /// The number of the active segment, or of the last one.
    number: u64,
    /// Why the next segment is begun.
    after: After,
    /// The end of the chain as it is known to be on the disk.
    durable: Option<Head>,
    /// The bodies of all lines after that.
    unsynced: Vec<Vec<u8>>,
    unsynced_bytes: usize,
    /// How many of them stand in the active file.
    written: usize,
    _lock: File,
}

impl Segments {
    /// Finds the record's files and takes them over; nothing is written to a segment yet.
    ///
    /// # Errors
    /// What keeps the files from being read or created, or another process that writes them.
    pub(super) fn open(
        layout: Layout,
        rotation: Rotation,
        algorithm: &Algorithm,
        host: Option<String>,
    ) -> io::Result<Self> {
        let lock = lock(&layout)?;
        let mut segments = Self {
            layout,
            rotation,
            host,
            chain: Chain::after(None, algorithm.clone()),
            active: None,
            number: 0,
            after: After::Nothing,
            durable: None,
            unsynced: Vec::new(),
            unsynced_bytes: 0,
            written: 0,
            _lock: lock,
        };
        match recover::find(&segments.layout, algorithm)? {
            Found::New { number, chain, after } => {
                (segments.number, segments.chain, segments.after) = (number, chain, after);
            }
            Found::Open(Continued { file, number, first, opened, size, chain, torn }) => {
                (segments.number, segments.chain) = (number, chain);
                segments.active = Some(Active { file, first, opened, size });
                let mark = Mark::Recovered { number, started: now(), torn_bytes: torn };
                segments.keep(mark.body());
            }
        }
        segments.durable = segments.chain.head();
        Ok(segments)
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The last line that is known to be on the disk.
    pub(super) fn durable(&self) -> Option<Head> {
        self.durable
    }

    /// Whether lines wait for a sync, or for being written at all.
    pub(super) fn is_dirty(&self) -> bool {
        !self.unsynced.is_empty()
    }

    fn keep(&mut self, body: Vec<u8>) {
        self.unsynced_bytes += body.len();
        self.unsynced.push(body);
    }

    /// Writes lines; with `sync`, they and all before are durable afterwards. The lines are taken in any case: after
    /// an error the next call writes them again, in a new segment.
    pub(super) fn write(&mut self, bodies: impl IntoIterator<Item = Vec<u8>>, sync: bool) -> io::Result<()> {
        bodies.into_iter().for_each(|body| self.keep(body));
        let Some(active) = &mut self.active else { return self.begin() };
        let mut lines = Vec::new();
        for body in &self.unsynced[self.written..] {
            self.chain.append(body, &mut lines);
        }
        let sync = sync || self.unsynced_bytes > UNSYNCED;
        let written = active.file.write_all(&lines);
        let written = written.and_then(|()| if sync { active.file.sync_data() } else { Ok(()) });
        match written {
            Ok(()) => {
                active.size += lines.len() as u64;
                self.written = self.unsynced.len();
                if sync {
                    self.synced();
                }
                Ok(())
            }
            Err(error) => {
                self.abandon();
                Err(error)
            }
        }
    }

    fn synced(&mut self) {
        self.durable = self.chain.head();
        self.unsynced.clear();
        (self.unsynced_bytes, self.written) = (0, 0);
    }

    /// Leaves the active file as it is, after a failure; the chain goes on from what is known to be on the disk.
    fn abandon(&mut self) {
        self.active = None;
        self.after = After::Failure;
        self.written = 0;
        self.chain.rewind(self.durable);
    }

    /// Begins the next segment with all lines that are not durable yet.
    fn begin(&mut self) -> io::Result<()> {
        let number = self.number.saturating_add(1);
        let mut chain = self.chain.clone();
        let mut lines = Vec::new();
        let first = chain.next();
        chain.append(&Mark::open(number, &self.chain, self.after, self.host.as_deref()).body(), &mut lines);
        for body in &self.unsynced {
            chain.append(body, &mut lines);
        }
        let path = self.layout.new_segment();
        let begun = (|| {
            let mut file =
                OpenOptions::new().create(true).truncate(true).write(true).mode(MODE).open(&path)?;
            file.write_all(&lines)?;
            file.sync_all()?;
            // Reopened, so that whatever happens to the file, it is appended to.
            drop(file);
            let file = OpenOptions::new().append(true).read(true).open(&path)?;
            self.put_aside()?;
            fs::rename(&path, self.layout.active())?;
            self.layout.sync_folder()?;
            Ok(file)
        })();
        match begun {
            Ok(file) => {
                self.active =
                    Some(Active { file, first, opened: Timestamp::now(), size: lines.len() as u64 });
                (self.number, self.chain) = (number, chain);
                self.synced();
                Ok(())
            }
            Err(error) => {
                let _ = fs::remove_file(&path);
                Err(error)
            }
        }
    }

    /// Makes room for the next segment under the active name. What stands there is the last segment; only where
    /// somebody moved that away and put another file in its place it is not, and then it is none of ours.
    fn put_aside(&self) -> io::Result<()> {
        let active = self.layout.active();
        match fs::symlink_metadata(active) {
            Ok(there) if there.len() == 0 => Ok(()),
            Ok(_) => {
                let mut past = self.layout.past(self.number);
                // Beside a compressed segment of its number it would be taken for that, and take its place.
                let mut taken = self.layout.compressed(self.number).symlink_metadata().is_ok();
                while taken || past.symlink_metadata().is_ok() {
                    past.as_mut_os_string().push(".again");
                    taken = false;
                }
                fs::rename(active, past)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Begins a segment where none is active, or writes what a start noted.
    pub(super) fn settle(&mut self) -> io::Result<()> {
        if self.active.is_none() || self.is_dirty() { self.write([], true) } else { Ok(()) }
    }

    /// Whether the active segment is complete.
    pub(super) fn is_complete(&self) -> bool {
        let Some(active) = &self.active else { return false };
        let holds_something = self.chain.next() > active.first.saturating_add(1);
        let age = Timestamp::now().duration_since(active.opened);
        let old = Duration::try_from(age).is_ok_and(|age| age >= self.rotation.age);
        holds_something && (active.size >= self.rotation.size || old)
    }

    /// Whether somebody removed the active file, or put another in its place.
    pub(super) fn is_displaced(&self) -> bool {
        let Some(own) = self.active.as_ref().and_then(|active| active.file.metadata().ok()) else {
            return false;
        };
        match fs::metadata(self.layout.active()) {
            Ok(there) => (there.dev(), there.ino()) != (own.dev(), own.ino()),
            Err(_) => true,
        }
    }

    /// Leaves the active file when it has no name any more: what is written to it would be lost.
    ///
    /// # Errors
    /// That it was so.
    pub(super) fn leave_removed(&mut self) -> io::Result<()> {
        let own = self.active.as_ref().and_then(|active| active.file.metadata().ok());
        if own.is_some_and(|own| own.nlink() == 0) {
            self.abandon();
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "the file was removed while it was written to",
            ));
        }
        Ok(())
    }

    /// Ends the active segment with its seal. Without an active segment there is nothing to seal.
    pub(super) fn seal(&mut self) -> io::Result<()> {
        let Some(active) = &self.active else { return Ok(()) };
        let lines = self.chain.next().saturating_sub(active.first);
        let seal = Mark::Seal { number: self.number, closed: now(), lines, first: active.first };
        let kept = self.unsynced.len();
        let sealed = self.write([seal.body()], true);
        if sealed.is_ok() {
            (self.active, self.after) = (None, After::Seal);
        } else {
            // The seal is of the segment that failed; the next has no use for it.
            self.unsynced.truncate(kept);
            self.unsynced_bytes = self.unsynced.iter().map(Vec::len).sum();
        }
        sealed
    }

    /// Seals the active segment and begins the next.
    pub(super) fn rotate(&mut self) -> io::Result<()> {
        self.seal()?;
        self.begin()
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// A line that tells that segments are deleted.
    pub(super) fn retired(&self, through: u64) -> Vec<u8> {
        Mark::Retired { number: self.number, noted: now(), through }.body()
    }
}

/// Takes the record for this process. One that is just ending, or is being started by the process that had the record,
/// may hold it for a moment.
fn lock(layout: &Layout) -> io::Result<File> {
    let lock = OpenOptions::new().create(true).append(true).mode(MODE).open(layout.lock())?;
    let start = Instant::now();
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(fs::TryLockError::WouldBlock) if start.elapsed() < LOCK => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(fs::TryLockError::WouldBlock) => {
                let why = "another process writes this record; each needs a file of its own";
                return Err(io::Error::new(io::ErrorKind::ResourceBusy, why));
            }
            Err(fs::TryLockError::Error(error)) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests;

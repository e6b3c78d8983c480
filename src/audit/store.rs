//! Where the record's lines go, and what has to be done there beside writing them.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant, SystemTime};

use super::archive;
use super::chain::{Algorithm, Head};
use super::layout::Layout;
use super::mark::{Mark, now};
use super::segments::{Rotation, Segments};
use super::stream::{self, Pipe, Stream};
use super::text;

/// How often segments whose time is over are looked for.
const RETIRE: Duration = Duration::from_secs(3600);

/// Opens what is neither missing nor a plain file.
fn special(path: &Path) -> io::Result<Option<File>> {
    let kind = match fs::metadata(path) {
        Ok(there) => there.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if kind.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    // A pipe that is opened for both does not wait for its reader.
    let mut options = OpenOptions::new();
    options.write(true).read(kind.is_fifo());
    if kind.is_file() { Ok(None) } else { options.open(path).map(Some) }
}

pub(super) enum Store {
    Files {
        segments: Segments,
        archive: Sender<()>,
        retain: Option<Duration>,
        /// When segments whose time is over were last looked for.
        retired: Option<Instant>,
    },
    Stream(Stream),
    /// A terminal: lines for people.
    Text(Pipe),
}

impl Store {
    /// The record whose active file is `path`.
    pub(super) fn open(
        path: &Path,
        rotation: Rotation,
        retain: Option<Duration>,
        algorithm: Algorithm,
        host: Option<String>,
    ) -> io::Result<Self> {
        if let Some(device) = special(path)? {
            return Ok(Self::Stream(Stream::new(Box::new(device), algorithm, host.as_deref())));
        }
        let layout = Layout::new(path);
        let segments = Segments::open(layout.clone(), rotation, &algorithm, host)?;
        Ok(Self::Files { segments, archive: archive::start(layout)?, retain, retired: None })
    }

    pub(super) fn write(&mut self, bodies: Vec<Vec<u8>>, sync: bool) -> io::Result<()> {
        match self {
            Self::Files { segments, .. } => segments.write(bodies, sync),
            Self::Stream(stream) => stream.write(bodies),
            Self::Text(pipe) => pipe.write(&bodies.concat()),
        }
    }

    pub(super) fn settle(&mut self) -> io::Result<()> {
        match self {
            Self::Files { segments, .. } => segments.settle(),
            Self::Stream(stream) => stream.write([]),
            Self::Text(pipe) => pipe.write(&[]),
        }
    }

    /// Whether a sync would make lines durable.
    pub(super) fn is_dirty(&self) -> bool {
        matches!(self, Self::Files { segments, .. } if segments.is_dirty())
    }

    pub(super) fn head(&self) -> Option<Head> {
        match self {
            Self::Files { segments, .. } => segments.durable(),
            Self::Stream(stream) => stream.written(),
            Self::Text(_) => None,
        }
    }

    pub(super) fn number(&self) -> u64 {
        match self {
            Self::Files { segments, .. } => segments.number(),
            Self::Stream(_) => stream::NUMBER,
            Self::Text(_) => 0,
        }
    }

    pub(super) fn gap(&self, reads: u64, writes: u64) -> Vec<u8> {
        match self {
            Self::Text(_) => text::gap(reads, writes),
            _ => Mark::Gap { number: self.number(), noted: now(), reads, writes }.body(),
        }
    }

    pub(super) fn is_complete(&self) -> bool {
        matches!(self, Self::Files { segments, .. } if segments.is_complete())
    }

    pub(super) fn rotate(&mut self) -> io::Result<()> {
        let Self::Files { segments, archive, retired, .. } = self else { return Ok(()) };
        *retired = None;
        segments.rotate()?;
        // The thread ends with this sender only.
        let _ = archive.send(());
        Ok(())
    }

    /// What has to be done now and then.
    pub(super) fn look_after(&mut self) -> io::Result<()> {
        let Self::Files { segments, retain, retired, .. } = self else { return Ok(()) };
        segments.leave_removed()?;
        let due = retired.is_none_or(|retired| retired.elapsed() >= RETIRE);
        if let Some(retain) = retain.filter(|_| due) {
            *retired = Some(Instant::now());
            retire(segments, retain)?;
        }
        Ok(())
    }

    pub(super) fn reopen(&mut self) -> io::Result<()> {
        let Self::Files { segments, .. } = self else { return Ok(()) };
        if segments.is_displaced() { segments.rotate() } else { Ok(()) }
    }

    pub(super) fn seal(&mut self) -> io::Result<()> {
        match self {
            Self::Files { segments, .. } => segments.seal(),
            Self::Stream(stream) => stream.seal(),
            Self::Text(pipe) => pipe.write(&[]),
        }
    }
}

#[cfg(test)]
impl Store {
    /// From now on the active segment is a device.
    pub(super) fn break_disk(&mut self, device: &str) -> io::Result<()> {
        match self {
            Self::Files { segments, .. } => segments.break_disk(device),
            _ => Ok(()),
        }
    }
}

/// Deletes the segments whose time is over, after the record says so.
fn retire(segments: &mut Segments, retain: Duration) -> io::Result<()> {
    let expired = archive::expired(segments.layout(), retain, SystemTime::now());
    let expired = match expired {
        Ok(expired) => expired,
        Err(error) => {
            tracing::warn!(%error, "audit folder cannot be read");
            return Ok(());
        }
    };
    let Some(last) = expired.last() else { return Ok(()) };
    segments.write([segments.retired(last.number)], true)?;
    for past in &expired {
        if let Err(error) = fs::remove_file(&past.path) {
            tracing::warn!(file = %past.path.display(), %error, "audit segment cannot be deleted");
        }
    }
    Ok(())
}

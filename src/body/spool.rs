//! Bodies that must be known before they are sent: small ones in memory, larger ones in an unlinked temporary file.
//!
//! Memory and file space are budgets of the whole process. When memory is short, bodies go to files; when files are
//! short, the request is refused. A reservation is given back when its body is gone, however it goes.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use md5::Md5;
use sha2::{Digest, Sha256};
use tokio::task::JoinHandle;

use super::plain::Plain;
use super::{Data, Meter};
use crate::config::Limits;
use crate::reason::Reason;
use crate::sign::chunked::Trailer;

/// A body of this length or less stays in memory when there is room.
pub const IN_MEMORY: u64 = 1 << 20;
/// A body of unknown length goes to a file when it is longer than this: many may come at once.
const SPILL: u64 = 256 << 10;
/// Bytes that are read from or written to a file at a time.
const PIECE: usize = 128 << 10;
/// Pieces that wait for one write; each may hold on to a buffer larger than itself.
const PIECES: usize = 16;

/// What all gathered bodies of the process take.
#[derive(Debug, Default)]
pub struct Budget {
    memory: Arc<AtomicU64>,
    spool: Arc<AtomicU64>,
}

/// A part of a budget, given back when dropped.
#[derive(Debug)]
pub struct Reservation {
    from: Arc<AtomicU64>,
    amount: u64,
}

impl Reservation {
    fn none(from: &Arc<AtomicU64>) -> Self {
        Self { from: from.clone(), amount: 0 }
    }

    /// Takes `amount` more bytes, if the budget of `limit` bytes allows it.
    fn grow(&mut self, amount: u64, limit: u64) -> bool {
        let taken = self.from.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            used.checked_add(amount).filter(|used| *used <= limit)
        });
        self.amount += if taken.is_ok() { amount } else { 0 };
        taken.is_ok()
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.from.fetch_sub(self.amount, Ordering::Relaxed);
    }
}

/// A whole body, and the checked trailers that it ended with.
pub struct Gathered {
    /// Where it is.
    pub place: Place,
    /// Its SHA-256.
    pub digest: [u8; 32],
    /// Trailers of an `aws-chunked` body.
    pub trailers: Vec<Trailer>,
}

/// Where a gathered body waits.
pub enum Place {
    /// In memory.
    Memory(Bytes, Reservation),
    /// In a file.
    File(Spooled),
}

/// What is wanted of a body while it is gathered.
pub struct Wanted<'w> {
    /// A body of a known length above this many bytes waits in a file.
    pub known: u64,
    /// A body of unknown length goes to a file when it has grown beyond this many bytes.
    pub unknown: u64,
    /// A running MD5 that shall see it.
    pub md5: Option<&'w mut Md5>,
}

impl Default for Wanted<'_> {
    fn default() -> Self {
        Self { known: IN_MEMORY, unknown: SPILL, md5: None }
    }
}

/// Where gathered bodies may go.
#[derive(Clone, Default)]
pub struct Store {
    /// The budget of the process.
    pub budget: Arc<Budget>,
    /// The folder of temporary files; absent: the system's.
    pub folder: Option<PathBuf>,
}

impl Store {
    /// Reads a whole body, up to `limits.body` bytes; a stated length beyond it is refused before any is read.
    pub async fn gather(
        &self,
        mut plain: Plain,
        limits: &Limits,
        mut wanted: Wanted<'_>,
    ) -> Result<Gathered, Reason> {
        if plain.length().is_some_and(|length| length > limits.body) {
            return Err(Reason::BodyTooLarge(limits.body));
        }
        let mut hash = Sha256::new();
        // What will not stay in memory does not begin there; what will is given room for all of it at once.
        let (most, room) = match plain.length() {
            Some(length) if length > wanted.known => (0, 0),
            Some(length) => (length, usize::try_from(length).unwrap_or(0)),
            None => (wanted.unknown, 0),
        };
        let mut memory = BytesMut::with_capacity(room);
        let mut in_memory = Reservation::none(&self.budget.memory);
        let mut file: Option<Writer> = None;
        let mut length = 0;
        while let Some(data) = std::future::poll_fn(|context| plain.poll_data(context)).await {
            let Ok(data) = data else {
                return Err(plain.meter().failed.borrow_mut().take().unwrap_or(Reason::BodyIncomplete));
            };
            length += data.len() as u64;
            if length > limits.body {
                return Err(Reason::BodyTooLarge(limits.body));
            }
            hash.update(&data);
            if let Some(md5) = &mut wanted.md5 {
                md5.update(&data);
            }
            if file.is_none() && (length > most || !in_memory.grow(data.len() as u64, limits.memory)) {
                let mut writer = self.open().await?;
                writer.write(std::mem::take(&mut memory).freeze(), limits).await?;
                in_memory = Reservation::none(&self.budget.memory);
                file = Some(writer);
            }
            match &mut file {
                Some(file) => file.write(data, limits).await?,
                None => memory.extend_from_slice(&data),
            }
        }
        let place = match file {
            Some(file) => Place::File(file.finish().await?),
            None => Place::Memory(memory.freeze(), in_memory),
        };
        Ok(Gathered { place, digest: hash.finalize().into(), trailers: plain.trailers().to_vec() })
    }

    async fn open(&self) -> Result<Writer, Reason> {
        let folder: Arc<Path> = self.folder.clone().unwrap_or_else(std::env::temp_dir).into();
        let named = folder.clone();
        let opened = tokio::task::spawn_blocking(move || tempfile::tempfile_in(named));
        let opened = opened.await.map_err(|_| Reason::Internal)?;
        let file = Arc::new(opened.map_err(|error| unusable(&folder, &error))?);
        let reservation = Reservation::none(&self.budget.spool);
        Ok(Writer { file, folder, written: 0, waiting: Vec::new(), reservation })
    }
}

/// Tells the operator; the caller learns only that there is no room.
fn unusable(folder: &Path, error: &io::Error) -> Reason {
    tracing::error!(folder = %folder.display(), %error, "the spool folder cannot be used");
    Reason::SpoolFull
}

/// A temporary file while it is written.
struct Writer {
    file: Arc<File>,
    folder: Arc<Path>,
    written: u64,
    /// What is not written yet, so that small pieces do not each go to another thread.
    waiting: Vec<Bytes>,
    reservation: Reservation,
}

impl Writer {
    async fn write(&mut self, data: Bytes, limits: &Limits) -> Result<(), Reason> {
        if !self.reservation.grow(data.len() as u64, limits.spool) {
            return Err(Reason::SpoolFull);
        }
        self.waiting.push(data);
        if self.waiting.iter().map(Bytes::len).sum::<usize>() >= PIECE || self.waiting.len() >= PIECES {
            self.flush().await?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Reason> {
        let (file, waiting, from) = (self.file.clone(), std::mem::take(&mut self.waiting), self.written);
        let written = tokio::task::spawn_blocking(move || {
            waiting.iter().try_fold(from, |at, data| {
                file.write_all_at(data, at)?;
                Ok(at + data.len() as u64)
            })
        });
        let written: io::Result<u64> = written.await.map_err(|_| Reason::Internal)?;
        self.written = written.map_err(|error| unusable(&self.folder, &error))?;
        Ok(())
    }

    async fn finish(mut self) -> Result<Spooled, Reason> {
        self.flush().await?;
        let Self { file, folder, written, reservation, .. } = self;
        Ok(Spooled { file, folder, length: written, read: 0, reading: None, _reservation: reservation })
    }
}

/// A body in a temporary file that has no name any more.
pub struct Spooled {
    file: Arc<File>,
    folder: Arc<Path>,
    length: u64,
    read: u64,
    /// The piece that is being read, on a thread where files may block.
    reading: Option<JoinHandle<io::Result<Bytes>>>,
    _reservation: Reservation,
}

impl Spooled {
    /// Its length in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The next bytes of the file.
    pub fn poll_data(&mut self, context: &mut Context<'_>, meter: &Meter) -> Data {
        let (at, left) = (self.read, self.length - self.read);
        if left == 0 {
            return Poll::Ready(None);
        }
        let reading = self.reading.get_or_insert_with(|| {
            let file = self.file.clone();
            let size = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
            tokio::task::spawn_blocking(move || {
                let mut piece = vec![0; size];
                file.read_exact_at(&mut piece, at).map(|()| piece.into())
            })
        });
        let read = ready!(Pin::new(reading).poll(context));
        self.reading = None;
        Poll::Ready(Some(match read.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok(piece) => {
                self.read += piece.len() as u64;
                Ok(piece)
            }
            Err(error) => Err(meter.fail(unusable(&self.folder, &error))),
        }))
    }
}

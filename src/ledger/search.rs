//! Searching for somebody who waits: the latest calls that match, or how far the index has come.
//!
//! An index that has much to read takes minutes. It catches up on a thread of its own, also when whoever asked has
//! been told to come back; there is never more than one.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::Error;
use super::filter::Filter;
use super::index::{Index, Step};
use super::query::{Call, More};

/// The latest calls that the filter covers, in the order of their arrival. Brings the index up to date first, however
/// long that takes.
///
/// # Errors
/// The record, or the index.
pub fn search(log: &Path, index: Option<&Path>, filter: &Filter, limit: usize) -> Result<Vec<Call>, Error> {
    ask(log, index, filter, limit, &mut |_| {})
}

fn ask(
    log: &Path,
    path: Option<&Path>,
    filter: &Filter,
    limit: usize,
    progress: &mut dyn FnMut(Step),
) -> Result<Vec<Call>, Error> {
    let mut again = true;
    loop {
        let mut found = Vec::new();
        let done = Index::open(log, path, progress).and_then(|index| {
            index.calls(filter, Some(limit), |call| {
                found.push(call);
                Ok(More::Continue(()))
            })
        });
        match done {
            // An index that proved wrong is made anew, once.
            Err(Error::Damaged(_) | Error::Gone(_)) if again => again = false,
            done => return done.map(|()| found),
        }
    }
}

/// What a question came to.
#[derive(Debug)]
pub enum Answer {
    /// The calls.
    Calls(Vec<Call>),
    /// Not yet: the index catches up, and is so many percent there, as far as that is known.
    Indexing(Option<u8>),
}

/// Where questions about one record are asked, one at a time. Cheap to clone.
#[derive(Clone)]
pub struct Desk(Arc<Inner>);

struct Inner {
    log: PathBuf,
    index: Option<PathBuf>,
    work: Mutex<Work>,
    free: Condvar,
}

#[derive(Default)]
struct Work {
    busy: bool,
    step: Option<Step>,
}

impl Desk {
    /// Over the record at `log`; its index is beside it unless said.
    pub fn new(log: PathBuf, index: Option<PathBuf>) -> Self {
        Self(Arc::new(Inner { log, index, work: Mutex::default(), free: Condvar::new() }))
    }

    /// As [`search`], for at most about as long as `patience`. It blocks for that long.
    ///
    /// # Errors
    /// As [`search`].
    pub fn ask(&self, filter: Filter, limit: usize, patience: Duration) -> Result<Answer, Error> {
        let until = Instant::now() + patience;
        let Some(turn) = self.turn(until) else { return Ok(self.indexing()) };
        let (send, answer) = channel();
        let inner = Arc::clone(&self.0);
        let worker = thread::Builder::new().name("audit-search".into()).spawn(move || {
            let Inner { log, index, .. } = &*inner;
            let found = ask(log, index.as_deref(), &filter, limit, &mut |step| {
                inner.work().step = Some(step);
            });
            // The turn is over before the answer is there, so that whoever has it may ask the next at once.
            drop(turn);
            // Whoever asked may have been told to come back.
            let _ = send.send(found);
        });
        worker.map_err(Error::record(&self.0.log))?;
        match answer.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(found) => found.map(Answer::Calls),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Ok(self.indexing()),
        }
    }

    /// Waits until nobody else's question is worked on.
    fn turn(&self, until: Instant) -> Option<Turn> {
        let mut work = self.0.work();
        while work.busy {
            let left = until.checked_duration_since(Instant::now())?;
            work = self.0.free.wait_timeout(work, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        *work = Work { busy: true, step: None };
        drop(work);
        Some(Turn(Arc::clone(&self.0)))
    }

    fn indexing(&self) -> Answer {
        let percent = |done: u64, of: u64| u8::try_from(done.min(of) * 100 / of.max(1)).unwrap_or(100);
        Answer::Indexing(match self.0.work().step {
            // Sorting what was read takes about a third of the time.
            Some(Step::Reading { bytes, of, .. }) => Some(percent(bytes, of) / 3 * 2),
            Some(Step::Sorting { made, of }) => Some(66 + percent(made as u64, of as u64) / 3),
            Some(Step::Waiting) | None => None,
        })
    }
}

impl Inner {
    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to work; over when it is dropped, however the work ended.
struct Turn(Arc<Inner>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.work().busy = false;
        self.0.free.notify_all();
    }
}

//! The handle that workers hold: takes events, says whether they can be recorded, and never blocks a thread.
//!
//! An intent is a promise to wait for; an outcome is handed over. What waits to be written is bounded: before the bound
//! is reached, calls are not admitted any more; what does not fit in spite of that is counted, and the record itself
//! says how many lines are missing.

use std::future::Future;
use std::sync::atomic::{
    AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed, Ordering::Release, Ordering::SeqCst, fence,
};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot};

use super::chain::Head;
use super::event::{Event, Kind};
use super::text;

/// The longest that a call waits for its intent or for room; the caller has its answer within a second.
const PATIENCE: Duration = Duration::from_millis(900);
/// Bytes of waiting lines beyond which no call is admitted until there is room.
const CROWDED: usize = 8 << 20;
/// Bytes beyond which outcomes of reads are not kept. What is in between belongs to calls that were admitted before.
const FULL_FOR_READS: usize = 48 << 20;
/// Bytes beyond which nothing is kept.
const FULL: usize = 64 << 20;
/// Bytes that are written without waiting for more.
const PLENTY: usize = 256 << 10;

/// Why nothing can be recorded now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.why())]
pub enum Unrecorded {
    /// The last write failed; it is tried again by itself.
    Failing,
    /// A write has been under way for too long.
    Stalled,
    /// Too much waits to be written.
    Crowded,
    /// The process is ending, or the writer is gone.
    Stopped,
}

impl Unrecorded {
    /// The same as its `Display`, for those who keep it.
    pub fn why(self) -> &'static str {
        match self {
            Self::Failing => "the record cannot be written",
            Self::Stalled => "writing the record takes too long",
            Self::Crowded => "too many events wait to be recorded",
            Self::Stopped => "nothing is recorded any more",
        }
    }
}

/// What goes to the writer.
pub(super) enum Message {
    Line(Line),
    Reopen,
    Stop,
}

/// A line on its way.
pub(super) struct Line {
    pub(super) body: Vec<u8>,
    /// Of an intent: who waits for it to be durable.
    pub(super) waiter: Option<oneshot::Sender<()>>,
}

/// What the writer and the handles know of each other.
pub(super) struct Shared {
    started: Instant,
    /// The writer's thread, once it runs.
    pub(super) thread: OnceLock<Thread>,
    /// Whether the writer sleeps until something comes. Otherwise it looks by itself, soon.
    pub(super) asleep: AtomicBool,
    /// Whether somebody waits for what the writer is to do next.
    pub(super) hurry: AtomicBool,
    /// Milliseconds after `started` at which the writer began what it is doing, plus one; 0 when it does nothing.
    busy_since: AtomicU64,
    pub(super) failing: AtomicBool,
    pub(super) stopping: AtomicBool,
    waiting_lines: AtomicUsize,
    waiting_bytes: AtomicUsize,
    /// Told when there is room again.
    room: Notify,
    pub(super) lost: Lost,
    pub(super) intents: AtomicU64,
    pub(super) outcomes: AtomicU64,
    pub(super) commits: AtomicU64,
    pub(super) errors: AtomicU64,
    pub(super) position: Mutex<Position>,
}

/// Outcomes that could not be kept: since the last gap line, and over all.
#[derive(Default)]
pub(super) struct Lost {
    pub(super) reads: AtomicU64,
    pub(super) writes: AtomicU64,
    all_reads: AtomicU64,
    all_writes: AtomicU64,
}

/// What changes with every batch.
#[derive(Default)]
pub(super) struct Position {
    pub(super) head: Option<Head>,
    pub(super) segment: u64,
    pub(super) last_error: Option<String>,
}

impl Shared {
    pub(super) fn new() -> Self {
        Self {
            started: Instant::now(),
            thread: OnceLock::new(),
            asleep: AtomicBool::new(false),
            hurry: AtomicBool::new(false),
            busy_since: AtomicU64::new(0),
            failing: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            waiting_lines: AtomicUsize::new(0),
            waiting_bytes: AtomicUsize::new(0),
            room: Notify::new(),
            lost: Lost::default(),
            intents: AtomicU64::new(0),
            outcomes: AtomicU64::new(0),
            commits: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            position: Mutex::default(),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX) + 1
    }

    /// The writer begins or ends something that may take long.
    pub(super) fn busy(&self, busy: bool) {
        self.busy_since.store(if busy { self.now() } else { 0 }, Relaxed);
    }

    /// Something was put into the queue. The writer is woken where somebody waits for it, or where it sleeps: to wake a
    /// thread costs more than to write a line.
    fn came(&self, urgent: bool) {
        if urgent {
            self.hurry.store(true, Release);
        }
        // Either the writer sees what came when it looks once more before it sleeps, or this sees that it sleeps.
        fence(SeqCst);
        if (self.asleep.load(Relaxed) || urgent)
            && let Some(thread) = self.thread.get()
        {
            self.asleep.store(false, Relaxed);
            thread.unpark();
        }
    }

    /// A line has left the queue.
    pub(super) fn taken(&self, line: &Line) {
        self.waiting_lines.fetch_sub(1, Relaxed);
        self.waiting_bytes.fetch_sub(line.body.len(), Relaxed);
    }

    /// There may be room again.
    pub(super) fn tell_room(&self) {
        self.room.notify_waiters();
    }

    pub(super) fn position(&self) -> std::sync::MutexGuard<'_, Position> {
        self.position.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stalled(&self) -> bool {
        let since = self.busy_since.load(Relaxed);
        since != 0 && Duration::from_millis(self.now().saturating_sub(since)) >= PATIENCE
    }

    /// What keeps a call from being recorded now.
    fn obstacle(&self) -> Option<Unrecorded> {
        if self.stopping.load(Relaxed) {
            Some(Unrecorded::Stopped)
        } else if self.failing.load(Relaxed) {
            Some(Unrecorded::Failing)
        } else if self.is_stalled() {
            Some(Unrecorded::Stalled)
        } else {
            (self.waiting_bytes.load(Relaxed) > CROWDED).then_some(Unrecorded::Crowded)
        }
    }
}

/// How the record stands.
#[derive(Clone, Debug)]
pub struct State {
    /// The last line that is known to be on the disk, or written to the stream.
    pub head: Option<Head>,
    /// The number of the segment that is written to.
    pub segment: u64,
    /// What keeps calls from being recorded; `None` is what readiness needs.
    pub obstacle: Option<Unrecorded>,
    /// The last error, for as long as nothing could be written since.
    pub last_error: Option<String>,
    /// Lines that wait to be written.
    pub waiting_lines: usize,
    /// Their bytes.
    pub waiting_bytes: usize,
    /// Intents written since the start.
    pub intents: u64,
    /// Outcomes written since the start.
    pub outcomes: u64,
    /// Syncs since the start.
    pub commits: u64,
    /// Failed writes and syncs since the start.
    pub errors: u64,
    /// Outcomes of calls that change nothing that could not be kept, since the start.
    pub lost_reads: u64,
    /// The same of all other calls.
    pub lost_writes: u64,
}

/// A handle to the writer. Cheap to clone.
#[derive(Clone)]
pub struct Recorder {
    pub(super) shared: Arc<Shared>,
    pub(super) queue: Sender<Message>,
    /// Lines go to a terminal, which is no record: no call waits for it.
    pub(super) for_people: bool,
}

impl Recorder {
    /// Whether a call that is known to be a read may go on at once.
    pub fn is_free(&self) -> bool {
        self.for_people || self.shared.obstacle().is_none()
    }

    /// Waits until a call that is known to be a read may go on: at once, unless much waits to be written.
    ///
    /// # Errors
    /// When it could not be recorded. `on-full` says what becomes of the call.
    pub async fn admit(&self) -> Result<(), Unrecorded> {
        if self.for_people {
            return Ok(());
        }
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let room = self.shared.room.notified();
            match self.shared.obstacle() {
                None => return Ok(()),
                Some(Unrecorded::Crowded) => {
                    if tokio::time::timeout_at(deadline, room).await.is_err() {
                        return Err(Unrecorded::Crowded);
                    }
                }
                Some(obstacle) => return Err(obstacle),
            }
        }
    }

    /// Records an intent; resolves when it is durable. The event is taken at once, whether or not the future is polled.
    ///
    /// # Errors
    /// When it is not durable within a second: the call must not be sent. Its outcome is recorded like any other.
    pub fn intent(&self, event: &Event<'_>) -> impl Future<Output = Result<(), Unrecorded>> + Send + use<> {
        debug_assert_eq!(event.kind, Kind::Intent);
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let sent = (!self.for_people).then(|| self.send_intent(event));
        let shared = self.shared.clone();
        async move {
            let Some(sent) = sent else { return Ok(()) };
            match tokio::time::timeout_at(deadline, sent?).await {
                Ok(Ok(())) => Ok(()),
                // The writer let go of it: the write failed, or the process is ending.
                Ok(Err(_)) => Err(shared.obstacle().unwrap_or(Unrecorded::Failing)),
                Err(_) => Err(Unrecorded::Stalled),
            }
        }
    }

    fn send_intent(&self, event: &Event<'_>) -> Result<oneshot::Receiver<()>, Unrecorded> {
        match self.shared.obstacle() {
            None | Some(Unrecorded::Crowded) => {}
            Some(obstacle) => return Err(obstacle),
        }
        let (waiter, durable) = oneshot::channel();
        let line = Line { body: event.line(), waiter: Some(waiter) };
        if self.send(line, FULL_FOR_READS) { Ok(durable) } else { Err(Unrecorded::Crowded) }
    }

    /// Records an outcome; never waits. What cannot be kept is counted, and the record says so when it is written again.
    pub fn outcome(&self, event: &Event<'_>) {
        debug_assert_eq!(event.kind, Kind::Outcome);
        let lost = &self.shared.lost;
        let (most, lost, all) = if event.read_only {
            (FULL_FOR_READS, &lost.reads, &lost.all_reads)
        } else {
            (FULL, &lost.writes, &lost.all_writes)
        };
        let body = if self.for_people { text::line(event) } else { event.line() };
        if !self.send(Line { body, waiter: None }, most) {
            lost.fetch_add(1, Relaxed);
            all.fetch_add(1, Relaxed);
        }
    }

    /// Whether there was room.
    fn send(&self, line: Line, most: usize) -> bool {
        let length = line.body.len();
        let before = self.shared.waiting_bytes.fetch_add(length, Relaxed);
        if before + length > most {
            self.shared.waiting_bytes.fetch_sub(length, Relaxed);
            return false;
        }
        self.shared.waiting_lines.fetch_add(1, Relaxed);
        let urgent = line.waiter.is_some() || (before < PLENTY && before + length >= PLENTY);
        let sent = self.queue.send(Message::Line(line)).is_ok();
        self.shared.came(urgent);
        sent
    }

    /// Tells the writer something that it is to do at once.
    pub(super) fn tell(&self, message: Message) {
        // Without a writer there is nothing to tell.
        let _ = self.queue.send(message);
        self.shared.came(true);
    }

    /// Goes on in a new file where somebody moved the active one away (`USR1`).
    pub fn reopen(&self) {
        self.tell(Message::Reopen);
    }

    /// How the record stands.
    pub fn state(&self) -> State {
        let shared = &self.shared;
        let (head, segment, last_error) = {
            let position = shared.position();
            (position.head, position.segment, position.last_error.clone())
        };
        State {
            head,
            segment,
            obstacle: shared.obstacle(),
            last_error,
            waiting_lines: shared.waiting_lines.load(Relaxed),
            waiting_bytes: shared.waiting_bytes.load(Relaxed),
            intents: shared.intents.load(Relaxed),
            outcomes: shared.outcomes.load(Relaxed),
            commits: shared.commits.load(Relaxed),
            errors: shared.errors.load(Relaxed),
            lost_reads: shared.lost.all_reads.load(Relaxed),
            lost_writes: shared.lost.all_writes.load(Relaxed),
        }
    }
}

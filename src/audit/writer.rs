//! The thread that writes the record: takes what waits, writes it at once, syncs when an intent is among it, and only
//! then tells those who wait.
//!
//! While one sync is under way the next batch gathers, so many intents share a sync and none waits longer than for
//! two. When writing fails, every waiter is let go at once; the thread tries again, ever less often, until it works.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, SeqCst};
use std::sync::atomic::fence;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::chain::Algorithm;
use super::recorder::{Line, Message, Recorder, Shared};
use super::segments::Rotation;
use super::store::Store;
use super::stream::{Pipe, Stream};
use crate::secret::Secret;

/// Bytes that are written at once.
const BATCH: usize = 1 << 20;
/// How often the thread looks after the files when nothing else happens; outcomes are durable after this time too.
const TICK: Duration = Duration::from_secs(1);
/// How long lines gather that nobody waits for: a thread that is woken for each of them costs a busy gateway more than
/// everything else about them.
const GATHER: Duration = Duration::from_millis(10);
/// The pauses between attempts while writing fails.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));

/// Where the record goes.
pub enum Sink {
    /// Segments: this file, and those beside it. A pipe or a device is written to as a stream.
    File(PathBuf),
    /// Standard output, or whatever a test looks into.
    Stream(Box<dyn Write + Send>),
    /// A terminal: one line of text for each outcome, for people. Nothing is chained, no intent is written, and none is
    /// waited for.
    Text(Box<dyn Write + Send>),
}

/// How the record is kept.
pub struct Settings {
    /// Where it goes.
    pub sink: Sink,
    /// With it, nobody else can write lines that verify.
    pub key: Option<Secret>,
    /// When segments are complete.
    pub rotation: Rotation,
    /// After how long segments are deleted; absent: never.
    pub retain: Option<Duration>,
}

/// Why the record cannot be begun.
#[derive(Debug, thiserror::Error)]
#[error("the record {} cannot be opened: {error}; check that its folder exists and that the user countersign runs as \
         may write there", .file.display())]
pub struct StartError {
    /// The file.
    pub file: PathBuf,
    /// What is wrong.
    #[source]
    pub error: io::Error,
}

/// The end of a record that could not be written to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfinished {
    /// The writer did not end in time.
    #[error("the record's writer did not end in time; lines may be missing")]
    Late,
    /// The last lines could not be written.
    #[error("the record's last lines could not be written")]
    Failed,
}

/// The writer's thread, for whoever has to end it.
pub struct Writer {
    recorder: Recorder,
    ended: Receiver<Result<(), Unfinished>>,
}

impl Writer {
    /// Writes what waits, seals the segment and ends, or gives up after `limit`.
    ///
    /// # Errors
    /// When not everything was written.
    pub fn stop(self, limit: Duration) -> Result<(), Unfinished> {
        self.recorder.shared.stopping.store(true, Relaxed);
        self.recorder.tell(Message::Stop);
        self.ended.recv_timeout(limit).unwrap_or(Err(Unfinished::Late))
    }
}

/// Opens the record and starts its thread. A disk that cannot be written to does not keep it from starting: calls are
/// refused, by `on-full`, until it can.
///
/// # Errors
/// When the files cannot be read, or another process writes them.
pub fn start(settings: Settings) -> Result<(Recorder, Writer), StartError> {
    let Settings { sink, key, rotation, retain } = settings;
    let algorithm = Algorithm::new(key.as_ref());
    let host = rustix::system::uname().nodename().to_str().ok().map(str::to_owned);
    let file = match &sink {
        Sink::File(file) => file.clone(),
        Sink::Stream(_) | Sink::Text(_) => "-".into(),
    };
    let fail = |error| StartError { file: file.clone(), error };
    let for_people = matches!(sink, Sink::Text(_));
    let store = match sink {
        Sink::Text(sink) => Store::Text(Pipe::new(sink)),
        Sink::Stream(sink) => Store::Stream(Stream::new(sink, algorithm, host.as_deref())),
        Sink::File(path) => Store::open(&path, rotation, retain, algorithm, host).map_err(fail)?,
    };
    let (queue, messages) = channel();
    let shared = Arc::new(Shared::new());
    let recorder = Recorder { shared: shared.clone(), queue, for_people };
    let (end, ended) = channel();
    thread::Builder::new()
        .name("audit".into())
        .spawn(move || {
            let _end = End(shared.clone());
            let outcome = Run { store, shared, messages, pause: PAUSES.0, looked: Instant::now() }.run();
            // Nobody waits when the process ends without stopping the writer.
            let _ = end.send(outcome);
        })
        .map_err(fail)?;
    Ok((recorder.clone(), Writer { recorder, ended }))
}

/// Whatever ends the thread, a panic too, nothing is admitted afterwards.
struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.stopping.store(true, Relaxed);
    }
}

/// The thread's own.
struct Run {
    store: Store,
    shared: Arc<Shared>,
    messages: Receiver<Message>,
    pause: Duration,
    /// When the files were last looked after.
    looked: Instant,
}

/// Whether the thread goes on.
enum Next {
    Go,
    Stop,
}

impl Run {
    fn run(mut self) -> Result<(), Unfinished> {
        self.shared.thread.get_or_init(thread::current);
        self.attempt(Store::settle);
        loop {
            if self.shared.failing.load(Relaxed) && !self.recovers() {
                return self.give_up();
            }
            match self.next() {
                Ok(message) => {
                    if let Next::Stop = self.take(message) {
                        return self.finish();
                    }
                }
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => return self.finish(),
            }
            if !self.shared.failing.load(Relaxed) {
                self.housekeeping();
            }
        }
    }

    /// The next message, when others have had time to gather behind it or somebody waits; none within a tick.
    fn next(&mut self) -> Result<Message, TryRecvError> {
        let message = match self.messages.try_recv() {
            Err(TryRecvError::Empty) => self.sleep()?,
            there => there?,
        };
        let until = Instant::now() + GATHER;
        while !self.shared.hurry.load(Acquire) && Instant::now() < until {
            thread::park_timeout(until.saturating_duration_since(Instant::now()));
        }
        self.shared.hurry.store(false, Relaxed);
        Ok(message)
    }

    /// Sleeps until something comes, or for a tick.
    fn sleep(&mut self) -> Result<Message, TryRecvError> {
        let asleep = &self.shared.asleep;
        asleep.store(true, Relaxed);
        fence(SeqCst);
        // What came before it could be seen that this thread sleeps.
        let message = self.messages.try_recv();
        if matches!(message, Err(TryRecvError::Empty)) {
            thread::park_timeout(TICK);
        }
        asleep.store(false, Relaxed);
        message.or_else(|_| self.messages.try_recv())
    }

    /// Does something that may fail or take long, and keeps the books.
    fn attempt(&mut self, work: impl FnOnce(&mut Store) -> io::Result<()>) -> bool {
        self.shared.busy(true);
        let outcome = work(&mut self.store);
        let mut position = self.shared.position();
        (position.head, position.segment) = (self.store.head(), self.store.number());
        match outcome {
            Ok(()) => {
                if position.last_error.take().is_some() {
                    tracing::info!("the record is written again");
                }
                self.pause = PAUSES.0;
                self.shared.failing.store(false, Relaxed);
            }
            Err(error) => {
                if position.last_error.is_none() {
                    tracing::error!(%error, "the record cannot be written");
                }
                position.last_error = Some(error.to_string());
                self.shared.errors.fetch_add(1, Relaxed);
                self.shared.failing.store(true, Relaxed);
            }
        }
        drop(position);
        self.shared.busy(false);
        !self.shared.failing.load(Relaxed)
    }

    /// Tries until writing works; `false` when the process ends before that.
    fn recovers(&mut self) -> bool {
        loop {
            if self.attempt(Store::settle) {
                self.shared.tell_room();
                return true;
            }
            if self.shared.stopping.load(Relaxed) {
                return false;
            }
            thread::park_timeout(self.pause);
            self.pause = (self.pause * 2).min(PAUSES.1);
        }
    }

    /// Writes the line that came and those behind it.
    fn take(&mut self, message: Message) -> Next {
        let mut bodies = Vec::new();
        let mut waiters = Vec::new();
        let mut bytes = 0;
        let mut message = Some(message);
        let mut reopen = false;
        let mut next = Next::Go;
        let mut intents = 0;
        while let Some(taken) = message.take() {
            match taken {
                Message::Line(Line { body, waiter }) => {
                    let line = Line { body, waiter };
                    self.shared.taken(&line);
                    bytes += line.body.len();
                    match line.waiter {
                        // Nobody waits for it any more, so its call was not sent; its outcome says so.
                        Some(waiter) if waiter.is_closed() => {}
                        Some(waiter) => {
                            bodies.push(line.body);
                            waiters.push(waiter);
                            intents += 1;
                        }
                        None => bodies.push(line.body),
                    }
                }
                Message::Reopen => reopen = true,
                Message::Stop => next = Next::Stop,
            }
            if bytes < BATCH && !reopen && matches!(next, Next::Go) {
                message = self.messages.try_recv().ok();
            }
        }
        self.commit(bodies, waiters, intents);
        if reopen && !self.shared.failing.load(Relaxed) {
            self.attempt(Store::reopen);
        }
        next
    }

    fn commit(&mut self, mut bodies: Vec<Vec<u8>>, waiters: Vec<oneshot::Sender<()>>, intents: u64) {
        let outcomes = bodies.len() as u64 - intents;
        let lost = &self.shared.lost;
        let (reads, writes) = (lost.reads.swap(0, Relaxed), lost.writes.swap(0, Relaxed));
        if reads > 0 || writes > 0 {
            bodies.push(self.store.gap(reads, writes));
        }
        if bodies.is_empty() {
            return;
        }
        let sync = !waiters.is_empty();
        let written = self.attempt(|store| store.write(bodies, sync));
        // Lines that could not be written now are written with the first attempt that succeeds.
        self.shared.intents.fetch_add(intents, Relaxed);
        self.shared.outcomes.fetch_add(outcomes, Relaxed);
        if written {
            self.shared.commits.fetch_add(u64::from(sync), Relaxed);
            for waiter in waiters {
                // Who went away meanwhile has no use for it.
                let _ = waiter.send(());
            }
        }
        self.shared.tell_room();
    }

    fn housekeeping(&mut self) {
        if self.store.is_complete() && !self.attempt(Store::rotate) {
            return;
        }
        if self.looked.elapsed() < TICK {
            return;
        }
        self.looked = Instant::now();
        // Before it syncs into nowhere.
        if !self.attempt(Store::look_after) {
            return;
        }
        if self.store.is_dirty() && self.attempt(|store| store.write(Vec::new(), true)) {
            self.shared.commits.fetch_add(1, Relaxed);
        }
    }

    /// Writes what still waits, and the seal.
    fn finish(mut self) -> Result<(), Unfinished> {
        while let Ok(message) = self.messages.try_recv() {
            self.take(message);
            if self.shared.failing.load(Relaxed) && !self.recovers() {
                return self.give_up();
            }
        }
        self.commit(Vec::new(), Vec::new(), 0);
        // Lines of a write that failed are nowhere yet; and where the seal fails, they are written and sealed anew.
        for _ in 0..2 {
            if self.shared.failing.load(Relaxed) && !self.recovers() {
                return self.give_up();
            }
            if self.attempt(Store::seal) {
                return Ok(());
            }
        }
        Err(Unfinished::Failed)
    }

    /// What waits now will not be written; the log of the process is the only place left to say so.
    fn give_up(self) -> Result<(), Unfinished> {
        let lines = self.messages.try_iter().filter(|message| matches!(message, Message::Line(_))).count();
        tracing::error!(lines, "the record ends without its last lines");
        Err(Unfinished::Failed)
    }
}

#[cfg(test)]
mod tests;

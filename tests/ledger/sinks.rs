//! Sinks that stand still, fail now and then, or break: what waits, what is let go, and what is written in the end.

use std::future::Future;
use std::io::{self, Write};
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use countersign::audit::event::Kind;
use countersign::audit::recorder::{Recorder, Unrecorded};
use countersign::audit::segments::Rotation;
use countersign::audit::writer::{Settings, Sink, Unfinished, Writer, start};

use crate::books::{Books, PATIENCE, calls, event, run};
use crate::naive::follow;

/// What the next write does.
#[derive(Clone, Copy, Default, PartialEq)]
enum Mood {
    /// Takes some bytes.
    #[default]
    Works,
    /// Waits.
    Stands,
    /// Stands once so many bytes are written.
    WorksUntil(usize),
    /// Takes some bytes, and breaks.
    Fails,
    Broken,
    /// Takes none, and says neither why.
    TakesNothing,
    Panics,
}

/// What goes through: the mood, the bytes taken, the writes begun.
type Passage = (Mood, Vec<u8>, usize);

#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<Passage>, Condvar)>);

impl Gate {
    fn set(&self, mood: Mood) {
        self.0.0.lock().unwrap().0 = mood;
        self.0.1.notify_all();
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.0.lock().unwrap().1.clone()).unwrap()
    }

    fn is(&self, mood: Mood) -> bool {
        self.0.0.lock().unwrap().0 == mood
    }

    fn writes(&self) -> usize {
        self.0.0.lock().unwrap().2
    }

    fn open(&self) -> (Recorder, Writer) {
        let sink = Sink::Stream(Box::new(self.clone()));
        let rotation = Rotation { size: 1, age: Duration::ZERO };
        let (recorder, writer) = start(Settings { sink, key: None, rotation, retain: None }).unwrap();
        Books::wait("the open line", || recorder.state().head.is_some());
        (recorder, writer)
    }

    /// Makes the writer wait, with one line in its hands.
    fn stand(&self, recorder: &Recorder) {
        self.set(Mood::Stands);
        let before = self.writes();
        recorder.outcome(&event(Kind::Outcome, "stands", &[], true));
        Books::wait("the write", || self.writes() > before);
    }
}

impl Write for Gate {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.0.0.lock().unwrap();
        state.2 += 1;
        if matches!(state.0, Mood::WorksUntil(most) if state.1.len() >= most) {
            state.0 = Mood::Stands;
        }
        let state = self.0.1.wait_while(state, |state| state.0 == Mood::Stands);
        let mut state = state.unwrap();
        if state.2.is_multiple_of(5) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        match state.0 {
            Mood::Broken => return Err(io::Error::other("no")),
            Mood::TakesNothing => return Ok(0),
            Mood::Panics => {
                drop(state);
                panic!("as the test wants it");
            }
            _ => {}
        }
        // In pieces, as pipes do; a backlog in larger ones.
        let mut taken = bytes.len().min(if bytes.len() > 100_000 { 100_000 } else { 1_000 });
        if state.0 == Mood::Fails {
            (state.0, taken) = (Mood::Broken, 100);
        }
        state.1.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn is_pending<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> bool {
    matches!(future.poll(&mut Context::from_waker(Waker::noop())), Poll::Pending)
}

/// A runtime with a clock, entered for as long as the test polls by hand.
fn clock() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn lines_of(text: &str, id: &str) -> usize {
    follow(text, None).iter().filter(|line| line["requestID"] == id).count()
}

#[test]
fn an_intent_is_promised_only_once_it_is_written() {
    let gate = Gate::default();
    let (recorder, writer) = gate.open();
    let clock = clock();
    let _entered = clock.enter();
    gate.set(Mood::Stands);
    let before = gate.writes();
    let mut intent = pin!(recorder.intent(&event(Kind::Intent, "intent", &[], false)));
    Books::wait("the write", || gate.writes() > before);
    assert!(is_pending(intent.as_mut()), "it is not written yet");
    gate.set(Mood::Works);
    assert_eq!(clock.block_on(intent), Ok(()));
    assert_eq!(lines_of(&gate.text(), "intent"), 1);
    writer.stop(PATIENCE).unwrap();
}

#[test]
fn an_intent_whose_write_fails_is_refused_and_written_later_all_the_same() {
    let gate = Gate::default();
    let (recorder, writer) = gate.open();
    for mood in [Mood::Fails, Mood::TakesNothing] {
        gate.set(mood);
        assert_eq!(
            run(recorder.intent(&event(Kind::Intent, "refused", &[], false))),
            Err(Unrecorded::Failing)
        );
        assert!(recorder.state().last_error.is_some());
        gate.set(Mood::Works);
        Books::wait("recovery", || recorder.state().obstacle.is_none());
        assert_eq!(recorder.state().last_error, None);
        calls(&recorder, "fine", 1);
    }
    let head = recorder.state().head.unwrap();
    writer.stop(PATIENCE).unwrap();
    // What was written in part was written to its end, and nothing twice.
    let text = gate.text();
    assert_eq!(lines_of(&text, "refused"), 2);
    assert_eq!(lines_of(&text, "fine-0"), 4);
    let lines = follow(&text, None);
    let seq = usize::try_from(head.seq).unwrap();
    assert!(seq >= lines.len() - 3, "{head:?} of {}", lines.len());
    assert!(lines[seq]["hash"] == head.to_string().split(':').nth(1).unwrap());
}

#[test]
fn an_intent_that_nobody_waits_for_any_more_is_not_written() {
    let gate = Gate::default();
    let (recorder, writer) = gate.open();
    gate.stand(&recorder);
    let clock = clock();
    let entered = clock.enter();
    drop(recorder.intent(&event(Kind::Intent, "left", &[], false)));
    drop(entered);
    recorder.outcome(&event(Kind::Outcome, "left", &[], false));
    gate.set(Mood::Works);
    writer.stop(PATIENCE).unwrap();
    assert_eq!(lines_of(&gate.text(), "left"), 1);
}

#[test]
fn who_comes_into_a_crowd_waits_for_room() {
    let gate = Gate::default();
    let (recorder, writer) = gate.open();
    gate.stand(&recorder);
    let big = "x".repeat(1_000);
    let resources: Vec<&str> = vec![&big; 60];
    let fill = |until: usize| {
        while recorder.state().waiting_bytes < until {
            recorder.outcome(&event(Kind::Outcome, "filling", &resources, false));
        }
    };
    fill(12 << 20);
    // Its first batches are written; what it has in its hands now it has not had for long.
    let written = gate.text().len();
    gate.set(Mood::WorksUntil(written + (2 << 20)));
    Books::wait("two batches", || gate.is(Mood::Stands));
    assert_eq!(recorder.state().obstacle, Some(Unrecorded::Crowded));
    let clock = clock();
    let entered = clock.enter();
    let mut read = pin!(recorder.admit());
    assert!(is_pending(read.as_mut()));
    // Calls that wait for their intent wait in the same queue.
    let mut intent = pin!(recorder.intent(&event(Kind::Intent, "crowded", &[], false)));
    assert!(is_pending(intent.as_mut()));
    gate.set(Mood::Works);
    assert_eq!(clock.block_on(read), Ok(()));
    assert_eq!(clock.block_on(intent), Ok(()));
    drop(entered);
    Books::wait("room", || recorder.state().waiting_bytes == 0);

    // Nobody waits longer than a caller does, and where nothing more is kept nobody waits.
    gate.stand(&recorder);
    fill(9 << 20);
    let start = Instant::now();
    assert!(run(recorder.admit()).is_err());
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    fill(52 << 20);
    let written = gate.text().len();
    gate.set(Mood::WorksUntil(written + (2 << 20)));
    Books::wait("two batches", || gate.is(Mood::Stands));
    let start = Instant::now();
    let refused = run(recorder.intent(&event(Kind::Intent, "too many", &[], false)));
    assert_eq!(refused, Err(Unrecorded::Crowded));
    assert!(start.elapsed() < Duration::from_millis(100), "{:?}", start.elapsed());
    let waiting = recorder.state().waiting_bytes;
    recorder.outcome(&event(Kind::Outcome, "read", &resources, true));
    assert_eq!((recorder.state().lost_reads, recorder.state().waiting_bytes), (1, waiting));
    gate.set(Mood::Works);
    writer.stop(PATIENCE).unwrap();
    let lines = follow(&gate.text(), None);
    assert_eq!(lines.iter().filter(|line| line["segment"]["record"] == "gap").count(), 1);
    assert!(lines.iter().all(|line| line["requestID"] != "too many"));
}

#[test]
fn what_waits_at_the_end_is_written() {
    let gate = Gate::default();
    let (recorder, writer) = gate.open();
    gate.stand(&recorder);
    recorder.outcome(&event(Kind::Outcome, "before", &[], true));
    let ending = std::thread::spawn(move || writer.stop(PATIENCE));
    Books::wait("the stop", || recorder.state().obstacle == Some(Unrecorded::Stopped));
    // Calls that are cut off leave their outcomes.
    std::thread::sleep(Duration::from_millis(20));
    recorder.outcome(&event(Kind::Outcome, "after", &[], true));
    gate.set(Mood::Works);
    ending.join().unwrap().unwrap();
    let text = gate.text();
    assert_eq!((lines_of(&text, "before"), lines_of(&text, "after")), (1, 1));
    assert_eq!(follow(&text, None).last().unwrap()["segment"]["record"], "seal");
}

#[test]
fn an_end_that_cannot_be_written_is_told_soon() {
    let gate = Gate::default();
    let (recorder, writer) = gate.open();
    gate.set(Mood::TakesNothing);
    recorder.outcome(&event(Kind::Outcome, "read", &[], true));
    Books::wait("the failure", || recorder.state().obstacle == Some(Unrecorded::Failing));
    std::thread::sleep(Duration::from_millis(700));
    let start = Instant::now();
    assert_eq!(writer.stop(PATIENCE), Err(Unfinished::Failed));
    assert!(start.elapsed() < Duration::from_millis(300), "{:?}", start.elapsed());
}

#[test]
fn nobody_is_let_in_when_the_writer_is_gone() {
    let gate = Gate::default();
    let (recorder, writer) = gate.open();
    gate.set(Mood::Panics);
    let intent = run(recorder.intent(&event(Kind::Intent, "intent", &[], false)));
    assert!(intent.is_err());
    Books::wait("the end", || recorder.state().obstacle == Some(Unrecorded::Stopped));
    assert_eq!(run(recorder.admit()), Err(Unrecorded::Stopped));
    assert_eq!(run(recorder.intent(&event(Kind::Intent, "late", &[], false))), Err(Unrecorded::Stopped));
    recorder.outcome(&event(Kind::Outcome, "late", &[], false));
    assert_eq!(recorder.state().lost_writes, 1);
    assert!(writer.stop(PATIENCE).is_err());
}

//! The record where there is no file: chained on standard output, and for people at a terminal.

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::process::Command;
use std::time::{Duration, Instant};

use countersign::audit::event::Kind;
use countersign::audit::recorder::Recorder;
use countersign::audit::segments::Rotation;
use countersign::audit::writer::{Settings, Sink, Writer, start};

use crate::books::{Books, PATIENCE, call, calls, event, head, run};
use crate::naive::follow;

/// A sink that a test can look into. It takes bytes in pieces, as pipes do.
#[derive(Clone, Default)]
struct Kept(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);
impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let taken = bytes.len().min(100);
        self.0.lock().unwrap().extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Kept {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    fn open(&self, sink: fn(Box<dyn Write + Send>) -> Sink) -> (Recorder, Writer) {
        start(Settings {
            sink: sink(Box::new(self.clone())),
            key: None,
            rotation: Rotation { size: 1, age: Duration::ZERO },
            retain: None,
        })
        .unwrap()
    }
}

#[test]
fn a_stream_is_chained_too() {
    let kept = Kept::default();
    let (recorder, writer) = kept.open(Sink::Stream);
    calls(&recorder, "call", 10);
    Books::wait("the last line", || head(&recorder).seq == 20);
    let noted = recorder.state().head.unwrap().to_string().split(':').nth(1).unwrap().to_owned();
    writer.stop(PATIENCE).unwrap();
    let lines = follow(&kept.text(), None);
    assert_eq!(lines.len(), 22);
    // The head is told as soon as it is written.
    assert_eq!(noted, lines[20]["hash"]);
}

#[test]
fn a_terminal_has_a_line_for_each_outcome_and_keeps_nobody_waiting() {
    let kept = Kept::default();
    let (recorder, writer) = kept.open(Sink::Text);
    calls(&recorder, "call", 10);
    run(recorder.admit()).unwrap();
    Books::wait("the lines", || recorder.state().outcomes == 10);
    let state = recorder.state();
    assert_eq!((state.intents, state.head, state.obstacle), (0, None, None));
    assert_eq!((state.waiting_lines, state.waiting_bytes, state.lost_writes), (0, 0, 0));
    writer.stop(PATIENCE).unwrap();
    let text = kept.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 10, "{text}");
    for (index, line) in lines.iter().enumerate() {
        assert!(line.contains(" 200 backups - PutObject 10.0.0.7 client=backup-job "), "{line}");
        assert!(line.contains(&format!(" id=call-{index} ")) && line.is_ascii(), "{line}");
    }
}

#[test]
fn a_terminal_that_stands_still_holds_nobody_up() {
    let books = Books::new();
    let pipe = books.folder().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let sink = OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
    let rotation = Rotation { size: 1, age: Duration::ZERO };
    let (recorder, writer) =
        start(Settings { sink: Sink::Text(Box::new(sink)), key: None, rotation, retain: None }).unwrap();
    let long = "x".repeat(200);
    for _ in 0..200_000 {
        recorder.outcome(&event(Kind::Outcome, &long, &[&long], true));
    }
    let state = recorder.state();
    assert!(state.lost_reads > 0 && state.waiting_bytes <= 48 << 20, "{state:?}");
    let start = Instant::now();
    run(call(&recorder, "mutating")).unwrap();
    run(recorder.admit()).unwrap();
    assert!(start.elapsed() < Duration::from_millis(100));
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        fs::File::open(pipe).unwrap().read_to_string(&mut text).unwrap();
        text
    });
    Books::wait("room", || recorder.state().waiting_bytes == 0);
    recorder.outcome(&event(Kind::Outcome, "last", &[], true));
    writer.stop(PATIENCE).unwrap();
    drop(recorder);
    let text = reader.join().unwrap();
    let lost = format!("not shown: {} calls", state.lost_reads);
    assert_eq!(text.lines().filter(|line| line.starts_with(&lost)).count(), 1);
    assert_eq!(text.lines().count() as u64, 200_000 - state.lost_reads + 1 + 1 + 1);
}

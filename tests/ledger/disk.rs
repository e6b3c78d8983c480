//! Disks that are full, that limit files, that hang: calls are refused in time, nothing is lost silently, and writing
//! goes on by itself.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use countersign::audit::event::Kind;
use countersign::audit::recorder::{Recorder, Unrecorded};
use countersign::ledger::verify::NoteKind;

use crate::books::{Books, PATIENCE, Way, call, calls, event, open, run, verify};
use crate::child::{command, listen};

/// Refused within a second, and how.
fn refused(recorder: &Recorder) -> Unrecorded {
    let start = Instant::now();
    let refusal = run(call(recorder, "refused")).unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    refusal
}

#[test]
fn a_full_device_refuses_at_once() {
    let (recorder, writer) = open(Path::new("/dev/full"), Way::default()).unwrap();
    Books::wait("the failure", || recorder.state().obstacle == Some(Unrecorded::Failing));
    let start = Instant::now();
    assert_eq!(refused(&recorder), Unrecorded::Failing);
    assert_eq!(run(recorder.admit()), Err(Unrecorded::Failing));
    assert!(start.elapsed() < Duration::from_millis(100));
    let state = recorder.state();
    assert!(state.last_error.unwrap().contains("No space left"));
    assert!(state.errors > 0 && state.head.is_none());
    assert!(writer.stop(PATIENCE).is_err());
}

#[test]
fn a_sink_that_hangs_refuses_within_a_second_and_recovers() {
    let books = Books::new();
    let pipe = books.folder().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let (recorder, writer) = open(&pipe, Way::default()).unwrap();
    // Nobody reads: the pipe takes what it takes.
    for index in 0..200 {
        recorder.outcome(&event(Kind::Outcome, &format!("read-{index}"), &[], true));
    }
    assert_eq!(refused(&recorder), Unrecorded::Stalled);
    Books::wait("the stall", || recorder.state().obstacle == Some(Unrecorded::Stalled));
    let start = Instant::now();
    assert_eq!(refused(&recorder), Unrecorded::Stalled);
    assert_eq!(run(recorder.admit()), Err(Unrecorded::Stalled));
    assert!(start.elapsed() < Duration::from_millis(100), "known to hang: {:?}", start.elapsed());

    // A hanging sink cannot keep the process from ending, which is the next test; here a reader comes.
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        File::open(pipe).unwrap().read_to_string(&mut text).unwrap();
        text
    });
    Books::wait("recovery", || recorder.state().obstacle.is_none());
    calls(&recorder, "after", 3);
    writer.stop(PATIENCE).unwrap();
    drop(recorder);
    let lines = crate::naive::follow(&reader.join().unwrap(), None);
    // Open and seal; 200 reads; two refused calls, whose intents may have been too late; three calls.
    let ids: Vec<&str> = lines.iter().filter_map(|line| line["requestID"].as_str()).collect();
    assert_eq!(ids.iter().filter(|id| id.starts_with("read-")).count(), 200);
    assert_eq!(ids.iter().filter(|id| id.starts_with("after-")).count(), 6);
    assert!(ids.iter().filter(|id| **id == "refused").count() >= 2);
}

#[test]
fn a_sink_that_hangs_does_not_keep_the_process() {
    let books = Books::new();
    let pipe = books.folder().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let (recorder, writer) = open(&pipe, Way::default()).unwrap();
    for index in 0..200 {
        recorder.outcome(&event(Kind::Outcome, &format!("read-{index}"), &[], true));
    }
    let start = Instant::now();
    assert!(writer.stop(Duration::from_millis(300)).is_err());
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[test]
fn memory_is_bounded_and_what_is_lost_is_told() {
    let books = Books::new();
    let pipe = books.folder().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let (recorder, writer) = open(&pipe, Way::default()).unwrap();
    let big = "x".repeat(1_000);
    let resources: Vec<&str> = vec![&big; 60];
    // 60 kB each: the bound for reads is reached first, then that for all.
    for index in 0..2_000 {
        recorder.outcome(&event(Kind::Outcome, &format!("call-{index}"), &resources, index % 2 == 0));
    }
    let state = recorder.state();
    assert!(state.waiting_bytes <= 64 << 20, "{}", state.waiting_bytes);
    assert!(state.lost_reads > state.lost_writes && state.lost_writes > 0, "{state:?}");
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        File::open(pipe).unwrap().read_to_string(&mut text).unwrap();
        text
    });
    run(recorder.admit()).ok();
    Books::wait("room", || recorder.state().waiting_bytes == 0);
    calls(&recorder, "after", 1);
    writer.stop(PATIENCE).unwrap();
    drop(recorder);
    let lines = crate::naive::follow(&reader.join().unwrap(), None);
    let gaps = lines.iter().filter(|line| line["segment"]["record"] == "gap");
    let (reads, writes) = gaps.fold((0, 0), |(reads, writes), gap| {
        (
            reads + gap["segment"]["reads"].as_u64().unwrap(),
            writes + gap["segment"]["writes"].as_u64().unwrap(),
        )
    });
    assert_eq!((reads, writes), (state.lost_reads, state.lost_writes));
    let written =
        lines.iter().filter(|line| line["requestID"].as_str().is_some_and(|id| id.starts_with("call-")));
    assert_eq!(written.count() as u64 + reads + writes, 2_000);
}

#[test]
fn a_file_at_its_limit_is_followed_by_a_new_segment() {
    // The limit of a file's size stands for every failure in the midst of a line. 40 blocks are 20 or 40 KiB.
    let books = Books::new();
    let before = "trap '' XFSZ; ulimit -f 40; exec \"$@\"";
    let mut child = command(&books.file(), 1 << 30, Some(before)).spawn().unwrap();
    let told = listen(&mut child);
    let mut promised = 0;
    while promised < 150 {
        let line = told.recv_timeout(PATIENCE).expect("acknowledgements");
        promised += usize::from(line.starts_with("ack "));
    }
    drop(child.stdin.take());
    let rest: Vec<String> = told.iter().collect();
    assert!(child.wait().unwrap().success(), "{rest:?}");
    let report = books.proven(&["key"]);
    let abandoned =
        report.notes.iter().filter(|note| matches!(note.kind, NoteKind::Abandoned { .. })).count();
    assert!(abandoned > 1, "{:?}", report.notes);
    assert_eq!(report.segments.len(), abandoned + 1);
    let repeats = |note: &NoteKind| matches!(note, NoteKind::Abandoned { repeated, .. } if *repeated > 0);
    assert!(report.notes.iter().any(|note| repeats(&note.kind)), "{:?}", report.notes);
    assert!(report.outcomes >= promised as u64);
    assert!(report.in_doubt.is_empty(), "{:?}", report.in_doubt);
}

/// Whether this machine lets a test mount a small file system in a namespace of its own.
fn can_mount(folder: &Path) -> bool {
    let words = format!("mount -t tmpfs -o size=16m none {}", folder.display());
    Command::new("unshare").args(["-rm", "sh", "-c", &words]).status().is_ok_and(|status| status.success())
}

#[test]
fn a_full_disk_refuses_and_writing_goes_on_when_there_is_room() {
    let books = Books::new();
    let disk = books.folder().join("disk");
    let kept = books.folder().join("kept");
    fs::create_dir(&disk).unwrap();
    fs::create_dir(&kept).unwrap();
    if !can_mount(&disk) {
        eprintln!("skipped: this machine does not let a test mount a file system");
        return;
    }
    // A disk of 16 MiB, of which a ballast takes all but 64 KiB. It goes when the writer has met the end of the disk for a
    // while. At the end the files are copied to where the test can see them.
    let words = format!(
        "mount -t tmpfs -o size=16m none {disk} && head -c 16711680 /dev/zero > {disk}/ballast || exit 9
         (sleep 2; rm {disk}/ballast) &
         \"$@\"; ended=$?; cp {disk}/audit* {kept}/; exit $ended",
        disk = disk.display(),
        kept = kept.display(),
    );
    let inner = command(&disk.join("audit.jsonl"), 1 << 30, Some(&words));
    let mut outer = Command::new("unshare");
    outer.arg("-rm").arg(inner.get_program()).args(inner.get_args());
    outer.envs(inner.get_envs().filter_map(|(name, value)| value.map(|value| (name, value))));
    outer.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut child = outer.spawn().unwrap();
    let told = listen(&mut child);
    let start = Instant::now();
    let mut seen = Vec::new();
    // Acknowledged, refused, and acknowledged again, of each more than what may be told late.
    let mut turns = [0; 3];
    while turns[2] < 40 {
        let line = told.recv_timeout(PATIENCE.saturating_sub(start.elapsed())).expect("what was awaited");
        let refused = line.starts_with("no ");
        if refused || line.starts_with("ack ") {
            turns[if refused { 1 } else { 2 * usize::from(turns[1] > 20) }] += 1;
            seen.push(line);
        }
    }
    assert!(turns[0] > 20, "{turns:?}");
    drop(child.stdin.take());
    told.iter().count();
    child.wait().unwrap();
    let file = kept.join("audit.jsonl");
    let files = countersign::ledger::read::files(&file).unwrap();
    let report = verify(&files, &file, &["key"], None);
    assert!(report.holds(), "{:#?}", report.problems);
    assert!(
        report.notes.iter().any(|note| matches!(note.kind, NoteKind::Abandoned { .. })),
        "{:?}",
        report.notes
    );
    assert!(report.in_doubt.is_empty(), "every refused call has its outcome: {:?}", report.in_doubt);
    let refused = seen.iter().filter(|line| line.starts_with("no ")).count();
    println!("{refused} calls refused in {:?}, {} recorded", start.elapsed(), report.outcomes);
}

#[test]
fn the_shipper_sees_only_appended_bytes() {
    // An observer that keeps what it read never finds it changed, and finds each file as the beginning of a later one.
    let books = Books::new();
    let (recorder, writer) = books.start(Way { size: 8_000, ..Way::default() });
    let mut held: Vec<(File, Vec<u8>)> = Vec::new();
    for index in 0..60 {
        calls(&recorder, &format!("call-{index}"), 1);
        if index % 5 == 0 {
            let mut file = OpenOptions::new().read(true).open(books.file()).unwrap();
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).unwrap();
            held.push((file, bytes));
        }
    }
    writer.stop(PATIENCE).unwrap();
    for (mut file, mut bytes) in held {
        let before = bytes.len();
        std::io::Seek::rewind(&mut file).unwrap();
        let mut now = Vec::new();
        file.read_to_end(&mut now).unwrap();
        assert!(now.len() >= before);
        now.truncate(before);
        assert!(now == bytes);
        bytes.clear();
    }
}

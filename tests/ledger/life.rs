//! The files of a record over time: rotation, compression, retention, restarts, files that others move.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::time::{Duration, Instant, SystemTime};

use countersign::audit::event::Kind;
use countersign::audit::recorder::Unrecorded;
use countersign::ledger;
use countersign::ledger::verify::{NoteKind, ProblemKind};
use countersign::secret::Secret;

use crate::books::{Books, PATIENCE, Way, call, calls, event, head, open, run, verify};

const SMALL: Way = Way { size: 20_000, age: Duration::from_secs(3600), retain: None, key: Some("key") };

fn append(books: &Books, bytes: &[u8]) {
    OpenOptions::new().append(true).open(books.file()).unwrap().write_all(bytes).unwrap();
}

#[test]
fn segments_are_sealed_compressed_and_followed() {
    let books = Books::new();
    let (recorder, writer) = books.start(SMALL);
    calls(&recorder, "call", 100);
    let noted = head(&recorder);
    writer.stop(PATIENCE).unwrap();
    books.compressed();
    assert!(books.names().iter().any(|name| name.rsplit('.').next() == Some("zst")));
    let report = books.verify(&["key"], Some(noted));
    assert!(report.holds(), "{:?}", report.problems);
    assert!(report.segments.len() > 3, "{:?}", report.segments);
    assert_eq!((report.intents, report.outcomes, report.in_doubt.len()), (100, 100, 0));
    assert!(report.segments.iter().all(|segment| segment.sealed && segment.keyed));
    assert!(report.notes.is_empty(), "{:?}", report.notes);
    let numbers: Vec<u64> = report.segments.iter().filter_map(|segment| segment.number).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
}

#[test]
fn a_segment_ends_at_its_age_unless_it_is_empty() {
    let books = Books::new();
    let (recorder, writer) = books.start(Way { age: Duration::from_millis(10), ..Way::default() });
    calls(&recorder, "call", 1);
    // The outcome may come after the end of the segment with its intent, and end one of its own.
    Books::wait("an empty segment", || {
        recorder.state().outcomes == 1
            && recorder.state().segment > 1
            && fs::read_to_string(books.file()).is_ok_and(|text| {
                let number = format!("\"number\":{},", recorder.state().segment);
                text.lines().count() == 1 && text.contains(&number)
            })
    });
    let empty = recorder.state().segment;
    std::thread::sleep(Duration::from_millis(1_200));
    assert_eq!(recorder.state().segment, empty);
    writer.stop(PATIENCE).unwrap();
    books.proven(&[]);
}

#[test]
fn a_restart_goes_on_after_the_seal() {
    let books = Books::new();
    for round in 0..4 {
        let (recorder, writer) = books.start(SMALL);
        calls(&recorder, &format!("round-{round}"), 5);
        writer.stop(PATIENCE).unwrap();
        let report = books.proven(&["key"]);
        assert_eq!(report.segments.len(), round + 1);
        assert_eq!(report.outcomes, 5 * (round as u64 + 1));
        assert!(report.notes.is_empty());
    }
}

/// A copy of the record as a crash would leave it: the writer still runs when it is made.
pub fn crashed(from: &Books) -> Books {
    let books = Books::new();
    for name in from.names().iter().filter(|name| *name != "audit.jsonl.lock") {
        fs::copy(from.folder().join(name), books.folder().join(name)).unwrap();
    }
    books
}

#[test]
fn a_crash_leaves_its_intents_and_costs_no_line() {
    let books = Books::new();
    let (recorder, writer) = books.start(Way { key: Some("key"), ..Way::default() });
    calls(&recorder, "call", 5);
    run(recorder.intent(&event(Kind::Intent, "lonely", &[], false))).unwrap();
    let whole = fs::read(books.file()).unwrap();
    // Every length that the last line may have been cut to, the whole line without its end included.
    let last = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    for cut in (last..whole.len()).step_by(97).chain([whole.len() - 2, whole.len() - 1]) {
        let copy = crashed(&books);
        fs::write(copy.file(), &whole[..cut]).unwrap();
        let before = copy.verify(&["key"], None);
        assert!(before.holds(), "{cut}: {:?}", before.problems);
        assert_eq!(before.in_doubt.len(), 0, "the lonely intent is torn");
        let (_, again) = copy.start(Way { key: Some("key"), ..Way::default() });
        again.stop(PATIENCE).unwrap();
        let report = copy.proven(&["key"]);
        let torn = (cut - last) as u64;
        assert!(
            report.notes.iter().any(|note| note.kind == NoteKind::Recovered { torn }),
            "{:?}",
            report.notes
        );
        if torn > 0 {
            let kept = fs::read(copy.folder().join("audit.jsonl.torn")).unwrap();
            assert_eq!(kept[..kept.len() - 1], whole[last..cut]);
        }
    }
    let copy = crashed(&books);
    let (_, again) = copy.start(Way { key: Some("key"), ..Way::default() });
    again.stop(PATIENCE).unwrap();
    let doubts = copy.proven(&["key"]).in_doubt;
    assert_eq!(doubts.len(), 1);
    assert_eq!((doubts[0].request_id.as_str(), doubts[0].client.as_deref()), ("lonely", Some("backup-job")));
    writer.stop(PATIENCE).unwrap();
}

#[test]
fn an_end_that_does_not_verify_stays_as_evidence() {
    let books = Books::new();
    let (recorder, writer) = books.start(SMALL);
    calls(&recorder, "call", 5);
    let copy = crashed(&books);
    writer.stop(PATIENCE).unwrap();
    let mut bytes = fs::read(copy.file()).unwrap();
    let at = bytes.len() - 300;
    bytes[at] ^= 1;
    fs::write(copy.file(), &bytes).unwrap();
    let (recorder, writer) = copy.start(SMALL);
    calls(&recorder, "later", 3);
    writer.stop(PATIENCE).unwrap();
    assert_eq!(fs::read(copy.folder().join("audit.jsonl.00000001")).unwrap(), bytes);
    let report = copy.verify(&["key"], None);
    let kinds: Vec<&ProblemKind> = report.problems.iter().map(|problem| &problem.kind).collect();
    assert_eq!(kinds, [&ProblemKind::Altered, &ProblemKind::NotSealed], "{:?}", report.problems);
    assert_eq!(report.segments.len(), 2);
}

#[test]
fn a_new_key_begins_a_new_segment() {
    let mut books = Books::new();
    let mut left = Vec::new();
    for key in [None, Some("one"), Some("two")] {
        let (recorder, writer) = books.start(Way { key, ..Way::default() });
        calls(&recorder, "call", 3);
        let copy = crashed(&books);
        left.push((std::mem::replace(&mut books, copy), writer));
    }
    let report = books.proven(&["one", "two"]);
    assert_eq!(report.segments.iter().map(|segment| segment.keyed).collect::<Vec<_>>(), [false, true, true]);
    let with_one = books.verify(&["one"], None);
    assert_eq!(with_one.problems[0].kind, ProblemKind::KeyDoesNotFit);
    assert_eq!(books.verify(&[], None).problems[0].kind, ProblemKind::KeyNeeded);
}

#[test]
fn a_moved_file_is_reopened_and_stays_verifiable() {
    let books = Books::new();
    let (recorder, writer) = books.start(SMALL);
    calls(&recorder, "before", 3);
    // Nothing was moved: nothing happens.
    recorder.reopen();
    calls(&recorder, "still", 3);
    assert_eq!(recorder.state().segment, 1);
    let moved = books.folder().join("moved-elsewhere");
    fs::rename(books.file(), &moved).unwrap();
    calls(&recorder, "moved", 3);
    recorder.reopen();
    calls(&recorder, "after", 3);
    assert_eq!(recorder.state().segment, 2);
    writer.stop(PATIENCE).unwrap();
    let report = books.verify(&["key"], None);
    assert_eq!(report.problems[0].kind, ProblemKind::SegmentsMissing { from: 1, to: 1 });
    let all = [vec![moved], books.files()].concat();
    let report = verify(&all, &books.file(), &["key"], None);
    assert!(report.holds(), "{:?}", report.problems);
    assert_eq!((report.outcomes, report.segments[0].sealed), (12, true));
}

#[test]
fn a_removed_file_is_noticed_and_writing_goes_on() {
    let books = Books::new();
    let (recorder, writer) = books.start(SMALL);
    calls(&recorder, "lost", 3);
    fs::remove_file(books.file()).unwrap();
    Books::wait("the new file", || books.file().exists());
    Books::wait("recovery", || recorder.state().obstacle.is_none());
    calls(&recorder, "after", 3);
    writer.stop(PATIENCE).unwrap();
    let report = books.verify(&["key"], None);
    assert_eq!(report.problems[0].kind, ProblemKind::SegmentsMissing { from: 1, to: 1 });
    assert_eq!(report.problem_count, 1);
}

#[test]
fn what_is_old_is_deleted_and_the_record_says_so() {
    let books = Books::new();
    let way = Way { retain: Some(Duration::from_secs(3600)), ..SMALL };
    let (recorder, writer) = books.start(way);
    calls(&recorder, "call", 100);
    writer.stop(PATIENCE).unwrap();
    books.compressed();
    let old = SystemTime::now() - Duration::from_secs(2 * 3600);
    let sealed: Vec<_> = books.files().into_iter().filter(|file| *file != books.file()).collect();
    assert!(sealed.len() > 3);
    for file in &sealed[..3] {
        fs::File::options().append(true).open(file).unwrap().set_modified(old).unwrap();
    }
    let (recorder, writer) = books.start(way);
    calls(&recorder, "later", 3);
    Books::wait("the deletion", || !sealed[0].exists() && !sealed[2].exists());
    writer.stop(PATIENCE).unwrap();
    assert!(sealed[3].exists());
    let report = books.proven(&["key"]);
    assert!(
        report.notes.iter().any(|note| note.kind == NoteKind::Retired { through: 3 }),
        "{:?}",
        report.notes
    );
    // One more than the record tells is one too many.
    let mut all = books.files();
    all.remove(0);
    let report = verify(&all, &books.file(), &["key"], None);
    assert_eq!(report.problems[0].kind, ProblemKind::SegmentsMissing { from: 4, to: 4 });
}

#[test]
fn one_record_has_one_writer() {
    let books = Books::new();
    let (_recorder, writer) = books.start(SMALL);
    let error = open(&books.file(), SMALL).err().unwrap().to_string();
    assert!(error.contains("another process writes this record"), "{error}");
    writer.stop(PATIENCE).unwrap();
    Books::wait("the lock", || open(&books.file(), SMALL).is_ok());
}

#[test]
fn a_place_that_cannot_be_is_told_at_the_start() {
    let books = Books::new();
    for (file, word) in [("missing/audit.jsonl", "No such file"), (".", "directory")] {
        let error = open(&books.folder().join(file), SMALL).err().unwrap().to_string();
        assert!(error.contains(word) && error.contains("folder exists"), "{error}");
    }
}

#[test]
fn intents_that_wait_together_share_a_sync() {
    let books = Books::new();
    let (recorder, writer) = books.start(Way::default());
    let ids: Vec<String> = (0..400).map(|index| format!("call-{index}")).collect();
    run(async {
        let intents: Vec<_> =
            ids.iter().map(|id| recorder.intent(&event(Kind::Intent, id, &["bucket/key"], false))).collect();
        for intent in intents {
            intent.await.unwrap();
        }
    });
    let state = recorder.state();
    assert_eq!(state.intents, 400);
    assert!(state.commits < 100, "{state:?}");
    writer.stop(PATIENCE).unwrap();
    assert_eq!(books.proven(&[]).in_doubt.len(), 400);
}

#[test]
fn a_record_is_proved_while_it_is_written() {
    let books = Books::new();
    let (recorder, writer) = books.start(Way { size: 10_000, key: Some("key"), ..Way::default() });
    calls(&recorder, "first", 1);
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let busy = std::thread::spawn({
        let recorder = recorder.clone();
        move || {
            let mut index = 0;
            while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
                calls(&recorder, &format!("call-{index}"), 5);
                index += 1;
            }
        }
    });
    let key = Secret::from("key");
    let mut seen = 0;
    Books::wait("several segments", || {
        let head = recorder.state().head.map(|head| head.to_string().parse().unwrap());
        let report = ledger::record(&books.file(), &[], &[&key], head).unwrap();
        assert!(report.holds(), "{:?}", report.problems);
        seen = report.segments.len();
        seen > 8
    });
    stop.send(()).unwrap();
    busy.join().unwrap();
    writer.stop(PATIENCE).unwrap();
    assert!(ledger::record(&books.folder().join("other.jsonl"), &[], &[], None).is_err());
}

#[test]
fn nothing_is_taken_after_the_end() {
    let books = Books::new();
    let (recorder, writer) = books.start(SMALL);
    calls(&recorder, "call", 1);
    writer.stop(PATIENCE).unwrap();
    assert_eq!(run(call(&recorder, "late")), Err(Unrecorded::Stopped));
    assert_eq!(run(recorder.admit()), Err(Unrecorded::Stopped));
    books.proven(&["key"]);
}

#[test]
fn outcomes_are_durable_soon_without_an_intent() {
    let books = Books::new();
    let (recorder, writer) = books.start(SMALL);
    run(recorder.admit()).unwrap();
    recorder.outcome(&event(Kind::Outcome, "read", &["bucket/key"], true));
    let start = Instant::now();
    Books::wait("the sync", || recorder.state().head.is_some_and(|head| head.seq == 1));
    assert!(start.elapsed() < Duration::from_secs(3));
    writer.stop(PATIENCE).unwrap();
}

#[test]
fn a_last_line_of_nothing_is_moved_away_whole() {
    // After a power cut a file may be as long as it was to be, and hold zeros.
    let books = Books::new();
    let (recorder, writer) = books.start(SMALL);
    calls(&recorder, "call", 3);
    Books::wait("the last outcome", || head(&recorder).seq == 6);
    // Longer than what a start looks at first, and nearly as long.
    for zeros in [3_u64 << 20, (1 << 20) - 100] {
        let copy = crashed(&books);
        append(&copy, &vec![0; usize::try_from(zeros).unwrap()]);
        let before = copy.verify(&["key"], None);
        assert_eq!(
            before.problems.iter().map(|problem| &problem.kind).collect::<Vec<_>>(),
            [&ProblemKind::NotALine]
        );
        let (recorder, writer) = copy.start(SMALL);
        calls(&recorder, "later", 3);
        writer.stop(PATIENCE).unwrap();
        let report = copy.proven(&["key"]);
        assert!(report.notes.iter().any(|note| note.kind == NoteKind::Recovered { torn: zeros }));
        assert_eq!((report.outcomes, report.segments.len()), (6, 1));
    }
    writer.stop(PATIENCE).unwrap();
}

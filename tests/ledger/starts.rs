//! What a start finds, and how the record goes on from there: segments that were begun and not put in their place,
//! active files that are gone, empty or none of ours, links, files that others touch.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use countersign::ledger::verify::NoteKind;

use crate::books::{Books, PATIENCE, Way, calls, open, verify};
use crate::life::crashed;

const SMALL: Way = Way { size: 20_000, age: Duration::from_secs(3600), retain: None, key: Some("key") };

/// A record of several segments, the last of which is open: as a crash leaves it, all past ones compressed.
fn left() -> Books {
    let books = Books::new();
    let (recorder, writer) = books.start(SMALL);
    calls(&recorder, "call", 40);
    Books::wait("the outcomes", || recorder.state().outcomes == 40 && recorder.state().waiting_lines == 0);
    books.compressed();
    let copy = crashed(&books);
    writer.stop(PATIENCE).unwrap();
    copy
}

fn beside(books: &Books, end: &str) -> PathBuf {
    books.folder().join(format!("audit.jsonl{end}"))
}

/// Starts on the record, writes two calls, ends; the number of the first segment that was written to.
fn go_on(books: &Books) -> u64 {
    let (recorder, writer) = books.start(SMALL);
    Books::wait("the start", || recorder.state().segment > 0 && recorder.state().head.is_some());
    let segment = recorder.state().segment;
    calls(&recorder, "later", 2);
    writer.stop(PATIENCE).unwrap();
    segment
}

#[test]
fn a_segment_that_was_begun_takes_its_place_only_whole() {
    let whole = left();
    let before = whole.proven(&["key"]);
    let (number, last) = (before.segments.len() as u64, before.segments.last().unwrap().lines);
    assert!(number > 2 && last > 1, "{before:?}");

    // The crash came between the two renames of a rotation.
    fs::rename(whole.file(), beside(&whole, ".new")).unwrap();
    assert_eq!(go_on(&whole), number);
    let report = whole.proven(&["key"]);
    assert_eq!((report.outcomes, report.segments.len() as u64), (before.outcomes + 2, number));
    assert!(!beside(&whole, ".new").exists());

    // Or before them, with half a segment; with none of it; with one that was no segment.
    for what in ["half", "nothing", "no segment"] {
        let torn = left();
        let bytes = fs::read(torn.file()).unwrap();
        let bytes = match what {
            "half" => &bytes[..bytes.len() - 20],
            "nothing" => &[],
            _ => b"something else\n",
        };
        fs::remove_file(torn.file()).unwrap();
        fs::write(beside(&torn, ".new"), bytes).unwrap();
        let past = torn.verify(&["key"], None).outcomes;
        assert_eq!(go_on(&torn), number, "{what}");
        let report = torn.proven(&["key"]);
        assert_eq!(report.outcomes, past + 2, "{what}");
        assert!(report.notes.is_empty() && !beside(&torn, ".new").exists(), "{what}: {:?}", report.notes);
    }

    // Where the place is taken, it stays so.
    let taken = left();
    let bytes = fs::read(taken.file()).unwrap();
    fs::write(beside(&taken, ".new"), &bytes[..=bytes.iter().position(|byte| *byte == b'\n').unwrap()])
        .unwrap();
    go_on(&taken);
    assert_eq!(taken.proven(&["key"]).outcomes, before.outcomes + 2);
    assert!(!beside(&taken, ".new").exists());
}

#[test]
fn without_its_active_file_the_record_goes_on_after_its_last_segment() {
    // Compressed; plain; empty in its place.
    for way in ["compressed", "plain", "empty"] {
        let books = left();
        let number = books.files().len() as u64;
        fs::remove_file(books.file()).unwrap();
        let last = beside(&books, &format!(".{:08}.zst", number - 1));
        match way {
            "plain" => {
                let bytes = zstd::decode_all(fs::read(&last).unwrap().as_slice()).unwrap();
                fs::write(last.with_extension(""), bytes).unwrap();
                fs::remove_file(&last).unwrap();
            }
            "empty" => fs::write(books.file(), "").unwrap(),
            _ => {}
        }
        assert_eq!(go_on(&books), number, "{way}");
        let text = fs::read_to_string(books.file()).unwrap();
        assert!(text.lines().next().unwrap().contains(r#""after":"seal""#), "{way}: {text}");
        assert!(books.proven(&["key"]).notes.is_empty());
        let odd = |name: &String| name.contains(".00000000") || name.contains(".again");
        assert!(!books.names().iter().any(odd), "{:?}", books.names());
    }
}

#[test]
fn a_last_segment_without_a_seal_is_told() {
    let books = Books::new();
    let (recorder, writer) = books.start(SMALL);
    calls(&recorder, "call", 3);
    let copy = crashed(&books);
    writer.stop(PATIENCE).unwrap();
    // Somebody put the open segment aside by hand.
    let aside = beside(&copy, ".00000001");
    fs::rename(copy.file(), &aside).unwrap();
    let bytes = fs::read(&aside).unwrap();
    assert_eq!(go_on(&copy), 2);
    let text = fs::read_to_string(copy.file()).unwrap();
    assert!(text.lines().next().unwrap().contains(r#""after":"unverified""#), "{text}");
    assert!(fs::read(&aside).unwrap() == bytes, "evidence stays as it is");
    let report = copy.proven(&["key"]);
    let abandoned = NoteKind::Abandoned { repeated: 0, damaged: 0 };
    assert!(report.notes.iter().any(|note| note.kind == abandoned), "{:?}", report.notes);
}

#[test]
fn what_is_none_of_ours_is_put_aside_whole() {
    // Something else; lines of the record, but not from the first.
    for lines in [false, true] {
        let books = left();
        let number = books.files().len() as u64;
        let bytes = fs::read(books.file()).unwrap();
        let at = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        let foreign = if lines { bytes[at..].to_vec() } else { b"something else\nand more".to_vec() };
        fs::write(books.file(), &foreign).unwrap();
        let segment = go_on(&books);
        let aside = fs::read(beside(&books, &format!(".{:08}", segment - 1))).unwrap();
        assert!(aside == foreign);
        assert_eq!(segment, number + 1, "the foreign file has the number between");
        assert!(!books.verify(&["key"], None).holds());
        // The next start finds nothing to complain of.
        assert_eq!(go_on(&books), segment + 1);
    }
}

#[test]
fn an_old_segment_in_the_active_place_takes_nothing_with_it() {
    let books = left();
    let number = books.files().len() as u64;
    let kept: Vec<PathBuf> = (1..number).map(|past| beside(&books, &format!(".{past:08}.zst"))).collect();
    let before: Vec<Vec<u8>> = kept.iter().map(|file| fs::read(file).unwrap()).collect();
    let old = zstd::decode_all(before[0].as_slice()).unwrap();
    fs::write(books.file(), &old).unwrap();
    assert_eq!(go_on(&books), number, "numbers go on after the highest");
    // The thread that compresses has had its turn.
    go_on(&books);
    let after: Vec<Vec<u8>> = kept.iter().map(|file| fs::read(file).unwrap()).collect();
    assert!(before == after);
    let again = beside(&books, &format!(".{:08}.again", number - 1));
    assert!(fs::read(again).unwrap() == old, "{:?}", books.names());
    assert!(!books.verify(&["key"], None).holds());
}

#[test]
fn an_open_segment_is_as_long_as_it_was_after_a_restart() {
    let books = Books::new();
    let (recorder, writer) = books.start(SMALL);
    calls(&recorder, "call", 13);
    Books::wait("the outcomes", || recorder.state().outcomes == 13);
    let copy = crashed(&books);
    writer.stop(PATIENCE).unwrap();
    assert!((15_000..20_000).contains(&fs::metadata(copy.file()).unwrap().len()));
    let (recorder, writer) = copy.start(SMALL);
    calls(&recorder, "later", 8);
    Books::wait("the next segment", || recorder.state().segment == 2);
    writer.stop(PATIENCE).unwrap();
    copy.proven(&["key"]);
}

#[test]
fn segments_lie_beside_the_file_that_a_link_leads_to() {
    let (books, far) = (Books::new(), Books::new());
    fs::write(far.file(), "").unwrap();
    symlink(far.file(), books.file()).unwrap();
    let (recorder, writer) = books.start(SMALL);
    calls(&recorder, "call", 40);
    writer.stop(PATIENCE).unwrap();
    assert!(fs::symlink_metadata(books.file()).unwrap().is_symlink());
    assert_eq!(books.names(), ["audit.jsonl"]);
    assert!(far.proven(&["key"]).segments.len() > 2);
}

#[test]
fn a_plain_segment_that_a_crash_left_is_compressed_and_keeps_its_age() {
    let books = left();
    let first = beside(&books, ".00000001.zst");
    let bytes = zstd::decode_all(fs::read(&first).unwrap().as_slice()).unwrap();
    let plain = first.with_extension("");
    fs::write(&plain, &bytes).unwrap();
    let old = SystemTime::now() - Duration::from_secs(7200);
    fs::File::options().append(true).open(&plain).unwrap().set_modified(old).unwrap();
    fs::remove_file(&first).unwrap();
    // One without a seal, further back, stays as it is.
    let unsealed = beside(&books, ".00000000");
    fs::write(&unsealed, &bytes[..bytes.len() / 2]).unwrap();
    let (_, writer) = books.start(SMALL);
    Books::wait("the compression", || first.exists() && !plain.exists());
    writer.stop(PATIENCE).unwrap();
    assert!(unsealed.exists());
    assert_eq!(fs::metadata(&first).unwrap().modified().unwrap(), old);
    let frame = fs::read(&first).unwrap();
    assert!(frame[4] & 4 != 0, "the frame carries no checksum");
    assert!(zstd::decode_all(frame.as_slice()).unwrap() == bytes);
}

#[test]
fn who_appends_to_the_file_overwrites_nothing() {
    let books = Books::new();
    let (recorder, writer) = books.start(SMALL);
    calls(&recorder, "before", 2);
    Books::wait("the outcomes", || recorder.state().outcomes == 2);
    OpenOptions::new().append(true).open(books.file()).unwrap().write_all(b"a stranger's line\n").unwrap();
    calls(&recorder, "after", 2);
    writer.stop(PATIENCE).unwrap();
    let text = fs::read_to_string(books.file()).unwrap();
    assert_eq!(text.lines().count(), 1 + 4 + 1 + 4 + 1);
    let report = books.verify(&["key"], None);
    // It is told, and so is that the seal knows nothing of it.
    let told: Vec<u64> = report.problems.iter().map(|problem| problem.line).collect();
    assert_eq!((told, report.outcomes), (vec![6, 11], 4), "{report:?}");
}

#[test]
fn a_file_in_the_place_of_the_moved_one_is_put_aside() {
    let books = Books::new();
    let (recorder, writer) = books.start(SMALL);
    calls(&recorder, "one", 2);
    // Whoever moved it took the name that it would get, and left something else in its place.
    fs::rename(books.file(), beside(&books, ".00000001")).unwrap();
    fs::write(books.file(), "something else\n").unwrap();
    recorder.reopen();
    calls(&recorder, "two", 2);
    writer.stop(PATIENCE).unwrap();
    assert_eq!(fs::read(beside(&books, ".00000001.again")).unwrap(), b"something else\n");
    assert!(books.files().contains(&beside(&books, ".00000001.again")));
    let ours: Vec<PathBuf> =
        books.files().into_iter().filter(|file| !file.ends_with("audit.jsonl.00000001.again")).collect();
    let report = verify(&ours, &books.file(), &["key"], None);
    assert!(report.holds() && report.outcomes == 4, "{report:#?}");
    // With it, what is no segment is told.
    assert!(!books.verify(&["key"], None).holds());
}

#[test]
fn a_start_waits_a_moment_for_a_process_that_is_ending() {
    let books = Books::new();
    let (recorder, writer) = books.start(SMALL);
    calls(&recorder, "call", 1);
    let ending = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        writer.stop(PATIENCE).unwrap();
    });
    let (_, next) = open(&books.file(), SMALL).unwrap();
    ending.join().unwrap();
    next.stop(PATIENCE).unwrap();
    assert_eq!(books.proven(&["key"]).segments.len(), 2);
}

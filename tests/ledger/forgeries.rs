//! Records that somebody who can compute hashes wrote, or pieced together: what does not fit is told even where every
//! hash does.

use std::fs;
use std::path::PathBuf;

use countersign::ledger::Report;
use countersign::ledger::verify::{NoteKind, Problem, ProblemKind};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::books::{Books, verify};

/// Writes lines as the definition of the chain says.
#[derive(Clone)]
struct Pen {
    seq: u64,
    before: [u8; 32],
    key: Option<&'static str>,
    text: String,
}

impl Pen {
    fn new(key: Option<&'static str>) -> Self {
        Self { seq: 0, before: [0; 32], key, text: String::new() }
    }

    fn line(&mut self, body: &str) -> &mut Self {
        let seq = self.seq.to_string();
        self.numbered(body, &seq)
    }

    /// With the number as it is written there.
    fn numbered(&mut self, body: &str, seq: &str) -> &mut Self {
        let covered = format!("{body},\"seq\":{seq}");
        let message = [&self.before[..], covered.as_bytes()].concat();
        self.before = match self.key {
            None => Sha256::digest(&message).into(),
            Some(key) => {
                let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
                mac.update(&message);
                mac.finalize().into_bytes().into()
            }
        };
        self.text += &format!("{covered},\"hash\":\"{}\"}}\n", self.hash());
        self.seq += 1;
        self
    }

    fn hash(&self) -> String {
        self.before.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn open(&mut self, number: u64, after: &str) -> &mut Self {
        let hash = self.hash();
        self.open_after(number, after, &hash)
    }

    fn open_after(&mut self, number: u64, after: &str, previous: &str) -> &mut Self {
        let algorithm = if self.key.is_some() { "hmac-sha256" } else { "sha256" };
        self.line(&format!(
            r#"{{"segment":{{"record":"open","number":{number},"opened":"2026-11-22T09:30:00.000000Z","previousHash":"{previous}","hash-algorithm":"{algorithm}","after":"{after}"}}"#
        ))
    }

    fn mark(&mut self, fields: &str) -> &mut Self {
        self.line(&format!(r#"{{"segment":{{{fields}}}"#))
    }

    fn seal(&mut self, number: u64, lines: u64, first: u64) -> &mut Self {
        self.mark(&format!(
            r#""record":"seal","number":{number},"closed":"2026-11-22T09:30:00.000000Z","lines":{lines},"firstSeq":{first}"#
        ))
    }

    fn call(&mut self, record: &str, id: &str) -> &mut Self {
        self.line(&format!(
            r#"{{"eventVersion":"1.0","requestID":"{id}","additionalEventData":{{"record":"{record}"}}"#
        ))
    }

    /// The segment so far; the pen goes on with the next.
    fn cut(&mut self) -> String {
        std::mem::take(&mut self.text)
    }
}

/// The report on segments under their names; the last is the active one.
fn judge(segments: &[String], keys: &[&str]) -> Report {
    let books = Books::new();
    let count = segments.len();
    for (index, text) in segments.iter().enumerate() {
        let last = index + 1 == count;
        let end = if last { String::new() } else { format!(".{:08}", index + 1) };
        fs::write(books.folder().join(format!("audit.jsonl{end}")), text).unwrap();
    }
    books.verify(keys, None)
}

#[track_caller]
fn finds(segments: &[String], keys: &[&str], expected: &ProblemKind) {
    let report = judge(segments, keys);
    assert!(
        report.problems.iter().any(|problem| problem.kind == *expected),
        "{expected:?} expected: {:?}\n{segments:#?}",
        report.problems
    );
}

#[track_caller]
fn holds(segments: &[String], keys: &[&str]) -> Report {
    let report = judge(segments, keys);
    assert!(report.holds(), "{:?}\n{segments:#?}", report.problems);
    report
}

/// Two segments that hold.
fn two(key: Option<&'static str>) -> [String; 2] {
    let mut pen = Pen::new(key);
    let first = pen.open(1, "nothing").call("intent", "a").call("outcome", "a").seal(1, 3, 0).cut();
    [first, pen.open(2, "seal").call("outcome", "b").cut()]
}

#[test]
fn the_pen_writes_what_holds() {
    assert_eq!(holds(&two(None), &[]).outcomes, 2);
    assert_eq!(holds(&two(Some("key")), &["key"]).outcomes, 2);
}

#[test]
fn marks_must_agree_with_their_segment() {
    let wrong = &ProblemKind::MarkWrong;
    for (number, lines, first) in [(2, 2, 0), (1, 3, 0), (1, 2, 1)] {
        let mut pen = Pen::new(None);
        pen.open(1, "nothing").call("outcome", "a").seal(number, lines, first);
        finds(&[pen.cut()], &[], wrong);
    }
    // The first line of all follows nothing, and is of the first segment.
    finds(&[Pen::new(None).open(2, "nothing").cut()], &[], wrong);
    let mut pen = Pen::new(None);
    pen.before = [1; 32];
    finds(&[pen.open(1, "nothing").cut()], &[], wrong);
    // Nor is its hash of anything else.
    let mut pen = Pen::new(None);
    pen.before = [1; 32];
    finds(&[pen.open_after(1, "nothing", &"0".repeat(64)).cut()], &[], &ProblemKind::Altered);
}

#[test]
fn lines_must_be_what_the_record_has() {
    let not = &ProblemKind::NotALine;
    let open = || Pen::new(None).open(1, "nothing").clone();
    finds(&[open().call("rumour", "a").cut()], &[], not);
    finds(&[open().line(r#"{"eventVersion":"1.0""#).cut()], &[], not);
    finds(&[open().line(r#"{"eventVersion":"#).cut()], &[], not);
    finds(&[open().call("outcome", "\u{e4}").cut()], &[], not);
    finds(&[open().numbered(r#"{"eventVersion":"1.0""#, "01").cut()], &[], not);
    finds(&[open().cut() + "\n"], &[], not);
    let [first, second] = two(None);
    finds(&[first.clone(), second.to_ascii_uppercase()], &[], not);
    // A hash has one spelling.
    let at = second.rfind("hash").unwrap();
    let shouted = second[..at].to_owned() + "hash" + &second[at + 4..].to_ascii_uppercase();
    finds(&[first, shouted.replace("HASH", "hash")], &[], not);
    finds(&[open().open(1, "nothing").cut()], &[], &ProblemKind::SecondOpenLine);
}

#[test]
fn an_end_is_torn_only_as_a_crash_tears_it() {
    let text = Pen::new(None).open(1, "nothing").call("outcome", "a").cut();
    let line = Pen::new(None).call("outcome", "b").cut();
    for cut in [1, 2, 20, line.len() - 1] {
        let report = holds(&[text.clone() + &line[..cut]], &[]);
        let torn = NoteKind::Torn { bytes: cut as u64 };
        assert!(report.notes.iter().any(|note| note.kind == torn), "{:?}", report.notes);
    }
    // Not with a whole line and more, not with other words, not with what no line holds, not within the record.
    for end in
        [line.trim_end().to_owned() + " ", "{\"event".to_owned() + "x", "{\"eventVersion\":\"\u{e4}".into()]
    {
        finds(&[text.clone() + &end], &[], &ProblemKind::NotALine);
    }
    let [first, second] = two(None);
    finds(&[first.clone() + "{\"event", second.clone()], &[], &ProblemKind::AfterSeal);
    finds(&[first.clone() + "{\"event"], &[], &ProblemKind::AfterSeal);
    let unsealed = first[..=first[..first.len() - 1].rfind('\n').unwrap()].to_owned();
    finds(&[unsealed + "{\"event", second], &[], &ProblemKind::NotALine);
}

#[test]
fn nothing_follows_a_seal() {
    let mut pen = Pen::new(None);
    pen.open(1, "nothing").seal(1, 1, 0).call("outcome", "a");
    finds(&[pen.cut()], &[], &ProblemKind::AfterSeal);
}

#[test]
fn a_segment_begins_where_the_one_before_ends() {
    // Renumbered; after another hash.
    let mut pen = Pen::new(None);
    let first = pen.open(1, "nothing").seal(1, 1, 0).cut();
    let end = pen.clone();
    pen.seq += 1;
    finds(&[first.clone(), pen.open(2, "seal").cut()], &[], &ProblemKind::DoesNotFollow);
    let mut pen = end.clone();
    pen.before = [7; 32];
    finds(&[first.clone(), pen.open(2, "seal").cut()], &[], &ProblemKind::DoesNotFollow);
    let mut pen = end.clone();
    finds(&[first.clone(), pen.open(3, "seal").cut()], &[], &ProblemKind::SegmentsMissing { from: 2, to: 2 });
    let mut pen = end.clone();
    finds(&[first.clone(), pen.open(1, "seal").cut()], &[], &ProblemKind::SegmentRepeated);
    let mut pen = end.clone();
    finds(&[first, pen.call("outcome", "a").cut()], &[], &ProblemKind::NoOpenLine);
    // Without its seal, unless the next says why.
    let mut pen = Pen::new(None);
    let first = pen.open(1, "nothing").call("outcome", "a").cut();
    finds(&[first, pen.open(2, "seal").cut()], &[], &ProblemKind::NotSealed);
}

#[test]
fn what_a_failed_segment_holds_beyond_its_end_is_told() {
    let mut pen = Pen::new(None);
    let kept = pen.open(1, "nothing").call("intent", "a").cut();
    let mut failed = pen.clone();
    let lost = failed.call("outcome", "a").call("outcome", "b").cut();
    let next = pen.open(2, "failure").call("outcome", "a").call("outcome", "b").cut();
    let abandoned = |text: String| {
        let report = holds(&[text, next.clone()], &[]);
        let kinds = report.notes.into_iter().map(|note| note.kind);
        (kinds.collect::<Vec<_>>(), report.intents, report.outcomes)
    };
    let note = |repeated, damaged| vec![NoteKind::Abandoned { repeated, damaged }];
    assert_eq!(abandoned(kept.clone()), (note(0, 0), 1, 2));
    assert_eq!(abandoned(kept.clone() + &lost), (note(2, 0), 1, 2));
    assert_eq!(abandoned(kept.clone() + &lost[..lost.len() - 9]), (note(1, 1), 1, 2));
    let damaged = lost.replacen("outcome", "outc0me", 1);
    assert_eq!(abandoned(kept.clone() + &damaged + "junk"), (note(1, 2), 1, 2));
    // Where it goes on is a line and its hash.
    let mut other = Pen::new(None);
    let forged = other.open(1, "nothing").call("intent", "forged").cut();
    let report = judge(&[forged + &lost, next], &[]);
    assert!(!report.holds());
}

#[test]
fn a_record_with_a_key_stays_one() {
    let mut pen = Pen::new(Some("key"));
    let first = pen.open(1, "nothing").call("outcome", "a").seal(1, 2, 0).cut();
    pen.key = None;
    let second = pen.open(2, "seal").call("outcome", "b").seal(2, 2, 3).cut();
    pen.key = Some("key");
    let third = pen.open(3, "seal").call("outcome", "c").cut();
    let all = [first.clone(), second.clone(), third];
    let report = judge(&all, &["key"]);
    let named: Vec<(Option<u64>, &ProblemKind)> = report
        .problems
        .iter()
        .map(|problem| (problem.file.extension().and_then(|end| end.to_str()?.parse().ok()), &problem.kind))
        .collect();
    assert_eq!(named, [(Some(2), &ProblemKind::NotKeyed)]);
    finds(&[first, second], &["key"], &ProblemKind::NotKeyed);
    finds(&two(None), &["key"], &ProblemKind::NotKeyed);
    finds(&two(Some("key")), &[], &ProblemKind::KeyNeeded);
    finds(&two(Some("key")), &["other"], &ProblemKind::KeyDoesNotFit);
}

#[test]
fn what_was_deleted_in_its_time_is_as_far_as_the_record_tells() {
    // Segments 1 to 3, of which the third tells that the first is deleted.
    let mut pen = Pen::new(None);
    let first = pen.open(1, "nothing").seal(1, 1, 0).cut();
    let second = pen.open(2, "seal").seal(2, 1, 2).cut();
    pen.open(3, "seal");
    pen.mark(r#""record":"retired","number":3,"noted":"2026-11-22T09:30:00.000000Z","through":1"#);
    let third = pen.cut();
    let head = |seq: u64| Some(format!("{seq}:{}", "0".repeat(64)).parse().unwrap());
    let books = Books::new();
    let write = |name: &str, text: &str| {
        let file: PathBuf = books.folder().join(name);
        fs::write(&file, text).unwrap();
        file
    };
    let files = [
        write("audit.jsonl.00000001", &first),
        write("audit.jsonl.00000002", &second),
        write("audit.jsonl", &third),
    ];
    let kinds = |files: &[PathBuf], head| -> Vec<ProblemKind> {
        let report = verify(files, &books.file(), &[], head);
        report.problems.into_iter().map(|Problem { kind, .. }| kind).collect()
    };
    assert_eq!(kinds(&files, None), []);
    assert_eq!(kinds(&files[1..], None), []);
    assert_eq!(kinds(&files[2..], None), [ProblemKind::SegmentsMissing { from: 2, to: 2 }]);
    let gap = [files[0].clone(), files[2].clone()];
    assert_eq!(kinds(&gap, None), [ProblemKind::SegmentsMissing { from: 2, to: 2 }]);
    // A head of what is deleted, of what is there, and of what is not there any more.
    let older = verify(&files[1..], &books.file(), &[], head(1));
    assert!(older.holds());
    assert!(older.notes.iter().any(|note| note.kind == NoteKind::HeadIsOlder { head: 1 }));
    assert_eq!(kinds(&files, head(2)), [ProblemKind::Rewritten]);
    assert_eq!(kinds(&files, head(6)), [ProblemKind::Truncated { head: 6 }]);
}

#[test]
fn everything_is_counted_where_not_everything_is_named() {
    let text = Pen::new(None).open(1, "nothing").cut();
    let report = judge(&[text.clone() + &"no line\n".repeat(1_500)], &[]);
    assert_eq!((report.problem_count, report.problems.len()), (1_500, 1_000));
    // As many lines as are no lines may be missing, and no more.
    let mut pen = Pen::new(None);
    pen.open(1, "nothing").cut();
    pen.seq += 3;
    let later = pen.call("outcome", "a").cut();
    assert_eq!(judge(&[text.clone() + &"no line\n".repeat(3) + &later], &[]).problem_count, 3);
    assert_eq!(judge(&[text + &"no line\n".repeat(2) + &later], &[]).problem_count, 3);
}

#[test]
fn calls_in_doubt_are_named_in_their_order() {
    let mut pen = Pen::new(None);
    pen.open(1, "nothing");
    for index in 0..50 {
        pen.call("intent", &format!("call-{index:02}"));
    }
    for index in (0..50).filter(|index| index % 3 > 0) {
        pen.call("outcome", &format!("call-{index:02}"));
    }
    let report = holds(&[pen.cut()], &[]);
    let named: Vec<String> = report.in_doubt.iter().map(|doubt| doubt.request_id.clone()).collect();
    let expected: Vec<String> = (0..50).step_by(3).map(|index| format!("call-{index:02}")).collect();
    assert_eq!(named, expected);
    assert_eq!((report.in_doubt[1].line, report.in_doubt[1].seq), (5, 4));
}

//! Whoever changes the record is caught, and is told where: every kind of change on a record of ten thousand lines in
//! several segments, with a key and without.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use countersign::ledger::Claim;
use countersign::ledger::verify::Report;
use sha2::{Digest as _, Sha256};

use crate::books::{Books, PATIENCE, Way, event, head, run, verify};
use crate::dice::Dice;
use countersign::audit::event::Kind;

/// A record as it lies on the disk, uncompressed, and its head.
pub struct Record {
    pub books: Books,
    pub files: Vec<PathBuf>,
    pub texts: Vec<Vec<u8>>,
    head: Claim,
    key: Option<&'static str>,
}

impl Record {
    pub fn new(lines: usize, size: u64, key: Option<&'static str>) -> Self {
        let from = Books::new();
        let (recorder, writer) = from.start(Way { size, key, ..Way::default() });
        run(async {
            let mut pending = Vec::new();
            for index in 0..lines / 2 {
                let id = format!("call-{index}");
                pending.push(recorder.intent(&event(Kind::Intent, &id, &["bucket/key"], false)));
                recorder.outcome(&event(Kind::Outcome, &id, &["bucket/key"], false));
                if index % 20 == 0 {
                    for intent in pending.drain(..) {
                        intent.await.unwrap();
                    }
                }
            }
            for intent in pending {
                intent.await.unwrap();
            }
        });
        Books::wait("the last sync", || {
            let text = fs::read(from.file()).unwrap();
            let last = text.strip_suffix(b"\n").and_then(|text| text.rsplit(|byte| *byte == b'\n').next());
            let value: serde_json::Value =
                serde_json::from_slice(last.unwrap_or_default()).unwrap_or_default();
            let state = recorder.state();
            state.outcomes == lines as u64 / 2 && state.head.is_some_and(|head| value["seq"] == head.seq)
        });
        from.compressed();
        // The active segment without a seal: the record as it is while it is written. It may still be rotated; then once
        // more.
        let (noted, copy) = loop {
            let (noted, files) = (head(&recorder), from.files());
            let copy: Option<Vec<(String, Vec<u8>)>> = files.iter().map(|file| plain(file)).collect();
            if let Some(copy) = copy.filter(|_| from.files() == files && head(&recorder) == noted) {
                break (noted, copy);
            }
        };
        let books = Books::new();
        let (mut files, mut texts) = (Vec::new(), Vec::new());
        for (name, text) in copy {
            let path = books.folder().join(name);
            put(&path, &text).unwrap();
            files.push(path);
            texts.push(text);
        }
        writer.stop(PATIENCE).unwrap();
        Self { books, files, texts, head: noted, key }
    }

    pub fn verify(&self, head: Option<Claim>) -> Report {
        verify(&self.files, &self.books.file(), self.key.as_slice(), head)
    }

    /// The report on the record with one file changed.
    pub fn with(&self, file: usize, bytes: &[u8]) -> Report {
        put(&self.files[file], bytes).unwrap();
        let report = self.verify(None);
        put(&self.files[file], &self.texts[file]).unwrap();
        report
    }

    /// Only this file and the next, for changes that are tried by the thousand.
    pub fn pair(&self, file: usize, bytes: &[u8]) -> Report {
        let pair = &self.files[file..(file + 2).min(self.files.len())];
        put(&self.files[file], bytes).unwrap();
        let report = verify(pair, &self.books.file(), self.key.as_slice(), None);
        put(&self.files[file], &self.texts[file]).unwrap();
        report
    }
}

/// Writes a file's new content over the old; truncating it first would make some file systems write it out each time.
pub fn put(file: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
    let mut file = fs::OpenOptions::new().create(true).truncate(false).write(true).open(file)?;
    file.write_all(bytes.as_ref())?;
    file.set_len(bytes.as_ref().len() as u64)
}

/// A segment's name and text without compression; nothing when it is gone.
fn plain(file: &Path) -> Option<(String, Vec<u8>)> {
    let bytes = fs::read(file).ok()?;
    let name = file.file_name()?.to_str()?;
    match name.strip_suffix(".zst") {
        Some(name) => Some((name.to_owned(), zstd::decode_all(bytes.as_slice()).ok()?)),
        None => Some((name.to_owned(), bytes)),
    }
}

/// The lines of a text, each with its newline.
pub fn lines(text: &[u8]) -> Vec<&[u8]> {
    text.split_inclusive(|byte| *byte == b'\n').collect()
}

#[track_caller]
pub fn caught(report: &Report, file: &PathBuf, line: usize, what: &str) {
    assert!(!report.holds(), "{what} was not seen");
    let at = report
        .problems
        .iter()
        .any(|problem| problem.file == *file && problem.line.abs_diff(line as u64) <= 1);
    assert!(at, "{what} in {}:{line} was told elsewhere: {:?}", file.display(), report.problems);
}

#[test]
fn ten_thousand_lines_hold_and_every_structural_change_is_caught() {
    for key in [None, Some("key")] {
        let record = Record::new(10_000, 60_000, key);
        assert!(record.files.len() >= 50, "{:?}", record.files);
        let report = record.verify(Some(record.head));
        assert!(report.holds() && report.notes.is_empty(), "{:?} {:?}", report.problems, report.notes);
        assert_eq!((report.intents, report.outcomes), (5_000, 5_000));

        let mut dice = Dice::new("tamper");
        let mut tried = 0;
        // In some segments, and in the last; a segment is judged with the one behind it.
        let chosen = |index: usize| index % 29 == 1 || index + 1 == record.files.len();
        for (index, file) in record.files.iter().enumerate().filter(|(index, _)| chosen(*index)) {
            let all = lines(&record.texts[index]);
            let last = index + 1 == record.files.len();
            for _ in 0..20 {
                let at = dice.below(all.len());
                let other = dice.below(all.len());
                // Deleted. The end of the last segment is the matter of the head.
                if !last || at + 1 < all.len() {
                    let mut fewer = all.clone();
                    fewer.remove(at);
                    caught(&record.pair(index, &fewer.concat()), file, at + 1, "a deleted line");
                    tried += 1;
                }
                // Repeated, here or there.
                let mut more = all.clone();
                more.insert(other, all[at]);
                caught(&record.pair(index, &more.concat()), file, other + 1, "a repeated line");
                // Swapped.
                if at != other {
                    let mut swapped = all.clone();
                    swapped.swap(at, other);
                    caught(&record.pair(index, &swapped.concat()), file, at.min(other) + 1, "swapped lines");
                }
                tried += 2;
            }
            if !last {
                // The end of a segment cut off, with and without its seal.
                for cut in [1, 2, all.len() / 2] {
                    let report = record.pair(index, &all[..all.len() - cut].concat());
                    caught(&report, file, all.len() - cut, "a truncated segment");
                    tried += 1;
                }
                // A whole segment gone.
                let mut fewer = record.files.clone();
                fewer.remove(index);
                let report = verify(&fewer, &record.books.file(), key.as_slice(), None);
                assert!(!report.holds(), "a missing segment {index}");
                // Or there twice, or in the place of another.
                let mut twice = record.files.clone();
                twice.push(record.books.folder().join("copy"));
                put(twice.last().unwrap(), &record.texts[index]).unwrap();
                assert!(
                    !verify(&twice, &record.books.file(), key.as_slice(), None).holds(),
                    "a repeated segment"
                );
                let other = usize::from(index == 0);
                assert!(
                    !record.with(index, &record.texts[other]).holds(),
                    "a segment in the place of another"
                );
                tried += 3;
            }
        }
        println!("{tried} changes, all caught");
    }
}

#[test]
fn a_missing_end_shows_by_the_head() {
    let record = Record::new(1_000, 100_000, Some("key"));
    let last = record.files.len() - 1;
    let all = lines(&record.texts[last]);
    for cut in 1..=all.len() {
        put(&record.files[last], all[..all.len() - cut].concat()).unwrap();
        assert!(!record.verify(Some(record.head)).holds(), "{cut} lines cut off");
        if cut < all.len() {
            assert!(record.verify(None).holds(), "nothing else could show it");
        }
    }
    // Within the last line.
    for cut in 1..all[all.len() - 1].len() {
        let text = &record.texts[last];
        put(&record.files[last], &text[..text.len() - cut]).unwrap();
        assert!(!record.verify(Some(record.head)).holds(), "{cut} bytes cut off");
    }
    // All of the last segments.
    for gone in 1..record.files.len() {
        let fewer = &record.files[..record.files.len() - gone];
        assert!(!verify(fewer, &record.books.file(), &["key"], Some(record.head)).holds());
    }
    // Another line with the head's number.
    put(&record.files[last], &record.texts[last]).unwrap();
    let mut other = record.head;
    other.hash[0] ^= 1;
    assert!(!record.verify(Some(other)).holds());
    assert!(record.verify(Some(record.head)).holds());
}

/// A line with another body, and the hash that the definition gives it without a key.
fn forged(before: &[u8; 32], body: &str, seq: u64) -> (Vec<u8>, [u8; 32]) {
    let covered = format!("{body},\"seq\":{seq}");
    let hash: [u8; 32] = Sha256::digest([before.as_slice(), covered.as_bytes()].concat()).into();
    let digits: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    (format!("{covered},\"hash\":\"{digits}\"}}\n").into_bytes(), hash)
}

fn hash_of(line: &[u8]) -> [u8; 32] {
    let value: serde_json::Value = serde_json::from_slice(line).unwrap();
    let digits = value["hash"].as_str().unwrap();
    std::array::from_fn(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap())
}

#[test]
fn splices_are_caught_with_the_key_and_by_the_head_without() {
    for key in [None, Some("key")] {
        let record = Record::new(400, 60_000, key);
        let other = Record::new(400, 60_000, key);
        let mut dice = Dice::new("splices");
        for (index, file) in record.files.iter().enumerate().take(other.files.len() - 1) {
            let (own, foreign) = (lines(&record.texts[index]), lines(&other.texts[index]));
            for _ in 0..10 {
                let at = 1 + dice.below(own.len().min(foreign.len()) - 1);
                // A line of another record with the same number, alone and with all that follow.
                let mut one = own.clone();
                one[at] = foreign[at];
                caught(&record.pair(index, &one.concat()), file, at + 1, "a foreign line");
                let tail = [&own[..at], &foreign[at..]].concat();
                caught(&record.pair(index, &tail.concat()), file, at + 1, "a foreign tail");
            }
        }
        // The last segment written anew from some line on, as who has no key would.
        let last = record.files.len() - 1;
        let all = lines(&record.texts[last]);
        let at = all.len() / 2;
        let mut forgery = all[..at].concat();
        let mut before = hash_of(all[at - 1]);
        for line in &all[at..] {
            let text = std::str::from_utf8(line).unwrap();
            let body = &text[..text.rfind(",\"seq\":").unwrap()].replace("PutObject", "GetObject");
            let seq = serde_json::from_str::<serde_json::Value>(text).unwrap()["seq"].as_u64().unwrap();
            let (line, hash) = forged(&before, body, seq);
            forgery.extend_from_slice(&line);
            before = hash;
        }
        if key.is_some() {
            caught(&record.with(last, &forgery), &record.files[last], at + 1, "a forged line");
        } else {
            assert!(record.with(last, &forgery).holds(), "without a key anybody can write the end anew");
        }
        put(&record.files[last], &forgery).unwrap();
        assert!(!record.verify(Some(record.head)).holds(), "the head shows it in any case");
        put(&record.files[last], &record.texts[last]).unwrap();

        // The whole record written anew without its key.
        if key.is_some() {
            let mut before = [0; 32];
            for (index, text) in record.texts.iter().enumerate() {
                let mut anew = Vec::new();
                for line in lines(text) {
                    let text = std::str::from_utf8(line).unwrap();
                    let value: serde_json::Value = serde_json::from_str(text).unwrap();
                    let mut body = text[..text.rfind(",\"seq\":").unwrap()].replace("hmac-sha256", "sha256");
                    if let Some(previous) = value["segment"]["previousHash"].as_str() {
                        let digits: String = before.iter().map(|byte: &u8| format!("{byte:02x}")).collect();
                        body = body.replace(previous, &digits);
                    }
                    let (line, hash) = forged(&before, &body, value["seq"].as_u64().unwrap());
                    anew.extend_from_slice(&line);
                    before = hash;
                }
                put(&record.files[index], anew).unwrap();
            }
            assert!(!record.verify(None).holds(), "a record without the key is none");
            assert!(
                verify(&record.files, &record.books.file(), &[], None).holds(),
                "but is one to who has no key"
            );
        }
    }
}

//! Single bytes of the record changed, and bytes of any kind in its place: all of it is told, where it is, and nothing
//! makes the proof or a start fall over.

use std::fs;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use countersign::ledger::verify::{ProblemKind, Report};

use crate::books::{Books, Way, verify};
use crate::dice::Dice;
use crate::tamper::{Record, caught, lines, put};

#[test]
fn every_flipped_byte_is_caught_and_located() {
    let record = Record::new(10_000, 15_000, Some("key"));
    let mut dice = Dice::new("flips");
    let mut tried = 0;
    let whole_segments = [0, 1, record.files.len() / 2, record.files.len() - 1];
    for (index, file) in record.files.iter().enumerate() {
        let text = &record.texts[index];
        let all = lines(text);
        let mut starts = vec![0];
        starts.extend(all.iter().scan(0, |end, line| {
            *end += line.len();
            Some(*end)
        }));
        // Of some segments all bytes of the first, the second, one in the middle and the last lines; of all others a few.
        let whole = [0, 1, all.len() / 2, all.len().saturating_sub(2), all.len() - 1];
        let positions = (0..text.len()).filter(|at| {
            let line = starts.partition_point(|start| start <= at) - 1;
            whole_segments.contains(&index) && whole.contains(&line)
        });
        let positions: Vec<usize> = positions.chain((0..3).map(|_| dice.below(text.len()))).collect();
        for at in positions {
            let mut altered = text.clone();
            altered[at] ^= 1 << dice.below(8);
            let line = starts.partition_point(|start| *start <= at);
            let report = record.pair(index, &altered);
            // Before the second segment of a pair the first is missing, which is told too.
            let of_file = report.problems.iter().filter(|problem| problem.file == *file).cloned().collect();
            let report = Report { problems: of_file, ..report };
            assert!(!report.problems.is_empty(), "byte {at} of line {line} in {}", file.display());
            if line > 1 {
                caught(&report, file, line, "a flipped byte");
            }
            // Where only the hash is another, only its own line is told of.
            let end = starts.get(line).copied().unwrap_or(text.len());
            let one_spelling = altered[at].is_ascii_uppercase();
            if line > 1 && (end - 67..end - 3).contains(&at) && altered[at].is_ascii_hexdigit() {
                let altered = report.problems.iter().filter(|problem| problem.kind == ProblemKind::Altered);
                assert!(one_spelling || altered.count() == 1, "{:?}", report.problems);
            }
            tried += 1;
        }
    }
    println!("{tried} flipped bytes, all caught");
}

#[test]
fn every_flipped_byte_of_a_compressed_segment_is_caught_or_means_nothing() {
    let record = Record::new(200, 40_000, None);
    let compressed = record.files[0].with_extension("jsonl.00000001.zst");
    let compressed = compressed.with_file_name("audit.jsonl.00000001.zst");
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(&record.texts[0]).unwrap();
    let bytes = encoder.finish().unwrap();
    // Cut off, it is told to be damaged and nothing else is taken for it.
    put(&compressed, &bytes[..bytes.len() / 2]).unwrap();
    let cut = verify(&[compressed.clone(), record.files[1].clone()], &record.books.file(), &[], None);
    let kinds = cut.problems.iter().map(|problem| &problem.kind);
    assert!(
        kinds.clone().any(|kind| matches!(kind, ProblemKind::Unreadable(_))),
        "{:?}",
        kinds.collect::<Vec<_>>()
    );
    let mut meaningless = 0;
    let sampled = |at: &usize| *at < 64 || *at + 64 > bytes.len() || at.is_multiple_of(7);
    for at in (0..bytes.len()).filter(sampled) {
        let mut altered = bytes.clone();
        altered[at] ^= 1 << (at % 8);
        put(&compressed, &altered).unwrap();
        let report = verify(&[compressed.clone(), record.files[1].clone()], &record.books.file(), &[], None);
        if report.holds() {
            assert!(zstd::decode_all(altered.as_slice()).unwrap() == record.texts[0], "byte {at}");
            meaningless += 1;
        }
    }
    assert!(meaningless < 8, "{meaningless} of {}", bytes.len());
    println!("of the flipped bytes {meaningless} had no meaning");
}

#[test]
fn no_bytes_make_the_proof_panic_or_hang() {
    let record = Record::new(60, 10_000, Some("key"));
    let mut dice = Dice::new("mutations");
    let pieces: [&[u8]; 12] = [
        b"\n",
        b"{",
        b"}",
        b"\"",
        b",\"seq\":",
        b",\"hash\":\"",
        b"99999999999999999999",
        b"18446744073709551615",
        b"\\u0000",
        &[0; 40],
        b"{\"segment\":{\"record\":\"open\",\"number\":18446744073709551615}",
        b"\xff\xfe",
    ];
    let rounds = 1_500;
    for round in 0..rounds {
        let index = dice.below(record.files.len());
        let mut bytes = record.texts[index].clone();
        for _ in 0..=dice.below(4) {
            let at = dice.below(bytes.len().max(1));
            match dice.below(5) {
                0 => bytes.truncate(at),
                1 => bytes[at] = u8::try_from(dice.below(256)).unwrap(),
                2 => {
                    let end = (at + dice.below(200)).min(bytes.len());
                    bytes.drain(at..end);
                }
                3 => {
                    let piece = pieces[dice.below(pieces.len())];
                    bytes.splice(at..at, piece.iter().copied());
                }
                _ => {
                    let end = (at + dice.below(500)).min(bytes.len());
                    let copy = bytes[at..end].to_vec();
                    bytes.splice(at..at, copy);
                }
            }
            if bytes.is_empty() {
                break;
            }
        }
        let unchanged = bytes == record.texts[index];
        let report = catch_unwind(AssertUnwindSafe(|| record.with(index, &bytes))).expect("no panic");
        // A cut end, and the beginning of a line behind it, are what a crash leaves.
        let complete = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let cut = index + 1 == record.files.len() && record.texts[index].starts_with(&bytes[..complete]);
        assert!(unchanged || cut || !report.holds(), "round {round}, file {index}");

        // A start on whatever is there neither panics nor loses a byte.
        if round % 10 == 0 {
            let books = Books::new();
            put(books.file(), &bytes).unwrap();
            let (_, writer) = books.start(Way { key: Some("key"), ..Way::default() });
            writer.stop(Duration::from_secs(10)).unwrap();
            // A segment that is just being compressed changes its name.
            let everything: Vec<Vec<u8>> = books
                .names()
                .iter()
                .filter_map(|name| fs::read(books.folder().join(name)).ok())
                .chain(books.names().iter().filter_map(|name| fs::read(books.folder().join(name)).ok()))
                .map(|bytes| zstd::decode_all(bytes.as_slice()).unwrap_or(bytes))
                .collect();
            for line in lines(&bytes) {
                let line = line.strip_suffix(b"\n").unwrap_or(line);
                let there = everything
                    .iter()
                    .any(|file| line.is_empty() || file.windows(line.len()).any(|part| part == line));
                assert!(there, "round {round}: a line is gone: {}", String::from_utf8_lossy(line));
            }
        }
    }
}

//! `kill -9` at random moments: the chain verifies every time, and every intent that was said to be durable is there.

use std::collections::HashSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::time::Duration;

use countersign::ledger::read::{Lines, Piece};
use countersign::ledger::verify::NoteKind;

use crate::books::{Books, PATIENCE, Way};
use crate::child::{command, listen};
use crate::dice::Dice;

/// Rounds on one record before the next is begun, so that proofs do not take ever longer.
const ROUNDS: usize = 25;

/// The ids of all intents in the record.
fn intents(books: &Books) -> HashSet<String> {
    let mut found = HashSet::new();
    for file in books.files() {
        let mut lines = Lines::open(&file).unwrap();
        while let Some(piece) = lines.next().unwrap() {
            if let Piece::Line(line) = piece {
                let value: serde_json::Value = serde_json::from_slice(line).unwrap();
                if value["additionalEventData"]["record"] == "intent" {
                    found.insert(value["requestID"].as_str().unwrap().to_owned());
                }
            }
        }
    }
    found
}

/// Kills in a whole run: `COUNTERSIGN_KILLS`, or 200.
fn kills() -> usize {
    std::env::var("COUNTERSIGN_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(200)
}

#[test]
fn no_kill_breaks_the_chain_or_loses_an_intent() {
    let mut dice = Dice::new("kills");
    let (mut done, mut acknowledged, mut torn, mut doubts) = (0, 0, 0, 0);
    while done < kills() {
        let books = Books::new();
        let mut promised = HashSet::new();
        for _ in 0..ROUNDS.min(kills() - done) {
            let size = 10_000 + dice.below(60_000) as u64;
            let mut child = command(&books.file(), size, None).spawn().unwrap();
            let told = listen(&mut child);
            // Before the first line, or after some.
            let mut heard: Vec<String> = Vec::new();
            if dice.chance(90) {
                let wanted = dice.below(80);
                heard.extend(std::iter::from_fn(|| told.recv_timeout(PATIENCE).ok()).take(wanted));
            }
            std::thread::sleep(Duration::from_micros(dice.below(5_000) as u64));
            child.kill().unwrap();
            child.wait().unwrap();
            heard.extend(told.iter());
            promised.extend(heard.iter().filter_map(|line| line.strip_prefix("ack ").map(str::to_owned)));
            done += 1;
            let report = books.verify(&["key"], None);
            assert!(report.holds(), "{:#?} {:?}", report.problems, books.names());
            doubts = report.in_doubt.len();
            let sealed = report.segments.last().is_none_or(|segment| segment.sealed);
            let is_torn = report.notes.iter().any(|note| matches!(note.kind, NoteKind::Torn { .. }));
            if dice.chance(25) && books.file().exists() && !sealed && !is_torn {
                // What a power cut leaves of a line.
                let line =
                    br#"{"eventVersion":"1.0","eventTime":"2026-11-22T09:30:00.123456Z","eventID":"0"}"#;
                let mut file = OpenOptions::new().append(true).open(books.file()).unwrap();
                file.write_all(&line[..=dice.below(line.len() - 1)]).unwrap();
                torn += 1;
            }
        }
        // One more start mends what the last kill left.
        let (_, writer) = books.start(Way { key: Some("key"), ..Way::default() });
        writer.stop(PATIENCE).unwrap();
        books.proven(&["key"]);
        let found = intents(&books);
        let lost: Vec<&String> = promised.difference(&found).collect();
        assert!(lost.is_empty(), "{lost:?}");
        acknowledged += promised.len();
        let torn_file = books.folder().join("audit.jsonl.torn");
        assert!(!torn_file.exists() || fs::metadata(torn_file).unwrap().len() > 0);
    }
    println!(
        "{done} kills, {acknowledged} intents promised and found, {torn} lines torn, {doubts} in doubt at last"
    );
    assert!(acknowledged > done);
}

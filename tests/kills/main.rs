//! `kill -9` at random moments under load, on the real program: after every kill the record is whole, no call that
//! changes anything was seen upstream without a durable intent, and calls of which nothing more is known are named.
//!
//! `COUNTERSIGN_KILLS` says how many kills there are, `COUNTERSIGN_SEED` which.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, unreachable_pub)]

mod callers;
#[path = "../hostile/dice.rs"]
#[allow(dead_code)]
mod dice;
mod lines;
#[path = "../support/program.rs"]
mod program;
#[path = "../support/running.rs"]
mod running;
mod upstream;

use std::collections::{BTreeSet, HashSet};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use callers::{Call, Callers, Kind};
use countersign::ledger;
use countersign::ledger::verify::NoteKind;
use countersign::secret::Secret;
use dice::Dice;
use lines::Lines;
use program::Place;
use running::Running;
use upstream::Upstream;

/// Kills of one record before the next is begun, so that proofs do not take ever longer.
const LIVES: usize = 25;
const KEY: &str = "the key of the record";

/// Everything in the bytes that looks like an id.
fn ids(bytes: &[u8]) -> HashSet<String> {
    let shape = |part: &[u8]| {
        part.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(byte),
        })
    };
    bytes
        .windows(36)
        .filter(|part| shape(part))
        .map(|part| String::from_utf8(part.to_vec()).unwrap())
        .collect()
}

/// The record of some lives of the gateway, and what it is measured against.
struct Book {
    place: Place,
    upstream: Upstream,
    file: String,
    keyed: bool,
    calls: Vec<Call>,
}

/// What was met on the way.
#[derive(Default, Debug)]
struct Counts {
    kills: usize,
    before_the_first_answer: usize,
    calls: usize,
    changes_seen_upstream: usize,
    refused: usize,
    in_doubt: usize,
    torn: usize,
    mended: usize,
    segments: usize,
}

impl Book {
    fn new(dice: &mut Dice) -> Self {
        let place = Place::new();
        let upstream = Upstream::new();
        let keyed = dice.chance(50);
        let key =
            if keyed { format!("key = {{ file = \"{}\" }}", place.write("key", KEY)) } else { String::new() };
        let file = place.path("audit.jsonl");
        let url = format!("http://{}", upstream.address);
        let rest = format!(
            "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = {workers}\n\
             [audit]\nfile = \"{file}\"\nrotate-size = \"1MiB\"\n{key}\n\
             [routes.s3]\nmatch = {{ host = \"s3.internal\" }}\nupstream = \"{url}\"\n\
             allow = [\"s3:* bucket/*\"]\nsign.s3-v4 = {{ credential = \"key\", region = \"us-east-1\" }}\n\
             [routes.cloud]\nmatch = {{ host = \"cloud.internal\", path = \"/client/api\" }}\nupstream = \"{url}\"\n\
             sign.cloudstack = {{ credential = \"key\" }}\n",
            workers = 1 + dice.below(2),
        );
        place.configuration("AKIDEXAMPLE", "a secret of forty characters for tests..", &rest);
        Self { place, upstream, file, keyed, calls: Vec::new() }
    }

    fn start(&self) -> Running {
        let config = self.place.path("countersign.toml");
        let mut command = self.place.command(&["--log-format", "json", "serve", "--config", &config]);
        command.stdout(std::process::Stdio::null());
        Running::start(command)
    }

    /// One life, ended by a kill.
    fn life(&mut self, dice: &mut Dice, counts: &mut Counts) {
        let mut gateway = self.start();
        if dice.chance(15) {
            // A start takes about this long.
            std::thread::sleep(Duration::from_micros(dice.below(40_000) as u64));
            gateway.kill();
            counts.before_the_first_answer += 1;
        } else {
            let callers = Callers::start(gateway.wait_for("listening"));
            let start = Instant::now();
            while callers.answers() == 0 {
                assert!(start.elapsed() < Duration::from_secs(20), "no answer\n{}", gateway.said());
                std::thread::sleep(Duration::from_micros(200));
            }
            std::thread::sleep(Duration::from_micros(dice.below(150_000) as u64));
            gateway.kill();
            self.calls.extend(callers.stop());
        }
        counts.kills += 1;
    }

    /// Leaves the beginning of a line, as a power cut does.
    fn tear(&self, dice: &mut Dice, counts: &mut Counts) {
        let file = Path::new(&self.file);
        let text = fs::read(file).unwrap_or_default();
        let last = text.strip_suffix(b"\n").and_then(|text| text.rsplit(|byte| *byte == b'\n').next());
        // Behind a seal nothing is written.
        if let Some(last) = last.filter(|last| !last.starts_with(b"{\"segment\":{\"record\":\"seal\"")) {
            let mut file = OpenOptions::new().append(true).open(file).unwrap();
            file.write_all(&last[..=dice.below(last.len() - 1)]).unwrap();
            counts.torn += 1;
        }
    }

    fn verify(&self) -> ledger::Report {
        let key = self.keyed.then(|| Secret::from(KEY));
        let keys: Vec<&Secret> = key.iter().collect();
        ledger::record(Path::new(&self.file), &[], &keys, None).unwrap()
    }

    /// Holds the record against what happened; nobody writes it now.
    fn judge(&self) -> (Lines, ledger::Report) {
        let seen = self.upstream.seen();
        if self.calls.is_empty() && !Path::new(&self.file).exists() {
            return (Lines::default(), ledger::Report::default());
        }
        let report = self.verify();
        assert!(report.holds(), "{:#?}", report.problems);
        let lines = Lines::read(Path::new(&self.file).parent().unwrap());
        for call in &self.calls {
            let Call { id, kind, answered } = call;
            let (is_seen, is_intended) = (seen.contains(id), lines.intents.contains(id));
            match kind {
                Kind::Changes => {
                    assert!(answered.is_none_or(|status| status == 200), "{answered:?}");
                    assert!(is_intended || !is_seen, "{id} was seen upstream and has no intent");
                    assert!(
                        is_intended || answered.is_none(),
                        "{id} was answered {answered:?} and has no intent"
                    );
                }
                Kind::Reads => {
                    assert!(!is_intended, "{id} is a read and has an intent");
                    assert!(answered.is_none_or(|status| status == 200), "{answered:?}");
                }
                Kind::Refused => {
                    assert!(!is_seen && !is_intended, "{id} was refused");
                    assert!(answered.is_none_or(|status| status == 403), "{answered:?}");
                }
            }
        }
        let named: BTreeSet<String> = report.in_doubt.iter().map(|doubt| doubt.request_id.clone()).collect();
        assert_eq!(named, lines.in_doubt);
        (lines, report)
    }

    /// The end of the record: one more life, which ends as it should.
    fn close(mut self, counts: &mut Counts) {
        let mut gateway = self.start();
        let callers = Callers::start(gateway.wait_for("listening"));
        while callers.answers() < 20 {
            std::thread::sleep(Duration::from_millis(1));
        }
        let earlier = self.calls.len();
        self.calls.extend(callers.stop());
        let status = gateway.stop();
        assert!(status.success(), "{status:?}\n{}", gateway.said());
        let (lines, report) = self.judge();
        assert!(report.segments.last().unwrap().sealed, "{:?}", report.segments);
        // Of what was not killed, everything is there.
        for call in &self.calls[earlier..] {
            assert!(lines.outcomes.contains(&call.id), "{} {:?} has no outcome", call.id, call.kind);
        }
        let config = self.place.path("countersign.toml");
        let proof = self.place.run(&["audit", "verify", "--config", &config, "--format", "json"]).with(0);
        let proof: serde_json::Value = serde_json::from_str(&proof.out).unwrap();
        let named = proof["in-doubt"].as_array().unwrap().iter();
        let named: BTreeSet<String> =
            named.map(|doubt| doubt["request-id"].as_str().unwrap().to_owned()).collect();
        assert_eq!(named, lines.in_doubt);

        let seen = self.upstream.seen();
        let of = |kind: Kind| self.calls.iter().filter(move |call| call.kind == kind);
        counts.calls += self.calls.len();
        counts.changes_seen_upstream += of(Kind::Changes).filter(|call| seen.contains(&call.id)).count();
        counts.refused += of(Kind::Refused).filter(|call| lines.outcomes.contains(&call.id)).count();
        counts.in_doubt += lines.in_doubt.len();
        counts.segments += report.segments.len();
        counts.mended +=
            report.notes.iter().filter(|note| matches!(note.kind, NoteKind::Recovered { torn: 1.. })).count();
    }
}

/// `COUNTERSIGN_KILLS`, or 30.
fn kills() -> usize {
    std::env::var("COUNTERSIGN_KILLS").ok().map_or(30, |text| text.parse().unwrap())
}

#[test]
fn no_kill_breaks_the_record_or_hides_a_call() {
    let mut dice = Dice::new("kills");
    let mut counts = Counts::default();
    let start = Instant::now();
    while counts.kills < kills() {
        let mut book = Book::new(&mut dice);
        for _ in 0..LIVES.min(kills() - counts.kills) {
            book.life(&mut dice, &mut counts);
            book.judge();
            if dice.chance(20) {
                book.tear(&mut dice, &mut counts);
                book.judge();
            }
        }
        book.close(&mut counts);
    }
    println!("{counts:?} in {:?}", start.elapsed());
    assert!(counts.changes_seen_upstream > counts.kills, "{counts:?}");
    assert!(counts.refused > 0 && counts.in_doubt > 0, "{counts:?}");
    // A torn end stays until the next start that gets so far; a kill in the middle of a long write tears one too.
    assert!(counts.mended > 0 && counts.mended <= counts.torn + counts.kills, "{counts:?}");
}

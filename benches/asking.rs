//! Questions to a large record: how fast the index is made, and how long each of a dozen questions takes.
//!
//! `cargo bench --bench asking` makes ten million records with the real chain, in compressed segments, in a folder
//! that is removed afterwards; `-- --records 100000` makes fewer, `-- --keep DIR` uses a folder that stays, and the
//! record in it when there is one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]
#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::too_many_lines)]

#[path = "../tests/support/record.rs"]
mod record;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use countersign::ledger::filter::{Filter, moment};
use countersign::ledger::index::{Index, Step, beside};
use countersign::ledger::usage::{By, Period};
use record::{Maker, Recipe};

/// The bar for every question, in milliseconds.
const BAR: f64 = 1000.0;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| words.iter().position(|word| word == name).and_then(|at| words.get(at + 1));
    // The harness of `cargo test --benches` names no number.
    let records: u64 = value("--records").map_or(10_000_000, |records| records.parse().unwrap());
    let scratch = tempfile::tempdir().unwrap();
    let folder = value("--keep").map_or_else(|| scratch.path().to_owned(), PathBuf::from);
    std::fs::create_dir_all(&folder).unwrap();
    let log = folder.join("audit.jsonl");
    if !log.exists() {
        make(&log, records);
    }
    let folder_size = || -> u64 {
        let files = std::fs::read_dir(&folder).unwrap();
        files.map(|file| file.unwrap().metadata().unwrap().len()).sum()
    };
    let record_size = folder_size();

    let start = Instant::now();
    let mut lines = 0;
    let mut sorting = None;
    let index = Index::rebuild(&log, None, &mut |step| match step {
        Step::Reading { lines: read, .. } => lines = read,
        Step::Sorting { .. } => {
            sorting.get_or_insert_with(|| start.elapsed());
        }
        Step::Waiting => {}
    })
    .unwrap();
    let (all, read) = (start.elapsed().as_secs_f64(), sorting.map_or(0.0, |sorting| sorting.as_secs_f64()));
    println!(
        "indexed {lines} lines in {all:.1} s ({:.0}/s): reading {read:.1} s, sorting {:.1} s; \
         record {} MiB compressed, index {} MiB",
        lines as f64 / all,
        all - read,
        record_size >> 20,
        std::fs::metadata(beside(&log)).unwrap().len() >> 20
    );
    drop(index);

    let start = Instant::now();
    let index = Index::open(&log, None, &mut |_| {}).unwrap();
    println!("{:>9.1} ms  opening, and seeing that nothing is new", millis(start));
    let worst = questions(&index);
    println!(
        "slowest question {worst:.0} ms: {}",
        if worst < BAR { "under the bar" } else { "OVER THE BAR" }
    );
}

fn make(log: &Path, records: u64) {
    let start = Instant::now();
    // Ninety days of record, whatever their number.
    let gap_us = 90 * 86_400_000_000 * 10 / records.max(1) / 7;
    let recipe = Recipe {
        segment: 256 << 20,
        gap_us: gap_us.max(1),
        frame: Some(256 << 10),
        keep: false,
        ..Recipe::default()
    };
    let mut maker = Maker::new(log, recipe);
    while maker.seq < records {
        maker.call();
    }
    maker.settle();
    let seconds = start.elapsed().as_secs_f64();
    println!("made {} records, {} MiB, in {seconds:.1} s", maker.seq, maker.bytes >> 20);
}

fn millis(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}

fn questions(index: &Index) -> f64 {
    let all = Filter::default();
    let mut latest = 0;
    index
        .calls(&all, Some(1), |call| {
            Ok({
                latest = call.time;
                ControlFlow::Continue(())
            })
        })
        .unwrap();
    let now = jiff::Timestamp::from_microsecond(latest).unwrap();
    let ago = |text: &str| Some(moment(text, now).unwrap());
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let globs = |globs: &[&str]| globs.iter().map(|glob| glob.parse().unwrap()).collect();
    let rows = [
        ("the latest 100", all.clone(), Some(100)),
        ("one client, latest 100", Filter { clients: names(&["rare-visitor"]), ..all.clone() }, Some(100)),
        (
            "client and operation, a day a month ago",
            Filter {
                clients: names(&["ops"]),
                operations: globs(&["s3:Put*"]),
                since: ago("31d"),
                until: ago("30d"),
                ..all.clone()
            },
            None,
        ),
        (
            "client and operation glob, latest 100",
            Filter { clients: names(&["partner"]), operations: globs(&["destroy*"]), ..all.clone() },
            Some(100),
        ),
        (
            "operation, two hours",
            Filter { operations: globs(&["deploy*"]), since: ago("2h"), ..all.clone() },
            None,
        ),
        (
            "resource prefix of one folder, all",
            Filter { resource: Some("bucket-07/2026/05/00".into()), ..all.clone() },
            None,
        ),
        (
            "resource prefix of a whole bucket, latest 100",
            Filter { resource: Some("bucket-07/".into()), ..all.clone() },
            Some(100),
        ),
        (
            "resource prefix and client, latest 100",
            Filter { resource: Some("bucket-07/2026/0".into()), clients: names(&["ci"]), ..all.clone() },
            Some(100),
        ),
        ("refused, latest 100", Filter { refused: true, ..all.clone() }, Some(100)),
        (
            "refused of a rare client",
            Filter { refused: true, clients: names(&["rare-visitor"]), ..all.clone() },
            None,
        ),
        (
            "5xx of one route, a week",
            Filter {
                statuses: vec!["5xx".parse().unwrap()],
                routes: names(&["zstack"]),
                since: ago("7d"),
                ..all.clone()
            },
            None,
        ),
        (
            "one source, latest 100",
            Filter { sources: vec!["10.1.2.3".parse().unwrap()], ..all.clone() },
            Some(100),
        ),
        (
            "a network and an operation, latest 100",
            Filter {
                sources: vec!["192.168.2.0/24".parse().unwrap()],
                operations: globs(&["register*"]),
                ..all.clone()
            },
            Some(100),
        ),
        (
            "what nobody did: no client has the name",
            Filter { clients: names(&["nobody"]), ..all.clone() },
            Some(100),
        ),
        (
            "a combination that never was",
            Filter { routes: names(&["zstack"]), operations: globs(&["s3:*"]), ..all.clone() },
            Some(100),
        ),
    ];
    let mut worst: f64 = 0.0;
    let mut id = String::new();
    for (name, filter, limit) in rows {
        let start = Instant::now();
        let mut found = 0;
        index
            .calls(&filter, limit, |_| {
                Ok({
                    found += 1;
                    ControlFlow::Continue(())
                })
            })
            .unwrap();
        let table = millis(start);
        let start = Instant::now();
        let mut lines = 0;
        let limit = limit.or(Some(1000));
        index
            .lines(&filter, limit, |line| {
                Ok({
                    lines += 1;
                    if id.is_empty() {
                        let tree: serde_json::Value = serde_json::from_str(line).unwrap();
                        tree["requestID"].as_str().unwrap().clone_into(&mut id);
                    }
                    ControlFlow::Continue(())
                })
            })
            .unwrap();
        println!("{table:>9.1} ms  {name}: {found} calls ({lines} whole lines: {:.1} ms)", millis(start));
        worst = worst.max(table);
    }
    let start = Instant::now();
    let mut found = 0;
    index
        .lines(&Filter { request: Some(id), ..all.clone() }, None, |_| {
            Ok({
                found += 1;
                ControlFlow::Continue(())
            })
        })
        .unwrap();
    println!("{:>9.1} ms  one request id: {found} line", millis(start));
    worst = worst.max(millis(start));
    for (name, by, period, filter) in [
        ("usage by bucket and month", By::Bucket, Period::Month, all.clone()),
        (
            "usage by client and day, a month",
            By::Client,
            Period::Day,
            Filter { since: ago("30d"), ..all.clone() },
        ),
    ] {
        let start = Instant::now();
        let usage = index.usage(by, period, &filter).unwrap();
        println!("{:>9.1} ms  {name}: {} rows", millis(start), usage.len());
        worst = worst.max(millis(start));
    }
    worst
}

//! Questions to a record, judged by a naive reading of the same lines: filters, the index through everything that can
//! happen to a record and to itself, following, usage.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::cast_possible_truncation, clippy::cast_sign_loss)]

#[path = "support/naive_record.rs"]
mod naive;
#[path = "support/record.rs"]
mod record;

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use countersign::admin::Search;
use countersign::admin::search::Terms;
use countersign::ledger::Error;
use countersign::ledger::filter::Filter;
use countersign::ledger::follow::Follow;
use countersign::ledger::index::{Index, Step, beside};
use countersign::ledger::scan::scan;
use countersign::ledger::search::{Answer, Desk, search};
use countersign::ledger::usage::{By, Period};
use naive::{Conditions, calls};
use record::{BEGIN, CLIENTS, Dice, HOSTILE_TEXTS, Maker, Recipe};
use serde_json::Value;
use tempfile::TempDir;

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("audit.jsonl");
    (folder, log)
}

fn open(log: &Path) -> Index {
    Index::open(log, None, &mut |_| {}).unwrap()
}

fn lines(index: &Index, filter: &Filter, limit: Option<usize>) -> Vec<String> {
    let mut found = Vec::new();
    index
        .lines(filter, limit, |line| {
            found.push(line.to_owned());
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    found
}

fn everything(log: &Path) -> Vec<String> {
    let mut found = lines(&open(log), &Filter::default(), None);
    found.sort();
    found
}

/// Compares without printing a whole record.
#[track_caller]
fn same(found: &[String], wanted: &[String], what: &dyn std::fmt::Debug) {
    let first = found.iter().zip(wanted).find(|(one, other)| one != other);
    assert!(found == wanted, "{what:?}: {} found, {} wanted, first {first:?}", found.len(), wanted.len());
}

/// The lines of the calls that a naive reading finds, sorted.
fn expected(made: &[String], conditions: &Conditions) -> Vec<String> {
    let mut found: Vec<String> =
        calls(made).into_iter().filter(|call| conditions.hold(call)).map(|call| call.line).collect();
    found.sort();
    found
}

/// What the index says of a call, as texts.
fn row(call: &countersign::ledger::query::Call) -> [String; 11] {
    [
        call.time.to_string(),
        call.request.clone(),
        call.open.to_string(),
        call.client.clone(),
        call.route.clone(),
        call.operation.clone(),
        call.resource.clone(),
        call.source.clone(),
        call.status.to_string(),
        call.error.clone(),
        call.total_us.to_string(),
    ]
}

/// Conditions that some of the calls meet, and some do not.
fn conditions(dice: &mut Dice, made: &[String], now: i64) -> Conditions {
    let some = |dice: &mut Dice| -> Value {
        serde_json::from_str(&made[dice.below(made.len() as u64) as usize]).unwrap()
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut new = Conditions::default();
    for _ in 0..=dice.below(3) {
        match dice.below(11) {
            0 => {
                for _ in 0..=dice.below(2) {
                    new.clients.push(dice.of(&CLIENTS).to_owned());
                }
            }
            1 => new.clients.push(dice.of(&["anonymous", "", "nobody", "OPS"]).to_owned()),
            2 => new.routes.push(text(&some(dice)["additionalEventData"]["route"])),
            3 => {
                let name = text(&some(dice)["additionalEventData"]["operation"]);
                let cut: String = name.chars().take(dice.below(9) as usize).collect();
                let glob = match dice.below(4) {
                    0 => name.to_uppercase(),
                    1 => format!("{cut}*"),
                    2 => format!("*{}", name.chars().last().unwrap_or('x')),
                    _ => name.replace(['t', 'e'], "?"),
                };
                new.operations.push(if glob.is_empty() { "*".to_owned() } else { glob });
            }
            4 | 5 => {
                let name = text(&some(dice)["resources"][0]["name"]);
                let cut = dice.below(name.chars().count() as u64 + 1) as usize;
                new.resource = Some(name.chars().take(cut).collect());
            }
            6 => {
                // Any time, or to the microsecond when a call arrived.
                let mut time = || {
                    let arrived = text(&some(dice)["eventTime"]).parse::<jiff::Timestamp>().unwrap();
                    let any = BEGIN + dice.below((now - BEGIN) as u64).cast_signed();
                    if dice.below(2) == 0 { any } else { arrived.as_microsecond() }
                };
                (new.since, new.until) = (Some(time()), Some(time()));
                match dice.below(3) {
                    0 => new.since = None,
                    1 => new.until = None,
                    _ => {}
                }
            }
            7 => new
                .statuses
                .push(dice.of(&["4xx", "5xx", "403", "200-299", "0", "200-404", "1xx"]).to_owned()),
            8 => new.refused = true,
            9 => {
                new.sources.push(
                    dice.of(&[
                        "10.0.0.0/8",
                        "10.1.0.0/16",
                        "192.168.1.0/24",
                        "2001:db8::/120",
                        "unix:uid=1000",
                        "10.1.2.3",
                        "2001:db8::5",
                        "::ffff:10.0.0.0/104",
                    ])
                    .to_owned(),
                );
            }
            _ => new.request = Some(text(&some(dice)["requestID"])),
        }
    }
    new
}

#[test]
fn every_filter_finds_what_a_naive_reading_finds() {
    for (seed, hostile) in [(1, false), (2, true), (3, true)] {
        let (_folder, log) = place();
        let recipe = Recipe { seed, hostile, segment: 1 << 20, ..Recipe::default() };
        let mut maker = Maker::new(&log, recipe);
        maker.calls(2_000);
        maker.crash();
        maker.crash();
        maker.calls(67);
        let index = open(&log);
        assert!(index.faults().unwrap().is_empty());
        let mut dice = Dice::new(seed * 77);
        let (mut matched, mut partly) = (0, 0);
        let all = calls(&maker.lines);
        for _ in 0..40 {
            let asked = conditions(&mut dice, &maker.lines, maker.now);
            let filter = asked.filter();
            let mut wanted: Vec<String> =
                all.iter().filter(|call| asked.hold(call)).map(|call| call.line.clone()).collect();
            wanted.sort();
            let found = lines(&index, &filter, None);
            let times: Vec<String> = found
                .iter()
                .map(|line| serde_json::from_str::<Value>(line).unwrap()["eventTime"].to_string())
                .collect();
            assert!(times.is_sorted(), "{asked:?}");
            let mut sorted = found.clone();
            sorted.sort();
            assert!(
                sorted == wanted,
                "seed {seed}: {asked:?}: {} found, {} wanted",
                sorted.len(),
                wanted.len()
            );

            let limit = 1 + dice.below(20) as usize;
            assert_eq!(
                lines(&index, &filter, Some(limit)),
                found[found.len().saturating_sub(limit)..],
                "{asked:?}"
            );

            let mut seen = Vec::new();
            index
                .calls(&filter, None, |call| {
                    seen.push(row(&call));
                    Ok(ControlFlow::Continue(()))
                })
                .unwrap();
            let naive: Vec<_> = calls(&found).iter().map(naive::Call::row).collect();
            assert!(seen == naive, "{asked:?}: {:?} {:?}", seen.first(), naive.first());
            matched += usize::from(!wanted.is_empty());
            partly += usize::from(wanted.len() > 20 && wanted.len() < 1_900);
        }
        assert!(matched > 14 && partly > 7, "the conditions ask too little: {matched} {partly}");
    }
}

#[test]
fn a_scan_finds_what_a_naive_reading_finds() {
    let (_folder, log) = place();
    let mut maker = Maker::new(&log, Recipe { hostile: true, ..Recipe::default() });
    maker.calls(300);
    maker.crash();
    let all = calls(&maker.lines);
    let mut dice = Dice::new(5);
    let mut partly = 0;
    for _ in 0..200 {
        let asked = conditions(&mut dice, &maker.lines, maker.now);
        let mut wanted: Vec<String> =
            all.iter().filter(|call| asked.hold(call)).map(|call| call.line.clone()).collect();
        wanted.sort();
        let mut scanned = Vec::new();
        let counted = scan(&log, &asked.filter(), |_, line| {
            scanned.push(String::from_utf8(line.to_vec()).unwrap());
            Ok(())
        });
        assert_eq!(counted.unwrap().calls as usize, scanned.len());
        scanned.sort();
        same(&scanned, &wanted, &asked);
        partly += usize::from(!wanted.is_empty() && wanted.len() < 290);
    }
    assert!(partly > 80, "the conditions ask too little: {partly}");
    // Since is from that microsecond on, until is before it.
    let index = open(&log);
    for call in all.iter().step_by(37) {
        for (since, until, inside) in [(0, 1, true), (1, 2, false), (-1, 0, false)] {
            let (since, until) = (Some(call.time + since), Some(call.time + until));
            let asked = Filter { since, until, ..Filter::default() };
            assert_eq!(lines(&index, &asked, None).contains(&call.line), inside);
            let mut scanned = false;
            scan(&log, &asked, |_, line| {
                scanned |= line == call.line.as_bytes();
                Ok(())
            })
            .unwrap();
            assert_eq!(scanned, inside);
        }
    }
}

#[test]
fn the_latest_are_the_latest_also_of_one_moment() {
    let (_folder, log) = place();
    let mut maker = Maker::new(&log, Recipe { gap_us: 1, ..Recipe::default() });
    maker.calls(200);
    let index = open(&log);
    let all = lines(&index, &Filter::default(), None);
    for limit in 1..100 {
        assert_eq!(lines(&index, &Filter::default(), Some(limit)), all[all.len() - limit..]);
    }
}

#[test]
fn an_index_keeps_up_with_its_record() {
    let (_folder, log) = place();
    let mut maker = Maker::new(&log, Recipe { frame: None, ..Recipe::default() });
    assert_eq!(everything(&log), Vec::<String>::new());
    let all = Conditions::default();
    // Calls that are open when the index looks, and end later; several segments; now and then one is compressed
    // after the index has seen it, some half, some whole.
    let mut plain: Vec<PathBuf> = Vec::new();
    for round in 0..12_u64 {
        maker.calls(150 + 40 * round);
        if round % 3 == 2 {
            plain.push(maker.rotate());
        }
        maker.flush();
        if round % 4 == 3 {
            for segment in plain.drain(..) {
                record::compress(&segment, 32 << 10);
            }
        }
        if round != 6 {
            same(&everything(&log), &expected(&maker.lines, &all), &round);
        }
        // What was read is not read again.
        let before = maker.seq;
        maker.calls(3);
        let mut read = 0;
        let known = beside(&log).exists() && round != 6;
        Index::open(&log, None, &mut |step| {
            if let Step::Reading { lines, .. } = step {
                read = lines;
            }
        })
        .unwrap();
        assert!(!known || read == maker.seq - before, "{round}: {read} lines read");
    }
    maker.settle();
    same(&everything(&log), &expected(&maker.lines, &all), &"everything");
    // A line that is being written is not there yet.
    let whole = everything(&log).len();
    let mut bytes = fs::read(&log).unwrap();
    let end = bytes.len();
    bytes.extend(
        br#"{"eventTime":"2027-01-01T00:00:00Z","requestID":"r","additionalEventData":{"record":"outcome"}"#,
    );
    fs::write(&log, &bytes).unwrap();
    assert_eq!(everything(&log).len(), whole);
    bytes.extend(b",\"seq\":1}\n");
    fs::write(&log, &bytes).unwrap();
    assert_eq!(everything(&log).len(), whole + 1);
    // A record that was cut back is not the one that was indexed.
    bytes.truncate(end);
    fs::write(&log, &bytes).unwrap();
    same(&everything(&log), &expected(&maker.lines, &all), &"everything");
}

/// What usage adds up to, in numbers that a naive count has too: calls, errors, bytes in and out, microseconds.
type Sums = BTreeMap<(i64, String), [u64; 5]>;

fn sums(index: &Index, by: By, period: Period, filter: &Filter) -> Sums {
    let usage = index.usage(by, period, filter).unwrap();
    for one in &usage {
        assert_eq!(one.calls, one.errors + one.operations.values().sum::<u64>(), "{one:?}");
        assert!(one.latency.percentile(50) <= one.latency.percentile(99));
        assert!(one.latency.percentile(100) == one.latency.max_us);
    }
    usage
        .into_iter()
        .map(|one| {
            ((one.from, one.name), [one.calls, one.errors, one.bytes_in, one.bytes_out, one.latency.sum_us])
        })
        .collect()
}

#[test]
fn usage_is_what_a_recount_of_the_lines_gives() {
    let (_folder, log) = place();
    let mut maker = Maker::new(&log, Recipe { gap_us: 600_000_000, hostile: true, ..Recipe::default() });
    let bys = [
        (By::Client, "client"),
        (By::Route, "route"),
        (By::Operation, "operation"),
        (By::Bucket, "bucket"),
        (By::Zone, "zone"),
        (By::Account, "account"),
    ];
    let check = |made: &[String], asked: &Conditions, counted: &mut usize| {
        let (index, made) = (open(&log), calls(made));
        for (by, name) in bys {
            for period in [Period::Hour, Period::Day, Period::Month] {
                let found = sums(&index, by, period, &asked.filter());
                assert_eq!(found, naive::usage(&made, asked, name, period), "{name} {period:?} {asked:?}");
                *counted += found.len();
            }
        }
    };
    let mut counted = 0;
    for _ in 0..3 {
        maker.calls(1500);
        maker.crash();
        check(&maker.lines, &Conditions::default(), &mut counted);
    }
    maker.settle();
    // Ends that are quarters of an hour, as usage is counted.
    let quarter = 900_000_000;
    let narrow = Conditions {
        since: Some(BEGIN + 700 * quarter),
        until: Some(BEGIN + 1500 * quarter),
        clients: vec!["backup-job".to_owned(), "ops".to_owned()],
        operations: vec!["S3:*".to_owned(), "list*".to_owned()],
        ..Conditions::default()
    };
    check(&maker.lines, &narrow, &mut counted);
    // Within a day, over midnight, whole days, and a time that ends before it begins.
    for (since, until) in [(700, 705), (700, 790), (768, 768 + 960), (768, 900), (800, 700)] {
        let (since, until) = (Some(BEGIN + since * quarter), Some(BEGIN + until * quarter));
        check(&maker.lines, &Conditions { since, until, ..Conditions::default() }, &mut counted);
    }
    assert!(counted > 3000, "{counted}");
    // Ends within quarters stand for their beginnings.
    let index = open(&log);
    let between = |since: i64, until: i64| {
        let (since, until) = (Some(BEGIN + since), Some(BEGIN + until));
        let asked = Filter { since, until, ..Filter::default() };
        sums(&index, By::Client, Period::Day, &asked)
    };
    let whole = between(710 * quarter, 900 * quarter);
    assert_eq!(between(710 * quarter + 1, 900 * quarter + 1), whole);
    assert_eq!(between(711 * quarter - 1, 901 * quarter - 1), whole);
    assert_ne!(between(711 * quarter, 900 * quarter), whole);
    assert_ne!(between(710 * quarter, 901 * quarter), whole);
    let whole = open(&log).usage(By::Route, Period::Whole, &narrow.filter()).unwrap();
    assert!(
        whole.iter().all(|one| Some(one.from) == narrow.since && Some(one.until) == narrow.until),
        "{whole:?}"
    );
}

#[test]
fn a_line_that_stands_twice_is_one_call() {
    let all = Conditions::default();
    // Whether the index has seen the lines before they stood again.
    for looks in [false, true] {
        let (_folder, log) = place();
        let mut maker = Maker::new(&log, Recipe { segment: 1 << 30, ..Recipe::default() });
        maker.calls(300);
        maker.rotate();
        maker.calls(200);
        let durable = maker.state();
        maker.calls(120);
        // Which of the two lines it is does not matter.
        let bare = |lines: &[String]| -> Vec<String> {
            let mut bare: Vec<String> =
                lines.iter().map(|line| line.split(",\"seq\":").next().unwrap().to_owned()).collect();
            bare.sort();
            bare
        };
        let look = |maker: &Maker, what: &str| {
            same(&bare(&everything(&log)), &bare(&expected(&maker.lines, &all)), &what);
            let found = sums(&open(&log), By::Client, Period::Day, &Filter::default());
            assert_eq!(found, naive::usage(&calls(&maker.lines), &all, "client", Period::Day), "{what}");
        };
        if looks {
            look(&maker, "before");
        }
        // Two in a row, both from the same line on.
        maker.fail(&durable);
        maker.calls(30);
        if looks {
            look(&maker, "once");
        }
        // The first of them came no further than this.
        let failed = maker.fail(&durable);
        let begun: String =
            fs::read_to_string(&failed).unwrap().lines().take(5).map(|line| format!("{line}\n")).collect();
        fs::write(&failed, begun).unwrap();
        maker.calls(50);
        maker.settle();
        look(&maker, "twice");
        // And once more, from within the last one.
        let durable = maker.state();
        maker.calls(40);
        maker.fail(&durable);
        maker.rotate();
        maker.calls(10);
        maker.settle();
        look(&maker, "again");
        let mut scanned = Vec::new();
        scan(&log, &Filter::default(), |_, line| {
            scanned.push(String::from_utf8(line.to_vec()).unwrap());
            Ok(())
        })
        .unwrap();
        same(&bare(&scanned), &bare(&expected(&maker.lines, &all)), &"scanned");
    }
}

#[test]
fn who_waits_for_a_search_is_answered_or_told_to_come_back() {
    let (_folder, log) = place();
    let mut maker = Maker::new(&log, Recipe::default());
    maker.calls(400);
    let request = serde_json::from_str::<Value>(&maker.lines[9]).unwrap()["requestID"].clone();
    let one = Filter { request: request.as_str().map(str::to_uppercase), ..Filter::default() };
    let found = search(&log, None, &one, 5).unwrap();
    assert_eq!(
        found.iter().map(|call| call.request.as_str()).collect::<Vec<_>>(),
        [request.as_str().unwrap()]
    );
    let latest = search(&log, None, &Filter::default(), 7).unwrap();
    assert!(latest.len() == 7 && latest.is_sorted_by_key(|call| call.time));
    assert_eq!(latest[6].time, calls(&maker.lines).iter().map(|call| call.time).max().unwrap());

    // Damage that shows only on the way.
    rusqlite::Connection::open(beside(&log)).unwrap().execute("DELETE FROM word", []).unwrap();
    assert_eq!(search(&log, None, &Filter::default(), 7).unwrap(), latest);

    let desk = Desk::new(log.clone(), None);
    let long = Duration::from_secs(20);
    let answered = |answer: Answer| match answer {
        Answer::Calls(calls) => calls,
        Answer::Indexing(_) => panic!("not answered"),
    };
    assert_eq!(answered(desk.ask(Filter::default(), 7, long).unwrap()), latest);
    assert!(matches!(
        Desk::new(log.with_file_name("none"), None).ask(Filter::default(), 7, long),
        Err(Error::NoRecord(_))
    ));
    // Somebody else has the index: whoever asks is told so, in time, and the next one as well.
    let lock = fs::File::open(log.with_file_name("audit.jsonl.index.sqlite.lock")).unwrap();
    lock.lock().unwrap();
    for _ in 0..2 {
        let start = Instant::now();
        let told = desk.ask(Filter::default(), 7, Duration::from_millis(80)).unwrap();
        assert!(matches!(told, Answer::Indexing(None)), "{told:?}");
        let threads = fs::read_dir("/proc/self/task").unwrap().filter_map(|task| {
            fs::read_to_string(task.unwrap().path().join("comm")).ok().filter(|name| name == "audit-search\n")
        });
        assert_eq!(threads.count(), 1);
        assert!(start.elapsed() < Duration::from_secs(5));
    }
    maker.calls(50);
    lock.unlock().unwrap();
    assert_ne!(answered(desk.ask(Filter::default(), 7, long).unwrap()), latest);
}

#[test]
fn the_console_asks_as_the_command_line_does() {
    let (_folder, log) = place();
    let mut maker = Maker::new(&log, Recipe::default());
    maker.calls(500);
    let crashed = maker.crash();
    let console = Search::over(log);
    let terms =
        Terms { operation: "S3:*".into(), status: "2xx".into(), route: "ceph".into(), ..Terms::default() };
    let found = console.ask(&terms).unwrap();
    let asked = Conditions {
        operations: vec!["s3:*".to_owned()],
        statuses: vec!["2xx".to_owned()],
        routes: vec!["ceph".to_owned()],
        ..Conditions::default()
    };
    let mut wanted: Vec<naive::Call> =
        calls(&maker.lines).into_iter().filter(|call| asked.hold(call)).collect();
    wanted.sort_by_key(|call| std::cmp::Reverse(call.time));
    assert!(wanted.len() > 20 && wanted.len() < 200);
    let ids = |id: &dyn Fn(usize) -> String| (0..wanted.len()).map(id).collect::<Vec<_>>();
    assert_eq!(found.len(), wanted.len());
    assert_eq!(ids(&|at| found[at].id.clone()), ids(&|at| wanted[at].row()[1].clone()));
    let (first, row) = (&found[0], wanted[0].row());
    assert_eq!(
        [&first.client, &first.route, &first.operation, &first.resource],
        [&row[3], &row[4], &row[5], &row[6]]
    );
    assert_eq!((&first.source, first.status.to_string()), (&row[7], row[8].clone()));
    assert_eq!((first.duration_ms * 1e3).round().to_string(), row[10]);
    assert_eq!(first.time[..23], wanted[0].value["eventTime"].as_str().unwrap()[..23]);

    let refused = console.ask(&Terms { refused: true, ..Terms::default() }).unwrap();
    let asked = Conditions { refused: true, ..Conditions::default() };
    assert_eq!(refused.len(), expected(&maker.lines, &asked).len());
    assert!(!refused.is_empty() && refused.iter().all(|call| !call.error.is_empty()));

    let open = console.ask(&Terms { request: crashed, ..Terms::default() }).unwrap();
    assert!(open.len() == 1 && open[0].error.starts_with("open") && open[0].status == 0, "{open:?}");
    assert!(console.ask(&Terms { since: "2027-01-01".into(), ..Terms::default() }).unwrap().is_empty());
    assert!(console.ask(&Terms::default()).unwrap().len() == 200);
    for (terms, said) in [
        (Terms { status: "6xx".into(), ..Terms::default() }, "status: "),
        (Terms { since: "soon".into(), ..Terms::default() }, "since: "),
    ] {
        assert!(console.ask(&terms).unwrap_err().starts_with(said));
    }
    let nowhere = Search::over("/nonexistent/audit.jsonl".into()).ask(&Terms::default());
    assert!(nowhere.unwrap_err().contains("does not exist"));
}

#[test]
fn deleted_segments_leave_no_calls_but_their_usage() {
    let (folder, log) = place();
    let mut maker = Maker::new(&log, Recipe { segment: 1 << 30, ..Recipe::default() });
    maker.calls(1000);
    let old = maker.rotate();
    let gone = maker.lines.len();
    maker.calls(1000);
    maker.settle();
    let all = Conditions::default();
    same(&everything(&log), &expected(&maker.lines, &all), &"everything");
    let before = sums(&open(&log), By::Client, Period::Day, &Filter::default());

    let away = folder.path().join("away");
    fs::rename(&old, &away).unwrap();
    // What was open when the segment ended has only its outcome now.
    let kept = expected(&maker.lines[gone..], &all);
    same(&everything(&log), &kept, &"everything");
    assert_eq!(sums(&open(&log), By::Client, Period::Day, &Filter::default()), before);

    // It comes back: its calls are found again, and counted once.
    fs::rename(&away, &old).unwrap();
    same(&everything(&log), &expected(&maker.lines, &all), &"everything");
    assert_eq!(sums(&open(&log), By::Client, Period::Day, &Filter::default()), before);

    // It comes back by and by, as a copy does: half of it, then all.
    fs::rename(&old, &away).unwrap();
    everything(&log);
    let text = zstd::decode_all(fs::File::open(&away).unwrap()).unwrap();
    let half = 1 + text[..text.len() / 2].iter().rposition(|byte| *byte == b'\n').unwrap();
    let copy = old.with_extension("");
    fs::write(&copy, &text[..half]).unwrap();
    assert!(everything(&log).len() > kept.len());
    fs::write(&copy, &text).unwrap();
    same(&everything(&log), &expected(&maker.lines, &all), &"everything");
    assert_eq!(sums(&open(&log), By::Client, Period::Day, &Filter::default()), before);
    // A second copy of a segment changes nothing.
    fs::copy(&copy, log.with_extension("jsonl.1")).unwrap();
    let mut scanned = 0;
    scan(&log, &Filter::default(), |_, _| {
        scanned += 1;
        Ok(())
    })
    .unwrap();
    assert_eq!(scanned, expected(&maker.lines, &all).len());
    same(&everything(&log), &expected(&maker.lines, &all), &"everything");
    fs::remove_file(log.with_extension("jsonl.1")).unwrap();
    fs::rename(&copy, folder.path().join("copy")).unwrap();
    fs::rename(&away, &old).unwrap();

    // An index that is made anew counts what is there, and the one that knew more is kept.
    fs::rename(&old, &away).unwrap();
    everything(&log);
    let index = Index::rebuild(&log, None, &mut |_| {}).unwrap();
    let naive = naive::usage(&calls(&maker.lines[gone..]), &all, "client", Period::Day);
    assert_eq!(sums(&index, By::Client, Period::Day, &Filter::default()), naive);
    assert_ne!(naive, before);
    assert!(folder.path().join("audit.jsonl.index.sqlite.old").exists());
}

#[test]
fn whatever_becomes_of_the_index_it_is_made_anew() {
    let (folder, log) = place();
    let mut maker = Maker::new(&log, Recipe { hostile: true, ..Recipe::default() });
    maker.calls(1200);
    let wanted = expected(&maker.lines, &Conditions::default());
    same(&everything(&log), &wanted, &"everything");
    let index = beside(&log);
    let whole = fs::read(&index).unwrap();
    assert!(whole.len() > 100_000);
    // Two attempts: an answer may meet the damage only on its way, and then marks the index.
    let answers = |what: &str| {
        let ask = || {
            let mut found = Vec::new();
            let each = |line: &str| {
                found.push(line.to_owned());
                Ok(ControlFlow::Continue(()))
            };
            let done = Index::open(&log, None, &mut |_| {})?.lines(&Filter::default(), None, each);
            done.map(|()| found)
        };
        let mut found = match ask() {
            Err(Error::Damaged(_)) => ask().unwrap_or_else(|error| panic!("{what}: {error}")),
            found => found.unwrap_or_else(|error| panic!("{what}: {error}")),
        };
        found.sort();
        same(&found, &wanted, &what);
    };
    let spoil = |bytes: &[u8]| {
        for ending in ["-wal", "-shm"] {
            let _ = fs::remove_file(format!("{}{ending}", index.display()));
        }
        fs::write(&index, bytes).unwrap();
    };
    fs::remove_file(&index).unwrap();
    answers("missing");
    spoil(b"");
    answers("empty");
    spoil(b"this is no database, whatever it may be");
    answers("text");
    spoil(&whole[..whole.len() / 2]);
    answers("cut");
    let mut zeroed = whole.clone();
    let length = zeroed.len();
    zeroed[length / 3..length / 2].fill(0);
    spoil(&zeroed);
    answers("zeroed");
    let mut old = whole.clone();
    old[60..64].copy_from_slice(&999_u32.to_be_bytes());
    spoil(&old);
    answers("another version");
    let mut dice = Dice::new(9);
    for round in 0..20 {
        let mut noisy = whole.clone();
        // A whole page is noise: structure and rows.
        let page = dice.below(whole.len() as u64 / 8192) as usize * 8192;
        noisy[page..page + 8192].iter_mut().for_each(|byte| *byte = dice.roll() as u8);
        spoil(&noisy);
        answers(&format!("noise {round} at {page}"));
    }
    // The index of another record.
    let other = folder.path().join("other.jsonl");
    let mut another = Maker::new(&other, Recipe { seed: 99, ..Recipe::default() });
    another.calls(50);
    everything(&other);
    spoil(&fs::read(beside(&other)).unwrap());
    answers("foreign");
    let own = naive::usage(&calls(&maker.lines), &Conditions::default(), "route", Period::Day);
    assert_eq!(sums(&open(&log), By::Route, Period::Day, &Filter::default()), own);
    // A whole index again, not made anew: its bytes stay.
    let before = fs::metadata(&index).unwrap().modified().unwrap();
    answers("whole");
    assert_eq!(fs::metadata(&index).unwrap().modified().unwrap(), before);
}

#[test]
fn what_is_no_index_is_left_alone() {
    let (folder, log) = place();
    Maker::new(&log, Recipe::default()).calls(5);
    for content in [
        &b"my diary"[..],
        b"SQLite format 3\0 of somebody else, and long enough to look at byte sixty-eight and on",
    ] {
        let file = folder.path().join("precious");
        fs::write(&file, content).unwrap();
        for anew in [false, true] {
            let done = if anew {
                Index::rebuild(&log, Some(&file), &mut |_| {})
            } else {
                Index::open(&log, Some(&file), &mut |_| {})
            };
            assert!(matches!(done, Err(Error::Index { .. })));
            assert_eq!(fs::read(&file).unwrap(), content);
        }
    }
    // A mistyped name makes no index.
    let missing = folder.path().join("missing.jsonl");
    assert!(matches!(Index::open(&missing, None, &mut |_| {}), Err(Error::NoRecord(_))));
    assert!(!beside(&missing).exists());
}

#[test]
fn lines_that_are_none_are_counted_and_left_out() {
    let (_folder, log) = place();
    let mut maker = Maker::new(&log, Recipe::default());
    maker.calls(100);
    let mut bytes = fs::read(&log).unwrap();
    // Something was said before the first line, as where standard output was captured.
    bytes.splice(0..0, *b"Starting...\n");
    bytes.extend(b"\n\nnot json\n{\"a\":1}\n[]\n\xff\xfe\n");
    bytes.extend(
        b"{\"eventTime\":\"yesterday\",\"additionalEventData\":{\"record\":\"outcome\"},\"seq\":7}\n",
    );
    let nested = [vec![b'['; 20_000], vec![b'\n']].concat();
    bytes.extend(&nested);
    let long = [vec![b'x'; 17 << 20], vec![b'\n']].concat();
    bytes.extend(&long);
    let good = maker.lines[5].replace("\"requestID\":\"", "\"requestID\":\"x");
    bytes.extend(format!("{good}\n").bytes());
    fs::write(&log, &bytes).unwrap();
    let index = open(&log);
    let faults = index.faults().unwrap();
    assert_eq!((faults.len(), faults[0].malformed), (1, 10), "{faults:?}");
    let made: Vec<String> = maker.lines.iter().cloned().chain([good]).collect();
    same(&everything(&log), &expected(&made, &Conditions::default()), &"everything");
    let scanned = scan(&log, &Filter::default(), |_, _| Ok(())).unwrap();
    assert_eq!(scanned.malformed, 10);
}

#[test]
fn a_broken_segment_costs_only_what_lies_behind_the_fault() {
    let (_folder, log) = place();
    let mut maker = Maker::new(&log, Recipe { frame: Some(8 << 10), segment: 1 << 30, ..Recipe::default() });
    maker.calls(600);
    let segment = maker.rotate();
    maker.calls(50);
    let whole = expected(&maker.lines, &Conditions::default()).len();
    let mut bytes = fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 2000].fill(0x55);
    fs::write(&segment, &bytes).unwrap();
    let index = open(&log);
    let found = lines(&index, &Filter::default(), None).len();
    assert!(found > 100 && found < whole - 100, "{found} of {whole}");
    let faults = index.faults().unwrap();
    assert!(faults.len() == 1 && faults[0].broken.is_some(), "{faults:?}");
}

#[test]
fn following_misses_nothing_and_repeats_nothing() {
    let (_folder, log) = place();
    let mut maker = Maker::new(&log, Recipe::default());
    maker.calls(300);
    maker.rotate();
    maker.calls(3);
    let outcomes = |made: &[String]| -> Vec<String> {
        made.iter().filter(|line| line.contains("\"record\":\"outcome\"")).cloned().collect()
    };
    for last in [0, 1, 2, 200, 10_000] {
        let mut seen = Vec::new();
        let mut each = |_: &countersign::ledger::line::Line<'_>, line: &[u8]| {
            seen.push(String::from_utf8(line.to_vec()).unwrap());
            Ok(())
        };
        Follow::begin(&log, Filter::default(), false, last, &mut each).unwrap();
        let all = outcomes(&maker.lines);
        same(&seen, &all[all.len().saturating_sub(last)..], &last);
    }
    let mut seen = Vec::new();
    let mut each = |_: &countersign::ledger::line::Line<'_>, line: &[u8]| {
        seen.push(String::from_utf8(line.to_vec()).unwrap());
        Ok(())
    };
    let from = maker.lines.len();
    let mut follow = Follow::begin(&log, Filter::default(), true, 0, &mut each).unwrap();
    for round in 0..40_u64 {
        // Sometimes nothing, one rotation or several between two looks.
        maker.calls(round % 4 * 7);
        for _ in 0..round % 5 {
            if round % 3 == 0 {
                maker.rotate();
            }
            maker.calls(2);
        }
        while follow.more(&mut each).unwrap() {}
    }
    assert!(!follow.more(&mut each).unwrap());
    // A segment fails: its end stands again in the next, and is not given again, but for one line at most.
    let durable = maker.state();
    maker.calls(60);
    while follow.more(&mut each).unwrap() {}
    let durable_lines = maker.lines.len();
    maker.fail(&durable);
    maker.calls(20);
    while follow.more(&mut each).unwrap() {}
    let bare = |line: &String| line.split(",\"seq\":").next().unwrap().to_owned();
    let wanted: Vec<String> = maker.lines[from..].iter().map(bare).collect();
    let mut found: Vec<String> = seen.iter().map(bare).collect();
    let at = durable_lines - from;
    assert_eq!(found[at - 1], wanted[at - 1]);
    if found[at] == found[at - 1] {
        found.remove(at);
    }
    same(&found, &wanted, &"followed");
    assert!(seen.len() > 500);
    // Everything is deleted, and a record begins again.
    for file in fs::read_dir(log.parent().unwrap()).unwrap() {
        fs::remove_file(file.unwrap().path()).unwrap();
    }
    let before = seen.len();
    let mut each = |_: &countersign::ledger::line::Line<'_>, line: &[u8]| {
        seen.push(String::from_utf8(line.to_vec()).unwrap());
        Ok(())
    };
    assert!(!follow.more(&mut each).unwrap());
    let mut anew = Maker::new(&log, Recipe { seed: 8, ..Recipe::default() });
    anew.calls(20);
    while follow.more(&mut each).unwrap() {}
    same(&seen[before..], &anew.lines, &"begun again");
}

#[test]
fn hostile_texts_are_among_what_is_asked() {
    // The other tests ask about records that hold these; that they do is held here.
    let (_folder, log) = place();
    let mut maker = Maker::new(&log, Recipe { hostile: true, ..Recipe::default() });
    maker.calls(500);
    for text in HOSTILE_TEXTS {
        let held = calls(&maker.lines).iter().any(|call| call.resource().ends_with(text));
        assert!(held, "{text:?}");
        let asked = Conditions { resource: Some(format!("bucket-01/{text}")), ..Conditions::default() };
        assert_eq!(
            lines(&open(&log), &asked.filter(), None).len(),
            expected(&maker.lines, &asked).len(),
            "{text:?}"
        );
    }
}

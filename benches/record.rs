//! The record: how many intents become durable in a second and how long one waits, by how many wait at once; how fast
//! events are put into words; how fast a record is proved.
//!
//! `cargo bench --bench record` prints a table; `-- --quick` measures for less time; `-- --folder PATH` measures another
//! disk than that of the temporary directory. What a sync costs is the disk's; the table shows what sharing one gains.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::cast_precision_loss)]

use std::hint::black_box;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use countersign::audit::event::{Additional, Event, Identity, IdentityType, Kind};
use countersign::audit::recorder::Recorder;
use countersign::audit::segments::Rotation;
use countersign::audit::writer::{Settings, Sink, start};
use countersign::ledger::{read, verify};
use countersign::secret::Secret;
use jiff::Timestamp;

fn event(kind: Kind, id: &str) -> Event<'_> {
    Event {
        kind,
        time: Timestamp::now(),
        request_id: id,
        source: "s3",
        name: "PutObject",
        region: Some("eu-central-1"),
        source_ip: "10.0.0.7",
        user_agent: Some("aws-cli/2.15"),
        identity: Identity { kind: IdentityType::Client, name: Some("backup-job"), ..Identity::default() },
        resources: &["bucket/some/long/key/of/an/object.tar.zst"],
        additional: Additional {
            route: Some("backups"),
            operation: Some("s3:PutObject"),
            credential: Some("backups"),
            scheme: Some("s3-v4"),
            method: Some("PUT"),
            status: Some(200),
            bytes_in: Some(123_456),
            total_ms: Some(12.345),
            ..Additional::default()
        },
        ..Event::default()
    }
}

/// Waits of intents, from `tasks` tasks that record one call after the other.
fn waits(recorder: &Recorder, tasks: usize, time: Duration) -> Vec<Duration> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let end = Instant::now() + time;
    runtime.block_on(async {
        let calls = (0..tasks).map(|task| async move {
            let mut waits = Vec::new();
            let id = format!("0193a1b2-c3d4-7000-8000-{task:012}");
            while Instant::now() < end {
                let began = Instant::now();
                recorder.intent(&event(Kind::Intent, &id)).await.unwrap();
                waits.push(began.elapsed());
                recorder.outcome(&event(Kind::Outcome, &id));
            }
            waits
        });
        futures_util::future::join_all(calls).await.concat()
    })
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let named = arguments.iter().position(|argument| argument == "--folder").map(|at| &arguments[at + 1]);
    let time = Duration::from_millis(if quick { 300 } else { 3_000 });
    let within = named.map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = tempfile::tempdir_in(within).unwrap();
    let file = folder.path().join("audit.jsonl");

    println!(
        "{:>8} {:>12} {:>12} {:>12} {:>12} {:>12}",
        "waiting", "intents/s", "lines/s", "syncs/s", "p50 ms", "p99 ms"
    );
    for tasks in [1, 8, 64, 512] {
        let rotation = Rotation { size: 256 << 20, age: Duration::from_secs(3600) };
        let key = Some(Secret::from("key"));
        let sink = Sink::File(file.clone());
        let (recorder, writer) = start(Settings { sink, key, rotation, retain: None }).unwrap();
        waits(&recorder, tasks, time / 10);
        let before = recorder.state();
        let began = Instant::now();
        let mut waits = waits(&recorder, tasks, time);
        let seconds = began.elapsed().as_secs_f64();
        let after = recorder.state();
        waits.sort_unstable();
        let at = |percent: usize| waits[(waits.len() - 1) * percent / 100].as_secs_f64() * 1e3;
        println!(
            "{tasks:>8} {:>12.0} {:>12.0} {:>12.0} {:>12.3} {:>12.3}",
            waits.len() as f64 / seconds,
            (after.intents + after.outcomes - before.intents - before.outcomes) as f64 / seconds,
            (after.commits - before.commits) as f64 / seconds,
            at(50),
            at(99),
        );
        writer.stop(Duration::from_secs(30)).unwrap();
    }

    let count = if quick { 10_000 } else { 100_000 };
    let began = Instant::now();
    for _ in 0..count {
        black_box(black_box(&event(Kind::Outcome, "0193a1b2-c3d4-7000-8000-000000000000")).line());
    }
    println!("\nevents in words: {:.2} us each", began.elapsed().as_secs_f64() * 1e6 / f64::from(count));

    let files = read::files(&file).unwrap();
    let bytes: u64 = files.iter().map(|file| std::fs::metadata(file).unwrap().len()).sum();
    let key = Secret::from("key");
    let began = Instant::now();
    let report = verify(&files, &file, &[&key], None);
    let seconds = began.elapsed().as_secs_f64();
    assert!(report.holds(), "{:?}", report.problems);
    println!(
        "proof: {} lines in {seconds:.2} s, {:.0} lines/s, {:.0} MiB/s as they lie on the disk",
        report.lines,
        report.lines as f64 / seconds,
        bytes as f64 / seconds / 1024.0 / 1024.0,
    );
}

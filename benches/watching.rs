//! What reporting a call costs its worker: while nobody watches, which is almost always, and while somebody does.
//!
//! `cargo bench --bench watching` prints nanoseconds a call, with one worker and with two at once.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::cast_precision_loss)]

use std::hint::black_box;
use std::time::Instant;

use countersign::live::{Call, Feed, Reporter, Stages};

const CALLS: u32 = 200_000;

/// What the gateway does for one call.
fn report(reporter: &Reporter, id: &str) {
    let call = black_box(reporter).clone();
    black_box(call.is_wanted());
    call.sign(id, || Stages { canonical_request: None, string_to_sign: "GET\n\n\n\n/bucket/key".to_owned() });
    call.count("bucket", 0, 1_000);
    call.publish(|| Call {
        id: id.to_owned(),
        route: "backups".to_owned(),
        operation: "s3:GetObject".to_owned(),
        resource: "bucket/key".to_owned(),
        ..Call::default()
    });
}

/// Nanoseconds a call, on each of so many threads at once.
fn measure(feed: &Feed, threads: usize) -> f64 {
    let started = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let reporter = feed.reporter();
            scope.spawn(move || {
                let id = format!("01a20306-5c14-748a-87b2-7d752bbd84{thread:02}");
                for _ in 0..CALLS {
                    report(&reporter, &id);
                }
            });
        }
    });
    started.elapsed().as_nanos() as f64 / f64::from(CALLS)
}

fn main() {
    println!("{:<28}{:>12}{:>12}", "ns a call", "1 worker", "2 workers");
    let feed = Feed::default();
    measure(&feed, 2);
    println!("{:<28}{:>12.1}{:>12.1}", "nobody watches", measure(&feed, 1), measure(&feed, 2));
    let _watch = feed.watch();
    println!("{:<28}{:>12.1}{:>12.1}", "somebody watches", measure(&feed, 1), measure(&feed, 2));
}

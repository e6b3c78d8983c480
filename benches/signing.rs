//! Signing kernels in time: every scheme and form with a warm and a cold key, beside the bare hash of the same bytes
//! and beside the public crates, over varied requests of the published vectors. Ratios at the end, interleaved: each
//! round runs every kernel once, and a ratio is the median over the rounds of the quotients within a round.
//!
//! `cargo bench --bench signing` runs both; `-- --ratios` leaves criterion's statistics out and takes seconds,
//! `-- FILTER` is criterion's. Read ratios, never nanoseconds, unless the machine is idle.

#![allow(unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]
#![allow(clippy::cast_precision_loss)]

mod kernels;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use kernels::{Kernel, Ratio};

/// Rounds of the interleaved run; odd, so that there is a median.
const ROUNDS: usize = 31;

/// How long one kernel runs in one round.
const SLICE: Duration = Duration::from_millis(4);

fn main() {
    let (mut kernels, ratios) = kernels::all();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--ratios") {
        measure(&mut kernels);
    }
    // Under `cargo test` benches are only tried.
    if !arguments.iter().any(|argument| argument == "--test" || argument == "--list") {
        report(&mut kernels, &ratios);
    }
}

fn measure(kernels: &mut [Kernel]) {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800))
        .sample_size(30)
        .configure_from_args();
    for kernel in kernels {
        let Some((group, name)) = kernel.name.split_once('/') else { continue };
        let mut group = criterion.benchmark_group(group);
        group.throughput(Throughput::Elements(kernel.requests as u64));
        group.bench_function(name, |bencher| bencher.iter(|| (kernel.run)()));
        group.finish();
    }
    criterion.final_summary();
}

fn report(kernels: &mut [Kernel], ratios: &[Ratio]) {
    let calls: Vec<u32> = kernels.iter_mut().map(calibrate).collect();
    let mut times: HashMap<&str, Vec<f64>> = HashMap::new();
    let names: Vec<String> = kernels.iter().map(|kernel| kernel.name.clone()).collect();
    for _ in 0..ROUNDS {
        for ((kernel, name), &calls) in kernels.iter_mut().zip(&names).zip(&calls) {
            let nanoseconds = time(kernel, calls).as_nanos() as f64;
            let per_request = nanoseconds / f64::from(calls) / kernel.requests as f64;
            times.entry(name).or_default().push(per_request);
        }
    }
    println!("\n{:62} {:>10} {:>10} {:>10}", "kernel, ns per request", "median", "p10", "p90");
    for name in &names {
        let (low, middle, high) = spread(&times[name.as_str()]);
        println!("{name:62} {middle:10.0} {low:10.0} {high:10.0}");
    }
    println!("\n{:72} {:>7} {:>8}", "ratio, median of the rounds", "", "bar");
    for ratio in ratios {
        let over = &times[ratio.over.as_str()];
        let quotients: Vec<f64> =
            over.iter().zip(&times[ratio.under.as_str()]).map(|(over, under)| over / under).collect();
        let (_, middle, _) = spread(&quotients);
        let verdict = if ratio.bar.is_met(middle) { "" } else { "  MISSED" };
        println!("{:72} {middle:7.2} {:>8}{verdict}", ratio.what, ratio.bar.to_string());
    }
}

/// How many calls fill a slice.
fn calibrate(kernel: &mut Kernel) -> u32 {
    time(kernel, 3);
    let once = time(kernel, 3).as_secs_f64() / 3.0;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a small positive number
    let calls = (SLICE.as_secs_f64() / once).ceil() as u32;
    calls.max(1)
}

fn time(kernel: &mut Kernel, calls: u32) -> Duration {
    let start = Instant::now();
    for _ in 0..calls {
        (kernel.run)();
    }
    start.elapsed()
}

/// The tenth, the fiftieth and the ninetieth percentile.
fn spread(values: &[f64]) -> (f64, f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |share: usize| sorted[(sorted.len() - 1) * share / 100];
    (at(10), at(50), at(90))
}

//! Signing kernels in instructions, counted by valgrind's callgrind, which neither other load nor the clock of the
//! processor disturbs; and in heap allocations, those of C code included. So a busy machine can still catch a regression of a few per cent.
//!
//! `cargo bench --bench signing_counts` compares with `benches/signing.counts` and fails beyond 3 %;
//! `-- --renew` writes that file anew; `-- --profile NAME` leaves callgrind's profile of one kernel in `target`. Needs
//! Debian's `valgrind`. The counts hold for the compiler and the processor family named in the file: another compiler
//! makes other code, and without AVX2 the hashes run by other code, so there they are to be renewed, not compared.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]
#![allow(unreachable_pub, clippy::cast_precision_loss)]

mod kernels;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use kernels::Kernel;

/// How much dearer a kernel may become before the run fails.
const TOLERANCE: f64 = 0.03;

/// Set for the run under valgrind.
const INSIDE: &str = "COUNTERSIGN_COUNTED";

/// The one function that callgrind looks into; it writes a profile each time this returns.
#[inline(never)]
fn counted_kernel(kernel: &mut Kernel) {
    std::hint::black_box(&mut kernel.run)();
}

/// What one signature costs.
#[derive(Clone, Copy)]
struct Cost {
    instructions: f64,
    allocations: f64,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    if std::env::var_os(INSIDE).is_some() {
        run_inside();
        return ExitCode::SUCCESS;
    }
    // Under `cargo test` benches are only tried.
    if !has("--bench") {
        return ExitCode::SUCCESS;
    }
    let only =
        arguments.iter().position(|argument| argument == "--profile").map(|at| arguments[at + 1].clone());
    let outcome = count(only.as_deref()).and_then(|costs| {
        if only.is_some() {
            Ok(true)
        } else if has("--renew") {
            renew(&costs).map(|()| true)
        } else {
            compare(&costs)
        }
    });
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(reason) => {
            eprintln!("signing_counts: {reason}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the kernels, each once to warm it and once to be counted, and says what was run.
fn run_inside() {
    let only = std::env::var(INSIDE).unwrap_or_default();
    let (kernels, _) = kernels::all();
    for mut kernel in kernels {
        if !only.is_empty() && kernel.name != only {
            continue;
        }
        (kernel.run)();
        (kernel.run)();
        counted_kernel(&mut kernel);
        println!("{}\t{}", kernel.name, kernel.requests);
    }
}

/// Runs this program under callgrind and reads the profiles.
fn count(only: Option<&str>) -> Result<BTreeMap<String, Cost>, String> {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("signing_counts");
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let profile = directory.join("profile");
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let outcome = Command::new("valgrind")
        .arg("--tool=callgrind")
        // The full name: with a pattern there is a count, but no profile of each call.
        .args([
            "--toggle-collect=signing_counts::counted_kernel",
            "--dump-after=signing_counts::counted_kernel",
        ])
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(program)
        .env(INSIDE, only.unwrap_or_default())
        .output()
        .map_err(|error| format!("cannot run valgrind (Debian's `valgrind`): {error}"))?;
    if !outcome.status.success() {
        return Err(format!("valgrind failed:\n{}", String::from_utf8_lossy(&outcome.stderr)));
    }
    let ran = String::from_utf8_lossy(&outcome.stdout).into_owned();
    let costs = ran.lines().enumerate().map(|(at, line)| {
        let bad = || format!("unreadable line `{line}`");
        let (name, requests) = line.split_once('\t').ok_or_else(bad)?;
        let requests: f64 = requests.parse().map_err(|_| bad())?;
        let total = read_profile(&directory, at + 1)?;
        let cost =
            Cost { instructions: total.instructions / requests, allocations: total.allocations / requests };
        Ok::<_, String>((name.to_owned(), cost))
    });
    let costs: BTreeMap<_, _> = costs.collect::<Result<_, String>>()?;
    if costs.is_empty() {
        return Err("no kernel was run".to_owned());
    }
    if let Some(name) = only {
        println!("{name}: callgrind_annotate {}", directory.join("profile.1").display());
    }
    Ok(costs)
}

/// The instructions of the numbered profile, and the calls of the C library's allocator in it.
fn read_profile(directory: &Path, number: usize) -> Result<Cost, String> {
    let path = directory.join(format!("profile.{number}"));
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let total =
        text.lines().find_map(|line| line.strip_prefix("totals: ").or(line.strip_prefix("summary: ")));
    let total = total.and_then(|total| total.trim().parse().ok()).filter(|&total: &f64| total > 0.0);
    let instructions = total.ok_or_else(|| {
        format!("{}: no count; is the function still called `counted_kernel`?", path.display())
    })?;
    let mut names = HashMap::new();
    let mut callee = "";
    let mut allocations = 0.0;
    for line in text.lines() {
        // A name is written out where its number first stands.
        if let Some(name) = line.strip_prefix("cfn=").or(line.strip_prefix("fn=")) {
            let (number, name) = name.split_once(' ').unwrap_or((name, ""));
            let known = names.entry(number).or_insert(name);
            callee = if line.starts_with('c') { known } else { "" };
        } else if let Some(calls) = line.strip_prefix("calls=")
            && matches!(callee, "malloc" | "calloc" | "realloc" | "aligned_alloc" | "posix_memalign")
        {
            let calls = calls.split(' ').next().and_then(|calls| calls.parse::<f64>().ok());
            allocations += calls.ok_or_else(|| format!("{}: unreadable `{line}`", path.display()))?;
        }
    }
    Ok(Cost { instructions, allocations })
}

fn baseline() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/signing.counts")
}

/// What the counts depend on besides this source.
fn circumstances() -> String {
    let rustc = Command::new("rustc").arg("--version").output();
    let rustc = rustc.map(|outcome| String::from_utf8_lossy(&outcome.stdout).trim().to_owned());
    #[cfg(target_arch = "x86_64")]
    let vectors = if std::arch::is_x86_feature_detected!("avx2") { "avx2" } else { "no avx2" };
    #[cfg(not(target_arch = "x86_64"))]
    let vectors = std::env::consts::ARCH;
    format!("{}, {vectors}", rustc.unwrap_or_default())
}

/// Only this crate's kernels: what other crates and bare hashes cost is shown by `signing`.
fn is_ours(name: &str) -> bool {
    name.ends_with("/sign") || name.ends_with("/sign cold")
}

fn renew(costs: &BTreeMap<String, Cost>) -> Result<(), String> {
    let mut text =
        String::from("# Instructions and heap allocations per signature. Do not edit; renew with\n");
    text.push_str("#   cargo bench --bench signing_counts -- --renew\n");
    let _ = writeln!(text, "# {}", circumstances());
    for (name, cost) in costs.iter().filter(|(name, _)| is_ours(name)) {
        let _ = writeln!(text, "{name}\t{:.1}\t{:.2}", cost.instructions, cost.allocations);
    }
    let path = baseline();
    std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    show(costs);
    println!("wrote {}", path.display());
    Ok(())
}

fn show(costs: &BTreeMap<String, Cost>) {
    println!("{:62} {:>12} {:>12}", "kernel, per signature", "instructions", "allocations");
    for (name, cost) in costs {
        println!("{name:62} {:12.1} {:12.2}", cost.instructions, cost.allocations);
    }
    println!("\n{:72} {:>7} {:>8}", "ratio of instructions", "", "bar");
    for ratio in kernels::all().1 {
        let quotient: f64 = costs[&ratio.over].instructions / costs[&ratio.under].instructions;
        let verdict = if ratio.bar.is_met(quotient) { "" } else { "  MISSED" };
        println!("{:72} {quotient:7.2} {:>8}{verdict}", ratio.what, ratio.bar.to_string());
    }
    println!();
}

/// True when no kernel became dearer by more than the tolerance, none is missing and none allocates more.
fn compare(costs: &BTreeMap<String, Cost>) -> Result<bool, String> {
    let path = baseline();
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    show(costs);
    let ours = circumstances();
    if !text.lines().any(|line| line.strip_prefix("# ") == Some(&ours)) {
        println!("the stored counts are not from `{ours}`: renew them there (see below) and compare again");
    }
    let mut is_good = true;
    let mut seen = 0;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let bad = || format!("{}: unreadable line `{line}`", path.display());
        let [name, instructions, allocations] = line.split('\t').collect::<Vec<_>>()[..] else {
            return Err(bad());
        };
        let instructions: f64 = instructions.parse().map_err(|_| bad())?;
        let allocations: f64 = allocations.parse().map_err(|_| bad())?;
        seen += 1;
        let Some(cost) = costs.get(name) else {
            println!("FAILED {name}: stored, but no such kernel");
            is_good = false;
            continue;
        };
        let change = cost.instructions / instructions - 1.0;
        // Of calls, callgrind says reliably only whether there were any.
        let allocates = allocations < 0.005 && cost.allocations > 0.005;
        let is_worse = change > TOLERANCE || allocates;
        let verdict = match change {
            _ if is_worse => "FAILED",
            change if change < -TOLERANCE => "better",
            _ => "ok    ",
        };
        is_good &= !is_worse;
        println!(
            "{verdict} {name:40} {:+6.2} %  {instructions:9.1} -> {:9.1} instructions, {allocations:.2} -> {:.2} allocations",
            change * 100.0,
            cost.instructions,
            cost.allocations
        );
    }
    if seen != costs.keys().filter(|name| is_ours(name)).count() {
        println!("FAILED: the stored counts do not cover every kernel");
        is_good = false;
    }
    if !is_good {
        println!("\nDearer by more than {} %, or incomplete.", TOLERANCE * 100.0);
    }
    println!(
        "Meant to change, or another compiler? cargo bench --bench signing_counts -- --renew, and commit benches/signing.counts"
    );
    Ok(is_good)
}

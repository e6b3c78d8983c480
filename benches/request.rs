//! What one proxied small request costs a worker: heap allocations, counted on the worker's own thread, and where they
//! come from.
//!
//! A GET of an object of 1 KiB through an `s3-v4` route with a client's identity, a policy, a record in a file and
//! metrics, over kept-alive connections on both sides: the whole worker with its socket, its runtime and its pool.
//! Caller and upstream are other threads and are not counted.
//!
//! `cargo bench --bench request` prints the counts; `-- --sites` prints who allocates too; `-- --requests N` sends so
//! many; `-- --identity connection|token|keys` takes one kind of proof alone.

#![allow(
    unsafe_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::cast_precision_loss
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

#[path = "../tests/support/worker.rs"]
mod worker;

use worker::{IDENTITIES, Running};

struct Counting;

/// What one thread, the worker's, has taken from the heap.
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static REALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);
/// Whether each is looked at.
static TRACED: AtomicBool = AtomicBool::new(false);
static SITES: Mutex<Vec<(usize, Backtrace)>> = Mutex::new(Vec::new());

thread_local! {
    // Const, so that touching it allocates nothing.
    static COUNTED: Cell<bool> = const { Cell::new(false) };
}

fn note(size: usize, again: bool) {
    // A thread that is being torn down has no flag any more.
    if !COUNTED.try_with(Cell::get).unwrap_or(false) {
        return;
    }
    if again { &REALLOCATIONS } else { &ALLOCATIONS }.fetch_add(1, Relaxed);
    BYTES.fetch_add(size as u64, Relaxed);
    if TRACED.load(Relaxed) {
        COUNTED.set(false);
        let trace = Backtrace::force_capture();
        SITES.lock().unwrap().push((size, trace));
        COUNTED.set(true);
    }
}

// SAFETY: every method hands its arguments on to `System` unchanged and returns what `System` returned, so the
// contract is kept exactly as `System` keeps it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size(), false);
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size(), false);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size, true);
        // SAFETY: as above.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The frame of a trace that says who wanted memory: the first of this crate, and what it called.
fn site(trace: &Backtrace) -> String {
    let text = trace.to_string();
    let mut frames = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let Some((_, name)) = line.trim().split_once(": ") else { continue };
        let place =
            lines.next_if(|next| next.trim().starts_with("at ")).unwrap_or_default().trim().to_owned();
        frames.push((name.to_owned(), place));
    }
    let own = frames.iter().position(|(name, _)| name.contains("countersign"));
    let dull = [
        "note",
        "alloc",
        "core::",
        "std::",
        "<alloc::",
        "<core::",
        "<std::",
        "request::",
        "<request::",
        "__rust",
    ];
    let is_dull = |name: &str| dull.iter().any(|dull| name.starts_with(dull)) || !name.contains("::");
    let shown: Vec<_> = match own {
        Some(own) => frames[own.saturating_sub(1)..].iter().take(3).collect(),
        None => frames.iter().filter(|(name, _)| !is_dull(name)).take(4).collect(),
    };
    let shown = shown.into_iter().map(|(name, place)| {
        let file = place.rsplit('/').next().unwrap_or_default();
        let name: String = name.chars().take(100).collect();
        if name.contains("countersign") { format!("{name} ({file})") } else { name }
    });
    shown.collect::<Vec<_>>().join("\n                  < ")
}

fn measure(identity: &str, requests: usize, sites: bool) {
    let mut running = Running::start(identity, || COUNTED.set(true));
    // Long enough for every buffer to have the size that it keeps.
    running.drive(500);
    let counts = || [&ALLOCATIONS, &REALLOCATIONS, &BYTES].map(|count| count.load(Relaxed));
    let before = counts();
    running.drive(requests);
    let after = counts();
    let per = |index: usize| (after[index] - before[index]) as f64 / requests as f64;
    println!("{identity:>12} {:>14.2} {:>14.2} {:>14.0}", per(0), per(1), per(2));

    if sites {
        const LOOKED_AT: usize = 10;
        TRACED.store(true, Relaxed);
        running.drive(LOOKED_AT);
        TRACED.store(false, Relaxed);
        let mut by_site: HashMap<String, (usize, usize)> = HashMap::new();
        for (size, trace) in SITES.lock().unwrap().drain(..) {
            let entry = by_site.entry(site(&trace)).or_default();
            entry.0 += 1;
            entry.1 += size;
        }
        let mut by_site: Vec<_> = by_site.into_iter().collect();
        by_site.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
        for (site, (count, bytes)) in by_site {
            let (count, bytes) = (count as f64 / LOOKED_AT as f64, bytes as f64 / LOOKED_AT as f64);
            println!("{count:>8.1}{bytes:>8.0}  {site}");
        }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let after = |name: &str| {
        arguments.iter().position(|argument| argument == name).and_then(|at| arguments.get(at + 1)).cloned()
    };
    let requests = after("--requests").map_or(2_000, |count| count.parse().unwrap());
    let sites = arguments.iter().any(|argument| argument == "--sites");
    println!("{:>12} {:>14} {:>14} {:>14}", "identity", "allocations", "reallocations", "bytes");
    let only = after("--identity");
    for identity in IDENTITIES {
        if only.as_deref().is_none_or(|only| only == identity) {
            measure(identity, requests, sites);
        }
    }
}

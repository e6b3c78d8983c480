//! One line on standard error that says how far long work is; only on a terminal.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::ledger::index::Step;

/// How often the line changes.
const OFTEN: Duration = Duration::from_millis(100);

/// Cells of the bar.
const WIDTH: u64 = 30;

/// The line.
pub(in crate::cli) struct Progress {
    shown: bool,
    terminal: bool,
    started: Instant,
    last: Option<Instant>,
}

impl Progress {
    pub(in crate::cli) fn new() -> Self {
        Self { shown: false, terminal: io::stderr().is_terminal(), started: Instant::now(), last: None }
    }

    /// Shows a step, if it is time to.
    pub(in crate::cli) fn step(&mut self, step: Step) {
        let soon = self.last.is_some_and(|last| last.elapsed() < OFTEN);
        // Work that is over at once shows nothing.
        let quick = matches!(step, Step::Reading { .. }) && self.started.elapsed() < OFTEN;
        if !self.terminal || soon || quick {
            return;
        }
        self.last = Some(Instant::now());
        self.shown = true;
        let line = line(step, self.started.elapsed());
        // Standard error being gone takes nothing from the answer.
        let _ = write!(io::stderr().lock(), "\r{line:<78}").and_then(|()| io::stderr().flush());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            let _ = write!(io::stderr().lock(), "\r{:<78}\r", "");
        }
    }
}

fn line(step: Step, elapsed: Duration) -> String {
    match step {
        Step::Waiting => "waiting for another question that brings the index up to date".to_owned(),
        Step::Reading { bytes, of, lines } => {
            let rate = u128::from(lines) * 1000 / elapsed.as_millis().max(1);
            format!("indexing {} {lines} lines, {rate}/s", bar(bytes, of))
        }
        Step::Sorting { made, of } => format!("sorting  {}", bar(made as u64, of as u64)),
    }
}

fn bar(done: u64, of: u64) -> String {
    let share =
        |whole: u64| u64::try_from(u128::from(done.min(of)) * u128::from(whole) / u128::from(of.max(1)));
    let (cells, percent) = (share(WIDTH).unwrap_or(0), share(100).unwrap_or(0));
    let text = |cell: &str, count: u64| cell.repeat(usize::try_from(count).unwrap_or(0));
    format!("[{}{}] {percent:>3} %", text("#", cells), text(".", WIDTH - cells))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_never_longer_than_its_line() {
        for (done, of) in [(0, 0), (0, 1), (1, 2), (7, 7), (9, 7), (u64::MAX, u64::MAX)] {
            let line = line(Step::Reading { bytes: done, of, lines: 10_000_000 }, Duration::from_millis(1));
            assert!(line.len() < 78, "{line}");
        }
        assert_eq!(bar(1, 2), "[###############...............]  50 %");
    }
}

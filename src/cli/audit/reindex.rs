//! `countersign audit reindex`: makes the index anew from the record, with progress on a terminal.

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use super::progress::Progress;
use super::source::Record;
use super::{IndexFile, complain, fail};
use crate::cli::output;
use crate::ledger::Error;
use crate::ledger::index::{Index, Step};

#[derive(clap::Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    record: Record,
    #[command(flatten)]
    index: IndexFile,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let record = match arguments.record.file("an index of what does not stay is of no use") {
        Ok(record) => record,
        Err(code) => return code,
    };
    match make(arguments, &record.log) {
        Ok(said) => output::all(said.as_bytes()),
        Err(error) => fail(&error),
    }
}

fn make(arguments: &Arguments, log: &Path) -> Result<String, Error> {
    let (started, mut lines) = (Instant::now(), 0);
    let mut progress = Progress::new();
    let index = Index::rebuild(log, arguments.index.path.as_deref(), &mut |step| {
        if let Step::Reading { lines: read, .. } = step {
            lines = read;
        }
        progress.step(step);
    })?;
    drop(progress);
    for fault in index.faults()? {
        complain(&fault.segment, fault.malformed, fault.broken.as_deref());
    }
    let seconds = started.elapsed().as_secs_f64();
    Ok(format!("{lines} lines indexed in {seconds:.1} s\n"))
}

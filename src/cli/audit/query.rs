//! `countersign audit query`: the calls that conditions cover, in the order of their arrival.
//!
//! A call is shown by its outcome; one whose outcome is not recorded, by its intent (`open`).

use std::io::{self, IsTerminal};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::ExitCode;

use super::progress::Progress;
use super::show::{Format, Printer};
use super::source::Record;
use super::{Answers, Conditions, IndexFile, answers, complain, fail};
use crate::cli::{NO, output};
use crate::ledger::Error;
use crate::ledger::index::Index;
use crate::ledger::line::Line;

/// Calls that a terminal is shown unless it asks for more.
const SCREEN: usize = 100;

#[derive(clap::Args)]
#[command(after_help = "Exit code 4: nothing matched.")]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    record: Record,
    #[command(flatten)]
    index: IndexFile,
    #[command(flatten)]
    conditions: Conditions,
    /// Only the latest calls, so many; 0 is all of them. A table on a terminal has 100 unless this says otherwise.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// The form of the answer; a table on a terminal, JSON otherwise.
    #[arg(long, value_enum)]
    format: Option<Format>,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let record = match arguments.record.find() {
        Ok(record) => record,
        Err(code) => return code,
    };
    let mut printed = 0;
    match ask(arguments, &record.log, &mut printed) {
        // An index that proved wrong is made anew, unless half an answer is out already.
        Err(Error::Damaged(_) | Error::Gone(_)) if printed == 0 => {}
        done => return end(done, printed),
    }
    end(ask(arguments, &record.log, &mut printed), printed)
}

fn end(done: Result<(), Error>, printed: usize) -> ExitCode {
    match done {
        Ok(()) if printed == 0 => ExitCode::from(NO),
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn ask(arguments: &Arguments, log: &Path, printed: &mut usize) -> Result<(), Error> {
    let mut progress = Progress::new();
    let index = Index::open(log, arguments.index.path.as_deref(), &mut |step| {
        progress.step(step);
    })?;
    drop(progress);
    for fault in index.faults()? {
        complain(&fault.segment, fault.malformed, fault.broken.as_deref());
    }
    let filter = arguments.conditions.filter();
    let format = Format::or_fitting(arguments.format);
    let screen = arguments.limit.is_none() && format == Format::Table && io::stdout().is_terminal();
    // One more than is shown tells whether there are more.
    let limit = if screen { Some(SCREEN + 1) } else { arguments.limit.filter(|limit| *limit > 0) };
    let mut printer = None;
    if format == Format::Table {
        let mut held = Vec::new();
        index.calls(&filter, limit, |call| {
            if screen {
                held.push(call);
                return Ok(ControlFlow::Continue(()));
            }
            begun(&mut printer, format)?.call(&call)?;
            *printed += 1;
            Ok(ControlFlow::Continue(()))
        })?;
        let more = held.len() > SCREEN;
        for call in held.iter().skip(usize::from(more)) {
            begun(&mut printer, format)?.call(call)?;
            *printed += 1;
        }
        if more {
            output::hint(&format!("these are the latest {SCREEN}; --limit 0 shows all"));
        }
    } else {
        index.lines(&filter, limit, |text| {
            if let Some(line) = Line::read(text.as_bytes()) {
                begun(&mut printer, format)?.line(&line, text)?;
                *printed += 1;
            }
            Ok(ControlFlow::Continue(()))
        })?;
    }
    if let Some(printer) = &mut printer {
        printer.flush()?;
    }
    Ok(())
}

/// The printer, begun with the first call: where nothing matched, not even a head is printed.
fn begun(printer: &mut Option<Printer<Answers>>, format: Format) -> io::Result<&mut Printer<Answers>> {
    match printer {
        Some(printer) => Ok(printer),
        None => Ok(printer.insert(Printer::new(format, answers())?)),
    }
}

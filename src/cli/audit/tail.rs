//! `countersign audit tail`: the last calls of the record, and with `-f` those that are added, through rotation.
//!
//! Reads the record itself and needs no index. Calls appear when they have ended; `--intents` shows their beginning
//! as well.

use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use super::show::{Format, Printer};
use super::source::Record;
use super::{Conditions, answers, fail};
use crate::ledger::Error;
use crate::ledger::follow::Follow;
use crate::ledger::line::Line;

/// How often the record is looked at.
const POLL: Duration = Duration::from_millis(200);

#[derive(clap::Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    record: Record,
    #[command(flatten)]
    conditions: Conditions,
    /// Begin with so many calls that are there already.
    #[arg(short = 'n', long = "lines", value_name = "N", default_value_t = 10)]
    last: usize,
    /// Go on with calls that are added.
    #[arg(short, long)]
    follow: bool,
    /// Show intents too: calls that are about to be sent.
    #[arg(long)]
    intents: bool,
    /// The form of the answer; a table on a terminal, JSON otherwise.
    #[arg(long, value_enum)]
    format: Option<Format>,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let record = if arguments.follow {
        arguments.record.file("what is followed must stay where it is")
    } else {
        arguments.record.find()
    };
    let record = match record {
        Ok(record) => record,
        Err(code) => return code,
    };
    match show(arguments, &record.log) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn show(arguments: &Arguments, log: &Path) -> Result<(), Error> {
    let Arguments { record: _, conditions, last, follow, intents, format } = arguments;
    let mut printer = Printer::new(Format::or_fitting(*format), answers())?;
    let mut show = |line: &Line<'_>, bytes: &[u8]| {
        let text = crate::ledger::ascii(bytes);
        printer.line(line, &text).map_err(Error::Output)?;
        printer.flush().map_err(Error::Output)
    };
    let mut end = Follow::begin(log, conditions.filter(), *intents, *last, &mut show)?;
    if !follow {
        return Ok(());
    }
    // Ends with a signal, or when nobody reads any more.
    loop {
        if !end.more(&mut show)? {
            thread::sleep(POLL);
        }
    }
}

//! `countersign audit export`: the record in the shape that another tool reads.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::source::Record;
use super::{Conditions, complain, fail};
use crate::ledger::Error;
use crate::ledger::export::{Shape as Form, export};

#[derive(clap::Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    record: Record,
    #[command(flatten)]
    conditions: Conditions,
    /// The shape.
    #[arg(long = "as", value_enum)]
    shape: Shape,
    /// Write to this file instead of standard output; it is there under its name only when it is whole.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Shape {
    /// One object `{"Records":[…]}` with CloudTrail's names.
    Cloudtrail,
    /// OCSF 1.3.0, class 6003 API Activity; one event a line.
    Ocsf,
    /// Elastic Common Schema 8.17; one event a line.
    Ecs,
    /// A table with a head.
    Csv,
    /// The same table for analytics.
    #[cfg(feature = "parquet")]
    Parquet,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let record = match arguments.record.find() {
        Ok(record) => record,
        Err(code) => return code,
    };
    match write(arguments, &record.log) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn write(arguments: &Arguments, log: &Path) -> Result<(), Error> {
    let shape = match arguments.shape {
        Shape::Cloudtrail => Form::Cloudtrail,
        Shape::Ocsf => Form::Ocsf,
        Shape::Ecs => Form::Ecs,
        Shape::Csv => Form::Csv,
        #[cfg(feature = "parquet")]
        Shape::Parquet => Form::Parquet,
    };
    let filter = arguments.conditions.filter();
    let scanned = if let Some(file) = &arguments.output {
        let mut partial = file.as_os_str().to_owned();
        partial.push(".part");
        let partial = PathBuf::from(partial);
        let done = to_file(&partial, |out| export(log, &filter, shape, out))
            .and_then(|scanned| Ok((scanned, std::fs::rename(&partial, file)?)));
        if done.is_err() {
            let _ = std::fs::remove_file(&partial);
        }
        done?.0
    } else {
        // A lock of standard output does not travel between threads, and the writers want one that could.
        let mut out = BufWriter::with_capacity(64 << 10, io::stdout());
        let scanned = export(log, &filter, shape, &mut out)?;
        out.flush()?;
        scanned
    };
    if scanned.malformed > 0 {
        complain(&log.to_string_lossy(), scanned.malformed, None);
    }
    Ok(())
}

/// Writes a file that only its owner reads: the record tells who did what.
fn to_file<T>(
    path: &Path,
    write: impl FnOnce(&mut (dyn Write + Send)) -> Result<T, Error>,
) -> Result<T, Error> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    let mut out = BufWriter::with_capacity(256 << 10, file);
    let written = write(&mut out)?;
    out.flush()?;
    out.get_ref().sync_all()?;
    Ok(written)
}

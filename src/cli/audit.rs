//! `countersign audit`: questions to the record of calls, and what they share: where the record is, what is asked
//! for, how answers look.
//!
//! Exit codes: 0 answered; 4 asked, and nothing matched (`query`), or checked, and the answer is no (`verify`); 2 bad
//! usage, no such record; 1 otherwise.

mod export;
pub(super) mod progress;
mod query;
mod reindex;
pub(super) mod show;
pub(super) mod source;
mod tail;
mod verify;

use std::io::{self, BufWriter, StdoutLock};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use jiff::Timestamp;

use super::{BAD_CONFIG, FAILED, output};
use crate::ledger::Error;
use crate::ledger::filter::{Filter, Glob, Source, Statuses, moment};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Find calls.
    Query(query::Arguments),
    /// Show the last calls, and with -f those that follow.
    Tail(tail::Arguments),
    /// Write the record in the shape that another tool reads.
    Export(export::Arguments),
    /// Make the index anew from the record.
    Reindex(reindex::Arguments),
    /// Prove the record: that every line is the one that was written, in its place, and none is missing.
    Verify(verify::Arguments),
}

pub(super) fn run(command: &Command) -> ExitCode {
    match command {
        Command::Query(query) => query::run(query),
        Command::Tail(tail) => tail::run(tail),
        Command::Export(export) => export::run(export),
        Command::Reindex(reindex) => reindex::run(reindex),
        Command::Verify(verify) => verify::run(verify),
    }
}

/// Where its index is.
#[derive(Args)]
pub(super) struct IndexFile {
    /// Keep the index here instead of beside the audit file (`FILE.index.sqlite`).
    #[arg(long = "index", value_name = "PATH")]
    pub(super) path: Option<PathBuf>,
}

/// When calls arrived.
#[derive(Args)]
pub(super) struct Span {
    /// Calls that arrived since then: 2h (also s, m, d, w), 2026-11-01 (midnight UTC), or RFC 3339.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) since: Option<i64>,
    /// Calls that arrived before that, written as for --since.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) until: Option<i64>,
}

fn time(text: &str) -> Result<i64, String> {
    moment(text, Timestamp::now())
}

/// Which calls are asked for. An option given twice asks for either.
#[derive(Args)]
pub(super) struct Conditions {
    #[command(flatten)]
    span: Span,
    /// Calls of this client.
    #[arg(long, value_name = "NAME")]
    client: Vec<String>,
    /// Calls over this route.
    #[arg(long, value_name = "NAME")]
    route: Vec<String>,
    /// Calls of this operation; `*` and `?` are wildcards, letter case is ignored.
    #[arg(long, value_name = "GLOB")]
    operation: Vec<Glob>,
    /// Calls about a resource whose name begins so (`bucket/folder/`).
    #[arg(long, value_name = "PREFIX")]
    resource: Option<String>,
    /// Calls that were answered with this: 403, 4xx, 200-299; 0 where the caller left before.
    #[arg(long, value_name = "STATUS")]
    status: Vec<Statuses>,
    /// Only calls that the gateway answered itself and never sent.
    #[arg(long)]
    refused: bool,
    /// Calls from this address, network (10.0.0.0/8) or unix peer (unix:uid=1000).
    #[arg(long, value_name = "SOURCE")]
    source: Vec<Source>,
    /// The call with this id (`x-request-id`).
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
}

impl Conditions {
    fn filter(&self) -> Filter {
        Filter {
            clients: self.client.clone(),
            routes: self.route.clone(),
            operations: self.operation.clone(),
            resource: self.resource.clone(),
            since: self.span.since,
            until: self.span.until,
            statuses: self.status.clone(),
            refused: self.refused,
            sources: self.source.clone(),
            request: self.request_id.clone(),
        }
    }
}

/// Standard output for answers that may be long.
type Answers = BufWriter<StdoutLock<'static>>;

fn answers() -> Answers {
    BufWriter::with_capacity(64 << 10, io::stdout().lock())
}

/// The exit code of an error, said on standard error; whoever closed the pipe has read enough.
pub(super) fn fail(error: &Error) -> ExitCode {
    match error {
        Error::Output(gone) if gone.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Error::NoRecord(_) => output::fail(BAD_CONFIG, &error.to_string()),
        _ => output::fail(FAILED, &error.to_string()),
    }
}

/// Says that a part of the record could not be taken.
fn complain(segment: &str, malformed: u64, broken: Option<&str>) {
    let mut what = match malformed {
        0 => Vec::new(),
        1 => vec!["one line is none of the record's".to_owned()],
        lines => vec![format!("{lines} lines are none of the record's")],
    };
    what.extend(broken.map(|why| format!("its end cannot be read ({why})")));
    let segment = crate::ledger::shown(segment, crate::ledger::Alphabet::Ascii);
    output::hint(&format!("{segment}: {}; what it holds was left out", what.join(" and ")));
}

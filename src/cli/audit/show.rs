//! How calls look: a table for people, one JSON object a line as it stands in the record, or CSV.

use std::io::{self, IsTerminal, Write};

use jiff::Timestamp;

use crate::ledger::export::csv::Table;
use crate::ledger::line::Line;
use crate::ledger::query::Call;
use crate::ledger::{Alphabet, shown};

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum Format {
    /// Columns, for people.
    Table,
    /// One object a line, as recorded.
    Json,
    /// With a head, for spreadsheets.
    Csv,
}

impl Format {
    /// What was asked for; a table on a terminal and JSON otherwise.
    pub(in crate::cli) fn or_fitting(asked: Option<Self>) -> Self {
        asked.unwrap_or(if io::stdout().is_terminal() { Self::Table } else { Self::Json })
    }
}

/// The head of the table.
pub(super) fn head() -> String {
    columns(["TIME", "STATUS", "MS", "CLIENT", "ROUTE", "SOURCE", "OPERATION", "RESOURCE"])
}

/// A call as a row of the table, in printable ASCII.
pub(super) fn row(call: &Call) -> String {
    let time = Timestamp::from_microsecond(call.time).map(|time| format!("{time:.3}")).unwrap_or_default();
    let text = |text: &str| shown(if text.is_empty() { "-" } else { text }, Alphabet::Ascii);
    let status = match (call.open, call.status) {
        (true, _) => "open".to_owned(),
        (false, 0) => "left".to_owned(),
        (false, status) => status.to_string(),
    };
    let (whole, tenths) = (call.total_us / 1000, call.total_us / 100 % 10);
    let millis = if call.open { "-".to_owned() } else { format!("{whole}.{tenths}") };
    let mut resource = text(&call.resource);
    if !call.error.is_empty() {
        resource = format!("{resource} [{}]", shown(&call.error, Alphabet::Ascii));
    }
    columns([
        &time,
        &status,
        &millis,
        &text(&call.client),
        &text(&call.route),
        &text(&call.source),
        &text(&call.operation),
        &resource,
    ])
}

fn columns([time, status, millis, client, route, source, operation, resource]: [&str; 8]) -> String {
    format!(
        "{time:<24}  {status:<6}  {millis:>9}  {client:<14}  {route:<12}  {source:<15}  {operation:<28}  {resource}"
    )
}

/// Lines on their way out, in the form that was asked for.
pub(super) enum Printer<W: Write> {
    Table(W),
    Json(W),
    Csv(Box<Table<W>>),
}

impl<W: Write> Printer<W> {
    pub(super) fn new(format: Format, mut out: W) -> io::Result<Self> {
        match format {
            Format::Table => {
                writeln!(out, "{}", head())?;
                Ok(Self::Table(out))
            }
            Format::Json => Ok(Self::Json(out)),
            Format::Csv => Ok(Self::Csv(Box::new(Table::new(out)?))),
        }
    }

    /// Prints a call of the record; `text` is its line in printable ASCII.
    pub(super) fn line(&mut self, line: &Line<'_>, text: &str) -> io::Result<()> {
        match self {
            Self::Table(out) => match Call::of(line) {
                Some(call) => writeln!(out, "{}", row(&call)),
                None => Ok(()),
            },
            Self::Json(out) => writeln!(out, "{text}"),
            Self::Csv(table) => table.row(line),
        }
    }

    /// Prints a call of the index.
    pub(super) fn call(&mut self, call: &Call) -> io::Result<()> {
        match self {
            Self::Table(out) | Self::Json(out) => writeln!(out, "{}", row(call)),
            Self::Csv(_) => Ok(()),
        }
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Table(out) | Self::Json(out) => out.flush(),
            Self::Csv(table) => table.flush(),
        }
    }
}

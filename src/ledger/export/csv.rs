//! A table with a head, one call a row (RFC 4180, UTF-8).
//!
//! A spreadsheet takes a cell that begins with `=`, `+`, `-`, `@`, a tab or a return for a formula; callers choose
//! what stands in many of these cells, so such a cell gets a `'` before it, which spreadsheets hide.

use std::io::{self, Write};

use super::super::line::{Kind, Line};
use super::super::text::{Alphabet, shown};

/// The columns, in their order. New ones are added at the end.
pub const COLUMNS: [&str; 25] = [
    "time",
    "request_id",
    "client",
    "proof",
    "local_key",
    "source",
    "route",
    "credential",
    "scheme",
    "method",
    "operation",
    "resource",
    "read_only",
    "status",
    "error",
    "decision",
    "rule",
    "refused",
    "bytes_in",
    "bytes_out",
    "total_ms",
    "upstream",
    "record",
    "user_agent",
    "trace_id",
];

/// A value of a column.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// Text.
    Text(&'a str),
    /// A count.
    Count(u64),
    /// Milliseconds.
    Millis(f64),
    /// Yes, no or nobody knows.
    Flag(Option<bool>),
}

/// What a call says in each column.
pub fn values<'l>(line: &'l Line<'_>) -> [Value<'l>; COLUMNS.len()] {
    use Value::{Count, Flag, Millis, Text};
    let extra = &line.extra;
    [
        Text(&line.event_time),
        Text(&line.request_id),
        Text(line.client()),
        Text(&line.user_identity.proof),
        Text(&line.user_identity.access_key_id),
        Text(&line.source),
        Text(&extra.route),
        Text(&extra.credential),
        Text(&extra.scheme),
        Text(&extra.method),
        Text(line.operation()),
        Text(line.resource()),
        Flag(line.read_only),
        Count(extra.status.into()),
        Text(&line.error_code),
        Text(&extra.decision),
        Text(&extra.rule),
        Flag(Some(line.refused())),
        Count(extra.bytes_in),
        Count(extra.bytes_out),
        Millis(extra.total_ms),
        Text(&extra.upstream),
        Text(if line.kind() == Some(Kind::Intent) { "intent" } else { "outcome" }),
        Text(&line.user_agent),
        Text(&extra.trace_id),
    ]
}

/// A table on its way.
pub struct Table<W: Write> {
    out: csv::Writer<W>,
}

impl<W: Write> Table<W> {
    /// Begins with the head.
    ///
    /// # Errors
    /// `out`.
    pub fn new(out: W) -> io::Result<Self> {
        Self::with(out, &COLUMNS)
    }

    /// Begins with a head of other columns.
    ///
    /// # Errors
    /// `out`.
    pub fn with(out: W, columns: &[&str]) -> io::Result<Self> {
        let mut out = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(out);
        out.write_record(columns).map_err(io::Error::from)?;
        Ok(Self { out })
    }

    /// Adds a call.
    ///
    /// # Errors
    /// `out`.
    pub fn row(&mut self, line: &Line<'_>) -> io::Result<()> {
        self.cells(&values(line))
    }

    /// Adds a row.
    ///
    /// # Errors
    /// `out`.
    pub fn cells(&mut self, cells: &[Value<'_>]) -> io::Result<()> {
        for cell in cells {
            let text = match cell {
                Value::Text(text) => safe(text),
                Value::Count(count) => count.to_string(),
                Value::Millis(millis) => millis.to_string(),
                Value::Flag(flag) => flag.map(|flag| flag.to_string()).unwrap_or_default(),
            };
            self.out.write_field(text).map_err(io::Error::from)?;
        }
        self.out.write_record(None::<&[u8]>).map_err(io::Error::from)
    }

    /// Writes what is held back.
    ///
    /// # Errors
    /// `out`.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Ends the table.
    ///
    /// # Errors
    /// `out`.
    pub fn end(mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A text that no spreadsheet runs and no terminal obeys.
fn safe(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let shown = shown(text, Alphabet::Unicode);
    if formula { format!("'{shown}") } else { shown }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula_and_none_breaks_the_table() {
        for (text, cell) in [
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\\u{9}=1"),
            ("\r=1", "'\\u{d}=1"),
            ("a=1", "a=1"),
            ("a,\"b\"\n\u{1b}[2J\u{202e}ü", "a,\"b\"\\u{a}\\u{1b}[2J\\u{202e}ü"),
            ("", ""),
        ] {
            let mut out = Vec::new();
            let mut table = Table::with(&mut out, &["a", "b"]).unwrap();
            table.cells(&[Value::Text(text), Value::Count(7)]).unwrap();
            table.end().unwrap();
            let mut reader = csv::Reader::from_reader(&out[..]);
            let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
            assert_eq!(rows, [vec![cell, "7"]], "{text:?}");
            assert!(out.ends_with(b"\r\n"));
        }
    }
}

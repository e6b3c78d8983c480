//! The record in the shapes that other tools read; one file per shape.
//!
//! Exports go over the record itself, one event per call: the outcome, or the intent where no outcome is recorded.
//! Nothing is invented: what a shape demands and the record does not say is the shape's own word for unknown.

pub mod cloudtrail;
pub mod csv;
pub mod ecs;
pub mod ocsf;
#[cfg(feature = "parquet")]
pub mod parquet;

use std::io::Write;
use std::path::Path;

use super::Error;
use super::filter::Filter;
use super::line::{Kind, Line};
use super::scan::{Scanned, scan};

/// A shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `{"Records":[…]}` with CloudTrail's names.
    Cloudtrail,
    /// OCSF API Activity, one event a line.
    Ocsf,
    /// Elastic Common Schema, one event a line.
    Ecs,
    /// A table with a head.
    Csv,
    /// The same table for analytics.
    #[cfg(feature = "parquet")]
    Parquet,
}

/// Writes every call of the record at `log` that the filter covers to `out`.
///
/// # Errors
/// The record, or `out`.
pub fn export(
    log: &Path,
    filter: &Filter,
    shape: Shape,
    out: &mut (dyn Write + Send),
) -> Result<Scanned, Error> {
    match shape {
        Shape::Cloudtrail => cloudtrail::export(log, filter, out),
        Shape::Csv => {
            let mut table = csv::Table::new(out)?;
            let scanned = scan(log, filter, |line, _| table.row(line).map_err(Error::Output))?;
            table.end()?;
            Ok(scanned)
        }
        Shape::Ocsf => scan(log, filter, |line, _| event(out, &ocsf::event(line))),
        Shape::Ecs => scan(log, filter, |line, _| event(out, &ecs::event(line))),
        #[cfg(feature = "parquet")]
        Shape::Parquet => parquet::export(log, filter, out),
    }
}

/// One event a line, in printable ASCII.
fn event(out: &mut (dyn Write + Send), event: &serde_json::Value) -> Result<(), Error> {
    let text = super::text::ascii_json(&event.to_string());
    writeln!(out, "{text}").map_err(Error::Output)
}

/// What a call did, as far as its name and the record tell; for shapes that want a verb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Create,
    Read,
    Update,
    Delete,
    Unknown,
}

/// Beginnings of operation names that make something new, and that take something away.
const CREATES: [&str; 11] =
    ["create", "put", "post", "add", "deploy", "register", "upload", "copy", "restore", "import", "allocate"];
const DELETES: [&str; 9] =
    ["delete", "destroy", "expunge", "remove", "abort", "disassociate", "release", "revoke", "archive"];

impl Verb {
    fn of(line: &Line<'_>) -> Self {
        let name = line.event_name.rsplit(':').next().unwrap_or_default();
        let begins =
            |with: &&str| name.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
        match line.read_only {
            Some(true) => Self::Read,
            // Nothing knows the call, so nothing is guessed from its name.
            None => Self::Unknown,
            Some(false) if DELETES.iter().any(begins) => Self::Delete,
            Some(false) if CREATES.iter().any(begins) => Self::Create,
            Some(false) => Self::Update,
        }
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Success,
    Failure,
    Unknown,
}

impl Outcome {
    fn of(line: &Line<'_>) -> Self {
        match (line.kind(), line.extra.status) {
            (Some(Kind::Outcome), 100..=399) if line.error_code.is_empty() => Self::Success,
            (Some(Kind::Outcome), 100..) => Self::Failure,
            // Only the intent is known, or the caller left before there was an answer.
            _ => Self::Unknown,
        }
    }
}

/// An object without the members that are empty texts, empty lists or null.
fn object<const N: usize>(members: [(&str, serde_json::Value); N]) -> serde_json::Value {
    let empty = |value: &serde_json::Value| match value {
        serde_json::Value::Null => true,
        serde_json::Value::String(text) => text.is_empty(),
        serde_json::Value::Array(list) => list.is_empty(),
        serde_json::Value::Object(members) => members.is_empty(),
        _ => false,
    };
    let members = members.into_iter().filter(|(_, value)| !empty(value));
    serde_json::Value::Object(members.map(|(name, value)| (name.to_owned(), value)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_succeeds_only_when_it_ended_well_and_nothing_failed() {
        let outcome = |text: &str| Line::read(text.as_bytes()).map(|line| Outcome::of(&line));
        let line = |kind: &str, status: u16, error: &str| {
            outcome(&format!(
                r#"{{"errorCode":"{error}","additionalEventData":{{"record":"{kind}","status":{status}}}}}"#
            ))
        };
        for (found, expected) in [
            (line("outcome", 200, ""), Outcome::Success),
            (line("outcome", 399, ""), Outcome::Success),
            (line("outcome", 400, ""), Outcome::Failure),
            // The answer had begun when the upstream broke off.
            (line("outcome", 200, "upstream-broken"), Outcome::Failure),
            (line("outcome", 0, ""), Outcome::Unknown),
            (line("intent", 0, ""), Outcome::Unknown),
            (line("intent", 200, ""), Outcome::Unknown),
        ] {
            assert_eq!(found, Some(expected));
        }
    }

    #[test]
    fn a_verb_comes_from_the_name_only_where_it_is_known_to_change_something() {
        let verb = |read: &str, name: &str| {
            let text = format!(r#"{{"eventName":"{name}"{read}}}"#);
            Line::read(text.as_bytes()).map(|line| Verb::of(&line))
        };
        let (writes, reads) = (r#","readOnly":false"#, r#","readOnly":true"#);
        for (found, expected) in [
            (verb(writes, "DeleteObject"), Verb::Delete),
            (verb(writes, "s3:PutObject"), Verb::Create),
            (verb(writes, "stopVmInstance"), Verb::Update),
            (verb(reads, "deleteNothing"), Verb::Read),
            (verb("", "deleteSomething"), Verb::Unknown),
        ] {
            assert_eq!(found, Some(expected));
        }
    }
}

//! `countersign usage`: what calls add up to.
//!
//! JSON has the shape of UTAPI's `ListMetrics` where it means the same; what a gateway cannot know
//! (`storageUtilized`, `numberOfObjects`) is absent, and what UTAPI does not count (`calls`, `errors`, `latencyMs`)
//! follows. The CSV is for billing: its columns stay.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;
use serde_json::json;

use super::audit::progress::Progress;
use super::audit::show::Format;
use super::audit::source::Record;
use super::audit::{IndexFile, Span, fail};
use super::{BAD_CONFIG, output};
use crate::ledger::export::csv::{Table, Value};
use crate::ledger::filter::{Filter, Glob, moment};
use crate::ledger::index::Index;
use crate::ledger::usage::{By as Name, Period as Length, Usage};
use crate::ledger::{Alphabet, Error, shown};

#[derive(Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    record: Record,
    #[command(flatten)]
    index: IndexFile,
    /// What usage is told apart by.
    #[arg(long, value_enum, default_value_t = By::Client)]
    by: By,
    /// How long a line of usage is, in UTC: hour, day, month, or one range of time (2026-11-01..2026-12-01).
    #[arg(long, value_name = "PERIOD", default_value = "month", value_parser = period)]
    period: Period,
    #[command(flatten)]
    span: Span,
    /// Only calls of this client.
    #[arg(long, value_name = "NAME")]
    client: Vec<String>,
    /// Only calls over this route.
    #[arg(long, value_name = "NAME")]
    route: Vec<String>,
    /// Only calls of this operation; `*` and `?` are wildcards, letter case is ignored.
    #[arg(long, value_name = "GLOB")]
    operation: Vec<Glob>,
    /// The form of the answer; a table on a terminal, JSON otherwise.
    #[arg(long, value_enum)]
    format: Option<Format>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum By {
    /// The client.
    Client,
    /// The route.
    Route,
    /// The operation.
    Operation,
    /// The bucket, of S3 calls.
    Bucket,
    /// The zone, of CloudStack calls that name one.
    Zone,
    /// The account, of CloudStack calls that name one.
    Account,
}

#[derive(Clone, Copy, Debug)]
enum Period {
    Each(Length),
    Range(i64, i64),
}

fn period(text: &str) -> Result<Period, String> {
    match text {
        "hour" => Ok(Period::Each(Length::Hour)),
        "day" => Ok(Period::Each(Length::Day)),
        "month" => Ok(Period::Each(Length::Month)),
        range => {
            let (from, until) = range
                .split_once("..")
                .ok_or("a period is hour, day, month, or a range such as 2026-11-01..2026-12-01")?;
            let now = Timestamp::now();
            let (from, until) = (moment(from, now)?, moment(until, now)?);
            if from >= until {
                return Err("the range ends before it begins".to_owned());
            }
            Ok(Period::Range(from, until))
        }
    }
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let ranged = matches!(arguments.period, Period::Range(..));
    if ranged && (arguments.span.since.is_some() || arguments.span.until.is_some()) {
        return output::fail(
            BAD_CONFIG,
            "a range in --period is the whole time; leave out --since and --until",
        );
    }
    let record = match arguments.record.find() {
        Ok(record) => record,
        Err(code) => return code,
    };
    // An index that proves wrong is made anew by asking again.
    let usage = match ask(arguments, &record.log) {
        Err(Error::Damaged(_)) => ask(arguments, &record.log),
        done => done,
    };
    let usage = match usage {
        Ok(usage) => usage,
        Err(error) => return fail(&error),
    };
    match Format::or_fitting(arguments.format) {
        Format::Table => output::all(table(arguments.by, &usage).as_bytes()),
        Format::Json => output::all(listed(arguments.by, &usage).as_bytes()),
        Format::Csv => match csv(arguments.by, &usage) {
            Ok(text) => output::all(&text),
            Err(error) => fail(&Error::Output(error)),
        },
    }
}

fn ask(arguments: &Arguments, log: &Path) -> Result<Vec<Usage>, Error> {
    let mut progress = Progress::new();
    let index = Index::open(log, arguments.index.path.as_deref(), &mut |step| {
        progress.step(step);
    })?;
    drop(progress);
    let (length, since, until) = match arguments.period {
        Period::Each(length) => (length, arguments.span.since, arguments.span.until),
        Period::Range(from, until) => (Length::Whole, Some(from), Some(until)),
    };
    let filter = Filter {
        clients: arguments.client.clone(),
        routes: arguments.route.clone(),
        operations: arguments.operation.clone(),
        since,
        until,
        ..Filter::default()
    };
    index.usage(arguments.by.name(), length, &filter)
}

impl By {
    fn name(self) -> Name {
        match self {
            Self::Client => Name::Client,
            Self::Route => Name::Route,
            Self::Operation => Name::Operation,
            Self::Bucket => Name::Bucket,
            Self::Zone => Name::Zone,
            Self::Account => Name::Account,
        }
    }

    /// The word for the table and the CSV, and the member of the JSON; `bucketName` is UTAPI's.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Client => ("client", "clientName"),
            Self::Route => ("route", "routeName"),
            Self::Operation => ("operation", "operationName"),
            Self::Bucket => ("bucket", "bucketName"),
            Self::Zone => ("zone", "zoneId"),
            Self::Account => ("account", "accountName"),
        }
    }
}

fn time(micros: i64) -> String {
    Timestamp::from_microsecond(micros).map(|time| time.to_string()).unwrap_or_default()
}

/// Milliseconds with a decimal.
#[allow(clippy::cast_precision_loss, reason = "rounded to a tenth of a millisecond")]
fn millis(micros: u64) -> f64 {
    (micros as f64 / 100.0).round() / 10.0
}

/// Mean, median, 99th percentile and longest.
fn latency(usage: &Usage) -> [f64; 4] {
    let latency = &usage.latency;
    let mean = latency.sum_us.checked_div(usage.calls).unwrap_or(0);
    [mean, latency.percentile(50), latency.percentile(99), latency.max_us].map(millis)
}

fn table(by: By, usage: &[Usage]) -> String {
    let mut out = format!(
        "{:<20}  {:<20}  {:<24}  {:>10}  {:>8}  {:>15}  {:>15}  {:>9}  {:>9}\n",
        "FROM",
        "UNTIL",
        by.words().0.to_uppercase(),
        "CALLS",
        "ERRORS",
        "BYTES IN",
        "BYTES OUT",
        "P50 MS",
        "P99 MS"
    );
    for one in usage {
        let [_, median, slow, _] = latency(one);
        let name = shown(if one.name.is_empty() { "-" } else { &one.name }, Alphabet::Ascii);
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "{:<20}  {:<20}  {name:<24}  {:>10}  {:>8}  {:>15}  {:>15}  {median:>9.1}  {slow:>9.1}",
            time(one.from),
            time(one.until),
            one.calls,
            one.errors,
            one.bytes_in,
            one.bytes_out
        );
    }
    out
}

/// A list, one object a line. Time ranges are in milliseconds and end one before the next begins, as UTAPI's do.
fn listed(by: By, usage: &[Usage]) -> String {
    let mut out = "[".to_owned();
    for (number, one) in usage.iter().enumerate() {
        let [mean, median, slow, longest] = latency(one);
        let mut object = json!({
            "timeRange": [one.from.div_euclid(1000), one.until.div_euclid(1000) - 1],
            "incomingBytes": one.bytes_in,
            "outgoingBytes": one.bytes_out,
            "operations": one.operations,
        });
        object[by.words().1] = json!(one.name);
        object["calls"] = json!(one.calls);
        object["errors"] = json!(one.errors);
        object["latencyMs"] = json!({ "mean": mean, "p50": median, "p99": slow, "max": longest });
        let text = crate::ledger::ascii(object.to_string().as_bytes());
        let _ = write!(out, "{}\n{text}", if number == 0 { "" } else { "," });
    }
    out + "\n]\n"
}

/// The columns of the CSV, in their order. New ones are added at the end.
const COLUMNS: [&str; 12] = [
    "from",
    "until",
    "by",
    "name",
    "calls",
    "errors",
    "incoming_bytes",
    "outgoing_bytes",
    "latency_mean_ms",
    "latency_p50_ms",
    "latency_p99_ms",
    "latency_max_ms",
];

fn csv(by: By, usage: &[Usage]) -> std::io::Result<Vec<u8>> {
    use Value::{Count, Millis, Text};
    let mut out = Vec::new();
    let mut table = Table::with(&mut out, &COLUMNS)?;
    for one in usage {
        let [mean, median, slow, longest] = latency(one).map(Millis);
        let (from, until) = (time(one.from), time(one.until));
        let counts = [one.calls, one.errors, one.bytes_in, one.bytes_out].map(Count);
        let [calls, errors, incoming, outgoing] = counts;
        table.cells(&[
            Text(&from),
            Text(&until),
            Text(by.words().0),
            Text(&one.name),
            calls,
            errors,
            incoming,
            outgoing,
            mean,
            median,
            slow,
            longest,
        ])?;
    }
    table.end()?;
    Ok(out)
}

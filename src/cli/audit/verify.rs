//! `countersign audit verify`: proves the record, and says what it holds and what is wrong with it.
//!
//! Exit code 0: it is what was written, even where calls are in doubt (a crash cut their outcomes off; they are
//! listed); 4: it is not; 2: bad usage, no such record, no key.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};

use super::source::Record;
use crate::cli::{BAD_CONFIG, FAILED, LogFormat, NO, output};
use crate::config::SecretRef;
use crate::credentials;
use crate::ledger::verify::{Claim, Report};
use crate::ledger::{self, Alphabet, Error, shown};
use crate::secret::Secret;

/// Entries of each list that the text names.
const LISTED: usize = 100;

#[derive(clap::Args)]
#[command(after_help = "Exit code 0: proved, calls in doubt or not; 4: not what was written.\n\n\
                        That the end of a record is missing shows only against a head that was noted elsewhere (--head); \
                        without a key, that it was written anew shows in the same way only.")]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    record: Record,
    /// The key of the record; without it, that of the configuration. Given twice, a record whose key was changed.
    #[arg(long, value_name = "FILE")]
    key_file: Vec<PathBuf>,
    /// The last line that is known to have been written, as the admin listener told it.
    #[arg(long, value_name = "SEQ:HASH")]
    head: Option<Claim>,
    /// The form of the report.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    format: LogFormat,
    /// Segments of the record that were moved elsewhere. Without --from and --config, these alone.
    #[arg(value_name = "FILES")]
    moved: Vec<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let report = match examine(arguments) {
        Ok(report) => report,
        Err(code) => return code,
    };
    let told = match arguments.format {
        LogFormat::Text => text(&report),
        LogFormat::Json => ledger::ascii(object(&report).to_string().as_bytes()) + "\n",
    };
    let printed = output::all(told.as_bytes());
    if !report.holds() {
        return ExitCode::from(NO);
    }
    match doubts(&report) {
        0 => {}
        1 => output::hint("one call is in doubt: how it ended is not recorded"),
        some => output::hint(&format!("{some} calls are in doubt: how they ended is not recorded")),
    }
    printed
}

fn doubts(report: &Report) -> u64 {
    report.in_doubt.len() as u64 + report.further_doubts
}

/// Finds the record and its keys, and walks through it; what is wrong with the question was said already.
fn examine(arguments: &Arguments) -> Result<Report, ExitCode> {
    let Arguments { record, moved, head, .. } = arguments;
    if let Some(missing) = moved.iter().find(|file| !file.is_file()) {
        return Err(output::fail(BAD_CONFIG, &format!("{}: there is no such file", missing.display())));
    }
    let keys = keys(arguments)?;
    let keys: Vec<&Secret> = keys.iter().collect();
    if record.is_unsaid() && !moved.is_empty() {
        return Ok(ledger::verify(moved, Path::new(""), &keys, *head));
    }
    let found = record.find()?;
    ledger::record(&found.log, moved, &keys, *head).map_err(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            return output::fail(BAD_CONFIG, &Error::NoRecord(found.log.clone()).to_string());
        }
        output::fail(FAILED, &format!("{}: {error}", found.log.display()))
    })
}

/// The keys that were named, or else the configuration's where it says where the record is.
fn keys(arguments: &Arguments) -> Result<Vec<Secret>, ExitCode> {
    let named = arguments.key_file.iter().map(|file| {
        let reference = SecretRef::File { path: file.clone(), allow_open_mode: false };
        credentials::record_key(&reference).map_err(|error| {
            let why = format!("--key-file {}: {}; {}", file.display(), error.problem, error.help);
            output::fail(BAD_CONFIG, &why)
        })
    });
    let named = named.collect::<Result<Vec<_>, _>>()?;
    let Arguments { record, moved, .. } = arguments;
    // What the environment names is some other record's key where the files are said without it.
    let asks_environment = record.is_unsaid() && moved.is_empty();
    if !named.is_empty() || (record.config.is_none() && !asks_environment) {
        return Ok(named);
    }
    let key = record.configuration()?.and_then(|(_, config)| config.audit.key);
    let key = key.map(|key| credentials::record_key(&key)).transpose();
    key.map(Vec::from_iter).map_err(|error| output::fail(BAD_CONFIG, &error.to_string()))
}

/// `SEQ:HASH`, as `--head` takes it.
fn head(claim: &Claim) -> String {
    claim.hash.iter().fold(format!("{}:", claim.seq), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn ascii(text: &str) -> String {
    shown(text, Alphabet::Ascii)
}

fn path(file: &Path) -> String {
    ascii(&file.to_string_lossy())
}

fn text(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = summary(report, &mut out);
    out
}

fn summary(report: &Report, out: &mut String) -> std::fmt::Result {
    let verdict = if report.holds() { "proved" } else { "NOT WHAT WAS WRITTEN" };
    writeln!(out, "{verdict}")?;
    let Report { segments, lines, intents, outcomes, .. } = report;
    let sealed = segments.iter().filter(|segment| segment.sealed).count();
    let keyed = segments.iter().filter(|segment| segment.keyed).count();
    writeln!(out, "segments  {}, {sealed} of them sealed, {keyed} with a key", segments.len())?;
    for segment in segments {
        let number = segment.number.map_or("?".to_owned(), |number| number.to_string());
        writeln!(out, "  {}: number {number}, {} lines", path(&segment.file), segment.lines)?;
    }
    writeln!(out, "lines     {lines}: {intents} intents, {outcomes} outcomes")?;
    if let Some((first, last)) = &report.arrivals {
        writeln!(out, "calls     from {} to {}", ascii(first), ascii(last))?;
    }
    if let Some(end) = &report.head {
        writeln!(out, "head      {}", head(end))?;
    }
    if doubts(report) > 0 {
        writeln!(out, "in doubt  {}: to be sent, and how they ended is not recorded", doubts(report))?;
    }
    for doubt in report.in_doubt.iter().take(LISTED) {
        let client = doubt.client.as_deref().map_or(String::new(), |client| format!(" of {}", ascii(client)));
        writeln!(
            out,
            "  {}:{} (seq {}): {} {}{client}, {}",
            path(&doubt.file),
            doubt.line,
            doubt.seq,
            ascii(&doubt.time),
            ascii(&doubt.name),
            ascii(&doubt.request_id)
        )?;
    }
    more(out, doubts(report), report.in_doubt.len())?;
    if !report.notes.is_empty() {
        writeln!(out, "to know")?;
    }
    for note in report.notes.iter().take(LISTED) {
        writeln!(out, "  {}:{}: {}", path(&note.file), note.line, ascii(&note.kind.to_string()))?;
    }
    more(out, report.notes.len() as u64, report.notes.len())?;
    if !report.holds() {
        writeln!(out, "problems  {}", report.problem_count)?;
    }
    for problem in report.problems.iter().take(LISTED) {
        let seq = problem.seq.map_or(String::new(), |seq| format!(" (seq {seq})"));
        let kind = ascii(&problem.kind.to_string());
        writeln!(out, "  {}:{}{seq}: {kind}", path(&problem.file), problem.line)?;
    }
    more(out, report.problem_count, report.problems.len())
}

/// Says how many of a list are not named.
fn more(out: &mut String, all: u64, held: usize) -> std::fmt::Result {
    match all - held.min(LISTED) as u64 {
        0 => Ok(()),
        left => writeln!(out, "  and {left} more; --format json names most of them"),
    }
}

fn object(report: &Report) -> Value {
    let (first, last) = report.arrivals.clone().unzip();
    json!({
        "proved": report.holds(),
        "segments": report.segments.iter().map(|segment| json!({
            "file": segment.file.to_string_lossy(),
            "number": segment.number,
            "lines": segment.lines,
            "sealed": segment.sealed,
            "keyed": segment.keyed,
        })).collect::<Vec<_>>(),
        "lines": report.lines,
        "intents": report.intents,
        "outcomes": report.outcomes,
        "first-call": first,
        "last-call": last,
        "head": report.head.as_ref().map(head),
        "in-doubt-count": doubts(report),
        "in-doubt": report.in_doubt.iter().map(|doubt| json!({
            "file": doubt.file.to_string_lossy(),
            "line": doubt.line,
            "seq": doubt.seq,
            "request-id": doubt.request_id,
            "time": doubt.time,
            "name": doubt.name,
            "client": doubt.client,
        })).collect::<Vec<_>>(),
        "notes": report.notes.iter().map(|note| json!({
            "file": note.file.to_string_lossy(),
            "line": note.line,
            "note": note.kind.to_string(),
        })).collect::<Vec<_>>(),
        "problem-count": report.problem_count,
        "problems": report.problems.iter().map(|problem| json!({
            "file": problem.file.to_string_lossy(),
            "line": problem.line,
            "seq": problem.seq,
            "problem": problem.kind.to_string(),
        })).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::verify::{Doubt, Problem, ProblemKind};

    #[test]
    fn nothing_from_the_record_steers_a_terminal() {
        let hostile = "\u{1b}[2J\r\n\u{202e}\u{9b}".to_owned();
        let mut report = Report { arrivals: Some((hostile.clone(), hostile.clone())), ..Report::default() };
        report.in_doubt.push(Doubt {
            file: PathBuf::from(&hostile),
            line: 3,
            seq: 2,
            request_id: hostile.clone(),
            time: hostile.clone(),
            name: hostile.clone(),
            client: Some(hostile.clone()),
        });
        let file = PathBuf::from(&hostile);
        let kind = ProblemKind::Unreadable(hostile);
        for seq in 0..=LISTED as u64 {
            report.problems.push(Problem { file: file.clone(), line: 7, seq: Some(seq), kind: kind.clone() });
        }
        report.problem_count = 2_000;
        let text = text(&report);
        let object = ledger::ascii(object(&report).to_string().as_bytes());
        for told in [&text, &object] {
            assert!(told.bytes().all(|byte| matches!(byte, b'\n' | b' '..=b'~')), "{told}");
        }
        assert!(text.starts_with("NOT WHAT WAS WRITTEN\n") && !object.contains('\n'));
        assert!(
            text.contains("problems  2000\n")
                && text.ends_with("  and 1900 more; --format json names most of them\n")
        );
        assert_eq!(text.lines().count(), 7 + LISTED + 1);
    }
}

//! `[audit]`: where calls are recorded, and for how long. Neither the file nor the key is looked at here.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::diagnostic::Problem;
use crate::config::table::{Field, Findings};
use crate::config::value::{self, Fault};
use crate::config::{Audit, OnFull};

use super::credential::reference;

/// A segment costs two lines and a file; smaller ones would be mostly that.
const SIZES: (u64, u64) = (1 << 20, 1 << 40);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// A segment that is older than a year will not be looked for.
const AGE: (Duration, Duration) = (MINUTE, DAY.saturating_mul(366));
/// A hundred years.
const RETAIN: (Duration, Duration) = (MINUTE, DAY.saturating_mul(36_500));

pub(super) fn read(field: Option<Field<'_>>, findings: &mut Findings) -> Audit {
    let mut out = Audit::default();
    let Some(table) = field.and_then(|field| field.table(findings)) else { return out };
    // A reference to a secret stands here.
    let mut table = table.guarded();
    let file = table.optional(findings, "file");
    let has_file = file.is_some();
    out.file = file.and_then(|field| field.guarded_parsed(findings, segment));
    if let Some(field) = table.optional(findings, "on-full") {
        let words = [("refuse", OnFull::Refuse), ("drop-reads", OnFull::DropReads)];
        out.on_full = field.one_of(findings, &words).unwrap_or_default();
    }
    let mut of_files = |key: &'static str, findings: &mut Findings| {
        let field = table.optional(findings, key)?;
        if !has_file {
            let place = Problem::at(field.key_span.clone(), format!("`{}` needs `audit.file`", field.path));
            let help = "standard output has no segments: add `file = \"/…/audit.jsonl\"`, or remove the key";
            findings.push(place.help(help));
        }
        Some(field)
    };
    if let Some(size) = of_files("rotate-size", findings).and_then(|field| size(&field, findings)) {
        out.rotate_size = size;
    }
    let age = of_files("rotate-age", findings).map(|field| time(&field, AGE, findings));
    if let Some(age) = age.flatten() {
        out.rotate_age = age;
    }
    if let Some(field) = of_files("retain", findings) {
        out.retain = time(&field, RETAIN, findings);
        // A broken `rotate-age` is a problem by itself.
        if age != Some(None) && out.retain.is_some_and(|retain| retain < out.rotate_age) {
            let age = value::spoken(out.rotate_age);
            let problem =
                field.problem(format!("`{}` is shorter than `audit.rotate-age`, {age}", field.path));
            findings.push(problem.help("only whole segments are deleted: raise it, or lower `rotate-age`"));
        }
    }
    out.key = table.optional(findings, "key").and_then(|field| reference(&field, findings));
    table.finish(findings);
    out
}

/// The active file, by its absolute path.
fn segment(text: &str) -> Result<PathBuf, Fault> {
    let path = value::absolute(text)?;
    if text.ends_with('/') || text.ends_with("/.") || path.file_name().is_none() {
        return Err(
            Fault::new("names a folder").help("name a file in it, like `/var/log/countersign/audit.jsonl`")
        );
    }
    Ok(path)
}

fn size(field: &Field<'_>, findings: &mut Findings) -> Option<u64> {
    let (low, high) = SIZES;
    let size = field.size(findings)?;
    if size < low || size > high {
        findings.push(field.problem(format!("`{}` must be from {low} to {high} bytes", field.path)));
        return None;
    }
    Some(size)
}

fn time(field: &Field<'_>, bounds: (Duration, Duration), findings: &mut Findings) -> Option<Duration> {
    field.duration(findings, bounds.0..=bounds.1)
}

//! A whole record from its first line to its last: slower than the index, and needs none.

use std::collections::HashMap;
use std::path::Path;

use super::Error;
use super::again::Again;
use super::filter::Filter;
use super::id::RequestId;
use super::line::{Kind, Line};
use super::segment::segments;

/// What a scan met besides the calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scanned {
    /// Calls that were given.
    pub calls: u64,
    /// Lines that are none of ours.
    pub malformed: u64,
}

/// Gives the line of every call that is asked for to `each`: outcomes in the order of the record, then intents whose
/// outcome is not recorded.
///
/// # Errors
/// The record, or what `each` says.
pub fn scan(
    log: &Path,
    filter: &Filter,
    mut each: impl FnMut(&Line<'_>, &[u8]) -> Result<(), Error>,
) -> Result<Scanned, Error> {
    let mut scanned = Scanned::default();
    let mut open: HashMap<RequestId, (u64, Vec<u8>)> = HashMap::new();
    let mut order = 0;
    let segments = segments(log)?;
    for (number, segment) in segments.iter().enumerate() {
        let record = |error| Error::record(&segment.path)(error);
        let again = Again::before(segment, &segments[..number]).map_err(record)?;
        let mut lines = segment.lines().map_err(record)?;
        while let Some(located) = lines.complete().map_err(record)? {
            let line = Line::read(located.bytes);
            let known = line.as_ref().and_then(|line| Some((line, line.kind()?)));
            let Some((line, kind)) =
                known.filter(|(line, kind)| *kind == Kind::Note || line.time().is_some())
            else {
                scanned.malformed += 1;
                continue;
            };
            if again.holds(line) {
                continue;
            }
            match kind {
                Kind::Note => {}
                Kind::Intent => {
                    order += 1;
                    open.insert(RequestId::of(&line.request_id), (order, located.bytes.to_vec()));
                }
                Kind::Outcome => {
                    if !open.is_empty() {
                        open.remove(&RequestId::of(&line.request_id));
                    }
                    if filter.matches(line) {
                        scanned.calls += 1;
                        each(line, located.bytes)?;
                    }
                }
            }
        }
    }
    let mut open: Vec<(u64, Vec<u8>)> = open.into_values().collect();
    open.sort_unstable();
    for (_, bytes) in open {
        if let Some(line) = Line::read(&bytes).filter(|line| filter.matches(line)) {
            scanned.calls += 1;
            each(&line, &bytes)?;
        }
    }
    Ok(scanned)
}

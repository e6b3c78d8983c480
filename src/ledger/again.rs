//! Lines that stand twice: when a segment cannot be written any more, what of it is not known to be on the disk stands
//! again in the next. Questions must find, and count, such a call once.

use std::collections::HashSet;
use std::io;

use super::id::RequestId;
use super::line::{Kind, Line};
use super::segment::Segment;

/// The lines of calls of a segment that were read already in the segments before.
#[derive(Debug, Default)]
pub(super) struct Again(HashSet<(RequestId, bool)>);

impl Again {
    /// What stands in `before`, oldest first, and once more in `segment`; nothing unless that was begun after a failure.
    pub(super) fn before(segment: &Segment, before: &[Segment]) -> io::Result<Self> {
        let mut found = HashSet::new();
        if !segment.resumes {
            return Ok(Self(found));
        }
        // Several may have failed in a row, all begun at the same line; the one before them holds it.
        for earlier in before.iter().rev().filter(|earlier| earlier.number < segment.number) {
            let mut lines = match earlier.lines() {
                Ok(lines) => lines,
                // Deleted meanwhile: then nothing stands there.
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                Err(error) => return Err(error),
            };
            while let Some(located) = lines.complete()? {
                let Some(line) = Line::read(located.bytes) else { continue };
                if line.seq.is_some_and(|seq| seq >= segment.first) {
                    found.extend(key(&line));
                }
            }
            if earlier.first < segment.first {
                break;
            }
        }
        Ok(Self(found))
    }

    /// Whether this line of the segment was read before.
    pub(super) fn holds(&self, line: &Line<'_>) -> bool {
        !self.0.is_empty() && key(line).is_some_and(|key| self.0.contains(&key))
    }
}

fn key(line: &Line<'_>) -> Option<(RequestId, bool)> {
    match line.kind()? {
        Kind::Note => None,
        kind => Some((RequestId::of(&line.request_id), kind == Kind::Outcome)),
    }
}

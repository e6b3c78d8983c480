//! Proves the record: every line is the one that was written, in its place, and none is missing.
//!
//! A line is `BODY,"seq":N,"hash":"H"}`; H is SHA-256, or HMAC-SHA256 with the record's key, of the hash before (32
//! bytes; zeros before the first line) and of the line up to and including N. This file is written from that sentence
//! alone, and must stay so: it judges the writer.
//!
//! What a chain cannot show by itself is that its end is missing; for that the caller brings the head that was noted
//! elsewhere. Without a key, a record that was written anew from some line on shows in the same way only.
//!
//! The files are read once, in bounded memory.

mod line;
mod problem;
mod segment;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::read;
use crate::secret::Secret;

pub use problem::{Note, NoteKind, Problem, ProblemKind};

/// Problems and notes that are named; all are counted.
const NAMED: usize = 1_000;
/// Intents without outcome that are kept in memory.
const DOUBTS: usize = 100_000;
/// How often a record that is rotated while it is read is read again at most.
const ROTATIONS: usize = 50;
/// How often the same problem must be found again to be believed while the record is rotated.
const SAME: usize = 3;

/// Where the record ends, or ended when somebody noted it: `SEQ:HASH`, as the admin listener tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The number of the line.
    pub seq: u64,
    /// Its hash.
    pub hash: [u8; 32],
}

impl FromStr for Claim {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let shape = "a head is the number of a line, a colon, and 64 hex digits";
        let (seq, hash) = text.split_once(':').ok_or(shape)?;
        Ok(Self {
            seq: seq.parse().map_err(|_| shape)?,
            hash: line::digits(hash.to_ascii_lowercase().as_bytes()).ok_or(shape)?,
        })
    }
}

/// A call that was about to be sent, and of which nothing more is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// Where its intent stands.
    pub file: PathBuf,
    /// The line, counted from 1.
    pub line: u64,
    /// The line's number in the record.
    pub seq: u64,
    /// The call's id.
    pub request_id: String,
    /// When it arrived.
    pub time: String,
    /// Its name.
    pub name: String,
    /// The client, if one was identified.
    pub client: Option<String>,
}

/// One file, as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The file.
    pub file: PathBuf,
    /// Its number; absent when its first line does not tell.
    pub number: Option<u64>,
    /// Its complete lines.
    pub lines: u64,
    /// Whether it ends with a seal that holds.
    pub sealed: bool,
    /// Whether its lines are made with a key.
    pub keyed: bool,
}

/// What was found.
#[derive(Default, Debug)]
pub struct Report {
    /// The files, in the order of the chain.
    pub segments: Vec<Segment>,
    /// All complete lines.
    pub lines: u64,
    /// Lines of calls: intents.
    pub intents: u64,
    /// Lines of calls: outcomes.
    pub outcomes: u64,
    /// When the first and the last of the calls arrived, as their lines say; absent where there are none.
    pub arrivals: Option<(String, String)>,
    /// What is wrong, at most the first thousand.
    pub problems: Vec<Problem>,
    /// How much is wrong.
    pub problem_count: u64,
    /// What is worth knowing: crashes, gaps, deletions that the record itself tells of.
    pub notes: Vec<Note>,
    /// Intents without outcome, oldest first. Those at the end of a record that is being written are calls in progress.
    pub in_doubt: Vec<Doubt>,
    /// More of them than were kept.
    pub further_doubts: u64,
    /// The last line that holds.
    pub head: Option<Claim>,
}

impl Report {
    /// Notes when a call arrived. Times are written with a fixed number of digits, so that they sort as texts.
    fn arrived(&mut self, time: &str) {
        let (first, last) = self.arrivals.get_or_insert_with(|| (time.to_owned(), time.to_owned()));
        if time < first.as_str() {
            time.clone_into(first);
        }
        if time > last.as_str() {
            time.clone_into(last);
        }
    }

    /// Whether the record is what was written.
    pub fn holds(&self) -> bool {
        self.problem_count == 0
    }
}

/// How the hashes of a segment are made.
#[derive(Clone, Copy)]
enum Check<'k> {
    Plain,
    Keyed(&'k Secret),
}

impl Check<'_> {
    fn holds(self, before: &[u8; 32], covered: &[u8], hash: &[u8; 32]) -> bool {
        bool::from(self.compute(before, covered).ct_eq(hash))
    }

    fn compute(self, before: &[u8; 32], covered: &[u8]) -> [u8; 32] {
        match self {
            Self::Plain => {
                let mut sha = Sha256::new();
                sha.update(before);
                sha.update(covered);
                sha.finalize().into()
            }
            Self::Keyed(key) => match Hmac::<Sha256>::new_from_slice(key.expose()) {
                Ok(mut mac) => {
                    mac.update(before);
                    mac.update(covered);
                    mac.finalize().into_bytes().into()
                }
                // HMAC takes keys of any length.
                Err(_) => [0; 32],
            },
        }
    }
}

/// Verifies the record whose active file is `file`, with the files beside it and those in `moved`, also while it is
/// written.
///
/// # Errors
/// When the folder cannot be read, or there is no record.
pub fn record(file: &Path, moved: &[PathBuf], keys: &[&Secret], head: Option<Claim>) -> io::Result<Report> {
    let mut report: Option<Report> = None;
    let mut listed = Vec::new();
    let mut again = 0;
    for _ in 0..ROTATIONS {
        // A segment may be ended, compressed or deleted while its name is looked up and while it is read.
        let now = read::files(file)?;
        if report.is_some() && now == listed {
            break;
        }
        listed = now;
        let all: Vec<PathBuf> = moved.iter().chain(&listed).cloned().collect();
        if all.is_empty() {
            continue;
        }
        let found = verify(&all, file, keys, head);
        if found.holds() {
            return Ok(found);
        }
        // What such a moment shows is another segment each time.
        again += usize::from(report.is_some_and(|before| before.problems.first() == found.problems.first()));
        report = Some(found);
        if again >= SAME {
            break;
        }
    }
    report.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "there is no such record"))
}

/// Verifies the record that these files hold. `active` is the one that may be written to at this moment; of the others,
/// numbers in names and first lines tell the order. `keys` are those that the record was written with at any time.
pub fn verify(files: &[PathBuf], active: &Path, keys: &[&Secret], head: Option<Claim>) -> Report {
    let mut walk = Walk {
        keys,
        claim: head,
        report: Report::default(),
        open_intents: HashMap::new(),
        last: None,
        keyed_since: None,
        retired: 0,
        first_number: None,
        first_seq: None,
    };
    let mut peeked: Vec<segment::Peek> = files.iter().map(|file| segment::Peek::of(file, active)).collect();
    peeked.sort_by_key(segment::Peek::order);
    for index in 0..peeked.len() {
        walk.segment(&peeked[index], peeked.get(index + 1));
    }
    walk.finish(peeked.last())
}

/// What is known between two segments.
struct Walk<'k> {
    keys: &'k [&'k Secret],
    claim: Option<Claim>,
    report: Report,
    open_intents: HashMap<String, Doubt>,
    /// The segment before: its number, if known, and where the chain goes on, if known.
    last: Option<(Option<u64>, Option<Claim>)>,
    /// The first segment with a key.
    keyed_since: Option<u64>,
    /// Segments up to this number were deleted, as the record tells.
    retired: u64,
    first_number: Option<u64>,
    first_seq: Option<u64>,
}

impl Walk<'_> {
    fn problem(&mut self, file: &Path, line: u64, seq: Option<u64>, kind: ProblemKind) {
        self.report.problem_count += 1;
        if self.report.problems.len() < NAMED {
            self.report.problems.push(Problem { file: file.to_owned(), line, seq, kind });
        }
    }

    fn note(&mut self, file: &Path, line: u64, kind: NoteKind) {
        if self.report.notes.len() < NAMED {
            self.report.notes.push(Note { file: file.to_owned(), line, kind });
        }
    }

    /// What can be said only at the end.
    fn finish(mut self, last: Option<&segment::Peek>) -> Report {
        let file = last.map(|last| last.file.clone()).unwrap_or_default();
        let line = self.report.segments.last().map_or(0, |segment| segment.lines);
        if let Some(number) =
            self.first_number.filter(|number| *number > 1 && self.retired.saturating_add(1) < *number)
        {
            let first = self.report.segments.first().map(|segment| segment.file.clone()).unwrap_or_default();
            let missing =
                ProblemKind::SegmentsMissing { from: self.retired.saturating_add(1), to: number - 1 };
            self.problem(&first, 1, None, missing);
        }
        if !self.keys.is_empty() && self.report.segments.last().is_some_and(|segment| !segment.keyed) {
            self.problem(&file, line, None, ProblemKind::NotKeyed);
        }
        if let Some(claim) = self.claim {
            let end = self.report.head.map(|head| head.seq);
            if end.is_none_or(|end| end < claim.seq) {
                self.problem(&file, line, end, ProblemKind::Truncated { head: claim.seq });
            } else if self.first_seq.is_some_and(|first| claim.seq < first) {
                self.note(&file, line, NoteKind::HeadIsOlder { head: claim.seq });
            }
        }
        self.report.in_doubt = self.open_intents.into_values().collect();
        self.report.in_doubt.sort_by_key(|doubt| doubt.seq);
        self.report
    }
}

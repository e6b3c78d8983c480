//! What can be wrong with a record, and what is worth knowing about one that holds.

use std::fmt;
use std::path::PathBuf;

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// The line, counted from 1; 0 for the file as a whole.
    pub line: u64,
    /// The line's number in the record, where it is known.
    pub seq: Option<u64>,
    /// What is wrong.
    pub kind: ProblemKind,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProblemKind {
    /// The file cannot be read, or what is compressed is damaged.
    Unreadable(String),
    /// The line is not of the record's shape.
    NotALine,
    /// The line is not what was written, or does not follow the one before.
    Altered,
    /// Lines are missing before this one.
    LinesMissing {
        /// The first of them.
        from: u64,
        /// The last of them.
        to: u64,
    },
    /// The line stands where another should: it is repeated, or was moved.
    OutOfPlace {
        /// What should stand here.
        expected: u64,
    },
    /// The file does not begin with an open line.
    NoOpenLine,
    /// An open line within a segment.
    SecondOpenLine,
    /// The segment ends without a seal, and the next one does not say why.
    NotSealed,
    /// Something follows the seal.
    AfterSeal,
    /// The seal or open line does not agree with its own segment.
    MarkWrong,
    /// The segment does not begin where the one before ends.
    DoesNotFollow,
    /// Whole segments are missing.
    SegmentsMissing {
        /// The first of them.
        from: u64,
        /// The last of them.
        to: u64,
    },
    /// The segment's number stood already in another file.
    SegmentRepeated,
    /// The segment was made with a key, and none was given.
    KeyNeeded,
    /// The segment was made with another key, or its first lines were altered.
    KeyDoesNotFit,
    /// The segment was made without a key although the record had one before, or should end with one.
    NotKeyed,
    /// The record ends before the head that was noted.
    Truncated {
        /// The head's number.
        head: u64,
    },
    /// The line with the number of the head that was noted is another one: the record was written anew.
    Rewritten,
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let range =
            |from: &u64, to: &u64| if from == to { format!("{from}") } else { format!("{from} to {to}") };
        match self {
            Self::Unreadable(error) => write!(formatter, "the file cannot be read: {error}"),
            Self::NotALine => formatter.write_str("this is not a line of the record"),
            Self::Altered => formatter.write_str("the line was altered, or does not follow the one before"),
            Self::LinesMissing { from, to } => {
                write!(formatter, "missing before this line: {}", range(from, to))
            }
            Self::OutOfPlace { expected } => {
                write!(formatter, "the line is repeated or was moved; {expected} should stand here")
            }
            Self::NoOpenLine => formatter.write_str("the file does not begin with an open line"),
            Self::SecondOpenLine => formatter.write_str("a second open line within one segment"),
            Self::NotSealed => formatter.write_str("the segment ends without its seal"),
            Self::AfterSeal => formatter.write_str("something follows the segment's seal"),
            Self::MarkWrong => formatter.write_str("the mark does not agree with its segment"),
            Self::DoesNotFollow => {
                formatter.write_str("the segment does not begin where the one before ends")
            }
            Self::SegmentsMissing { from, to } => {
                write!(formatter, "segments are missing before this one: {}", range(from, to))
            }
            Self::SegmentRepeated => formatter.write_str("the segment stands in two files"),
            Self::KeyNeeded => {
                formatter.write_str("the segment was written with a key; it cannot be verified without")
            }
            Self::KeyDoesNotFit => formatter
                .write_str("the segment was written with another key, or its first lines were altered"),
            Self::NotKeyed => formatter.write_str("the segment was not written with the key"),
            Self::Truncated { head } => write!(formatter, "the record ends before its head, which is {head}"),
            Self::Rewritten => {
                formatter.write_str("the line is not the head that was noted: the record was rewritten")
            }
        }
    }
}

/// Something worth knowing, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The file.
    pub file: PathBuf,
    /// The line, counted from 1.
    pub line: u64,
    /// What it is.
    pub kind: NoteKind,
}

/// What is worth knowing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoteKind {
    /// The last line has no end: a crash left it, or it is being written.
    Torn {
        /// Its bytes.
        bytes: u64,
    },
    /// The process had ended without sealing the segment.
    Recovered {
        /// Bytes of an incomplete line that were moved to the file `….torn`.
        torn: u64,
    },
    /// Outcomes could neither be written nor kept.
    Gap {
        /// Of calls that change nothing.
        reads: u64,
        /// Of others.
        writes: u64,
    },
    /// The segment was left without a seal; what it holds beyond where the next goes on stands again there.
    Abandoned {
        /// How many are there that stand again.
        repeated: u64,
        /// How much is there beside that is not whole.
        damaged: u64,
    },
    /// Segments up to this number were deleted when their time was over.
    Retired {
        /// The number.
        through: u64,
    },
    /// The head that was noted is of a segment that was deleted since.
    HeadIsOlder {
        /// Its number.
        head: u64,
    },
}

impl fmt::Display for NoteKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Torn { bytes } => {
                write!(
                    formatter,
                    "a last line without its end ({bytes} bytes): a crash left it, or it is being written"
                )
            }
            Self::Recovered { torn: 0 } => {
                formatter.write_str("the process had ended without closing the record")
            }
            Self::Recovered { torn } => write!(
                formatter,
                "the process had ended within a line; its {torn} bytes are in the file of torn lines"
            ),
            Self::Gap { reads, writes } => {
                write!(formatter, "not recorded: {reads} outcomes of reads, {writes} of other calls")
            }
            Self::Abandoned { repeated, damaged } => write!(
                formatter,
                "this segment was left without a seal, its disk or its key having failed; beyond this line it holds \
                 {repeated} lines that stand again in the next, and {damaged} that are not whole"
            ),
            Self::Retired { through } => {
                write!(formatter, "segments up to {through} were deleted, their time being over")
            }
            Self::HeadIsOlder { head } => {
                write!(formatter, "the head that was noted, {head}, was deleted since")
            }
        }
    }
}

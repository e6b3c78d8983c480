//! Reading the record: its segments and lines, questions over them, and what they add up to.
//!
//! The record is the log that `audit` writes. Everything else here is made from it and can be made again: the index
//! answers questions quickly and counts usage, exports speak other tools' formats. Nothing here ever writes to a
//! segment. [`mod@verify`] proves the record and shares no code with the writing side: it is a second reading of the
//! definition of the chain, so that a mistake in one of them shows. Everything else answers from what the lines say.

mod again;
mod catch_up;
mod fetch;
mod frames;
mod id;
mod place;
mod schema;
mod tally;
mod text;
mod words;

pub mod export;
pub mod filter;
pub mod follow;
pub mod index;
pub mod line;
pub mod query;
pub mod read;
pub mod scan;
pub mod search;
pub mod segment;
pub mod usage;
pub mod verify;

use std::io;
use std::path::{Path, PathBuf};

pub use text::{Alphabet, ascii, shown};
pub use verify::{Claim, Report, record, verify};

/// Why a question could not be answered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of the record.
    #[error("{}: {source}", path.display())]
    Record {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no record.
    #[error("{} does not exist, and no segment of it does; name the file that `audit.file` names", .0.display())]
    NoRecord(PathBuf),
    /// The index cannot be used where it is.
    #[error("{}: {why}; --index PATH puts the index where you can write", path.display())]
    Index {
        /// The index file.
        path: PathBuf,
        /// What SQLite or the system said.
        why: String,
    },
    /// The index is damaged or does not fit the record; it is made again by the next question.
    #[error("{}: the index is damaged or is not of this record; ask again, it is made anew", .0.display())]
    Damaged(PathBuf),
    /// A line that the index knows is gone: its segment was deleted meanwhile.
    #[error("{}: a line is no longer there; its segment was deleted while the question ran: ask again", .0.display())]
    Gone(PathBuf),
    /// The other end of the output.
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
}

impl Error {
    fn record(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::Record { path: path.to_owned(), source }
    }
}

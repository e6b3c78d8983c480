//! The record of calls: what is known of each, how it becomes a line, and the thread that writes lines.
//!
//! A [`Record`] holds names and numbers of one call; an [`event::Event`] is its line; a [`Recorder`] takes events and
//! the [`writer`] writes them, chained and in segments. No header, query or body ever enters a record, and no secret
//! or signature: parameters come only through [`parameters`].

mod archive;
pub mod chain;
pub mod event;
mod id;
mod layout;
mod line;
mod mark;
pub mod parameters;
mod record;
pub mod recorder;
mod recover;
pub mod segments;
mod store;
mod stream;
mod text;
pub mod writer;

pub use record::{Place, Record, Who, millis};
pub use recorder::{Recorder, Unrecorded};

/// How logs look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people at a terminal.
    Text,
    /// One JSON object a line.
    Json,
}

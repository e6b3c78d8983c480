//! What came of judging an operation.

use std::sync::Arc;

/// Whether a call passes, as the record says it too.
pub use crate::audit::event::Decision as Verdict;
use crate::operation::{Ask, Tier};

/// Whose rule decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The route's.
    Route,
    /// The client's.
    Client,
}

/// What kind of rule refuses, or would refuse, a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// An entry of `deny` matches it.
    Denied,
    /// The route's `secrets` keep this tier in.
    Secrets(Tier),
    /// `read-only`, and the call is not known to be a read.
    ReadOnly,
    /// There is an `allow`, and no entry of it matches.
    NotAllowed,
}

/// A decision, and what it rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision<'o> {
    /// Whether the call passes.
    pub verdict: Verdict,
    /// Why not, or why it would not; absent when all rules let it pass.
    pub cause: Option<Cause>,
    /// The rule that decided: the text of an entry, or the key's name (`secrets`, `read-only`, `allow`). Empty when
    /// there is no rule to pass.
    pub rule: Arc<str>,
    /// Whose it is.
    pub by: By,
    /// What was decided on: the call itself, or what it asks for beside.
    pub ask: &'o Ask,
}

impl Decision<'_> {
    /// The word for records and metrics.
    pub fn word(&self) -> &'static str {
        self.verdict.word()
    }
}

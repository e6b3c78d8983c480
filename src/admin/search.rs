//! Searching the record from the console: the question as it is typed, and calls that answer it.
//!
//! How the record is searched is the ledger's business; here words become a question, and calls become rows.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::ledger::filter::{Filter, moment};
use crate::ledger::query::Call;
use crate::ledger::search::{Answer as Answered, Desk};
use crate::live::visible;

/// Calls that an answer holds at most.
pub const MOST: usize = 200;

/// What is asked for; empty texts do not matter. Their meaning is that of `countersign audit query`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// A client's name.
    pub client: String,
    /// A route's name.
    pub route: String,
    /// A glob over operations.
    pub operation: String,
    /// What a resource begins with.
    pub resource: String,
    /// A status, a class or a range.
    pub status: String,
    /// The earliest time: `2h`, a date, or an instant.
    pub since: String,
    /// One call's id.
    pub request: String,
    /// Only what the gateway refused.
    pub refused: bool,
}

/// One call of the record.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Found {
    /// When it arrived, as RFC 3339.
    pub time: String,
    /// Its id.
    pub id: String,
    /// The client.
    pub client: String,
    /// The route.
    pub route: String,
    /// The operation.
    pub operation: String,
    /// What it is about.
    pub resource: String,
    /// Where the caller was.
    pub source: String,
    /// The status that the caller got; 0 when there was none.
    pub status: u16,
    /// Our own code, when the answer is ours.
    pub error: String,
    /// Milliseconds from arrival to the last byte.
    pub duration_ms: f64,
}

/// How long whoever searches waits for an index that has much to read.
const PATIENCE: Duration = Duration::from_secs(5);

type Answer = Arc<dyn Fn(&Terms) -> Result<Vec<Found>, String> + Send + Sync>;

/// Answers a question with the latest calls, at most [`MOST`], latest first, or says what is wrong with it. It may take
/// long, and is called on a thread where it may block. Cheap to clone.
#[derive(Clone)]
pub struct Search(Answer);

impl Search {
    /// Over the record whose active file is `file`; its index is made beside it with the first question.
    pub fn over(file: PathBuf) -> Self {
        let desk = Desk::new(file, None);
        Self::with(move |terms| {
            let filter = terms.filter(Timestamp::now())?;
            match desk.ask(filter, MOST, PATIENCE) {
                Ok(Answered::Calls(calls)) => Ok(calls.iter().rev().map(Found::of).collect()),
                Ok(Answered::Indexing(percent)) => {
                    let far = percent.map_or(String::new(), |percent| format!(" ({percent} %)"));
                    Err(format!("the index of the record catches up{far}: search again in a moment"))
                }
                Err(error) => Err(error.to_string()),
            }
        })
    }

    /// By a function.
    pub fn with(search: impl Fn(&Terms) -> Result<Vec<Found>, String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(search))
    }

    /// Asks.
    ///
    /// # Errors
    /// What is wrong with the question, or why there is no answer.
    pub fn ask(&self, terms: &Terms) -> Result<Vec<Found>, String> {
        (self.0)(terms)
    }
}

impl Found {
    fn of(call: &Call) -> Self {
        let time = Timestamp::from_microsecond(call.time);
        Self {
            time: time.map(|time| format!("{time:.3}")).unwrap_or_default(),
            id: call.request.clone(),
            client: call.client.clone(),
            route: call.route.clone(),
            operation: call.operation.clone(),
            resource: call.resource.clone(),
            source: call.source.clone(),
            status: call.status,
            error: if call.open { OPEN.to_owned() } else { call.error.clone() },
            duration_ms: millis(call.total_us),
        }
    }
}

impl Found {
    /// The same with texts that are safe to show.
    pub(super) fn visible(mut self) -> Self {
        let texts = [
            &mut self.client,
            &mut self.route,
            &mut self.operation,
            &mut self.resource,
            &mut self.source,
            &mut self.error,
        ];
        for text in texts {
            if let std::borrow::Cow::Owned(shown) = visible(text) {
                *text = shown;
            }
        }
        self
    }
}

/// In place of an error, where only the intent is recorded.
const OPEN: &str = "open: no outcome recorded";

#[allow(clippy::cast_precision_loss, reason = "microseconds of a call are far below 2^53")]
fn millis(micros: u64) -> f64 {
    micros as f64 / 1e3
}

impl Terms {
    /// What is asked for, as the record's own question.
    fn filter(&self, now: Timestamp) -> Result<Filter, String> {
        let words = |text: &str| if text.is_empty() { Vec::new() } else { vec![text.to_owned()] };
        let some = |text: &String| (!text.is_empty()).then(|| text.clone());
        let parsed = |name: &str, error: String| format!("{name}: {error}");
        let operation = some(&self.operation).map(|text| text.parse()).transpose();
        let status = some(&self.status).map(|text| text.parse()).transpose();
        let since = some(&self.since).map(|text| moment(&text, now)).transpose();
        Ok(Filter {
            clients: words(&self.client),
            routes: words(&self.route),
            operations: operation.map_err(|error| parsed("operation", error))?.into_iter().collect(),
            resource: some(&self.resource),
            since: since.map_err(|error| parsed("since", error))?,
            statuses: status.map_err(|error| parsed("status", error))?.into_iter().collect(),
            refused: self.refused,
            request: some(&self.request),
            ..Filter::default()
        })
    }

    /// The terms of a query or form; other names are left alone.
    pub(super) fn of<'q>(pairs: impl IntoIterator<Item = (&'q str, &'q str)>) -> Self {
        let mut terms = Self::default();
        for (name, value) in pairs {
            let value = value.trim().chars().take(1_100).collect();
            match name {
                "client" => terms.client = value,
                "route" => terms.route = value,
                "operation" => terms.operation = value,
                "resource" => terms.resource = value,
                "status" => terms.status = value,
                "since" => terms.since = value,
                "request" => terms.request = value,
                "refused" => terms.refused = !value.is_empty(),
                _ => {}
            }
        }
        terms
    }
}

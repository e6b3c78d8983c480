//! What the record says of calls: both lines of a call that changes something, the one of a read, refusals like
//! anything else, parameters by what they are, and nothing of it that a caller could bend.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod hostile;
mod lines;
mod parameters;
#[path = "../support/mod.rs"]
mod support;

use serde_json::Value;

use support::*;

/// Both lines of an answer's call: the intent, where there is one, and the outcome, in the order of the record.
#[track_caller]
fn lines_of(gateway: &Gateway, response: &Response) -> (Option<Value>, Value) {
    let record = gateway.record_of(response);
    let of_call = |line: &Value| line["requestID"] == record["request-id"];
    let mut lines: Vec<Value> = gateway.lines().into_iter().filter(of_call).collect();
    let outcome = lines.pop().unwrap();
    assert_eq!(outcome["additionalEventData"]["record"], "outcome");
    let intent = lines.pop();
    assert!(intent.iter().all(|line| line["additionalEventData"]["record"] == "intent"));
    assert_eq!(lines, [] as [Value; 0], "no more than two");
    (intent, outcome)
}

//! Calls as server-sent events, for as long as somebody listens.
//!
//! `event: call` brings a call as JSON, its id as the event's; `event: missed` says how many were left out because they
//! came faster than they were read. A comment now and then finds out whether the listener is still there.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::unfold;
use http_body::Frame;
use tokio::time::{Interval, MissedTickBehavior, interval_at};

use crate::live::{Call, Feed, Filter, Watch};

/// How often a comment is sent.
const PULSE: Duration = Duration::from_secs(10);

struct Listener {
    watch: Watch,
    filter: Filter,
    pulse: Interval,
    begun: bool,
}

/// The body of the answer.
pub(super) fn stream(
    feed: &Feed,
    filter: Filter,
) -> impl Stream<Item = Result<Frame<Bytes>, Infallible>> + use<> {
    let mut pulse = interval_at(tokio::time::Instant::now() + PULSE, PULSE);
    pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let listener = Listener { watch: feed.watch(), filter, pulse, begun: false };
    unfold(listener, |mut listener| async {
        let text = listener.next().await;
        Some((Ok(Frame::data(Bytes::from(text))), listener))
    })
}

impl Listener {
    async fn next(&mut self) -> String {
        if !self.begun {
            self.begun = true;
            // A page that lost its connection tries again after this long.
            return "retry: 2000\n: calls\n\n".to_owned();
        }
        loop {
            tokio::select! {
                next = self.watch.next() => match next {
                    Ok(call) if self.filter.matches(&call) => return event(&call),
                    Ok(_) => {}
                    Err(missed) => return format!("event: missed\ndata: {missed}\n\n"),
                },
                _ = self.pulse.tick() => return ": still here\n\n".to_owned(),
            }
        }
    }
}

/// JSON has no raw newline, so one line of data holds it.
fn event(call: &Call) -> String {
    let data = serde_json::to_string(call).unwrap_or_default();
    format!("event: call\nid: {}\ndata: {data}\n\n", call.id)
}

//! Calls that begin a job: followed to the job's end where the route allows it and the caller wants it.
//!
//! CloudStack and ZStack answer long calls at once with the name of a job. Here the job is asked for until it is
//! over, and its result is the answer, as the upstream gives it. Each poll goes to the route's own upstream, signed
//! anew; an address that stands in an answer is never called. When the wait runs out or the gateway drains, the
//! original answer is given, with the job's name in it; when the caller leaves, the polls stop, and the job goes on.

mod cloudstack;
mod zstack;

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::header::{self, HeaderMap};
use http::request::Parts;

use super::Way;
use super::received::Received;
use crate::audit::Record;
use crate::config::{Shape, Wait, WaitWhen};
use crate::outbound::{Content, Draft};
use crate::reason::Reason;
use crate::snapshot::Route;
use crate::upstream::Answer;

/// Sent by callers who want to wait, with the longest time they would.
const WAIT_HEADER: &str = "x-countersign-wait";

/// The pause before the first poll.
const FIRST: Duration = Duration::from_secs(1);
/// The longest pause between two polls.
const SLOWEST: Duration = Duration::from_secs(5);

/// An answer that names a job, or says that it still runs, is short; a longer one passes as it is.
const LONGEST_TEXT: usize = 1 << 20;

/// What becomes of a call's answer if it names a job.
pub(super) struct Follow {
    protocol: Protocol,
    longest: Option<Duration>,
    /// What the polls have in common with the call: path, host, headers.
    draft: Draft,
}

enum Protocol {
    Cloudstack(cloudstack::Jobs),
    Zstack(zstack::Jobs),
}

/// A question for the state of a job, to be signed each time it is sent.
struct Poll {
    /// The job's name, for the log.
    job: String,
    draft: Draft,
    /// A form in place of a query.
    form: Option<String>,
}

/// What an answer says of the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It still runs.
    Running,
    /// Nothing: the upstream could not answer now.
    Unknown,
    /// It is over, or cannot be asked for: this is the answer.
    Over,
}

impl Follow {
    /// Judges, before it is sent, whether a call may begin a job whose answer matters here; `tls` is whether the
    /// caller speaks TLS. What would hide the job's name from this gateway is taken from the draft.
    pub(super) fn plan(
        route: &Route,
        head: &Parts,
        tls: bool,
        operation: &str,
        draft: &mut Draft,
        content: &Content,
    ) -> Result<Option<Self>, Reason> {
        let longest = match &route.wait {
            Some(wait) => longest(wait, &head.headers)?,
            None => None,
        };
        let protocol = match route.shape {
            Shape::Cloudstack { method } if longest.is_some() => {
                cloudstack::Jobs::of(method, operation, draft, content).map(Protocol::Cloudstack)
            }
            Shape::Zstack => zstack::Jobs::of(route, head, tls, draft).map(Protocol::Zstack),
            _ => None,
        };
        let Some(protocol) = protocol else { return Ok(None) };
        draft.headers.remove(header::ACCEPT_ENCODING);
        Ok(Some(Self { protocol, longest, draft: draft.clone() }))
    }

    /// Follows the job that an answer names, if it names one, and gives the answer for the caller.
    pub(super) async fn through(
        self,
        answer: Answer,
        way: &Way<'_>,
        record: &mut Record,
    ) -> Result<Received, Reason> {
        let mut answer = Received::from(answer);
        let begins_job = match self.protocol {
            Protocol::Cloudstack(_) => answer.head.status == StatusCode::OK,
            Protocol::Zstack(_) => answer.head.status == StatusCode::ACCEPTED,
        };
        if !begins_job {
            return Ok(answer);
        }
        let Some(text) = answer.text(LONGEST_TEXT, way.limits.body_timeout).await? else { return Ok(answer) };
        let poll = match &self.protocol {
            Protocol::Cloudstack(jobs) => jobs.poll(&text, self.draft),
            Protocol::Zstack(jobs) => {
                if let Some(public) = jobs.rewritten(&text) {
                    answer.replace(public);
                }
                jobs.poll(&text, self.draft)
            }
        };
        let (Some(poll), Some(longest)) = (poll, self.longest) else { return Ok(answer) };

        let (route, job) = (&*way.route.name, poll.job.clone());
        let request_id = record.request_id.clone();
        tracing::info!(route, operation = ?record.operation, job, request_id, "waiting for a job");
        let mut draining = way.gateway.draining.clone();
        let over = tokio::select! {
            over = tokio::time::timeout(longest, wait(&self.protocol, &poll, way, record)) => over.ok(),
            _ = draining.wait_for(|draining| *draining) => None,
        };
        let polls = record.polls;
        if let Some(result) = &over {
            let status = result.head.status.as_u16();
            tracing::info!(route, job, polls, status, request_id, "the job is over");
        } else {
            tracing::info!(route, job, polls, request_id, "the wait is over before the job");
        }
        Ok(over.unwrap_or(answer))
    }
}

/// Asks until the job is over.
async fn wait(protocol: &Protocol, poll: &Poll, way: &Way<'_>, record: &mut Record) -> Received {
    let mut pause = FIRST;
    loop {
        tokio::time::sleep(pause).await;
        pause = SLOWEST.min(pause * 3 / 2);
        record.polls += 1;
        let (route, job, polls) = (&*way.route.name, &poll.job, record.polls);
        match ask(protocol, poll, way, record).await {
            Ok((State::Over, answer)) => return answer,
            Ok((state, answer)) => {
                let status = answer.head.status.as_u16();
                tracing::debug!(route, job, polls, status, ?state, "the job is not over");
            }
            Err(reason) => tracing::debug!(route, job, polls, reason = reason.code(), "a poll failed"),
        }
    }
}

/// Asks once.
async fn ask(
    protocol: &Protocol,
    poll: &Poll,
    way: &Way<'_>,
    record: &mut Record,
) -> Result<(State, Received), Reason> {
    let content = match &poll.form {
        Some(form) => Content::Form(form.clone()),
        None => Content::Whole(Bytes::new(), None),
    };
    // The key may have been renewed since the last poll.
    let world = way.gateway.world.load_full();
    let same = |route: &&std::sync::Arc<Route>| {
        route.name == way.route.name && std::sync::Arc::ptr_eq(&route.endpoint, &way.route.endpoint)
    };
    let renewed = world.routes.iter().find(same).and_then(|route| Some((route, route.signer.as_deref()?)));
    let way = match renewed {
        Some((route, signer)) => &Way { route, signer, ..*way },
        None => way,
    };
    let mut answer = Received::from(way.send(poll.draft.clone(), content, record).await?);
    let text = answer.text(LONGEST_TEXT, way.limits.body_timeout).await?;
    let state = match (protocol, answer.head.status) {
        // A failed job, and a protocol's word for it: no state of the upstream (`RestServer.handleJobQuery`).
        (Protocol::Zstack(_), StatusCode::SERVICE_UNAVAILABLE) => State::Over,
        (_, StatusCode::TOO_MANY_REQUESTS) => State::Unknown,
        (_, status) if status.is_server_error() => State::Unknown,
        (Protocol::Zstack(_), StatusCode::ACCEPTED) => State::Running,
        (Protocol::Cloudstack(_), StatusCode::OK) => cloudstack::state(text.as_deref()),
        _ => State::Over,
    };
    Ok((state, answer))
}

/// How long a call may wait; none when it does not.
fn longest(wait: &Wait, headers: &HeaderMap) -> Result<Option<Duration>, Reason> {
    let bad = |why| Reason::BadHeader(WAIT_HEADER.into(), why);
    let mut values = headers.get_all(WAIT_HEADER).iter();
    let Some(value) = values.next() else {
        return Ok((wait.when == WaitWhen::Always).then_some(wait.longest));
    };
    if values.next().is_some() {
        return Err(bad("it stands more than once"));
    }
    let unreadable = "write it like `60s` or `5m`";
    let asked = value.to_str().ok().and_then(|text| text.trim().parse::<jiff::SignedDuration>().ok());
    let asked = Duration::try_from(asked.ok_or_else(|| bad(unreadable))?).map_err(|_| bad(unreadable))?;
    Ok((!asked.is_zero()).then(|| asked.min(wait.longest)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_callers_wait_is_bounded_by_the_routes() {
        let asked = Wait { longest: Duration::from_secs(120), when: WaitWhen::Asked };
        let always = Wait { when: WaitWhen::Always, ..asked };
        let seconds = |wait: &Wait, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(WAIT_HEADER, value.parse().unwrap());
            longest(wait, &headers).map(|wait| wait.map(|wait| wait.as_millis()))
        };
        for (value, milliseconds) in
            [("60s", 60_000), ("1m 30s", 90_000), ("1500ms", 1_500), ("120s", 120_000), ("9h", 120_000)]
        {
            assert_eq!(seconds(&asked, value), Ok(Some(milliseconds)), "{value}");
            assert_eq!(seconds(&always, value), Ok(Some(milliseconds)), "{value}");
        }
        for bad in ["", "60", "-60s", "60s ago", "soon", "60s, 60s", "1e3s", "99999999999999999999h"] {
            assert!(seconds(&asked, bad).is_err(), "{bad}");
        }
        assert_eq!(seconds(&always, "0s"), Ok(None));
        assert_eq!(longest(&always, &HeaderMap::new()), Ok(Some(Duration::from_secs(120))));
        assert_eq!(longest(&asked, &HeaderMap::new()), Ok(None));
    }
}

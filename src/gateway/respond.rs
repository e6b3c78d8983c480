//! The answer on its way to the caller, and the end of the record.
//!
//! [`AnswerBody`] streams; when its last byte is out the record closes and the upstream connection goes back to its
//! pool. When the caller leaves before, or the upstream dies midway, both are closed as what they are, and a broken
//! answer never looks complete.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Response};
use http_body::{Body, Frame, SizeHint};
use jiff::Timestamp;
use tokio::time::{Instant, Sleep};

use super::call::Call;
use super::headers::towards_caller;
use super::received::{Received, Rest};
use crate::config::HostMatch;
use crate::outbound::Arena;
use crate::redact::{Redactor, Unreadable};
use crate::snapshot::Route;
use crate::upstream::Incoming;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// How a record says that an answer could not be searched for secrets to its end.
const UNREADABLE: &str = "answer-unreadable";

/// The body of every answer.
pub struct AnswerBody {
    source: Source,
    call: Option<Call>,
    timeout: Duration,
    stall: Option<Pin<Box<Sleep>>>,
}

enum Source {
    Own(Option<Bytes>),
    /// What was read already, and what still comes.
    Upstream(Bytes, Rest),
    /// The same through a filter; what was read already has passed it.
    Filtered(Bytes, Rest, Box<Redactor>),
}

/// The upstream broke off; the caller's connection is cut so that nothing looks complete.
#[derive(Debug, thiserror::Error)]
#[error("the upstream's answer broke off")]
pub struct AnswerError;

/// Whether an answer can be passed on at all. Nobody asked for an upgrade, and what follows a 101 is no HTTP; a
/// transfer coding other than `chunked` would arrive without the header that names it; and `chunked` beside a length
/// is how answers are smuggled (RFC 9112, 6.3).
pub(super) fn has_one_reading(response: &Response<Incoming>) -> bool {
    let mut encodings = response.headers().get_all(header::TRANSFER_ENCODING).iter();
    let framed = match encodings.next() {
        None => true,
        Some(encoding) => {
            encoding.as_bytes().eq_ignore_ascii_case(b"chunked")
                && encodings.next().is_none()
                && !response.headers().contains_key(header::CONTENT_LENGTH)
        }
    };
    framed && !response.status().is_informational()
}

/// How many seconds the upstream's clock is ahead, by its `Date`, which is cut to whole seconds.
pub(super) fn clock_skew(headers: &HeaderMap, now: Timestamp) -> Option<f64> {
    let date = headers.get(header::DATE)?.to_str().ok()?;
    let date = jiff::fmt::rfc2822::parse(date).ok()?.timestamp();
    Some(now.until(date).ok()?.total(jiff::Unit::Second).ok()? + 0.5)
}

/// Passes an upstream's answer on as it is.
pub(super) fn pass(
    answer: Received,
    call: Call,
    timeout: Duration,
    arena: &mut Arena,
) -> Response<AnswerBody> {
    let (mut head, begun, rest, redactor) = answer.into_parts();
    towards_caller(&mut head.headers);
    if head.status.is_redirection()
        && let Some(route) = call.route()
    {
        relocate(&mut head.headers, route);
    }
    if let Ok(id) = arena.value(&call.record.request_id) {
        head.headers.insert(REQUEST_ID, id);
    }
    head.version = http::Version::HTTP_11;
    head.extensions.clear();
    let source = match (rest, redactor) {
        (None, _) => Source::Own(Some(begun)),
        (Some(rest), None) => Source::Upstream(begun, rest),
        (Some(rest), Some(redactor)) => Source::Filtered(begun, rest, Box::new(redactor)),
    };
    let mut body = AnswerBody { source, call: Some(call), timeout, stall: None };
    if body.is_end_stream() {
        body.complete();
    }
    Response::from_parts(head, body)
}

/// Sends an answer of our own; `close` ends the connection after it.
pub(super) fn own(response: Response<Bytes>, call: Call, close: bool) -> Response<AnswerBody> {
    let (mut head, body) = response.into_parts();
    identify(&mut head.headers, &call);
    if close {
        head.headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    let timeout = Duration::MAX;
    Response::from_parts(
        head,
        AnswerBody { source: Source::Own(Some(body)), call: Some(call), timeout, stall: None },
    )
}

fn identify(headers: &mut HeaderMap, call: &Call) {
    if let Ok(id) = HeaderValue::from_str(&call.record.request_id) {
        headers.insert(REQUEST_ID, id);
    }
}

/// A redirect is the caller's to follow. One that leads back into this route is written in the gateway's own terms;
/// any other loses its query, where signatures travel.
fn relocate(headers: &mut HeaderMap, route: &Route) {
    let Some(location) = headers.get(header::LOCATION).and_then(|value| value.to_str().ok()) else { return };
    let upstream = &route.endpoint.upstream;
    let scheme = if upstream.tls { "https://" } else { "http://" };
    let own = location.strip_prefix(scheme).and_then(|rest| rest.strip_prefix(upstream.host.as_str()));
    let own =
        own.or_else(|| location.starts_with('/').then_some(location)).filter(|rest| rest.starts_with('/'));
    let sent_prefix = upstream.rewrite_path.as_deref().unwrap_or(&route.path);
    let path_style = !matches!(route.host, HostMatch::Suffix(_));
    let mapped = own
        .filter(|_| path_style)
        .and_then(|rest| rest.strip_prefix(sent_prefix))
        .map(|rest| format!("{}{rest}", route.path));
    let located = mapped.unwrap_or_else(|| location.to_owned());
    let located = located.split(['?', '#']).next().unwrap_or_default();
    match HeaderValue::from_str(located) {
        Ok(value) => headers.insert(header::LOCATION, value),
        Err(_) => headers.remove(header::LOCATION),
    };
}

impl Source {
    /// What is there without asking the upstream.
    fn ready(&mut self) -> Option<Bytes> {
        match self {
            Self::Own(bytes) => bytes.take().filter(|bytes| !bytes.is_empty()),
            Self::Upstream(begun, _) | Self::Filtered(begun, ..) => {
                (!begun.is_empty()).then(|| std::mem::take(begun))
            }
        }
    }

    /// What of the upstream's next bytes may leave now.
    fn let_through(&mut self, data: Bytes) -> Result<Bytes, Unreadable> {
        let Self::Filtered(_, _, redactor) = self else { return Ok(data) };
        let mut out = Vec::with_capacity(data.len());
        redactor.push(&data, &mut out)?;
        Ok(out.into())
    }

    /// The upstream's last byte was read.
    fn end(&mut self) -> Result<(), Unreadable> {
        let mut out = Vec::new();
        if let Self::Filtered(_, _, redactor) = self {
            redactor.finish(&mut out)?;
        }
        *self = Self::Own(Some(out.into()));
        Ok(())
    }
}

impl AnswerBody {
    /// The last byte is out.
    fn complete(&mut self) {
        self.call = None;
    }

    /// Bytes for the caller.
    fn sent(&mut self, data: Bytes) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        if let Some(call) = &mut self.call {
            call.passes(&data);
        }
        if self.is_end_stream() {
            self.complete();
        }
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    /// The head and some of the body are out, and the rest cannot be looked into.
    fn unreadable(&mut self, why: Unreadable) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        if let Some(Call { record, .. }) = &self.call {
            let (route, request_id) = (record.route(), &*record.request_id);
            tracing::warn!(route, request_id, %why, "an answer is broken off: it cannot be searched for secrets");
        }
        self.broken(UNREADABLE)
    }

    fn broken(&mut self, how: &'static str) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        if let Some(call) = &mut self.call {
            call.record.ended = how;
        }
        Poll::Ready(Some(Err(AnswerError)))
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        let finished = self.is_end_stream();
        if let Some(call) = &mut self.call
            && call.record.ended.is_empty()
            && !finished
        {
            call.record.ended = "caller-left";
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = AnswerError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        let this = &mut *self;
        loop {
            if let Some(data) = this.source.ready() {
                return this.sent(data);
            }
            let (Source::Upstream(_, rest) | Source::Filtered(_, rest, _)) = &mut this.source else {
                this.complete();
                return Poll::Ready(None);
            };
            let frame = match Pin::new(&mut rest.incoming).poll_frame(context) {
                Poll::Ready(frame) => {
                    this.stall = None;
                    frame
                }
                Poll::Pending => {
                    let deadline = Instant::now() + this.timeout;
                    let stall =
                        this.stall.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
                    ready!(stall.as_mut().poll(context));
                    return this.broken("upstream-stalled");
                }
            };
            match frame {
                Some(Ok(frame)) => {
                    // Trailers are dropped: nothing signed them and few callers read them.
                    let Ok(data) = frame.into_data() else { continue };
                    match this.source.let_through(data) {
                        Ok(data) if data.is_empty() && !this.is_end_stream() => {}
                        Ok(data) => return this.sent(data),
                        Err(unreadable) => return this.unreadable(unreadable),
                    }
                }
                Some(Err(_)) => return this.broken("upstream-broke-off"),
                None => {
                    if let Err(unreadable) = this.source.end() {
                        return this.unreadable(unreadable);
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Own(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Source::Upstream(begun, rest) => begun.is_empty() && rest.incoming.is_end_stream(),
            // The filter may still keep something.
            Source::Filtered(..) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Own(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Source::Upstream(begun, rest) => {
                let (rest, begun) = (rest.incoming.size_hint(), begun.len() as u64);
                let mut hint = SizeHint::new();
                if let Some(upper) = rest.upper() {
                    hint.set_upper(upper + begun);
                }
                hint.set_lower(rest.lower() + begun);
                hint
            }
            Source::Filtered(..) => SizeHint::new(),
        }
    }
}

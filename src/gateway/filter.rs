//! Secrets that stay behind: which answers go through the route's filter, and how they begin to.
//!
//! Up to 16 KiB of an answer are read before its head is passed, so that what cannot be looked into becomes a clean
//! refusal while it still can. Objects are nobody's answer about keys and pass untouched.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::received::Received;
use crate::config::Shape;
use crate::operation::{Operation, Tier};
use crate::reason::Reason;
use crate::redact::{Filter, Format, Media, Redactor, Unreadable};
use crate::snapshot::Route;

/// What is read before the head is passed, and the longest plain text that is looked into.
const BEGINNING: usize = 16 << 10;

/// Headers of a request that ask for an answer in another form than the whole, as it is.
const FORMS: [HeaderName; 3] = [header::ACCEPT_ENCODING, header::RANGE, header::IF_RANGE];

/// Headers of an answer that vouch for every byte of its body.
const VOUCHERS: [&str; 6] = ["content-digest", "content-md5", "digest", "etag", "repr-digest", "x-amz-crc32"];

/// Takes from a request what would hide its answer from the filter.
pub(super) fn prepare(route: &Route, operation: &Operation, headers: &mut HeaderMap) {
    if route.filter.is_some() && is_covered(route, operation) {
        for name in FORMS {
            headers.remove(name);
        }
    }
}

/// Whether every answer to an operation is looked into. On S3 routes that is what manages users and sessions; what
/// else there is are objects and lists of them.
fn is_covered(route: &Route, operation: &Operation) -> bool {
    match route.shape {
        Shape::S3 { .. } => operation.tier != Tier::None || !operation.ask.name.starts_with("s3:"),
        Shape::Cloudstack { .. } | Shape::Zstack | Shape::Aws => true,
    }
}

/// Puts an answer through the route's filter, as far as it is to be. It may not stall for `timeout`.
pub(super) async fn through(
    mut answer: Received,
    route: &Route,
    operation: &Operation,
    timeout: Duration,
) -> Result<Received, Reason> {
    let Some(filter) = &route.filter else { return Ok(answer) };
    withhold_headers(&mut answer.head.headers, filter);
    let failed = answer.head.status.is_client_error() || answer.head.status.is_server_error();
    // An S3 server explains a wrong signature by showing what should have been signed.
    let explains = || failed && content_type(&answer).is_ok_and(|media| media == Media::Xml);
    if !answer.has_body() || !is_covered(route, operation) && !explains() {
        return Ok(answer);
    }
    let name = &*operation.ask.name;
    Box::pin(looked_into(answer, filter, name, failed, timeout)).await.map_err(|failure| match failure {
        Failure::Read(reason) => reason,
        Failure::Unreadable(why) => {
            tracing::warn!(route = &*route.name, operation = name, %why, "an answer is kept back: it cannot be searched for secrets");
            Reason::AnswerUnreadable(why.0)
        }
    })
}

/// Why an answer does not pass.
enum Failure {
    Read(Reason),
    Unreadable(Unreadable),
}

impl From<Unreadable> for Failure {
    fn from(why: Unreadable) -> Self {
        Self::Unreadable(why)
    }
}

async fn looked_into(
    mut answer: Received,
    filter: &std::sync::Arc<Filter>,
    operation: &str,
    failed: bool,
    timeout: Duration,
) -> Result<Received, Failure> {
    if !answer.is_identity() {
        return Err(Unreadable("compressed, though nobody asked for that").into());
    }
    if answer.head.status == StatusCode::PARTIAL_CONTENT {
        return Err(Unreadable("a part only").into());
    }
    let media = content_type(&answer)?;
    let whole = answer.gather(BEGINNING, timeout).await.map_err(Failure::Read)?;
    let begun = answer.begun();
    if whole && begun.trim_ascii().is_empty() {
        return Ok(answer);
    }
    let filtered = match media.format(begun) {
        Some(format) => begin(filter, format, operation, begun, whole),
        None => Err(Unreadable("neither JSON nor XML")),
    };
    // Errors are often plain text, ZStack's own among them (`RestServer.handleException`).
    let is_text = failed && media == Media::Text && whole && begun.len() <= BEGINNING;
    let filtered = match filtered {
        Err(_) if is_text => filter.plain(begun).map(Filtered::Text),
        filtered => filtered,
    };
    let whole_text = |answer: &mut Received, text: Vec<u8>| {
        withdraw_vouchers(&mut answer.head.headers);
        answer.replace(text.into());
    };
    match filtered? {
        Filtered::Text(None) => {}
        Filtered::Text(Some(text)) => whole_text(&mut answer, text),
        Filtered::Begun(out, redactor) => {
            withdraw_vouchers(&mut answer.head.headers);
            answer.head.headers.remove(header::CONTENT_LENGTH);
            answer.filtered(Bytes::from(out), redactor);
        }
    }
    Ok(answer)
}

/// What came out of a filter.
enum Filtered {
    /// A whole text; none when it is as it was.
    Text(Option<Vec<u8>>),
    /// What may pass so far, and the filter for what follows.
    Begun(Vec<u8>, Redactor),
}

fn begin(
    filter: &std::sync::Arc<Filter>,
    format: Format,
    operation: &str,
    begun: &[u8],
    whole: bool,
) -> Result<Filtered, Unreadable> {
    let mut redactor = Redactor::new(filter.clone(), format, operation);
    let mut out = Vec::with_capacity(begun.len());
    redactor.push(begun, &mut out)?;
    if !whole {
        return Ok(Filtered::Begun(out, redactor));
    }
    redactor.finish(&mut out)?;
    Ok(Filtered::Text(redactor.has_changed().then_some(out)))
}

fn content_type(answer: &Received) -> Result<Media, Unreadable> {
    let mut values = answer.head.headers.get_all(header::CONTENT_TYPE).iter();
    let value = values.next().map(HeaderValue::to_str).transpose();
    if values.next().is_some() {
        return Err(Unreadable("of two types at once"));
    }
    Media::of(value.map_err(|_| Unreadable("of a type that cannot be read"))?)
}

/// Drops headers that carry a credential.
fn withhold_headers(headers: &mut HeaderMap, filter: &Filter) {
    headers.remove("x-amz-security-token");
    let names: Vec<HeaderName> = headers
        .iter()
        .filter(|(_, value)| filter.withholds(value.as_bytes()))
        .map(|(name, _)| name.clone())
        .collect();
    for name in names {
        headers.remove(name);
    }
}

/// Drops headers that hold for the bytes that came and not for those that go.
fn withdraw_vouchers(headers: &mut HeaderMap) {
    let names: Vec<HeaderName> = headers
        .keys()
        .filter(|name| VOUCHERS.contains(&name.as_str()) || name.as_str().starts_with("x-amz-checksum-"))
        .cloned()
        .collect();
    for name in names {
        headers.remove(name);
    }
}

//! `hand-over = "redirect"`: large objects go past the gateway, which only signs.
//!
//! A caller that asks for a large object, or is about to send one and waits for leave (`Expect: 100-continue`), is
//! answered with a redirect to a presigned URL of the upstream. Whoever holds that URL may use it until it expires,
//! so it holds for a minute, for one object and one method, and is never logged. Whatever is not surely a plain
//! transfer streams through the gateway as it does everywhere else.

use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Response, StatusCode, Version};
use jiff::Timestamp;

use super::Way;
use super::admit::Inbound;
use super::headers::is_of_signature;
use super::judge::Desk;
use super::payload::{Cover, Source};
use super::rebuild::rebuild;
use super::received::Received;
use crate::audit::Record;
use crate::body::stream::Input;
use crate::config::HandOver;
use crate::outbound::{Content, Draft};
use crate::reason::Reason;
use crate::snapshot::Route;

/// How long a URL holds, in seconds.
const EXPIRES: u32 = 60;

const CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");

/// The redirect for a request, or none when it is the gateway's to transfer.
pub(super) async fn offer(
    rule: HandOver,
    way: &Way<'_>,
    inbound: &Inbound<'_>,
    head: &Parts,
    desk: &mut Desk<'_>,
) -> Result<Option<Response<Bytes>>, Reason> {
    if !is_candidate(head, rule) {
        return Ok(None);
    }
    let probe = bodiless(head);
    let source = Source::new(
        &probe,
        Input::Memory(None),
        way.limits,
        &way.gateway.store,
        Rc::default(),
        Cover::default(),
    )?;
    let (mut draft, _, operation) = rebuild(desk, inbound, &probe, source, way.limits).await?;
    if !is_plain_transfer(operation.call(), draft.query.as_deref()) {
        return Ok(None);
    }
    // The redirect is leave to do this call: it is judged as if it went through here.
    desk.judge(&operation)?;
    let record = &mut *desk.record;
    way.gateway.office.scribe.ready_for(record).await?;
    draft.headers = signed_headers(&draft.headers);
    if draft.method == Method::GET && size(way, &draft, record).await.is_none_or(|size| size < rule.from) {
        return Ok(None);
    }
    if let Some(digest) = head.headers.get(CONTENT_SHA256) {
        // The caller will send it to the upstream too, where every `x-amz-*` header must be signed.
        draft.headers.insert(CONTENT_SHA256, digest.clone());
    }
    redirect(way, draft, head.version, record).map(Some)
}

/// Judges by the head alone. A caller that signs for itself would show the upstream two signatures, so its
/// transfers stay here; so do bodies in chunks that carry signatures or checksums of their own.
fn is_candidate(head: &Parts, rule: HandOver) -> bool {
    let has = |name: &str| head.headers.contains_key(name);
    let signs = head.headers.keys().any(|name| *name != CONTENT_SHA256 && is_of_signature(name.as_str()));
    let digest = head.headers.get(CONTENT_SHA256).map_or(&b"UNSIGNED-PAYLOAD"[..], HeaderValue::as_bytes);
    let whole =
        digest == b"UNSIGNED-PAYLOAD" || digest.len() == 64 && digest.iter().all(u8::is_ascii_hexdigit);
    if signs || !whole || has("authorization") {
        return false;
    }
    let text = |name| head.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let length = text(header::CONTENT_LENGTH).and_then(|digits| digits.parse::<u64>().ok());
    match head.method {
        Method::GET => length.unwrap_or(0) == 0 && !has("transfer-encoding"),
        Method::PUT => {
            let chunked = text(header::CONTENT_ENCODING)
                .is_some_and(|codings| codings.to_ascii_lowercase().contains("aws-chunked"));
            has("expect") && !chunked && length.is_some_and(|length| length >= rule.from)
        }
        _ => false,
    }
}

/// The head of the same request without a body, which nobody has read and nobody will.
fn bodiless(head: &Parts) -> Parts {
    let mut probe = head.clone();
    for name in [header::CONTENT_LENGTH, header::EXPECT, CONTENT_SHA256] {
        probe.headers.remove(name);
    }
    probe
}

/// An object as a whole or in part, and no sub-resource of it.
fn is_plain_transfer(operation: &str, query: Option<&str>) -> bool {
    let known: fn(&str) -> bool = match operation {
        "s3:GetObject" | "s3:GetObjectVersion" => {
            |name| matches!(name, "versionId" | "x-id") || name.starts_with("response-")
        }
        "s3:PutObject" => |name| name == "x-id",
        "s3:UploadPart" => |name| matches!(name, "partNumber" | "uploadId" | "x-id"),
        _ => return false,
    };
    names(query).all(known)
}

/// The names in a query that was written strictly: these need no decoding.
fn names(query: Option<&str>) -> impl Iterator<Item = &str> {
    query.into_iter().flat_map(|query| query.split('&')).map(|field| field.split('=').next().unwrap_or(field))
}

/// What the caller will send to the upstream just so, and what the servers sign: a header that a client or a hop
/// changes on its way is better not signed.
fn signed_headers(headers: &HeaderMap) -> HeaderMap {
    let signed = |name: &HeaderName| {
        name.as_str().starts_with("x-amz-") || matches!(name.as_str(), "content-type" | "content-md5")
    };
    let kept = headers.iter().filter(|(name, _)| signed(name));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// The size of an object, as a HEAD of the same version tells it. No answer that says so: no size.
async fn size(way: &Way<'_>, get: &Draft, record: &mut Record) -> Option<u64> {
    let mut draft = get.clone();
    draft.method = Method::HEAD;
    let version =
        |query: String| query.split('&').find(|field| field.starts_with("versionId=")).map(str::to_owned);
    draft.query = draft.query.and_then(version);
    draft.headers.remove(header::CONTENT_TYPE);
    draft.headers.remove("content-md5");
    let answer = match way.send(draft, Content::Whole(Bytes::new(), None), record).await {
        Ok(answer) => Received::from(answer),
        Err(reason) => {
            tracing::debug!(route = &*way.route.name, reason = reason.code(), "no size of an object");
            return None;
        }
    };
    let length = answer.head.headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok();
    let found = answer.head.status == StatusCode::OK;
    length.filter(|_| found)
}

fn redirect(
    way: &Way<'_>,
    draft: Draft,
    version: Version,
    record: &mut Record,
) -> Result<Response<Bytes>, Reason> {
    let Way { gateway, route, signer, .. } = *way;
    let origin = origin(route, &draft.host);
    let sends = draft.method == Method::PUT;
    let signing = Instant::now();
    let mut scratch = gateway.scratch.borrow_mut();
    let target = draft.presign(signer, Timestamp::now(), EXPIRES, &mut scratch, |_| ())?;
    route.meters.sign_duration.observe(signing.elapsed().as_secs_f64());
    let signing = u64::try_from(signing.elapsed().as_micros()).unwrap_or(u64::MAX);
    record.sign_us = record.sign_us.saturating_add(signing);

    let mut location = HeaderValue::try_from(format!("{origin}{target}")).map_err(|_| Reason::Internal)?;
    location.set_sensitive(true);
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, location);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if sends && version < Version::HTTP_2 {
        // The body that was announced is not to be sent here.
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

/// Scheme and signed host of the upstream.
fn origin(route: &Route, host: &str) -> String {
    let scheme = if route.endpoint.upstream.tls { "https" } else { "http" };
    format!("{scheme}://{host}")
}

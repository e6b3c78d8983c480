//! Which headers travel, each way.
//!
//! Towards the upstream there is a list of what may pass, per family of schemes; everything else stays behind:
//! hop-by-hop headers, the caller's credentials of every scheme, cookies, forwarding headers, and what would make
//! the upstream do something that the request does not say. Towards the caller there is a list of what may not.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::admit::{HOP_BY_HOP, nominated};
use crate::config::Shape;
use crate::snapshot::Route;

/// What every API understands and none takes for a credential.
const COMMON: [HeaderName; 5] = [
    header::ACCEPT,
    header::ACCEPT_LANGUAGE,
    header::USER_AGENT,
    header::CONTENT_TYPE,
    header::ACCEPT_ENCODING,
];

/// What S3 reads beside `x-amz-*`.
const S3: [&str; 12] = [
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-md5",
    "expires",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "range",
];

/// Amazon's own, which a caller may not choose: they are the signature's.
pub(super) const SIGNATURE: [&str; 8] = [
    "x-amz-algorithm",
    "x-amz-content-sha256",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-decoded-content-length",
    "x-amz-security-token",
    "x-amz-signature",
    "x-amz-trailer",
];

/// Whether a header travels end to end, so that `Connection` may not name it.
pub(super) fn is_end_to_end(name: &str) -> bool {
    name.starts_with("x-amz-")
        || COMMON.iter().any(|known| known.as_str() == name)
        || S3.contains(&name)
        || matches!(name, "host" | "authorization" | "content-length" | "cookie" | "date" | "expect")
}

/// The end-to-end headers of a request that pass to this route's upstream, in the empty map `kept`.
pub(super) fn towards_upstream(headers: &HeaderMap, route: &Route, mut kept: HeaderMap) -> HeaderMap {
    let nominated: Vec<String> = nominated(headers).collect();
    kept.reserve(headers.len() + 8);
    for (name, value) in headers {
        if passes(name, route) && !nominated.iter().any(|nominee| nominee == name.as_str()) {
            kept.append(name.clone(), value.clone());
        }
    }
    if let header::Entry::Occupied(mut encoding) = kept.entry(header::CONTENT_ENCODING) {
        match without_aws_chunked(encoding.iter()) {
            Some(rest) => drop(encoding.insert(rest)),
            None => drop(encoding.remove()),
        }
    }
    kept
}

/// The encodings of an object, in one line, without the framing of its upload, which ends here.
fn without_aws_chunked<'h>(lines: impl Iterator<Item = &'h HeaderValue>) -> Option<HeaderValue> {
    let items = lines.flat_map(|line| line.as_bytes().split(|&byte| byte == b',')).map(<[u8]>::trim_ascii);
    let kept: Vec<_> =
        items.filter(|item| !item.eq_ignore_ascii_case(b"aws-chunked") && !item.is_empty()).collect();
    HeaderValue::from_bytes(&kept.join(&b',')).ok().filter(|rest| !rest.is_empty())
}

fn passes(name: &HeaderName, route: &Route) -> bool {
    let text = name.as_str();
    if HOP_BY_HOP.contains(name) {
        return false;
    }
    let amazon = text.starts_with("x-amz-") && !SIGNATURE.contains(&text);
    COMMON.contains(name)
        || match route.shape {
            Shape::Cloudstack { .. } => false,
            Shape::Zstack => text == "x-api-timeout",
            Shape::S3 { .. } => amazon || S3.contains(&text),
            Shape::Aws => amazon || text.starts_with("x-amzn-") || S3.contains(&text),
        }
        || route.forward_headers.iter().any(|allowed| allowed == text)
}

/// Takes from an answer what is not the caller's business: the hop's own headers, cookies (a session that the
/// gateway does not hold), and invitations to go round it.
pub(super) fn towards_caller(headers: &mut HeaderMap) {
    for name in nominated(headers).collect::<Vec<_>>() {
        headers.remove(name.as_str());
    }
    // Few answers have more than one or two of them: to look at the names that are there takes less than to look for
    // each of those that may be.
    while let Some(name) = headers.keys().find(|name| is_kept_back(name)).cloned() {
        headers.remove(name);
    }
}

fn is_kept_back(name: &HeaderName) -> bool {
    HOP_BY_HOP.contains(name)
        || matches!(*name, header::SET_COOKIE | header::ALT_SVC | header::STRICT_TRANSPORT_SECURITY)
        || matches!(name.as_str(), "x-request-id" | "x-countersign-error")
}

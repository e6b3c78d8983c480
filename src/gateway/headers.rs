//! Which headers travel, each way.
//!
//! Towards the upstream there is a list of what may pass, per family of schemes; everything else stays behind:
//! hop-by-hop headers, the caller's credentials of every scheme, cookies, forwarding headers, and what would make
//! the upstream do something that the request does not say. Towards the caller there is a list of what may not.

use http::header::{self, HeaderMap, HeaderValue};

use super::admit::nominated;
use crate::config::Shape;
use crate::snapshot::Route;

/// Whether a header concerns one hop only.
fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// What every API understands and none takes for a credential.
fn is_common(name: &str) -> bool {
    matches!(name, "accept" | "accept-language" | "user-agent" | "content-type" | "accept-encoding")
}

/// What S3 reads beside `x-amz-*`.
fn is_read_by_s3(name: &str) -> bool {
    matches!(
        name,
        "cache-control"
            | "content-disposition"
            | "content-encoding"
            | "content-language"
            | "content-md5"
            | "expires"
            | "if-match"
            | "if-modified-since"
            | "if-none-match"
            | "if-range"
            | "if-unmodified-since"
            | "range"
    )
}

/// Amazon's own, which a caller may not choose: they are the signature's.
pub(super) fn is_of_signature(name: &str) -> bool {
    matches!(
        name,
        "x-amz-algorithm"
            | "x-amz-content-sha256"
            | "x-amz-credential"
            | "x-amz-date"
            | "x-amz-decoded-content-length"
            | "x-amz-security-token"
            | "x-amz-signature"
            | "x-amz-trailer"
    )
}

/// Whether a header travels end to end, so that `Connection` may not name it.
pub(super) fn is_end_to_end(name: &str) -> bool {
    name.starts_with("x-amz-")
        || is_common(name)
        || is_read_by_s3(name)
        || matches!(name, "host" | "authorization" | "content-length" | "cookie" | "date" | "expect")
}

/// The end-to-end headers of a request that pass to this route's upstream, in the empty map `kept`.
pub(super) fn towards_upstream(headers: &HeaderMap, route: &Route, mut kept: HeaderMap) -> HeaderMap {
    let nominated: Vec<String> = nominated(headers).collect();
    kept.reserve(headers.len() + 8);
    for (name, value) in headers {
        if passes(name.as_str(), route) && !nominated.iter().any(|nominee| nominee == name.as_str()) {
            kept.append(name.clone(), value.clone());
        }
    }
    if kept.contains_key(header::CONTENT_ENCODING)
        && let header::Entry::Occupied(mut encoding) = kept.entry(header::CONTENT_ENCODING)
    {
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

fn passes(name: &str, route: &Route) -> bool {
    if is_hop_by_hop(name) {
        return false;
    }
    let amazon = name.starts_with("x-amz-") && !is_of_signature(name);
    is_common(name)
        || match route.shape {
            Shape::Cloudstack { .. } => false,
            Shape::Zstack => name == "x-api-timeout",
            Shape::S3 { .. } => amazon || is_read_by_s3(name),
            Shape::Aws => amazon || name.starts_with("x-amzn-") || is_read_by_s3(name),
        }
        || route.forward_headers.iter().any(|allowed| allowed == name)
}

/// Takes from an answer what is not the caller's business: the hop's own headers, cookies (a session that the
/// gateway does not hold), and invitations to go round it.
pub(super) fn towards_caller(headers: &mut HeaderMap) {
    for name in nominated(headers).collect::<Vec<_>>() {
        headers.remove(name.as_str());
    }
    // Few answers have more than one or two of them: to look at the names that are there takes less than to look for
    // each of those that may be.
    while let Some(name) = headers.keys().find(|name| is_kept_back(name.as_str())).cloned() {
        headers.remove(name);
    }
}

fn is_kept_back(name: &str) -> bool {
    is_hop_by_hop(name)
        || matches!(name, "set-cookie" | "alt-svc" | "strict-transport-security")
        || matches!(name, "x-request-id" | "x-countersign-error")
}

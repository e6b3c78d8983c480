//! The door: what no route may see.
//!
//! Anything that two HTTP parsers could read differently, anything that a web page could have sent, and every host
//! that this listener does not answer to is refused here, before a route is looked for.

use std::borrow::Cow;

use http::header::{self, HeaderMap, HeaderName};
use http::request::Parts;
use http::{Method, Version};

use super::Connection;
use super::headers::is_end_to_end;
use crate::reason::Reason;
use crate::snapshot::Snapshot;

/// The parts of a head that matching and rebuilding look at.
pub(super) struct Inbound<'h> {
    /// Lower case, without port.
    pub(super) host: Cow<'h, str>,
    /// As it came.
    pub(super) path: &'h str,
    /// As it came.
    pub(super) query: Option<&'h str>,
}

/// Admits a head or says why not.
pub(super) fn admit<'h>(
    head: &'h Parts,
    connection: &Connection,
    world: &Snapshot,
) -> Result<Inbound<'h>, Reason> {
    if let Some(what) = connection.suspect.get() {
        return Err(Reason::AmbiguousRequest(what));
    }
    method(head)?;
    let path = head.uri.path();
    let target = path.len() + head.uri.query().map_or(0, |query| query.len() + 1);
    if target > world.limits.target {
        return Err(Reason::TargetTooLong(world.limits.target));
    }
    headers(&head.headers)?;
    hops(&head.headers)?;
    framing(head)?;
    let host = host(head)?;
    if !world.listeners[connection.listener].hosts.iter().any(|known| *known == host)
        && !world.table.knows(&host)
    {
        return Err(Reason::UnknownHost);
    }
    browser(head)?;
    Ok(Inbound { host, path, query: head.uri.query() })
}

fn method(head: &Parts) -> Result<(), Reason> {
    if head.method == Method::CONNECT || head.headers.contains_key(header::UPGRADE) {
        return Err(Reason::UpgradeRefused);
    }
    if head.method == Method::TRACE {
        return Err(Reason::MethodNotAllowed("no TRACE"));
    }
    // An absolute target names this gateway as a web server, and nothing else.
    let web = head.uri.scheme().is_none_or(|scheme| matches!(scheme.as_str(), "http" | "https"));
    if !web || !head.uri.path().starts_with('/') {
        return Err(Reason::AmbiguousRequest("the request target is not a path"));
    }
    Ok(())
}

const DESTINATION: HeaderName = HeaderName::from_static("sec-fetch-dest");
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// A web page can make a browser send a request here; none of them is signed. Rebinding is stopped by the host
/// check, these stop the rest.
fn browser(head: &Parts) -> Result<(), Reason> {
    let headers = &head.headers;
    let embedded = values(headers, DESTINATION).any(|destination| destination != b"empty");
    if head.method == Method::OPTIONS || of_another_site(headers) || embedded || typical(headers) {
        return Err(Reason::BrowserRequest);
    }
    Ok(())
}

/// Whether a browser says that a page of another site asked for this (Fetch: `Origin`; Fetch Metadata).
fn of_another_site(headers: &HeaderMap) -> bool {
    headers.contains_key(header::ORIGIN)
        || values(headers, SITE).any(|site| site != b"none" && site != b"same-origin")
}

/// Whether a browser sent this, by what no page can leave out: a browser's `User-Agent` together with
/// `Accept-Language`. It is all that an image tag puts on a GET when this gateway is reached under a name without TLS:
/// Fetch Metadata goes to trustworthy origins only, which are https and loopback. `PowerShell` calls itself `Mozilla`
/// too, and speaks no language.
fn typical(headers: &HeaderMap) -> bool {
    headers.contains_key(header::ACCEPT_LANGUAGE)
        && values(headers, header::USER_AGENT).any(|agent| agent.starts_with(b"Mozilla/"))
}

/// All values of a header: of several, each counts, so that a harmless one does not hide another.
fn values(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &[u8]> {
    headers.get_all(name).into_iter().map(http::HeaderValue::as_bytes)
}

fn headers(headers: &HeaderMap) -> Result<(), Reason> {
    for (name, value) in headers {
        if name.as_str().as_bytes().contains(&b'_') {
            // Some servers read `X_Amz_Date` as `X-Amz-Date`.
            return Err(Reason::BadHeader(name.to_string().into(), "names with `_` are read in two ways"));
        }
        // All bytes are looked at, which takes less time than to stop at the first.
        if value.as_bytes().iter().fold(false, |found, byte| found | byte.is_ascii_control()) {
            return Err(Reason::BadHeader(name.to_string().into(), "a control character in its value"));
        }
    }
    Ok(())
}

/// `Connection` may name hop-by-hop headers to be dropped; naming one that travels end to end would have this
/// gateway delete what it is about to sign.
fn hops(headers: &HeaderMap) -> Result<(), Reason> {
    if nominated(headers).any(|name| is_end_to_end(&name)) {
        return Err(Reason::BadHeader("connection".into(), "it names a header that travels end to end"));
    }
    Ok(())
}

/// The names listed in `Connection`, lower case.
pub(super) fn nominated(headers: &HeaderMap) -> impl Iterator<Item = String> {
    headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
        .map(|name| String::from_utf8_lossy(name.trim_ascii()).to_ascii_lowercase())
        .filter(|name| !name.is_empty())
}

fn framing(head: &Parts) -> Result<(), Reason> {
    let mut encodings = head.headers.get_all(header::TRANSFER_ENCODING).iter();
    if let Some(encoding) = encodings.next() {
        if !encoding.as_bytes().eq_ignore_ascii_case(b"chunked") || encodings.next().is_some() {
            return Err(Reason::BadHeader("transfer-encoding".into(), "anything but exactly `chunked`"));
        }
        if head.headers.contains_key(header::CONTENT_LENGTH) || head.version == Version::HTTP_10 {
            return Err(Reason::AmbiguousRequest("both Transfer-Encoding and Content-Length"));
        }
    }
    let mut lengths = head.headers.get_all(header::CONTENT_LENGTH).iter();
    if let Some(length) = lengths.next() {
        let digits = length.as_bytes();
        let canonical =
            digits == b"0" || (!digits.starts_with(b"0") && digits.iter().all(u8::is_ascii_digit));
        if lengths.next().is_some() || digits.is_empty() || !canonical {
            return Err(Reason::BadHeader("content-length".into(), "not one plain number"));
        }
    }
    let mut expectations = head.headers.get_all(header::EXPECT).iter();
    if let Some(expect) = expectations.next()
        && (!expect.as_bytes().eq_ignore_ascii_case(b"100-continue") || expectations.next().is_some())
    {
        return Err(Reason::BadHeader("expect".into(), "anything but `100-continue`"));
    }
    Ok(())
}

/// The one host that the request names, in `Host` and in an absolute target or `:authority` alike.
fn host(head: &Parts) -> Result<Cow<'_, str>, Reason> {
    let mut hosts = head.headers.get_all(header::HOST).iter();
    let named = hosts.next().map(|value| value.to_str().map_err(|_| Reason::UnknownHost)).transpose()?;
    if hosts.next().is_some() {
        return Err(Reason::AmbiguousRequest("two Host headers"));
    }
    let authority = head.uri.authority().map(http::uri::Authority::as_str);
    let host = match (named, authority) {
        (None, None) => return Err(Reason::AmbiguousRequest("no Host header")),
        (None, Some(_)) if head.version < Version::HTTP_2 => {
            return Err(Reason::AmbiguousRequest("no Host header"));
        }
        (Some(named), Some(authority)) if !named.eq_ignore_ascii_case(authority) => {
            return Err(Reason::AmbiguousRequest("Host differs from the request target"));
        }
        (Some(host), _) | (None, Some(host)) => host,
    };
    if host.contains('@') {
        return Err(Reason::AmbiguousRequest("user information in the host"));
    }
    let name = without_port(host).ok_or(Reason::UnknownHost)?;
    let lower = !name.bytes().any(|byte| byte.is_ascii_uppercase());
    Ok(if lower { name.into() } else { name.to_ascii_lowercase().into() })
}

/// Cuts a port off; an IPv6 address keeps its brackets, as in the configuration.
fn without_port(host: &str) -> Option<&str> {
    let end = if host.starts_with('[') { host.find(']')? + 1 } else { host.find(':').unwrap_or(host.len()) };
    let (name, rest) = host.split_at(end);
    let port = if rest.is_empty() { "0" } else { rest.strip_prefix(':')? };
    (!name.is_empty()
        && !port.is_empty()
        && port.len() <= 5
        && port.bytes().all(|byte| byte.is_ascii_digit()))
    .then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_and_brackets_come_off() {
        assert_eq!(without_port("a.b:8480"), Some("a.b"));
        assert_eq!(without_port("a.b"), Some("a.b"));
        assert_eq!(without_port("[::1]:1"), Some("[::1]"));
        assert_eq!(without_port("[::1]"), Some("[::1]"));
        for bad in ["", ":80", "a:b", "a:", "a:1:2", "[::1", "[::1]x", "a:123456"] {
            assert_eq!(without_port(bad), None, "{bad}");
        }
    }
}

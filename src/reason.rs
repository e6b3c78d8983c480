//! Every way in which a request can fail at the gateway itself: whose fault, which status, which code.
//!
//! An upstream's own 4xx or 5xx is an answer, not a [`Reason`]. A new failure is a new variant, and the compiler
//! finds the places that must name its status and code. No variant holds text that a caller sent, except names
//! that the caller must be told (a parameter, a header), which are cut and escaped where they are written.

use std::borrow::Cow;

use http::StatusCode;

use crate::sign::chunked::DecodeError;

/// Who has to change something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The caller's request.
    Caller,
    /// Nobody: a rule of this gateway forbids it.
    Policy,
    /// The upstream, or the way to it.
    Upstream,
    /// This gateway or its configuration.
    Gateway,
}

/// Why this gateway answered by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The `Host` is none that this listener answers to.
    UnknownHost,
    /// No route matches host and path.
    RouteNotFound,
    /// Head or framing that two parsers could read differently; the text says what.
    AmbiguousRequest(&'static str),
    /// A header that cannot be accepted.
    BadHeader(Cow<'static, str>, &'static str),
    /// The path cannot be rebuilt strictly; the text says why.
    BadPath(&'static str),
    /// The query or form cannot be rebuilt strictly.
    BadParameter(String, &'static str),
    /// A name that stands more than once where the upstream would pick one.
    DuplicateParameter(String),
    /// CloudStack without `command`.
    CommandMissing,
    /// More fields than the limit.
    TooManyParameters(usize),
    /// The method does not exist in this protocol.
    MethodNotAllowed(&'static str),
    /// A body where the protocol has none.
    UnexpectedBody,
    /// A body type that the protocol does not read.
    UnsupportedBody(&'static str),
    /// The request came from a web page.
    BrowserRequest,
    /// An upgrade or tunnel was asked for.
    UpgradeRefused,
    /// The `aws-chunked` framing of the body does not hold.
    Chunked(DecodeError),
    /// The body does not have the checksum that this header or trailer states.
    ChecksumMismatch(&'static str),
    /// No room, or no folder, for a body that must be known before it is sent.
    SpoolFull,
    /// The body is longer than what is collected; the limit in bytes.
    BodyTooLarge(u64),
    /// The request target is longer than the limit.
    TargetTooLong(usize),
    /// The payload rule needs a length.
    LengthRequired,
    /// The body is not what the caller's stated digest says.
    DigestMismatch,
    /// The caller's body ended early or broke its framing.
    BodyIncomplete,
    /// The caller sent nothing for too long.
    BodyTimeout,
    /// The route's credential could not be resolved.
    CredentialUnavailable,
    /// The scheme could not sign this head.
    SignFailed(crate::sign::SignError),
    /// The upstream's name did not resolve.
    UpstreamUnresolved,
    /// The upstream's address is one that is never dialled.
    UpstreamForbidden,
    /// No connection to the upstream.
    UpstreamConnect,
    /// The upstream's TLS could not be established or trusted.
    UpstreamTls,
    /// The upstream did not answer in time.
    UpstreamTimeout,
    /// The upstream closed the connection or broke the protocol.
    UpstreamProtocol,
    /// A defect of this program.
    Internal,
}

impl Reason {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::BrowserRequest => Fault::Policy,
            Self::CredentialUnavailable | Self::SpoolFull | Self::Internal => Fault::Gateway,
            Self::UpstreamUnresolved
            | Self::UpstreamForbidden
            | Self::UpstreamConnect
            | Self::UpstreamTls
            | Self::UpstreamTimeout
            | Self::UpstreamProtocol => Fault::Upstream,
            _ => Fault::Caller,
        }
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::UnknownHost => StatusCode::MISDIRECTED_REQUEST,
            Self::RouteNotFound => StatusCode::NOT_FOUND,
            Self::AmbiguousRequest(_)
            | Self::BadHeader(..)
            | Self::BadPath(_)
            | Self::BadParameter(..)
            | Self::DuplicateParameter(_)
            | Self::CommandMissing
            | Self::TooManyParameters(_)
            | Self::UnexpectedBody
            | Self::UpgradeRefused
            | Self::DigestMismatch
            | Self::Chunked(_)
            | Self::ChecksumMismatch(_)
            | Self::BodyIncomplete
            | Self::SignFailed(_) => StatusCode::BAD_REQUEST,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::UnsupportedBody(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::BrowserRequest => StatusCode::FORBIDDEN,
            Self::BodyTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TargetTooLong(_) => StatusCode::URI_TOO_LONG,
            Self::LengthRequired => StatusCode::LENGTH_REQUIRED,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::CredentialUnavailable | Self::SpoolFull => StatusCode::SERVICE_UNAVAILABLE,
            Self::UpstreamUnresolved
            | Self::UpstreamForbidden
            | Self::UpstreamConnect
            | Self::UpstreamTls
            | Self::UpstreamProtocol => StatusCode::BAD_GATEWAY,
            Self::UpstreamTimeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The stable code of `x-countersign-error`, logs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownHost => "unknown-host",
            Self::RouteNotFound => "route-not-found",
            Self::AmbiguousRequest(_) => "ambiguous-request",
            Self::BadHeader(..) => "bad-header",
            Self::BadPath(_) => "bad-path",
            Self::BadParameter(..) => "bad-parameter",
            Self::DuplicateParameter(_) => "duplicate-parameter",
            Self::CommandMissing => "command-missing",
            Self::TooManyParameters(_) => "too-many-parameters",
            Self::MethodNotAllowed(_) => "method-not-allowed",
            Self::UnexpectedBody => "unexpected-body",
            Self::UnsupportedBody(_) => "unsupported-body",
            Self::BrowserRequest => "browser-request",
            Self::UpgradeRefused => "upgrade-refused",
            Self::Chunked(DecodeError::SignatureMismatch(_)) => "chunk-signature-mismatch",
            Self::Chunked(DecodeError::MalformedTrailer(_)) => "trailer-malformed",
            Self::Chunked(_) => "chunked-malformed",
            Self::ChecksumMismatch(_) => "checksum-mismatch",
            Self::SpoolFull => "spool-full",
            Self::BodyTooLarge(_) => "body-too-large",
            Self::TargetTooLong(_) => "target-too-long",
            Self::LengthRequired => "length-required",
            Self::DigestMismatch => "digest-mismatch",
            Self::BodyIncomplete => "body-incomplete",
            Self::BodyTimeout => "body-timeout",
            Self::CredentialUnavailable => "credential-unavailable",
            Self::SignFailed(_) => "sign-failed",
            Self::UpstreamUnresolved => "upstream-unresolved",
            Self::UpstreamForbidden => "upstream-forbidden",
            Self::UpstreamConnect => "upstream-connect",
            Self::UpstreamTls => "upstream-tls",
            Self::UpstreamTimeout => "upstream-timeout",
            Self::UpstreamProtocol => "upstream-protocol",
            Self::Internal => "internal",
        }
    }

    /// A sentence for the caller: what was wrong, where, and what to do.
    pub fn message(&self) -> Cow<'static, str> {
        match self {
            Self::UnknownHost => {
                "this gateway does not answer to that Host; use the listener's address, a route's host, or add the \
                 name to the listener's `hosts`"
                    .into()
            }
            Self::RouteNotFound => "no route matches this host and path".into(),
            Self::AmbiguousRequest(what) => format!("the request is ambiguous: {what}").into(),
            Self::BadHeader(name, why) => format!("header `{}` is refused: {why}", shown(name)).into(),
            Self::BadPath(why) => format!("the path is refused: {why}").into(),
            Self::BadParameter(name, why) => format!("parameter `{}` is refused: {why}", shown(name)).into(),
            Self::DuplicateParameter(name) => {
                format!("parameter `{}` stands more than once (letter case does not count); send it once", shown(name))
                    .into()
            }
            Self::CommandMissing => "the parameter `command` (lower case) is missing".into(),
            Self::TooManyParameters(limit) => format!("more than {limit} parameters").into(),
            Self::MethodNotAllowed(allowed) => format!("this route takes {allowed}").into(),
            Self::UnexpectedBody => "this method carries no body on this route".into(),
            Self::UnsupportedBody(what) => format!("the body cannot be forwarded: {what}").into(),
            Self::BrowserRequest => {
                "requests from web pages (Origin, Sec-Fetch headers, preflights) are not signed".into()
            }
            Self::UpgradeRefused => "protocol upgrades and tunnels are not forwarded".into(),
            Self::Chunked(error) => format!("the aws-chunked body does not hold: {error}").into(),
            Self::ChecksumMismatch(name) => format!("the body does not have the checksum that {name} states").into(),
            Self::SpoolFull => {
                "there is no room for a body that must be known before it is signed; try again, or send it with a \
                 Content-Length"
                    .into()
            }
            Self::BodyTooLarge(limit) => {
                format!("the body must be read whole on this route and is longer than {limit} bytes").into()
            }
            Self::TargetTooLong(limit) => format!("the request target is longer than {limit} bytes").into(),
            Self::LengthRequired => "this route needs a Content-Length".into(),
            Self::DigestMismatch => "the body does not have the SHA-256 that x-amz-content-sha256 states".into(),
            Self::BodyIncomplete => "the request body ended before its stated end".into(),
            Self::BodyTimeout => "the request body stalled".into(),
            Self::CredentialUnavailable => "the route's credential is not available; nothing was forwarded".into(),
            Self::SignFailed(error) => format!("the request cannot be signed: {error}").into(),
            Self::UpstreamUnresolved => "the upstream's host name does not resolve".into(),
            Self::UpstreamForbidden => "the upstream resolves to a link-local address, which is never dialled".into(),
            Self::UpstreamConnect => "no connection to the upstream".into(),
            Self::UpstreamTls => "the upstream's TLS certificate or handshake failed".into(),
            Self::UpstreamTimeout => "the upstream did not answer in time".into(),
            Self::UpstreamProtocol => "the upstream closed the connection or broke the protocol".into(),
            Self::Internal => "internal error".into(),
        }
    }
}

/// A caller's name cut to 64 characters with everything unprintable escaped, fit for a message.
fn shown(name: &str) -> String {
    let mut text: String = name.chars().take(64).flat_map(char::escape_default).collect();
    if name.chars().nth(64).is_some() {
        text.push_str("...");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_and_escaped() {
        assert_eq!(shown("a\r\n\u{202e}b"), "a\\r\\n\\u{202e}b");
        assert_eq!(shown(&"x".repeat(70)), format!("{}...", "x".repeat(64)));
    }
}

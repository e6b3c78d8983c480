//! Every way in which a request can fail at the gateway itself: whose fault, which status, which code.
//!
//! An upstream's own 4xx or 5xx is an answer, not a [`Reason`]. A new failure is a new variant, and the compiler
//! finds the places that must name its status and code. No variant holds text that a caller sent, except names
//! that the caller must be told (a parameter, a header), which are cut and escaped where they are written.

mod message;

use std::borrow::Cow;
use std::sync::Arc;

use http::StatusCode;

use crate::sign::VerifyError;
use crate::sign::chunked::DecodeError;
use crate::sign::claim::Place;

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
    /// The route wants to know who is calling, and the caller showed nothing that could say it. Whether a token
    /// could.
    NotAuthenticated {
        /// The route has clients with tokens.
        token: bool,
    },
    /// A token that is no client's of this route.
    TokenUnknown,
    /// A local signature that does not hold, and where it stands.
    BadSignature(VerifyError, Place),
    /// The caller is none of the clients that may use the route.
    ClientNotAllowed,
    /// A mutating call with a local signature that came before.
    Replayed,
    /// A mutating call with a local signature that never expires, where replays are refused.
    SignatureWithoutEnd,
    /// No room to remember another signature, where replays are refused.
    ReplaysFull,
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
    /// The body cannot be read in one way only, and what it holds decides what is asked for.
    BadBody(&'static str),
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
    /// An entry of `deny` matches the operation.
    OperationDenied(Box<Refused>),
    /// There is an `allow`, and no entry of it matches the operation.
    OperationNotAllowed(Box<Refused>),
    /// `read-only`, and the operation is not known to change nothing.
    ReadOnly(Box<Refused>),
    /// The route's `secrets` refuse calls that mint, plant or return keys of the API itself.
    KeysDenied(Box<Refused>),
    /// The route's `secrets` refuse calls whose answers may carry secrets.
    MaterialDenied(Box<Refused>),
    /// More requests than a `rate` allows; the whole seconds until the next may come.
    RateLimited(u64),
    /// More requests at once than a `concurrency` allows.
    ConcurrencyLimited,
    /// The route's credential could not be resolved.
    CredentialUnavailable,
    /// The call could not be recorded, so it was not sent; the text says what is wrong with the record.
    Unrecorded(&'static str),
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
    /// The upstream's answer cannot be searched for secrets, on a route that lets none out; the text says why.
    AnswerUnreadable(&'static str),
    /// A defect of this program.
    Internal,
}

/// What a rule refuses, for the caller to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The call's own name, or that of what it asks for beside.
    pub operation: String,
    /// What it is about; empty where there is nothing to name.
    pub resource: String,
    /// The entry that matched, as it stands in the configuration.
    pub rule: Arc<str>,
    /// Whose rule it is: ``route `x` `` or ``client `y` ``.
    pub holder: String,
}

impl std::fmt::Display for Refused {
    /// The operation, with its resource.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "`{}`", message::shown(&self.operation))?;
        if self.resource.is_empty() {
            return Ok(());
        }
        write!(formatter, " on `{}`", message::shown(&self.resource))
    }
}

impl Reason {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::BrowserRequest
            | Self::ClientNotAllowed
            | Self::Replayed
            | Self::SignatureWithoutEnd
            | Self::OperationDenied(_)
            | Self::OperationNotAllowed(_)
            | Self::ReadOnly(_)
            | Self::KeysDenied(_)
            | Self::MaterialDenied(_)
            | Self::RateLimited(_)
            | Self::ConcurrencyLimited => Fault::Policy,
            Self::CredentialUnavailable
            | Self::SpoolFull
            | Self::ReplaysFull
            | Self::Unrecorded(_)
            | Self::Internal => Fault::Gateway,
            Self::UpstreamUnresolved
            | Self::UpstreamForbidden
            | Self::UpstreamConnect
            | Self::UpstreamTls
            | Self::UpstreamTimeout
            | Self::UpstreamProtocol
            | Self::AnswerUnreadable(_) => Fault::Upstream,
            _ => Fault::Caller,
        }
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::UnknownHost => StatusCode::MISDIRECTED_REQUEST,
            Self::RouteNotFound => StatusCode::NOT_FOUND,
            Self::NotAuthenticated { .. } | Self::TokenUnknown => StatusCode::UNAUTHORIZED,
            Self::BadSignature(VerifyError::Malformed(_) | VerifyError::Payload, _) => {
                StatusCode::BAD_REQUEST
            }
            Self::Chunked(DecodeError::SignatureMismatch(_))
            | Self::ClientNotAllowed
            | Self::Replayed
            | Self::SignatureWithoutEnd
            | Self::BadSignature(..)
            | Self::BrowserRequest
            | Self::OperationDenied(_)
            | Self::OperationNotAllowed(_)
            | Self::ReadOnly(_)
            | Self::KeysDenied(_)
            | Self::MaterialDenied(_) => StatusCode::FORBIDDEN,
            Self::AmbiguousRequest(_)
            | Self::BadHeader(..)
            | Self::BadPath(_)
            | Self::BadParameter(..)
            | Self::DuplicateParameter(_)
            | Self::CommandMissing
            | Self::TooManyParameters(_)
            | Self::UnexpectedBody
            | Self::BadBody(_)
            | Self::UpgradeRefused
            | Self::DigestMismatch
            | Self::Chunked(_)
            | Self::ChecksumMismatch(_)
            | Self::BodyIncomplete
            | Self::SignFailed(_) => StatusCode::BAD_REQUEST,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::UnsupportedBody(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::RateLimited(_) | Self::ConcurrencyLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::BodyTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TargetTooLong(_) => StatusCode::URI_TOO_LONG,
            Self::LengthRequired => StatusCode::LENGTH_REQUIRED,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::CredentialUnavailable | Self::SpoolFull | Self::ReplaysFull | Self::Unrecorded(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::UpstreamUnresolved
            | Self::UpstreamForbidden
            | Self::UpstreamConnect
            | Self::UpstreamTls
            | Self::UpstreamProtocol
            | Self::AnswerUnreadable(_) => StatusCode::BAD_GATEWAY,
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
            Self::NotAuthenticated { .. } => "not-authenticated",
            Self::TokenUnknown => "token-unknown",
            Self::BadSignature(VerifyError::UnknownKey, _) => "unknown-access-key",
            Self::BadSignature(VerifyError::Mismatch, _) => "signature-mismatch",
            Self::BadSignature(VerifyError::Skew, _) => "clock-skew",
            Self::BadSignature(VerifyError::Expired, _) => "signature-expired",
            Self::BadSignature(VerifyError::Scope, _) => "wrong-scope",
            Self::BadSignature(VerifyError::Unsigned(_), _) => "header-not-signed",
            Self::ClientNotAllowed => "client-not-allowed",
            Self::Replayed => "replayed-signature",
            Self::SignatureWithoutEnd => "signature-without-end",
            Self::ReplaysFull => "replay-memory-full",
            Self::BadPath(_) => "bad-path",
            Self::BadParameter(..) => "bad-parameter",
            Self::DuplicateParameter(_) => "duplicate-parameter",
            Self::CommandMissing => "command-missing",
            Self::TooManyParameters(_) => "too-many-parameters",
            Self::MethodNotAllowed(_) => "method-not-allowed",
            Self::UnexpectedBody => "unexpected-body",
            Self::UnsupportedBody(_) => "unsupported-body",
            Self::BadBody(_) => "bad-body",
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
            Self::DigestMismatch | Self::BadSignature(VerifyError::Payload, _) => "digest-mismatch",
            Self::BadSignature(..) => "signature-malformed",
            Self::BodyIncomplete => "body-incomplete",
            Self::BodyTimeout => "body-timeout",
            Self::OperationDenied(_) => "operation-denied",
            Self::OperationNotAllowed(_) => "operation-not-allowed",
            Self::ReadOnly(_) => "read-only",
            Self::KeysDenied(_) | Self::MaterialDenied(_) => "secrets-denied",
            Self::RateLimited(_) => "rate-limited",
            Self::ConcurrencyLimited => "concurrency-limited",
            Self::CredentialUnavailable => "credential-unavailable",
            Self::Unrecorded(_) => "audit-unavailable",
            Self::SignFailed(_) => "sign-failed",
            Self::UpstreamUnresolved => "upstream-unresolved",
            Self::UpstreamForbidden => "upstream-forbidden",
            Self::UpstreamConnect => "upstream-connect",
            Self::UpstreamTls => "upstream-tls",
            Self::UpstreamTimeout => "upstream-timeout",
            Self::UpstreamProtocol => "upstream-protocol",
            Self::AnswerUnreadable(_) => "answer-unreadable",
            Self::Internal => "internal",
        }
    }
}

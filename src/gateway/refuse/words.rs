//! What the real services say of a caller who cannot be known: status, code and sentence, by protocol.
//!
//! Libraries act on these: they ask for another region, correct their clock, or tell their user which key is wrong.
//! Callers learn that a signature failed, never how near it was.

use std::borrow::Cow;

use http::StatusCode;

use super::Protocol;
use crate::reason::{Fault, Reason};
use crate::sign::VerifyError;
use crate::sign::claim::Place;

/// A refusal in a service's own words.
pub(super) struct Words {
    pub(super) status: StatusCode,
    pub(super) code: Cow<'static, str>,
    pub(super) message: Cow<'static, str>,
}

type Told = (u16, &'static str, &'static str);

/// CloudStack has one sentence for all of it (`ApiServlet.processRequestInContext`).
const CLOUDSTACK: &str = "unable to verify user credentials and/or request signature";

/// The words for a reason; `None` where the reason's own will do.
pub(super) fn of(reason: &Reason, protocol: &Protocol) -> Option<Words> {
    let told = match protocol {
        Protocol::Problem => None,
        Protocol::Cloudstack { .. } => match reason {
            Reason::NotAuthenticated { .. } | Reason::TokenUnknown | Reason::BadSignature(..) => {
                Some((401, "", CLOUDSTACK))
            }
            _ => None,
        },
        Protocol::Zstack => zstack(reason),
        Protocol::S3 => s3(reason),
        Protocol::AwsJson => Some(aws_json(reason)),
        Protocol::AwsQuery => Some(aws_query(reason)),
    };
    let (status, code, message) = told?;
    let message = if message.is_empty() { reason.message() } else { message.into() };
    let wants_token = matches!(reason, Reason::NotAuthenticated { token: true } | Reason::TokenUnknown);
    let status = match status {
        0 => reason.status(),
        _ if wants_token => StatusCode::UNAUTHORIZED,
        told => StatusCode::from_u16(told).unwrap_or(reason.status()),
    };
    Some(Words { status, code: code.into(), message })
}

/// As `RestServer` and the access key backend say it.
fn zstack(reason: &Reason) -> Option<Told> {
    let Reason::BadSignature(error, _) = reason else {
        let missing = matches!(reason, Reason::NotAuthenticated { .. });
        return missing.then_some((400, "", "missing header 'Authorization'"));
    };
    Some(match error {
        VerifyError::UnknownKey => (403, "", "access key id does not existed or disabled"),
        VerifyError::Mismatch => (403, "", "wrong accessKey signature"),
        VerifyError::Skew | VerifyError::Expired => (403, "", "requestTimeTooSkewed"),
        VerifyError::Malformed("date") => (400, "", "'Date' format error or not included in request header"),
        _ => (400, "", "illegal format of header 'Authorization'"),
    })
}

/// Amazon's list of errors, and its sentences.
fn s3(reason: &Reason) -> Option<Told> {
    const MALFORMED: &str = "The authorization header is malformed.";
    const QUERY: &str = "The authorization parameters of the query are malformed.";
    let (error, place) = match reason {
        Reason::BadSignature(error, place) => (*error, *place),
        Reason::NotAuthenticated { .. } => return Some((403, "AccessDenied", "Access Denied")),
        Reason::TokenUnknown => return Some((401, "AccessDenied", "")),
        Reason::ReplaysFull => return Some((503, "SlowDown", "")),
        Reason::Chunked(crate::sign::chunked::DecodeError::SignatureMismatch(_)) => {
            return Some((403, "SignatureDoesNotMatch", ""));
        }
        _ => return None,
    };
    Some(match error {
        VerifyError::UnknownKey => {
            (403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.")
        }
        VerifyError::Mismatch => (
            403,
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. Check your key and \
             signing method.",
        ),
        VerifyError::Skew => (
            403,
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
        ),
        VerifyError::Expired => (403, "AccessDenied", "Request has expired"),
        VerifyError::Unsigned(_) => {
            (403, "AccessDenied", "There were headers present in the request which were not signed")
        }
        VerifyError::Payload => (
            400,
            "XAmzContentSHA256Mismatch",
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        ),
        VerifyError::Malformed("signature in two places") => {
            (400, "InvalidArgument", "Only one auth mechanism allowed")
        }
        VerifyError::Malformed("x-amz-content-sha256") => (
            400,
            "InvalidArgument",
            "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, a valid sha256 value or streaming",
        ),
        VerifyError::Malformed("date" | "x-amz-date") => {
            (403, "AccessDenied", "AWS authentication requires a valid Date or x-amz-date header")
        }
        VerifyError::Scope | VerifyError::Malformed(_) | VerifyError::Missing | VerifyError::MustPost => {
            match place {
                Place::Query => (400, "AuthorizationQueryParametersError", QUERY),
                Place::Header | Place::Form => (400, "AuthorizationHeaderMalformed", MALFORMED),
            }
        }
    })
}

/// Services with `x-amz-target`.
fn aws_json(reason: &Reason) -> Told {
    let error = match reason {
        Reason::BadSignature(error, _) => *error,
        Reason::NotAuthenticated { .. } => {
            return (400, "MissingAuthenticationTokenException", "Missing Authentication Token");
        }
        Reason::RateLimited(_) | Reason::ConcurrencyLimited => return (0, "ThrottlingException", ""),
        _ => {
            return match reason.fault() {
                Fault::Caller => (0, "ValidationException", ""),
                Fault::Policy => (0, "AccessDeniedException", ""),
                Fault::Upstream | Fault::Gateway => (0, "ServiceUnavailableException", ""),
            };
        }
    };
    match error {
        VerifyError::UnknownKey => {
            (400, "UnrecognizedClientException", "The security token included in the request is invalid.")
        }
        VerifyError::Skew | VerifyError::Expired => (400, "InvalidSignatureException", "Signature expired."),
        VerifyError::Scope => (
            400,
            "InvalidSignatureException",
            "Credential should be scoped to a valid region and to the correct service.",
        ),
        VerifyError::Malformed(_) | VerifyError::Missing | VerifyError::MustPost => {
            (400, "IncompleteSignatureException", "The request signature does not conform to AWS standards.")
        }
        VerifyError::Mismatch | VerifyError::Unsigned(_) | VerifyError::Payload => (
            400,
            "InvalidSignatureException",
            "The request signature we calculated does not match the signature you provided.",
        ),
    }
}

/// Services of the query protocol: the common errors of Amazon's references.
fn aws_query(reason: &Reason) -> Told {
    let error = match reason {
        Reason::BadSignature(error, _) => *error,
        Reason::NotAuthenticated { .. } => {
            return (403, "MissingAuthenticationToken", "Request is missing Authentication Token");
        }
        Reason::RateLimited(_) | Reason::ConcurrencyLimited => return (0, "Throttling", ""),
        _ => {
            return match reason.fault() {
                Fault::Caller => (0, "ValidationError", ""),
                Fault::Policy => (0, "AccessDenied", ""),
                Fault::Upstream | Fault::Gateway => (0, "ServiceUnavailable", ""),
            };
        }
    };
    match error {
        VerifyError::UnknownKey => {
            (403, "InvalidClientTokenId", "The security token included in the request is invalid.")
        }
        VerifyError::Skew | VerifyError::Expired => (400, "RequestExpired", "Signature expired."),
        VerifyError::Scope => (
            403,
            "SignatureDoesNotMatch",
            "Credential should be scoped to a valid region and to the correct service.",
        ),
        VerifyError::Malformed(_) | VerifyError::Missing | VerifyError::MustPost => {
            (400, "IncompleteSignature", "The request signature does not conform to AWS standards.")
        }
        VerifyError::Mismatch | VerifyError::Unsigned(_) | VerifyError::Payload => (
            403,
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided.",
        ),
    }
}

//! What a caller is told of a [`Reason`]: one sentence, which never repeats more of a request than a name that the
//! caller must be told, cut and escaped.

use std::borrow::Cow;

use super::Reason;
use crate::sign::VerifyError;

impl Reason {
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
            Self::NotAuthenticated { token: true } => {
                "this route admits known callers only; send a token as `Authorization: Bearer`, or sign with a local \
                 key"
                    .into()
            }
            Self::NotAuthenticated { token: false } => {
                "this route admits known callers only; sign the request with a local key".into()
            }
            Self::TokenUnknown => "the token is not one of this route's clients".into(),
            Self::BadSignature(error, _) => signature_message(*error).into(),
            Self::ClientNotAllowed => "the caller is none of the clients that may use this route".into(),
            Self::Replayed => "this signature was used before; sign the request anew".into(),
            Self::SignatureWithoutEnd => {
                "this route refuses replays, so a call that changes something must be signed with an end: use \
                 signatureVersion=3 and expires"
                    .into()
            }
            Self::ReplaysFull => "too many signatures to remember; try again later".into(),
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
            Self::BadBody(why) => format!("the body is refused: {why}").into(),
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
            Self::OperationDenied(refused) => {
                let (rule, holder) = (shown(&refused.rule), &refused.holder);
                format!("{refused} is forbidden by `{rule}`, a rule of `deny` of {holder}").into()
            }
            Self::OperationNotAllowed(refused) => {
                format!("{refused} is allowed by no rule of `allow` of {}", refused.holder).into()
            }
            Self::ReadOnly(refused) => {
                format!("{refused} is not known to be a read, and {} is `read-only`", refused.holder).into()
            }
            Self::KeysDenied(refused) => format!(
                "{refused} mints, plants or returns keys of the API itself, which {} keeps in; `secrets = \"redact\"` \
                 there lets it pass without them, `secrets = \"allow\"` as it is",
                refused.holder
            )
            .into(),
            Self::MaterialDenied(refused) => format!(
                "the answer to {refused} may carry secrets, which {} keeps in; `secrets = \"redact\"` there lets it \
                 pass without them, `secrets = \"allow\"` as it is",
                refused.holder
            )
            .into(),
            Self::RateLimited(seconds) => format!("too many requests; the next may come in {seconds} s").into(),
            Self::ConcurrencyLimited => "too many requests at once; wait until one of them is answered".into(),
            Self::CredentialUnavailable => "the route's credential is not available; nothing was forwarded".into(),
            Self::Unrecorded(why) => format!("{why}, so the call was not sent; try again later").into(),
            Self::SignFailed(error) => format!("the request cannot be signed: {error}").into(),
            Self::UpstreamUnresolved => "the upstream's host name does not resolve".into(),
            Self::UpstreamForbidden => {
                "the upstream's name resolves to a link-local or metadata address, which is never dialled".into()
            }
            Self::UpstreamConnect => "no connection to the upstream".into(),
            Self::UpstreamTls => "the upstream's TLS certificate or handshake failed".into(),
            Self::UpstreamTimeout => "the upstream did not answer in time".into(),
            Self::UpstreamProtocol => "the upstream closed the connection or broke the protocol".into(),
            Self::AnswerUnreadable(why) => format!(
                "the upstream answered, and its answer was kept back: it cannot be searched for secrets ({why})"
            )
            .into(),
            Self::Internal => "internal error".into(),
        }
    }
}

/// What a caller learns of its signature: which rule it broke, never what it should have been.
fn signature_message(error: VerifyError) -> &'static str {
    match error {
        VerifyError::Missing | VerifyError::Malformed(_) | VerifyError::MustPost => {
            "the signature cannot be read; sign the request with the scheme of this route"
        }
        VerifyError::UnknownKey => "the access key is not a local key of this route's clients",
        VerifyError::Mismatch => {
            "the signature is not that of this request; check the secret key, the host, the path and the clock"
        }
        VerifyError::Skew => "the request's time is more than 15 minutes from this gateway's",
        VerifyError::Expired => "the signature has expired, or claims to hold for too long",
        VerifyError::Scope => "the credential scope names another region, service or day than this route",
        VerifyError::Unsigned(_) => "there are headers in the request that must be signed and are not",
        VerifyError::Payload => "the body does not have the SHA-256 that was signed",
    }
}

/// A caller's name cut to 64 characters with everything unprintable escaped, fit for a message.
pub(super) fn shown(name: &str) -> String {
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

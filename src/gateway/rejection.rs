//! Answers in which an upstream refuses our signature: a wrong key, a wrong clock, a wrong secret. They pass like any
//! other answer; here they are only told from others, by what each family's servers say, so that they can be counted.

use http::HeaderMap;
use http::header;
use http::response::Parts;

use crate::config::Shape;
use crate::snapshot::Route;

/// Bytes of an answer's beginning that are looked at.
const SEEN: usize = 4 << 10;

/// The signature is not the one that the server computes.
const MISMATCH: &str = "mismatch";
/// The server does not know the access key, or it is disabled.
const UNKNOWN_KEY: &str = "unknown-key";
/// Clocks differ too much.
const SKEW: &str = "skew";
/// A session token is wrong or over.
const TOKEN: &str = "token";
/// The signature lacks something, or names another region or service.
const MALFORMED: &str = "malformed";
/// The server says one thing for all of these.
const UNSPECIFIED: &str = "unspecified";

/// Codes of S3, of AWS services, and of servers that speak like them.
const CODES: [(&str, &str); 26] = [
    ("AccessKeyIdDoesNotExist", UNKNOWN_KEY),
    ("AuthorizationHeaderMalformed", MALFORMED),
    ("AuthorizationQueryParametersError", MALFORMED),
    ("ExpiredToken", TOKEN),
    ("ExpiredTokenException", TOKEN),
    ("IncompleteSignature", MALFORMED),
    ("IncompleteSignatureException", MALFORMED),
    ("InvalidAccessKey", UNKNOWN_KEY),
    ("InvalidAccessKeyId", UNKNOWN_KEY),
    ("InvalidClientTokenId", UNKNOWN_KEY),
    ("InvalidSignature", MISMATCH),
    ("InvalidSignatureException", MISMATCH),
    ("InvalidToken", TOKEN),
    ("MissingAuthenticationToken", MALFORMED),
    ("MissingAuthenticationTokenException", MALFORMED),
    ("MissingSecurityHeader", MALFORMED),
    ("NotSignedUp", UNKNOWN_KEY),
    ("RequestExpired", SKEW),
    ("RequestInTheFuture", SKEW),
    ("RequestTimeTooSkewed", SKEW),
    ("SignatureDoesNotMatch", MISMATCH),
    ("SignatureDoesNotMatchException", MISMATCH),
    ("TokenRefreshRequired", TOKEN),
    ("UnrecognizedClientException", UNKNOWN_KEY),
    ("XAmzContentSHA256Mismatch", MISMATCH),
    ("XMinioInvalidAccessKey", UNKNOWN_KEY),
];
/// CloudStack's one text for a wrong signature, an unknown key and an expired request (`ApiServlet`).
const CLOUDSTACK: &str = "unable to verify user credentials";
/// What ZStack's access keys are refused with (`doAuth` of its accesskey backend, `RestServer.checkTime`).
const ZSTACK: [(&str, &str); 4] = [
    ("wrong accessKey signature", MISMATCH),
    ("access key id", UNKNOWN_KEY),
    ("requestTimeTooSkewed", SKEW),
    ("'Date' format error", MALFORMED),
];

/// Characters of an error's code.
const CODE: usize = 64;

/// An error answer, which may be a rejection.
pub(super) struct Rejection {
    says: Says,
    /// Whether servers of this kind reject with its status.
    suspected: bool,
    /// Known from the head already.
    named: Option<&'static str>,
    seen: Vec<u8>,
}

/// How a family's servers say it.
#[derive(Clone, Copy)]
enum Says {
    Code,
    Cloudstack,
    Zstack,
}

impl Rejection {
    /// Looks at an answer only if its status is one of an error.
    pub(super) fn suspected(route: &Route, head: &Parts) -> Option<Self> {
        Self::of(&route.shape, head.status.as_u16(), &head.headers)
    }

    fn of(shape: &Shape, status: u16, headers: &HeaderMap) -> Option<Self> {
        let (says, statuses): (_, &[u16]) = match shape {
            Shape::Cloudstack { .. } => (Says::Cloudstack, &[401]),
            Shape::Zstack => (Says::Zstack, &[400, 403]),
            Shape::S3 { .. } | Shape::Aws => (Says::Code, &[400, 401, 403]),
        };
        // AWS services that speak JSON name the error in a header as well: `Code:http://…`.
        let named = headers.get("x-amzn-errortype").and_then(|value| value.to_str().ok());
        let named = named.and_then(|value| known(value.split(':').next().unwrap_or_default()));
        let readable = !headers.contains_key(header::CONTENT_ENCODING);
        let suspected = statuses.contains(&status);
        (status >= 400 && (readable || named.is_some())).then(|| Self {
            says,
            suspected,
            named,
            seen: Vec::new(),
        })
    }

    /// Bytes of the answer go by.
    pub(super) fn see(&mut self, data: &[u8]) {
        let room = SEEN.saturating_sub(self.seen.len());
        self.seen.extend_from_slice(&data[..data.len().min(room)]);
    }

    /// The error's code, where the answer names one.
    pub(super) fn code(&self) -> Option<String> {
        let text = String::from_utf8_lossy(&self.seen);
        let code = code(&text)?;
        let is_word = code.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        (is_word && !code.is_empty() && code.len() <= CODE).then(|| code.to_owned())
    }

    /// Why the signature was refused, if it was.
    pub(super) fn reason(&self) -> Option<&'static str> {
        if !self.suspected {
            return None;
        }
        let text = String::from_utf8_lossy(&self.seen);
        match self.says {
            Says::Cloudstack => text.contains(CLOUDSTACK).then_some(UNSPECIFIED),
            Says::Zstack => ZSTACK.iter().find(|(words, _)| text.contains(words)).map(|(_, reason)| *reason),
            Says::Code => self.named.or_else(|| code(&text).and_then(known)),
        }
    }
}

fn known(code: &str) -> Option<&'static str> {
    CODES.binary_search_by_key(&code, |(known, _)| known).ok().map(|at| CODES[at].1)
}

/// The error's code: the first `<Code>` of XML; `__type` after a `#`, `code` or CloudStack's number in JSON.
fn code(text: &str) -> Option<&str> {
    if let Some((_, rest)) = text.split_once("<Code>") {
        return rest.split('<').next().map(str::trim);
    }
    ["\"__type\"", "\"code\"", "\"Code\"", "\"errorCode\"", "\"errorcode\""].into_iter().find_map(|name| {
        let (_, rest) = text.split_once(name)?;
        let value = rest.trim_start().strip_prefix(':')?.trim_start();
        let value = match value.strip_prefix('"') {
            Some(quoted) => quoted.split('"').next()?,
            None => value.split(|c: char| !c.is_ascii_digit()).next()?,
        };
        Some(value.rsplit('#').next().unwrap_or(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::MethodRule;

    fn reason(
        shape: &Shape,
        status: u16,
        headers: &[(&'static str, &str)],
        body: &str,
    ) -> Option<&'static str> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap_or(http::HeaderValue::from_static("")));
        }
        let mut rejection = Rejection::of(shape, status, &map)?;
        // In pieces, as it comes.
        for piece in body.as_bytes().chunks(7) {
            rejection.see(piece);
        }
        rejection.reason()
    }

    const CLOUD: Shape = Shape::Cloudstack { method: MethodRule::Auto };

    #[test]
    fn each_family_says_it_in_its_own_way() {
        assert!(CODES.is_sorted());
        let xml = |code: &str| {
            format!(
                "<?xml version=\"1.0\"?>\n<Error><Code>{code}</Code><Message>SignatureDoesNotMatch</Message></Error>"
            )
        };
        let json = |code: &str| format!("{{\"message\": \"x\", \"__type\" : \"com.amazon#{code}\"}}");
        for (code, why) in CODES {
            assert_eq!(reason(&Shape::Aws, 403, &[], &xml(code)), Some(why), "{code}");
            assert_eq!(reason(&Shape::Aws, 400, &[], &json(code)), Some(why), "{code}");
        }
        let utapi = "{\"code\":\"InvalidAccessKeyId\",\"message\":\"…\"}";
        assert_eq!(reason(&Shape::Aws, 403, &[], utapi), Some(UNKNOWN_KEY));
        let typed = [("x-amzn-errortype", "ExpiredTokenException:http://internal/")];
        assert_eq!(reason(&Shape::Aws, 400, &typed, ""), Some(TOKEN));
        let cloud = "{\"listusersresponse\":{\"uuidList\":[],\"errorcode\":401,\"errortext\":\"unable to verify user \
                     credentials and/or request signature\"}}";
        assert_eq!(reason(&CLOUD, 401, &[], cloud), Some(UNSPECIFIED));
        for (text, why) in [
            ("wrong accessKey signature", MISMATCH),
            ("access key id: X does not existed or disabled", UNKNOWN_KEY),
            ("{\"error\":\"requestTimeTooSkewed\"}", SKEW),
        ] {
            assert_eq!(reason(&Shape::Zstack, 403, &[], text), Some(why), "{text}");
        }
        assert_eq!(reason(&Shape::Zstack, 400, &[], "'Date' format error: …"), Some(MALFORMED));
    }

    #[test]
    fn other_errors_are_none() {
        let xml = "<Error><Code>AccessDenied</Code><Message>SignatureDoesNotMatch</Message></Error>";
        assert_eq!(reason(&Shape::Aws, 403, &[], xml), None);
        assert_eq!(reason(&Shape::Aws, 403, &[], ""), None);
        let mismatch = "<Code>SignatureDoesNotMatch</Code>";
        assert_eq!(reason(&Shape::Aws, 403, &[], mismatch), Some(MISMATCH));
        assert_eq!(reason(&Shape::Aws, 500, &[], mismatch), None);
        assert_eq!(reason(&Shape::Aws, 200, &[], mismatch), None);
        assert_eq!(reason(&Shape::Aws, 403, &[("content-encoding", "gzip")], mismatch), None);
        assert_eq!(reason(&CLOUD, 401, &[], "The user is not allowed to request the API command"), None);
        assert_eq!(reason(&CLOUD, 432, &[], "unable to verify user credentials"), None);
        assert_eq!(reason(&Shape::Zstack, 403, &[], "permission denied"), None);
        // What comes late is not looked for.
        let late = format!("{}{mismatch}", " ".repeat(SEEN));
        assert_eq!(reason(&Shape::Aws, 403, &[], &late), None);
    }
}

//! Answers of our own, in the protocol that the caller's library can read.
//!
//! They say the code and a sentence; never a credential, a signature, or anything of the caller's that was not cut
//! and escaped.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY};
use http::{Response, StatusCode};

use crate::config::Shape;
use crate::reason::{Fault, Reason};
use crate::snapshot::Route;
use crate::target::parameters;

/// How the caller's library wants to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// RFC 9457 problem JSON.
    Problem,
    /// CloudStack's `{"<command>response": {...}}`, or XML.
    Cloudstack {
        /// Lower case, empty when there is none to name.
        command: String,
        /// Whether `response=json` was asked for; XML is the server's default.
        json: bool,
    },
    /// ZStack's error JSON.
    Zstack,
    /// S3's `<Error>`.
    S3,
}

impl Protocol {
    /// The protocol of a route, and what the query says of the form of its answers.
    pub(super) fn of(route: &Route, query: Option<&str>) -> Self {
        match route.shape {
            Shape::Zstack => Self::Zstack,
            Shape::S3 { .. } => Self::S3,
            Shape::Aws => Self::Problem,
            Shape::Cloudstack { .. } => {
                let fields = parameters(query.unwrap_or_default(), 1000).unwrap_or_default();
                let value = |name: &str| {
                    let field = fields.iter().find(|field| field.name == name.as_bytes())?;
                    Some(String::from_utf8_lossy(field.value.as_deref()?).to_lowercase())
                };
                let known = |command: &String| {
                    command.len() <= 64 && command.bytes().all(|b| b.is_ascii_alphanumeric())
                };
                Self::Cloudstack {
                    command: value("command").filter(known).unwrap_or_default(),
                    json: value("response").is_some_and(|format| format == "json"),
                }
            }
        }
    }
}

/// The answer for a reason.
pub(super) fn answer(reason: &Reason, protocol: Protocol) -> Response<Bytes> {
    let status = reason.status();
    let message = reason.message();
    let (media_type, body) = match protocol {
        Protocol::Problem => ("application/problem+json", problem(reason, status, &message)),
        Protocol::Cloudstack { command, json } => cloudstack(&command, json, status, &message),
        Protocol::Zstack => ("application/json", zstack(reason, &message)),
        Protocol::S3 => ("application/xml", s3(reason, &message)),
    };
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(HeaderName::from_static("x-countersign-error"), HeaderValue::from_static(reason.code()));
    if let Reason::MethodNotAllowed(allowed) = reason {
        let list = allowed.replace(" and ", ", ");
        if let Ok(list) = HeaderValue::from_str(&list) {
            headers.insert(http::header::ALLOW, list);
        }
    }
    response
}

fn problem(reason: &Reason, status: StatusCode, message: &str) -> String {
    serde_json::json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or_default(),
        "status": status.as_u16(),
        "detail": message,
        "code": reason.code(),
    })
    .to_string()
}

/// As `ApiResponseSerializer` writes exceptions.
fn cloudstack(command: &str, json: bool, status: StatusCode, message: &str) -> (&'static str, String) {
    let name = if command.is_empty() { "errorresponse".to_owned() } else { format!("{command}response") };
    let status = status.as_u16();
    if json {
        let body = serde_json::json!({ name: { "uuidList": [], "errorcode": status, "errortext": message } });
        return ("application/json", body.to_string());
    }
    let text = quick_xml::escape::escape(message);
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><{name}><errorcode>{status}</errorcode>\
         <errortext>{text}</errortext></{name}>"
    );
    ("text/xml", body)
}

/// As ZStack's own `error` member of a reply.
fn zstack(reason: &Reason, message: &str) -> String {
    serde_json::json!({
        "error": { "code": reason.code(), "description": message, "details": message },
    })
    .to_string()
}

fn s3(reason: &Reason, message: &str) -> String {
    let text = quick_xml::escape::escape(message);
    let code = s3_code(reason);
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{text}</Message></Error>"
    )
}

/// The code of Amazon's error list that an SDK will act on rightly.
fn s3_code(reason: &Reason) -> &'static str {
    match reason {
        Reason::DigestMismatch => "XAmzContentSHA256Mismatch",
        Reason::BodyTooLarge(_) => "EntityTooLarge",
        Reason::LengthRequired => "MissingContentLength",
        Reason::MethodNotAllowed(_) => "MethodNotAllowed",
        Reason::BodyTimeout => "RequestTimeout",
        Reason::UnsupportedBody(_) => "NotImplemented",
        Reason::ChecksumMismatch(_) => "BadDigest",
        Reason::BodyIncomplete => "IncompleteBody",
        Reason::Chunked(error) => error.s3_code(),
        Reason::SpoolFull => "SlowDown",
        Reason::BadPath(_) => "InvalidURI",
        Reason::BadParameter(..) => "InvalidArgument",
        _ => match reason.fault() {
            Fault::Caller => "InvalidRequest",
            Fault::Policy => "AccessDenied",
            Fault::Upstream | Fault::Gateway => "ServiceUnavailable",
        },
    }
}

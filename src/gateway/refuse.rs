//! Answers of our own, in the protocol that the caller's library can read.
//!
//! They say the code and a sentence; never a credential, a signature, or anything of the caller's that was not cut
//! and escaped.

mod words;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{Response, StatusCode};

use super::payload::media_type;
use crate::config::Shape;
use crate::identify::local_region;
use crate::reason::{Fault, Reason};
use crate::sign::VerifyError;
use crate::snapshot::Route;
use crate::target::parameters;
use words::Words;

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
    /// An AWS service that speaks JSON and is told the operation by `x-amz-target`.
    AwsJson,
    /// An AWS service of the query protocol: XML, the operation as `Action`.
    AwsQuery,
}

impl Protocol {
    /// The protocol of a route, and what head and form say of the form of its answers.
    pub(super) fn of(route: &Route, head: &Parts, form: Option<&[u8]>) -> Self {
        let query = head.uri.query().unwrap_or_default();
        match route.shape {
            Shape::Zstack => Self::Zstack,
            Shape::S3 { .. } => Self::S3,
            Shape::Aws if head.headers.contains_key("x-amz-target") => Self::AwsJson,
            Shape::Aws if query.split('&').any(|field| field.starts_with("Action=")) => Self::AwsQuery,
            Shape::Aws => match media_type(head).as_deref() {
                Some("application/x-www-form-urlencoded") => Self::AwsQuery,
                _ => Self::Problem,
            },
            Shape::Cloudstack { .. } => {
                let form = form.and_then(|form| std::str::from_utf8(form).ok()).unwrap_or_default();
                let mut fields = parameters(query, 1000).unwrap_or_default();
                fields.extend(parameters(form, 1000).unwrap_or_default());
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
pub(super) fn answer(reason: &Reason, protocol: Protocol, route: Option<&Route>) -> Response<Bytes> {
    let (status, code, message) = match words::of(reason, &protocol) {
        Some(Words { status, code, message }) => (status, code, message),
        None => (reason.status(), "".into(), reason.message()),
    };
    let (media_type, body) = match protocol {
        Protocol::Problem => ("application/problem+json", problem(reason, status, &message)),
        Protocol::Cloudstack { command, json } => cloudstack(&command, json, status, &message),
        Protocol::Zstack => ("application/json", zstack(reason, &message)),
        Protocol::S3 => {
            let code = if code.is_empty() { s3_code(reason) } else { &code };
            let region = route.filter(|_| matches!(reason, Reason::BadSignature(VerifyError::Scope, _)));
            ("application/xml", s3(code, &message, region.map(|route| local_region(&route.scheme))))
        }
        Protocol::AwsJson => ("application/x-amz-json-1.1", aws_json(&code, &message)),
        Protocol::AwsQuery => ("text/xml", aws_query(&code, reason, &message)),
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
    let wait = match reason {
        Reason::RateLimited(seconds) => Some(*seconds),
        Reason::ConcurrencyLimited => Some(1),
        _ => None,
    };
    if let Some(seconds) = wait {
        headers.insert(http::header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if matches!(reason, Reason::NotAuthenticated { token: true }) && status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if *reason == Reason::TokenUnknown {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer error=\"invalid_token\""));
    }
    if matches!(media_type, "application/x-amz-json-1.1")
        && let Ok(code) = HeaderValue::from_str(&code)
    {
        headers.insert(HeaderName::from_static("x-amzn-errortype"), code);
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

fn s3(code: &str, message: &str, region: Option<&str>) -> String {
    let text = quick_xml::escape::escape(message);
    let region = region.map(|region| format!("<Region>{}</Region>", quick_xml::escape::escape(region)));
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{text}</Message>{}</Error>",
        region.unwrap_or_default()
    )
}

/// As the JSON protocols of AWS write exceptions.
fn aws_json(code: &str, message: &str) -> String {
    serde_json::json!({ "__type": code, "message": message }).to_string()
}

/// As the query protocol of AWS writes errors.
fn aws_query(code: &str, reason: &Reason, message: &str) -> String {
    let blame = match reason.fault() {
        Fault::Caller | Fault::Policy => "Sender",
        Fault::Upstream | Fault::Gateway => "Receiver",
    };
    let text = quick_xml::escape::escape(message);
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ErrorResponse><Error><Type>{blame}</Type><Code>{code}</Code>\
         <Message>{text}</Message></Error></ErrorResponse>"
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
        Reason::SpoolFull | Reason::RateLimited(_) | Reason::ConcurrencyLimited => "SlowDown",
        Reason::BadPath(_) => "InvalidURI",
        Reason::BadParameter(..) => "InvalidArgument",
        Reason::BadBody(_) => "MalformedXML",
        _ => match reason.fault() {
            Fault::Caller => "InvalidRequest",
            Fault::Policy => "AccessDenied",
            Fault::Upstream | Fault::Gateway => "ServiceUnavailable",
        },
    }
}

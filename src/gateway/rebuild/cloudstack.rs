//! CloudStack: query and form become one list of parameters, in which every name stands once.
//!
//! The server reads the first value here and the last one there (`ApiServer.verifyRequest` against `ApiServlet`),
//! matches some names without regard to case, and signs names unencoded; so whatever it could read in two ways is
//! refused, and the caller's own signature parameters never arrive.

use bytes::Bytes;
use http::Method;

use super::{Request, pairs};
use crate::config::MethodRule;
use crate::gateway::judge::Desk;
use crate::gateway::payload::{Source, media_type};
use crate::operation::{self, Operation};
use crate::outbound::{Content, Draft};
use crate::reason::Reason;
use crate::sign::cloudstack::{is_read_command, is_reserved};
use crate::target::{EmptyValue, Parameter, parameters, query, strict_path};

pub(super) async fn rebuild(
    request: &Request<'_>,
    source: Source<'_>,
    desk: &mut Desk<'_>,
    rule: MethodRule,
) -> Result<(Draft, Content, Operation), Reason> {
    let method = request.head.method.clone();
    if !matches!(method, Method::GET | Method::POST) {
        return Err(Reason::MethodNotAllowed("GET and POST"));
    }
    let path = strict_path(&request.rewritten())?;
    let limit = request.limits.parameters;
    let mut fields = parameters(request.inbound.query.unwrap_or_default(), limit)?;
    fields.extend(form(request, source).await?);
    if fields.len() > limit {
        return Err(Reason::TooManyParameters(limit));
    }
    fields.retain(|field| !is_reserved(&String::from_utf8_lossy(&field.name)));
    desk.note(pairs(&fields));
    check(&fields)?;
    let command =
        fields.iter().find(|field| field.name == b"command").and_then(|field| field.value.as_deref());
    let command = command.and_then(|name| std::str::from_utf8(name).ok()).filter(|name| !name.is_empty());
    let command = command.ok_or(Reason::CommandMissing)?.to_owned();

    let post = match rule {
        MethodRule::Auto => method == Method::POST || !is_read_command(&command),
        MethodRule::Keep => method == Method::POST,
        MethodRule::Post => true,
    };
    let written = query(&fields, EmptyValue::AsSent);
    let mut draft = request.draft(path, None);
    draft.headers.remove(http::header::CONTENT_TYPE);
    let content = if post {
        draft.method = Method::POST;
        Content::Form(written.unwrap_or_default())
    } else {
        draft.query = written;
        Content::Whole(Bytes::new(), None)
    };
    Ok((draft, content, operation::cloudstack(&command)))
}

/// The fields of a form body. The server reads no other kind (`ApiServlet.processRequestInContext`).
async fn form(request: &Request<'_>, source: Source<'_>) -> Result<Vec<Parameter>, Reason> {
    if source.is_empty() {
        return Ok(Vec::new());
    }
    if request.head.method == Method::GET {
        return Err(Reason::UnexpectedBody);
    }
    match media_type(request.head).as_deref() {
        Some("application/x-www-form-urlencoded") => {}
        _ => return Err(Reason::UnsupportedBody("CloudStack reads application/x-www-form-urlencoded only")),
    }
    let body = Box::pin(source.form()).await?;
    let text = std::str::from_utf8(&body).map_err(|_| Reason::UnsupportedBody("the form is not UTF-8"))?;
    parameters(text.trim_end_matches(['\r', '\n']), request.limits.parameters)
}

fn check(fields: &[Parameter]) -> Result<(), Reason> {
    let bad = |field: &Parameter, why| Err(Reason::BadParameter(field.shown_name(), why));
    for field in fields {
        let Ok(name) = std::str::from_utf8(&field.name) else { return bad(field, "its name is not UTF-8") };
        if name.is_empty() {
            return bad(field, "its name is empty");
        }
        if name.chars().any(char::is_control) {
            return bad(field, "a control character in its name");
        }
        if name.contains(['=', '&']) {
            // Names are signed unencoded: `a=b&c` would sign like the two parameters `a=b` and `c`.
            return bad(field, "`=` or `&` in its name");
        }
        if std::str::from_utf8(field.value.as_deref().unwrap_or_default()).is_err() {
            return bad(field, "its value is not UTF-8");
        }
    }
    let mut names: Vec<String> =
        fields.iter().map(|field| String::from_utf8_lossy(&field.name).to_lowercase()).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Reason::DuplicateParameter(pair[0].clone())),
        None => Ok(()),
    }
}

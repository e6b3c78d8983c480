//! Any other AWS service: segments of the path are re-encoded one by one, the body is hashed.

use super::Request;
use crate::gateway::payload::{Source, media_type};
use crate::operation;
use crate::outbound::{Content, Draft};
use crate::reason::Reason;
use crate::sign::Scheme;
use crate::sign::sigv4::is_query_credential;
use crate::target::{EmptyValue, Parameter, Segments, parameters, query, replace_prefix, segment_path};

pub(super) async fn rebuild(
    request: &Request<'_>,
    source: Source<'_>,
) -> Result<(Draft, Content, String), Reason> {
    let (segments, service) = match &request.route.scheme {
        Scheme::SigV4(options) if options.normalize => (Segments::Normalize, options.service.as_str()),
        Scheme::SigV4(options) => (Segments::Keep, options.service.as_str()),
        _ => (Segments::Normalize, ""),
    };
    let prefix = &request.route.path;
    let floor = prefix.split('/').skip(1).count();
    let path = segment_path(request.inbound.path, floor, segments)?;
    let path =
        replace_prefix(&path, prefix, request.route.endpoint.upstream.rewrite_path.as_deref()).into_owned();
    let mut fields = parameters(request.inbound.query.unwrap_or_default(), request.limits.parameters)?;
    fields.retain(|field| !is_query_credential(&field.shown_name()));
    let mut draft = request.draft(path, query(&fields, EmptyValue::AsSent));
    let content = source.gathered(&mut draft.headers).await?;
    let form = form(request, &content);
    let method = request.head.method.as_str();
    let actions = fields.iter().chain(&form);
    let operation = operation::aws(service, method, &draft.path, actions, &request.head.headers);
    Ok((draft, content, operation))
}

/// The fields of a query-protocol form, which name the action. A body that is no form names none.
fn form(request: &Request<'_>, content: &Content) -> Vec<Parameter> {
    match content {
        Content::Whole(body, _)
            if media_type(request.head).as_deref() == Some("application/x-www-form-urlencoded") =>
        {
            let text = std::str::from_utf8(body).unwrap_or_default();
            parameters(text, request.limits.parameters).unwrap_or_default()
        }
        _ => Vec::new(),
    }
}

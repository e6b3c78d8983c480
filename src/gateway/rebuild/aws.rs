//! Any other AWS service: segments of the path are re-encoded one by one, the body is hashed. A form names the action,
//! so it is read whole.

use bytes::Bytes;

use super::{Request, form_fields, is_form, pairs};
use crate::gateway::judge::Desk;
use crate::gateway::payload::Source;
use crate::operation::{self, Operation, aws::Call};
use crate::outbound::{Content, Draft};
use crate::reason::Reason;
use crate::sign::Scheme;
use crate::sign::sigv4::is_query_credential;
use crate::target::{EmptyValue, Segments, parameters, query, replace_prefix, segment_path};

pub(super) async fn rebuild(
    request: &Request<'_>,
    source: Source<'_>,
    desk: &mut Desk<'_>,
) -> Result<(Draft, Content, Operation), Reason> {
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
    fields.retain(|field| !is_query_credential(&String::from_utf8_lossy(&field.name)));
    let mut draft = request.draft(path, query(&fields, EmptyValue::AsSent));
    desk.note(pairs(&fields));
    let is_form = is_form(request.head);
    let content = if is_form {
        let (form, reservation) = Box::pin(source.held(None, &mut draft.headers)).await?;
        Content::Whole(form, Some(reservation))
    } else if source.is_absent() {
        Content::Whole(Bytes::new(), None)
    } else {
        Box::pin(source.gathered(&mut draft.headers)).await?
    };
    let form = match &content {
        Content::Whole(body, _) if is_form => form_fields(body, request.limits.parameters)?,
        _ => Vec::new(),
    };
    if !form.is_empty() {
        desk.note(pairs(&fields).chain(pairs(&form)));
    }
    let other_body = !is_form && !matches!(&content, Content::Whole(body, _) if body.is_empty());
    let (method, headers) = (request.head.method.as_str(), &draft.headers);
    let call = Call { service, method, path: &draft.path, query: &fields, form: &form, other_body, headers };
    let operation = operation::aws::aws(&call)?;
    Ok((draft, content, operation))
}

//! ZStack: method and path are signed, query and body are not; the body streams.

use http::{HeaderMap, Method};

use super::Request;
use crate::gateway::payload::Source;
use crate::operation;
use crate::outbound::{Content, Draft};
use crate::reason::Reason;
use crate::sign::Scheme;
use crate::target::{EmptyValue, Parameter, parameters, query, strict_path};

pub(super) async fn rebuild(
    request: &Request<'_>,
    source: Source<'_>,
) -> Result<(Draft, Content, String), Reason> {
    let method = &request.head.method;
    if !matches!(*method, Method::GET | Method::POST | Method::PUT | Method::DELETE) {
        return Err(Reason::MethodNotAllowed("GET, POST, PUT and DELETE"));
    }
    if *method == Method::GET && !source.is_empty() {
        return Err(Reason::UnexpectedBody);
    }
    let path = strict_path(&request.rewritten())?;
    let fields = parameters(request.inbound.query.unwrap_or_default(), request.limits.parameters)?;
    unique(&fields)?;
    let context_path = match &request.route.scheme {
        Scheme::Zstack(options) => options.context_path.as_str(),
        _ => "",
    };
    let operation = operation::zstack(method.as_str(), &path, context_path);
    let draft = request.draft(path, query(&fields, EmptyValue::AsSent));
    // Checksums of S3's trailers are none of ZStack's headers.
    let content = source.unsigned(&mut HeaderMap::new()).await?;
    Ok((draft, content, operation))
}

fn unique(fields: &[Parameter]) -> Result<(), Reason> {
    for (index, field) in fields.iter().enumerate() {
        if fields[..index].iter().any(|earlier| earlier.name == field.name) {
            return Err(Reason::DuplicateParameter(field.shown_name()));
        }
    }
    Ok(())
}

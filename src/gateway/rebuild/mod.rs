//! From what the caller wrote to what will be sent: one file per protocol.
//!
//! The request is parsed once, refused where two readings are possible, and written anew; the operation is named
//! from the same values. Nothing of the caller's spelling survives but the values themselves.

mod aws;
mod cloudstack;
mod s3;
mod zstack;

use std::cell::Cell;

use http::HeaderMap;
use http::request::Parts;

use super::admit::Inbound;
use super::headers::towards_upstream;
use super::judge::Desk;
use super::payload::{Source, media_type};
use crate::config::{Limits, Shape};
use crate::operation::Operation;
use crate::outbound::{Content, Draft};
use crate::reason::Reason;
use crate::snapshot::Route;
use crate::target::{Parameter, parameters};

/// What every protocol's rebuilding reads.
struct Request<'r> {
    route: &'r Route,
    inbound: &'r Inbound<'r>,
    head: &'r Parts,
    limits: &'r Limits,
    /// An empty map, for the first draft.
    kept: Cell<HeaderMap>,
}

/// Rebuilds a request for the route of `desk`; gives the draft, its body, and the operation that both of them are. What
/// a call says of itself is noted at the desk as soon as it is known, and judged there before a body is read that says
/// nothing of it; what is rebuilt is the caller's to have judged in any case.
pub(super) async fn rebuild(
    desk: &mut Desk<'_>,
    inbound: &Inbound<'_>,
    head: &Parts,
    source: Source<'_>,
    limits: &Limits,
) -> Result<(Draft, Content, Operation), Reason> {
    let route = desk.route;
    let kept = Cell::new(std::mem::take(&mut desk.headers));
    let request = Request { route, inbound, head, limits, kept };
    match route.shape {
        Shape::Cloudstack { method } => cloudstack::rebuild(&request, source, desk, method).await,
        Shape::Zstack => zstack::rebuild(&request, source, desk).await,
        Shape::S3 { addressing, payload, chunked } => {
            s3::rebuild(&request, source, desk, addressing, payload, chunked).await
        }
        Shape::Aws => aws::rebuild(&request, source, desk).await,
    }
}

/// Names and values as the record takes them.
fn pairs(fields: &[Parameter]) -> impl Iterator<Item = (&[u8], &[u8])> {
    fields.iter().map(|field| (&*field.name, field.value.as_deref().unwrap_or_default()))
}

/// Whether the body is a form, which may name the call.
fn is_form(head: &Parts) -> bool {
    media_type(head).as_deref() == Some("application/x-www-form-urlencoded")
}

/// The fields of a form body. One that cannot be read is refused: it could name a call.
fn form_fields(body: &[u8], limit: usize) -> Result<Vec<Parameter>, Reason> {
    let text = std::str::from_utf8(body).map_err(|_| Reason::UnsupportedBody("the form is not UTF-8"))?;
    parameters(text.trim_end_matches(['\r', '\n']), limit)
}

impl Request<'_> {
    /// A draft with everything that no protocol changes.
    fn draft(&self, path: String, query: Option<String>) -> Draft {
        Draft {
            method: self.head.method.clone(),
            path,
            query,
            headers: towards_upstream(&self.head.headers, self.route, self.kept.take()),
            host: self.route.endpoint.host.clone(),
            host_bucket: None,
        }
    }

    /// The path after the route's `rewrite-path`.
    fn rewritten(&self) -> std::borrow::Cow<'_, str> {
        let with = self.route.endpoint.upstream.rewrite_path.as_deref();
        crate::target::replace_prefix(self.inbound.path, &self.route.path, with)
    }
}

//! What would become of a request, without sending it: the very code that serves traffic, up to the socket.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use jiff::Timestamp;

use super::admit::Inbound;
use super::filter;
use super::judge::{self, Desk};
use super::payload::{Cover, Source};
use super::rebuild::rebuild;
use crate::audit::Record;
use crate::audit::parameters::Hasher;
use crate::body::Meter;
use crate::body::spool::Store;
use crate::body::stream::Input;
use crate::operation::Operation;
use crate::outbound::{Arena, Content, Draft, SignedRequest};
use crate::policy::Decision;
use crate::reason::Reason;
use crate::sign::{Scratch, Stages};
use crate::snapshot::{Route, Snapshot};

/// A request as a caller would send it to the gateway.
pub struct DryRun {
    /// Method, URL (its host picks the route) and headers.
    pub request: Request<Bytes>,
}

/// A request that was rebuilt and not yet signed.
pub struct Planned {
    /// The route that took it.
    pub route: Arc<Route>,
    /// What it asks for.
    pub operation: Operation,
    draft: Draft,
    content: Content,
}

impl DryRun {
    /// The route that this request would take.
    pub fn route(&self, world: &Snapshot) -> Result<Arc<Route>, Reason> {
        let host = self.request.uri().host().unwrap_or_default().to_ascii_lowercase();
        let index = world.table.find(&host, self.request.uri().path()).ok_or(Reason::RouteNotFound)?;
        Ok(world.routes[index].clone())
    }

    /// Rebuilds the request for its route.
    pub async fn plan(self, world: &Snapshot) -> Result<Planned, Reason> {
        let route = self.route(world)?;
        let (mut head, body) = self.request.into_parts();
        if !body.is_empty() {
            head.headers.insert(http::header::CONTENT_LENGTH, body.len().into());
        }
        let host = head.uri.host().unwrap_or_default().to_ascii_lowercase();
        let uri = head.uri.clone();
        let inbound = Inbound { host: host.into(), path: uri.path(), query: uri.query() };
        let store = Store::default();
        let source = Source::new(
            &head,
            Input::Memory(Some(body)),
            &world.limits,
            &store,
            Rc::<Meter>::default(),
            Cover::default(),
        )?;
        let (hasher, mut record) = (Hasher::random(), Record::open("", "", None));
        let mut desk = Desk {
            route: &route,
            client: None,
            hasher: &hasher,
            record: &mut record,
            headers: http::HeaderMap::new(),
        };
        let (mut draft, content, operation) =
            rebuild(&mut desk, &inbound, &head, source, &world.limits).await?;
        filter::prepare(&route, &operation, &mut draft.headers);
        Ok(Planned { route, operation, draft, content })
    }
}

impl Planned {
    /// What policy says of it, called by this client or by nobody in particular; and the refusal, where it is one.
    pub fn judged(&self, world: &Snapshot, client: Option<&str>) -> (Decision<'_>, Option<Reason>) {
        let grant = client.and_then(|name| world.grants.get(name));
        let decision = judge::decide(&self.route, grant.map(|grant| &**grant), &self.operation);
        let refusal = judge::refusal(&decision, &self.route.name, client.unwrap_or_default());
        (decision, refusal)
    }

    /// Signs as the gateway would at `now`; `observe` sees the stages.
    pub fn sign(self, now: Timestamp, observe: impl FnOnce(&Stages<'_>)) -> Result<SignedRequest, Reason> {
        let signer = self.route.signer.as_deref().ok_or(Reason::CredentialUnavailable)?;
        let (mut scratch, mut arena) = (Scratch::default(), Arena::default());
        SignedRequest::sign(self.draft, self.content, signer, now, (&mut scratch, &mut arena), observe)
    }

    /// A URL at the upstream that holds for `expires` seconds from `now`.
    pub fn presign(
        self,
        now: Timestamp,
        expires: u32,
        observe: impl FnOnce(&Stages<'_>),
    ) -> Result<String, Reason> {
        let signer = self.route.signer.as_deref().ok_or(Reason::CredentialUnavailable)?;
        let scheme = if self.route.endpoint.upstream.tls { "https" } else { "http" };
        let host = self.draft.host.clone();
        let target = self.draft.presign(signer, now, expires, &mut Scratch::default(), observe)?;
        Ok(format!("{scheme}://{host}{target}"))
    }
}

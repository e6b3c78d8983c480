//! Who is calling, before anything else of a request is judged.
//!
//! The caller's own signature is verified over the request as it came: its host, its path, its bytes. Where it covers
//! the body, the body is read first, or checked as it flows. Whoever is nobody here loses the connection: what was
//! found out about it is found out anew for the next one.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use http_body::Body as _;
use hyper::body::Incoming;
use jiff::Timestamp;

use super::admit::Inbound;
use super::payload::{self, Cover, Source, media_type};
use super::refuse::Protocol;
use super::{Gateway, Progress};
use crate::body::stream::Input;
use crate::caller::Peer;
use crate::config::{HostMatch, Shape};
use crate::identify::{Entrance, Identity, Refusal, Replay, Shown, Verified};
use crate::reason::Reason;
use crate::route::below;
use crate::sign::claim::{Claim, Place};
use crate::sign::{ChunkMode, Head, Payload, VerifyError};
use crate::snapshot::{Route, Snapshot};

const CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");

/// The longest key id that is recorded.
const LONGEST_KEY: usize = 128;

/// What identification reads.
#[derive(Clone, Copy)]
pub(super) struct Asking<'r> {
    pub(super) world: &'r Snapshot,
    pub(super) route: &'r Route,
    pub(super) inbound: &'r Inbound<'r>,
    pub(super) head: &'r Parts,
    /// What the connection tells, or a trusted proxy in its place.
    pub(super) peer: &'r Peer,
}

/// A caller who may use the route. Which client it is stands in the record.
pub(super) struct Caller<'r> {
    /// The caller's own signature, when that was the proof.
    pub(super) signature: Option<Verified<'r>>,
    /// The body, read or unread.
    pub(super) source: Source<'r>,
}

/// Uses a caller's signature up for a call that changes something, where the route takes each one once.
pub(super) fn use_up(
    signature: Option<&Verified<'_>>,
    world: &Snapshot,
    route: &Route,
) -> Result<(), Reason> {
    let Some(verified) = signature.filter(|_| route.refuse_replays) else { return Ok(()) };
    world.replays.take(&verified.claim, Timestamp::now()).map_err(|replay| match replay {
        Replay::Seen => Reason::Replayed,
        Replay::WithoutEnd => Reason::SignatureWithoutEnd,
        Replay::Full => Reason::ReplaysFull,
    })
}

/// The body, as far as it had to be read.
struct Inflow<'r> {
    unread: Option<Incoming>,
    read: Option<Source<'r>>,
}

/// A client, and what its signature says of a body that was not read.
type Proved<'r> = (Identity<'r>, Cover);

/// What came of judging a head.
#[allow(clippy::large_enum_variant, reason = "it lives for a moment, and a box would cost every call")]
enum Judged<'r> {
    Proved(Proved<'r>),
    /// All is well, unless the signature is of another body than this one.
    ButForBody(Claim),
}

impl Gateway {
    /// Finds out who is calling and may use the route, or refuses.
    pub(super) async fn identify<'r>(
        &'r self,
        asking: Asking<'r>,
        incoming: Incoming,
        progress: &mut Progress,
    ) -> Result<Caller<'r>, Reason> {
        let mut inflow = Inflow { unread: Some(incoming), read: None };
        let proved = match &asking.route.entrance {
            None => None,
            Some(entrance) => {
                let proved = self.prove(asking, entrance, &mut inflow, progress).await;
                Some(proved.map_err(|Refusal { reason, cause }| {
                    progress.close = true;
                    progress.call.record.cause = cause;
                    reason
                })?)
            }
        };
        if is_cloudstack_form(&asking) {
            // Refusals that are still to come are told in the form that the form asks for.
            Box::pin(self.read_form(asking, &mut inflow, progress)).await?;
        }
        let (identity, cover) = proved.unzip();
        if let Some(Identity { client, proof, .. }) = &identity {
            progress.call.identified(asking.world.clients.name(*client), proof);
        }
        let source = match inflow {
            Inflow { read: Some(source), .. } => source,
            Inflow { unread: Some(incoming), .. } => {
                self.source(asking, incoming, cover.unwrap_or_default(), progress)?
            }
            Inflow { .. } => return Err(Reason::Internal),
        };
        Ok(Caller { signature: identity.and_then(|identity| identity.signature), source })
    }

    /// Judges what the caller shows. What waits for a body is boxed: most callers are judged by their heads alone.
    async fn prove<'r>(
        &'r self,
        asking: Asking<'r>,
        entrance: &'r Entrance,
        inflow: &mut Inflow<'r>,
        progress: &mut Progress,
    ) -> Result<Proved<'r>, Refusal> {
        let mut form = None;
        if entrance.takes_keys() {
            if asking.head.headers.get_all(CONTENT_TYPE).iter().nth(1).is_some() {
                // It decides whether the body is signed.
                return Err(Reason::BadHeader("content-type".into(), "it stands more than once").into());
            }
            if is_cloudstack_form(&asking) {
                form = Box::pin(self.read_form(asking, inflow, progress)).await?;
            }
        }
        let local_key = &mut progress.call.record.local_key;
        let claim = match self.judge_head(asking, entrance, form.as_deref(), inflow, local_key)? {
            Judged::Proved(proved) => return Ok(proved),
            Judged::ButForBody(claim) => claim,
        };
        let incoming = inflow.unread.take().ok_or(Reason::Internal)?;
        let source = self.source(asking, incoming, Cover::default(), progress)?;
        let (source, digest) = Box::pin(source.read()).await?;
        inflow.read = Some(source);
        let headers = with_host(asking.head);
        let identity =
            self.judge(asking, entrance, claim, (&signed(asking, &headers), Payload::Digest(digest)))?;
        Ok((identity, Cover::default()))
    }

    /// Judges a head, and the form that follows it.
    fn judge_head<'r>(
        &'r self,
        asking: Asking<'r>,
        entrance: &'r Entrance,
        form: Option<&[u8]>,
        inflow: &Inflow<'r>,
        local_key: &mut String,
    ) -> Result<Judged<'r>, Refusal> {
        let Asking { world, route, head, peer, .. } = asking;
        let headers = with_host(head);
        let signed = signed(asking, &headers);
        let uncovered = |identity| Judged::Proved((identity, Cover::default()));
        let (family, place) = match entrance.shown(&signed, form)? {
            Shown::Nothing => return entrance.by_connection(&world.clients, peer).map(uncovered),
            Shown::Token(hash) => return entrance.by_token(&world.clients, &hash, peer).map(uncovered),
            Shown::Signature(family, place) => (family, place),
        };
        let payload = form.map_or(Payload::Unsigned, Payload::Whole);
        let claim = entrance.claim((family, place), &signed, payload, &mut self.scratch.borrow_mut())?;
        recorded(&claim.key).clone_into(local_key);
        if route.shape != Shape::Aws || (place == Place::Header && headers.contains_key(CONTENT_SHA256)) {
            let identity = self.judge(asking, entrance, claim, (&signed, payload))?;
            let cover = identity.signature.as_ref().map(|verified| covered(verified, head)).transpose()?;
            return Ok(Judged::Proved((identity, cover.unwrap_or_default())));
        }
        // Other services than S3 sign the body without saying its digest.
        if inflow.unread.as_ref().is_none_or(Incoming::is_end_stream) {
            return self.judge(asking, entrance, claim, (&signed, Payload::Whole(b""))).map(uncovered);
        }
        match self.judge(asking, entrance, claim.clone(), (&signed, Payload::Digest([0; 32]))) {
            // Nothing but the digest is wrong, as far as one can tell: only now the body is worth reading.
            Ok(_) | Err(Refusal { reason: Reason::BadSignature(VerifyError::Mismatch, _), .. }) => {
                Ok(Judged::ButForBody(claim))
            }
            Err(refusal) => Err(refusal),
        }
    }

    /// Judges a signature.
    fn judge<'r>(
        &self,
        asking: Asking<'r>,
        entrance: &'r Entrance,
        claim: Claim,
        over: (&Head<'_>, Payload<'_>),
    ) -> Result<Identity<'r>, Refusal> {
        let scratch = &mut self.scratch.borrow_mut();
        entrance.by_signature(&asking.world.clients, claim, over, asking.peer, Timestamp::now(), scratch)
    }

    /// Reads a form to its end, and learns from it how the caller wants to be answered. `None` when it was read before.
    async fn read_form<'r>(
        &'r self,
        asking: Asking<'r>,
        inflow: &mut Inflow<'r>,
        progress: &mut Progress,
    ) -> Result<Option<Bytes>, Reason> {
        let Some(incoming) = inflow.unread.take() else { return Ok(None) };
        let source = self.source(asking, incoming, Cover::default(), progress)?;
        let (source, mut form) = source.read_form().await?;
        inflow.read = Some(source);
        // As rebuilding does: line ends after a form belong to nobody's value, here and upstream.
        let end = form.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n')).map_or(0, |last| last + 1);
        form.truncate(end);
        progress.protocol = Protocol::of(asking.route, asking.head, Some(&form));
        Ok(Some(form))
    }

    fn source<'r>(
        &'r self,
        asking: Asking<'r>,
        incoming: Incoming,
        cover: Cover,
        progress: &Progress,
    ) -> Result<Source<'r>, Reason> {
        let (input, limits) = (Input::Caller(incoming), &asking.world.limits);
        Source::new(asking.head, input, limits, &self.store, progress.meter.clone(), cover)
    }
}

/// What a caller signs.
fn signed<'h>(asking: Asking<'h>, headers: &'h HeaderMap) -> Head<'h> {
    let Asking { route, inbound, head, .. } = asking;
    Head {
        method: head.method.as_str(),
        path: inbound.path,
        query: inbound.query,
        headers,
        host_bucket: bucket(route, inbound),
    }
}

/// Whether the parameters of a CloudStack call may stand in its body.
fn is_cloudstack_form(asking: &Asking<'_>) -> bool {
    matches!(asking.route.shape, Shape::Cloudstack { .. })
        && asking.head.method == Method::POST
        && is_form(asking.head)
}

fn is_form(head: &Parts) -> bool {
    media_type(head).as_deref() == Some("application/x-www-form-urlencoded")
}

/// The caller's headers with the host among them, which HTTP/2 names elsewhere.
fn with_host(head: &Parts) -> Cow<'_, HeaderMap> {
    let named = head.uri.authority().and_then(|name| HeaderValue::from_str(name.as_str()).ok());
    match named {
        Some(name) if !head.headers.contains_key(HOST) => {
            let mut headers = head.headers.clone();
            headers.insert(HOST, name);
            Cow::Owned(headers)
        }
        _ => Cow::Borrowed(&head.headers),
    }
}

/// The bucket that the caller named in the host.
fn bucket<'r>(route: &'r Route, inbound: &'r Inbound<'_>) -> Option<&'r str> {
    match &route.host {
        HostMatch::Suffix(suffix) => below(&inbound.host, suffix),
        HostMatch::Exact(_) | HostMatch::Any => None,
    }
}

/// What a verified signature says of the body that follows.
fn covered(verified: &Verified<'_>, head: &Parts) -> Result<Cover, Reason> {
    let bad = || {
        let error = VerifyError::Malformed("x-amz-content-sha256");
        Reason::BadSignature(error, verified.claim.place)
    };
    let stated = head.headers.get(CONTENT_SHA256).and_then(|value| value.to_str().ok());
    // In a signed URL the word may stand in the query; the body is read by what the header says.
    let digest = match verified.claim.payload.as_deref() {
        None | Some("UNSIGNED-PAYLOAD") => None,
        Some(word) if ChunkMode::from_token(word).is_some() && stated == Some(word) => None,
        Some(hex) => Some(payload::digest(hex.as_bytes()).ok_or_else(bad)?),
    };
    let verifier = match stated.and_then(ChunkMode::from_token) {
        Some(mode @ (ChunkMode::Signed | ChunkMode::SignedTrailer)) => {
            Some(verified.chunk_verifier(mode).ok_or_else(bad)?.into())
        }
        Some(ChunkMode::UnsignedTrailer) | None => None,
    };
    Ok(Cover { digest, verifier })
}

/// A key id as the record shows it. A text that is no id could be a secret in the wrong place.
fn recorded(key: &str) -> &str {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if key.len() <= LONGEST_KEY && key.bytes().all(good) { key } else { "(no id)" }
}

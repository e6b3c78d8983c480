//! An upstream's answer that may be looked into before it is passed on.
//!
//! Nothing of it is lost by looking: what was read is passed first, then what still comes. An answer that breaks
//! off while it is read is an error, never a shorter answer.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderValue};
use http::response::Parts;
use http_body::Body as _;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::reason::Reason;
use crate::upstream::{Answer, Lease};

/// An answer, of whose body some may have been read.
pub(super) struct Received {
    /// Status and headers.
    pub(super) head: Parts,
    begun: Bytes,
    rest: Option<Rest>,
}

/// What is still on the wire.
pub(super) struct Rest {
    /// The body.
    pub(super) incoming: Incoming,
    lease: Option<Lease>,
}

impl Rest {
    /// The last byte was read: the connection goes back to its pool.
    pub(super) fn finish(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
    }
}

impl From<Answer> for Received {
    fn from(answer: Answer) -> Self {
        let (head, incoming) = answer.response.into_parts();
        Self { head, begun: Bytes::new(), rest: Some(Rest { incoming, lease: answer.lease }) }
    }
}

impl Received {
    /// Head, what was read, and what was not.
    pub(super) fn into_parts(self) -> (Parts, Bytes, Option<Rest>) {
        (self.head, self.begun, self.rest)
    }

    /// The whole body, when it has at most `limit` bytes and no content coding. It may not stall for `timeout`.
    pub(super) async fn text(&mut self, limit: usize, timeout: Duration) -> Result<Option<Bytes>, Reason> {
        if !is_identity(&self.head) {
            return Ok(None);
        }
        let Some(rest) = &mut self.rest else { return Ok(Some(self.begun.clone())) };
        if rest.incoming.size_hint().lower() > limit as u64 {
            return Ok(None);
        }
        let mut begun = BytesMut::from(std::mem::take(&mut self.begun));
        while begun.len() <= limit {
            let frame = tokio::time::timeout(timeout, rest.incoming.frame()).await;
            let Some(frame) = frame.map_err(|_| Reason::UpstreamTimeout)? else {
                rest.finish();
                self.rest = None;
                self.begun = begun.freeze();
                return Ok(Some(self.begun.clone()));
            };
            let frame = frame.map_err(|_| Reason::UpstreamProtocol)?;
            begun.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
        }
        self.begun = begun.freeze();
        Ok(None)
    }

    /// Puts another text in the place of one that [`Self::text`] gave.
    pub(super) fn replace(&mut self, text: Bytes) {
        if self.head.headers.contains_key(header::CONTENT_LENGTH) {
            self.head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(text.len()));
        }
        self.begun = text;
    }

    /// Gives back the connection of an answer whose body nobody needs. One that has a body takes it along.
    pub(super) fn discard(self) {
        if let Some(mut rest) = self.rest
            && rest.incoming.is_end_stream()
        {
            rest.finish();
        }
    }
}

fn is_identity(head: &Parts) -> bool {
    let mut codings = head.headers.get_all(header::CONTENT_ENCODING).iter();
    codings.all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

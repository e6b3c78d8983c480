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

use crate::reason::Reason;
use crate::redact::Redactor;
use crate::upstream::{Answer, Incoming};

/// An answer, of whose body some may have been read.
pub(super) struct Received {
    /// Status and headers.
    pub(super) head: Parts,
    begun: Bytes,
    rest: Option<Rest>,
    /// What everything that still comes goes through.
    redactor: Option<Redactor>,
}

/// What is still on the wire.
pub(super) struct Rest {
    /// The body; its connection goes back to its pool with the last byte.
    pub(super) incoming: Incoming,
}

impl From<Answer> for Received {
    fn from(answer: Answer) -> Self {
        let (head, incoming) = answer.response.into_parts();
        Self { head, begun: Bytes::new(), rest: Some(Rest { incoming }), redactor: None }
    }
}

impl Received {
    /// Head, what was read, what was not, and what that goes through.
    pub(super) fn into_parts(self) -> (Parts, Bytes, Option<Rest>, Option<Redactor>) {
        (self.head, self.begun, self.rest, self.redactor)
    }

    /// Whether a body came or will come.
    pub(super) fn has_body(&self) -> bool {
        !self.begun.is_empty() || self.rest.as_ref().is_some_and(|rest| !rest.incoming.is_end_stream())
    }

    /// Whether the body has no content coding.
    pub(super) fn is_identity(&self) -> bool {
        let mut codings = self.head.headers.get_all(header::CONTENT_ENCODING).iter();
        codings.all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity"))
    }

    /// What was read so far.
    pub(super) fn begun(&self) -> &[u8] {
        &self.begun
    }

    /// The whole body, when it has at most `limit` bytes and no content coding. It may not stall for `timeout`.
    pub(super) async fn text(&mut self, limit: usize, timeout: Duration) -> Result<Option<Bytes>, Reason> {
        let longer = |rest: &Rest| rest.incoming.size_hint().lower() > limit as u64;
        if !self.is_identity() || self.rest.as_ref().is_some_and(longer) {
            return Ok(None);
        }
        Ok(self.gather(limit, timeout).await?.then(|| self.begun.clone()))
    }

    /// Reads until there are more than `limit` bytes, or all; whether it was all. It may not stall for `timeout`.
    pub(super) async fn gather(&mut self, limit: usize, timeout: Duration) -> Result<bool, Reason> {
        let Some(rest) = &mut self.rest else { return Ok(true) };
        let mut begun = BytesMut::from(std::mem::take(&mut self.begun));
        while begun.len() <= limit {
            let frame = tokio::time::timeout(timeout, rest.incoming.frame()).await;
            let Some(frame) = frame.map_err(|_| Reason::UpstreamTimeout)? else {
                self.rest = None;
                self.begun = begun.freeze();
                return Ok(true);
            };
            let frame = frame.map_err(|_| Reason::UpstreamProtocol)?;
            begun.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
        }
        self.begun = begun.freeze();
        Ok(false)
    }

    /// Puts another text in the place of one that [`Self::text`] gave.
    pub(super) fn replace(&mut self, text: Bytes) {
        if self.head.headers.contains_key(header::CONTENT_LENGTH) {
            self.head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(text.len()));
        }
        self.begun = text;
    }

    /// Puts what a filter has let through so far in the place of what was read; the rest goes the same way.
    pub(super) fn filtered(&mut self, begun: Bytes, redactor: Redactor) {
        self.begun = begun;
        self.redactor = Some(redactor);
    }
}

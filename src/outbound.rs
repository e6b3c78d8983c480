//! A request that is signed and will not change any more.
//!
//! [`SignedRequest::sign`] is the only way to make one, and nothing hands out a mutable head afterwards: what was
//! signed is what is sent. Everything that must be set (host, length, framing headers) is set before signing.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, InvalidHeaderValue};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::body::Body;
use crate::body::chunks::Chunks;
use crate::body::plain::Plain;
use crate::body::spool::Reservation;
use crate::checksum::Algorithm;
use crate::reason::Reason;
use crate::sign::chunked::encoded_length;
use crate::sign::{ChunkMode, Head, Payload, Scratch, Signer, Stages, Timestamp};

/// Bytes of one signed chunk: well above the 8 KiB that Amazon asks for, small enough to hold in memory.
pub const CHUNK: usize = 64 << 10;

/// A rebuilt request before it is signed: every value here is what will be sent.
#[derive(Clone)]
pub struct Draft {
    /// The method.
    pub method: Method,
    /// The strictly encoded path.
    pub path: String,
    /// The strictly encoded query.
    pub query: Option<String>,
    /// End-to-end headers without `host`, length and signature.
    pub headers: HeaderMap,
    /// The signed `Host`.
    pub host: Arc<str>,
    /// The bucket, when it stands in the host.
    pub host_bucket: Option<String>,
}

impl Draft {
    /// The path and query of a URL that holds for `expires` seconds; its host is the draft's.
    pub fn presign(
        mut self,
        signer: &dyn Signer,
        now: Timestamp,
        expires: u32,
        scratch: &mut Scratch,
        observe: impl FnOnce(&Stages<'_>),
    ) -> Result<String, Reason> {
        let host = HeaderValue::from_str(&self.host).map_err(|_| Reason::Internal)?;
        self.headers.insert(HOST, host);
        let edits = signer
            .presign(&self.head(), Payload::Unsigned, now, expires, scratch)
            .map_err(Reason::SignFailed)?;
        observe(&edits.stages);
        Ok(format!("{}?{}", self.path, edits.query.unwrap_or_default()))
    }

    fn head(&self) -> Head<'_> {
        Head {
            method: self.method.as_str(),
            path: &self.path,
            query: self.query.as_deref(),
            headers: &self.headers,
            host_bucket: self.host_bucket.as_deref(),
        }
    }
}

/// Where values of headers and targets are written, one behind the other; once all of a block are gone, its room is
/// used again. Whatever leaves it cannot change any more.
#[derive(Default)]
pub struct Arena(BytesMut);

/// Bytes of a block: the values of a few requests.
const BLOCK: usize = 4 << 10;
/// Bytes that one request is likely to need.
const REQUEST: usize = 1 << 10;

impl Arena {
    /// Goes on in another block where this one is nearly full: between two requests, when what was written for the
    /// earlier ones is most likely gone, so that it is the same block again.
    fn begin(&mut self) {
        if self.0.capacity() - self.0.len() < REQUEST {
            self.0.reserve(BLOCK);
        }
    }

    fn text<const N: usize>(&mut self, pieces: [&str; N]) -> Bytes {
        let length = pieces.iter().map(|piece| piece.len()).sum::<usize>();
        // Of a text that is longer than a block no room is kept.
        let mut own = BytesMut::new();
        let text = if length > BLOCK { &mut own } else { &mut self.0 };
        if text.capacity() - text.len() < length {
            text.reserve(length.max(BLOCK));
        }
        for piece in pieces {
            text.extend_from_slice(piece.as_bytes());
        }
        text.split().freeze()
    }

    /// The value of a header.
    pub fn value(&mut self, text: &str) -> Result<HeaderValue, InvalidHeaderValue> {
        HeaderValue::from_maybe_shared(self.text([text]))
    }
}

/// The body of a draft, and how the signature covers it.
pub enum Content {
    /// In memory, with the place it takes; hashed where the scheme wants a digest. Empty: no body.
    Whole(Bytes, Option<Reservation>),
    /// A form whose fields are signed.
    Form(String),
    /// Streams; covered by this digest, which the stream holds to.
    Digest(Box<Plain>, [u8; 32]),
    /// Streams, not covered.
    Unsigned(Box<Plain>),
    /// Streams, chunk by chunk.
    Chunked {
        /// The body.
        plain: Box<Plain>,
        /// Its length in bytes.
        length: u64,
        /// The framing.
        mode: ChunkMode,
        /// The checksums that follow it.
        trailers: Vec<Algorithm>,
    },
}

const TRAILER: HeaderName = HeaderName::from_static("x-amz-trailer");
const DECODED_LENGTH: HeaderName = HeaderName::from_static("x-amz-decoded-content-length");

/// A signed request, ready for an upstream.
pub struct SignedRequest {
    head: SignedHead,
    body: Body,
}

/// A request but for its body, as it is signed and sent.
pub struct SignedHead {
    /// The method.
    pub method: Method,
    /// Path and query in visible ASCII.
    pub target: Bytes,
    /// All headers.
    pub headers: HeaderMap,
}

impl SignedRequest {
    /// Signs `draft` for sending at `now`; `observe` sees the stages. What is set is written into the arena.
    pub fn sign(
        mut draft: Draft,
        content: Content,
        signer: &dyn Signer,
        now: Timestamp,
        (scratch, arena): (&mut Scratch, &mut Arena),
        observe: impl FnOnce(&Stages<'_>),
    ) -> Result<Self, Reason> {
        arena.begin();
        let host = arena.value(&draft.host).map_err(|_| Reason::Internal)?;
        draft.headers.insert(HOST, host);
        match &content {
            Content::Whole(bytes, _) => state_length(&mut draft, Some(bytes.len() as u64)),
            Content::Form(_) => {
                draft
                    .headers
                    .insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
            }
            Content::Digest(plain, _) | Content::Unsigned(plain) => state_length(&mut draft, plain.length()),
            Content::Chunked { length, mode, trailers, .. } => {
                state_chunked(&mut draft, *length, *mode, trailers)?;
            }
        }
        let payload = match &content {
            Content::Whole(bytes, _) => Payload::Whole(bytes),
            Content::Form(form) => Payload::Whole(form.as_bytes()),
            Content::Digest(_, digest) => Payload::Digest(*digest),
            Content::Unsigned(..) => Payload::Unsigned,
            Content::Chunked { mode, .. } => Payload::Chunked(*mode),
        };
        let edits = signer.sign(&draft.head(), payload, now, scratch).map_err(Reason::SignFailed)?;
        observe(&edits.stages);

        let chunk_signer = match &content {
            Content::Chunked { mode, .. } => signer.chunk_signer(edits.stages.signature, *mode, now),
            _ => None,
        };
        let target = match edits.query.or(draft.query.as_deref()) {
            Some(query) if !query.is_empty() => arena.text([&draft.path, "?", query]),
            _ => arena.text([&draft.path]),
        };
        let form = edits.form.map(|form| Bytes::copy_from_slice(form.as_bytes()));
        for (name, value) in edits.headers.into_iter().flatten() {
            let mut value = arena.value(value).map_err(|_| Reason::CredentialUnavailable)?;
            value.set_sensitive(name == http::header::AUTHORIZATION);
            draft.headers.insert(name, value);
        }

        let body = match content {
            Content::Whole(bytes, reservation) => Body::whole(bytes, reservation),
            Content::Form(unsigned) => {
                let form = form.unwrap_or_else(|| unsigned.into());
                draft.headers.insert(CONTENT_LENGTH, HeaderValue::from(form.len()));
                Body::whole(form, None)
            }
            Content::Digest(plain, _) | Content::Unsigned(plain) => Body::Stream(plain),
            Content::Chunked { plain, length, mode, trailers } => {
                let signer = chunk_signer.ok_or(Reason::Internal)?;
                let encoded = chunked_length(length, mode, &trailers)?;
                Body::Chunks(Box::new(Chunks::new(*plain, signer, CHUNK, encoded, !trailers.is_empty())))
            }
        };
        // It was written strictly; a byte that could end the line would be a defect, and must not go out.
        if !target.iter().fold(target.starts_with(b"/"), |good, byte| good & byte.is_ascii_graphic()) {
            return Err(Reason::Internal);
        }
        let head = SignedHead { method: draft.method, target, headers: draft.headers };
        Ok(Self { head, body })
    }

    /// The request, for the one room that sends it.
    pub fn into_parts(self) -> (SignedHead, Body) {
        (self.head, self.body)
    }
}

/// States the length where the method carries a body, so that an empty PUT says so.
fn state_length(draft: &mut Draft, length: Option<u64>) {
    let bodiless = matches!(draft.method, Method::GET | Method::HEAD | Method::DELETE | Method::OPTIONS);
    if let Some(length) = length
        && !(length == 0 && bodiless)
    {
        draft.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
}

fn state_chunked(
    draft: &mut Draft,
    length: u64,
    mode: ChunkMode,
    trailers: &[Algorithm],
) -> Result<(), Reason> {
    use http::header::CONTENT_ENCODING;
    draft.headers.insert(CONTENT_LENGTH, HeaderValue::from(chunked_length(length, mode, trailers)?));
    draft.headers.insert(DECODED_LENGTH, HeaderValue::from(length));
    let original = draft.headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok());
    let encoding = match original {
        Some(original) => HeaderValue::try_from(format!("aws-chunked,{original}")),
        None => Ok(HeaderValue::from_static("aws-chunked")),
    };
    if let Ok(encoding) = encoding {
        draft.headers.insert(CONTENT_ENCODING, encoding);
    }
    let names: Vec<&str> = trailers.iter().map(|algorithm| algorithm.header()).collect();
    if let (false, Ok(names)) = (names.is_empty(), HeaderValue::try_from(names.join(","))) {
        draft.headers.insert(TRAILER, names);
    }
    Ok(())
}

fn chunked_length(length: u64, mode: ChunkMode, trailers: &[Algorithm]) -> Result<u64, Reason> {
    let trailers: Vec<_> =
        trailers.iter().map(|algorithm| (algorithm.header(), algorithm.value_len())).collect();
    encoded_length(length, CHUNK as u64, mode, &trailers)
        .ok_or(Reason::BadHeader("content-length".into(), "longer than any object"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_stays_and_room_comes_back() {
        let mut arena = Arena::default();
        arena.begin();
        let long = "x".repeat(2 * BLOCK);
        let texts: Vec<String> = (0..100).map(|n| format!("{n}-{}", "y".repeat(n * 3))).collect();
        let kept: Vec<Bytes> = texts.iter().map(|text| arena.text(["<", text, ">"])).collect();
        assert_eq!(arena.text([&long]), long);
        for (text, bytes) in texts.iter().zip(&kept) {
            assert_eq!(*bytes, format!("<{text}>"));
        }
        assert!(arena.value("a\nb").is_err() && arena.value("a b").is_ok());

        drop(kept);
        arena.0 = BytesMut::with_capacity(BLOCK);
        let block = arena.0.as_ptr().addr();
        for _ in 0..1_000 {
            arena.begin();
            let (one, other) = (arena.text(["one"]), arena.text([&long[..1_000]]));
            assert!((block..block + BLOCK).contains(&one.as_ptr().addr()), "the same block again");
            assert_eq!((&*one, other.len()), (&b"one"[..], 1_000));
        }
    }
}

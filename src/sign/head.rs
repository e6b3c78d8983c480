//! All that a signer may look at: the head as it will be sent, what is known of the body, and the time.
//!
//! Nothing here owns request data, reads a clock, or knows a socket.

use http::HeaderMap;

/// A request head in wire form. The signer reads it; only [`crate::sign::Edits`] change it.
#[derive(Clone, Copy)]
pub struct Head<'a> {
    /// The method as sent, upper case for every standard one.
    pub method: &'a str,
    /// The path as sent, percent-encoded, beginning with `/`.
    pub path: &'a str,
    /// The query as sent, without its `?`; `None` when there is none.
    pub query: Option<&'a str>,
    /// End-to-end headers, `host` among them, exactly as they will be sent.
    pub headers: &'a HeaderMap,
    /// The bucket that stands in the host name (virtual-hosted addressing); SigV2 signs it as part of the resource.
    pub host_bucket: Option<&'a str>,
}

/// What the signer is told about the body.
#[derive(Clone, Copy)]
pub enum Payload<'a> {
    /// The whole body, to be hashed or read as a form. An empty slice is a request without a body.
    Whole(&'a [u8]),
    /// The SHA-256 of the body, already computed.
    Digest([u8; 32]),
    /// Not covered: `UNSIGNED-PAYLOAD` where the scheme has the word, ignored elsewhere.
    Unsigned,
    /// The body follows as `aws-chunked`; the head carries the mode's token.
    Chunked(ChunkMode),
}

/// The three `aws-chunked` forms (Amazon S3 reference, "Signature calculations for the Authorization header:
/// transferring payload in multiple chunks").
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChunkMode {
    /// Every chunk carries a signature.
    Signed,
    /// Every chunk and the trailer carry a signature.
    SignedTrailer,
    /// No signatures; a checksum in the trailer.
    UnsignedTrailer,
}

impl ChunkMode {
    /// The value of `x-amz-content-sha256`.
    pub fn token(self) -> &'static str {
        match self {
            Self::Signed => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            Self::SignedTrailer => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
            Self::UnsignedTrailer => "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        }
    }

    /// The mode that a value of `x-amz-content-sha256` names.
    pub fn from_token(token: &str) -> Option<Self> {
        [Self::Signed, Self::SignedTrailer, Self::UnsignedTrailer].into_iter().find(|m| m.token() == token)
    }
}

/// What a signer must be given of the body before it can sign this head.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BodyNeed {
    /// Nothing: the signature does not cover the body, which may stream.
    Nothing,
    /// Its SHA-256, or one of the other payload modes.
    Digest,
    /// Its bytes, because form fields are signed.
    Form,
}

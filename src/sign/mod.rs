//! The signing core: pure functions from a request head to instructions.
//!
//! No I/O, no async, no clock, no logging, no configuration file, no globals. Time is an argument; secrets go in
//! when a signer is prepared and never come out. One file per scheme; [`Signer`] is what they share.

pub mod chunked;
pub mod claim;
pub mod cloudstack;
pub mod date;
pub mod digest;
pub mod edits;
pub mod encode;
pub mod head;
pub mod s3v2;
pub mod sigv4;
pub mod zstack;

pub use edits::{Edits, Scratch, Stages};
pub use head::{BodyNeed, ChunkMode, Head, Payload};
pub use jiff::Timestamp;

use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::secret::Key;

/// A signing scheme and its options, before it meets a key.
#[derive(Clone, Debug, PartialEq)]
pub enum Scheme {
    /// CloudStack query HMAC-SHA1.
    Cloudstack(cloudstack::Options),
    /// ZStack AccessKey digest.
    Zstack(zstack::Options),
    /// Amazon S3 signature version 2 and its dialects.
    S3V2(s3v2::Options),
    /// AWS signature version 4, for S3 and for every other service.
    SigV4(sigv4::Options),
}

impl Scheme {
    /// Prepares a signer: keyed MAC states and rendered scopes, once per credential.
    pub fn prepare(&self, key: Key) -> Result<Box<dyn Signer>, SignError> {
        Ok(match self {
            Self::Cloudstack(options) => Box::new(cloudstack::Signer::new(options.clone(), key)?),
            Self::Zstack(options) => Box::new(zstack::Signer::new(options.clone(), key)?),
            Self::S3V2(options) => Box::new(s3v2::Signer::new(options.clone(), key)?),
            Self::SigV4(options) => Box::new(sigv4::Signer::new(options.clone(), key)?),
        })
    }
}

/// A scheme with a key in it. Holds keys, never request state; safe to share between threads.
pub trait Signer: Send + Sync {
    /// What must be known of the body before this head can be signed.
    fn body_need(&self, head: &Head<'_>) -> BodyNeed;

    /// Signs the head for sending at `now`. Allocates nothing once `scratch` is warm.
    fn sign<'s>(
        &self,
        head: &Head<'_>,
        payload: Payload<'_>,
        now: Timestamp,
        scratch: &'s mut Scratch,
    ) -> Result<Edits<'s>, SignError>;

    /// Signs in the query, for a URL that holds for `expires` seconds.
    fn presign<'s>(
        &self,
        head: &Head<'_>,
        payload: Payload<'_>,
        now: Timestamp,
        expires: u32,
        scratch: &'s mut Scratch,
    ) -> Result<Edits<'s>, SignError> {
        let _ = (head, payload, now, expires, scratch);
        Err(SignError::PresignUnsupported)
    }

    /// Judges a signed request as the real server would, with this signer's own key.
    fn verify(
        &self,
        head: &Head<'_>,
        payload: Payload<'_>,
        now: Timestamp,
        scratch: &mut Scratch,
    ) -> Result<(), VerifyError>;

    /// The stages that a head must have been signed over, given the date and key that it already carries: what
    /// [`Signer::verify`] compares with, and what an explanation shows beside the other side's stages.
    fn expected<'s>(
        &self,
        head: &Head<'_>,
        payload: Payload<'_>,
        scratch: &'s mut Scratch,
    ) -> Result<Stages<'s>, VerifyError>;

    /// The driver of `aws-chunked` framing, seeded by the signature of a head that was signed as
    /// [`Payload::Chunked`] at `now`; `None` for schemes without it.
    fn chunk_signer(
        &self,
        seed_signature: &str,
        mode: ChunkMode,
        now: Timestamp,
    ) -> Option<chunked::ChunkSigner> {
        let _ = (seed_signature, mode, now);
        None
    }
}

/// Why a head cannot be signed. Small: no text from the request goes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// A `%` without two hex digits, or bytes that are not UTF-8 where the scheme needs text.
    #[error("the {0} is not validly percent-encoded")]
    Encoding(&'static str),
    /// A control character where it would move a field boundary of the string to sign.
    #[error("the {0} holds a control character")]
    Control(&'static str),
    /// The scheme needs a header that the head lacks.
    #[error("the head has no `{0}` header")]
    MissingHeader(&'static str),
    /// The scheme has no signature in the query.
    #[error("this scheme has no presigned form")]
    PresignUnsupported,
    /// The lifetime of a presigned URL is out of the scheme's range.
    #[error("a presigned URL holds for 1 to 604800 seconds")]
    Expires,
    /// The clock is outside the years that dates are written for.
    #[error("the clock is out of range")]
    Clock,
    /// The credential cannot be used by this scheme.
    #[error("the credential is unusable: {0}")]
    Credential(&'static str),
    /// Two parameters or headers of one name, of which the server would sign only one.
    #[error("the same name stands twice in the {0}")]
    Repeated(&'static str),
    /// A text that the scheme writes unencoded and that would read like another request.
    #[error("the {0} could be read as another request")]
    Ambiguous(&'static str),
    /// More than 4 GiB of parameters.
    #[error("the request is too long to sign")]
    TooLong,
}

/// Why a signed request is refused; the exact reason is for the audit, callers learn less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// No signature, or not in the scheme's form.
    #[error("no usable signature")]
    Missing,
    /// The signature is there but cannot be read.
    #[error("malformed {0}")]
    Malformed(&'static str),
    /// Signed with another key id.
    #[error("unknown access key")]
    UnknownKey,
    /// The signature is not the one that this request needs.
    #[error("signature mismatch")]
    Mismatch,
    /// The request's time is too far from ours.
    #[error("clock skew")]
    Skew,
    /// A presigned URL or `expires` is past, or too far ahead.
    #[error("expired")]
    Expired,
    /// The scope names another region, service or date.
    #[error("wrong credential scope")]
    Scope,
    /// A header that must be signed is not.
    #[error("unsigned header `{0}`")]
    Unsigned(&'static str),
    /// The stated payload digest is not that of the body.
    #[error("payload digest mismatch")]
    Payload,
    /// CloudStack with enforced POST: a state-changing command came by GET.
    #[error("state-changing command by GET")]
    MustPost,
}

impl From<SignError> for VerifyError {
    /// A head that cannot be signed was not signed by anyone: what is wrong with it is the reason.
    fn from(error: SignError) -> Self {
        match error {
            SignError::Encoding(what) | SignError::Control(what) | SignError::Ambiguous(what) => {
                Self::Malformed(what)
            }
            SignError::MissingHeader(name) => Self::Malformed(name),
            SignError::Repeated(what) => Self::Malformed(what),
            SignError::Expires => Self::Expired,
            SignError::Clock => Self::Skew,
            SignError::PresignUnsupported | SignError::Credential(_) | SignError::TooLong => {
                Self::Malformed("request")
            }
        }
    }
}

/// Refuses a key id that cannot stand in a header or a query, and an empty secret.
fn usable(key: &Key) -> Result<(), SignError> {
    if key.id.is_empty() || !key.id.bytes().all(|b| b.is_ascii_graphic() && b != b',') {
        return Err(SignError::Credential(
            "the access key is empty or holds a space, comma or non-ASCII character",
        ));
    }
    if key.secret.expose().is_empty() {
        return Err(SignError::Credential("the secret key is empty"));
    }
    Ok(())
}

/// The session token as header text; none for a permanent credential.
fn token_text(key: &Key) -> Result<Option<Zeroizing<String>>, SignError> {
    let Some(token) = &key.session_token else { return Ok(None) };
    match std::str::from_utf8(token.expose()) {
        Ok(text) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic()) => {
            Ok(Some(Zeroizing::new(text.to_owned())))
        }
        _ => Err(SignError::Credential("the session token is empty or holds a space or non-ASCII character")),
    }
}

/// Refuses a method or path that would break a string to sign of lines.
fn check_line(text: &str, what: &'static str) -> Result<(), SignError> {
    // All of it, without a way out in between, so that the compiler can look at many bytes at a time.
    let is_bad = text.bytes().fold(false, |bad, byte| bad | encode::is_control(byte));
    if is_bad { Err(SignError::Control(what)) } else { Ok(()) }
}

/// Compares two signatures in constant time; only their lengths show.
fn same(ours: &[u8], theirs: &[u8]) -> Result<(), VerifyError> {
    if bool::from(ours.ct_eq(theirs)) { Ok(()) } else { Err(VerifyError::Mismatch) }
}

/// The one value of a header; none, or a repeated one, is no value.
fn sole<'h>(head: &Head<'h>, name: impl http::header::AsHeaderName) -> Option<&'h [u8]> {
    let mut values = head.headers.get_all(name).iter();
    let first = values.next()?;
    values.next().is_none().then(|| first.as_bytes())
}

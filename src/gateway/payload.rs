//! The caller's body before it is known what becomes of it: streamed, gathered, re-framed, or absent.
//!
//! Where the caller's signature covers the body, what it covers is checked like everything else that is stated of it.

use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};
use md5::Md5;

use crate::body::Meter;
use crate::body::plain::{Checks, Plain};
use crate::body::spool::{Gathered, IN_MEMORY, Place, Reservation, Store, Wanted};
use crate::body::stream::{Input, Stream};
use crate::checksum::Algorithm;
use crate::config::{Limits, PayloadRule, UpstreamChunked};
use crate::outbound::Content;
use crate::reason::Reason;
use crate::sign::ChunkMode;
use crate::sign::chunked::{ChunkVerifier, Decoder, Trailer};

/// The most bytes of a body that is held in memory because it says what is asked for: a list of a thousand keys of a
/// kilobyte, written with references.
const HELD: u64 = 4 << 20;

const UNSIGNED: &[u8] = b"UNSIGNED-PAYLOAD";
const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");
const CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const DECODED_LENGTH: HeaderName = HeaderName::from_static("x-amz-decoded-content-length");
const TRAILER: HeaderName = HeaderName::from_static("x-amz-trailer");

/// What a caller's verified signature says of the body, beside what the head says.
#[derive(Default)]
pub(super) struct Cover {
    /// The SHA-256 that was signed.
    pub(super) digest: Option<[u8; 32]>,
    /// The judge of the signatures of chunks.
    pub(super) verifier: Option<Box<ChunkVerifier>>,
}

/// A body that was read to its end to know who sent it.
enum Known {
    Form(Bytes),
    Gathered(Gathered),
}

/// A body that nobody has read yet, or that is known already.
pub(super) struct Source<'r> {
    plain: Plain,
    limits: &'r Limits,
    store: &'r Store,
    /// The SHA-256 that the caller stated.
    digest: Option<[u8; 32]>,
    /// Checksum headers that its trailer states, when it came as `aws-chunked`.
    trailers: Option<Vec<Algorithm>>,
    /// The whole of it; nothing is left of `plain` then.
    known: Option<Box<Known>>,
}

impl<'r> Source<'r> {
    /// Reads what the head says of the body, and prepares every check that it asks for.
    pub(super) fn new(
        head: &Parts,
        input: Input,
        limits: &'r Limits,
        store: &'r Store,
        meter: Rc<Meter>,
        cover: Cover,
    ) -> Result<Self, Reason> {
        let headers = &head.headers;
        let length = match headers.get(CONTENT_LENGTH) {
            Some(value) => Some(number(value).ok_or_else(|| bad("content-length", "not a 64-bit number"))?),
            None if input.is_empty() => Some(0),
            None => None,
        };
        let stream = Stream::new(input, length, limits.body_timeout, meter);
        let mut checks = stated_checks(headers)?;
        if let Some(digest) = cover.digest {
            checks.sha256(digest);
        }
        let token = only(headers, &CONTENT_SHA256)?.map_or(UNSIGNED, HeaderValue::as_bytes);
        let mode = std::str::from_utf8(token).ok().and_then(ChunkMode::from_token);
        // Some clients name the framing in the encoding alone, others in the digest's place alone.
        let is_named = is_aws_chunked(headers);
        let framed = is_named && headers.contains_key(DECODED_LENGTH);
        let unsigned = token == UNSIGNED;
        let mode = mode.or_else(|| (framed && unsigned).then_some(ChunkMode::UnsignedTrailer));
        match mode {
            Some(mode) => {
                let (plain, trailers) = unframed(headers, stream, mode, checks, cover.verifier)?;
                Ok(Self { plain, limits, store, digest: None, trailers: Some(trailers), known: None })
            }
            None if is_named => {
                Err(bad("content-encoding", "`aws-chunked` without x-amz-decoded-content-length"))
            }
            None => {
                let unknown = || bad("x-amz-content-sha256", "neither 64 hex digits nor a known word");
                let stated = if unsigned { None } else { Some(digest(token).ok_or_else(unknown)?) };
                if stated.is_some_and(|stated| cover.digest.is_some_and(|signed| signed != stated)) {
                    return Err(Reason::DigestMismatch);
                }
                let digest = stated.or(cover.digest);
                if let Some(digest) = digest {
                    checks.sha256(digest);
                }
                let plain = Plain::raw(stream, checks);
                Ok(Self { plain, limits, store, digest, trailers: None, known: None })
            }
        }
    }

    /// The same body, read to its end, and its SHA-256.
    pub(super) async fn read(mut self) -> Result<(Self, [u8; 32]), Reason> {
        let nothing = self.nothing();
        let plain = std::mem::replace(&mut self.plain, nothing);
        let gathered = self.store.gather(plain, self.limits, Wanted::default()).await?;
        let digest = gathered.digest;
        self.known = Some(Known::Gathered(gathered).into());
        Ok((self, digest))
    }

    /// The same body, a form, read to its end; and its text.
    pub(super) async fn read_form(mut self) -> Result<(Self, Bytes), Reason> {
        let nothing = self.nothing();
        let plain = std::mem::replace(&mut self.plain, nothing);
        let form = gather_form(plain, self.limits, self.store).await?;
        self.known = Some(Known::Form(form.clone()).into());
        Ok((self, form))
    }

    fn nothing(&self) -> Plain {
        let meter = self.plain.meter().clone();
        Plain::raw(
            Stream::new(Input::Memory(None), Some(0), self.limits.body_timeout, meter),
            Checks::default(),
        )
    }

    /// Whether there is no body at all.
    pub(super) fn is_empty(&self) -> bool {
        match self.known.as_deref() {
            None => self.plain.length() == Some(0),
            Some(Known::Form(form)) => form.is_empty(),
            Some(Known::Gathered(Gathered { place: Place::Memory(bytes, _), .. })) => bytes.is_empty(),
            Some(Known::Gathered(Gathered { place: Place::File(spooled), .. })) => spooled.length() == 0,
        }
    }

    /// Whether there is no body, nothing is stated of it, and nobody has asked for it.
    pub(super) fn is_absent(&self) -> bool {
        self.known.is_none() && self.trailers.is_none() && self.plain.is_absent()
    }

    /// A form or another short body that says what is asked for, whole and in memory.
    pub(super) async fn form(self) -> Result<Bytes, Reason> {
        match self.known.map(|known| *known) {
            Some(Known::Form(form)) => Ok(form),
            Some(Known::Gathered(_)) => Err(Reason::Internal),
            None => gather_form(self.plain, self.limits, self.store).await,
        }
    }

    /// A longer one (4 MiB), whole and in memory, taking its MD5 on the way where that is wanted; `headers` gain the
    /// checksums that its trailer stated.
    pub(super) async fn held(
        self,
        md5: Option<&mut Md5>,
        headers: &mut HeaderMap,
    ) -> Result<(Bytes, Reservation), Reason> {
        let limits = Limits { body: self.limits.body.min(HELD), memory: u64::MAX, ..self.limits.clone() };
        let meter = self.plain.meter().clone();
        let plain = match self.known.map(|known| *known) {
            None => self.plain,
            // Only bodies that nobody wants the MD5 of are read to know who sent them.
            Some(Known::Gathered(Gathered { place, trailers, .. })) if md5.is_none() => {
                state(&trailers, headers);
                match place {
                    Place::Memory(bytes, reservation) => return Ok((bytes, reservation)),
                    Place::File(spooled) => Plain::spooled(spooled, meter),
                }
            }
            Some(_) => return Err(Reason::Internal),
        };
        let wanted = Wanted { known: HELD, unknown: HELD, md5 };
        let Gathered { place, trailers, .. } = self.store.gather(plain, &limits, wanted).await?;
        state(&trailers, headers);
        match place {
            Place::Memory(bytes, reservation) => Ok((bytes, reservation)),
            Place::File(_) => Err(Reason::Internal),
        }
    }

    /// A body that the signature does not cover, streamed. An empty one is known before it is sent: HTTP would not
    /// ask it for its end, where it is checked.
    pub(super) async fn unsigned(self, headers: &mut HeaderMap) -> Result<Content, Reason> {
        if self.is_empty() || self.known.is_some() {
            return self.gathered(headers).await;
        }
        Ok(Content::Unsigned(self.plain.into()))
    }

    /// The same for an upstream that takes no trailers: a body whose trailer states a checksum is gathered, so that
    /// a header can state it. Servers refuse a part without the checksum that its upload was begun with.
    pub(super) async fn unsigned_without_trailers(self, headers: &mut HeaderMap) -> Result<Content, Reason> {
        let has_trailers = self.trailers.as_ref().is_some_and(|trailers| !trailers.is_empty());
        if has_trailers { self.gathered(headers).await } else { self.unsigned(headers).await }
    }

    /// Checksum headers speak of something else than this body.
    pub(super) fn forget_checksums(&mut self) {
        self.plain.forget_checksums();
    }

    /// The whole body, hashed, in memory or in a file; `headers` gain the checksums that its trailer stated.
    pub(super) async fn gathered(self, headers: &mut HeaderMap) -> Result<Content, Reason> {
        let meter = self.plain.meter().clone();
        let gathered = match self.known.map(|known| *known) {
            None => self.store.gather(self.plain, self.limits, Wanted::default()).await?,
            Some(Known::Gathered(gathered)) => gathered,
            Some(Known::Form(_)) => return Err(Reason::Internal),
        };
        let Gathered { place, digest, trailers } = gathered;
        state(&trailers, headers);
        Ok(match place {
            Place::Memory(bytes, reservation) => Content::Whole(bytes, Some(reservation)),
            Place::File(spooled) => Content::Digest(Plain::spooled(spooled, meter).into(), digest),
        })
    }

    /// The body as `rule` wants it signed by SigV4, re-framed as `chunked` says when it came as `aws-chunked`.
    pub(super) async fn signed(
        self,
        rule: PayloadRule,
        chunked: UpstreamChunked,
        headers: &mut HeaderMap,
    ) -> Result<Content, Reason> {
        let plain_only = self.trailers.is_some() && chunked == UpstreamChunked::None;
        let trailers =
            self.trailers.clone().filter(|_| chunked == UpstreamChunked::Trailer).unwrap_or_default();
        match (rule, self.plain.length(), self.digest) {
            // Also a body that was read before: nothing is left to stream.
            (_, Some(0), _) => self.gathered(headers).await,
            (PayloadRule::Unsigned, ..) if trailers.is_empty() => self.unsigned(headers).await,
            (PayloadRule::Unsigned, Some(length), _) => {
                let plain = self.plain.into();
                Ok(Content::Chunked { plain, length, mode: ChunkMode::UnsignedTrailer, trailers })
            }
            // The caller has done the hashing: the bytes are checked as they flow.
            (PayloadRule::Auto | PayloadRule::Hash, Some(length), Some(digest)) if length > IN_MEMORY => {
                Ok(Content::Digest(self.plain.into(), digest))
            }
            (PayloadRule::Chunked, None, _) => Err(Reason::LengthRequired),
            (PayloadRule::Auto, Some(length), _) if length <= IN_MEMORY => self.gathered(headers).await,
            (PayloadRule::Auto | PayloadRule::Chunked, Some(length), _) if !plain_only => {
                let mode = if trailers.is_empty() { ChunkMode::Signed } else { ChunkMode::SignedTrailer };
                Ok(Content::Chunked { plain: self.plain.into(), length, mode, trailers })
            }
            _ => self.gathered(headers).await,
        }
    }
}

/// Writes what trailers stated as headers.
fn state(trailers: &[Trailer], headers: &mut HeaderMap) {
    for trailer in trailers {
        let (name, value) = (HeaderName::try_from(&trailer.name), HeaderValue::try_from(&trailer.value));
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.insert(name, value);
        }
    }
}

async fn gather_form(plain: Plain, limits: &Limits, store: &Store) -> Result<Bytes, Reason> {
    let limits = Limits { body: limits.form, memory: u64::MAX, ..limits.clone() };
    let wanted = Wanted { known: limits.body, unknown: limits.body, md5: None };
    match store.gather(plain, &limits, wanted).await?.place {
        Place::Memory(bytes, _) => Ok(bytes),
        Place::File(_) => Err(Reason::Internal),
    }
}

/// Takes an `aws-chunked` body out of its framing. Without a verifier the caller's chunk signatures are made with a key
/// that does not count here: their form is checked, their value is not.
fn unframed(
    headers: &HeaderMap,
    stream: Stream,
    mode: ChunkMode,
    mut checks: Checks,
    verifier: Option<Box<ChunkVerifier>>,
) -> Result<(Plain, Vec<Algorithm>), Reason> {
    let length = only(headers, &DECODED_LENGTH)?.ok_or(Reason::LengthRequired)?;
    let length = number(length).ok_or_else(|| bad("x-amz-decoded-content-length", "not a plain number"))?;
    let mut trailers = Vec::new();
    for name in list(headers, &TRAILER) {
        let unknown = || bad("x-amz-trailer", "a name that is no checksum");
        let algorithm = Algorithm::from_header(&name).ok_or_else(unknown)?;
        if headers.contains_key(algorithm.header()) {
            return Err(bad(algorithm.header(), "the trailer states it too"));
        }
        checks.checksum(algorithm, None);
        trailers.push(algorithm);
    }
    let names: Vec<&str> = trailers.iter().map(|algorithm| algorithm.header()).collect();
    let verifier = verifier.map(|verifier| *verifier);
    let decoder = Decoder::new(mode, Some(length), &names, verifier).map_err(Reason::Chunked)?;
    Ok((Plain::chunked(stream, decoder, length, checks), trailers))
}

/// What checksum headers state of the body.
fn stated_checks(headers: &HeaderMap) -> Result<Checks, Reason> {
    let mut checks = Checks::default();
    if let Some(value) = only(headers, &CONTENT_MD5)? {
        let digest = STANDARD.decode(value.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
        checks.md5(digest.ok_or_else(|| bad("content-md5", "not the Base64 of 16 bytes"))?);
    }
    for name in headers.keys() {
        let Some(algorithm) = Algorithm::from_header(name.as_str()) else { continue };
        if let Some(value) = only(headers, name)? {
            let value = value.to_str().map_err(|_| bad(algorithm.header(), "not Base64"))?;
            checks.checksum(algorithm, Some(value.to_owned()));
        }
    }
    Ok(checks)
}

/// The one value of a header: of two, the upstream could believe the one that was not checked here.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h HeaderValue>, Reason> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(Reason::BadHeader(name.to_string().into(), "it stands more than once")),
        (value, None) => Ok(value),
    }
}

fn is_aws_chunked(headers: &HeaderMap) -> bool {
    list(headers, &CONTENT_ENCODING).any(|encoding| encoding == "aws-chunked")
}

/// The items of a header that is a list, in lower case.
fn list<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = String> + use<'h> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|item| item.trim().to_ascii_lowercase())
        .filter(|item| !item.is_empty())
}

fn bad(name: &'static str, why: &'static str) -> Reason {
    Reason::BadHeader(name.into(), why)
}

fn number(value: &HeaderValue) -> Option<u64> {
    let text = value.to_str().ok()?;
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// The media type of a head, lower case, without parameters.
pub(super) fn media_type(head: &Parts) -> Option<String> {
    let value = head.headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

/// The bytes of a SHA-256 in hexadecimal.
pub(super) fn digest(hex: &[u8]) -> Option<[u8; 32]> {
    let mut out = [0; 32];
    if hex.len() != 64 {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(hex.chunks_exact(2)) {
        let [high, low] = [char::from(pair[0]).to_digit(16)?, char::from(pair[1]).to_digit(16)?];
        *byte = u8::try_from(high * 16 + low).ok()?;
    }
    Some(out)
}

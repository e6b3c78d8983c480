//! AWS signature version 4, for S3 and for every other service (Amazon's reference; Arsenal `lib/auth/v4`,
//! `rgw_auth_s3.cc`, aws-c-auth).
//!
//! The two flavours differ in how the path is written and in whether the payload's digest travels as a header; both
//! are switches of [`Options`]. Every end-to-end header of the head is signed, so that no hop and no caller can add
//! one unnoticed. The day's signing key is derived once and kept.

use arc_swap::ArcSwapOption;
use http::HeaderName;
use http::header::AUTHORIZATION;
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::chunked::ChunkSigner;
use super::edits::text;
use super::{
    BodyNeed, ChunkMode, Edits, Head, Payload, Scratch, SignError, Stages, VerifyError, date, digest, encode,
};
use crate::secret::Key;

mod canonical;
mod key;
mod verify;

use key::DayKey;
pub(super) use verify::claimed;

const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const UNSIGNED: &[u8] = b"UNSIGNED-PAYLOAD";
const TERMINATOR: &str = "aws4_request";

/// The longest that a presigned URL may hold, in seconds: seven days.
pub const MAX_PRESIGNED: u32 = 604_800;

/// Whether a session token is covered by the signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionToken {
    /// Signed, as nearly all services want it.
    Signed,
    /// Added after signing, as a few services want it.
    Unsigned,
}

/// Options of `sign.s3-v4` and `sign.aws-v4`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The region of the credential scope.
    pub region: String,
    /// The service of the credential scope.
    pub service: String,
    /// `double-encode`: the wire path is encoded again, so that `%20` is signed as `%2520`. Off (S3), the path is
    /// decoded and then encoded strictly.
    pub double_encode: bool,
    /// `normalize`: dot segments and empty segments of the path are removed before it is signed. Off for S3, whose
    /// keys may hold them.
    pub normalize: bool,
    /// Whether the digest of the payload is sent as `x-amz-content-sha256`, which S3 demands. A presigned URL is then
    /// `UNSIGNED-PAYLOAD`.
    pub content_sha256_header: bool,
    /// Whether the session token is signed.
    pub session_token: SessionToken,
}

impl Options {
    /// The rules of S3: the path encoded once and never normalised, the payload's digest in a header.
    pub fn s3(region: impl Into<String>, service: impl Into<String>) -> Self {
        Self {
            region: region.into(),
            service: service.into(),
            double_encode: false,
            normalize: false,
            content_sha256_header: true,
            session_token: SessionToken::Signed,
        }
    }

    /// The rules of every other service: the path normalised and encoded twice.
    pub fn aws(region: impl Into<String>, service: impl Into<String>) -> Self {
        Self {
            double_encode: true,
            normalize: true,
            content_sha256_header: false,
            ..Self::s3(region, service)
        }
    }
}

/// Whether a query parameter carries a version 4 signature; a caller's own are dropped before signing. In any letter
/// case, because servers differ in which they read.
pub fn is_query_credential(name: &str) -> bool {
    query_credential(name.as_bytes())
}

pub(super) fn query_credential(name: &[u8]) -> bool {
    name.get(..6).is_some_and(|head| head.eq_ignore_ascii_case(b"X-Amz-"))
        && [
            "Algorithm",
            "Credential",
            "Date",
            "Expires",
            "SignedHeaders",
            "Signature",
            "Security-Token",
            "Content-Sha256",
        ]
        .iter()
        .any(|word| name[6..].eq_ignore_ascii_case(word.as_bytes()))
}

/// Signature version 4 with a key in it.
pub struct Signer {
    options: Options,
    id: String,
    token: Option<Zeroizing<String>>,
    /// `/region/service/aws4_request`.
    scope: String,
    /// `Authorization` up to the day.
    authorization: String,
    /// `X-Amz-Credential` before and after the day, as a query carries it.
    credential: [Vec<u8>; 2],
    /// Keyed with `AWS4` and the secret: the root of each day's key.
    root: digest::MacSha256,
    today: ArcSwapOption<DayKey>,
}

/// The slots of [`Scratch`]'s values.
mod slot {
    pub(super) const DATE: usize = 0;
    pub(super) const PAYLOAD: usize = 1;
    pub(super) const TOKEN: usize = 2;
    pub(super) const AUTHORIZATION: usize = 3;
    pub(super) const SIGNED_HEADERS: usize = 4;
}

impl Signer {
    /// Prepares the root key and the scope. The first signature of each UTC day derives that day's key.
    pub fn new(options: Options, key: Key) -> Result<Self, SignError> {
        super::usable(&key)?;
        if key.id.contains('/') {
            return Err(SignError::Credential("an AWS access key cannot hold a slash"));
        }
        let token = super::token_text(&key)?;
        let scope = ["", &options.region, &options.service, TERMINATOR].join("/");
        let mut root = Zeroizing::new(b"AWS4".to_vec());
        root.reserve_exact(key.secret.expose().len());
        root.extend_from_slice(key.secret.expose());
        let root = digest::MacSha256::new(&root);
        let authorization = [ALGORITHM, " Credential=", &key.id, "/"].concat();
        let credential = [format!("{}/", key.id), scope.clone()].map(|part| {
            let mut spelled = Vec::new();
            encode::percent(part.as_bytes(), encode::Keep::Unreserved, &mut spelled);
            spelled
        });
        let today = ArcSwapOption::empty();
        Ok(Self { options, id: key.id, token, scope, authorization, credential, root, today })
    }

    fn token(&self) -> Option<&[u8]> {
        self.token.as_ref().map(|token| token.as_bytes())
    }

    fn signed_token(&self) -> Option<&[u8]> {
        self.token().filter(|_| self.options.session_token == SessionToken::Signed)
    }

    /// From the finished canonical request to the signature.
    fn finish(&self, amz_date: &[u8; 16], today: &[u8], scratch: &mut Scratch) {
        let Scratch { canonical, to_sign, signature, .. } = scratch;
        to_sign.extend_from_slice(ALGORITHM.as_bytes());
        to_sign.push(b'\n');
        to_sign.extend_from_slice(amz_date);
        to_sign.push(b'\n');
        self.write_scope(amz_date, to_sign);
        to_sign.push(b'\n');
        to_sign.extend_from_slice(&encode::hex32(&digest::sha256(canonical)));
        let mac = self.day_mac(day_of(amz_date), today, |key| key.sign(to_sign));
        signature.extend_from_slice(&encode::hex32(&mac));
    }

    fn write_scope(&self, amz_date: &[u8; 16], out: &mut Vec<u8>) {
        out.extend_from_slice(&amz_date[..8]);
        out.extend_from_slice(self.scope.as_bytes());
    }

    /// The canonical request's last line, in `values[PAYLOAD]`. True when the header must be sent too.
    fn write_payload(&self, payload: Payload<'_>, out: &mut Vec<u8>) -> bool {
        let (text, implicit): (&[u8], bool) = match payload {
            Payload::Whole(body) => (&encode::hex32(&digest::sha256(body)), true),
            Payload::Digest(digest) => (&encode::hex32(&digest), true),
            Payload::Unsigned => (UNSIGNED, false),
            Payload::Chunked(mode) => (mode.token().as_bytes(), false),
        };
        out.extend_from_slice(text);
        // Without the header no server could know that the body is not what is signed.
        !implicit || self.options.content_sha256_header
    }
}

fn day_of(amz_date: &[u8; 16]) -> [u8; 8] {
    let mut day = [0; 8];
    day.copy_from_slice(&amz_date[..8]);
    day
}

impl super::Signer for Signer {
    fn body_need(&self, _head: &Head<'_>) -> BodyNeed {
        BodyNeed::Digest
    }

    fn sign<'s>(
        &self,
        head: &Head<'_>,
        payload: Payload<'_>,
        now: Timestamp,
        scratch: &'s mut Scratch,
    ) -> Result<Edits<'s>, SignError> {
        scratch.clear();
        let amz_date = scratch.amz.spell(now, date::amz)?;
        scratch.values[slot::DATE].extend_from_slice(&amz_date);
        let send_payload = self.write_payload(payload, &mut scratch.values[slot::PAYLOAD]);
        scratch.values[slot::TOKEN].extend_from_slice(self.token().unwrap_or_default());

        canonical::write_head(&self.options, head, scratch)?;
        canonical::collect_query(head.query, |_| false, scratch)?;
        canonical::write_query(scratch);
        canonical::collect_headers(
            head,
            &canonical::Own {
                date: Some(&amz_date),
                payload: send_payload,
                token: self.signed_token(),
                drop_token: self.token.is_some(),
            },
            scratch,
        )?;
        canonical::write_headers(scratch);
        canonical::write_payload(scratch);
        self.finish(&amz_date, &amz_date[..8], scratch);

        let Scratch { values, signature, .. } = &mut *scratch;
        let [_, _, _, authorization, signed_headers] = values;
        authorization.extend_from_slice(self.authorization.as_bytes());
        self.write_scope(&amz_date, authorization);
        authorization.extend_from_slice(b", SignedHeaders=");
        authorization.extend_from_slice(signed_headers);
        authorization.extend_from_slice(b", Signature=");
        authorization.extend_from_slice(signature);

        let scratch = &*scratch;
        let header =
            |name: HeaderName, at: usize| text(&scratch.values[at], "header").map(|v| Some((name, v)));
        Ok(Edits {
            headers: [
                header(DATE, slot::DATE)?,
                if send_payload { header(CONTENT_SHA256, slot::PAYLOAD)? } else { None },
                if self.token.is_some() { header(TOKEN, slot::TOKEN)? } else { None },
                header(AUTHORIZATION, slot::AUTHORIZATION)?,
                None,
            ],
            query: None,
            form: None,
            stages: stages(scratch)?,
        })
    }

    /// The payload of a presigned S3 URL is `UNSIGNED-PAYLOAD` whatever `payload` says, unless the head states
    /// `x-amz-content-sha256` itself; for other services it is the digest of the body.
    fn presign<'s>(
        &self,
        head: &Head<'_>,
        payload: Payload<'_>,
        now: Timestamp,
        expires: u32,
        scratch: &'s mut Scratch,
    ) -> Result<Edits<'s>, SignError> {
        if expires == 0 || expires > MAX_PRESIGNED {
            return Err(SignError::Expires);
        }
        scratch.clear();
        let amz_date = scratch.amz.spell(now, date::amz)?;
        match (super::sole(head, CONTENT_SHA256), self.options.content_sha256_header) {
            (Some(stated), _) => scratch.values[slot::PAYLOAD].extend_from_slice(stated),
            (None, true) => scratch.values[slot::PAYLOAD].extend_from_slice(UNSIGNED),
            (None, false) => {
                self.write_payload(payload, &mut scratch.values[slot::PAYLOAD]);
            }
        }
        let own =
            canonical::Own { date: None, payload: false, token: None, drop_token: self.token.is_some() };
        canonical::collect_headers(head, &own, scratch)?;
        canonical::stash_headers(scratch);
        canonical::write_head(&self.options, head, scratch)?;
        canonical::collect_query(
            head.query,
            |name| query_credential(name) || super::s3v2::query_credential(name),
            scratch,
        )?;
        self.add_parameters(&amz_date, expires, scratch)?;
        canonical::write_query(scratch);
        canonical::unstash_headers(scratch);
        canonical::write_payload(scratch);
        self.finish(&amz_date, &amz_date[..8], scratch);

        let Scratch { signature, query, .. } = &mut *scratch;
        query.extend_from_slice(b"&X-Amz-Signature=");
        query.extend_from_slice(signature);
        if let (Some(token), SessionToken::Unsigned) = (self.token(), self.options.session_token) {
            query.extend_from_slice(b"&X-Amz-Security-Token=");
            encode::percent(token, encode::Keep::Unreserved, query);
        }
        let scratch = &*scratch;
        Ok(Edits {
            headers: [const { None }; super::edits::MAX_HEADERS],
            query: Some(text(&scratch.query, "query")?),
            form: None,
            stages: stages(scratch)?,
        })
    }

    fn verify(
        &self,
        head: &Head<'_>,
        payload: Payload<'_>,
        now: Timestamp,
        scratch: &mut Scratch,
    ) -> Result<(), VerifyError> {
        self.judge(head, payload, now, scratch)
    }

    fn expected<'s>(
        &self,
        head: &Head<'_>,
        payload: Payload<'_>,
        scratch: &'s mut Scratch,
    ) -> Result<Stages<'s>, VerifyError> {
        let claim = verify::Claim::read(head, scratch)?;
        self.rewrite(head, payload, &claim, &[], scratch)?;
        Ok(stages(scratch)?)
    }

    fn chunk_signer(&self, seed_signature: &str, mode: ChunkMode, now: Timestamp) -> Option<ChunkSigner> {
        let amz_date = date::amz(now).ok()?;
        let mut preamble = Vec::new();
        preamble.extend_from_slice(&amz_date);
        preamble.push(b'\n');
        self.write_scope(&amz_date, &mut preamble);
        let mac = self.day_mac(day_of(&amz_date), &amz_date[..8], Clone::clone);
        ChunkSigner::new(mode, mac, preamble, seed_signature)
    }
}

impl Signer {
    /// The parameters that carry the signature, but for itself (Amazon's "Authenticating requests: using query
    /// parameters").
    fn add_parameters(
        &self,
        amz_date: &[u8; 16],
        expires: u32,
        scratch: &mut Scratch,
    ) -> Result<(), SignError> {
        canonical::add_parameter(scratch, "X-Amz-Algorithm", |out| {
            out.extend_from_slice(ALGORITHM.as_bytes());
        })?;
        canonical::add_parameter(scratch, "X-Amz-Credential", |out| {
            out.extend_from_slice(&self.credential[0]);
            out.extend_from_slice(&amz_date[..8]);
            out.extend_from_slice(&self.credential[1]);
        })?;
        canonical::add_parameter(scratch, "X-Amz-Date", |out| out.extend_from_slice(amz_date))?;
        canonical::add_parameter(scratch, "X-Amz-Expires", |out| encode::decimal(u64::from(expires), out))?;
        if let Some(token) = self.signed_token() {
            canonical::add_parameter(scratch, "X-Amz-Security-Token", |out| {
                encode::percent(token, encode::Keep::Unreserved, out);
            })?;
        }
        let signed = std::mem::take(&mut scratch.values[slot::SIGNED_HEADERS]);
        let outcome = canonical::add_parameter(scratch, "X-Amz-SignedHeaders", |out| {
            encode::percent(&signed, encode::Keep::Unreserved, out);
        });
        scratch.values[slot::SIGNED_HEADERS] = signed;
        outcome
    }
}

fn stages(scratch: &Scratch) -> Result<Stages<'_>, SignError> {
    Ok(Stages { canonical_request: Some(&scratch.canonical), ..scratch.stages()? })
}

#[cfg(test)]
mod tests;

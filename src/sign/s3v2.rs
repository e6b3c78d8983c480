//! Amazon S3 signature version 2, in its header form and its query form, in the dialects of the servers that still
//! verify it (`rgw_auth_s3.cc`, `cmd/signature-v2.go`, Arsenal `lib/auth/v2`, s3proxy, s3s).
//!
//! The string to sign is made of raw lines, so anything that could move a field boundary is refused, decoded
//! sub-resource values included. The signature does not cover the body.

use http::HeaderName;
use http::header::{AUTHORIZATION, DATE};
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::digest::MacSha1;
use super::edits::text;
use super::encode::{self, Copied, Keep, Plus};
use super::{BodyNeed, Edits, Head, Payload, Scratch, SignError, Stages, VerifyError, date};
use crate::secret::Key;

mod canonical;
mod dialect;
mod verify;

pub use dialect::Dialect;
pub(super) use verify::claimed;

/// The header, and in the query form the parameter, of a temporary credential's token.
const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// Seven days, the longest that a presigned URL may hold (Arsenal refuses more).
const MAX_PRESIGNED: u32 = 604_800;

/// Options of `sign.s3-v2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Whose list of sub-resources is signed.
    pub dialect: Dialect,
    /// Query names that are signed in addition to the dialect's.
    pub extra_sub_resources: Vec<String>,
}

impl Options {
    /// The dialect's own list.
    pub fn new(dialect: Dialect) -> Self {
        Self { dialect, extra_sub_resources: Vec::new() }
    }

    /// Whether a decoded query name is signed.
    pub fn is_sub_resource(&self, name: &[u8]) -> bool {
        self.dialect.is_sub_resource(name)
            || self.extra_sub_resources.iter().any(|extra| extra.as_bytes() == name)
    }
}

/// Whether a query parameter carries a version 2 signature; a caller's own are dropped before signing.
pub fn is_query_credential(name: &str) -> bool {
    query_credential(name.as_bytes())
}

pub(super) fn query_credential(name: &[u8]) -> bool {
    matches!(name, b"AWSAccessKeyId" | b"Expires" | b"Signature" | b"SecurityToken")
        || name.eq_ignore_ascii_case(TOKEN.as_str().as_bytes())
}

/// S3 signature version 2 with a key in it.
pub struct Signer {
    options: Options,
    id: String,
    /// The key id as a signed URL carries it.
    id_parameter: Vec<u8>,
    token: Option<Zeroizing<String>>,
    mac: MacSha1,
}

/// The slot of [`Scratch`]'s values that holds a decoded name for a moment.
const NAME: usize = 4;

/// Where the signature stands, and with it what the date line is. Its text is `values[0]` of the scratch.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In `Authorization`; the date line is the `Date` header unless `x-amz-date` is there.
    Header,
    /// In the query; the date line is `Expires`.
    Query,
}

impl Signer {
    /// Prepares the keyed state.
    pub fn new(options: Options, key: Key) -> Result<Self, SignError> {
        super::usable(&key)?;
        let token = super::token_text(&key)?;
        let mut id_parameter = Vec::with_capacity(32 + key.id.len());
        push_parameter("AWSAccessKeyId", key.id.as_bytes(), &mut id_parameter);
        Ok(Self { options, token, mac: MacSha1::new(key.secret.expose()), id: key.id, id_parameter })
    }

    fn token(&self) -> Option<&[u8]> {
        self.token.as_ref().map(|token| token.as_bytes())
    }

    /// The query form of a signed URL keeps every parameter but the credentials, strictly encoded; an empty value is
    /// written without `=`, as all these servers sign it. What is signed of it is collected on the way.
    fn rebuild_query(&self, head: &Head<'_>, scratch: &mut Scratch) -> Result<(), SignError> {
        let mut query = std::mem::take(&mut scratch.query);
        let outcome = self.rebuild_into(wire_query(head), &mut query, scratch);
        scratch.query = query;
        outcome
    }

    fn rebuild_into(&self, wire: &[u8], query: &mut Vec<u8>, scratch: &mut Scratch) -> Result<(), SignError> {
        let is_credential = |name: &[u8]| query_credential(name) || super::sigv4::query_credential(name);
        let bad = |_| SignError::Encoding("query");
        let mut copied = Copied::new(wire);
        for piece in encode::scan(wire) {
            let value = piece.value.filter(|value| !value.is_empty());
            if piece.spelling.is_strict() {
                if !is_credential(piece.name) {
                    self.collect(piece.name, &piece, Place::Query, scratch)?;
                    let length = value.map_or(piece.name.len(), |_| piece.whole.len());
                    copied.take(&piece, length, query);
                }
                continue;
            }
            // The last slot of the values is free in this form.
            let mut name = std::mem::take(&mut scratch.values[NAME]);
            name.clear();
            let mut outcome = encode::decode(piece.name, Plus::Space, &mut name).map_err(bad);
            if outcome.is_ok() && !is_credential(&name) {
                outcome = self.collect(&name, &piece, Place::Query, scratch);
                copied.finish(query);
                if !query.is_empty() {
                    query.push(b'&');
                }
                encode::percent(&name, Keep::Unreserved, query);
                if let Some(value) = value {
                    query.push(b'=');
                    let respelled = encode::respell(value, Keep::Unreserved, Plus::Space, query);
                    outcome = outcome.and(respelled.map_err(bad));
                }
            }
            scratch.values[NAME] = name;
            outcome?;
        }
        copied.finish(query);
        if let Some(token) = self.token() {
            push_parameter(TOKEN.as_str(), token, query);
            canonical::push(&mut scratch.arena, &mut scratch.headers, TOKEN.as_str().as_bytes(), token)?;
        }
        Ok(())
    }
}

/// The query as it came.
fn wire_query<'h>(head: &Head<'h>) -> &'h [u8] {
    head.query.unwrap_or_default().as_bytes()
}

fn push_parameter(name: &str, value: &[u8], out: &mut Vec<u8>) {
    if !out.is_empty() {
        out.push(b'&');
    }
    out.extend_from_slice(name.as_bytes());
    out.push(b'=');
    encode::percent(value, Keep::Unreserved, out);
}

impl super::Signer for Signer {
    fn body_need(&self, _head: &Head<'_>) -> BodyNeed {
        BodyNeed::Nothing
    }

    fn sign<'s>(
        &self,
        head: &Head<'_>,
        _payload: Payload<'_>,
        now: Timestamp,
        scratch: &'s mut Scratch,
    ) -> Result<Edits<'s>, SignError> {
        scratch.clear();
        let date = scratch.http.spell(now, date::http)?;
        scratch.values[0].extend_from_slice(&date);
        self.write(head, Place::Header, self.token(), scratch)?;
        let Scratch { values, signature, .. } = &mut *scratch;
        let [_, authorization, token, ..] = values;
        authorization.extend_from_slice(b"AWS ");
        authorization.extend_from_slice(self.id.as_bytes());
        authorization.push(b':');
        authorization.extend_from_slice(signature);
        token.extend_from_slice(self.token().unwrap_or_default());

        let scratch = &*scratch;
        let header =
            |name: HeaderName, at: usize| text(&scratch.values[at], "header").map(|v| Some((name, v)));
        Ok(Edits {
            headers: [
                header(DATE, 0)?,
                header(AUTHORIZATION, 1)?,
                if self.token.is_some() { header(TOKEN, 2)? } else { None },
                None,
                None,
            ],
            query: None,
            form: None,
            stages: scratch.stages()?,
        })
    }

    fn presign<'s>(
        &self,
        head: &Head<'_>,
        _payload: Payload<'_>,
        now: Timestamp,
        expires: u32,
        scratch: &'s mut Scratch,
    ) -> Result<Edits<'s>, SignError> {
        if expires == 0 || expires > MAX_PRESIGNED {
            return Err(SignError::Expires);
        }
        scratch.clear();
        let until = u64::try_from(now.as_second()).ok().and_then(|now| now.checked_add(u64::from(expires)));
        encode::decimal(until.ok_or(SignError::Clock)?, &mut scratch.values[0]);
        let lines = canonical::collect_headers(head, None, scratch)?;
        // What is signed is the query as it will be sent.
        self.rebuild_query(head, scratch)?;
        let signed = self.finish(head, &lines, Place::Query, scratch)?;
        let Scratch { values, query, .. } = &mut *scratch;
        if !query.is_empty() {
            query.push(b'&');
        }
        query.extend_from_slice(self.id_parameter.as_slice());
        query.extend_from_slice(b"&Expires=");
        query.extend_from_slice(&values[0]);
        query.extend_from_slice(b"&Signature=");
        encode::base64_escaped(&signed, query);

        let scratch = &*scratch;
        Ok(Edits {
            headers: [const { None }; super::edits::MAX_HEADERS],
            query: Some(text(&scratch.query, "query")?),
            form: None,
            stages: scratch.stages()?,
        })
    }

    fn verify(
        &self,
        head: &Head<'_>,
        _payload: Payload<'_>,
        now: Timestamp,
        scratch: &mut Scratch,
    ) -> Result<(), VerifyError> {
        self.judge(head, now, scratch)
    }

    fn expected<'s>(
        &self,
        head: &Head<'_>,
        _payload: Payload<'_>,
        scratch: &'s mut Scratch,
    ) -> Result<Stages<'s>, VerifyError> {
        let place = verify::place(head, scratch)?;
        self.rewrite(head, place, scratch)?;
        Ok(scratch.stages()?)
    }
}

#[cfg(test)]
mod tests;

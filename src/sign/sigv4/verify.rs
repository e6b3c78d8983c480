//! Judging a version 4 signature, in the header or in the query, as strictly as the strictest server (Arsenal:
//! `host` and every `x-amz-*` header must be signed, the scope's date must be that of the timestamp).

use jiff::{SignedDuration, Timestamp};
use subtle::ConstantTimeEq as _;

use super::{
    ALGORITHM, CONTENT_SHA256, DATE, MAX_PRESIGNED, SessionToken, Signer, TERMINATOR, TOKEN, UNSIGNED,
    canonical, day_of, slot,
};
use crate::sign::claim;
use crate::sign::encode::{self, Plus};
use crate::sign::{ChunkMode, Head, Payload, Scratch, VerifyError, date, digest, same, sole};

/// Where the signature stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Header,
    /// In the query; the URL holds for this long.
    Query {
        seconds: u32,
    },
}

/// What a request says of its own signature. The texts are in the scratch: the date, the names of the signed headers
/// and the token in their slots, the signature in that of the authorization, and the credential in the form's buffer.
#[derive(Clone, Copy)]
pub(super) struct Claim {
    place: Place,
    amz_date: [u8; 16],
    moment: Timestamp,
}

impl Claim {
    /// Reads the claim without judging it.
    pub(super) fn read(head: &Head<'_>, scratch: &mut Scratch) -> Result<Self, VerifyError> {
        scratch.clear();
        let in_query = parameter(head, "X-Amz-Signature", slot::AUTHORIZATION, scratch)?;
        let place = match (in_query, head.headers.contains_key("authorization")) {
            (true, true) => return Err(VerifyError::Malformed("signature in two places")),
            (true, false) => read_query(head, scratch)?,
            (false, _) => read_header(head, scratch)?,
        };
        let stated = &scratch.values[slot::DATE];
        let amz_date: [u8; 16] =
            stated.as_slice().try_into().map_err(|_| VerifyError::Malformed("x-amz-date"))?;
        let moment = date::read_amz(&amz_date).ok_or(VerifyError::Malformed("x-amz-date"))?;
        Ok(Self { place, amz_date, moment })
    }
}

/// What a head claims, in the header or in the query.
pub(in crate::sign) fn claimed(head: &Head<'_>, scratch: &mut Scratch) -> Result<claim::Claim, VerifyError> {
    let Claim { place, moment, .. } = Claim::read(head, scratch)?;
    let (place, holds) = match place {
        Place::Header => (claim::Place::Header, date::SKEW),
        Place::Query { seconds } => (claim::Place::Query, SignedDuration::from_secs(seconds.into())),
    };
    // The id is what stands before the four parts of the scope.
    let id = scratch.form.rsplitn(5, |&b| b == b'/').nth(4).ok_or(VerifyError::Malformed("credential"))?;
    let key = claim::owned(id, "credential")?;
    let signature = claim::owned(&scratch.values[slot::AUTHORIZATION], "authorization")?;
    let in_query = place == claim::Place::Query;
    let stated = in_query && parameter(head, "X-Amz-Content-Sha256", slot::PAYLOAD, scratch)?;
    let payload = stated.then(|| claim::owned(&scratch.values[slot::PAYLOAD], "x-amz-content-sha256"));
    Ok(claim::Claim {
        family: claim::Family::SigV4,
        place,
        key,
        signature,
        signed_at: Some(moment),
        until: Some(moment.checked_add(holds).map_err(|_| VerifyError::Skew)?),
        payload: payload.transpose()?,
    })
}

fn read_header(head: &Head<'_>, scratch: &mut Scratch) -> Result<Place, VerifyError> {
    const BAD: VerifyError = VerifyError::Malformed("authorization");
    let Scratch { values, form: credential, .. } = scratch;
    let value = sole(head, "authorization").ok_or(VerifyError::Missing)?;
    let rest = value.strip_prefix(ALGORITHM.as_bytes()).ok_or(VerifyError::Missing)?;
    if !rest.starts_with(b" ") {
        return Err(VerifyError::Missing);
    }
    for part in rest.split(|&b| b == b',') {
        let part = part.trim_ascii();
        let equals = part.iter().position(|&b| b == b'=').ok_or(BAD)?;
        let (name, text) = (&part[..equals], &part[equals + 1..]);
        let target = match name {
            b"Credential" => &mut *credential,
            b"SignedHeaders" => &mut values[slot::SIGNED_HEADERS],
            b"Signature" => &mut values[slot::AUTHORIZATION],
            _ => return Err(BAD),
        };
        if text.is_empty() || !target.is_empty() {
            return Err(BAD);
        }
        target.extend_from_slice(text);
    }
    let date = sole(head, DATE.as_str()).ok_or(VerifyError::Malformed("x-amz-date"))?;
    values[slot::DATE].extend_from_slice(date.trim_ascii());
    if let Some(token) = sole(head, TOKEN.as_str()) {
        values[slot::TOKEN].extend_from_slice(token.trim_ascii());
    }
    Ok(Place::Header)
}

fn read_query(head: &Head<'_>, scratch: &mut Scratch) -> Result<Place, VerifyError> {
    // The credential first, because the slot it is read through is needed again.
    if !parameter(head, "X-Amz-Credential", slot::DATE, scratch)? {
        return Err(VerifyError::Malformed("X-Amz-Credential"));
    }
    let Scratch { values, form: credential, .. } = &mut *scratch;
    credential.append(&mut values[slot::DATE]);
    if !parameter(head, "X-Amz-Expires", slot::DATE, scratch)? {
        return Err(VerifyError::Malformed("X-Amz-Expires"));
    }
    let seconds = std::str::from_utf8(&scratch.values[slot::DATE])
        .ok()
        .filter(|text| text.bytes().all(|b| b.is_ascii_digit()))
        .and_then(|text| text.parse().ok())
        .filter(|seconds| (1..=MAX_PRESIGNED).contains(seconds))
        .ok_or(VerifyError::Malformed("X-Amz-Expires"))?;
    scratch.values[slot::DATE].clear();
    let algorithm = parameter(head, "X-Amz-Algorithm", slot::DATE, scratch)?;
    if !algorithm || scratch.values[slot::DATE] != ALGORITHM.as_bytes() {
        return Err(VerifyError::Malformed("X-Amz-Algorithm"));
    }
    scratch.values[slot::DATE].clear();
    parameter(head, "X-Amz-Date", slot::DATE, scratch)?;
    parameter(head, "X-Amz-SignedHeaders", slot::SIGNED_HEADERS, scratch)?;
    parameter(head, "X-Amz-Security-Token", slot::TOKEN, scratch)?;
    Ok(Place::Query { seconds })
}

/// Decodes the one parameter of this name into `values[at]`.
fn parameter(head: &Head<'_>, name: &str, at: usize, scratch: &mut Scratch) -> Result<bool, VerifyError> {
    let Scratch { arena, values, .. } = scratch;
    let bad = |_| VerifyError::Malformed("query");
    let mut found = false;
    for (wire, value) in encode::pieces(head.query.unwrap_or_default().as_bytes()) {
        arena.clear();
        encode::decode(wire, Plus::Space, arena).map_err(bad)?;
        if arena.as_slice() != name.as_bytes() {
            continue;
        }
        if found {
            return Err(VerifyError::Malformed("repeated parameter"));
        }
        found = true;
        encode::decode(value.unwrap_or_default(), Plus::Space, &mut values[at]).map_err(bad)?;
    }
    Ok(found)
}

impl Signer {
    pub(super) fn judge(
        &self,
        head: &Head<'_>,
        payload: Payload<'_>,
        now: Timestamp,
        scratch: &mut Scratch,
    ) -> Result<(), VerifyError> {
        let claim = Claim::read(head, scratch)?;
        self.check_credential(&claim, &scratch.form)?;
        check_time(&claim, now)?;
        self.check_signed_headers(head, &scratch.values[slot::SIGNED_HEADERS])?;
        let token = self.token().unwrap_or_default();
        if !bool::from(scratch.values[slot::TOKEN].ct_eq(token)) {
            return Err(VerifyError::UnknownKey);
        }
        let today = date::amz(now).map_err(|_| VerifyError::Skew)?;
        self.rewrite(head, payload, &claim, &today[..8], scratch)?;
        same(&scratch.signature, &scratch.values[slot::AUTHORIZATION])?;
        check_payload(&scratch.values[slot::PAYLOAD], payload)
    }

    /// `id/date/region/service/aws4_request`; only the last four parts cannot hold a slash.
    fn check_credential(&self, claim: &Claim, credential: &[u8]) -> Result<(), VerifyError> {
        let bad = || VerifyError::Malformed("credential");
        let mut parts = credential.rsplitn(5, |&b| b == b'/');
        let mut part = || parts.next().ok_or_else(bad);
        let (terminator, service, region, day, id) = (part()?, part()?, part()?, part()?, part()?);
        if id != self.id.as_bytes() {
            return Err(VerifyError::UnknownKey);
        }
        let scope_matches = terminator == TERMINATOR.as_bytes()
            && service == self.options.service.as_bytes()
            && region == self.options.region.as_bytes()
            && day == day_of(&claim.amz_date);
        if scope_matches { Ok(()) } else { Err(VerifyError::Scope) }
    }

    /// Sorted and without repeats, `host` among them, and every `x-amz-*` header that is present.
    fn check_signed_headers(&self, head: &Head<'_>, names: &[u8]) -> Result<(), VerifyError> {
        let list = || names.split(|&b| b == b';');
        let is_signed = |name: &[u8]| list().any(|signed| signed == name);
        let mut previous: &[u8] = b"";
        for name in list() {
            if name <= previous || name.iter().any(u8::is_ascii_uppercase) {
                return Err(VerifyError::Malformed("SignedHeaders"));
            }
            previous = name;
        }
        if !is_signed(b"host") {
            return Err(VerifyError::Unsigned("host"));
        }
        for name in head.headers.keys() {
            // Current Ceph lets the digest's header pass unsigned: it is the canonical request's last line anyway.
            let exempt = *name == CONTENT_SHA256
                || (*name == TOKEN && self.options.session_token == SessionToken::Unsigned);
            let name = name.as_str();
            if name.starts_with("x-amz-") && !exempt && !is_signed(name.as_bytes()) {
                return Err(VerifyError::Unsigned("x-amz-*"));
            }
        }
        Ok(())
    }

    /// Writes the stages that the claim must have been signed over.
    pub(super) fn rewrite(
        &self,
        head: &Head<'_>,
        payload: Payload<'_>,
        claim: &Claim,
        today: &[u8],
        scratch: &mut Scratch,
    ) -> Result<(), VerifyError> {
        self.find_payload(head, payload, claim, scratch)?;
        canonical::write_head(&self.options, head, scratch)?;
        let unsigned_token = self.options.session_token == SessionToken::Unsigned;
        canonical::collect_query(
            head.query,
            |name| name == b"X-Amz-Signature" || (unsigned_token && name == b"X-Amz-Security-Token"),
            scratch,
        )?;
        canonical::write_query(scratch);
        let Scratch { canonical: out, values, .. } = &mut *scratch;
        if !canonical::write_named_headers(&values[slot::SIGNED_HEADERS], head.headers, out) {
            return Err(VerifyError::Malformed("SignedHeaders"));
        }
        canonical::write_payload(scratch);
        self.finish(&claim.amz_date, today, scratch);
        Ok(())
    }

    /// The canonical request's last line: what the request states, or what its place and flavour imply.
    fn find_payload(
        &self,
        head: &Head<'_>,
        payload: Payload<'_>,
        claim: &Claim,
        scratch: &mut Scratch,
    ) -> Result<(), VerifyError> {
        let stated = sole(head, CONTENT_SHA256.as_str());
        let is_s3 = self.options.content_sha256_header;
        let in_query = matches!(claim.place, Place::Query { .. });
        if in_query && parameter(head, "X-Amz-Content-Sha256", slot::PAYLOAD, scratch)? {
            return Ok(());
        }
        let signed = scratch.values[slot::SIGNED_HEADERS]
            .split(|&b| b == b';')
            .any(|name| name == CONTENT_SHA256.as_str().as_bytes());
        let line = &mut scratch.values[slot::PAYLOAD];
        match stated {
            Some(stated) if signed || !in_query => line.extend_from_slice(stated.trim_ascii()),
            _ if in_query && is_s3 => line.extend_from_slice(UNSIGNED),
            _ if is_s3 => return Err(VerifyError::Malformed("x-amz-content-sha256")),
            _ => {
                self.write_payload(payload, line);
            }
        }
        Ok(())
    }
}

fn check_time(claim: &Claim, now: Timestamp) -> Result<(), VerifyError> {
    match claim.place {
        Place::Header if !date::is_near(claim.moment, now) => Err(VerifyError::Skew),
        Place::Query { .. } if claim.moment.duration_since(now) > date::SKEW => Err(VerifyError::Skew),
        Place::Query { seconds }
            if now.duration_since(claim.moment) > SignedDuration::from_secs(seconds.into()) =>
        {
            Err(VerifyError::Expired)
        }
        Place::Header | Place::Query { .. } => Ok(()),
    }
}

/// Holds the signed line against what is known of the body. [`Payload::Unsigned`] means that nothing is known yet:
/// whoever reads the body compares the digest then.
fn check_payload(line: &[u8], payload: Payload<'_>) -> Result<(), VerifyError> {
    let mode = std::str::from_utf8(line).ok().and_then(ChunkMode::from_token);
    let is_digest = line.len() == 64 && line.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if line != UNSIGNED && mode.is_none() && !is_digest {
        return Err(VerifyError::Malformed("x-amz-content-sha256"));
    }
    let holds = match payload {
        Payload::Unsigned => true,
        Payload::Chunked(sent) => mode == Some(sent),
        Payload::Whole(_) | Payload::Digest(_) if mode.is_some() => false,
        Payload::Whole(_) | Payload::Digest(_) if !is_digest => true,
        Payload::Whole(body) => line == encode::hex32(&digest::sha256(body)),
        Payload::Digest(digest) => line == encode::hex32(&digest),
    };
    if holds { Ok(()) } else { Err(VerifyError::Payload) }
}

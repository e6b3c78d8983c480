//! Judging a version 2 signature, in the header or in the query.

use jiff::Timestamp;
use subtle::ConstantTimeEq as _;

use super::{MAX_PRESIGNED, Place, Signer, TOKEN};
use crate::sign::claim::{self, Claim, Family};
use crate::sign::encode::{self, Plus};
use crate::sign::{Head, Scratch, SignError, VerifyError, date, same, sole};

/// Of `values`: the date line (always first), and what the request says of its key and signature.
const DATE_LINE: usize = 0;
const KEY_ID: usize = 1;
const SIGNATURE: usize = 2;
const TOKEN_VALUE: usize = 3;

impl Signer {
    pub(super) fn judge(
        &self,
        head: &Head<'_>,
        now: Timestamp,
        scratch: &mut Scratch,
    ) -> Result<(), VerifyError> {
        let place = place(head, scratch)?;
        match place {
            Place::Header => {
                let (id, signature) = authorization(head)?;
                scratch.values[KEY_ID].extend_from_slice(id);
                scratch.values[SIGNATURE].extend_from_slice(signature);
                if !date::is_near(stated_date(head)?, now) {
                    return Err(VerifyError::Skew);
                }
                if let Some(token) = sole(head, TOKEN.as_str()) {
                    scratch.values[TOKEN_VALUE].extend_from_slice(token.trim_ascii());
                }
            }
            Place::Query => {
                let until = number(&scratch.values[DATE_LINE]).ok_or(VerifyError::Malformed("Expires"))?;
                if until <= now.as_second() || until - now.as_second() > i64::from(MAX_PRESIGNED) {
                    return Err(VerifyError::Expired);
                }
                if !parameter(head, "AWSAccessKeyId", KEY_ID, scratch)? {
                    return Err(VerifyError::Missing);
                }
                parameter(head, TOKEN.as_str(), TOKEN_VALUE, scratch)?;
            }
        }
        if scratch.values[KEY_ID] != self.id.as_bytes() {
            return Err(VerifyError::UnknownKey);
        }
        let token = self.token().unwrap_or_default();
        if !bool::from(scratch.values[TOKEN_VALUE].ct_eq(token)) {
            return Err(VerifyError::UnknownKey);
        }
        self.rewrite(head, place, scratch)?;
        same(&scratch.signature, &scratch.values[SIGNATURE])
    }

    /// Writes the stages over a head that already carries all that is signed.
    pub(super) fn rewrite(
        &self,
        head: &Head<'_>,
        place: Place,
        scratch: &mut Scratch,
    ) -> Result<(), SignError> {
        self.write(head, place, None, scratch)
    }
}

/// What a head claims, in the header or in the query.
pub(in crate::sign) fn claimed(head: &Head<'_>, scratch: &mut Scratch) -> Result<Claim, VerifyError> {
    let (place, until) = match place(head, scratch)? {
        Place::Header => {
            let (id, signature) = authorization(head)?;
            scratch.values[KEY_ID].extend_from_slice(id);
            scratch.values[SIGNATURE].extend_from_slice(signature);
            (claim::Place::Header, stated_date(head)?.checked_add(date::SKEW))
        }
        Place::Query => {
            if !parameter(head, "AWSAccessKeyId", KEY_ID, scratch)? {
                return Err(VerifyError::Malformed("AWSAccessKeyId"));
            }
            let until = number(&scratch.values[DATE_LINE]).ok_or(VerifyError::Malformed("Expires"))?;
            (claim::Place::Query, Timestamp::from_second(until))
        }
    };
    Ok(Claim {
        family: Family::S3V2,
        place,
        key: claim::owned(&scratch.values[KEY_ID], "authorization")?,
        signature: claim::owned(&scratch.values[SIGNATURE], "authorization")?,
        signed_at: None,
        until: Some(until.map_err(|_| VerifyError::Expired)?),
        payload: None,
    })
}

/// `x-amz-date`, which counts when it is there, or `Date`.
fn stated_date(head: &Head<'_>) -> Result<Timestamp, VerifyError> {
    let stated = sole(head, "x-amz-date").or_else(|| sole(head, "date"));
    let moment = stated.and_then(|stated| date::read_http(stated.trim_ascii()));
    moment.ok_or(VerifyError::Malformed("date"))
}

/// Where the signature stands, with the date line left in `values`. Both places at once are refused, as S3 does.
pub(super) fn place(head: &Head<'_>, scratch: &mut Scratch) -> Result<Place, VerifyError> {
    scratch.clear();
    let in_query = parameter(head, "Signature", SIGNATURE, scratch)?;
    match (in_query, head.headers.contains_key("authorization")) {
        (true, true) => Err(VerifyError::Malformed("signature in two places")),
        (true, false) if parameter(head, "Expires", DATE_LINE, scratch)? => Ok(Place::Query),
        (true, false) => Err(VerifyError::Malformed("Expires")),
        (false, _) => {
            if let Some(value) = sole(head, "date") {
                scratch.values[DATE_LINE].extend_from_slice(value);
            }
            Ok(Place::Header)
        }
    }
}

/// The key id and the signature of `Authorization: AWS id:signature`. A key id may hold colons (Swift's do), Base64
/// does not.
fn authorization<'h>(head: &Head<'h>) -> Result<(&'h [u8], &'h [u8]), VerifyError> {
    let value = sole(head, "authorization").ok_or(VerifyError::Missing)?;
    let rest = value.strip_prefix(b"AWS ").ok_or(VerifyError::Missing)?.trim_ascii();
    let colon = rest.iter().rposition(|&b| b == b':').ok_or(VerifyError::Malformed("authorization"))?;
    Ok((&rest[..colon], &rest[colon + 1..]))
}

/// Decodes the one parameter of this name into `values[at]`.
fn parameter(head: &Head<'_>, name: &str, at: usize, scratch: &mut Scratch) -> Result<bool, VerifyError> {
    let Scratch { arena, values, .. } = scratch;
    let mut found = false;
    for (wire, value) in encode::pieces(head.query.unwrap_or_default().as_bytes()) {
        arena.clear();
        encode::decode(wire, Plus::Space, arena).map_err(|_| VerifyError::Malformed("query"))?;
        if arena.as_slice() != name.as_bytes() {
            continue;
        }
        if found {
            return Err(VerifyError::Malformed("repeated parameter"));
        }
        found = true;
        encode::decode(value.unwrap_or_default(), Plus::Space, &mut values[at])
            .map_err(|_| VerifyError::Malformed("query"))?;
    }
    arena.clear();
    Ok(found)
}

fn number(digits: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(digits).ok()?;
    if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}

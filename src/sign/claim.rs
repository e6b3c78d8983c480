//! What a request says of its own signature: of which family, where it stands, whose key, until when it holds.
//!
//! Nothing here judges: a claim is the question that [`super::Signer::verify`] answers. It is read with the very
//! readers that judging uses, so that the key that is looked up is the key that is verified. What two servers could
//! read in two ways (a signature in two places, a parameter twice) is refused.

use jiff::Timestamp;

use super::encode::{self, Plus};
use super::{Head, Payload, Scratch, VerifyError, cloudstack, s3v2, sigv4, zstack};

/// The families of signatures, each with one reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// `apiKey` and `signature` among the parameters.
    Cloudstack,
    /// `Authorization: ZStack id:signature`.
    Zstack,
    /// `Authorization: AWS id:signature`, or `AWSAccessKeyId` and `Signature` in the query.
    S3V2,
    /// `Authorization: AWS4-HMAC-SHA256 …`, or `X-Amz-*` in the query.
    SigV4,
}

/// Where a signature stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In `Authorization`.
    Header,
    /// In the query.
    Query,
    /// In a form body.
    Form,
}

/// A claim, read and not yet judged. No `Debug`: it holds a signature.
#[derive(Clone)]
pub struct Claim {
    /// The family that it was read as.
    pub family: Family,
    /// Where it stands.
    pub place: Place,
    /// The key id, as the caller wrote it.
    pub key: String,
    /// The signature, as the caller wrote it. Never logged.
    pub signature: String,
    /// The date that the signature was made for; SigV4 only, where the signatures of chunks need it.
    pub signed_at: Option<Timestamp>,
    /// The last moment at which a server would accept it; `None`: it never dies (CloudStack without version 3).
    pub until: Option<Timestamp>,
    /// The parameter `X-Amz-Content-Sha256` of a SigV4 query, which stands for the header of that name.
    pub payload: Option<String>,
}

/// Finds the signature of one of `families` in a request; `form` is the body of a CloudStack form.
///
/// # Errors
/// Signatures in two places, or an AWS signature of a kind that no family here has.
pub fn find(
    head: &Head<'_>,
    form: Option<&[u8]>,
    families: &[Family],
) -> Result<Option<(Family, Place)>, VerifyError> {
    if families.is_empty() {
        return Ok(None);
    }
    let mut found = None;
    let mut note = |family: Family, place: Place| {
        if !families.contains(&family) || found == Some((family, place)) {
            return Ok(());
        }
        let earlier = found.replace((family, place));
        if earlier.is_some() { Err(VerifyError::Malformed("signature in two places")) } else { Ok(()) }
    };
    let is_aws = families.contains(&Family::SigV4);
    for value in head.headers.get_all(http::header::AUTHORIZATION) {
        match value.as_bytes() {
            value if value.starts_with(b"ZStack ") => note(Family::Zstack, Place::Header)?,
            value if value.starts_with(b"AWS ") && families.contains(&Family::S3V2) => {
                note(Family::S3V2, Place::Header)?;
            }
            value if value.starts_with(b"AWS4-HMAC-SHA256 ") => note(Family::SigV4, Place::Header)?,
            value if is_aws && value.starts_with(b"AWS") => {
                return Err(VerifyError::Malformed("authorization"));
            }
            _ => {}
        }
    }
    let mut name = Vec::new();
    let pieces = |wire, place| encode::pieces(wire).map(move |(name, _)| (name, place));
    let query = pieces(head.query.unwrap_or_default().as_bytes(), Place::Query);
    for (wire, place) in query.chain(pieces(form.unwrap_or_default(), Place::Form)) {
        name.clear();
        // A name that cannot be decoded names nothing here, and rebuilding refuses it.
        if encode::decode(wire, Plus::Space, &mut name).is_err() {
            continue;
        }
        if cloudstack::is_claim(&name) {
            note(Family::Cloudstack, place)?;
        }
        match (name.as_slice(), place) {
            (b"X-Amz-Signature" | b"X-Amz-Credential" | b"X-Amz-Algorithm", Place::Query) => {
                note(Family::SigV4, place)?;
            }
            (b"Signature" | b"AWSAccessKeyId", Place::Query) => note(Family::S3V2, place)?,
            _ => {}
        }
    }
    Ok(found)
}

/// Reads a claim that [`find`] found.
///
/// # Errors
/// It is not in its family's form.
pub fn read(
    (family, place): (Family, Place),
    head: &Head<'_>,
    payload: Payload<'_>,
    scratch: &mut Scratch,
) -> Result<Claim, VerifyError> {
    match family {
        Family::Cloudstack => cloudstack::claimed(place, head, payload, scratch),
        Family::Zstack => zstack::claimed(head),
        Family::S3V2 => s3v2::claimed(head, scratch),
        Family::SigV4 => sigv4::claimed(head, scratch),
    }
}

/// The text of a key id or a signature: whatever is not UTF-8 is nobody's.
pub(super) fn owned(text: &[u8], what: &'static str) -> Result<String, VerifyError> {
    match std::str::from_utf8(text) {
        Ok(text) if !text.is_empty() => Ok(text.to_owned()),
        _ => Err(VerifyError::Malformed(what)),
    }
}

#[cfg(test)]
mod tests;

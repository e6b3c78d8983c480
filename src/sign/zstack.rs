//! ZStack AccessKey: HMAC-SHA1 over method, `Date` and the decoded path without the context path
//! (`RestServer.handle`, `RestServer.checkTime`).
//!
//! Neither query nor body is covered, so only TLS protects them. The date is written as the server's own wall clock
//! shows it, because by default the server ignores the zone that the header names.

use http::HeaderName;
use http::header::{AUTHORIZATION, DATE};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::claim::{self, Claim, Family, Place};
use super::digest::MacSha1;
use super::edits::text;
use super::encode::{self, Plus};
use super::{
    BodyNeed, Edits, Head, Payload, Scratch, SignError, Stages, VerifyError, check_line, date, same, sole,
};
use crate::secret::Key;

/// The servlet context path of a stock installation.
pub const DEFAULT_CONTEXT_PATH: &str = "/zstack";

const PREFIX: &str = "ZStack ";

/// Zone names that Java reads and that are no region of the time-zone database.
const JAVA_ABBREVIATIONS: [&str; 16] = [
    "ACT", "AST", "BST", "CNT", "CST", "CTT", "EDT", "ECT", "IST", "JST", "PDT", "PST", "CDT", "MDT", "SST",
    "Z",
];

/// Options of `sign.zstack`.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// What the server cuts off the front of the path: empty, or `/` and a name without a final `/`.
    pub context_path: String,
    /// The zone that the server's own clock runs in.
    pub time_zone: TimeZone,
    /// What the `Date` header calls that zone; the server's Java must be able to read it.
    pub zone_label: String,
}

/// Why [`Options`] cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// The zone is not in the time-zone database.
    #[error("`{0}` is not a time zone of the tz database; write a region such as `Asia/Shanghai`, or `UTC`")]
    UnknownZone(String),
    /// The label could not stand at the end of a `Date` header.
    #[error(
        "`{0}` cannot name a zone in a `Date` header; write a name such as `PRC`, `GMT` or `Asia/Shanghai`"
    )]
    Label(String),
}

impl Options {
    /// Options for a server whose clock runs in `zone`, a name of the tz database. The label defaults to that name;
    /// the context path is [`DEFAULT_CONTEXT_PATH`] until [`Options::with_context_path`].
    pub fn in_zone(zone: &str, label: Option<&str>) -> Result<Self, OptionsError> {
        let time_zone = TimeZone::get(zone).map_err(|_| OptionsError::UnknownZone(zone.to_owned()))?;
        let label = label.unwrap_or(zone);
        if !is_zone_text(label) {
            return Err(OptionsError::Label(label.to_owned()));
        }
        Ok(Self { context_path: DEFAULT_CONTEXT_PATH.to_owned(), time_zone, zone_label: label.to_owned() })
    }

    /// The same with another context path; a final `/` is taken off, so `/` and the empty text are one.
    #[must_use]
    pub fn with_context_path(mut self, path: &str) -> Self {
        path.trim_end_matches('/').clone_into(&mut self.context_path);
        self
    }
}

/// ZStack with a key in it.
pub struct Signer {
    options: Options,
    id: String,
    mac: MacSha1,
}

impl Signer {
    /// Prepares the keyed state; a session token does not exist in this scheme and is refused, as is a `:` in the
    /// key id, because the server takes the header apart there.
    pub fn new(options: Options, key: Key) -> Result<Self, SignError> {
        super::usable(&key)?;
        if key.session_token.is_some() {
            return Err(SignError::Credential("ZStack access keys have no session tokens"));
        }
        if key.id.contains(':') {
            return Err(SignError::Credential("a ZStack access key cannot hold a colon"));
        }
        Ok(Self { options, mac: MacSha1::new(key.secret.expose()), id: key.id })
    }

    /// The path as the server signs it: without the context path, once and on a segment boundary, then decoded.
    fn write_path(&self, wire: &str, out: &mut Vec<u8>) -> Result<(), SignError> {
        let rest = wire
            .strip_prefix(self.options.context_path.as_str())
            .filter(|rest| rest.is_empty() || rest.starts_with('/'))
            .unwrap_or(wire);
        let start = out.len();
        encode::decode(rest.as_bytes(), Plus::Literal, out).map_err(|_| SignError::Encoding("path"))?;
        let path = text(&out[start..], "path")?;
        check_line(path, "path")
    }

    /// Signs over `values[0]`, the date.
    fn finish(&self, head: &Head<'_>, scratch: &mut Scratch) -> Result<(), SignError> {
        check_line(head.method, "method")?;
        let Scratch { to_sign, signature, values, .. } = scratch;
        to_sign.extend_from_slice(head.method.as_bytes());
        to_sign.push(b'\n');
        to_sign.extend_from_slice(&values[0]);
        to_sign.push(b'\n');
        self.write_path(head.path, to_sign)?;
        signature.extend_from_slice(&encode::base64(&self.mac.sign(to_sign)));
        Ok(())
    }
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
        let wall_clock = date::in_range(self.options.time_zone.to_offset(now).to_datetime(now))?;
        date::rfc1123(wall_clock, &self.options.zone_label, &mut scratch.values[0]);
        self.finish(head, scratch)?;
        let Scratch { values, signature, .. } = &mut *scratch;
        values[1].extend_from_slice(PREFIX.as_bytes());
        values[1].extend_from_slice(self.id.as_bytes());
        values[1].push(b':');
        values[1].extend_from_slice(signature);

        let scratch = &*scratch;
        let header =
            |name: HeaderName, at: usize| text(&scratch.values[at], "header").map(|v| Some((name, v)));
        Ok(Edits {
            headers: [header(DATE, 0)?, header(AUTHORIZATION, 1)?, None, None, None],
            query: None,
            form: None,
            stages: scratch.stages()?,
        })
    }

    fn verify(
        &self,
        head: &Head<'_>,
        payload: Payload<'_>,
        now: Timestamp,
        scratch: &mut Scratch,
    ) -> Result<(), VerifyError> {
        let (id, theirs) = authorization(head)?;
        if id != self.id.as_bytes() {
            return Err(VerifyError::UnknownKey);
        }
        // `rest.checkTimeZone` is off by default: the zone must be readable and is then ignored; the fields are
        // compared with the server's own wall clock.
        let date = sole(head, "date").ok_or(VerifyError::Malformed("date"))?;
        let (fields, zone) = date::read_rfc1123(date).ok_or(VerifyError::Malformed("date"))?;
        if zone != self.options.zone_label && !is_readable_zone(zone) {
            return Err(VerifyError::Malformed("date"));
        }
        let ours = self.options.time_zone.to_offset(now).to_datetime(now);
        let skew: SignedDuration = ours.duration_since(fields);
        if skew.abs() > date::SKEW {
            return Err(VerifyError::Skew);
        }
        self.expected(head, payload, scratch)?;
        same(&scratch.signature, theirs)
    }

    fn expected<'s>(
        &self,
        head: &Head<'_>,
        _payload: Payload<'_>,
        scratch: &'s mut Scratch,
    ) -> Result<Stages<'s>, VerifyError> {
        scratch.clear();
        let date = sole(head, "date").ok_or(VerifyError::Malformed("date"))?;
        scratch.values[0].extend_from_slice(date);
        self.finish(head, scratch)?;
        Ok(scratch.stages()?)
    }
}

/// The key id and the signature of `Authorization: ZStack id:signature`.
fn authorization<'h>(head: &Head<'h>) -> Result<(&'h [u8], &'h [u8]), VerifyError> {
    const BAD: VerifyError = VerifyError::Malformed("authorization");
    let value = sole(head, "authorization").ok_or(VerifyError::Missing)?.trim_ascii();
    let rest = value.strip_prefix(PREFIX.as_bytes()).ok_or(VerifyError::Missing)?;
    let colon = rest.iter().position(|&b| b == b':').ok_or(BAD)?;
    let (id, signature) = (&rest[..colon], &rest[colon + 1..]);
    if signature.contains(&b':') { Err(BAD) } else { Ok((id, signature)) }
}

/// What a head claims. Its date counts as one in UTC, which is how local signatures are dated.
pub(super) fn claimed(head: &Head<'_>) -> Result<Claim, VerifyError> {
    let (id, signature) = authorization(head)?;
    let date = sole(head, "date").ok_or(VerifyError::Malformed("date"))?;
    let (fields, _) = date::read_rfc1123(date).ok_or(VerifyError::Malformed("date"))?;
    let signed_at = jiff::tz::Offset::UTC.to_timestamp(fields).map_err(|_| VerifyError::Skew)?;
    Ok(Claim {
        family: Family::Zstack,
        place: Place::Header,
        key: claim::owned(id, "authorization")?,
        signature: claim::owned(signature, "authorization")?,
        signed_at: None,
        until: Some(signed_at.checked_add(date::SKEW).map_err(|_| VerifyError::Skew)?),
        payload: None,
    })
}

fn is_zone_text(label: &str) -> bool {
    label.starts_with(|c: char| c.is_ascii_alphabetic())
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'_' | b'-' | b'+'))
}

fn is_readable_zone(zone: &str) -> bool {
    is_zone_text(zone) && (JAVA_ABBREVIATIONS.contains(&zone) || TimeZone::get(zone).is_ok())
}

#[cfg(test)]
mod tests;

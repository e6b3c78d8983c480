//! Judging a CloudStack request as `ApiServlet` and `ApiServer.verifyRequest` do.
//!
//! The parameter map is built with the server's own rules on repeated names, which differ between query and form;
//! nothing is made stricter here, because a verifier that is stricter than the server proves nothing.

use jiff::Timestamp;

use super::{API_KEY, EXPIRES, MAX_EXPIRES, SIGNATURE, SIGNATURE_VERSION, Signer, decode_field, is_form};
use crate::sign::claim::{self, Claim, Family, Place};
use crate::sign::edits::Field;
use crate::sign::encode::Plus;
use crate::sign::{Head, Payload, Scratch, VerifyError, date, encode, same};

/// The setting that `updateConfiguration` may change by GET even while it is on, so that one can turn it off.
const ENFORCE: &[u8] = b"enforce.post.requests.and.timestamps";

/// Tomcat's `maxParameterCount`; it also bounds the work of looking each name up among the others.
const MAX_PARAMETERS: usize = 10_000;

impl Signer {
    pub(super) fn judge(
        &self,
        head: &Head<'_>,
        payload: Payload<'_>,
        now: Timestamp,
        scratch: &mut Scratch,
    ) -> Result<(), VerifyError> {
        if !matches!(head.method, "GET" | "POST") {
            return Err(VerifyError::Malformed("method"));
        }
        read_parameters(head, payload, scratch)?;
        super::sort(scratch);
        let Scratch { arena, fields, values, .. } = &mut *scratch;
        let enforced = self.options.enforce_post_and_timestamps;

        let command = exactly(arena, fields, b"command").filter(|c| !c.is_empty());
        let command = command.ok_or(VerifyError::Malformed("command"))?;
        if enforced && head.method != "POST" && changes_state(arena, fields, command) {
            return Err(VerifyError::MustPost);
        }

        let version = folded(arena, fields, SIGNATURE_VERSION);
        if version.is_some_and(|v| v.eq_ignore_ascii_case(b"3")) {
            let expires = folded(arena, fields, EXPIRES).ok_or(VerifyError::Malformed("expires"))?;
            let expires = date::read_iso(expires).ok_or(VerifyError::Malformed("expires"))?;
            let latest = now.checked_add(MAX_EXPIRES).map_err(|_| VerifyError::Skew)?;
            let bounded = enforced || self.options.bound_expires;
            if expires < now || (bounded && expires > latest) {
                return Err(VerifyError::Expired);
            }
        } else if enforced {
            return Err(VerifyError::Malformed("signatureVersion"));
        }

        let key = folded(arena, fields, API_KEY).ok_or(VerifyError::Missing)?;
        if key != self.id.as_bytes() {
            return Err(VerifyError::UnknownKey);
        }
        let theirs = folded(arena, fields, SIGNATURE).ok_or(VerifyError::Missing)?;
        values[0].extend_from_slice(theirs);
        self.finish(scratch, &[])?;
        same(&scratch.signature, &scratch.values[0])
    }
}

/// What the parameters claim. One that the server matches in any letter case may stand once: it would pick one of two.
pub(in crate::sign) fn claimed(
    place: Place,
    head: &Head<'_>,
    payload: Payload<'_>,
    scratch: &mut Scratch,
) -> Result<Claim, VerifyError> {
    refuse_repeated(head, payload, scratch)?;
    read_parameters(head, payload, scratch)?;
    super::sort(scratch);
    let Scratch { arena, fields, .. } = &*scratch;
    let key = folded(arena, fields, API_KEY).ok_or(VerifyError::Missing)?;
    let signature = folded(arena, fields, SIGNATURE).ok_or(VerifyError::Missing)?;
    let version = folded(arena, fields, SIGNATURE_VERSION);
    let until = if version.is_some_and(|version| version.eq_ignore_ascii_case(b"3")) {
        let expires = folded(arena, fields, EXPIRES).and_then(date::read_iso);
        Some(expires.ok_or(VerifyError::Malformed("expires"))?)
    } else {
        None
    };
    Ok(Claim {
        family: Family::Cloudstack,
        place,
        key: claim::owned(key, "apiKey")?,
        signature: claim::owned(signature, "signature")?,
        signed_at: None,
        until,
        payload: None,
    })
}

fn refuse_repeated(head: &Head<'_>, payload: Payload<'_>, scratch: &mut Scratch) -> Result<(), VerifyError> {
    let form = super::form_of(head, payload).unwrap_or_default();
    let pieces = encode::pieces(head.query.unwrap_or_default().as_bytes()).chain(encode::pieces(form));
    let arena = &mut scratch.arena;
    let mut seen = [false; 4];
    for (name, _) in pieces {
        arena.clear();
        encode::decode(name, Plus::Space, arena).map_err(|_| VerifyError::Malformed("query"))?;
        let special = [API_KEY, SIGNATURE, SIGNATURE_VERSION, EXPIRES];
        let Some(at) = special.iter().position(|name| arena.eq_ignore_ascii_case(name)) else { continue };
        if std::mem::replace(&mut seen[at], true) {
            return Err(VerifyError::Malformed("repeated parameter"));
        }
    }
    Ok(())
}

/// Builds the server's parameter map into `scratch`: one field per name.
///
/// In the query the last piece that has a `=` counts, and one without counts only when there is no other; the form's
/// first value of a name counts, unless the query has the name at all.
pub(super) fn read_parameters(
    head: &Head<'_>,
    payload: Payload<'_>,
    scratch: &mut Scratch,
) -> Result<(), VerifyError> {
    scratch.clear();
    for piece in encode::scan(head.query.unwrap_or_default().as_bytes()) {
        let field = decode_field(&mut scratch.arena, &piece, "query")?;
        match same_name(scratch, &field) {
            None => take(scratch, field)?,
            Some(at) if piece.value.is_some() => scratch.fields[at] = field,
            Some(_) => {}
        }
    }
    let Payload::Whole(body) = payload else { return Ok(()) };
    if head.method != "POST" || !is_form(head) {
        return Ok(());
    }
    for piece in encode::scan(body) {
        let field = decode_field(&mut scratch.arena, &piece, "form")?;
        if same_name(scratch, &field).is_none() {
            take(scratch, field)?;
        }
    }
    Ok(())
}

fn take(scratch: &mut Scratch, field: Field) -> Result<(), VerifyError> {
    if scratch.fields.len() == MAX_PARAMETERS {
        return Err(VerifyError::Malformed("number of parameters"));
    }
    scratch.fields.push(field);
    Ok(())
}

fn same_name(scratch: &Scratch, field: &Field) -> Option<usize> {
    scratch.fields.iter().position(|other| other.has_name_of(field, &scratch.arena))
}

/// `command` is looked up in its exact letter case.
fn exactly<'a>(arena: &'a [u8], fields: &[Field], name: &[u8]) -> Option<&'a [u8]> {
    fields.iter().find(|field| field.name(arena) == name).map(|field| field.value(arena))
}

/// The special parameters are matched in any letter case while the server walks the sorted names: the last one wins.
fn folded<'a>(arena: &'a [u8], sorted: &[Field], name: &[u8]) -> Option<&'a [u8]> {
    sorted
        .iter()
        .rev()
        .find(|field| field.name(arena).eq_ignore_ascii_case(name))
        .map(|field| field.value(arena))
}

fn changes_state(arena: &[u8], fields: &[Field], command: &[u8]) -> bool {
    if command.eq_ignore_ascii_case(b"updateConfiguration") {
        return exactly(arena, fields, b"name").is_none_or(|name| name != ENFORCE);
    }
    !std::str::from_utf8(command).is_ok_and(super::is_read_command)
}

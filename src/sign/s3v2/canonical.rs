//! The string to sign of version 2: lines, `x-amz-*` headers, and the resource with its sub-resources.

use http::HeaderName;
use http::header::CONTENT_TYPE;

use super::{NAME, Place, Signer, TOKEN};
use crate::sign::edits::Field;
use crate::sign::encode::{self, Piece, Plus};
use crate::sign::{Head, Scratch, SignError, check_line};

const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");
const AMZ_DATE: HeaderName = HeaderName::from_static("x-amz-date");

impl Signer {
    /// Writes string to sign and signature over the head and its own query. The date line is `values[0]`; `token` is
    /// signed as a header that the gateway will set, in place of any that the head has.
    pub(super) fn write(
        &self,
        head: &Head<'_>,
        place: Place,
        token: Option<&[u8]>,
        scratch: &mut Scratch,
    ) -> Result<(), SignError> {
        let lines = collect_headers(head, token, scratch)?;
        for piece in encode::scan(super::wire_query(head)) {
            if piece.spelling.is_strict() {
                self.collect(piece.name, &piece, place, scratch)?;
                continue;
            }
            let mut name = std::mem::take(&mut scratch.values[NAME]);
            name.clear();
            let decoded = encode::decode(piece.name, Plus::Space, &mut name);
            let outcome = match decoded {
                Ok(()) => self.collect(&name, &piece, place, scratch),
                Err(_) => Err(SignError::Encoding("query")),
            };
            scratch.values[NAME] = name;
            outcome?;
        }
        self.finish(head, &lines, place, scratch).map(|_| ())
    }

    /// Takes a parameter by its decoded name, if it is signed: as a sub-resource; or, in a signed URL, as the header
    /// that it stands for, which is the token and with some servers any `x-amz-*` header.
    pub(super) fn collect(
        &self,
        name: &[u8],
        piece: &Piece<'_>,
        place: Place,
        scratch: &mut Scratch,
    ) -> Result<(), SignError> {
        let Scratch { arena, fields, headers, .. } = scratch;
        let bad = |_| SignError::Encoding("query");
        let value = piece.value.unwrap_or_default();
        let is_amz = || name.get(..6).is_some_and(|start| start.eq_ignore_ascii_case(b"x-amz-"));
        let is_header = place == Place::Query
            && is_amz()
            && (self.options.dialect.signs_amz_parameters()
                || name.eq_ignore_ascii_case(TOKEN.as_str().as_bytes()));
        if is_header {
            let start = arena.len();
            arena.extend_from_slice(name);
            arena[start..].make_ascii_lowercase();
            let middle = arena.len();
            arena.push(b':');
            encode::decode(value, Plus::Space, arena).map_err(bad)?;
            if arena[start..].iter().any(|&b| encode::is_control(b)) {
                return Err(SignError::Control("query parameter"));
            }
            headers.push(Field::closing_pair(arena, start, middle)?);
        }
        if self.options.is_sub_resource(name) {
            let start = arena.len();
            arena.extend_from_slice(name);
            let middle = arena.len();
            if piece.spelling.is_plain() {
                arena.extend_from_slice(value);
            } else {
                encode::decode(value, Plus::Space, arena).map_err(bad)?;
                self.check_value(&arena[middle..])?;
            }
            fields.push(Field::closing(arena, start, middle)?);
        }
        Ok(())
    }

    /// Writes string to sign and signature of what was collected.
    pub(super) fn finish(
        &self,
        head: &Head<'_>,
        lines: &Lines<'_>,
        place: Place,
        scratch: &mut Scratch,
    ) -> Result<[u8; 28], SignError> {
        let Scratch { arena, headers, to_sign, values, .. } = &mut *scratch;
        headers.sort_unstable_by(|a, b| a.by_name(b, arena).then_with(|| a.position().cmp(&b.position())));
        to_sign.extend_from_slice(head.method.as_bytes());
        to_sign.push(b'\n');
        to_sign.extend_from_slice(lines.content_md5.unwrap_or_default());
        to_sign.push(b'\n');
        to_sign.extend_from_slice(lines.content_type.unwrap_or_default());
        to_sign.push(b'\n');
        // `x-amz-date` takes the place of `Date`, which is then signed as an empty line.
        if place == Place::Query || !lines.has_amz_date {
            to_sign.extend_from_slice(&values[0]);
        }
        to_sign.push(b'\n');
        for field in headers.iter() {
            to_sign.extend_from_slice(field.whole(arena));
            to_sign.push(b'\n');
        }
        self.write_resource(head, scratch)?;
        let signature = encode::base64(&self.mac.sign(&scratch.to_sign));
        scratch.signature.extend_from_slice(&signature);
        Ok(signature)
    }

    /// `/bucket` when it stands in the host name, the path exactly as sent, and the signed sub-resources, sorted, with
    /// decoded values.
    fn write_resource(&self, head: &Head<'_>, scratch: &mut Scratch) -> Result<(), SignError> {
        let Scratch { arena, fields, to_sign, .. } = scratch;
        if let Some(bucket) = head.host_bucket {
            check_line(bucket, "bucket")?;
            to_sign.push(b'/');
            to_sign.extend_from_slice(bucket.as_bytes());
        }
        to_sign.extend_from_slice(if head.path.is_empty() { b"/" } else { head.path.as_bytes() });
        let overrides_last = self.options.dialect.overrides_last();
        fields.sort_unstable_by(|a, b| {
            let late = |field: &Field| overrides_last && field.name(arena).starts_with(b"response-");
            let by_group = late(a).cmp(&late(b));
            by_group.then_with(|| a.by_name(b, arena)).then_with(|| a.position().cmp(&b.position()))
        });
        let mut mark = b'?';
        for field in fields.iter() {
            to_sign.push(mark);
            mark = b'&';
            to_sign.extend_from_slice(field.name(arena));
            if !field.value(arena).is_empty() {
                to_sign.push(b'=');
                to_sign.extend_from_slice(field.value(arena));
            }
        }
        Ok(())
    }

    /// A decoded value stands unencoded in the string to sign: refuses one that would add a line, or read like a
    /// further sub-resource.
    fn check_value(&self, value: &[u8]) -> Result<(), SignError> {
        if value.iter().any(|&b| encode::is_control(b)) {
            return Err(SignError::Control("sub-resource value"));
        }
        let mut rest = value.split(|&b| b == b'&');
        rest.next();
        let reads_on = rest.any(|piece| {
            let name = piece.split(|&b| b == b'=').next().unwrap_or_default();
            self.options.is_sub_resource(name)
        });
        if reads_on { Err(SignError::Ambiguous("sub-resource value")) } else { Ok(()) }
    }
}

/// The headers that have their own lines, and `name:value` of every `x-amz-*` header as fields: lower case, repeats
/// joined with `,`. A head that would break the lines is refused here.
pub(super) fn collect_headers<'h>(
    head: &Head<'h>,
    token: Option<&[u8]>,
    scratch: &mut Scratch,
) -> Result<Lines<'h>, SignError> {
    check_line(head.method, "method")?;
    check_line(head.path, "path")?;
    // The path stands raw before the sub-resources, so a `?` in it would read like the first of them.
    if head.path.contains('?') {
        return Err(SignError::Ambiguous("path"));
    }
    let Scratch { arena, headers, fields, .. } = scratch;
    arena.clear();
    headers.clear();
    fields.clear();
    let mut lines = Lines::default();
    let mut previous = "";
    for (name, value) in head.headers {
        if *name == CONTENT_TYPE || *name == CONTENT_MD5 {
            let line = if *name == CONTENT_TYPE { &mut lines.content_type } else { &mut lines.content_md5 };
            if line.replace(value.as_bytes()).is_some() {
                return Err(SignError::Repeated("head"));
            }
            continue;
        }
        lines.has_amz_date |= *name == AMZ_DATE;
        let name = name.as_str();
        if !name.starts_with("x-amz-") || (token.is_some() && *name == TOKEN) {
            continue;
        }
        let value = value.as_bytes().trim_ascii();
        match headers.last_mut() {
            // Values of one name stand together in a header map.
            Some(last) if name == previous => {
                arena.push(b',');
                arena.extend_from_slice(value);
                last.extend(arena)?;
            }
            _ => push(arena, headers, name.as_bytes(), value)?,
        }
        previous = name;
    }
    if let Some(token) = token {
        push(arena, headers, TOKEN.as_str().as_bytes(), token)?;
    }
    Ok(lines)
}

/// The headers that stand in lines of their own.
#[derive(Default)]
pub(super) struct Lines<'h> {
    content_md5: Option<&'h [u8]>,
    content_type: Option<&'h [u8]>,
    has_amz_date: bool,
}

pub(super) fn push(
    arena: &mut Vec<u8>,
    fields: &mut Vec<Field>,
    name: &[u8],
    value: &[u8],
) -> Result<(), SignError> {
    let start = arena.len();
    arena.extend_from_slice(name);
    let middle = arena.len();
    arena.push(b':');
    arena.extend_from_slice(value);
    fields.push(Field::closing_pair(arena, start, middle)?);
    Ok(())
}

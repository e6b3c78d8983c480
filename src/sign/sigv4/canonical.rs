//! The canonical request, part by part.
//!
//! Nothing here knows a key. Parts are appended to the canonical buffer in the order of the format; the names of the
//! signed headers are left in the scratch for `Authorization`.

use http::HeaderMap;
use http::header::HOST;

use super::{CONTENT_SHA256, DATE, Options, TOKEN, slot};
use crate::sign::edits::Field;
use crate::sign::encode::{self, Keep, Plus};
use crate::sign::{Head, Scratch, SignError, check_line};

/// The headers that the signature brings along, in place of any that the head has.
pub(super) struct Own<'a> {
    pub(super) date: Option<&'a [u8]>,
    /// Whether `x-amz-content-sha256` is set; its text is in the scratch.
    pub(super) payload: bool,
    pub(super) token: Option<&'a [u8]>,
    /// Whether the head's own token is left out, because another will be sent.
    pub(super) drop_token: bool,
}

/// Method and path.
pub(super) fn write_head(options: &Options, head: &Head<'_>, scratch: &mut Scratch) -> Result<(), SignError> {
    check_line(head.method, "method")?;
    scratch.canonical.extend_from_slice(head.method.as_bytes());
    scratch.canonical.push(b'\n');
    write_path(options, head.path, scratch)?;
    scratch.canonical.push(b'\n');
    Ok(())
}

fn write_path(options: &Options, wire: &str, scratch: &mut Scratch) -> Result<(), SignError> {
    let Scratch { arena, canonical, .. } = scratch;
    arena.clear();
    let path = if options.normalize {
        remove_dot_segments(wire.as_bytes(), arena);
        arena
    } else {
        wire.as_bytes()
    };
    let path = if path.is_empty() { b"/" } else { path };
    if options.double_encode {
        encode::percent(path, Keep::Path, canonical);
        return Ok(());
    }
    encode::respell(path, Keep::Path, Plus::Literal, canonical).map_err(|_| SignError::Encoding("path"))
}

/// Removes `.`, `..` and empty segments of the wire path; a final `/` stays (botocore's `normalize_url_path`).
fn remove_dot_segments(wire: &[u8], out: &mut Vec<u8>) {
    for segment in wire.split(|&b| b == b'/') {
        match segment {
            b"" | b"." => {}
            b".." => {
                let parent = out.iter().rposition(|&b| b == b'/').unwrap_or(0);
                out.truncate(parent);
            }
            name => {
                out.push(b'/');
                out.extend_from_slice(name);
            }
        }
    }
    if wire.ends_with(b"/") || out.is_empty() {
        out.push(b'/');
    }
}

/// Respells the query's parameters into the arena, each with its `=` at the head of the value. `skip` sees the strictly
/// encoded name, in which the names of authentication parameters stand as they are.
pub(super) fn collect_query(
    query: Option<&str>,
    skip: impl Fn(&[u8]) -> bool,
    scratch: &mut Scratch,
) -> Result<(), SignError> {
    let Scratch { arena, fields, .. } = scratch;
    arena.clear();
    fields.clear();
    let bad = |_| SignError::Encoding("query");
    for piece in encode::scan(query.unwrap_or_default().as_bytes()) {
        let start = arena.len();
        if piece.spelling.is_strict() && piece.value.is_some() {
            if !skip(piece.name) {
                arena.extend_from_slice(piece.whole);
                fields.push(Field::closing(arena, start, start + piece.name.len())?);
            }
            continue;
        }
        encode::respell(piece.name, Keep::Unreserved, Plus::Space, arena).map_err(bad)?;
        let middle = arena.len();
        if skip(&arena[start..]) {
            arena.truncate(start);
            continue;
        }
        arena.push(b'=');
        let value = piece.value.unwrap_or_default();
        encode::respell(value, Keep::Unreserved, Plus::Space, arena).map_err(bad)?;
        fields.push(Field::closing(arena, start, middle)?);
    }
    Ok(())
}

/// Adds a parameter whose value `write` encodes.
pub(super) fn add_parameter(
    scratch: &mut Scratch,
    name: &str,
    write: impl FnOnce(&mut Vec<u8>),
) -> Result<(), SignError> {
    let Scratch { arena, fields, .. } = scratch;
    let start = arena.len();
    arena.extend_from_slice(name.as_bytes());
    let middle = arena.len();
    arena.push(b'=');
    write(arena);
    fields.push(Field::closing(arena, start, middle)?);
    Ok(())
}

/// The collected parameters, sorted by encoded name, then encoded value; into the new query as well.
pub(super) fn write_query(scratch: &mut Scratch) {
    let Scratch { arena, fields, canonical, query, .. } = scratch;
    fields.sort_unstable_by(|a, b| a.by_name(b, arena).then_with(|| a.value(arena).cmp(b.value(arena))));
    for field in fields.iter() {
        if !query.is_empty() {
            query.push(b'&');
        }
        query.extend_from_slice(field.whole(arena));
    }
    canonical.extend_from_slice(query);
    canonical.push(b'\n');
}

/// Whether a hop may change a header, so that it is never signed; `authorization` itself is here too.
fn is_hop_header(name: &str) -> bool {
    match name {
        "accept-encoding" | "authorization" | "connection" | "expect" | "keep-alive" | "te"
        | "traceparent" | "trailer" | "transfer-encoding" | "upgrade" | "user-agent" | "via"
        | "x-amzn-trace-id" => true,
        other => other.starts_with("proxy-") || other.starts_with("sec-websocket-"),
    }
}

/// Collects every end-to-end header of the head, and those of `own`, sorted by name.
pub(super) fn collect_headers(
    head: &Head<'_>,
    own: &Own<'_>,
    scratch: &mut Scratch,
) -> Result<(), SignError> {
    if !head.headers.contains_key(HOST) {
        return Err(SignError::MissingHeader("host"));
    }
    let Scratch { arena, fields, values, .. } = scratch;
    arena.clear();
    fields.clear();
    let mut previous = "";
    for (name, value) in head.headers {
        let replaced = (own.date.is_some() && *name == DATE)
            || (own.payload && *name == CONTENT_SHA256)
            || (own.drop_token && *name == TOKEN);
        let name = name.as_str();
        if replaced || is_hop_header(name) {
            continue;
        }
        match fields.last_mut() {
            // Values of one name stand together in a header map.
            Some(last) if name == previous => {
                // In place of the line end.
                arena.pop();
                arena.push(b',');
                write_value(value.as_bytes(), arena);
                arena.push(b'\n');
                last.extend(arena)?;
            }
            _ => push_header(name, value.as_bytes(), arena, fields)?,
        }
        previous = name;
    }
    if let Some(date) = own.date {
        push_own(DATE.as_str(), date, arena, fields)?;
    }
    if own.payload {
        push_own(CONTENT_SHA256.as_str(), &values[slot::PAYLOAD], arena, fields)?;
    }
    if let Some(token) = own.token {
        push_own(TOKEN.as_str(), token, arena, fields)?;
    }
    fields.sort_unstable_by(|a, b| a.by_name(b, arena));
    Ok(())
}

/// A header of the head, as its line is signed: the value begins with the colon and ends with the line end.
fn push_header(
    name: &str,
    value: &[u8],
    arena: &mut Vec<u8>,
    fields: &mut Vec<Field>,
) -> Result<(), SignError> {
    let start = arena.len();
    arena.extend_from_slice(name.as_bytes());
    let middle = arena.len();
    arena.push(b':');
    write_value(value, arena);
    arena.push(b'\n');
    fields.push(Field::closing(arena, start, middle)?);
    Ok(())
}

/// A header of the gateway's own, which holds no blanks.
fn push_own(name: &str, value: &[u8], arena: &mut Vec<u8>, fields: &mut Vec<Field>) -> Result<(), SignError> {
    let start = arena.len();
    arena.extend_from_slice(name.as_bytes());
    let middle = arena.len();
    arena.push(b':');
    arena.extend_from_slice(value);
    arena.push(b'\n');
    fields.push(Field::closing(arena, start, middle)?);
    Ok(())
}

/// Trimmed, and inner runs of blanks made one space, inside quotes too (aws-c-auth).
fn write_value(value: &[u8], out: &mut Vec<u8>) {
    let mut rest = value.trim_ascii();
    while let Some(at) = to_be_changed(rest) {
        out.extend_from_slice(&rest[..at]);
        out.push(b' ');
        let blanks = rest[at..].iter().take_while(|&&byte| is_blank(byte)).count();
        rest = &rest[at + blanks..];
    }
    out.extend_from_slice(rest);
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// Where the first blank stands that is a tab or has another behind it; the end of the value is no blank.
#[allow(clippy::needless_bitwise_bool, reason = "without branches the compiler looks at many bytes at once")]
fn to_be_changed(value: &[u8]) -> Option<usize> {
    let next = value.get(1..).unwrap_or_default();
    let pairs = || value.iter().zip(next);
    // First over all of it without a way out, so that the compiler can look at many bytes at a time: nearly no value
    // has one.
    let has_one = pairs().fold(false, |has, (&a, &b)| has | (a == b'\t') | (is_blank(a) & is_blank(b)));
    if !has_one {
        return None;
    }
    pairs().position(|(&a, &b)| a == b'\t' || (is_blank(a) && is_blank(b)))
}

/// The collected headers, a blank line, and the names of the signed ones.
pub(super) fn write_headers(scratch: &mut Scratch) {
    let Scratch { arena, fields, canonical, values, .. } = scratch;
    write_header_block(arena, fields, canonical, &mut values[slot::SIGNED_HEADERS]);
}

fn write_header_block(arena: &[u8], fields: &[Field], out: &mut Vec<u8>, signed: &mut Vec<u8>) {
    for field in fields {
        out.extend_from_slice(field.whole(arena));
        if !signed.is_empty() {
            signed.push(b';');
        }
        signed.extend_from_slice(field.name(arena));
    }
    out.push(b'\n');
    out.extend_from_slice(signed);
    out.push(b'\n');
}

/// Writes the header block aside: in a presigned URL the names of the signed headers come before the headers.
pub(super) fn stash_headers(scratch: &mut Scratch) {
    let Scratch { arena, fields, form, values, .. } = scratch;
    write_header_block(arena, fields, form, &mut values[slot::SIGNED_HEADERS]);
}

/// Appends what [`stash_headers`] put aside.
pub(super) fn unstash_headers(scratch: &mut Scratch) {
    let Scratch { canonical, form, .. } = scratch;
    canonical.append(form);
}

/// The headers that a verified request names as signed, in its order. True when all were there.
pub(super) fn write_named_headers(names: &[u8], headers: &HeaderMap, canonical: &mut Vec<u8>) -> bool {
    for name in names.split(|&b| b == b';') {
        let Ok(text) = std::str::from_utf8(name) else { return false };
        let mut values = headers.get_all(text).iter();
        let Some(first) = values.next() else { return false };
        canonical.extend_from_slice(name);
        canonical.push(b':');
        write_value(first.as_bytes(), canonical);
        for value in values {
            canonical.push(b',');
            write_value(value.as_bytes(), canonical);
        }
        canonical.push(b'\n');
    }
    canonical.push(b'\n');
    canonical.extend_from_slice(names);
    canonical.push(b'\n');
    true
}

/// The last line.
pub(super) fn write_payload(scratch: &mut Scratch) {
    let Scratch { canonical, values, .. } = scratch;
    canonical.extend_from_slice(&values[slot::PAYLOAD]);
}

#[cfg(test)]
mod tests {
    use super::remove_dot_segments;

    #[test]
    fn dot_segments_go_and_the_final_slash_stays() {
        let cases = [
            ("", "/"),
            ("/", "/"),
            ("//", "/"),
            ("/a/b/..", "/a"),
            ("/a/b/../", "/a/"),
            ("/../../a", "/a"),
            ("/a/./b//c/", "/a/b/c/"),
            ("/a/..", "/"),
            ("/a/.", "/a"),
            ("/...", "/..."),
            ("/%2e%2e/a", "/%2e%2e/a"),
        ];
        for (wire, expected) in cases {
            let mut out = Vec::new();
            remove_dot_segments(wire.as_bytes(), &mut out);
            assert_eq!(String::from_utf8_lossy(&out), expected, "{wire}");
        }
    }
}

//! The request target, parsed once and rebuilt strictly.
//!
//! What comes in may spell a byte in several ways; what goes out spells it in one: unreserved characters bare,
//! everything else as `%XX` with upper-case digits, a space as `%20`, never `+`. The decoded values in between are
//! what policy and audit see. Nothing here decides which host or route a target belongs to.

use std::borrow::Cow;

use crate::reason::Reason;
use crate::sign::encode::{BadEscape, Keep, Plus, decode, percent};

/// One field of a query or form, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// The name.
    pub name: Vec<u8>,
    /// The value; `None` when there was no `=`.
    pub value: Option<Vec<u8>>,
}

impl Parameter {
    /// A text parameter.
    pub fn new(name: &str, value: &str) -> Self {
        Self { name: name.as_bytes().to_vec(), value: Some(value.as_bytes().to_vec()) }
    }

    /// The name as text, for messages.
    pub fn shown_name(&self) -> String {
        String::from_utf8_lossy(&self.name).into_owned()
    }
}

const BAD_ESCAPE: &str = "`%` must be followed by two hex digits";

fn decoded(text: &[u8], plus: Plus) -> Result<Vec<u8>, BadEscape> {
    let mut out = Vec::with_capacity(text.len());
    decode(text, plus, &mut out).map(|()| out)
}

/// The text of what was strictly encoded, which is ASCII.
fn ascii(encoded: Vec<u8>) -> String {
    String::from_utf8(encoded).unwrap_or_else(|bad| String::from_utf8_lossy(bad.as_bytes()).into_owned())
}

/// Splits a query or form on `&` and the first `=`, form-decoding names and values. Empty pieces vanish.
pub fn parameters(text: &str, limit: usize) -> Result<Vec<Parameter>, Reason> {
    let pieces = || text.as_bytes().split(|byte| *byte == b'&').filter(|piece| !piece.is_empty());
    let count = pieces().count();
    if count > limit {
        return Err(Reason::TooManyParameters(limit));
    }
    let mut parameters = Vec::with_capacity(count);
    for piece in pieces() {
        let (name, value) = match piece.iter().position(|byte| *byte == b'=') {
            Some(at) => (&piece[..at], Some(&piece[at + 1..])),
            None => (piece, None),
        };
        let bad = |BadEscape| Reason::BadParameter(String::from_utf8_lossy(name).into_owned(), BAD_ESCAPE);
        parameters.push(Parameter {
            name: decoded(name, Plus::Space).map_err(bad)?,
            value: value.map(|value| decoded(value, Plus::Space).map_err(bad)).transpose()?,
        });
    }
    Ok(parameters)
}

/// Whether a valueless or empty parameter keeps its `=`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EmptyValue {
    /// As it came.
    AsSent,
    /// Without `=`: SigV2 servers sign `?acl`, never `?acl=`.
    Bare,
}

/// Writes parameters strictly, in their order; `None` when there are none.
pub fn query(parameters: &[Parameter], empty: EmptyValue) -> Option<String> {
    if parameters.is_empty() {
        return None;
    }
    let lengths = parameters.iter().map(|one| one.name.len() + one.value.as_ref().map_or(0, Vec::len) + 8);
    let mut out = Vec::with_capacity(lengths.sum());
    for parameter in parameters {
        if !out.is_empty() {
            out.push(b'&');
        }
        percent(&parameter.name, Keep::Unreserved, &mut out);
        match &parameter.value {
            Some(value) if !(value.is_empty() && empty == EmptyValue::Bare) => {
                out.push(b'=');
                percent(value, Keep::Unreserved, &mut out);
            }
            _ => {}
        }
    }
    Some(ascii(out))
}

/// An object path: any byte is legal, `%2F` and `/` are the same byte of a key, dots and empty segments stay.
pub fn object_path(raw: &str) -> Result<String, Reason> {
    let is_plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'.' | b'_' | b'~');
    if raw.bytes().all(is_plain) {
        return Ok(raw.to_owned());
    }
    let path = decoded(raw.as_bytes(), Plus::Literal).map_err(|BadEscape| Reason::BadPath(BAD_ESCAPE))?;
    let mut out = Vec::with_capacity(raw.len());
    percent(&path, Keep::Path, &mut out);
    Ok(ascii(out))
}

/// The path of an API whose server normalises: encoded separators, empty and dot segments, path parameters and
/// control characters would be read one way here and another way there, so they are refused.
pub fn strict_path(raw: &str) -> Result<String, Reason> {
    let decoded = decoded(raw.as_bytes(), Plus::Literal).map_err(|BadEscape| Reason::BadPath(BAD_ESCAPE))?;
    if raw.to_ascii_lowercase().contains("%2f") {
        return Err(Reason::BadPath("an encoded slash"));
    }
    if decoded.iter().any(u8::is_ascii_control) {
        return Err(Reason::BadPath("a control character"));
    }
    if decoded.iter().any(|byte| matches!(byte, b'\\' | b';')) {
        return Err(Reason::BadPath("a backslash or semicolon"));
    }
    if std::str::from_utf8(&decoded).is_err() {
        return Err(Reason::BadPath("not UTF-8"));
    }
    let mut segments = decoded.split(|&byte| byte == b'/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        if matches!(segment, b"." | b"..") {
            return Err(Reason::BadPath("a dot segment"));
        }
        if segment.is_empty() && segments.peek().is_some() {
            return Err(Reason::BadPath("an empty segment"));
        }
    }
    let mut out = Vec::with_capacity(raw.len());
    percent(&decoded, Keep::Path, &mut out);
    Ok(ascii(out))
}

/// Whether dot and empty segments of a service path are resolved before sending.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Segments {
    /// Resolved, as SigV4 signs them: what is sent is what is signed.
    Normalize,
    /// Sent as they came, for services that sign them literally.
    Keep,
}

/// The path of an AWS service: segments are re-encoded one by one, so that an encoded slash stays in its segment.
/// A path whose dot segments climb above the first `floor` segments is refused: it would leave the route that
/// matched it.
pub fn segment_path(raw: &str, floor: usize, segments: Segments) -> Result<String, Reason> {
    let mut kept: Vec<Vec<u8>> = Vec::new();
    let mut depth = 0_usize;
    let mut open = false;
    for segment in raw.split('/').skip(1) {
        let decoded =
            decoded(segment.as_bytes(), Plus::Literal).map_err(|BadEscape| Reason::BadPath(BAD_ESCAPE))?;
        if decoded.iter().any(u8::is_ascii_control) {
            return Err(Reason::BadPath("a control character"));
        }
        let keep = segments == Segments::Keep;
        open = matches!(decoded.as_slice(), b"" | b"." | b"..");
        match decoded.as_slice() {
            b"" | b"." => {}
            b".." if depth <= floor => return Err(Reason::BadPath("dot segments that leave the route")),
            b".." => {
                depth -= 1;
                if !keep {
                    kept.pop();
                }
            }
            _ => depth += 1,
        }
        if keep || !open {
            kept.push(decoded);
        }
    }
    let mut out = Vec::with_capacity(raw.len());
    for segment in &kept {
        out.push(b'/');
        percent(segment, Keep::Unreserved, &mut out);
    }
    if out.is_empty() || (open && segments == Segments::Normalize) {
        out.push(b'/');
    }
    Ok(ascii(out))
}

/// Replaces a matched prefix (`""` is the root) by another one, on the raw path.
pub fn replace_prefix<'p>(path: &'p str, prefix: &str, with: Option<&str>) -> Cow<'p, str> {
    match with {
        None => Cow::Borrowed(path),
        Some(with) => {
            let rest = path.strip_prefix(prefix).unwrap_or(path);
            if with.is_empty() && rest.is_empty() {
                Cow::Borrowed("/")
            } else {
                Cow::Owned(format!("{with}{rest}"))
            }
        }
    }
}

/// Whether `path` lies under `prefix` on a segment boundary. A prefix has no trailing slash; the root is `""`.
pub fn has_prefix(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_for_every_byte() {
        assert_eq!(object_path("/a+b%2fc//../%7e%2a'(x)").unwrap(), "/a%2Bb/c//../~%2A%27%28x%29");
        assert_eq!(object_path("/\u{fc}").unwrap(), "/%C3%BC");
        assert!(object_path("/a%2").is_err());
        assert!(object_path("/a%zz").is_err());
        let parsed = parameters("a=1+2&&b&c=&d=%2b&e=x=y", 10).unwrap();
        assert_eq!(query(&parsed, EmptyValue::AsSent).unwrap(), "a=1%202&b&c=&d=%2B&e=x%3Dy");
        assert_eq!(query(&parsed, EmptyValue::Bare).unwrap(), "a=1%202&b&c&d=%2B&e=x%3Dy");
        assert_eq!(parameters("a&b&c", 2), Err(Reason::TooManyParameters(2)));
    }

    #[test]
    fn api_paths_have_one_reading() {
        for bad in
            ["/a%2fb", "/a/../b", "/a/%2e%2e/b", "/a//b", "/a;x=1/b", "/a%5cb", "/a%00", "/a%0ab", "/%ff"]
        {
            assert!(strict_path(bad).is_err(), "{bad}");
        }
        assert_eq!(strict_path("/v1/%E4%B8%AD/a+b/").unwrap(), "/v1/%E4%B8%AD/a%2Bb/");
    }

    #[test]
    fn service_paths_stay_in_their_route() {
        let keep = |path| segment_path(path, 1, Segments::Keep);
        let normal = |path| segment_path(path, 1, Segments::Normalize);
        assert_eq!(keep("/sqs/a%2Fb/./c").unwrap(), "/sqs/a%2Fb/./c");
        assert_eq!(keep("/sqs//c/").unwrap(), "/sqs//c/");
        assert_eq!(normal("/sqs/a%2Fb/./c").unwrap(), "/sqs/a%2Fb/c");
        assert_eq!(normal("/sqs/a/../c//d/").unwrap(), "/sqs/c/d/");
        assert_eq!(normal("/sqs/a/..").unwrap(), "/sqs/");
        assert_eq!(segment_path("/", 0, Segments::Normalize).unwrap(), "/");
        for bad in ["/sqs/../x", "/sqs/%2e%2E/x", "/sqs/a/../../x"] {
            assert!(normal(bad).is_err() && keep(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn prefixes_end_on_segments() {
        assert!(has_prefix("/client/api", "/client/api"));
        assert!(has_prefix("/client/api/x", "/client/api"));
        assert!(!has_prefix("/client/apix", "/client/api"));
        assert!(has_prefix("/", ""));
        assert_eq!(replace_prefix("/sqs", "/sqs", Some("")), "/");
        assert_eq!(replace_prefix("/sqs/q", "/sqs", Some("")), "/q");
        assert_eq!(replace_prefix("/q", "", Some("/base")), "/base/q");
        assert_eq!(replace_prefix("/q", "", None), "/q");
    }
}

//! How a call was signed: its canonical request and its string to sign, as far as they may be shown.
//!
//! What is kept was redacted before: of every parameter and header that is not known to be harmless only the length is
//! left, and what cannot be taken apart without doubt is left out whole. A signature is never part of it.

use std::fmt::Write as _;

use super::text;
use crate::sign;
use crate::sign::encode::{Plus, decode};

/// Bytes of one stage that are kept.
const LONGEST: usize = 8 << 10;

/// What a stage consists of, in each scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// CloudStack: parameters.
    Parameters,
    /// ZStack: method, date, path.
    Lines,
    /// Version 2: lines, headers, and a resource with its sub-resources.
    Resource,
    /// Version 4: the canonical request is lines, a query and headers; the string to sign is dates and digests.
    Canonical,
}

/// Where a value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// In the query, a form, or among sub-resources.
    Parameter,
    /// In a header.
    Header,
}

/// The stages of one signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stages {
    /// Version 4 only.
    pub canonical_request: Option<String>,
    /// What the MAC was taken over.
    pub string_to_sign: String,
}

/// Tells whether a value may be shown, by where it stands, its name (as written there) and its decoded bytes.
type MayShow<'f> = &'f dyn Fn(Part, &[u8], &[u8]) -> bool;

impl Stages {
    /// Takes what may be shown. `may_show` decides for every parameter and header.
    pub fn redacted(layout: Layout, stages: &sign::Stages<'_>, may_show: MayShow<'_>) -> Self {
        let to_sign = stages.string_to_sign;
        let string_to_sign = match layout {
            Layout::Parameters => written(|out| parameters(to_sign, may_show, out)),
            Layout::Lines | Layout::Canonical => written(|out| plain(to_sign, out)),
            Layout::Resource => written(|out| resource(to_sign, may_show, out)),
        };
        let canonical_request =
            stages.canonical_request.map(|stage| written(|out| canonical(stage, may_show, out)));
        Self { canonical_request, string_to_sign }
    }
}

/// A text that `write` writes, cut.
fn written(write: impl FnOnce(&mut String)) -> String {
    let mut out = String::new();
    write(&mut out);
    if out.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|end| out.is_char_boundary(*end)).unwrap_or(0);
        let left = out.len() - end;
        out.truncate(end);
        let _ = write!(out, "\n\u{2026} and {left} bytes more");
    }
    out
}

/// Bytes as text in which nothing moves or hides; lines stay lines.
fn plain(bytes: &[u8], out: &mut String) {
    for letter in String::from_utf8_lossy(bytes).chars() {
        if letter == '\n' { out.push('\n') } else { text::push(letter, out) }
    }
}

/// What stands for something that is not shown.
fn hidden(bytes: &[u8], out: &mut String) {
    let _ = write!(out, "\u{2039}{} bytes\u{203a}", bytes.len());
}

/// `name=value&…`, both percent-encoded; neither holds a raw `&` or `=`.
fn parameters(bytes: &[u8], may_show: MayShow<'_>, out: &mut String) {
    for (index, field) in bytes.split(|byte| *byte == b'&').enumerate() {
        if index > 0 {
            out.push('&');
        }
        let Some(middle) = field.iter().position(|byte| *byte == b'=') else {
            plain(field, out);
            continue;
        };
        let (name, value) = (&field[..middle], &field[middle + 1..]);
        plain(name, out);
        out.push('=');
        let (mut decoded_name, mut decoded) = (Vec::new(), Vec::new());
        let readable = decode(name, Plus::Literal, &mut decoded_name).is_ok()
            && decode(value, Plus::Literal, &mut decoded).is_ok();
        if value.is_empty() || readable && may_show(Part::Parameter, &decoded_name, &decoded) {
            plain(value, out);
        } else {
            hidden(value, out);
        }
    }
}

/// `name:value`.
fn header(line: &[u8], may_show: MayShow<'_>, out: &mut String) {
    match line.iter().position(|byte| *byte == b':') {
        Some(middle) => {
            let (name, value) = (&line[..middle], &line[middle + 1..]);
            plain(name, out);
            out.push(':');
            if may_show(Part::Header, name, value) { plain(value, out) } else { hidden(value, out) }
        }
        None => hidden(line, out),
    }
}

/// Method, path, query, headers, an empty line, the names of the headers, the digest of the payload.
fn canonical(bytes: &[u8], may_show: MayShow<'_>, out: &mut String) {
    let mut in_headers = true;
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        if index > 0 {
            out.push('\n');
        }
        match index {
            0 | 1 => plain(line, out),
            2 => parameters(line, may_show, out),
            _ if in_headers && !line.is_empty() => header(line, may_show, out),
            _ => {
                in_headers = false;
                plain(line, out);
            }
        }
    }
}

/// Method, digest, media type, date, `x-amz-*` headers, the resource. Values of sub-resources stand decoded, so a piece
/// between two `&` may be the rest of a value: only what is known by its name is shown.
fn resource(bytes: &[u8], may_show: MayShow<'_>, out: &mut String) {
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    for (index, line) in lines.iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        // A resource that holds a newline would end here; the schemes refuse to sign one.
        if index < 4 {
            plain(line, out);
        } else if index + 1 < lines.len() {
            header(line, may_show, out);
        } else {
            let end = line.iter().position(|byte| *byte == b'?').unwrap_or(line.len());
            plain(&line[..end], out);
            for (at, piece) in line[end..].split(|byte| matches!(byte, b'?' | b'&')).enumerate().skip(1) {
                out.push(if at == 1 { '?' } else { '&' });
                let middle = piece.iter().position(|byte| *byte == b'=');
                let (name, value) = piece.split_at(middle.unwrap_or(piece.len()));
                let value = value.strip_prefix(b"=").unwrap_or_default();
                if may_show(Part::Parameter, name, value) { plain(piece, out) } else { hidden(piece, out) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows what is called `id`, `acl` or `host`, and what has no more than three bytes of digits.
    fn may_show(part: Part, name: &[u8], value: &[u8]) -> bool {
        match part {
            Part::Parameter => [&b"id"[..], b"acl", b"list-type"].contains(&name),
            Part::Header => name == b"host" && !value.is_empty(),
        }
    }

    fn shown(layout: Layout, canonical: Option<&str>, to_sign: &str) -> Stages {
        let stages = sign::Stages {
            canonical_request: canonical.map(str::as_bytes),
            string_to_sign: to_sign.as_bytes(),
            signature: "CANARY",
        };
        Stages::redacted(layout, &stages, &may_show)
    }

    #[test]
    fn of_parameters_only_known_ones_are_shown() {
        let stages = shown(Layout::Parameters, None, "apikey=CANARY&empty=&id=a%2fb&password=CANARY&x");
        assert_eq!(
            stages.string_to_sign,
            "apikey=\u{2039}6 bytes\u{203a}&empty=&id=a%2fb&password=\u{2039}6 bytes\u{203a}&x"
        );
        // What cannot be decoded is not judged.
        let stages = shown(Layout::Parameters, None, "id=%zz");
        assert_eq!(stages.string_to_sign, "id=\u{2039}3 bytes\u{203a}");
    }

    #[test]
    fn of_a_canonical_request_too() {
        let canonical = "GET\n/bucket/key\nid=7&token=CANARY\nhost:a.example\nx-amz-security-token:CANARY\n\n\
                         host;x-amz-security-token\ne3b0";
        let stages =
            shown(Layout::Canonical, Some(canonical), "AWS4-HMAC-SHA256\n20261122T000000Z\nscope\ndigest");
        assert_eq!(
            stages.canonical_request.unwrap_or_default(),
            "GET\n/bucket/key\nid=7&token=\u{2039}6 bytes\u{203a}\nhost:a.example\n\
             x-amz-security-token:\u{2039}6 bytes\u{203a}\n\nhost;x-amz-security-token\ne3b0"
        );
        assert_eq!(stages.string_to_sign, "AWS4-HMAC-SHA256\n20261122T000000Z\nscope\ndigest");
    }

    #[test]
    fn of_a_resource_pieces_of_values_are_not_taken_for_names() {
        let to_sign = "GET\n\n\nSun, 22 Nov 2026 00:00:00 GMT\nx-amz-security-token:CANARY\n\
                       /bucket/key?acl&response-content-disposition=a&CANARY&b=CANARY?CANARY";
        assert_eq!(
            shown(Layout::Resource, None, to_sign).string_to_sign,
            "GET\n\n\nSun, 22 Nov 2026 00:00:00 GMT\nx-amz-security-token:\u{2039}6 bytes\u{203a}\n\
             /bucket/key?acl&\u{2039}30 bytes\u{203a}&\u{2039}6 bytes\u{203a}&\u{2039}8 bytes\u{203a}&\u{2039}6 bytes\u{203a}"
        );
    }

    #[test]
    fn nothing_moves_and_nothing_is_endless() {
        let stages = shown(Layout::Lines, None, "GET\n\u{1b}[31m\u{202e}\u{7f}");
        assert_eq!(stages.string_to_sign, "GET\n\\u{1b}[31m\\u{202e}\\u{7f}");
        let stages = shown(Layout::Lines, None, &"\u{e9}".repeat(LONGEST));
        assert!(stages.string_to_sign.ends_with(&format!("and {LONGEST} bytes more")));
    }

    #[test]
    fn signatures_are_never_part() {
        for layout in [Layout::Parameters, Layout::Lines, Layout::Resource, Layout::Canonical] {
            let stages = shown(layout, Some("GET\n/\n\n\n\n"), "GET");
            assert!(!format!("{stages:?}").contains("CANARY"), "{layout:?}");
        }
    }
}

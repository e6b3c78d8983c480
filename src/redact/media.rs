//! What an answer says that it is, and what it is taken for.

use super::Unreadable;

/// A format that can be looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// RFC 8259.
    Json,
    /// XML 1.0 without a document type.
    Xml,
}

/// What a `Content-Type` announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// JSON, under any of its names.
    Json,
    /// XML, likewise.
    Xml,
    /// Text of no known format, or no type at all: the first byte decides.
    Text,
    /// Anything else: it cannot be looked into.
    Other,
}

/// Encodings in which every ASCII byte is that character, so that structure has one reading.
const CHARSETS: [&str; 5] = ["utf-8", "utf8", "us-ascii", "iso-8859-1", "windows-1252"];

impl Media {
    /// Reads a `Content-Type`.
    ///
    /// # Errors
    /// When the text is in an encoding in which bytes of ASCII may mean something else.
    pub fn of(content_type: Option<&str>) -> Result<Self, Unreadable> {
        let mut parts = content_type.unwrap_or_default().split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        for part in parts {
            let Some((name, value)) = part.split_once('=') else { continue };
            let value = value.trim().trim_matches('"');
            let is_charset = name.trim().eq_ignore_ascii_case("charset");
            if is_charset && !is_readable(value) {
                return Err(Unreadable("in a character encoding that is not read"));
            }
        }
        // CloudStack's JSON was `text/javascript` for long; AWS has `application/x-amz-json-1.0` and `-1.1`.
        let subtype = kind.rsplit('/').next().unwrap_or_default();
        Ok(if subtype.contains("json") || subtype.ends_with("javascript") {
            Self::Json
        } else if subtype == "xml" || subtype.ends_with("+xml") && subtype != "xhtml+xml" {
            Self::Xml
        } else if kind.is_empty() || kind.starts_with("text/") || subtype == "xhtml+xml" {
            Self::Text
        } else {
            Self::Other
        })
    }

    /// The format of an answer that begins with these bytes; none when they do not tell.
    pub fn format(self, beginning: &[u8]) -> Option<Format> {
        let beginning = beginning.strip_prefix(b"\xef\xbb\xbf").unwrap_or(beginning).trim_ascii_start();
        match (self, beginning.first()) {
            (Self::Json, _) | (Self::Text, Some(b'{' | b'[')) => Some(Format::Json),
            (Self::Xml, _) | (Self::Text, Some(b'<')) => Some(Format::Xml),
            (Self::Text | Self::Other, _) => None,
        }
    }
}

/// Whether a character encoding is one that can be looked into.
pub(super) fn is_readable(charset: &str) -> bool {
    CHARSETS.iter().any(|known| charset.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_told_apart() {
        for (kind, media) in [
            (Some("application/json"), Media::Json),
            (Some("Application/JSON; charset=UTF-8"), Media::Json),
            (Some("application/x-amz-json-1.1"), Media::Json),
            (Some("text/javascript;charset=\"utf-8\""), Media::Json),
            (Some("application/problem+json"), Media::Json),
            (Some("text/xml"), Media::Xml),
            (Some("application/atom+xml"), Media::Xml),
            (Some("text/plain; charset=iso-8859-1"), Media::Text),
            (Some("text/html"), Media::Text),
            (Some(""), Media::Text),
            (None, Media::Text),
            (Some("application/octet-stream"), Media::Other),
            (Some("image/svg"), Media::Other),
        ] {
            assert_eq!(Media::of(kind), Ok(media), "{kind:?}");
        }
        for kind in
            ["application/json;charset=utf-16", "text/xml; charset=utf-7", "text/plain; Charset=\"ebcdic\""]
        {
            assert!(Media::of(Some(kind)).is_err(), "{kind}");
        }
    }

    #[test]
    fn the_first_byte_decides_where_the_type_does_not() {
        assert_eq!(Media::Text.format(b" \r\n{"), Some(Format::Json));
        assert_eq!(Media::Text.format(b"\xef\xbb\xbf<a/>"), Some(Format::Xml));
        assert_eq!(Media::Text.format(b"ok"), None);
        assert_eq!(Media::Other.format(b"{}"), None);
        assert_eq!(Media::Json.format(b"<a/>"), Some(Format::Json));
    }
}

//! One start tag: its name, its attributes, and how it goes out.

use super::reference;
use crate::redact::judge::{Verdict, judge};
use crate::redact::{MARK, Meaning, Rules, Unreadable};

/// A start tag between `<` and `>`, taken apart.
pub(super) struct Tag<'t> {
    text: &'t [u8],
    /// The element's name, prefix included.
    pub(super) name: &'t [u8],
    attributes: Vec<Attribute<'t>>,
    /// It ends in `/`: the element has no content.
    pub(super) empty: bool,
}

struct Attribute<'t> {
    name: &'t [u8],
    /// Where its value stands in the tag, without quotes.
    from: usize,
    to: usize,
    /// The value as it is meant.
    value: Vec<u8>,
}

impl<'t> Tag<'t> {
    /// Takes a tag apart, strictly.
    pub(super) fn parse(text: &'t [u8]) -> Result<Self, Unreadable> {
        let bad = Unreadable("not a tag of XML");
        let (inner, empty) = text.strip_suffix(b"/").map_or((text, false), |inner| (inner, true));
        let end = inner.iter().position(u8::is_ascii_whitespace).unwrap_or(inner.len());
        let mut tag = Self { text, name: &inner[..end], attributes: Vec::new(), empty };
        let mut at = end;
        while let Some(skip) = inner[at..].iter().position(|byte| !byte.is_ascii_whitespace()) {
            if skip == 0 {
                return Err(bad);
            }
            at += skip;
            let rest = &inner[at..];
            let equals = rest.iter().position(|&byte| byte == b'=').ok_or(bad)?;
            let name = rest[..equals].trim_ascii_end();
            let value = rest[equals + 1..].trim_ascii_start();
            let from = at + rest.len() - value.len() + 1;
            let (quote @ (b'"' | b'\''), value) = value.split_first().ok_or(bad)? else { return Err(bad) };
            let length = value.iter().position(|byte| byte == quote).ok_or(bad)?;
            if tag.attributes.iter().any(|attribute| attribute.name == name) {
                return Err(bad);
            }
            let value = meant(&value[..length])?;
            tag.attributes.push(Attribute { name, from, to: from + length, value });
            at = from + length + 1;
        }
        let names = tag.attributes.iter().map(|attribute| attribute.name).chain([tag.name]);
        if names.into_iter().all(is_name) { Ok(tag) } else { Err(bad) }
    }

    /// The value of an attribute.
    pub(super) fn value(&self, name: &[u8]) -> Option<&[u8]> {
        self.attributes.iter().find(|attribute| attribute.name == name).map(|attribute| &attribute.value[..])
    }

    /// Whether an attribute names what the element holds, and names a secret.
    pub(super) fn names_secret(&self, rules: &Rules<'_>) -> bool {
        self.attributes.iter().any(|attribute| {
            rules.meaning(attribute.name) == Meaning::PairName && rules.is_secret(&attribute.value)
        })
    }

    /// The tag without secrets in its attributes; none when it has none.
    pub(super) fn filtered(&self, rules: &Rules<'_>, layer: u8) -> Result<Option<Vec<u8>>, Unreadable> {
        let paired = self.names_secret(rules);
        let mut out = Vec::new();
        let mut done = 0;
        if rules.holds_credential(self.name) {
            return Err(Unreadable("a credential as the name of an element"));
        }
        for attribute in &self.attributes {
            if rules.holds_credential(attribute.name) {
                return Err(Unreadable("a credential as the name of an attribute"));
            }
            let replacement = match rules.meaning(attribute.name) {
                _ if attribute.value.is_empty() || attribute.name.starts_with(b"xmlns") => continue,
                Meaning::Secret => MARK.as_bytes().to_vec(),
                Meaning::PairValue if paired => MARK.as_bytes().to_vec(),
                Meaning::Signature => Vec::new(),
                _ => match judge(&attribute.value, rules, layer) {
                    Verdict::Keep => continue,
                    Verdict::Redact => MARK.as_bytes().to_vec(),
                    Verdict::Rewrite(text) => super::escaped(&text),
                },
            };
            out.extend_from_slice(&self.text[done..attribute.from]);
            out.extend_from_slice(&replacement);
            done = attribute.to;
        }
        out.extend_from_slice(&self.text[done..]);
        Ok((done > 0).then_some(out))
    }
}

/// An attribute's value without its references.
fn meant(value: &[u8]) -> Result<Vec<u8>, Unreadable> {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let [byte, after @ ..] = rest {
        rest = after;
        if *byte != b'&' {
            out.push(*byte);
            continue;
        }
        let end = after.iter().take(12).position(|&byte| byte == b';');
        let end = end.ok_or(Unreadable("not a reference of XML"))?;
        out.extend_from_slice(reference(&after[..end])?.encode_utf8(&mut [0; 4]).as_bytes());
        rest = &after[end + 1..];
    }
    Ok(out)
}

/// A name of XML, as far as ASCII goes.
pub(super) fn is_name(name: &[u8]) -> bool {
    let good = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b':' | 0x80..);
    name.first().is_some_and(|first| starts_name(*first)) && name.iter().all(good)
}

/// Whether a name may begin with this byte.
pub(super) fn starts_name(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || matches!(byte, b'_' | b':' | 0x80..)
}

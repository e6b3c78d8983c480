//! What becomes of one text, whichever format it stood in.

use super::escapes::peel;
use super::json::Json;
use super::xml::Xml;
use super::{Rules, Unreadable, fields};

/// How many documents may stand in each other as texts.
const LAYERS: u8 = 3;

/// See [`judge`].
pub(super) enum Verdict {
    /// It goes out as it came.
    Keep,
    /// It goes out as a mark.
    Redact,
    /// It is a document of its own, and this is what is left of it.
    Rewrite(Vec<u8>),
}

/// Judges a whole text, `layer` documents deep. Of a document, as much is kept as can be.
pub(super) fn judge(text: &[u8], rules: &Rules<'_>, layer: u8) -> Verdict {
    match document(text, rules, layer) {
        Some(filtered) if rules.holds_credential(&filtered) => Verdict::Redact,
        Some(filtered) if filtered == text => Verdict::Keep,
        Some(filtered) => Verdict::Rewrite(filtered),
        None if is_tainted(text, rules) => Verdict::Redact,
        None => Verdict::Keep,
    }
}

/// Whether a text that is no document, or a part of one, must not go out.
pub(super) fn is_tainted(text: &[u8], rules: &Rules<'_>) -> bool {
    rules.holds_credential(text) || shows_field(text, rules)
}

/// Whether a text that is no document shows a secret field, plain or below a layer of escapes.
fn shows_field(text: &[u8], rules: &Rules<'_>) -> bool {
    fields::is_shown(text, rules) || peel(text).is_some_and(|text| fields::is_shown(&text, rules))
}

/// A text that is a document, filtered.
fn document(text: &[u8], rules: &Rules<'_>, layer: u8) -> Option<Vec<u8>> {
    if layer >= LAYERS {
        return None;
    }
    let filtered = |run: &mut dyn FnMut(&mut Vec<u8>) -> Result<(), Unreadable>| {
        let mut out = Vec::with_capacity(text.len());
        run(&mut out).ok().map(|()| out)
    };
    match text.trim_ascii_start().first()? {
        b'{' | b'[' => filtered(&mut |out| {
            let mut json = Json::default();
            json.push(rules, text, out, layer + 1)?;
            json.finish(out)
        }),
        b'<' => filtered(&mut |out| {
            let mut xml = Xml::default();
            xml.push(rules, text, out, layer + 1)?;
            xml.finish(out)
        }),
        _ => None,
    }
}

//! What must come out nowhere, in every spelling in which it could.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::support::*;
use crate::{SECRET, TEMPORARY, TOKEN};

/// A text in the spellings that it could leak in.
pub(crate) fn spellings(text: &str) -> Vec<String> {
    let bytes = text.as_bytes();
    let json = serde_json::to_string(text).unwrap();
    vec![
        text.to_owned(),
        naive::encoded(bytes, "-._~"),
        naive::encoded(bytes, "-._~").replace("%20", "+"),
        STANDARD.encode(bytes).trim_end_matches('=').to_owned(),
        URL_SAFE_NO_PAD.encode(bytes),
        naive::hex(bytes),
        naive::hex(bytes).to_uppercase(),
        json.trim_matches('"').to_owned(),
        format!("{bytes:?}").trim_matches(['[', ']']).to_owned(),
    ]
}

/// What must be nowhere, and what it is.
#[derive(Default)]
pub(crate) struct Hunt(Vec<(&'static str, String)>);

impl Hunt {
    pub(crate) fn secrets() -> Self {
        let mut hunt = Self::default();
        for (what, secret) in [("secret key", SECRET), ("temporary key", TEMPORARY), ("session token", TOKEN)]
        {
            hunt.add(what, secret);
            // A part of it would be too much already.
            hunt.add(what, &secret[..18]);
        }
        hunt
    }

    pub(crate) fn add(&mut self, what: &'static str, text: &str) {
        self.0.extend(spellings(text).into_iter().map(|spelling| (what, spelling)));
    }

    /// The signatures of a request as an upstream saw it.
    pub(crate) fn add_signatures(&mut self, request: &Request) -> usize {
        let mut found = Vec::new();
        if let Some(authorization) = request.headers.one("authorization") {
            let signature = authorization.rsplit(['=', ':']).find(|part| !part.is_empty()).unwrap();
            // A version 2 signature ends in `=` itself.
            let after_colon = authorization.rsplit_once(':').map_or(signature, |(_, rest)| rest);
            found.push(if authorization.starts_with("AWS4") { signature } else { after_colon }.to_owned());
            found.push(authorization.to_owned());
        }
        let text = request.text();
        for place in [request.query().unwrap_or_default(), &text] {
            for field in place.split(['&', ';', '\r', '\n']) {
                if let Some(value) =
                    field.strip_prefix("signature=").or(field.strip_prefix("chunk-signature="))
                {
                    let plain = naive::decoded(value, true).unwrap();
                    found.push(String::from_utf8(plain).unwrap());
                }
            }
        }
        for signature in &found {
            assert!(signature.len() >= 27, "that is no signature: {signature}");
            self.add("signature", signature);
        }
        found.len()
    }

    /// Fails if `text`, which is `place`, holds any of it.
    #[track_caller]
    pub(crate) fn assert_absent(&self, place: &str, text: &str) {
        for (what, spelling) in &self.0 {
            if let Some(at) = text.find(spelling.as_str()) {
                let start = text[..at].rfind('\n').map_or(0, |line| line + 1);
                // The line without what must not be shown.
                panic!("{place} holds a {what}: {:?} ...", &text[start..at]);
            }
        }
    }
}

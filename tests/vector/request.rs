//! A request that owns its parts, so that edits can be applied to it and single bytes of it changed.

use countersign::sign::{Edits, Head, Payload, Scratch, Signer, Timestamp, VerifyError};
use http::{HeaderMap, HeaderValue};

use super::{Case, Report};

/// A whole request.
#[derive(Clone)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub query: Option<String>,
    pub headers: HeaderMap,
    pub host_bucket: Option<String>,
    pub body: Vec<u8>,
}

impl Request {
    /// The request of a vector that gives a `url`.
    pub fn read(case: Case<'_>) -> Result<Self, String> {
        let (path, query) = case.target()?;
        Ok(Self {
            method: case.text("request.method")?.to_owned(),
            path: path.to_owned(),
            query: query.map(str::to_owned),
            headers: case.headers()?,
            host_bucket: case.text_or_none("request.virtual_host_bucket")?.map(str::to_owned),
            body: case.body()?,
        })
    }

    pub fn head(&self) -> Head<'_> {
        Head {
            method: &self.method,
            path: &self.path,
            query: self.query.as_deref(),
            headers: &self.headers,
            host_bucket: self.host_bucket.as_deref(),
        }
    }

    /// What the gateway's shell does with edits.
    pub fn apply(&mut self, edits: &Edits<'_>) {
        for (name, value) in edits.headers.iter().flatten() {
            self.headers.insert(name.clone(), HeaderValue::from_str(value).expect("a header text"));
        }
        if let Some(query) = edits.query {
            self.query = Some(query.to_owned()).filter(|query| !query.is_empty());
        }
        if let Some(form) = edits.form {
            self.body = form.as_bytes().to_vec();
        }
    }
}

/// How the body is presented to signer and verifier.
pub type AsPayload = for<'b> fn(&'b [u8]) -> Payload<'b>;

/// The whole body.
pub fn whole(body: &[u8]) -> Payload<'_> {
    Payload::Whole(body)
}

/// No word about the body.
pub fn unsigned(_body: &[u8]) -> Payload<'_> {
    Payload::Unsigned
}

/// Which parts a signature covers, and so which a changed byte must spoil.
#[derive(Clone, Copy, Default)]
pub struct Covered {
    /// Method and path.
    pub line: bool,
    /// The query, from this byte on.
    pub query_from: Option<usize>,
    pub body: bool,
}

/// `verify` accepts the signed request and refuses it with any one covered byte changed.
pub fn judge(
    stage: &str,
    signer: &dyn Signer,
    sent: &Request,
    payload: AsPayload,
    now: Timestamp,
    covered: Covered,
    report: &mut Report,
) {
    let mut scratch = Scratch::new();
    let mut verdict =
        |request: &Request| signer.verify(&request.head(), payload(&request.body), now, &mut scratch);
    report.equal(stage, verdict(sent), Ok(()));

    let mut refuse = |what: &str, request: &Request| {
        if verdict(request).is_ok() {
            report.fail(stage, &format!("accepted with a changed {what}"));
        }
    };
    if covered.line {
        let mut other = sent.clone();
        other.method = String::from(if sent.method == "GET" { "POST" } else { "GET" });
        refuse("method", &other);
        let mut other = sent.clone();
        flip_last(&mut other.path);
        refuse("path", &other);
    }
    if let (Some(from), Some(query)) = (covered.query_from, &sent.query) {
        for at in from..query.len() {
            if let Some(flipped) = flip(query, at) {
                let mut other = sent.clone();
                other.query = Some(flipped);
                refuse(&format!("query at {at}: {:?}", other.query), &other);
            }
        }
    }
    if covered.body {
        for at in 0..sent.body.len() {
            if sent.body[at].is_ascii_alphanumeric() {
                let mut other = sent.clone();
                other.body[at] = if other.body[at] == b'0' { b'1' } else { b'0' };
                refuse(&format!("body at {at}"), &other);
            }
        }
    }
    if let Some(value) = sent.headers.get("authorization") {
        let text = value.to_str().expect("an authorization is text");
        for at in 0..text.len() {
            if let Some(flipped) = flip(text, at) {
                let mut other = sent.clone();
                other.headers.insert("authorization", flipped.parse().expect("still a header text"));
                refuse(&format!("authorization at {at}"), &other);
            }
        }
    }
}

/// Another letter or digit in place of the one at `at`; none where it is punctuation, which may mean the same in
/// another spelling, or part of an escape, whose hexadecimal digits have two cases.
fn flip(text: &str, at: usize) -> Option<String> {
    let byte = *text.as_bytes().get(at)?;
    if !byte.is_ascii_alphanumeric() {
        return None;
    }
    let new = if byte == b'0' { '1' } else { '0' };
    let mut flipped = text.to_owned();
    flipped.replace_range(at..=at, new.encode_utf8(&mut [0; 4]));
    Some(flipped)
}

fn flip_last(path: &mut String) {
    let last = path.pop();
    match last {
        Some('/') if path.is_empty() => path.push_str("/0"),
        Some('0') => path.push('1'),
        _ => path.push('0'),
    }
}

/// The reason of a refusal, for a status.
pub fn status(verdict: Result<(), VerifyError>) -> u64 {
    match verdict {
        Ok(()) => 200,
        Err(VerifyError::MustPost) => 400,
        Err(_) => 401,
    }
}

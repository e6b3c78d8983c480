//! AWS signature version 4, in the header and in the query, in both flavours.

use countersign::sign::sigv4::{self, SessionToken};
use countersign::sign::{Edits, Scheme, Scratch, Signer};

use super::request::{self, AsPayload, Covered, Request};
use super::{Case, Report};

/// The vector's switches as options.
pub fn options(case: Case<'_>, content_sha256_header: bool) -> Result<sigv4::Options, String> {
    let session_token =
        if case.switch("omit_session_token")? { SessionToken::Unsigned } else { SessionToken::Signed };
    Ok(sigv4::Options {
        double_encode: case.switch("double_encode")?,
        normalize: case.switch("normalize_path")?,
        content_sha256_header,
        session_token,
        ..sigv4::Options::s3(case.text("region")?, case.text("service")?)
    })
}

fn payload_of(case: Case<'_>) -> Result<AsPayload, String> {
    match case.text_or_none("payload_mode")? {
        None | Some("hash") => Ok(request::whole),
        Some("unsigned") => Ok(request::unsigned),
        Some(other) => Err(format!("unknown payload mode `{other}`")),
    }
}

fn compare(case: Case<'_>, edits: &Edits<'_>, report: &mut Report) -> Result<(), String> {
    let canonical = edits.stages.canonical_request.unwrap_or_default();
    report.same("canonical request", canonical, case.text("expected.canonical_request")?);
    report.same("string to sign", edits.stages.string_to_sign, case.text("expected.string_to_sign")?);
    report.same("signature", edits.stages.signature, case.text("expected.signature")?);
    if let Some(hash) = case.text_or_none("expected.payload_hash")? {
        let line = canonical.rsplit(|&b| b == b'\n').next().unwrap_or_default();
        report.same("payload hash", line, hash);
    }
    Ok(())
}

/// The `Authorization` that an expected canonical request and signature stand for, where a vector does not spell it.
pub fn authorization(case: Case<'_>, signature: &str) -> Result<String, String> {
    if let Some(text) = case.text_or_none("expected.authorization")? {
        return Ok(text.to_owned());
    }
    let signed = case.text("expected.canonical_request")?.rsplit('\n').nth(1).unwrap_or_default();
    let scope = case.text("expected.string_to_sign")?.split('\n').nth(2).unwrap_or_default();
    let id = case.key()?.id;
    Ok(format!("AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders={signed}, Signature={signature}"))
}

/// `scheme: sigv4-header`.
pub fn check_header(case: Case<'_>, report: &mut Report) -> Result<(), String> {
    let with_header = case.text("service")? == "s3" || case.switch("sign_body")?;
    let signer: Box<dyn Signer> =
        Scheme::SigV4(options(case, with_header)?).prepare(case.key()?).map_err(|error| error.to_string())?;
    let payload = payload_of(case)?;
    let now = case.moment("clock")?;
    let given = Request::read(case)?;
    let mut sent = given.clone();
    let mut scratch = Scratch::new();
    match signer.sign(&given.head(), payload(&given.body), now, &mut scratch) {
        Ok(edits) => {
            compare(case, &edits, report)?;
            sent.apply(&edits);
        }
        Err(error) => {
            report.fail("sign", &error.to_string());
            return Ok(());
        }
    }
    let header = |name: &str| sent.headers.get(name).map_or(&b""[..], |value| value.as_bytes());
    let expected = authorization(case, case.text("expected.signature")?)?;
    report.same("final request: authorization", header("authorization"), expected);
    let date = now.strftime("%Y%m%dT%H%M%SZ").to_string();
    report.same("final request: x-amz-date", header("x-amz-date"), date);
    let token = case.text_or_none("credentials.session_token")?.unwrap_or_default();
    report.same("final request: x-amz-security-token", header("x-amz-security-token"), token);
    if with_header {
        let line = case.text("expected.canonical_request")?.rsplit('\n').next().unwrap_or_default();
        report.same("final request: x-amz-content-sha256", header("x-amz-content-sha256"), line);
    }
    match signer.expected(&sent.head(), payload(&sent.body), &mut scratch) {
        Ok(stages) => report.same("expected stages", stages.signature, case.text("expected.signature")?),
        Err(error) => report.fail("expected stages", &error.to_string()),
    }
    let hashed = case.text_or_none("payload_mode")? != Some("unsigned");
    let covered = Covered { line: true, query_from: Some(0), body: hashed };
    request::judge("sign then verify", signer.as_ref(), &sent, payload, now, covered, report);
    Ok(())
}

/// `scheme: sigv4-query`.
pub fn check_query(case: Case<'_>, report: &mut Report) -> Result<(), String> {
    // In the query form the payload's digest is never sent, so the flavour shows only in `UNSIGNED-PAYLOAD`.
    let unsigned = case.text_or_none("payload_mode")? == Some("unsigned");
    let signer: Box<dyn Signer> =
        Scheme::SigV4(options(case, unsigned)?).prepare(case.key()?).map_err(|error| error.to_string())?;
    let payload = payload_of(case)?;
    let now = case.moment("clock")?;
    let expires = u32::try_from(case.number("expires")?).map_err(|error| format!("`expires`: {error}"))?;
    let given = Request::read(case)?;
    let mut sent = given.clone();
    let mut scratch = Scratch::new();
    match signer.presign(&given.head(), payload(&given.body), now, expires, &mut scratch) {
        Ok(edits) => {
            compare(case, &edits, report)?;
            sent.apply(&edits);
        }
        Err(error) => {
            report.fail("presign", &error.to_string());
            return Ok(());
        }
    }
    let signed_query = case.text("expected.canonical_request")?.split('\n').nth(2).unwrap_or_default();
    let mut wanted = format!("{signed_query}&X-Amz-Signature={}", case.text("expected.signature")?);
    if let (true, Some(token)) =
        (case.switch("omit_session_token")?, case.text_or_none("credentials.session_token")?)
    {
        let token: String = token
            .bytes()
            .map(|b| match b {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    char::from(b).to_string()
                }
                other => format!("%{other:02X}"),
            })
            .collect();
        wanted.push_str("&X-Amz-Security-Token=");
        wanted.push_str(&token);
    }
    let query = sent.query.clone().unwrap_or_default();
    report.same("final request", &query, wanted);
    for field in ["expected.query_added", "expected.signature_query"] {
        if let Some(added) = case.text_or_none(field)? {
            let missing = added.split('&').find(|piece| !query.split('&').any(|other| other == *piece));
            report.equal(field, missing, None);
        }
    }
    let covered = Covered { line: true, query_from: Some(0), body: !unsigned };
    request::judge("sign then verify", signer.as_ref(), &sent, payload, now, covered, report);
    Ok(())
}

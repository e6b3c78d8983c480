//! `aws-chunked` bodies: the seed signature, every chunk's string to sign and signature, and the framed bytes.

use base64::Engine as _;
use countersign::sign::{ChunkMode, Payload, Scheme, Scratch, chunked};
use serde_json::Value;

use super::request::{self, Covered, Request};
use super::sigv4::{authorization, options};
use super::{Case, Report};

/// `scheme: sigv4-streaming`.
pub fn check(case: Case<'_>, report: &mut Report) -> Result<(), String> {
    let mode = case.text("mode")?;
    let mode = ChunkMode::from_token(mode).ok_or_else(|| format!("unknown mode `{mode}`"))?;
    let as_payload: request::AsPayload = match mode {
        ChunkMode::Signed => |_| Payload::Chunked(ChunkMode::Signed),
        ChunkMode::SignedTrailer => |_| Payload::Chunked(ChunkMode::SignedTrailer),
        ChunkMode::UnsignedTrailer => |_| Payload::Chunked(ChunkMode::UnsignedTrailer),
    };
    let signer =
        Scheme::SigV4(options(case, true)?).prepare(case.key()?).map_err(|error| error.to_string())?;
    let now = case.moment("clock")?;
    let given = Request::read(case)?;
    let mut sent = given.clone();
    let mut scratch = Scratch::new();
    let seed = match signer.sign(&given.head(), Payload::Chunked(mode), now, &mut scratch) {
        Ok(edits) => {
            let canonical = edits.stages.canonical_request.unwrap_or_default();
            report.same("canonical request", canonical, case.text("expected.canonical_request")?);
            report.same("string to sign", edits.stages.string_to_sign, case.text("expected.string_to_sign")?);
            report.same("seed signature", edits.stages.signature, case.text("expected.seed_signature")?);
            sent.apply(&edits);
            edits.stages.signature.to_owned()
        }
        Err(error) => {
            report.fail("sign", &error.to_string());
            return Ok(());
        }
    };
    let header = sent.headers.get("authorization").map_or(&b""[..], |value| value.as_bytes());
    let expected = authorization(case, case.text("expected.seed_signature")?)?;
    report.same("final request: authorization", header, expected);
    let covered = Covered { line: true, query_from: Some(0), body: false };
    request::judge("sign then verify", signer.as_ref(), &sent, as_payload, now, covered, report);

    let mut driver = signer.chunk_signer(&seed, mode, now).ok_or("no chunk signer")?;
    let size = usize::try_from(case.number("request.chunk_size")?).map_err(|error| error.to_string())?;
    if size == 0 {
        return Err("`request.chunk_size` is zero".to_owned());
    }
    let trailers = case.pairs("request.trailers")?;
    let (mut texts, mut signatures) = (Vec::new(), Vec::new());
    let mut note = |driver: &chunked::ChunkSigner| {
        texts.push(String::from_utf8_lossy(driver.string_to_sign()).into_owned());
        signatures.push(String::from_utf8_lossy(driver.signature()).into_owned());
    };
    let mut encoded = Vec::new();
    for data in given.body.chunks(size) {
        driver.chunk(data, &mut encoded);
        note(&driver);
    }
    driver.finish(&trailers, &mut encoded);
    note(&driver);
    let mut wanted_texts = Vec::new();
    if mode != ChunkMode::UnsignedTrailer {
        wanted_texts = list(case, "expected.chunk_strings_to_sign")?;
    }
    if mode == ChunkMode::SignedTrailer {
        // `finish` signs twice and shows the second text, the trailer's. What it left of the first is its signature, which
        // the trailer's text covers: equal signatures mean equal texts.
        let (text, signature) = (texts.pop().unwrap_or_default(), signatures.pop().unwrap_or_default());
        report.same("trailer signature", &signature, case.text("expected.trailer_signature")?);
        report.same("trailer string to sign", &text, case.text("expected.trailer_string_to_sign")?);
        signatures.push(text.split('\n').nth(3).unwrap_or_default().to_owned());
        wanted_texts.pop();
    } else {
        report.equal("trailer signature", case.text_or_none("expected.trailer_signature")?, None);
        report.equal("trailer string to sign", case.text_or_none("expected.trailer_string_to_sign")?, None);
    }
    if mode != ChunkMode::UnsignedTrailer {
        report.equal("chunk strings to sign", texts, wanted_texts);
        report.equal("chunk signatures", signatures, list(case, "expected.chunk_signatures")?);
    }

    let lengths: Vec<(&str, usize)> = trailers.iter().map(|(name, value)| (*name, value.len())).collect();
    let announced = chunked::encoded_length(given.body.len() as u64, size as u64, mode, &lengths);
    let length = case.number("expected.encoded_length")?;
    report.equal("announced length", announced, Some(length));
    report.equal("encoded length", encoded.len() as u64, length);
    let digest = countersign::sign::encode::hex32(&countersign::sign::digest::sha256(&encoded));
    report.same("encoded digest", digest, case.text("expected.encoded_sha256")?);
    if let Some(body) = case.text_or_none("expected.encoded_body_b64")? {
        let engine = &base64::engine::general_purpose::STANDARD;
        report.same("encoded body", engine.encode(&encoded), body);
    }
    Ok(())
}

fn list(case: Case<'_>, path: &str) -> Result<Vec<String>, String> {
    let bad = || format!("`{path}` is not a list of texts");
    let list = case.at(path).as_array().ok_or_else(bad)?;
    list.iter().map(|text: &Value| text.as_str().map(str::to_owned).ok_or_else(bad)).collect()
}

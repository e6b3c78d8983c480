//! CloudStack: decoded parameters to a string to sign, and whole requests to a verdict.

use std::collections::BTreeMap;
use std::time::Duration;

use countersign::sign::{Payload, Scheme, Scratch, Signer, Timestamp, cloudstack};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::request::{self, Covered, Request};
use super::{Case, Report};

/// All but the unreserved characters, by another encoder than the one under test.
const STRICT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

const FORM: &str = "application/x-www-form-urlencoded";

fn signer(case: Case<'_>) -> Result<Box<dyn Signer>, String> {
    let options = cloudstack::Options {
        enforce_post_and_timestamps: case.switch("enforce_post_and_timestamps")?,
        ..cloudstack::Options::default()
    };
    Scheme::Cloudstack(options).prepare(case.key()?).map_err(|error| error.to_string())
}

fn write(parameters: &[(&str, &str)]) -> String {
    let pieces = parameters.iter().map(|(name, value)| {
        format!("{}={}", utf8_percent_encode(name, STRICT), utf8_percent_encode(value, STRICT))
    });
    pieces.collect::<Vec<_>>().join("&")
}

fn read(wire: &str) -> BTreeMap<String, String> {
    let pieces = wire.split('&').filter(|piece| !piece.is_empty()).map(|piece| {
        let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        (decode(name), decode(value))
    });
    pieces.collect()
}

/// The request that carries these parameters where the vector wants them.
fn request(case: Case<'_>, parameters: &[(&str, &str)]) -> Result<Request, String> {
    let wire = write(parameters);
    let mut headers = case.headers()?;
    let (query, body) = match case.text("request.params_in")? {
        "query" => (Some(wire), Vec::new()),
        "form" => {
            headers.insert("content-type", FORM.parse().expect("a header text"));
            (None, wire.into_bytes())
        }
        other => return Err(format!("`request.params_in` is `{other}`")),
    };
    Ok(Request {
        method: case.text("request.method")?.to_owned(),
        path: case.text("request.path")?.to_owned(),
        query,
        headers,
        host_bucket: None,
        body,
    })
}

/// `scheme: cloudstack`.
pub fn check(case: Case<'_>, report: &mut Report) -> Result<(), String> {
    let parameters = case.pairs("request.params")?;
    let expected = case.text("expected.string_to_sign")?;
    let mut scratch = Scratch::new();
    match cloudstack::string_to_sign(parameters.iter().copied(), &mut scratch) {
        Ok(text) => report.same("string to sign", text, expected),
        Err(error) => report.fail("string to sign", &error.to_string()),
    }

    // As the verifier would read these very parameters off the wire.
    let signer = signer(case)?;
    let plain: Vec<(&str, &str)> =
        parameters.iter().copied().filter(|(name, _)| !name.eq_ignore_ascii_case("signature")).collect();
    let mut sent = request(case, &plain)?;
    let now = case.moment("clock")?;
    match signer.expected(&sent.head(), Payload::Whole(&sent.body), &mut scratch) {
        Ok(stages) => {
            report.same("string to sign from the wire", stages.string_to_sign, expected);
            report.same("signature", stages.signature, case.text("expected.signature")?);
            let parameter = format!("signature={}", utf8_percent_encode(stages.signature, STRICT));
            report.same("signature parameter", parameter, case.text("expected.signature_query")?);
        }
        Err(error) => report.fail("expected stages", &error.to_string()),
    }
    let added = format!("&{}", case.text("expected.signature_query")?);
    match &mut sent.query {
        Some(query) => query.push_str(&added),
        None => sent.body.extend_from_slice(added.as_bytes()),
    }
    if parameters.iter().any(|(name, value)| *name == "command" && !value.is_empty()) {
        let covered = Covered { query_from: Some(0), body: true, line: false };
        request::judge("published signature", signer.as_ref(), &sent, request::whole, now, covered, report);
    }
    check_signing(case, signer.as_ref(), &parameters, now, report)
}

/// The same call without any key parameters, through the trait: what is emitted, and that it verifies.
fn check_signing(
    case: Case<'_>,
    signer: &dyn Signer,
    parameters: &[(&str, &str)],
    now: Timestamp,
    report: &mut Report,
) -> Result<(), String> {
    let mut sent = request(case, parameters)?;
    let unsigned = sent.clone();
    let mut scratch = Scratch::new();
    match signer.sign(&unsigned.head(), Payload::Whole(&unsigned.body), now, &mut scratch) {
        Ok(edits) => sent.apply(&edits),
        // The protocol cannot tell such requests from others; the gateway refuses them by design.
        Err(_) if is_ambiguous(parameters) => return Ok(()),
        Err(error) => {
            report.fail("sign", &error.to_string());
            return Ok(());
        }
    }
    if is_ambiguous(parameters) {
        report.fail("sign", "an ambiguous request was signed");
    }
    let wire = match &sent.query {
        Some(query) => query.clone(),
        None => String::from_utf8(sent.body.clone()).map_err(|error| error.to_string())?,
    };
    let mut emitted = read(&wire);
    let mut wanted: BTreeMap<String, String> = parameters
        .iter()
        .filter(|(name, _)| !cloudstack::is_reserved(name))
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let expires = now.checked_add(Duration::from_secs(600)).map_err(|error| error.to_string())?;
    wanted.insert("apiKey".to_owned(), case.key()?.id);
    wanted.insert("signatureVersion".to_owned(), "3".to_owned());
    wanted.insert("expires".to_owned(), expires.strftime("%Y-%m-%dT%H:%M:%S+0000").to_string());
    if emitted.remove("signature").is_none() {
        report.fail("final request", "no signature");
    }
    report.equal("final request", emitted, wanted);
    if wire.bytes().any(|b| !(b.is_ascii_alphanumeric() || b"-._~%=&".contains(&b))) {
        report.fail("final request", "not strictly encoded");
    }
    if parameters.iter().any(|(name, value)| *name == "command" && !value.is_empty()) {
        let covered = Covered { query_from: Some(0), body: true, line: false };
        request::judge("sign then verify", signer, &sent, request::whole, now, covered, report);
    }
    Ok(())
}

/// Whether a name could be read in two ways, or stands twice.
fn is_ambiguous(parameters: &[(&str, &str)]) -> bool {
    let names: Vec<&str> =
        parameters.iter().map(|(name, _)| *name).filter(|name| !cloudstack::is_reserved(name)).collect();
    let odd = |name: &&str| name.is_empty() || name.contains(['=', '&']) || name.contains(char::is_control);
    names.iter().any(odd) || (1..names.len()).any(|at| names[..at].contains(&names[at]))
}

/// `scheme: cloudstack-verify`.
pub fn check_verdict(case: Case<'_>, report: &mut Report) -> Result<(), String> {
    let signer = signer(case)?;
    let sent = Request {
        method: case.text("request.method")?.to_owned(),
        path: case.text("request.path")?.to_owned(),
        query: case.text_or_none("request.query")?.filter(|query| !query.is_empty()).map(str::to_owned),
        headers: case.headers()?,
        host_bucket: None,
        body: case.body()?,
    };
    let now = case.moment("clock")?;
    let verdict = signer.verify(&sent.head(), Payload::Whole(&sent.body), now, &mut Scratch::new());
    report.equal("status", request::status(verdict), case.number("expected.status")?);
    // `accept` is a switch, or the status that a refusal has, as text.
    match case.at("expected.accept") {
        serde_json::Value::Bool(accept) => report.equal("accept", verdict.is_ok(), *accept),
        serde_json::Value::String(text) => match text.as_str() {
            "true" | "false" => report.equal("accept", verdict.is_ok(), text == "true"),
            status => report.same("accept", request::status(verdict).to_string(), status),
        },
        _ => return Err("`expected.accept` is neither a switch nor a text".to_owned()),
    }
    Ok(())
}

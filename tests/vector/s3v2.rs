//! S3 signature version 2, in the header and in the query.

use countersign::sign::{Scheme, Scratch, Signer, Timestamp, s3v2};
use jiff::SignedDuration;

use super::request::{self, Covered, Request};
use super::{Case, Report};

fn signer(case: Case<'_>, token: Option<&str>) -> Result<Box<dyn Signer>, String> {
    let name = case.text("dialect")?;
    let dialect = s3v2::Dialect::from_name(name).ok_or_else(|| format!("unknown dialect `{name}`"))?;
    let mut key = case.key()?;
    if key.session_token.is_none() {
        key.session_token = token.map(countersign::secret::Secret::from);
    }
    Scheme::S3V2(s3v2::Options::new(dialect)).prepare(key).map_err(|error| error.to_string())
}

/// The moment that the request's own date names, read by another parser than the one under test.
fn clock(case: Case<'_>, request: &Request) -> Result<Timestamp, String> {
    let text = case.text("clock")?;
    if text != "from Date header" {
        return text.parse().map_err(|error| format!("`clock`: {error}"));
    }
    let date = request.headers.get("x-amz-date").or_else(|| request.headers.get("date"));
    let date = date.and_then(|value| value.to_str().ok()).ok_or("no date header")?;
    let zoned = jiff::fmt::rfc2822::parse(date).map_err(|error| format!("date header: {error}"))?;
    Ok(zoned.timestamp())
}

/// `scheme: s3v2`.
pub fn check_header(case: Case<'_>, report: &mut Report) -> Result<(), String> {
    let given = Request::read(case)?;
    let now = clock(case, &given)?;
    // A token that the vector gives as a header belongs to the credential.
    let token = given.headers.get("x-amz-security-token").and_then(|value| value.to_str().ok());
    let signer = signer(case, token)?;
    let mut scratch = Scratch::new();
    let expected = case.text("expected.string_to_sign")?;
    match signer.expected(&given.head(), request::whole(&given.body), &mut scratch) {
        Ok(stages) => {
            report.same("string to sign", stages.string_to_sign, expected);
            report.same("signature", stages.signature, case.text("expected.signature")?);
            let authorization = format!("AWS {}:{}", case.key()?.id, stages.signature);
            report.same("authorization", authorization, case.text("expected.authorization")?);
        }
        Err(error) => report.fail("expected stages", &error.to_string()),
    }
    let covered = Covered { line: true, ..Covered::default() };
    let mut published = given.clone();
    let authorization = case.text("expected.authorization")?;
    published.headers.insert("authorization", authorization.parse().map_err(|_| "`expected.authorization`")?);
    request::judge("published signature", signer.as_ref(), &published, request::whole, now, covered, report);

    // Through the trait the gateway writes the date itself, in `Date` and with `GMT`.
    let mut sent = given.clone();
    sent.headers.remove("x-amz-date");
    sent.headers.remove("date");
    let unsigned = sent.clone();
    match signer.sign(&unsigned.head(), request::whole(&unsigned.body), now, &mut scratch) {
        Ok(edits) => {
            let date = given.headers.get("date").and_then(|value| value.to_str().ok()).unwrap_or_default();
            if !given.headers.contains_key("x-amz-date") {
                let ours = now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
                let wanted = expected.replacen(date, &ours, 1);
                report.same("string to sign through the trait", edits.stages.string_to_sign, wanted);
            }
            sent.apply(&edits);
        }
        Err(error) => {
            report.fail("sign", &error.to_string());
            return Ok(());
        }
    }
    request::judge("sign then verify", signer.as_ref(), &sent, request::whole, now, covered, report);
    Ok(())
}

/// `scheme: s3v2-query`.
pub fn check_query(case: Case<'_>, report: &mut Report) -> Result<(), String> {
    let given = Request::read(case)?;
    let signer = signer(case, None)?;
    let seconds = |path| -> Result<i64, String> {
        i64::try_from(case.number(path)?).map_err(|error| format!("`{path}`: {error}"))
    };
    let now = Timestamp::from_second(seconds("clock_epoch")?).map_err(|error| error.to_string())?;
    let until = Timestamp::from_second(seconds("expires_epoch")?).map_err(|error| error.to_string())?;
    let lifetime: SignedDuration = until.duration_since(now);
    let lifetime = u32::try_from(lifetime.as_secs()).map_err(|error| format!("`expires_epoch`: {error}"))?;

    let added = case.text("expected.query_added")?;
    let mut sent = given.clone();
    let mut scratch = Scratch::new();
    match signer.presign(&given.head(), request::whole(&given.body), now, lifetime, &mut scratch) {
        Ok(edits) => {
            report.same("string to sign", edits.stages.string_to_sign, case.text("expected.string_to_sign")?);
            report.same("signature", edits.stages.signature, case.text("expected.signature")?);
            sent.apply(&edits);
        }
        Err(error) => {
            report.fail("presign", &error.to_string());
            return Ok(());
        }
    }
    let query = sent.query.clone().unwrap_or_default();
    let from = query.len().saturating_sub(added.len());
    report.same("final request", query.get(from..).unwrap_or_default(), added);
    let covered = Covered { line: true, query_from: Some(from), body: false };
    request::judge("sign then verify", signer.as_ref(), &sent, request::whole, now, covered, report);

    // The caller's own spelling of the query, with the published parameters, verifies as well.
    let mut published = given;
    let start = published.query.as_ref().map_or(0, |query| query.len() + 1);
    published.query =
        Some(published.query.map_or_else(|| added.to_owned(), |query| format!("{query}&{added}")));
    let covered = Covered { query_from: Some(start), ..covered };
    request::judge("published signature", signer.as_ref(), &published, request::whole, now, covered, report);
    Ok(())
}

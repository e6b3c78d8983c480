//! ZStack: signatures over a given date, and dates over a given clock.

use countersign::secret::{Key, Secret};
use countersign::sign::{Scheme, Scratch, zstack};
use http::HeaderMap;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::request::{self, Covered, Request};
use super::{Case, Report};

/// `scheme: zstack`.
pub fn check(case: Case<'_>, report: &mut Report) -> Result<(), String> {
    let date = case.text("clock_date_header")?;
    let (wall_clock, label) = date.rsplit_once(' ').ok_or("`clock_date_header` has no zone")?;
    let wall_clock = DateTime::strptime("%a, %d %b %Y %H:%M:%S", wall_clock)
        .map_err(|error| format!("`clock_date_header`: {error}"))?;
    // A server whose clock runs in UTC and calls its zone by the header's label writes exactly this header.
    let now = wall_clock.to_zoned(TimeZone::UTC).map_err(|error| error.to_string())?.timestamp();
    let options = zstack::Options::in_zone("UTC", Some(label))
        .map_err(|error| error.to_string())?
        .with_context_path(case.text("context_path")?);
    let signer = Scheme::Zstack(options).prepare(case.key()?).map_err(|error| error.to_string())?;

    let given = Request::read(case)?;
    let mut scratch = Scratch::new();
    if given.headers.contains_key("date") {
        match signer.expected(&given.head(), request::whole(&given.body), &mut scratch) {
            Ok(stages) => {
                let expected = case.text("expected.string_to_sign")?;
                report.same("string to sign from the given date", stages.string_to_sign, expected);
                report.same(
                    "signature from the given date",
                    stages.signature,
                    case.text("expected.signature")?,
                );
            }
            Err(error) => report.fail("expected stages", &error.to_string()),
        }
    }

    let mut sent = given.clone();
    sent.headers.remove("date");
    let unsigned = sent.clone();
    match signer.sign(&unsigned.head(), request::whole(&unsigned.body), now, &mut scratch) {
        Ok(edits) => {
            report.same("string to sign", edits.stages.string_to_sign, case.text("expected.string_to_sign")?);
            report.same("signature", edits.stages.signature, case.text("expected.signature")?);
            sent.apply(&edits);
        }
        Err(error) => {
            report.fail("sign", &error.to_string());
            return Ok(());
        }
    }
    let header = |name: &str| sent.headers.get(name).map_or(&b""[..], |value| value.as_bytes());
    report.same("final request: date", header("date"), date);
    report.same(
        "final request: authorization",
        header("authorization"),
        case.text("expected.authorization")?,
    );
    let covered = Covered { line: true, ..Covered::default() };
    request::judge("sign then verify", signer.as_ref(), &sent, request::whole, now, covered, report);
    Ok(())
}

/// `scheme: zstack-date`.
pub fn check_date(case: Case<'_>, report: &mut Report) -> Result<(), String> {
    let label = case.text_or_none("zone_label")?;
    let options =
        zstack::Options::in_zone(case.text("server_time_zone")?, label).map_err(|error| error.to_string())?;
    let key = Key { id: "ID".to_owned(), secret: Secret::from("secret"), session_token: None };
    let signer = Scheme::Zstack(options).prepare(key).map_err(|error| error.to_string())?;
    let mut sent = Request {
        method: "GET".to_owned(),
        path: "/zstack/v1/zones".to_owned(),
        query: None,
        headers: HeaderMap::new(),
        host_bucket: None,
        body: Vec::new(),
    };
    let now = case.moment("clock")?;
    let unsigned = sent.clone();
    let mut scratch = Scratch::new();
    match signer.sign(&unsigned.head(), request::unsigned(&[]), now, &mut scratch) {
        Ok(edits) => sent.apply(&edits),
        Err(error) => report.fail("sign", &error.to_string()),
    }
    let date = sent.headers.get("date").map_or(&b""[..], |value| value.as_bytes());
    report.same("date", date, case.text("expected.date")?);
    let covered = Covered { line: true, ..Covered::default() };
    request::judge("sign then verify", signer.as_ref(), &sent, request::whole, now, covered, report);
    Ok(())
}

//! The day key's life, and the ways in which a signed request can be wrong. The canonical forms themselves are held
//! by the vectors.

#![allow(clippy::unwrap_used)]

use http::{HeaderMap, HeaderValue};

use super::*;
use crate::secret::Secret;
use crate::sign::Signer as _;

fn key() -> Key {
    Key { id: "AKID".to_owned(), secret: Secret::from("s3cr3t"), session_token: None }
}

fn moment(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn noon() -> Timestamp {
    moment("2026-03-04T12:00:00Z")
}

fn s3() -> Signer {
    Signer::new(Options::s3("eu-central-1", "s3"), key()).unwrap()
}

fn plain_headers() -> HeaderMap {
    HeaderMap::from_iter([(http::header::HOST, HeaderValue::from_static("h"))])
}

fn head<'a>(query: Option<&'a str>, headers: &'a HeaderMap) -> Head<'a> {
    Head { method: "PUT", path: "/b/k", query, headers, host_bucket: None }
}

/// The headers of a request signed by `signer`.
fn signed(signer: &Signer, payload: Payload<'_>, now: Timestamp) -> HeaderMap {
    let mut headers = plain_headers();
    let mut scratch = Scratch::new();
    let edits = signer.sign(&head(None, &headers), payload, now, &mut scratch).unwrap();
    let set: Vec<_> = edits.headers.into_iter().flatten().map(|(n, v)| (n, v.parse().unwrap())).collect();
    headers.extend(set);
    headers
}

fn verdict(
    signer: &Signer,
    headers: &HeaderMap,
    payload: Payload<'_>,
    now: Timestamp,
) -> Result<(), VerifyError> {
    signer.verify(&head(None, headers), payload, now, &mut Scratch::new())
}

#[test]
fn the_day_key_rolls_forward_only() {
    let signer = s3();
    let signature = |now| signed(&signer, Payload::Whole(b""), now)[AUTHORIZATION].clone();
    let before = signature(moment("2026-03-04T23:59:59Z"));
    assert_eq!(signer.kept_day().as_deref(), Some("20260304"));
    signature(moment("2026-03-05T00:00:00Z"));
    assert_eq!(signer.kept_day().as_deref(), Some("20260305"));
    // A clock that steps back gets the right signature and leaves the newer key where it is.
    assert_eq!(signature(moment("2026-03-04T23:59:59Z")), before);
    assert_eq!(signer.kept_day().as_deref(), Some("20260305"));
}

#[test]
fn verifying_across_midnight_keeps_todays_key() {
    let signer = s3();
    let midnight = moment("2026-03-05T00:05:00Z");
    let yesterday = signed(&s3(), Payload::Whole(b""), moment("2026-03-04T23:55:00Z"));
    assert_eq!(verdict(&signer, &yesterday, Payload::Whole(b""), midnight), Ok(()));
    assert_eq!(signer.kept_day(), None);
    let today = signed(&s3(), Payload::Whole(b""), midnight);
    assert_eq!(verdict(&signer, &today, Payload::Whole(b""), midnight), Ok(()));
    assert_eq!(verdict(&signer, &yesterday, Payload::Whole(b""), midnight), Ok(()));
    assert_eq!(signer.kept_day().as_deref(), Some("20260305"));
}

#[test]
fn the_body_is_held_against_the_signed_line() {
    let signer = s3();
    let body = Payload::Whole(b"body");
    let headers = signed(&signer, body, noon());
    assert_eq!(verdict(&signer, &headers, body, noon()), Ok(()));
    assert_eq!(verdict(&signer, &headers, Payload::Digest(digest::sha256(b"body")), noon()), Ok(()));
    assert_eq!(verdict(&signer, &headers, Payload::Unsigned, noon()), Ok(()));
    assert_eq!(verdict(&signer, &headers, Payload::Whole(b"bodY"), noon()), Err(VerifyError::Payload));
    let chunked = Payload::Chunked(ChunkMode::Signed);
    assert_eq!(verdict(&signer, &headers, chunked, noon()), Err(VerifyError::Payload));

    let headers = signed(&signer, chunked, noon());
    assert_eq!(verdict(&signer, &headers, chunked, noon()), Ok(()));
    assert_eq!(verdict(&signer, &headers, body, noon()), Err(VerifyError::Payload));
    let other = Payload::Chunked(ChunkMode::UnsignedTrailer);
    assert_eq!(verdict(&signer, &headers, other, noon()), Err(VerifyError::Payload));

    let headers = signed(&signer, Payload::Unsigned, noon());
    assert_eq!(verdict(&signer, &headers, body, noon()), Ok(()));
}

#[test]
fn each_wrong_part_has_its_reason() {
    let signer = s3();
    let body = Payload::Whole(b"");
    let good = signed(&signer, body, noon());
    let with = |name: &'static str, value: &str| {
        let mut headers = good.clone();
        headers.insert(name, value.parse().unwrap());
        verdict(&signer, &headers, body, noon())
    };
    let text = good[AUTHORIZATION].to_str().unwrap().to_owned();
    let edited = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        with("authorization", &text.replace(from, to))
    };
    assert_eq!(verdict(&signer, &plain_headers(), body, noon()), Err(VerifyError::Missing));
    assert_eq!(with("authorization", "Bearer x"), Err(VerifyError::Missing));
    assert_eq!(edited("Credential=AKID/", "Credential=AKIX/"), Err(VerifyError::UnknownKey));
    assert_eq!(edited("eu-central-1", "us-east-1"), Err(VerifyError::Scope));
    assert_eq!(edited("20260304/", "20260303/"), Err(VerifyError::Scope));
    assert_eq!(edited("/s3/", "/sqs/"), Err(VerifyError::Scope));
    assert_eq!(edited("host;", ""), Err(VerifyError::Unsigned("host")));
    assert_eq!(edited(";x-amz-date", ""), Err(VerifyError::Unsigned("x-amz-*")));
    assert_eq!(edited("host;x-amz-content", "x-amz-content"), Err(VerifyError::Unsigned("host")));
    assert_eq!(
        edited("SignedHeaders=host", "SignedHeaders=host;host"),
        Err(VerifyError::Malformed("SignedHeaders"))
    );
    assert_eq!(
        edited("SignedHeaders=host", "SignedHeaders=host;range"),
        Err(VerifyError::Malformed("SignedHeaders"))
    );
    assert_eq!(edited(", Signature=", ", Signature=0"), Err(VerifyError::Mismatch));
    assert_eq!(edited(", Signature=", ", Signatur="), Err(VerifyError::Malformed("authorization")));
    assert_eq!(with("x-amz-meta-a", "added"), Err(VerifyError::Unsigned("x-amz-*")));
    assert_eq!(with("x-amz-date", "20260304T120001Z"), Err(VerifyError::Mismatch));
    assert_eq!(with("x-amz-date", "20260305T120000Z"), Err(VerifyError::Scope));
    assert_eq!(with("x-amz-date", "now"), Err(VerifyError::Malformed("x-amz-date")));
    assert_eq!(with("host", "other"), Err(VerifyError::Mismatch));
    assert_eq!(with("content-type", "unsigned/header"), Ok(()));
    assert_eq!(verdict(&signer, &good, body, moment("2026-03-04T12:15:00Z")), Ok(()));
    assert_eq!(verdict(&signer, &good, body, moment("2026-03-04T12:15:01Z")), Err(VerifyError::Skew));
    assert_eq!(verdict(&signer, &good, body, moment("2026-03-04T11:44:59Z")), Err(VerifyError::Skew));
    let mut without = good.clone();
    without.remove(CONTENT_SHA256);
    assert_eq!(verdict(&signer, &without, body, noon()), Err(VerifyError::Malformed("x-amz-content-sha256")));
}

#[test]
fn a_presigned_url_holds_for_its_seconds() {
    let signer = s3();
    let headers = plain_headers();
    let mut scratch = Scratch::new();
    let query = "X-Amz-Signature=old&versionId=1&X-amz-date=x&Signature=y";
    let edits =
        signer.presign(&head(Some(query), &headers), Payload::Unsigned, noon(), 3600, &mut scratch).unwrap();
    let url = edits.query.unwrap().to_owned();
    assert!(url.contains("&versionId=1") && !url.contains("old") && !url.contains("=y"));
    let verdict = |query: &str, now| {
        let head = head(Some(query), &headers);
        signer.verify(&head, Payload::Unsigned, now, &mut Scratch::new())
    };
    assert_eq!(verdict(&url, noon()), Ok(()));
    assert_eq!(verdict(&url, moment("2026-03-04T13:00:00Z")), Ok(()));
    assert_eq!(verdict(&url, moment("2026-03-04T13:00:01Z")), Err(VerifyError::Expired));
    assert_eq!(verdict(&url, moment("2026-03-04T11:44:00Z")), Err(VerifyError::Skew));
    assert_eq!(verdict(&url.replace("Expires=3600", "Expires=7200"), noon()), Err(VerifyError::Mismatch));
    assert_eq!(
        verdict(&url.replace("Expires=3600", "Expires=604801"), noon()),
        Err(VerifyError::Malformed("X-Amz-Expires"))
    );
    assert_eq!(verdict(&format!("{url}&added=1"), noon()), Err(VerifyError::Mismatch));
    assert_eq!(
        verdict(&format!("{url}&X-Amz-Date=20260304T120000Z"), noon()),
        Err(VerifyError::Malformed("repeated parameter"))
    );
    let mut both = headers.clone();
    both.insert(AUTHORIZATION, HeaderValue::from_static("AWS4-HMAC-SHA256 x"));
    assert_eq!(
        signer.verify(&head(Some(&url), &both), Payload::Unsigned, noon(), &mut Scratch::new()),
        Err(VerifyError::Malformed("signature in two places"))
    );
    for expires in [0, 604_801] {
        let outcome = signer.presign(&head(None, &headers), Payload::Unsigned, noon(), expires, &mut scratch);
        assert_eq!(outcome.err(), Some(SignError::Expires));
    }
}

#[test]
fn a_presigned_payload_is_what_the_request_states() {
    let line = |signer: &Signer, headers: &HeaderMap, payload| {
        let mut scratch = Scratch::new();
        let edits = signer.presign(&head(None, headers), payload, noon(), 60, &mut scratch).unwrap();
        let canonical = String::from_utf8(edits.stages.canonical_request.unwrap().to_vec()).unwrap();
        let url = edits.query.unwrap().to_owned();
        let outcome = signer.verify(&head(Some(&url), headers), payload, noon(), &mut Scratch::new());
        (canonical.rsplit('\n').next().unwrap().to_owned(), outcome)
    };
    let digest = String::from_utf8(encode::hex32(&digest::sha256(b"body")).to_vec()).unwrap();
    let body = Payload::Whole(b"body");
    let aws = Signer::new(Options::aws("r", "s"), key()).unwrap();
    let unsigned = "UNSIGNED-PAYLOAD".to_owned();
    assert_eq!(line(&s3(), &plain_headers(), body), (unsigned.clone(), Ok(())));
    assert_eq!(line(&aws, &plain_headers(), body), (digest.clone(), Ok(())));
    assert_eq!(line(&aws, &plain_headers(), Payload::Unsigned), (unsigned, Ok(())));
    let mut stated = plain_headers();
    stated.insert(CONTENT_SHA256, digest.parse().unwrap());
    assert_eq!(line(&s3(), &stated, body), (digest.clone(), Ok(())));
    assert_eq!(line(&s3(), &stated, Payload::Whole(b"bodY")), (digest, Err(VerifyError::Payload)));
}

/// Some clients state the payload as one more parameter of the URL. Ours never do, so the signature is taken over the
/// stages that the verifier itself expects: the point is which line it took.
#[test]
fn a_payload_parameter_of_a_url_is_the_payload_line() {
    let headers = plain_headers();
    let query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Content-Sha256=STREAMING-UNSIGNED-PAYLOAD-TRAILER\
                 &X-Amz-Credential=AKID/20260304/eu-central-1/s3/aws4_request&X-Amz-Date=20260304T120000Z\
                 &X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=";
    let mut scratch = Scratch::new();
    let stages = s3().expected(&head(Some(query), &headers), Payload::Unsigned, &mut scratch).map(|stages| {
        let canonical = stages.canonical_request.unwrap().to_vec();
        (String::from_utf8(canonical).unwrap(), stages.signature.to_owned())
    });
    let (canonical, signature) = stages.unwrap();
    assert!(canonical.ends_with("\nSTREAMING-UNSIGNED-PAYLOAD-TRAILER"));
    let url = format!("{query}{signature}");
    let verdict = |payload| s3().verify(&head(Some(&url), &headers), payload, noon(), &mut Scratch::new());
    assert_eq!(verdict(Payload::Chunked(ChunkMode::UnsignedTrailer)), Ok(()));
    assert_eq!(verdict(Payload::Whole(b"")), Err(VerifyError::Payload));
}

#[test]
fn a_temporary_key_needs_its_token() {
    let temporary = || Key { session_token: Some(Secret::from("tok/+==")), ..key() };
    for session_token in [SessionToken::Signed, SessionToken::Unsigned] {
        let options = Options { session_token, ..Options::s3("r", "s3") };
        let signer = Signer::new(options.clone(), temporary()).unwrap();
        let headers = signed(&signer, Payload::Whole(b""), noon());
        let names = headers[AUTHORIZATION].to_str().unwrap();
        assert_eq!(names.contains("x-amz-security-token"), session_token == SessionToken::Signed);
        assert_eq!(verdict(&signer, &headers, Payload::Whole(b""), noon()), Ok(()));
        let mut other = headers.clone();
        other.insert(TOKEN, HeaderValue::from_static("other"));
        assert_eq!(verdict(&signer, &other, Payload::Whole(b""), noon()), Err(VerifyError::UnknownKey));
        let permanent = Signer::new(options, key()).unwrap();
        assert_eq!(verdict(&permanent, &headers, Payload::Whole(b""), noon()), Err(VerifyError::UnknownKey));
    }
}

#[test]
fn keys_that_cannot_stand_in_a_header_are_refused() {
    let unusable = |id: &str, secret: &str, token: Option<&str>| {
        let key =
            Key { id: id.to_owned(), secret: Secret::from(secret), session_token: token.map(Secret::from) };
        matches!(Signer::new(Options::aws("r", "s"), key), Err(SignError::Credential(_)))
    };
    assert!(unusable("", "s", None));
    assert!(unusable("a b", "s", None));
    assert!(unusable("a/b", "s", None));
    assert!(unusable("a\n", "s", None));
    assert!(unusable("a", "", None));
    assert!(unusable("a", "s", Some("")));
    assert!(unusable("a", "s", Some("t\r\nx: y")));
    assert!(!unusable("a:b", "s", Some("t")));
}

#[test]
fn a_head_without_host_cannot_be_signed() {
    let headers = HeaderMap::new();
    let mut scratch = Scratch::new();
    let outcome = s3().sign(&head(None, &headers), Payload::Unsigned, noon(), &mut scratch);
    assert_eq!(outcome.err(), Some(SignError::MissingHeader("host")));
}

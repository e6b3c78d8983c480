//! What the vectors do not hold: verdicts and their reasons, tokens in URLs, and the dialects' quirks.

#![allow(clippy::unwrap_used)]

use http::{HeaderMap, HeaderValue};

use super::*;
use crate::secret::Secret;
use crate::sign::Signer as _;

fn signer_of(dialect: Dialect, id: &str, token: Option<&str>) -> Signer {
    let key =
        Key { id: id.to_owned(), secret: Secret::from("s3cr3t"), session_token: token.map(Secret::from) };
    Signer::new(Options::new(dialect), key).unwrap()
}

fn head<'a>(query: Option<&'a str>, headers: &'a HeaderMap) -> Head<'a> {
    Head { method: "GET", path: "/b/k", query, headers, host_bucket: None }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn noon() -> Timestamp {
    at("2026-03-04T12:00:00Z")
}

fn resource(dialect: Dialect, query: &str) -> String {
    let (headers, mut scratch) = (HeaderMap::new(), Scratch::new());
    let signer = signer_of(dialect, "K", None);
    let edits = signer.sign(&head(Some(query), &headers), Payload::Unsigned, noon(), &mut scratch).unwrap();
    let text = String::from_utf8(edits.stages.string_to_sign.to_vec()).unwrap();
    text.rsplit('\n').next().unwrap().to_owned()
}

fn signed_headers(signer: &Signer) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut scratch = Scratch::new();
    let edits = signer.sign(&head(None, &headers), Payload::Unsigned, noon(), &mut scratch).unwrap();
    let set: Vec<_> = edits.headers.into_iter().flatten().map(|(n, v)| (n, v.parse().unwrap())).collect();
    headers.extend(set);
    headers
}

fn presigned(signer: &Signer, query: Option<&str>, expires: u32) -> String {
    let (headers, mut scratch) = (HeaderMap::new(), Scratch::new());
    let edits =
        signer.presign(&head(query, &headers), Payload::Unsigned, noon(), expires, &mut scratch).unwrap();
    edits.query.unwrap().to_owned()
}

fn verdict(
    signer: &Signer,
    query: Option<&str>,
    headers: &HeaderMap,
    now: Timestamp,
) -> Result<(), VerifyError> {
    signer.verify(&head(query, headers), Payload::Unsigned, now, &mut Scratch::new())
}

#[test]
fn arsenal_puts_overrides_last() {
    let query = "versionId=1&response-expires=x&tagging&acl";
    assert_eq!(resource(Dialect::Arsenal, query), "/b/k?acl&tagging&versionId=1&response-expires=x");
    assert_eq!(resource(Dialect::Aws, query), "/b/k?acl&response-expires=x&tagging&versionId=1");
    assert_eq!(resource(Dialect::Minio, query), "/b/k?acl&response-expires=x&versionId=1");
}

#[test]
fn extra_sub_resources_are_signed() {
    let options = Options { extra_sub_resources: vec!["prefix".to_owned()], ..Options::new(Dialect::Ostor) };
    let key = Key { id: "K".to_owned(), secret: Secret::from("s"), session_token: None };
    let (headers, mut scratch) = (HeaderMap::new(), Scratch::new());
    let signer = Signer::new(options, key).unwrap();
    let head = head(Some("prefix=a%2Fb&marker=c"), &headers);
    let edits = signer.sign(&head, Payload::Unsigned, noon(), &mut scratch).unwrap();
    assert!(edits.stages.string_to_sign.ends_with(b"\n/b/k?prefix=a/b"));
}

#[test]
fn the_bucket_of_the_host_name_stands_before_the_path() {
    let (headers, mut scratch) = (HeaderMap::new(), Scratch::new());
    let head = Head { host_bucket: Some("bkt"), path: "", ..head(None, &headers) };
    let signer = signer_of(Dialect::Aws, "K", None);
    let edits = signer.sign(&head, Payload::Unsigned, noon(), &mut scratch).unwrap();
    assert!(edits.stages.string_to_sign.ends_with(b" GMT\n/bkt/"));
}

#[test]
fn a_key_id_may_hold_a_colon() {
    let swift = signer_of(Dialect::Aws, "test:tester", None);
    let headers = signed_headers(&swift);
    assert!(headers[AUTHORIZATION].to_str().unwrap().starts_with("AWS test:tester:"));
    assert_eq!(verdict(&swift, None, &headers, noon()), Ok(()));
}

#[test]
fn each_wrong_header_has_its_reason() {
    let signer = signer_of(Dialect::Aws, "KEY", None);
    let good = signed_headers(&signer);
    let with = |name: &'static str, value: &'static str| {
        let mut headers = good.clone();
        headers.insert(name, HeaderValue::from_static(value));
        verdict(&signer, None, &headers, noon())
    };
    assert_eq!(verdict(&signer, None, &HeaderMap::new(), noon()), Err(VerifyError::Missing));
    assert_eq!(with("authorization", "AWS4-HMAC-SHA256 x"), Err(VerifyError::Missing));
    assert_eq!(with("authorization", "AWS KEY"), Err(VerifyError::Malformed("authorization")));
    assert_eq!(with("authorization", "AWS OTHER:x"), Err(VerifyError::UnknownKey));
    assert_eq!(with("authorization", "AWS KEY:x"), Err(VerifyError::Mismatch));
    assert_eq!(with("date", "yesterday"), Err(VerifyError::Malformed("date")));
    assert_eq!(with("date", "Wed, 04 Mar 2026 12:00:01 GMT"), Err(VerifyError::Mismatch));
    assert_eq!(with("x-amz-date", "Wed, 04 Mar 2026 12:00:00 GMT"), Err(VerifyError::Mismatch));
    assert_eq!(with("x-amz-meta-a", "b"), Err(VerifyError::Mismatch));
    assert_eq!(with("x-amz-security-token", "b"), Err(VerifyError::UnknownKey));
    assert_eq!(verdict(&signer, None, &good, at("2026-03-04T12:15:01Z")), Err(VerifyError::Skew));
    assert_eq!(verdict(&signer, None, &good, at("2026-03-04T11:44:59Z")), Err(VerifyError::Skew));
    assert_eq!(
        verdict(&signer, Some("Signature=x&Expires=1"), &good, noon()),
        Err(VerifyError::Malformed("signature in two places"))
    );
}

#[test]
fn a_signed_url_holds_until_it_expires() {
    let signer = signer_of(Dialect::Aws, "KEY", None);
    let callers = "Signature=old&X-Amz-Signature=old&acl=&a=b+c&AWSAccessKeyId=x&Expires=1&securitytoken=1";
    let url = presigned(&signer, Some(callers), 600);
    assert!(
        url.starts_with("acl&a=b%20c&securitytoken=1&AWSAccessKeyId=KEY&Expires=1772626200&Signature="),
        "{url}"
    );
    let verdict = |query: &str, now| verdict(&signer, Some(query), &HeaderMap::new(), now);
    assert_eq!(verdict(&url, noon()), Ok(()));
    assert_eq!(verdict(&url, at("2026-03-04T12:09:59Z")), Ok(()));
    assert_eq!(verdict(&url, at("2026-03-04T12:10:00Z")), Err(VerifyError::Expired));
    assert_eq!(verdict(&url, at("2026-02-20T12:00:00Z")), Err(VerifyError::Expired));
    assert_eq!(
        verdict(&url.replace("Expires=177262620", "Expires=177262621"), noon()),
        Err(VerifyError::Mismatch)
    );
    assert_eq!(
        verdict(&url.replace("Expires=1", "Expires=+1"), noon()),
        Err(VerifyError::Malformed("Expires"))
    );
    assert_eq!(
        verdict(&url.replace("&Expires=1772626200", ""), noon()),
        Err(VerifyError::Malformed("Expires"))
    );
    assert_eq!(verdict(&url.replace("KeyId=KEY", "KeyId=KEX"), noon()), Err(VerifyError::UnknownKey));
    assert_eq!(verdict(&url.replace("&AWSAccessKeyId=KEY", ""), noon()), Err(VerifyError::Missing));
    assert_eq!(
        verdict(&format!("{url}&Expires=1"), noon()),
        Err(VerifyError::Malformed("repeated parameter"))
    );
    let (headers, mut scratch) = (HeaderMap::new(), Scratch::new());
    for expires in [0, 604_801] {
        let outcome = signer.presign(&head(None, &headers), Payload::Unsigned, noon(), expires, &mut scratch);
        assert_eq!(outcome.err(), Some(SignError::Expires));
    }
}

#[test]
fn a_token_is_signed_in_both_forms() {
    for dialect in [Dialect::Aws, Dialect::Minio] {
        let temporary = signer_of(dialect, "KEY", Some("tok/+=="));
        let permanent = signer_of(dialect, "KEY", None);
        let headers = signed_headers(&temporary);
        assert_eq!(headers[TOKEN], "tok/+==");
        assert_eq!(verdict(&temporary, None, &headers, noon()), Ok(()));
        assert_eq!(verdict(&permanent, None, &headers, noon()), Err(VerifyError::UnknownKey));

        let url = presigned(&temporary, None, 60);
        assert!(url.starts_with("x-amz-security-token=tok%2F%2B%3D%3D&AWSAccessKeyId="), "{url}");
        let none = HeaderMap::new();
        assert_eq!(verdict(&temporary, Some(&url), &none, noon()), Ok(()));
        assert_eq!(verdict(&permanent, Some(&url), &none, noon()), Err(VerifyError::UnknownKey));
        let other = url.replace("tok%2F", "tok%2E");
        assert_eq!(verdict(&temporary, Some(&other), &none, noon()), Err(VerifyError::UnknownKey));
    }
}

#[test]
fn amz_parameters_of_a_url_are_headers_to_some_servers() {
    let line = |dialect| {
        let (headers, mut scratch) = (HeaderMap::new(), Scratch::new());
        let signer = signer_of(dialect, "K", None);
        let head = head(Some("x-amz-acl=private"), &headers);
        let edits = signer.presign(&head, Payload::Unsigned, noon(), 60, &mut scratch).unwrap();
        String::from_utf8(edits.stages.string_to_sign.to_vec()).unwrap()
    };
    assert!(line(Dialect::Ceph).ends_with("\nx-amz-acl:private\n/b/k"));
    assert!(!line(Dialect::Minio).contains("x-amz-acl"));
}

#[test]
fn only_the_names_of_credentials_are_dropped() {
    for name in ["AWSAccessKeyId", "Expires", "Signature", "SecurityToken", "X-Amz-Security-Token"] {
        assert!(is_query_credential(name), "{name}");
    }
    for name in ["expires", "signature", "acl", "x-amz-acl", "X-Amz-Date"] {
        assert!(!is_query_credential(name), "{name}");
    }
}

#[test]
fn a_repeated_signed_header_is_refused() {
    for name in ["content-type", "content-md5"] {
        let mut headers = HeaderMap::new();
        headers.append(name, HeaderValue::from_static("a"));
        headers.append(name, HeaderValue::from_static("b"));
        let mut scratch = Scratch::new();
        let signer = signer_of(Dialect::Aws, "K", None);
        let outcome = signer.sign(&head(None, &headers), Payload::Unsigned, noon(), &mut scratch);
        assert_eq!(outcome.err(), Some(SignError::Repeated("head")), "{name}");
    }
}

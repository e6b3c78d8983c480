//! What is cut off the path, which dates are judged how, and which options are refused.

#![allow(clippy::unwrap_used)]

use http::{HeaderMap, HeaderValue};

use super::*;
use crate::secret::Secret;
use crate::sign::Signer as _;

fn key() -> Key {
    Key { id: "ID".to_owned(), secret: Secret::from("s3cr3t"), session_token: None }
}

fn signer(context_path: &str) -> Signer {
    let options = Options::in_zone("Asia/Shanghai", Some("PRC")).unwrap().with_context_path(context_path);
    Signer::new(options, key()).unwrap()
}

fn head<'a>(path: &'a str, headers: &'a HeaderMap) -> Head<'a> {
    Head { method: "GET", path, query: None, headers, host_bucket: None }
}

fn now() -> Timestamp {
    "2021-08-06T09:58:34Z".parse().unwrap()
}

#[test]
fn the_context_path_is_cut_once_and_on_a_boundary() {
    let cases = [
        ("/zstack", "/zstack/v1", "/v1"),
        ("/zstack/", "/zstack/zstack/v1", "/zstack/v1"),
        ("/zstack", "/zstack", ""),
        ("/zstack", "/zstackish/v1", "/zstackish/v1"),
        ("/zstack", "/other/v1", "/other/v1"),
        ("/zstack", "/%7Astack/v1", "/zstack/v1"),
        ("/", "/zstack/v1", "/zstack/v1"),
        ("", "/a+b%2Fc", "/a+b/c"),
    ];
    let mut scratch = Scratch::new();
    for (context, path, signed) in cases {
        let headers = HeaderMap::new();
        let edits =
            signer(context).sign(&head(path, &headers), Payload::Unsigned, now(), &mut scratch).unwrap();
        let expected = format!("GET\nFri, 06 Aug 2021 17:58:34 PRC\n{signed}");
        assert_eq!(edits.stages.string_to_sign, expected.as_bytes(), "{context} {path}");
        assert_eq!(edits.headers[0], Some((DATE, "Fri, 06 Aug 2021 17:58:34 PRC")));
    }
}

#[test]
fn paths_that_would_break_the_lines_are_refused() {
    let (headers, mut scratch) = (HeaderMap::new(), Scratch::new());
    let mut outcome =
        |path| signer("").sign(&head(path, &headers), Payload::Unsigned, now(), &mut scratch).err();
    assert_eq!(outcome("/a%0Ab"), Some(SignError::Control("path")));
    assert_eq!(outcome("/a%7F"), Some(SignError::Control("path")));
    assert_eq!(outcome("/a%FF"), Some(SignError::Encoding("path")));
    assert_eq!(outcome("/a%4"), Some(SignError::Encoding("path")));
}

#[test]
fn dates_are_judged_by_the_servers_wall_clock() {
    let signer = signer("/zstack");
    let verdict = |date: &str, now: Timestamp| {
        let mut headers = HeaderMap::from_iter([(DATE, HeaderValue::from_str(date).unwrap())]);
        let mut scratch = Scratch::new();
        let signature = signer
            .expected(&head("/zstack/v1", &headers), Payload::Unsigned, &mut scratch)
            .unwrap()
            .signature
            .to_owned();
        headers.insert(AUTHORIZATION, format!(" ZStack ID:{signature} ").parse().unwrap());
        signer.verify(&head("/zstack/v1", &headers), Payload::Unsigned, now, &mut scratch)
    };
    assert_eq!(verdict("Fri, 06 Aug 2021 17:58:34 PRC", now()), Ok(()));
    // The zone is read and then ignored.
    assert_eq!(verdict("Fri, 06 Aug 2021 17:58:34 GMT", now()), Ok(()));
    assert_eq!(verdict("Fri, 06 Aug 2021 17:58:34 CST", now()), Ok(()));
    assert_eq!(verdict("Fri, 06 Aug 2021 09:58:34 GMT", now()), Err(VerifyError::Skew));
    assert_eq!(verdict("Fri, 06 Aug 2021 18:13:34 PRC", now()), Ok(()));
    assert_eq!(verdict("Fri, 06 Aug 2021 18:13:35 PRC", now()), Err(VerifyError::Skew));
    assert_eq!(verdict("Fri, 06 Aug 2021 17:43:34 PRC", now()), Ok(()));
    assert_eq!(verdict("Fri, 06 Aug 2021 17:43:33 PRC", now()), Err(VerifyError::Skew));
    for bad in [
        "Fri, 06 Aug 2021 17:58:34",
        "Sat, 06 Aug 2021 17:58:34 PRC",
        "Fri, 06 Aug 2021 17:58:34 +0800",
        "Fri, 06 Aug 2021 17:58:34 Nowhere/Town",
    ] {
        assert_eq!(verdict(bad, now()), Err(VerifyError::Malformed("date")), "{bad}");
    }
}

#[test]
fn the_authorization_header_has_one_colon() {
    let signer = signer("/zstack");
    let verdict = |value: &'static str| {
        let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(value))]);
        signer.verify(&head("/zstack/v1", &headers), Payload::Unsigned, now(), &mut Scratch::new())
    };
    assert_eq!(verdict("OAuth 1234"), Err(VerifyError::Missing));
    assert_eq!(verdict("ZStack ID"), Err(VerifyError::Malformed("authorization")));
    assert_eq!(verdict("ZStack ID:a:b"), Err(VerifyError::Malformed("authorization")));
    assert_eq!(verdict("ZStack other:a"), Err(VerifyError::UnknownKey));
    assert_eq!(verdict("ZStack ID:a"), Err(VerifyError::Malformed("date")));
}

#[test]
fn options_are_checked() {
    assert_eq!(
        Options::in_zone("Asia/Beijing", None),
        Err(OptionsError::UnknownZone("Asia/Beijing".to_owned()))
    );
    assert_eq!(Options::in_zone("UTC", Some("a b")), Err(OptionsError::Label("a b".to_owned())));
    assert_eq!(Options::in_zone("UTC", Some("+0800")), Err(OptionsError::Label("+0800".to_owned())));
    let options = Options::in_zone("Europe/Paris", None).unwrap();
    assert_eq!((options.zone_label.as_str(), options.context_path.as_str()), ("Europe/Paris", "/zstack"));
    let colon = Key { id: "a:b".to_owned(), ..key() };
    assert!(matches!(Signer::new(options, colon), Err(SignError::Credential(_))));
}

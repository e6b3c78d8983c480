//! Random heads against every signer: nothing panics, what was signed verifies, one changed byte is refused, and no two
//! different requests share a string to sign.
//!
//! Each run draws a new seed and prints it; `COUNTERSIGN_SEED` runs that one again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, unreachable_pub)]

mod hostile;

use std::collections::{HashMap, HashSet};

use countersign::secret::{Key, Secret};
use countersign::sign::{
    ChunkMode, Payload, Scheme, Scratch, Signer, Timestamp, cloudstack, s3v2, sigv4, zstack,
};
use hostile::{Dice, Request, likely, meaning, wild};
use http::{HeaderMap, HeaderValue};

fn schemes() -> Vec<(&'static str, Scheme)> {
    vec![
        ("cloudstack", Scheme::Cloudstack(cloudstack::Options::default())),
        ("zstack", Scheme::Zstack(zstack::Options::in_zone("Asia/Shanghai", Some("PRC")).unwrap())),
        ("s3-v2", Scheme::S3V2(s3v2::Options::new(s3v2::Dialect::Aws))),
        ("s3-v4", Scheme::SigV4(sigv4::Options::s3("r", "s3"))),
        ("aws-v4", Scheme::SigV4(sigv4::Options::aws("r", "sqs"))),
    ]
}

fn signer(scheme: &Scheme) -> Box<dyn Signer> {
    let key = Key { id: "KEYID".to_owned(), secret: Secret::from("s3cr3t"), session_token: None };
    scheme.prepare(key).unwrap()
}

fn now() -> Timestamp {
    "2026-03-04T12:00:00Z".parse().unwrap()
}

#[test]
fn nothing_panics() {
    let mut dice = Dice::new("nothing_panics");
    let signers: Vec<_> = schemes().iter().map(|(_, scheme)| signer(scheme)).collect();
    let mut scratch = Scratch::new();
    let extremes = [Timestamp::MIN, Timestamp::MAX, Timestamp::UNIX_EPOCH];
    for round in 0..4_000 {
        let request = wild(&mut dice);
        let head = request.head();
        let time = if round % 10 == 0 { extremes[dice.below(3)] } else { now() };
        let payload = match dice.below(4) {
            0 => Payload::Unsigned,
            1 => Payload::Digest([9; 32]),
            2 => Payload::Chunked(ChunkMode::SignedTrailer),
            _ => request.payload(),
        };
        for signer in &signers {
            let _ = signer.body_need(&head);
            let _ = signer.sign(&head, payload, time, &mut scratch);
            let _ = signer.presign(
                &head,
                payload,
                time,
                u32::try_from(dice.below(700_000)).unwrap(),
                &mut scratch,
            );
            let _ = signer.expected(&head, payload, &mut scratch);
            assert!(signer.verify(&head, payload, time, &mut scratch).is_err(), "nobody signed this");
        }
    }
}

/// Signs in the given form and applies the edits; `None` when the request is refused.
fn sign(signer: &dyn Signer, mut request: Request, presign: bool, scratch: &mut Scratch) -> Option<Request> {
    let (headers, query, form) = {
        let (head, payload) = (request.head(), request.payload());
        let edits = if presign {
            signer.presign(&head, payload, now(), 600, scratch).ok()?
        } else {
            signer.sign(&head, payload, now(), scratch).ok()?
        };
        let set = edits.headers.iter().flatten().map(|(name, value)| (name.clone(), value.parse().unwrap()));
        (
            set.collect::<Vec<_>>(),
            edits.query.map(str::to_owned),
            edits.form.map(|form| form.as_bytes().to_vec()),
        )
    };
    for (name, value) in headers {
        let value: HeaderValue = value;
        request.headers.insert(name, value);
    }
    request.query = query.filter(|query| !query.is_empty()).or(request.query);
    request.body = form.unwrap_or(request.body);
    Some(request)
}

/// Puts another letter or digit in place of one; false when there is none to replace.
fn flip(dice: &mut Dice, bytes: &mut [u8]) -> bool {
    let places: Vec<usize> = (0..bytes.len()).filter(|&at| bytes[at].is_ascii_alphanumeric()).collect();
    if places.is_empty() {
        return false;
    }
    let at = places[dice.below(places.len())];
    bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
    true
}

fn flip_text(dice: &mut Dice, text: &str) -> Option<String> {
    let mut bytes = text.as_bytes().to_vec();
    flip(dice, &mut bytes).then(|| String::from_utf8(bytes).unwrap())
}

/// Changes one byte of something that the scheme signs.
fn spoil(dice: &mut Dice, scheme: &str, presigned: bool, request: &mut Request) -> bool {
    let is_v4 = scheme.ends_with("v4");
    match dice.below(5) {
        0 if scheme != "cloudstack" => match flip_text(dice, &request.path) {
            Some(path) => request.path = path,
            None => return false,
        },
        1 if is_v4 || scheme == "cloudstack" => {
            match flip_text(dice, request.query.as_deref().unwrap_or_default()) {
                Some(query) => request.query = Some(query),
                None => return false,
            }
        }
        2 if scheme == "cloudstack" || scheme == "aws-v4" || (is_v4 && !presigned) => {
            return flip(dice, &mut request.body);
        }
        3 if scheme.starts_with("s3") || is_v4 => {
            let Some(value) = request.headers.get("x-amz-meta-a").and_then(|value| value.to_str().ok())
            else {
                return false;
            };
            let Some(flipped) = flip_text(dice, value) else { return false };
            // Only when it has one value: `insert` would otherwise drop the others as well.
            if request.headers.get_all("x-amz-meta-a").iter().count() != 1 {
                return false;
            }
            request.headers.insert("x-amz-meta-a", flipped.parse().unwrap());
        }
        4 if scheme != "cloudstack" && !presigned => {
            let text = request.headers["authorization"].to_str().unwrap().to_owned();
            let flipped = flip_text(dice, &text).unwrap();
            request.headers.insert("authorization", flipped.parse().unwrap());
        }
        _ => return false,
    }
    true
}

#[test]
fn what_was_signed_verifies_and_a_changed_byte_does_not() {
    let mut dice = Dice::new("what_was_signed_verifies");
    let mut scratch = Scratch::new();
    for (name, scheme) in schemes() {
        let signer = signer(&scheme);
        let (mut accepted, mut spoilt) = (0, 0);
        for _ in 0..3_000 {
            let presign = (name.starts_with("s3") || name.ends_with("v4")) && dice.chance(40);
            let Some(mut request) = sign(signer.as_ref(), likely(&mut dice, name), presign, &mut scratch)
            else {
                continue;
            };
            accepted += 1;
            let verdict = signer.verify(&request.head(), request.payload(), now(), &mut scratch);
            assert_eq!(verdict, Ok(()), "{name}: {:?} {:?}", request.path, request.query);
            if spoil(&mut dice, name, presign, &mut request) {
                spoilt += 1;
                let verdict = signer.verify(&request.head(), request.payload(), now(), &mut scratch);
                assert!(
                    verdict.is_err(),
                    "{name}: {:?} {:?} {:?}",
                    request.path,
                    request.query,
                    request.headers
                );
            }
        }
        assert!(
            accepted > 1_000 && spoilt > 400,
            "{name}: {accepted} signed, {spoilt} spoilt: too few to mean anything"
        );
    }
}

#[test]
fn no_two_requests_share_a_string_to_sign() {
    let mut dice = Dice::new("no_two_requests");
    let mut scratch = Scratch::new();
    for (name, scheme) in schemes() {
        let signer = signer(&scheme);
        let mut seen: HashMap<Vec<u8>, String> = HashMap::new();
        let mut again = 0;
        for _ in 0..12_000 {
            let request = likely(&mut dice, name);
            let Ok(edits) = signer.sign(&request.head(), request.payload(), now(), &mut scratch) else {
                continue;
            };
            let text = edits.stages.canonical_request.unwrap_or(edits.stages.string_to_sign).to_vec();
            let meaning = meaning(name, &request);
            match seen.get(&text) {
                Some(earlier) => {
                    again += 1;
                    assert_eq!(
                        *earlier,
                        meaning,
                        "{name}: two requests sign as {:?}",
                        text.escape_ascii().to_string()
                    );
                }
                None => drop(seen.insert(text, meaning)),
            }
        }
        let distinct: HashSet<&String> = seen.values().collect();
        assert!(distinct.len() > 500, "{name}: only {} distinct requests", distinct.len());
        assert!(again > 20, "{name}: only {again} draws came twice, so the test proves little");
    }
}

/// The classes of the field's own mistakes, one by one.
#[test]
fn known_ways_to_say_two_things_at_once_are_refused() {
    let mut scratch = Scratch::new();
    let all = schemes();
    let mut refused = |scheme: usize, path: &str, query: &str| {
        let headers = HeaderMap::from_iter([(http::header::HOST, HeaderValue::from_static("h"))]);
        let head = countersign::sign::Head {
            method: "GET",
            path,
            query: Some(query),
            headers: &headers,
            host_bucket: None,
        };
        signer(&all[scheme].1).sign(&head, Payload::Whole(b""), now(), &mut scratch).is_err()
    };
    let (cloudstack, zstack, s3v2, s3v4) = (0, 1, 2, 3);
    assert!(refused(cloudstack, "/client/api", "command=x&a%3Db%26c=d"));
    assert!(refused(cloudstack, "/client/api", "command=x&command=y"));
    assert!(refused(zstack, "/zstack/v1%0A/v2", ""));
    assert!(refused(s3v2, "/b/k", "uploadId=1%26versionId%3D2"));
    assert!(refused(s3v2, "/b/k", "uploadId=1%0Ax"));
    assert!(refused(s3v2, "/b/k?acl", ""));
    assert!(!refused(s3v2, "/b/k", "response-content-disposition=attachment%3B%20filename%3D%22a%26b%22"));
    assert!(refused(s3v4, "/b/%zz", ""));
    assert!(refused(s3v4, "/b/k", "a=%"));
    assert!(!refused(s3v4, "/b/%00%0A%FF", "a=%0A"));
}

//! S3 with signature version 4 on the wire: odd keys, queries, and every way to cover a payload.

use crate::support::naive::{self, Keys, Payload, SigV4};
use crate::support::{Ask, Gateway, Request, Setup, Upstream, ask};
use crate::with_route;

const ROUTE: &str = "[routes.s3]\nmatch = { path = \"/\" }\nupstream = \"URL\"\n\
    sign.s3-v4 = { credential = \"key\", region = \"us-east-1\" }\n";

fn with_payload(upstream: &Upstream, rule: &str) -> Gateway {
    with_route(upstream, &ROUTE.replace("\"us-east-1\"", &format!("\"us-east-1\", payload = \"{rule}\"")))
}

/// Sends a request, which must arrive and verify.
#[track_caller]
fn sent(gateway: &Gateway, upstream: &Upstream, call: &Ask) -> (Request, Payload) {
    gateway.call(call).passed(200);
    let request = upstream.take().remove(0);
    let payload = naive::sigv4(&request, &Keys::default(), SigV4::S3).unwrap_or_else(|why| panic!("{why}"));
    (request, payload)
}

#[test]
fn odd_keys_arrive_and_verify() {
    let upstream = Upstream::ok();
    let gateway = with_route(&upstream, ROUTE);
    for (came, went) in [
        ("/", "/"),
        ("/b", "/b"),
        ("/b/", "/b/"),
        ("/b/a%20b", "/b/a%20b"),
        ("/b/a+b", "/b/a%2Bb"),
        ("/b/a%2Bb", "/b/a%2Bb"),
        ("/b/a%2bb", "/b/a%2Bb"),
        ("/b/a%2Fb", "/b/a/b"),
        ("/b/100%25", "/b/100%25"),
        ("/b/%2525", "/b/%2525"),
        ("/b/a@b=c", "/b/a%40b%3Dc"),
        ("/b/it's(1)*.txt", "/b/it%27s%281%29%2A.txt"),
        ("/b/~%7e", "/b/~~"),
        ("/b/!$&,:;", "/b/%21%24%26%2C%3A%3B"),
        ("/b/caf%C3%A9/%E4%B8%AD", "/b/caf%C3%A9/%E4%B8%AD"),
        ("/b/%FF%fe", "/b/%FF%FE"),
        ("/b//c", "/b//c"),
        ("/b/./c", "/b/./c"),
        ("/b/../c", "/b/../c"),
        ("/b/%2e%2E/c", "/b/../c"),
        ("/b/c/", "/b/c/"),
        ("/b/c//", "/b/c//"),
        ("/b/c/..", "/b/c/.."),
        ("/b/a%0Ab%00c%7f", "/b/a%0Ab%00c%7F"),
        ("/b/%5c%7c%22%3c", "/b/%5C%7C%22%3C"),
        ("//b/k", "//b/k"),
    ] {
        for method in ["GET", "HEAD", "DELETE"] {
            let (request, _) = sent(&gateway, &upstream, &ask(method, came));
            assert_eq!((request.method.as_str(), request.target.as_str()), (method, went), "{came}");
        }
    }
}

#[test]
fn queries_keep_their_order_and_their_empty_values() {
    let upstream = Upstream::ok();
    let gateway = with_route(&upstream, ROUTE);
    for (came, went) in [
        ("list-type=2&prefix=a+b&delimiter=/", "list-type=2&prefix=a%20b&delimiter=%2F"),
        ("acl", "acl"),
        ("acl=", "acl="),
        ("b=2&a=1&b=1&a=1&B=0&_=x", "b=2&a=1&b=1&a=1&B=0&_=x"),
        ("a-b=1&a%2Db=2&a%20b=3&ab=4", "a-b=1&a-b=2&a%20b=3&ab=4"),
        ("x=%e4%b8%ad&y=%2B&z=~*'", "x=%E4%B8%AD&y=%2B&z=~%2A%27"),
        ("&&a&&b=&", "a&b="),
        ("a=b=c", "a=b%3Dc"),
        (
            "x-id=PutObject&versionId=1&response-content-type=a/b",
            "x-id=PutObject&versionId=1&response-content-type=a%2Fb",
        ),
    ] {
        let (request, _) = sent(&gateway, &upstream, &ask("GET", &format!("/b/k?{came}")));
        assert_eq!(request.query(), Some(went), "{came}");
    }
    let (request, _) = sent(&gateway, &upstream, &ask("GET", "/b/k?"));
    assert_eq!(request.target, "/b/k");
}

#[test]
fn presigned_queries_never_arrive() {
    let upstream = Upstream::ok();
    let gateway = with_route(&upstream, ROUTE);
    let four = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=EVIL/x&X-Amz-Date=20010101T000000Z&X-Amz-Expires=60\
        &X-Amz-SignedHeaders=host&X-Amz-Security-Token=EVIL&X-Amz-Content-Sha256=UNSIGNED-PAYLOAD&x-amz-signature=EVIL";
    let two = "AWSAccessKeyId=EVIL&Expires=1&Signature=EVIL&x-amz-security-token=EVIL";
    let theirs =
        "AWS4-HMAC-SHA256 Credential=EVIL/20010101/x/s3/aws4_request, SignedHeaders=host, Signature=EVIL";
    for query in [four, two] {
        let call = ask("GET", &format!("/b/k?{query}&versionId=7")).header("Authorization", theirs);
        let (request, _) = sent(&gateway, &upstream, &call);
        assert_eq!(request.query(), Some("versionId=7"));
        assert!(!String::from_utf8_lossy(&upstream.bytes(request.connection)).contains("EVIL"));
    }
}

#[test]
fn auto_hashes_what_is_small_and_signs_chunks_of_what_is_not() {
    let upstream = Upstream::ok();
    let gateway = with_payload(&upstream, "auto");
    let (request, payload) = sent(&gateway, &upstream, &ask("PUT", "/b/k").body("hello"));
    assert_eq!(payload, Payload::Hashed(b"hello".to_vec()));
    assert_eq!(request.headers.one("content-length"), Some("5"));
    let (request, payload) = sent(&gateway, &upstream, &ask("PUT", "/b/k").body(""));
    assert_eq!(payload, Payload::Hashed(Vec::new()));
    assert_eq!(request.headers.one("content-length"), Some("0"));
    let (_, payload) = sent(&gateway, &upstream, &ask("PUT", "/b/k").body(vec![b'x'; 1 << 20]));
    assert!(payload == Payload::Hashed(vec![b'x'; 1 << 20]));

    let long: Vec<u8> = (0..=1_u32 << 20).map(|n| u8::try_from(n % 251).unwrap()).collect();
    let call = ask("PUT", "/b/k").header("Content-Encoding", "gzip").body(&long);
    let (request, payload) = sent(&gateway, &upstream, &call);
    let Payload::Chunked(sizes, bytes) = payload else { panic!("the body was not signed in chunks") };
    assert!(bytes == long, "the body changed on its way");
    assert!(sizes[..sizes.len() - 1].iter().all(|&size| size >= 8 << 10), "{sizes:?}");
    assert_eq!(request.headers.one("content-encoding"), Some("aws-chunked,gzip"));
    assert_eq!(request.headers.one("x-amz-decoded-content-length"), Some("1048577"));
    assert_eq!(request.headers.one("content-length"), Some(request.body.len().to_string().as_str()));
}

#[test]
fn every_payload_rule_verifies() {
    let small = b"hello".to_vec();
    for (rule, expected) in [
        ("hash", Payload::Hashed(small.clone())),
        ("unsigned", Payload::Unsigned(small.clone())),
        ("chunked", Payload::Chunked(vec![5], small.clone())),
    ] {
        let upstream = Upstream::ok();
        let gateway = with_payload(&upstream, rule);
        let (_, payload) = sent(&gateway, &upstream, &ask("PUT", "/b/k").body(&small));
        assert_eq!(payload, expected, "{rule}");
        // Nothing is nothing in every mode, and its digest is known.
        let (_, payload) = sent(&gateway, &upstream, &ask("GET", "/b/k"));
        assert!(payload.bytes().is_empty());
    }
    let upstream = Upstream::ok();
    let gateway = with_payload(&upstream, "hash");
    let long = vec![7; 3 << 20];
    let (_, payload) = sent(&gateway, &upstream, &ask("PUT", "/b/k").body(&long));
    assert!(payload == Payload::Hashed(long));
}

#[test]
fn a_stated_digest_is_checked_in_every_mode() {
    let body = b"some bytes".to_vec();
    let wrong = naive::sha256(b"other bytes");
    for rule in ["auto", "hash", "unsigned", "chunked"] {
        let upstream = Upstream::ok();
        let gateway = with_payload(&upstream, rule);
        for right in [naive::sha256(&body), naive::sha256(&body).to_uppercase(), "UNSIGNED-PAYLOAD".into()] {
            let call = ask("PUT", "/b/k").header("X-Amz-Content-Sha256", &right).body(&body);
            let (_, payload) = sent(&gateway, &upstream, &call);
            assert_eq!(payload.bytes(), body, "{rule}");
        }
        let before = upstream.connections();
        let call = ask("PUT", "/b/k").header("x-amz-content-sha256", &wrong).body(&body);
        gateway.call(&call).refused(400, "digest-mismatch");
        // A streamed body is found out at its end: the request must never have been whole.
        assert!(upstream.take().iter().all(|request| !request.complete), "{rule}");
        if matches!(rule, "auto" | "hash") {
            assert_eq!(upstream.connections(), before, "{rule}: a body that was collected is not forwarded");
        }
        for token in ["zz", "", &"0".repeat(63)] {
            let call = ask("PUT", "/b/k").header("x-amz-content-sha256", token).body(&body);
            gateway.call(&call).refused(400, "bad-header");
        }
        // An empty body has a digest too.
        let call = ask("PUT", "/b/k").header("x-amz-content-sha256", &wrong).body("");
        gateway.call(&call).refused(400, "digest-mismatch");
        let call = ask("GET", "/b/k").header("x-amz-content-sha256", &wrong);
        gateway.call(&call).refused(400, "digest-mismatch");
    }
}

#[test]
fn a_long_body_with_a_stated_digest_streams() {
    let long: Vec<u8> = (0..3_u32 << 20).map(|n| u8::try_from(n % 253).unwrap()).collect();
    let upstream = Upstream::ok();
    let gateway = with_route(&upstream, ROUTE);
    let call = ask("PUT", "/b/k").header("x-amz-content-sha256", &naive::sha256(&long)).body(&long);
    let (_, payload) = sent(&gateway, &upstream, &call);
    assert!(payload == Payload::Hashed(long.clone()));
    let call = ask("PUT", "/b/k").header("x-amz-content-sha256", &naive::sha256(b"other")).body(&long);
    gateway.call(&call).refused(400, "digest-mismatch");
    assert!(upstream.take().iter().all(|request| !request.complete), "a wrong body was committed");
}

#[test]
fn temporary_credentials_are_signed() {
    let upstream = Upstream::ok();
    let keys = Keys::default().with_token("canary-session-token/+==");
    let text = ROUTE.replace("URL", &upstream.url()).replace("\"key\"", "\"temporary\"");
    let gateway = Setup::default().credential("temporary", keys.clone()).text(&text).start();
    let call =
        ask("PUT", "/b/k").header("x-amz-security-token", "EVIL").header("X-Amz-Date", "EVIL").body("x");
    gateway.call(&call).passed(200);
    naive::sigv4(&upstream.last(), &keys, SigV4::S3).unwrap();
    assert!(!String::from_utf8_lossy(&upstream.bytes(0)).contains("EVIL"));
}

#[test]
fn header_values_are_signed_as_they_are_sent() {
    let upstream = Upstream::ok();
    let gateway = with_route(&upstream, ROUTE);
    let call = ask("PUT", "/b/k")
        .header("x-amz-meta-spaces", "  a   b  c  ")
        .header("X-Amz-Meta-Twice", "one")
        .header("x-amz-meta-twice", "two")
        .header("x-amz-meta-empty", "")
        .header("x-amz-meta-utf8", "caf\u{e9} \u{4e2d}")
        .header("x-amz-copy-source", "/b/other%20key?versionId=1")
        .header("x-amz-tagging", "a=b&c=d")
        .body("x");
    let (request, _) = sent(&gateway, &upstream, &call);
    assert_eq!(request.headers.all("x-amz-meta-twice"), ["one", "two"]);
    assert_eq!(request.headers.one("x-amz-copy-source"), Some("/b/other%20key?versionId=1"));
}

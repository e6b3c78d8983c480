//! Every scheme in every place: a good signature passes and what goes on is signed with the real key; every change of
//! it, of the key or of the clock is refused, and nothing reaches the upstream.

use crate::signer::{self, Call, V4};
use crate::support::naive::{self, Keys, S3V2, SigV4, now};
use crate::support::{Gateway, Request, Response, Upstream};
use crate::{flipped, gateway, local};

/// A way to sign, and what the upstream must then see.
struct Way {
    name: &'static str,
    /// Signs with a key and a clock so many seconds ahead; the clock is of no matter where a date says the end.
    sign: fn(&Keys, i64) -> Call,
    /// Signs for a time that is over.
    stale: Option<fn(&Keys) -> Call>,
    judge: fn(&Request, &Upstream) -> Result<(), String>,
    /// What the service calls a wrong signature, an unknown key, a skewed clock and an expired signature.
    said: [(u16, &'static str); 4],
    /// Whether the signature covers the host.
    covers_host: bool,
}

const S3: [(u16, &str); 4] = [
    (403, "<Code>SignatureDoesNotMatch</Code>"),
    (403, "<Code>InvalidAccessKeyId</Code>"),
    (403, "<Code>RequestTimeTooSkewed</Code>"),
    (403, "<Code>AccessDenied</Code><Message>Request has expired</Message>"),
];
const CLOUDSTACK: &str = "unable to verify user credentials and/or request signature";
const CLOUD: [(u16, &str); 4] = [(401, CLOUDSTACK); 4];
const ZSTACK: [(u16, &str); 4] = [
    (403, "wrong accessKey signature"),
    (403, "access key id"),
    (403, "requestTimeTooSkewed"),
    (403, "requestTimeTooSkewed"),
];
const AWS: [(u16, &str); 4] = [
    (403, "<Code>SignatureDoesNotMatch</Code>"),
    (403, "<Code>InvalidClientTokenId</Code>"),
    (400, "<Code>RequestExpired</Code>"),
    (400, "<Code>RequestExpired</Code>"),
];

fn at(ahead: i64) -> V4<'static> {
    V4 { ahead, ..V4::S3 }
}

fn sqs(ahead: i64) -> V4<'static> {
    V4 { ahead, ..V4::SQS }
}

fn get(host: &str) -> Call {
    Call::new("GET", host, "/b/a%20key+~(1)/%E4%B8%AD?versionId=3&x=a%2Fb")
}

fn put(host: &str) -> Call {
    Call::new("PUT", host, "/b/k")
        .header("Content-Type", "text/plain")
        .header("x-amz-meta-a", " two  words ")
        .body("hello")
}

fn judge_v4(request: &Request, _: &Upstream) -> Result<(), String> {
    naive::sigv4(request, &Keys::default(), SigV4::S3).map(|_| ())
}

fn judge_v2(request: &Request, upstream: &Upstream) -> Result<(), String> {
    naive::s3v2(request, &Keys::default(), S3V2::Ceph(&upstream.address.to_string()))
}

fn judge_sqs(request: &Request, _: &Upstream) -> Result<(), String> {
    naive::sigv4(request, &Keys::default(), SigV4::SQS).map(|_| ())
}

fn judge_cloud(request: &Request, _: &Upstream) -> Result<(), String> {
    let parameters = naive::cloudstack(request, &Keys::default())?;
    if parameters.get("name").map(String::as_str) == Some("a b~*é[0]") {
        Ok(())
    } else {
        Err(format!("{parameters:?}"))
    }
}

fn judge_zstack(request: &Request, _: &Upstream) -> Result<(), String> {
    naive::zstack(request, &Keys::default(), "/zstack", 8 * 3600).map(|_| ())
}

const LIST: [(&str, &str); 4] =
    [("command", "listUsers"), ("response", "json"), ("name", "a b~*é[0]"), ("tags[0].key", "x")];

fn cloud(wire: &str) -> Call {
    Call::new("GET", "127.0.0.1", &format!("/client/api?{wire}"))
}

fn cloud_form(wire: &str) -> Call {
    Call::new("POST", "127.0.0.1", "/client/api")
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(wire)
}

/// How far ahead `expires` is of a clock that is right.
const SOON: i64 = 300;

const WAYS: [Way; 17] = [
    Way {
        name: "v4 header to v4",
        sign: |keys, ahead| at(ahead).header(&get("s3.internal"), keys, None).0,
        stale: None,
        judge: judge_v4,
        said: S3,
        covers_host: true,
    },
    Way {
        name: "v4 header with a body",
        sign: |keys, ahead| at(ahead).header(&put("s3.internal"), keys, None).0,
        stale: None,
        judge: judge_v4,
        said: S3,
        covers_host: true,
    },
    Way {
        name: "v4 header, unsigned body",
        sign: |keys, ahead| at(ahead).header(&put("s3.internal"), keys, Some("UNSIGNED-PAYLOAD")).0,
        stale: None,
        judge: judge_v4,
        said: S3,
        covers_host: true,
    },
    Way {
        name: "v4 query to v4",
        sign: |keys, ahead| at(ahead).query(&get("s3.internal"), keys, 600),
        stale: Some(|keys| at(-700).query(&get("s3.internal"), keys, 600)),
        judge: judge_v4,
        said: S3,
        covers_host: true,
    },
    Way {
        name: "v4 header to v2",
        sign: |keys, ahead| at(ahead).header(&put("ceph.internal"), keys, None).0,
        stale: None,
        judge: judge_v2,
        said: S3,
        covers_host: true,
    },
    Way {
        name: "v4 query to v2",
        sign: |keys, ahead| at(ahead).query(&get("ceph.internal"), keys, 600),
        stale: Some(|keys| at(-602).query(&get("ceph.internal"), keys, 600)),
        judge: judge_v2,
        said: S3,
        covers_host: true,
    },
    Way {
        name: "v2 header to v2",
        sign: |keys, ahead| signer::v2_header(&put("ceph.internal"), keys, ahead, None),
        stale: None,
        judge: judge_v2,
        said: S3,
        covers_host: false,
    },
    Way {
        name: "v2 query to v2",
        sign: |keys, _| signer::v2_query(&get("ceph.internal"), keys, now() + 60, None),
        stale: Some(|keys| signer::v2_query(&get("ceph.internal"), keys, now() - 1, None)),
        judge: judge_v2,
        said: S3,
        covers_host: false,
    },
    Way {
        name: "v2 header to v4",
        sign: |keys, ahead| signer::v2_header(&get("s3.internal"), keys, ahead, None),
        stale: None,
        judge: judge_v4,
        said: S3,
        covers_host: false,
    },
    Way {
        name: "v2 query to v4",
        sign: |keys, _| signer::v2_query(&get("s3.internal"), keys, now() + 60, None),
        // Seven days are the most.
        stale: Some(|keys| signer::v2_query(&get("s3.internal"), keys, now() + 604_900, None)),
        judge: judge_v4,
        said: S3,
        covers_host: false,
    },
    Way {
        name: "v2 header, bucket in the host",
        sign: |keys, ahead| {
            signer::v2_header(&Call::new("GET", "bucket.v2.internal", "/k?acl"), keys, ahead, Some("bucket"))
        },
        stale: None,
        judge: judge_v2,
        said: S3,
        covers_host: false,
    },
    Way {
        name: "v4 header, bucket in the host",
        sign: |keys, ahead| at(ahead).header(&Call::new("GET", "bucket.v4.internal", "/k?acl"), keys, None).0,
        stale: None,
        judge: judge_v4,
        said: S3,
        covers_host: true,
    },
    Way {
        name: "CloudStack version 3",
        sign: |keys, ahead| {
            let expires = if ahead > 0 { now() + 15 * 60 + ahead } else { now() + SOON + ahead };
            cloud(&signer::cloudstack(&LIST, keys, Some(&signer::iso(expires))))
        },
        stale: Some(|keys| cloud(&signer::cloudstack(&LIST, keys, Some(&signer::iso(now() - 2))))),
        judge: judge_cloud,
        said: CLOUD,
        covers_host: false,
    },
    Way {
        name: "CloudStack form",
        sign: |keys, ahead| {
            let expires = if ahead > 0 { now() + 15 * 60 + ahead } else { now() + SOON + ahead };
            cloud_form(&signer::cloudstack(&LIST, keys, Some(&signer::iso(expires))))
        },
        stale: Some(|keys| cloud_form(&signer::cloudstack(&LIST, keys, Some(&signer::iso(now() - 2))))),
        judge: judge_cloud,
        said: CLOUD,
        covers_host: false,
    },
    Way {
        name: "ZStack",
        sign: |keys, ahead| {
            let call = Call::new("PUT", "127.0.0.1", "/zstack/v1/vm-instances/%7Ea/actions?x=1");
            signer::zstack(
                &call.header("Content-Type", "application/json").body("{\"startVmInstance\":{}}"),
                keys,
                ahead,
            )
        },
        stale: None,
        judge: judge_zstack,
        said: ZSTACK,
        covers_host: false,
    },
    Way {
        name: "another service, whose body is signed without saying so",
        sign: |keys, ahead| {
            let call = Call::new("POST", "127.0.0.1", "/sqs/a%20queue")
                .header("Content-Type", "application/x-www-form-urlencoded")
                .body("Action=SendMessage&MessageBody=a");
            sqs(ahead).header(&call, keys, None).0
        },
        stale: None,
        judge: judge_sqs,
        said: AWS,
        covers_host: true,
    },
    Way {
        name: "another service, signed in the query",
        sign: |keys, ahead| {
            sqs(ahead).query(&Call::new("GET", "127.0.0.1", "/sqs/q?Action=ListQueues"), keys, 60)
        },
        stale: Some(|keys| {
            sqs(-62).query(&Call::new("GET", "127.0.0.1", "/sqs/q?Action=ListQueues"), keys, 60)
        }),
        judge: judge_sqs,
        said: AWS,
        covers_host: true,
    },
];

fn send(gateway: &Gateway, call: &Call) -> Response {
    gateway.call(&call.ask())
}

#[test]
fn good_signatures_pass_and_are_made_anew() {
    let upstream = Upstream::ok();
    let gateway = gateway(&upstream);
    for way in &WAYS {
        for ahead in [0, -800, 800] {
            // What has an end of its own has no clock to be off.
            let ahead = if way.stale.is_some() && ahead != 0 { 0 } else { ahead };
            let response = send(&gateway, &(way.sign)(&local(), ahead));
            assert_eq!((response.status, response.error()), (200, ""), "{}: {}", way.name, response.text());
            let request = upstream.take().remove(0);
            (way.judge)(&request, &upstream).unwrap_or_else(|why| panic!("{}: {why}", way.name));
            let text = format!("{request:?}");
            assert!(!text.contains(&local().id), "{}: {text}", way.name);
            let record = gateway.record_of(&response);
            assert_eq!(record["client"], "job", "{}", way.name);
            assert_eq!(record["proof"], "keys");
            assert_eq!(record["local-key"], "LOCALJOB01");
        }
    }
}

/// Sends a bad call; gives the code that the gateway records.
#[track_caller]
fn refused(gateway: &Gateway, upstream: &Upstream, call: &Call, said: (u16, &str), code: &str, what: &str) {
    let mut caller = gateway.connect();
    let response = caller.call(&call.ask());
    let text = response.text();
    assert_eq!((response.status, response.error()), (said.0, code), "{what}: {text}");
    assert!(text.contains(said.1), "{what}: {text}");
    assert!(!text.to_lowercase().contains("stringtosign"), "{what}: {text}");
    assert_eq!(upstream.take().len(), 0, "{what}");
    let record = gateway.record_of(&response);
    assert_eq!(
        (&record["client"], &record["error"], &record["status"]),
        (&"".into(), &code.into(), &said.0.into())
    );
    // Whoever is nobody here loses the connection.
    assert_eq!(response.headers.one("connection"), Some("close"), "{what}");
    caller.closed();
}

#[test]
fn a_wrong_key_or_clock_is_refused_in_the_services_words() {
    let upstream = Upstream::ok();
    let gateway = gateway(&upstream);
    for way in &WAYS {
        let [mismatch, unknown, skew, expired] = way.said;
        let call = (way.sign)(&flipped(), 0);
        refused(&gateway, &upstream, &call, mismatch, "signature-mismatch", &format!("{}, secret", way.name));
        for id in ["LOCALJOB02", "LOCALJOB0", "LOCALJOB011", "localjob01", "AKCANARYID0000000001"] {
            let call = (way.sign)(&Keys { id: id.into(), ..local() }, 0);
            let what = format!("{}, key {id}", way.name);
            refused(&gateway, &upstream, &call, unknown, "unknown-access-key", &what);
        }
        if let Some(stale) = way.stale {
            let what = format!("{}, stale", way.name);
            refused(&gateway, &upstream, &stale(&local()), expired, "signature-expired", &what);
        } else {
            let call = (way.sign)(&local(), -905);
            refused(&gateway, &upstream, &call, skew, "clock-skew", &format!("{}, behind", way.name));
        }
        if way.name.starts_with("CloudStack") {
            let what = format!("{}, too far ahead", way.name);
            refused(&gateway, &upstream, &(way.sign)(&local(), 10), expired, "signature-expired", &what);
        } else if !way.name.starts_with("v2 query") {
            let call = (way.sign)(&local(), 905);
            refused(&gateway, &upstream, &call, skew, "clock-skew", &format!("{}, ahead", way.name));
        }
    }
}

/// The call with another character at the start of its signature.
fn other_signature(call: &Call) -> Call {
    let mut call = call.clone();
    let flip = |text: &str, mark: &str| {
        let at = text.to_lowercase().rfind(&mark.to_lowercase()).unwrap() + mark.len();
        let other = if &text[at..=at] == "A" { "B" } else { "A" };
        format!("{}{other}{}", &text[..at], &text[at + 1..])
    };
    if let Some(value) = call.value("authorization").map(str::to_owned) {
        let mark = if value.contains("Signature=") { "Signature=" } else { ":" };
        call.set("authorization", &flip(&value, mark));
    } else if call.target.to_lowercase().contains("signature=") {
        call.target = flip(&call.target, "signature=");
    } else {
        let body = String::from_utf8(call.body.take().unwrap()).unwrap();
        call.body = Some(flip(&body, "signature=").into_bytes());
    }
    call
}

#[test]
fn whatever_the_signature_covers_cannot_be_changed() {
    let upstream = Upstream::ok();
    let gateway = gateway(&upstream);
    for way in &WAYS {
        let good = (way.sign)(&local(), 0);
        let mismatch = way.said[0];
        let check = |call: &Call, what: &str| {
            let what = format!("{}, {what}", way.name);
            refused(&gateway, &upstream, call, mismatch, "signature-mismatch", &what);
        };
        check(&other_signature(&good), "signature");
        let mut call = good.clone();
        if way.covers_host {
            let host = format!("{}:81", good.value("host").unwrap());
            call.set("host", &host);
            check(&call, "host");
        }
        if !way.name.starts_with("CloudStack") {
            let mut call = good.clone();
            call.target = match good.target.split_once('?') {
                Some((path, query)) => format!("{path}x?{query}"),
                None => format!("{}x", good.target),
            };
            check(&call, "path");
            let mut call = good.clone();
            call.method = if good.method == "PUT" { "POST".into() } else { "DELETE".into() };
            check(&call, "method");
        }
        // What stands in the query is covered by versions 3 and 4, and so are sub-resources by version 2.
        let mut call = good.clone();
        if way.name.starts_with("CloudStack form") {
            call.body.as_mut().unwrap().extend_from_slice(b"&id=7");
            check(&call, "added field");
            let mut call = good.clone();
            call.target.push_str("?id=7");
            check(&call, "added parameter");
        } else if way.name != "ZStack" {
            let mark = if call.target.contains('?') { '&' } else { '?' };
            call.target.push_str(&format!("{mark}uploadId=7"));
            check(&call, "added parameter");
        }
    }
}

#[test]
fn headers_that_must_be_signed_are() {
    let upstream = Upstream::ok();
    let gateway = gateway(&upstream);
    for way in WAYS.iter().filter(|way| way.name.starts_with('v')) {
        let call = (way.sign)(&local(), 0).header("x-amz-acl", "public-read");
        let (said, code) = if way.name.starts_with("v4") {
            let said = "<Code>AccessDenied</Code><Message>There were headers present in the request";
            ((403, said), "header-not-signed")
        } else {
            (way.said[0], "signature-mismatch")
        };
        refused(&gateway, &upstream, &call, said, code, way.name);
    }
    // Not even the host.
    let (call, _) = V4::S3.header(&get("s3.internal"), &local(), None);
    let mut call = call;
    let without = call.value("authorization").unwrap().replace("SignedHeaders=host;", "SignedHeaders=");
    call.set("authorization", &without);
    let said = (403, "<Code>AccessDenied</Code>");
    refused(&gateway, &upstream, &call, said, "header-not-signed", "no host");
}

#[test]
fn two_signatures_are_none() {
    let upstream = Upstream::ok();
    let gateway = gateway(&upstream);
    let url = V4::S3.query(&get("s3.internal"), &local(), 60);
    let (signed, _) = V4::S3.header(&url, &local(), None);
    let said = (400, "<Code>InvalidArgument</Code><Message>Only one auth mechanism allowed");
    refused(&gateway, &upstream, &signed, said, "signature-malformed", "header and query");
    let both = signer::v2_query(&url, &local(), now() + 60, None);
    refused(&gateway, &upstream, &both, said, "signature-malformed", "two queries");
    let second = signer::v2_header(&signed, &local(), 0, None);
    refused(&gateway, &upstream, &second, said, "signature-malformed", "two headers");
    let bearer = url.header("Authorization", "Bearer x");
    refused(
        &gateway,
        &upstream,
        &bearer,
        said,
        "signature-malformed",
        "a token that counts for nothing here",
    );
    let wire = signer::cloudstack(&LIST, &local(), None);
    for more in
        ["apikey=LOCALJOB01", "signature=x", "SIGNATUREVERSION=3", "signatureVersion=2&signatureversion=2"]
    {
        let call = cloud(&format!("{wire}&{more}"));
        let said = (401, CLOUDSTACK);
        refused(&gateway, &upstream, &call, said, "signature-malformed", more);
    }
}

#[test]
fn cloudstack_takes_version_one_and_mixed_forms() {
    let upstream = Upstream::ok();
    let gateway = gateway(&upstream);
    let wire = signer::cloudstack(&LIST, &local(), None);
    send(&gateway, &cloud(&wire)).passed(200);
    send(&gateway, &cloud_form(&wire)).passed(200);
    send(&gateway, &cloud_form(&format!("{wire}\r\n"))).passed(200);
    // Half in the query, half in the form.
    let (first, rest) = wire.split_once('&').unwrap();
    let mut mixed = cloud_form(rest);
    mixed.target = format!("/client/api?{first}");
    send(&gateway, &mixed).passed(200);
    for request in upstream.take() {
        judge_cloud(&request, &upstream).unwrap();
    }
    // Two types: one parser would read the form, another would not.
    let twice = cloud_form(&wire).header("Content-Type", "text/plain");
    send(&gateway, &twice).refused(400, "bad-header");
    // Names in two spellings have two readings; they are refused even when they are signed.
    let twice = signer::cloudstack(&[("command", "listUsers"), ("Command", "destroyUser")], &local(), None);
    send(&gateway, &cloud(&twice)).refused(400, "duplicate-parameter");
    assert_eq!(upstream.take().len(), 0);
}

#[test]
fn a_digest_in_the_query_binds_the_body() {
    let upstream = Upstream::ok();
    let gateway = gateway(&upstream);
    let url = |body: &str| {
        let digest = naive::sha256(b"hello");
        let call = Call::new("PUT", "s3.internal", &format!("/b/k?X-Amz-Content-Sha256={digest}"));
        V4::S3.query(&call, &local(), 60).body(body)
    };
    send(&gateway, &url("hello")).passed(200);
    assert_eq!(upstream.take().len(), 1);
    let response = send(&gateway, &url("jello"));
    response.refused(400, "digest-mismatch");
    assert!(response.text().contains("XAmzContentSHA256Mismatch"), "{}", response.text());
    assert_eq!(upstream.take().iter().filter(|request| request.complete).count(), 0);
    // A word that the body's own header does not repeat.
    for word in ["STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"] {
        let call = Call::new("PUT", "s3.internal", &format!("/b/k?X-Amz-Content-Sha256={word}"));
        let call = V4::S3.query(&call, &local(), 60).body("hello");
        send(&gateway, &call).refused(400, "signature-malformed");
    }
    assert_eq!(upstream.take().len(), 0);
}

#[test]
fn a_stated_digest_binds_the_body() {
    let upstream = Upstream::ok();
    let gateway = gateway(&upstream);
    let mut call = V4::S3.header(&put("s3.internal"), &local(), None).0;
    call.body = Some(b"jello".to_vec());
    let response = send(&gateway, &call);
    response.refused(400, "digest-mismatch");
    assert!(response.text().contains("XAmzContentSHA256Mismatch"));
    // Another service says no digest: the body itself is signed.
    let call =
        Call::new("POST", "127.0.0.1", "/sqs/q").header("X-Amz-Target", "AmazonSQS.SendMessage").body("{}");
    let mut call = V4::SQS.header(&call, &local(), None).0;
    send(&gateway, &call).passed(200);
    call.body = Some(b"[]".to_vec());
    send(&gateway, &call).refused(400, "signature-mismatch");
    assert_eq!(upstream.take().len(), 1);
    // A form is taken apart to name the call, and is signed as it came.
    let form = "application/x-www-form-urlencoded";
    let call = Call::new("POST", "127.0.0.1", "/sqs/q").header("Content-Type", form).body("Action=A&B=c\r\n");
    let mut call = V4::SQS.header(&call, &local(), None).0;
    send(&gateway, &call).passed(200);
    assert_eq!(upstream.take()[0].body, b"Action=A&B=c\r\n");
    call.body = Some(b"Action=A&B=c".to_vec());
    send(&gateway, &call).refused(403, "signature-mismatch");
    // Whatever its length and its framing: in memory, in a file, read once or twice.
    for (kind, length) in [(form, 300 << 10), (form, 3 << 20), ("application/x-amz-json-1.0", 3 << 20)] {
        let body = format!("Action=A&B={}", "x".repeat(length));
        let call = Call::new("POST", "127.0.0.1", "/sqs/q").header("Content-Type", kind).body(&body);
        let call = V4::SQS.header(&call, &local(), None).0;
        send(&gateway, &call).passed(200);
        let mut caller = gateway.connect();
        let mut chunked = call.clone().header("Transfer-Encoding", "chunked");
        chunked.body = None;
        let mut bytes = chunked.ask().bytes(gateway.address);
        bytes.extend_from_slice(format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()).as_bytes());
        caller.send(&bytes);
        caller.response("POST").passed(200);
        for request in upstream.take() {
            assert!(request.body == body.as_bytes(), "{} bytes of {}", request.body.len(), body.len());
            judge_sqs(&request, &upstream).unwrap();
        }
    }
}

#[test]
fn scopes_carry_the_routes_own_region_and_service() {
    let upstream = Upstream::ok();
    let gateway = gateway(&upstream);
    for (region, service) in [("eu-west-1", "s3"), ("us-east-1", "sqs")] {
        let v4 = V4 { region, service, ..V4::S3 };
        let said = (400, "<Code>AuthorizationHeaderMalformed</Code>");
        let (call, _) = v4.header(&get("s3.internal"), &local(), None);
        refused(&gateway, &upstream, &call, said, "wrong-scope", region);
        assert!(send(&gateway, &call).text().contains("<Region>us-east-1</Region>"));
        let said = (400, "<Code>AuthorizationQueryParametersError</Code>");
        let call = v4.query(&get("ceph.internal"), &local(), 60);
        refused(&gateway, &upstream, &call, said, "wrong-scope", region);
    }
    let (call, _) = V4 { region: "us-east-1", ..V4::SQS }.header(
        &Call::new("POST", "127.0.0.1", "/sqs/q").header("X-Amz-Target", "AmazonSQS.X").body("{}"),
        &local(),
        None,
    );
    let said = (400, "InvalidSignatureException");
    refused(&gateway, &upstream, &call, said, "wrong-scope", "sqs");
}

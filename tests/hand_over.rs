//! `hand-over = "redirect"`: what is answered with a URL, that the URL works, and what never is.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use support::naive::{self, Flavour, Keys, S3V2, SigV4};
use support::{Ask, Caller, Gateway, Request, Response, Setup, Talk, Upstream, answer, ask};

const REGION: &str = "eu-central-1";
const THRESHOLD: u64 = 1 << 20;

/// Both schemes, one host each.
fn routes(upstream: &Upstream) -> String {
    let url = upstream.url();
    format!(
        "[routes.v4]\nmatch = {{ host = \"v4.internal\" }}\nupstream = \"{url}\"\nhand-over = \"redirect\"\n\
         hand-over-from = \"1MiB\"\nsign.s3-v4 = {{ credential = \"key\", region = \"{REGION}\", payload = \"hash\" }}\n\
         [routes.v2]\nmatch = {{ host = \"v2.internal\" }}\nupstream = \"{url}\"\nhand-over = \"redirect\"\n\
         hand-over-from = \"1MiB\"\nsign.s3-v2 = {{ credential = \"key\", dialect = \"ceph\" }}\n"
    )
}

/// A store in which every object named `big` is as long as the threshold, and every other one byte shorter; a GET
/// of either is answered in brief.
fn store() -> Upstream {
    Upstream::scripted(|talk: &mut Talk| {
        while let Some(request) = talk.request() {
            let length = if request.path().ends_with("/big") { THRESHOLD } else { THRESHOLD - 1 };
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nETag: \"x\"\r\n\r\n");
            match request.method.as_str() {
                "HEAD" if request.path().ends_with("/gone") => {
                    talk.write(b"HTTP/1.1 404 No\r\nContent-Length: 9999999\r\n\r\n")
                }
                "HEAD" => talk.write(head.as_bytes()),
                _ => talk.write(&answer(200, &[], b"streamed")),
            };
        }
    })
}

const HOSTS: [&str; 2] = ["v4.internal", "v2.internal"];

/// A header-signed request, judged by the route's scheme.
#[track_caller]
fn verify(request: &Request, host: &str, upstream: &Upstream) {
    if host == "v4.internal" {
        let server = SigV4 { region: REGION, service: "s3", flavour: Flavour::S3 };
        naive::sigv4(request, &Keys::default(), server).unwrap();
    } else {
        naive::s3v2(request, &Keys::default(), S3V2::Ceph(&upstream.address.to_string())).unwrap();
    }
}

/// Fails unless an answer is a redirect to the upstream, of which neither the record nor any event says more; gives
/// the target.
#[track_caller]
fn redirected(gateway: &Gateway, upstream: &Upstream, response: &Response) -> String {
    response.passed(307);
    assert_eq!(response.body, b"");
    assert_eq!(response.headers.one("cache-control"), Some("no-store"));
    let location = response.headers.one("location").unwrap();
    let target = location.strip_prefix(&upstream.url()).unwrap().to_owned();
    let record = gateway.record_of(response);
    assert_eq!((&record["ended"], &record["status"]), (&"handed-over".into(), &307.into()));
    assert!(!gateway.output().contains("ignature"), "a URL was logged");
    target
}

/// Does as the redirect says, and judges what the upstream then sees; gives the seconds that the URL still held.
#[track_caller]
fn follow(upstream: &Upstream, host: &str, call: &Ask) -> i64 {
    upstream.take();
    Caller::to(upstream.address).call(call);
    let request = upstream.take().remove(0);
    if host == "v4.internal" {
        naive::presigned_v4(&request, &Keys::default(), REGION).unwrap()
    } else {
        naive::presigned_v2(&request, &Keys::default()).unwrap()
    }
}

#[test]
fn large_gets_are_handed_over() {
    let upstream = store();
    let gateway = Gateway::with(&routes(&upstream));
    for host in HOSTS {
        for path in [
            "/bucket/big",
            "/bucket/a%20b/c+d/big",
            "/bucket/big?versionId=a%2Bb",
            "/bucket/big?response-content-type=text/plain&x-id=GetObject",
        ] {
            let call = |target: &str| {
                ask("GET", target)
                    .header("Range", "bytes=0-9")
                    .header("x-amz-meta-x", "a b")
                    .header("Accept", "*/*")
            };
            let response = gateway.call(&call(path).header("Host", host));
            let target = redirected(&gateway, &upstream, &response);
            let requests = upstream.take();
            assert_eq!(requests.len(), 1);
            assert_eq!(requests[0].method, "HEAD");
            assert!(!requests[0].headers.has("range") && !requests[0].target.contains("response-"));
            assert_eq!(requests[0].target.contains("versionId=a%2Bb"), path.contains("versionId"));
            verify(&requests[0], host, &upstream);
            // What a client may change on the way of a redirect is not signed.
            let again = ask("GET", &target).header("Range", "bytes=10-19").header("x-amz-meta-x", "a b");
            let left = follow(&upstream, host, &again);
            assert!((55..=60).contains(&left), "{left}");
            assert_eq!(
                gateway.record_of(&response)["operation"],
                if path.contains("versionId") { "s3:GetObjectVersion" } else { "s3:GetObject" }
            );
        }
    }
}

#[test]
fn what_is_small_or_no_plain_object_streams() {
    let upstream = store();
    let gateway = Gateway::with(&routes(&upstream));
    for host in HOSTS {
        for (method, path, asked) in [
            ("GET", "/bucket/small", true),
            ("GET", "/bucket/gone", true),
            ("GET", "/bucket/big?acl", false),
            ("GET", "/bucket/big?tagging", false),
            ("GET", "/bucket/big?uploadId=x", false),
            ("GET", "/bucket/big?partNumber=1", false),
            ("GET", "/bucket/big?torrent", false),
            ("GET", "/bucket/big?attributes", false),
            ("GET", "/bucket", false),
            ("GET", "/bucket/?list-type=2&prefix=big", false),
            ("GET", "/", false),
            ("DELETE", "/bucket/big", false),
            ("HEAD", "/bucket/big", false),
        ] {
            let response = gateway.call(&ask(method, path).header("Host", host));
            response.passed(200);
            let requests = upstream.take();
            assert_eq!(requests.len(), if asked { 2 } else { 1 }, "{method} {path}");
            assert_eq!(requests[requests.len() - 1].method, method);
            assert!(gateway.record_of(&response).get("ended").is_none());
            for request in &requests {
                verify(request, host, &upstream);
            }
        }
    }
    assert_eq!(upstream.connections(), 2, "one for each route, sizes included");
}

#[test]
fn callers_that_sign_are_not_sent_elsewhere() {
    let upstream = store();
    let gateway = Gateway::with(&routes(&upstream));
    for (name, value) in [
        (
            "Authorization",
            "AWS4-HMAC-SHA256 Credential=dummy/20250101/x/s3/aws4_request, SignedHeaders=host, Signature=0",
        ),
        ("Authorization", "Bearer dummy"),
        ("x-amz-date", "20250101T000000Z"),
        ("x-amz-security-token", "dummy"),
    ] {
        let call = ask("GET", "/bucket/big").header("Host", "v4.internal").header(name, value);
        assert_eq!(gateway.call(&call).passed(200).body, b"streamed", "{name}");
        assert_eq!(upstream.take().len(), 1, "no size is asked for");
    }
    // A presigned URL of the caller's own ends here, and its parameters with it.
    let call =
        ask("GET", "/bucket/big?X-Amz-Signature=0&X-Amz-Credential=dummy").header("Host", "v4.internal");
    let target = redirected(&gateway, &upstream, &gateway.call(&call));
    assert!(!target.contains("dummy"));
    follow(&upstream, "v4.internal", &ask("GET", &target));
}

/// A PUT whose caller waits for leave to send.
fn put(host: &str, target: &str, length: u64) -> Ask {
    ask("PUT", target)
        .header("Host", host)
        .header("Expect", "100-continue")
        .header("Content-Length", &length.to_string())
        .header("Content-Type", "text/x-test")
        .header("x-amz-meta-note", "n")
}

#[test]
fn large_puts_that_wait_for_leave_are_handed_over() {
    let upstream = store();
    let gateway = Gateway::with(&routes(&upstream));
    let body = vec![b'x'; usize::try_from(THRESHOLD).unwrap()];
    let digest = naive::sha256(&body);
    for host in HOSTS {
        for (path, stated) in [
            ("/bucket/new", None),
            ("/bucket/new?partNumber=2&uploadId=a~b", None),
            ("/bucket/new?x-id=PutObject", Some("UNSIGNED-PAYLOAD")),
            ("/bucket/new", Some(digest.as_str())),
        ] {
            let with = |mut call: Ask| {
                if let Some(stated) = stated {
                    call = call.header("x-amz-content-sha256", stated);
                }
                call
            };
            let mut caller = gateway.connect();
            let response = caller.call(&with(put(host, path, THRESHOLD)));
            let target = redirected(&gateway, &upstream, &response);
            assert!(response.interim.is_empty(), "leave was given");
            assert_eq!(response.headers.one("connection"), Some("close"));
            caller.closed();
            assert!(upstream.take().is_empty(), "nothing was sent");
            let again =
                ask("PUT", &target).header("Content-Type", "text/x-test").header("x-amz-meta-note", "n");
            let left = follow(&upstream, host, &with(again).body(&body));
            assert!((55..=60).contains(&left), "{left}");
        }
    }
}

#[test]
fn other_puts_stream() {
    let upstream = store();
    let gateway = Gateway::with(&routes(&upstream));
    let body = vec![b'x'; usize::try_from(THRESHOLD).unwrap()];
    for host in HOSTS {
        let plain = |target: &str| ask("PUT", target).header("Host", host);
        // No leave was asked for.
        gateway.call(&plain("/bucket/new").body(&body)).passed(200);
        // Too short, with leave.
        let mut caller = gateway.connect();
        caller.send(&put(host, "/bucket/new", THRESHOLD - 1).bytes(gateway.address));
        assert_eq!(caller.response_head().unwrap().unwrap().0, 100, "no leave was given");
        caller.send(&body[1..]);
        caller.response("PUT").passed(200);
        // A copy, whose body would be none, and what is set on an object.
        let copy =
            plain("/bucket/new").header("x-amz-copy-source", "/bucket/big").header("Expect", "100-continue");
        gateway.call(&copy.body(&body)).passed(200);
        gateway.call(&plain("/bucket/new?tagging").header("Expect", "100-continue").body(&body)).passed(200);
        for request in upstream.take() {
            assert_eq!(request.method, "PUT");
            verify(&request, host, &upstream);
        }
    }
}

#[test]
fn chunks_with_signatures_of_their_own_stay() {
    let upstream = store();
    let gateway = Gateway::with(&routes(&upstream));
    for (name, value) in [
        ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
        ("Content-Encoding", "gzip, aws-chunked"),
        ("x-amz-decoded-content-length", "1048576"),
        ("x-amz-trailer", "x-amz-checksum-crc32"),
    ] {
        let call = put("v4.internal", "/bucket/new", THRESHOLD).header(name, value);
        let mut caller = gateway.connect();
        caller.send(&call.bytes(gateway.address));
        caller.finish_sending();
        let answered = caller.try_response("PUT");
        assert!(!matches!(&answered, Ok(Some(response)) if response.status == 307), "{name}: {answered:?}");
    }
}

#[test]
fn tokens_and_virtual_hosts() {
    let keys = Keys::default().with_token("canary-token/+=");
    let upstream = store();
    let port = upstream.address.port();
    let text = format!(
        "[routes.v4]\nmatch = {{ host = \"v4.internal\" }}\n\
         upstream = {{ url = \"{}\", host = \"s3.example:{port}\" }}\nhand-over = \"redirect\"\nhand-over-from = 1\n\
         sign.s3-v4 = {{ credential = \"session\", region = \"{REGION}\", addressing = \"virtual\" }}\n",
        upstream.url()
    );
    let gateway = Setup::routes(&text).credential("session", keys.clone()).start();
    let response = gateway.call(&ask("GET", "/my-bucket/k").header("Host", "v4.internal"));
    let location = response.passed(307).headers.one("location").unwrap().to_owned();
    let host = format!("my-bucket.s3.example:{port}");
    let target = location.strip_prefix(&format!("http://{host}")).unwrap();
    assert!(target.starts_with("/k?"), "{location}");
    upstream.take();
    Caller::to(upstream.address).call(&ask("GET", target).header("Host", &host));
    naive::presigned_v4(&upstream.last(), &keys, REGION).unwrap();
}

#[test]
fn without_the_key_everything_streams() {
    let upstream = store();
    let off = routes(&upstream).replace("hand-over-from = \"1MiB\"\n", "").replace("redirect", "off");
    let gateway = Gateway::with(&off);
    for host in HOSTS {
        gateway.call(&ask("GET", "/bucket/big").header("Host", host)).passed(200);
        assert_eq!(upstream.take().len(), 1);
    }
}

//! S3 signature version 2 on the wire: dialects, sub-resources, and buckets in hosts and paths.

use crate::support::naive::{self, Keys, S3V2};
use crate::support::{Gateway, Request, Setup, Upstream, ask};
use crate::with_route;

/// Sends each call, which must verify, and compares the target that arrived.
#[track_caller]
fn targets(gateway: &Gateway, upstream: &Upstream, server: S3V2<'_>, cases: &[(&str, &str, &str, &str)]) {
    for (method, host, came, went) in cases {
        gateway.call(&ask(method, came).header("Host", host)).passed(200);
        let request = upstream.take().remove(0);
        assert_eq!(request.target, *went, "{method} {host} {came}");
        naive::s3v2(&request, &Keys::default(), server).unwrap_or_else(|why| panic!("{came}: {why}"));
    }
}

#[test]
fn ceph_by_path() {
    let upstream = Upstream::ok();
    let gateway = with_route(
        &upstream,
        "[routes.ceph]\nmatch = { host = \"ceph.internal\" }\nupstream = \"URL\"\n\
         sign.s3-v2 = { credential = \"key\", dialect = \"ceph\" }\n",
    );
    let host = upstream.address.to_string();
    let ceph = S3V2::Ceph(&host);
    targets(
        &gateway,
        &upstream,
        ceph,
        &[
            ("GET", "ceph.internal", "/", "/"),
            ("GET", "ceph.internal", "/bucket", "/bucket"),
            ("GET", "ceph.internal", "/bucket/", "/bucket/"),
            ("GET", "ceph.internal:8480", "/bucket/a%20b", "/bucket/a%20b"),
            (
                "GET",
                "CEPH.internal",
                "/bucket/a+b%2Bc%2Fd//e/./f/../g~*'()",
                "/bucket/a%2Bb%2Bc/d//e/./f/../g~%2A%27%28%29",
            ),
            ("GET", "ceph.internal", "/bucket/caf%c3%a9", "/bucket/caf%C3%A9"),
            ("GET", "ceph.internal", "/bucket?acl", "/bucket?acl"),
            ("GET", "ceph.internal", "/bucket?acl=", "/bucket?acl"),
            (
                "GET",
                "ceph.internal",
                "/bucket?prefix=a+b&acl&delimiter=/",
                "/bucket?prefix=a%20b&acl&delimiter=%2F",
            ),
            (
                "GET",
                "ceph.internal",
                "/b/k?versionId=x%2By&partNumber=2",
                "/b/k?versionId=x%2By&partNumber=2",
            ),
            ("POST", "ceph.internal", "/b/k?uploads", "/b/k?uploads"),
            ("DELETE", "ceph.internal", "/b/k?uploadId=2~abc", "/b/k?uploadId=2~abc"),
            (
                "GET",
                "ceph.internal",
                "/b/k?response-content-type=text/plain%3B%20charset=utf-8&response-expires=0",
                "/b/k?response-content-type=text%2Fplain%3B%20charset%3Dutf-8&response-expires=0",
            ),
            ("GET", "ceph.internal", "/b?publicAccessBlock", "/b?publicAccessBlock"),
            ("GET", "ceph.internal", "/b?policyStatus&prefix=a", "/b?policyStatus&prefix=a"),
            ("GET", "ceph.internal", "/b?encryption=", "/b?encryption"),
            ("HEAD", "ceph.internal", "/b/k", "/b/k"),
        ],
    );
}

#[test]
fn signed_headers_and_bodies() {
    let upstream = Upstream::ok();
    let keys = Keys::default().with_token("canary-token/+=");
    let routes = "[routes.ceph]\nmatch = { host = \"ceph.internal\" }\nupstream = \"URL\"\n\
                  sign.s3-v2 = { credential = \"temporary\", dialect = \"ceph\" }\n";
    let gateway = Setup::default()
        .credential("temporary", keys.clone())
        .text(&routes.replace("URL", &upstream.url()))
        .start();
    let call = ask("PUT", "/bucket/key")
        .header("Host", "ceph.internal")
        .header("Content-Type", "text/plain; charset=utf-8")
        .header("Content-MD5", "XrY7u+Ae7tCTyyK7j1rNww==")
        .header("X-Amz-Meta-Zeta", "  two   words ")
        .header("x-amz-meta-alpha", "one")
        .header("X-Amz-Meta-Alpha", "two")
        .header("x-amz-acl", "private")
        .header("X-Amz-Date", "20010101T000000Z")
        .header("x-amz-security-token", "EVIL")
        .body("hello world");
    gateway.call(&call).passed(200);
    let request = upstream.last();
    let host = upstream.address.to_string();
    naive::s3v2(&request, &keys, S3V2::Ceph(&host)).unwrap();
    assert_eq!(request.text(), "hello world");
    assert_eq!(request.headers.one("content-md5"), Some("XrY7u+Ae7tCTyyK7j1rNww=="));
    assert_eq!(request.headers.one("x-amz-acl"), Some("private"));
    assert!(!String::from_utf8_lossy(&upstream.bytes(0)).contains("EVIL"));
}

#[test]
fn buckets_travel_between_host_and_path() {
    let upstream = Upstream::ok();
    let gateway = with_route(
        &upstream,
        "[routes.to-path]\nmatch = { host = \"*.in.internal\" }\nupstream = { url = \"URL\", host = \"rgw.example\" }\n\
         sign.s3-v2 = { credential = \"key\", dialect = \"ceph\", addressing = \"path\" }\n\
         [routes.to-host]\nmatch = { host = \"path.internal\" }\nupstream = { url = \"URL\", host = \"rgw.example\" }\n\
         sign.s3-v2 = { credential = \"key\", dialect = \"ceph\", addressing = \"virtual\" }\n\
         [routes.both]\nmatch = { host = \"*.both.internal\" }\nupstream = { url = \"URL\", host = \"rgw.example:8080\" }\n\
         sign.s3-v2 = { credential = \"key\", dialect = \"ceph\", addressing = \"virtual\" }\n",
    );
    let ceph = S3V2::Ceph("rgw.example");
    for (host, came, to_host, went, server) in [
        ("photos.in.internal", "/a/b?acl", "rgw.example", "/photos/a/b?acl", ceph),
        ("photos.in.internal", "/", "rgw.example", "/photos/", ceph),
        ("a.b.in.internal", "/k", "rgw.example", "/a.b/k", ceph),
        ("path.internal", "/photos/a/b?acl", "photos.rgw.example", "/a/b?acl", ceph),
        ("path.internal", "/photos", "photos.rgw.example", "/", ceph),
        ("path.internal", "/photos/", "photos.rgw.example", "/", ceph),
        ("path.internal", "/photos//x", "photos.rgw.example", "//x", ceph),
        ("path.internal", "/", "rgw.example", "/", ceph),
        // What is no host label stays in the path.
        ("path.internal", "/UPPER/k", "rgw.example", "/UPPER/k", ceph),
        ("path.internal", "/dotted.name/k", "rgw.example", "/dotted.name/k", ceph),
        ("path.internal", "/evil.example%2F/k", "rgw.example", "/evil.example//k", ceph),
        ("photos.both.internal:81", "/k", "photos.rgw.example:8080", "/k", S3V2::Ceph("rgw.example:8080")),
    ] {
        gateway.call(&ask("GET", came).header("Host", host)).passed(200);
        let request = upstream.take().remove(0);
        let host_sent = request.headers.one("host");
        assert_eq!((host_sent, request.target.as_str()), (Some(to_host), went), "{host}{came}");
        naive::s3v2(&request, &Keys::default(), server).unwrap_or_else(|why| panic!("{host}{came}: {why}"));
    }
}

fn ostor(upstream: &Upstream) -> Gateway {
    with_route(
        upstream,
        "[routes.ostor]\nmatch = { path = \"/ostor\" }\nupstream = { url = \"URL\", rewrite-path = \"/\" }\n\
         secrets = \"allow\"\nsign.s3-v2 = { credential = \"key\", dialect = \"ostor\" }\n",
    )
}

#[test]
fn ostor_names_its_service_first() {
    let upstream = Upstream::ok();
    let gateway = ostor(&upstream);
    for (method, came, went) in [
        ("GET", "/ostor/?ostor-users", "/?ostor-users"),
        (
            "GET",
            "/ostor?ostor-users&emailAddress=u@example.com",
            "/?ostor-users&emailAddress=u%40example.com",
        ),
        (
            "GET",
            "/ostor/?emailAddress=u@example.com&ostor-users",
            "/?ostor-users&emailAddress=u%40example.com",
        ),
        ("GET", "/ostor/?ostor-users=&id=7", "/?ostor-users&id=7"),
        ("PUT", "/ostor/?%6fstor-users&emailAddress=a+b", "/?ostor-users&emailAddress=a%20b"),
        ("POST", "/ostor/?ostor-users&emailAddress=x&genKey", "/?ostor-users&emailAddress=x&genKey"),
        ("DELETE", "/ostor/?ostor-limits&bucket=b", "/?ostor-limits&bucket=b"),
        ("GET", "/ostor/?limit=2&after=a&ostor-usage", "/?ostor-usage&limit=2&after=a"),
    ] {
        // The type of a body that is not there is dropped: everyone signs an empty one.
        let call =
            ask(method, came).header("Content-Type", "application/json").header("Expect", "100-continue");
        gateway.call(&call).passed(200);
        let request: Request = upstream.take().remove(0);
        assert_eq!((request.method.as_str(), request.target.as_str()), (method, went));
        assert!(!request.headers.has("content-type"), "{came}");
        naive::s3v2(&request, &Keys::default(), S3V2::Ostor).unwrap_or_else(|why| panic!("{came}: {why}"));
    }
}

#[test]
fn two_ostor_services_are_refused() {
    let upstream = Upstream::ok();
    let gateway = ostor(&upstream);
    gateway.call(&ask("GET", "/ostor/?ostor-users&ostor-limits")).refused(400, "bad-parameter");
    upstream.assert_untouched("servers would sign one or the other");
}

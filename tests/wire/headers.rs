//! Which headers arrive: exactly the listed ones, whatever a caller sends.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};

use crate::support::naive::{self, Keys, S3V2, SigV4};
use crate::support::{Ask, Gateway, Request, Setup, Upstream, answer, ask, every_scheme};

/// What no upstream may ever see, with a canary in every value that allows one.
const DIRT: &[(&str, &str)] = &[
    ("Authorization", "Bearer EVIL"),
    ("Cookie", "JSESSIONID=EVIL"),
    ("Cookie2", "EVIL"),
    ("Date", "Fri, 06 Aug 2021 17:58:34 GMT"),
    ("X-Amz-Date", "20010101T000000Z"),
    ("X-Amz-Security-Token", "EVIL"),
    ("X-Amz-Signature", "EVIL"),
    ("X-Amz-Credential", "EVIL"),
    ("X-Amz-Algorithm", "EVIL"),
    ("X-Amz-Trailer", "x-amz-checksum-crc32"),
    ("X-Amz-Decoded-Content-Length", "5"),
    ("X-Forwarded-For", "EVIL"),
    ("X-Forwarded-Host", "EVIL"),
    ("X-Forwarded-Proto", "EVIL"),
    ("X-Forwarded-Prefix", "EVIL"),
    ("X-Real-IP", "EVIL"),
    ("X-Client-IP", "EVIL"),
    ("True-Client-IP", "EVIL"),
    ("Client-IP", "EVIL"),
    ("Forwarded", "for=EVIL"),
    ("Via", "1.1 EVIL"),
    ("X-Web-Hook", "http://EVIL/"),
    ("X-Job-UUID", "0123456789abcdef0123456789abcdef"),
    ("X-Request-Ip", "EVIL"),
    ("X-Request-Id", "EVIL"),
    ("X-HTTP-Method-Override", "EVIL"),
    ("X-Original-URL", "/EVIL"),
    ("X-Rewrite-URL", "/EVIL"),
    ("Referer", "http://EVIL/"),
    ("Proxy-Authorization", "EVIL"),
    ("Proxy-Connection", "EVIL"),
    ("Proxy", "EVIL"),
    ("Keep-Alive", "EVIL"),
    ("TE", "trailers"),
    ("Trailer", "EVIL"),
    ("X-Countersign-Wait", "EVIL"),
    ("X-Custom", "EVIL"),
    ("From", "EVIL"),
    ("Max-Forwards", "1"),
    ("Priority", "EVIL"),
    ("Traceparent", "EVIL"),
    ("Connection", "close, x-custom, keep-alive"),
];

/// What may pass on every route.
const COMMON: &[(&str, &str)] = &[
    ("accept", "application/json"),
    ("accept-encoding", "identity"),
    ("accept-language", "de"),
    ("user-agent", "test/1"),
];

/// What passes on S3 and AWS routes beside.
const S3: &[(&str, &str)] = &[
    ("cache-control", "no-store"),
    ("content-disposition", "attachment"),
    ("content-encoding", "gzip"),
    ("content-language", "de"),
    ("content-md5", "XrY7u+Ae7tCTyyK7j1rNww=="),
    ("content-type", "application/json"),
    ("expires", "Fri, 06 Aug 2031 17:58:34 GMT"),
    ("if-match", "\"x\""),
    ("if-modified-since", "Fri, 06 Aug 2021 17:58:34 GMT"),
    ("if-none-match", "*"),
    ("if-range", "\"x\""),
    ("if-unmodified-since", "Fri, 06 Aug 2031 17:58:34 GMT"),
    ("range", "bytes=0-1"),
    ("x-amz-acl", "private"),
    ("x-amz-meta-a", "b"),
];

struct Case {
    call: Ask,
    /// What must pass beside [`COMMON`].
    passes: Vec<(&'static str, &'static str)>,
    /// What the scheme itself sets.
    sets: &'static [&'static str],
}

/// A call with every header that there is, of which only `passes` may arrive.
fn case(
    call: Ask,
    body: &str,
    passes: &[(&'static str, &'static str)],
    more: &[(&'static str, &'static str)],
    sets: &'static [&'static str],
) -> Case {
    let mut passes = [passes, more].concat();
    // A digest that is stated is checked, so it has to be right.
    let md5: &'static str = STANDARD.encode(Md5::digest(body)).leak();
    for (_, value) in passes.iter_mut().filter(|(name, _)| *name == "content-md5") {
        *value = md5;
    }
    let mut call = call;
    for (name, value) in COMMON.iter().chain(DIRT).chain(&passes) {
        call = call.header(name, value);
    }
    for (name, value) in S3.iter().filter(|(name, _)| !passes.iter().any(|(passing, _)| passing == name)) {
        call = call.header(name, if *name == "content-md5" { md5 } else { value });
    }
    Case { call: if body.is_empty() { call } else { call.body(body) }, passes, sets }
}

fn cases() -> Vec<Case> {
    let json = ("content-type", "application/json");
    let form = ("content-type", "application/x-www-form-urlencoded");
    let key = |host: &str| ask("PUT", "/b/k").header("Host", host);
    vec![
        case(ask("GET", "/client/api?command=listUsers"), "", &[], &[], &[]),
        case(ask("POST", "/client/api"), "command=deployVirtualMachine", &[form], &[], &["content-length"]),
        // What may begin a job loses its accept-encoding: the job's address must be readable (tests/jobs.rs).
        case(ask("GET", "/zstack/v1/x"), "", &[json], &[("x-api-timeout", "30")], &["date", "authorization"]),
        case(key("ceph.internal"), "x", S3, &[], &["content-length", "authorization", "x-amz-date", "date"]),
        case(
            key("s3.internal"),
            "x",
            S3,
            &[],
            &["content-length", "authorization", "x-amz-date", "x-amz-content-sha256"],
        ),
        case(
            ask("POST", "/sqs/"),
            "{}",
            S3,
            &[("x-amzn-query-mode", "true"), ("x-amz-target", "a.B")],
            &["content-length", "authorization", "x-amz-date"],
        ),
    ]
}

#[track_caller]
fn verify(request: &Request, host: &str) {
    let keys = Keys::default();
    let second = request.headers.one("authorization").is_some_and(|value| value.starts_with("AWS "));
    let verdict = match request.path() {
        "/client/api" => naive::cloudstack(request, &keys).map(drop),
        "/zstack/v1/x" => naive::zstack(request, &keys, "/zstack", 8 * 3600).map(drop),
        "/b/k" if second => naive::s3v2(request, &keys, S3V2::Ceph(host)),
        "/b/k" => naive::sigv4(request, &keys, SigV4::S3).map(drop),
        _ => naive::sigv4(request, &keys, SigV4::SQS).map(drop),
    };
    verdict.unwrap_or_else(|why| panic!("{}: {why}", request.target));
}

#[test]
fn exactly_the_listed_headers_arrive() {
    let upstream = Upstream::ok();
    let gateway = Gateway::with(&every_scheme(&upstream));
    let address = upstream.address.to_string();
    for Case { call, passes, sets } in cases() {
        gateway.call(&call).passed(200);
        let request = upstream.take().remove(0);
        let target = &request.target;
        let passing = || COMMON.iter().chain(&passes);
        for (name, value) in passing() {
            assert_eq!(request.headers.one(name), Some(*value), "{target}: {name}");
        }
        assert_eq!(request.headers.one("host"), Some(address.as_str()));
        let known = |name: &str| {
            name == "host" || sets.contains(&name) || passing().any(|(passing, _)| *passing == name)
        };
        let strange: Vec<_> = request.headers.names().into_iter().filter(|name| !known(name)).collect();
        assert!(strange.is_empty(), "{target}: {strange:?} arrived");
        verify(&request, &address);
    }
    for connection in 0..upstream.connections() {
        assert!(!String::from_utf8_lossy(&upstream.bytes(connection)).contains("EVIL"));
    }
}

#[test]
fn more_headers_pass_where_the_route_says_so() {
    let upstream = Upstream::ok();
    let text = every_scheme(&upstream)
        .replace("[routes.zstack]\n", "[routes.zstack]\nforward-headers = [\"X-Trace\"]\n")
        .replace("[routes.s3]\n", "[routes.s3]\nforward-headers = [\"x-trace\", \"x-scal-s3-location\"]\n");
    let gateway = Gateway::with(&text);
    let key = ask("GET", "/b/k").header("Host", "s3.internal");
    for call in [ask("GET", "/zstack/v1/x"), key.header("X-Scal-S3-Location", "here")] {
        gateway.call(&call.header("x-TRACE", "abc").header("x-other", "EVIL")).passed(200);
        let request = upstream.take().remove(0);
        assert_eq!(request.headers.one("x-trace"), Some("abc"));
        assert!(!request.headers.has("x-other"));
        verify(&request, "");
    }
    gateway.call(&ask("GET", "/client/api?command=listUsers").header("X-Trace", "abc")).passed(200);
    assert!(!upstream.take()[0].headers.has("x-trace"), "the list belongs to its route");
}

#[test]
fn nothing_secret_is_written_down_at_any_level() {
    let upstream =
        Upstream::answering(|_| answer(403, &[], b"<Error><StringToSign>canary</StringToSign></Error>"));
    let keys = Keys::default().with_token("canary-session-token");
    // CloudStack and ZStack know no session tokens.
    let (plain, amazon) = every_scheme(&upstream)
        .split_once("[routes.ceph]")
        .map(|(plain, rest)| {
            (plain.to_owned(), format!("[routes.ceph]{}", rest.replace("\"key\"", "\"temporary\"")))
        })
        .unwrap();
    let setup = Setup::routes(&(plain + &amazon)).credential("temporary", keys);
    let gateway = setup.environment("COUNTERSIGN_LOG", "trace").start();
    let mut signatures = Vec::new();
    for call in [
        ask("GET", "/client/api?command=listUsers&password=canary-parameter"),
        ask("GET", "/zstack/v1/x"),
        ask("GET", "/b/k").header("Host", "ceph.internal"),
        ask("GET", "/b/k").header("Host", "s3.internal").header("Authorization", "canary-authorization"),
        ask("GET", "/sqs/").header("Cookie", "canary-cookie"),
        ask("PUT", "/b/k").header("Host", "s3.internal").body("canary-body"),
    ] {
        gateway.call(&call).passed(403);
        let request = upstream.take().remove(0);
        let fields = request.query().unwrap_or_default().split('&');
        signatures.extend(fields.filter_map(|field| field.strip_prefix("signature=")).map(str::to_owned));
        let authorization = request.headers.one("authorization").unwrap_or_default();
        signatures.extend(authorization.rsplit(['=', ':']).find(|part| part.len() > 20).map(str::to_owned));
    }
    assert_eq!(signatures.len(), 6, "{signatures:?}");
    gateway.wait_for_records(6);
    // Of all that there is, the record states access keys, and nothing else does.
    let record =
        gateway.lines().iter().map(|line| line.to_string().replace("AKCANARYID", "")).collect::<Vec<_>>();
    let output = gateway.log() + "\n" + &record.join("\n");
    let words = ["canary", "AKCANARYID", "Signature=", "signature="];
    for text in signatures.iter().map(String::as_str).chain(words) {
        let line = output.lines().find(|line| line.contains(text));
        assert_eq!(line, None, "{text} was written down");
    }
}

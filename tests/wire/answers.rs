//! What comes back: the upstream's answer as it is, errors that the caller's library can read, one record per call.

use crate::support::gateway::free_address;
use crate::support::{Gateway, Response, Upstream, answer, ask, every_scheme};
use crate::with_route;

#[test]
fn answers_pass_as_they_are_but_for_what_is_the_hops() {
    let upstream = Upstream::answering(|_| {
        b"HTTP/1.1 207 Multi-Status\r\nContent-Type: application/xml\r\nETag: \"x\"\r\nX-Amz-Request-Id: 1\r\n\
          X-Description: kept\r\nSet-Cookie: JSESSIONID=EVIL\r\nset-cookie: sessionkey=EVIL\r\nAlt-Svc: h3=\":443\"\r\n\
          Strict-Transport-Security: max-age=1\r\nKeep-Alive: timeout=5\r\nConnection: keep-alive, x-hop\r\n\
          X-Hop: EVIL\r\nProxy-Authenticate: EVIL\r\nX-Request-Id: EVIL\r\nX-Countersign-Error: EVIL\r\n\
          Content-Length: 4\r\n\r\nbody"
            .to_vec()
    });
    let gateway = Gateway::with(&every_scheme(&upstream));
    let answer = gateway.call(&ask("GET", "/zstack/v1/x"));
    answer.passed(207);
    assert_eq!(answer.text(), "body");
    for (name, value) in [
        ("content-type", "application/xml"),
        ("etag", "\"x\""),
        ("x-amz-request-id", "1"),
        ("x-description", "kept"),
    ] {
        assert_eq!(answer.headers.one(name), Some(value));
    }
    assert!(!format!("{answer:?}").contains("EVIL"), "{answer:?}");
    for name in ["alt-svc", "strict-transport-security", "keep-alive", "connection"] {
        assert!(!answer.headers.has(name), "{name}");
    }
    assert_eq!(answer.headers.one("x-request-id").map(str::len), Some(36));
}

#[test]
fn upstream_errors_are_answers() {
    let upstream = Upstream::answering(|request| {
        let status = request.path().rsplit('/').next().unwrap().parse().unwrap();
        answer(status, &[("content-type", "text/plain")], b"theirs")
    });
    let gateway = Gateway::with(&every_scheme(&upstream));
    for status in [400, 401, 403, 404, 405, 409, 412, 416, 429, 431, 500, 502, 503, 504, 530] {
        let answer = gateway.call(&ask("GET", &format!("/zstack/v1/{status}")));
        answer.passed(status);
        assert_eq!(answer.text(), "theirs");
    }
    assert_eq!(upstream.requests().len(), 15, "nothing is tried again");
}

#[test]
fn redirects_are_passed_and_never_followed() {
    let other = Upstream::ok();
    let away = format!("{}/elsewhere", other.url());
    let location = format!("{away}?X-Amz-Signature=EVIL&X-Amz-Credential=EVIL#EVIL");
    let upstream = Upstream::answering(move |request| {
        let own = format!("http://{}", request.headers.one("host").unwrap());
        let location = match request.path().rsplit('/').next().unwrap() {
            "away" => location.clone(),
            "own" => format!("{own}/v1/next?Signature=EVIL"),
            _ => "/v1/next?signature=EVIL".to_owned(),
        };
        answer(307, &[("location", &location)], b"")
    });
    let gateway = with_route(
        &upstream,
        "[routes.z]\nmatch = { path = \"/cloud\" }\nupstream = { url = \"URL\", rewrite-path = \"/\" }\n\
         sign.zstack = { credential = \"key\", context-path = \"/\" }\n",
    );
    for (path, location) in [
        ("/cloud/away", away.as_str()),
        ("/cloud/own", "/cloud/v1/next"),
        ("/cloud/relative", "/cloud/v1/next"),
    ] {
        let answer = gateway.call(&ask("GET", path));
        answer.passed(307);
        assert_eq!(answer.headers.one("location"), Some(location), "{path}");
    }
    assert_eq!(upstream.requests().len(), 3);
    other.assert_untouched("a redirect was followed");
}

fn json(answer: &Response) -> serde_json::Value {
    serde_json::from_slice(&answer.body).unwrap()
}

#[test]
fn errors_speak_the_callers_protocol() {
    let upstream = Upstream::ok();
    let gateway = Gateway::with(&every_scheme(&upstream));
    let call = |method: &str, target: &str, host: &str| {
        let call = ask(method, target);
        gateway.call(&if host.is_empty() { call } else { call.header("Host", host) })
    };

    let cloudstack = call("GET", "/client/api?command=listUsers&id=1&ID=2&response=json", "");
    cloudstack.refused(400, "duplicate-parameter");
    let body = json(&cloudstack);
    assert_eq!(body["listusersresponse"]["errorcode"], 400);
    assert!(body["listusersresponse"]["errortext"].as_str().unwrap().contains("`id`"), "{body}");

    let xml = call("GET", "/client/api?command=listUsers&%3C%26=1&%3C%26=2", "").text();
    assert!(xml.contains("<listusersresponse><errorcode>400</errorcode><errortext>"), "{xml}");
    assert!(xml.contains("&lt;") && xml.ends_with("</errortext></listusersresponse>"), "{xml}");

    let nameless = call("GET", "/client/api?response=json&command=%3Cscript%3E&command=x", "");
    assert!(json(&nameless)["errorresponse"]["errorcode"].is_number(), "{}", nameless.text());

    let zstack = call("GET", "/zstack/v1//x", "");
    zstack.refused(400, "bad-path");
    let body = json(&zstack);
    assert!(body["error"]["details"].is_string() && body["error"]["code"].is_string(), "{body}");

    for host in ["ceph.internal", "s3.internal"] {
        let s3 = call("GET", "/b/k%zz", host);
        s3.refused(400, "bad-path");
        assert_eq!(s3.headers.one("content-type"), Some("application/xml"));
        let text = s3.text();
        assert!(
            text.contains("<Error><Code>InvalidURI</Code><Message>") && text.ends_with("</Error>"),
            "{text}"
        );
    }
    let head = call("HEAD", "/b/k%zz", "s3.internal");
    head.refused(400, "bad-path");

    for (target, host, status, code) in [
        ("/sqs/../x", "", 400, "bad-path"),
        ("/nowhere", "", 404, "route-not-found"),
        ("/sqs/", "evil.example", 421, "unknown-host"),
    ] {
        let problem = call("GET", target, host);
        problem.refused(status, code);
        assert_eq!(problem.headers.one("content-type"), Some("application/problem+json"));
        let body = json(&problem);
        assert_eq!((body["status"].as_u64(), body["code"].as_str()), (Some(u64::from(status)), Some(code)));
    }
    upstream.assert_untouched("all of these were refused");
}

#[test]
fn refusals_are_not_kept_by_caches_and_carry_an_id() {
    let upstream = Upstream::ok();
    let gateway = Gateway::with(&every_scheme(&upstream));
    for target in ["/nowhere", "/client/api", "/zstack/v1//x"] {
        let answer = gateway.call(&ask("GET", target));
        assert_eq!(answer.headers.one("cache-control"), Some("no-store"));
        assert_eq!(answer.headers.one("referrer-policy"), Some("no-referrer"));
        assert_eq!(gateway.record_of(&answer)["error"], answer.error());
    }
    upstream.assert_untouched("refused");
}

#[test]
fn an_upstream_that_is_not_there_is_a_502() {
    let gone = free_address();
    let gateway = Gateway::with(&format!(
        "[routes.cloud]\nmatch = {{ path = \"/client/api\" }}\nupstream = \"http://{gone}\"\n\
         sign.cloudstack = {{ credential = \"key\" }}\n"
    ));
    let answer = gateway.call(&ask("GET", "/client/api?command=listUsers&response=json"));
    answer.refused(502, "upstream-connect");
    assert!(answer.text().contains("listusersresponse"), "{}", answer.text());
}

#[test]
fn every_call_leaves_one_record() {
    let upstream = Upstream::ok();
    let gateway = Gateway::with(&every_scheme(&upstream));
    let deploy = ask("POST", "/client/api").form("command=deployVirtualMachine");
    let put = ask("PUT", "/b/k").header("Host", "s3.internal").body("hello");
    let calls = [
        (ask("GET", "/client/api?command=listUsers"), ["cloud", "cloudstack", "listUsers", "GET"], 0),
        (deploy, ["cloud", "cloudstack", "deployVirtualMachine", "POST"], 28),
        (ask("GET", "/zstack/v1/zones?limit=1"), ["zstack", "zstack", "GET /v1/zones", "GET"], 0),
        (ask("GET", "/b/k").header("Host", "ceph.internal"), ["ceph", "s3-v2", "s3:GetObject", "GET"], 0),
        (put, ["s3", "s3-v4", "s3:PutObject", "PUT"], 5),
        (ask("GET", "/sqs/?Action=ListQueues"), ["sqs", "aws-v4", "sqs:ListQueues", "GET"], 0),
    ];
    for (call, [route, scheme, operation, method], bytes_in) in calls {
        let answer = gateway.call(&call);
        answer.passed(200);
        let record = gateway.record_of(&answer);
        for (field, value) in [
            ("route", route),
            ("scheme", scheme),
            ("operation", operation),
            ("method", method),
            ("client", "anonymous"),
            ("credential", "key"),
            ("source", "127.0.0.1"),
        ] {
            assert_eq!(record[field], value, "{record}");
        }
        assert_eq!(
            (record["status"].as_u64(), record["bytes-out"].as_u64()),
            (Some(200), Some(2)),
            "{record}"
        );
        assert_eq!(record["bytes-in"].as_u64(), Some(bytes_in), "{record}");
        for timing in ["duration-ms", "upstream-ms"] {
            assert!(record[timing].as_f64().is_some_and(|time| time > 0.0), "{record}");
        }
        assert!(record["time"].as_str().unwrap().ends_with('Z'), "{record}");
        assert!(record.get("ended").is_none() && record.get("error").is_none(), "{record}");
    }
    let refused = gateway.call(&ask("GET", "/client/api?command=listUsers&a=1&A=2"));
    let record = gateway.record_of(&refused);
    assert_eq!(
        (record["status"].as_u64(), record["error"].as_str()),
        (Some(400), Some("duplicate-parameter"))
    );
    assert_eq!(record["route"], "cloud");
    assert_eq!(gateway.wait_for_records(7).len(), 7);
}

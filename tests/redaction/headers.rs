//! Headers, both ways.

use crate::support::naive::Keys;
use crate::support::{answer, ask};
use crate::{JSON, always, assert_discreet};

#[test]
fn headers_with_credentials_stay_behind() {
    let Keys { id, secret, .. } = Keys::default();
    let headers = [
        ("X-Description", format!("signed with {secret}")),
        ("X-Key", id),
        ("X-Amz-Security-Token", "anything".to_owned()),
        ("X-Escaped", secret.replace('/', "%2f")),
        ("Location", format!("https://elsewhere/{secret}/")),
        ("X-Other", "stays".to_owned()),
    ];
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).chain([JSON]).collect();
    for status in [200, 302, 400] {
        let (gateway, _upstream) = always("", answer(status, &headers, b"{}"));
        for (host, target) in [("127.0.0.1", "/client/api?command=listZones"), ("s3.internal", "/b/k")] {
            let response = gateway.call(&ask("GET", target).header("Host", host));
            assert_discreet(response.passed(status));
            assert_eq!(response.headers.one("x-other"), Some("stays"));
            assert!(!response.headers.has("x-amz-security-token"));
        }
    }
    let (gateway, _upstream) = always("secrets = \"allow\"", answer(200, &headers, b"{}"));
    let response = gateway.call(&ask("GET", "/client/api?command=listZones"));
    assert!(response.headers.has("x-key") && response.headers.has("x-amz-security-token"));
}

#[test]
fn nothing_is_asked_for_in_another_form() {
    let forms = [("Accept-Encoding", "gzip, br"), ("Range", "bytes=0-9"), ("If-Range", "\"1\"")];
    let call = |target: &str, host: &str| {
        forms
            .iter()
            .fold(ask("GET", target).header("Host", host), |call, (name, value)| call.header(name, value))
    };
    let (gateway, upstream) = always("", answer(200, &[JSON], b"{}"));
    for target in ["/client/api?command=listZones", "/zstack/v1/zones", "/aws/?Action=ListTables"] {
        gateway.call(&call(target, "127.0.0.1")).passed(200);
        for (name, _) in forms {
            assert!(!upstream.last().headers.has(name), "{name} at {target}");
        }
    }
    // Objects may come as the caller likes.
    gateway.call(&call("/b/k", "s3.internal")).passed(200);
    for (name, value) in forms {
        assert_eq!(upstream.last().headers.one(name), Some(value));
    }
    let (gateway, upstream) = always("secrets = \"allow\"", answer(200, &[JSON], b"{}"));
    gateway.call(&call("/aws/?Action=ListTables", "127.0.0.1")).passed(200);
    assert!(upstream.last().headers.has("accept-encoding") && upstream.last().headers.has("range"));
}

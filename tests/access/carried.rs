//! What bodies and headers ask for beside the call.

use std::fmt::Write as _;

use crate::support::*;
use crate::with_rules;

fn s3(upstream: &Upstream, lines: &str) -> Gateway {
    Gateway::with(&with_rules(&every_scheme(upstream), "s3", lines))
}

fn deletion(bucket: &str, keys: &[String]) -> Ask {
    let mut list = String::from("<Delete>");
    for key in keys {
        let _ = write!(list, "<Object><Key>{key}</Key></Object>");
    }
    list.push_str("</Delete>");
    ask("POST", &format!("/{bucket}?delete")).header("Host", "s3.internal").body(list)
}

#[test]
fn one_forbidden_key_among_a_thousand_refuses_the_list() {
    let upstream = Upstream::ok();
    let keys: Vec<String> = (0..1000).map(|number| format!("tmp/{number}")).collect();
    for (rules, code) in [
        ("allow = ['s3:DeleteObject b/tmp/*']", "operation-not-allowed"),
        ("deny = ['s3:DeleteObject b/precious/*']", "operation-denied"),
        ("deny = ['@write b/precious/*']", "operation-denied"),
    ] {
        let gateway = s3(&upstream, rules);
        gateway.call(&deletion("b", &keys)).passed(200);
        assert_eq!(upstream.take().len(), 1);
        for place in [0, 1, 500, 999] {
            let mut keys = keys.clone();
            keys[place] = "precious/x".to_owned();
            let response = gateway.call(&deletion("b", &keys));
            response.refused(403, code);
            assert!(response.text().contains("`b/precious/x`"), "{}", response.text());
            let record = gateway.record_of(&response);
            assert_eq!(record["resource"], "b/precious/x", "{rules}");
            assert!(upstream.take().is_empty());
        }
        // However it is spelled.
        let spelled = ["pre&#99;ious/x", "<![CDATA[precious/x]]>", "pre<!-- -->cious/x", "&#x70;recious/x"];
        for spelled in spelled {
            let response = gateway.call(&deletion("b", &[keys[0].clone(), spelled.to_owned()]));
            assert!((400..500).contains(&response.status), "{spelled}: {}", response.status);
            assert!(upstream.take().is_empty(), "{spelled}");
        }
    }
}

#[test]
fn the_source_of_a_copy_must_be_readable() {
    let upstream = Upstream::ok();
    let gateway =
        s3(&upstream, "allow = ['s3:GetObject from/*', 's3:PutObject to/*']\ndeny = ['* from/secret*']");
    let copy = |target: &str, source: &str| {
        let call = ask("PUT", target).header("Host", "s3.internal").header("x-amz-copy-source", source);
        gateway.call(&call)
    };
    for target in ["/to/b", "/to/b?partNumber=1&uploadId=x"] {
        copy(target, "/from/a").passed(200);
        copy(target, "from/a%20b").passed(200);
        assert_eq!(upstream.take().len(), 2);
        for (source, code) in [
            ("/other/a", "operation-not-allowed"),
            ("other/a", "operation-not-allowed"),
            ("/from/secret", "operation-denied"),
            ("from/%73ecret", "operation-denied"),
            ("from%2Fsecret", "operation-denied"),
            ("/from/a?versionId=1", "operation-not-allowed"),
        ] {
            let response = copy(target, source);
            response.refused(403, code);
            assert!(upstream.take().is_empty(), "{source}");
        }
    }
    copy("/other/b", "/from/a").refused(403, "operation-not-allowed");
}

/// What is set on the way needs leave of its own.
#[test]
fn headers_ask_too() {
    let upstream = Upstream::ok();
    let gateway = s3(&upstream, "allow = ['s3:PutObject b/*', 's3:PutObjectTagging b/*']");
    for (header, value, passes) in [
        ("x-amz-meta-a", "1", true),
        ("x-amz-tagging", "a=b", true),
        ("x-amz-acl", "public-read", false),
        ("x-amz-grant-read", "id=x", false),
        ("x-amz-object-lock-mode", "GOVERNANCE", false),
        ("x-amz-object-lock-legal-hold", "ON", false),
    ] {
        let call = ask("PUT", "/b/k").header("Host", "s3.internal").header(header, value).body("x");
        let response = gateway.call(&call);
        assert_eq!(response.status, if passes { 200 } else { 403 }, "{header}: {}", response.text());
    }
    let bypass = ask("DELETE", "/b/k").header("Host", "s3.internal");
    let bypass = bypass.header("x-amz-bypass-governance-retention", "true");
    let gateway = s3(&upstream, "allow = ['s3:DeleteObject b/*']");
    gateway.call(&bypass).refused(403, "operation-not-allowed");
}

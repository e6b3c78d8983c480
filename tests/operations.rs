//! What a request is called, from the wire to the record: the name is that of what the upstream is sent.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use support::naive::{self, Flavour, Keys, S3V2, SigV4};
use support::{Ask, Gateway, Upstream, ask, every_scheme};

fn s3(method: &str, target: &str, host: &str) -> Ask {
    ask(method, target).header("Host", host)
}

const S3: [&str; 2] = ["s3.internal", "ceph.internal"];

#[test]
fn records_say_what_was_asked_for_and_of_what() {
    let upstream = Upstream::ok();
    let gateway = Gateway::with(&every_scheme(&upstream));
    let form = "Action=SendMessage&MessageBody=x";
    let cases = [
        (s3("GET", "/b/logs/a%20b%2Fc?versionId=v", "s3.internal"), "s3:GetObjectVersion", "b/logs/a b/c"),
        (s3("HEAD", "/b/k", "ceph.internal"), "s3:GetObject", "b/k"),
        (s3("GET", "/b?list-type=2&prefix=a%2Fb", "s3.internal"), "s3:ListBucket", "b/a/b"),
        (s3("GET", "/", "ceph.internal"), "s3:ListAllMyBuckets", ""),
        (s3("PUT", "/b/%01%ff%25", "s3.internal").body("x"), "s3:PutObject", "b/%01%FF%25"),
        (s3("PUT", "/b/k?newThing", "s3.internal").body("x"), "s3:PUT", "b/k"),
        (ask("GET", "/client/api?command=listZones"), "listZones", ""),
        (ask("POST", "/client/api").form("command=startVirtualMachine&id=1"), "startVirtualMachine", ""),
        (ask("GET", "/zstack/v1/zones/0123456789abcdef0123456789abcdef"), "GET /v1/zones/{uuid}", ""),
        (
            ask("PUT", "/zstack/v1/vm-instances/0123456789abcdef0123456789abcdef/actions")
                .header("Content-Type", "application/json; charset=UTF-8")
                .body(r#"{"rebootVmInstance":{}}"#),
            "rebootVmInstance",
            "",
        ),
        (ask("POST", "/sqs/1/q").form(form), "sqs:SendMessage", ""),
        (
            ask("POST", "/sqs/").header("X-Amz-Target", "AmazonSQS.ListQueues").body("{}"),
            "sqs:ListQueues",
            "",
        ),
    ];
    for (call, operation, resource) in cases {
        let answer = gateway.call(&call);
        answer.passed(200);
        let record = gateway.record_of(&answer);
        let named = record["resource"].as_str().unwrap_or_default();
        assert_eq!((record["operation"].as_str().unwrap(), named), (operation, resource));
    }
}

#[test]
fn requests_that_name_two_calls_are_not_sent() {
    let upstream = Upstream::ok();
    let gateway = Gateway::with(&every_scheme(&upstream));
    let vm = "/zstack/v1/vm-instances/0123456789abcdef0123456789abcdef/actions";
    let json = "application/json";
    for (call, code) in [
        (s3("GET", "/b?acl&policy", "s3.internal"), "bad-parameter"),
        (s3("POST", "/b?uploads&delete", "ceph.internal").body("x"), "bad-parameter"),
        (s3("PUT", "/b/k", "s3.internal").header("x-amz-copy-source", "b"), "bad-header"),
        (s3("PUT", "/b/k", "s3.internal").header("x-amz-copy-source", "b/k?acl"), "bad-header"),
        (s3("PUT", "/b/k?x-amz-copy-source=a%2Fb", "s3.internal"), "bad-parameter"),
        (ask("PUT", vm).body(r#"{"startVmInstance":{},"stopVmInstance":{}}"#), "bad-body"),
        (ask("PUT", vm).body(r#"{"startVmInstance":{},"startVmInstance":{}}"#), "bad-body"),
        (ask("PUT", vm).header("Content-Type", &format!("{json};charset=utf-16")).body("{}"), "bad-header"),
        (
            ask("PUT", vm).header("Content-Type", &format!("{json}; Charset=\"IBM037\"")).body("{}"),
            "bad-header",
        ),
        (ask("PUT", vm).header("Content-Type", json).header("Content-Type", json).body("{}"), "bad-header"),
        (ask("POST", "/sqs/?Action=ListQueues").form("Action=PurgeQueue"), "bad-parameter"),
        (ask("POST", "/sqs/").form("Action=ListQueues&Action=PurgeQueue"), "duplicate-parameter"),
        (ask("POST", "/sqs/").form("Action=ListQueues&a=%zz"), "bad-parameter"),
        (ask("POST", "/sqs/").header("X-Amz-Target", "Q.PurgeQueue").form("Action=ListQueues"), "bad-header"),
    ] {
        gateway.call(&call).refused(400, code);
    }
    upstream.assert_untouched("two names");
}

#[test]
fn the_source_of_a_copy_is_sent_as_it_was_understood() {
    let upstream = Upstream::ok();
    let gateway = Gateway::with(&every_scheme(&upstream));
    for host in S3 {
        let copy = s3("PUT", "/b/k", host).header("x-amz-copy-source", "/src/a+b%2fc (d)?versionId=v");
        gateway.call(&copy).passed(200);
        let request = upstream.take().remove(0);
        assert_eq!(request.headers.one("x-amz-copy-source"), Some("/src/a%2Bb/c%20%28d%29?versionId=v"));
        if host == "s3.internal" {
            let server = SigV4 { region: "us-east-1", service: "s3", flavour: Flavour::S3 };
            naive::sigv4(&request, &Keys::default(), server).unwrap();
        } else {
            naive::s3v2(&request, &Keys::default(), S3V2::Ceph(&upstream.address.to_string())).unwrap();
        }
    }
}

#[test]
fn lists_to_delete_are_read_before_they_are_sent() {
    let upstream = Upstream::ok();
    let gateway = Gateway::with(&every_scheme(&upstream));
    for host in S3 {
        let list = |body: &str| s3("POST", "/b?delete", host).body(body);
        let answer = gateway
            .call(&list("<Delete><Object><Key>a/b</Key></Object><Object><Key>c</Key></Object></Delete>"));
        answer.passed(200);
        let record = gateway.record_of(&answer);
        assert_eq!((&record["operation"], &record["resource"]), (&"s3:DeleteObject".into(), &"b/a/b".into()));
        upstream.take();
        for bad in [
            "",
            "<Delete/>",
            "<Delete><Object><Key>a</Key></Object>",
            "<!DOCTYPE Delete><Delete><Object><Key>a</Key></Object></Delete>",
            "<Delete><Object><Key>a&lol;</Key></Object></Delete>",
        ] {
            let answer = gateway.call(&list(bad));
            answer.refused(400, "bad-body");
            assert!(answer.text().contains("<Code>MalformedXML</Code>"), "{}", answer.text());
        }
        let long = format!("<Delete><Object><Key>{}</Key></Object></Delete>", "a".repeat(4 << 20));
        gateway.call(&list(&long)).refused(413, "body-too-large");
        assert!(upstream.take().is_empty(), "a list that cannot be read was sent");
    }
}

#[test]
fn forms_at_the_root_of_s3_name_their_calls() {
    let upstream = Upstream::ok();
    let gateway = Gateway::with(&every_scheme(&upstream));
    for host in S3 {
        let answer = gateway.call(&s3("POST", "/", host).form("Action=ListTopics&Version=2010-03-31"));
        answer.passed(200);
        assert_eq!(gateway.record_of(&answer)["operation"], "sns:ListTopics");
        assert_eq!(upstream.take().remove(0).body, b"Action=ListTopics&Version=2010-03-31");
    }
}

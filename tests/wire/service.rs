//! Other AWS services on the wire: double encoding, normalisation, and paths that stay in their route.

use crate::support::naive::{self, Flavour, Keys, Payload, SigV4};
use crate::support::{Gateway, Upstream, ask};
use crate::with_route;

const ROUTE: &str = "[routes.queue]\nmatch = { path = \"/sqs\" }\nupstream = { url = \"URL\", rewrite-path = \"/\" }\nsecrets = \"allow\"\n\
    sign.aws-v4 = { credential = \"key\", region = \"eu-central-1\", service = \"sqs\" }\n";

#[track_caller]
fn targets(gateway: &Gateway, upstream: &Upstream, server: SigV4<'_>, cases: &[(&str, &str)]) {
    for (came, went) in cases {
        gateway.call(&ask("GET", came)).passed(200);
        let request = upstream.take().remove(0);
        assert_eq!(request.target, *went, "{came}");
        naive::sigv4(&request, &Keys::default(), server).unwrap_or_else(|why| panic!("{came}: {why}"));
    }
}

#[test]
fn paths_are_normalised_and_encoded_twice() {
    let upstream = Upstream::ok();
    let gateway = with_route(&upstream, ROUTE);
    let message = "Action=SendMessage&MessageBody=a";
    let (came, went) =
        (format!("/sqs/?{message}+b%2Bc&Attr=1&Attr=2"), format!("/?{message}%20b%2Bc&Attr=1&Attr=2"));
    targets(
        &gateway,
        &upstream,
        SigV4::SQS,
        &[
            ("/sqs", "/"),
            ("/sqs/", "/"),
            ("/sqs/123/queue", "/123/queue"),
            ("/sqs/a%20b/c+d", "/a%20b/c%2Bd"),
            ("/sqs/a%2Fb", "/a%2Fb"),
            ("/sqs/a%252Fb", "/a%252Fb"),
            ("/sqs/a//b/./c/../d/", "/a/b/d/"),
            ("/sqs/a/%2e/b", "/a/b"),
            ("/sqs/caf%c3%a9/~*", "/caf%C3%A9/~%2A"),
            (&came, &went),
            ("/sqs/?flag&empty=&X-Amz-Signature=EVIL&x-amz-credential=EVIL", "/?flag&empty="),
        ],
    );
}

#[test]
fn both_switches_can_be_turned_off() {
    let (resolved, kept) = (["/a/b/c%20d", "/a/c/"], ["/a//b/./c%20d", "/a/b/../c/"]);
    for (double, normalize, went) in [(true, false, kept), (false, true, resolved), (false, false, kept)] {
        let upstream = Upstream::ok();
        let switches = format!("\"sqs\", double-encode = {double}, normalize = {normalize}");
        let gateway = with_route(&upstream, &ROUTE.replace("\"sqs\" }", &format!("{switches} }}")));
        let server = SigV4 { flavour: Flavour::Service { double, normalize }, ..SigV4::SQS };
        let cases = [("/sqs/a//b/./c%20d", went[0]), ("/sqs/a/b/../c/", went[1])];
        targets(&gateway, &upstream, server, &cases);
    }
}

#[test]
fn dot_segments_that_leave_the_route_are_refused() {
    let upstream = Upstream::ok();
    for normalize in [true, false] {
        let switch = format!("\"sqs\", normalize = {normalize} }}");
        let gateway = with_route(&upstream, &ROUTE.replace("\"sqs\" }", &switch));
        let escapes =
            ["/sqs/..", "/sqs/../admin", "/sqs/%2e%2e/admin", "/sqs/.%2E/x", "/sqs/a/../../x", "/sqs/./../x"];
        for path in escapes {
            gateway.call(&ask("GET", path)).refused(400, "bad-path");
        }
    }
    upstream.assert_untouched("the path left its route");
}

#[test]
fn bodies_are_hashed() {
    let upstream = Upstream::ok();
    let gateway = with_route(&upstream, ROUTE);
    let form = "Action=SendMessage&MessageBody=a+b%2Bc&Signature=kept";
    let json = r#"{"QueueUrl":"x"}"#;
    let typed = ask("POST", "/sqs/")
        .header("X-Amz-Target", "AmazonSQS.SendMessage")
        .header("Content-Type", "application/x-amz-json-1.0");
    let calls = [
        (ask("POST", "/sqs/").form(form), form),
        (typed.body(json), json),
        (ask("POST", "/sqs/").body(""), ""),
    ];
    for (call, body) in calls {
        let answer = gateway.call(&call);
        let request = upstream.take().remove(0);
        let payload = naive::sigv4(&request, &Keys::default(), SigV4::SQS).unwrap();
        assert_eq!(payload, Payload::Hashed(body.as_bytes().to_vec()));
        assert_eq!(request.headers.one("content-length"), Some(body.len().to_string().as_str()));
        if body == json {
            assert_eq!(gateway.record_of(&answer)["operation"], "sqs:SendMessage");
        }
    }
    let call = ask("POST", "/sqs/").header("x-amz-content-sha256", &naive::sha256(b"other")).body(json);
    gateway.call(&call).refused(400, "digest-mismatch");
    assert_eq!(upstream.take().len(), 0);
}

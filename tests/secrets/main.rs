//! Secrets do not leave through the API: named calls of every system whose real answers carry secrets, in every mode
//! of `secrets`, through the real program.
//!
//! The table (`calls.txt`) is written from the APIs' own documentation and shares nothing with the gateway's lists.
//! Each call is answered by its upstream with a document in which every secret field holds a canary; none may come
//! out that the mode does not let out, and in mode `allow` all must, or the test would see nothing.

#![allow(clippy::unwrap_used, clippy::expect_used)]
#![allow(unreachable_pub, dead_code)]

#[path = "../support/mod.rs"]
mod support;

mod answers;
mod calls;

use std::collections::BTreeSet;

use answers::CANARY;
use calls::{System, Tier, calls, services};
use support::{Gateway, Setup, Upstream, answer};

/// What the modes are called in the configuration; none: the default.
const MODES: [Option<&str>; 4] = [None, Some("deny"), Some("redact"), Some("allow")];

/// A route that leaves `secrets` to the mode.
fn route(name: &str, matches: &str, upstream: &str, sign: &str) -> String {
    format!("[routes.{name}]\nmatch = {{ {matches} }}\nupstream = {upstream}\nsign.{sign}\n")
}

fn gateway(upstream: &Upstream, mode: Option<&str>) -> Gateway {
    let url = format!("\"{}\"", upstream.url());
    let mut routes =
        route("cloudstack", "path = \"/client/api\"", &url, "cloudstack = { credential = \"key\" }");
    routes += &route("zstack", "path = \"/zstack\"", &url, "zstack = { credential = \"key\" }");
    let ostor = "s3-v2 = { credential = \"key\", dialect = \"ostor\" }";
    routes += &route("ostor", "host = \"ostor.test\"", &url, ostor);
    let s3 = "s3-v4 = { credential = \"key\", region = \"us-east-1\" }";
    routes += &route("s3", "host = \"s3.test\"", &url, s3);
    for service in services() {
        let sign =
            format!("aws-v4 = {{ credential = \"key\", region = \"us-east-1\", service = \"{service}\" }}");
        routes += &route(service, &format!("host = \"{service}.test\""), &url, &sign);
    }
    let line = mode.map_or(String::new(), |mode| format!("secrets = \"{mode}\"\n"));
    Setup::routes(&routes.replace("\nmatch = ", &format!("\n{line}match = "))).start()
}

#[test]
fn the_table_is_long_and_has_every_system() {
    let calls = calls();
    let names: BTreeSet<&str> = calls.iter().map(|call| call.name).collect();
    assert_eq!(names.len(), calls.len(), "a call stands twice");
    assert!(names.len() >= 150, "{} calls", names.len());
    for system in [System::Cloudstack, System::Zstack, System::Ostor, System::S3, System::Aws] {
        assert!(calls.iter().any(|call| call.system == system), "{system:?}");
    }
}

#[test]
fn no_canary_comes_out_that_the_mode_does_not_let_out() {
    // The upstream learns from the request which document it has to answer with.
    let upstream = Upstream::answering(|request| {
        let (kind, body) = answers::to(request);
        answer(200, &[("Content-Type", kind)], body.as_bytes())
    });
    for mode in MODES {
        let gateway = gateway(&upstream, mode);
        let mut caller = gateway.connect();
        for call in calls() {
            for form in call.forms() {
                let ask = call.ask(form, gateway.address);
                let seen = upstream.requests().len();
                let told = caller.call(&ask);
                let said =
                    format!("{mode:?} {call:?} {form:?}: {} {}\n{}", told.status, told.error(), told.text());
                let passes =
                    matches!((mode, call.tier), (Some("redact" | "allow"), _) | (None, Tier::Material));
                if !passes {
                    assert_eq!((told.status, told.error()), (403, "secrets-denied"), "{said}");
                    assert_eq!(upstream.requests().len(), seen, "forwarded: {said}");
                    assert!(!told.text().contains(CANARY), "{said}");
                    continue;
                }
                assert_eq!((told.status, told.error()), (200, ""), "{said}");
                assert!(told.text().contains("harmless"), "what is no secret stays: {said}");
                let out = answers::canaries_in(&told.text());
                match mode {
                    Some("allow") => assert_eq!(out.len(), call.fields.len(), "{said}"),
                    Some(_) => assert!(out.is_empty(), "{said}"),
                    None => assert!(
                        call.fields.iter().all(|field| !field.api_key || !out.contains(field.name)),
                        "{said}"
                    ),
                }
                form.parses(&told.text()).unwrap_or_else(|error| panic!("{error}: {said}"));
            }
        }
    }
}

/// What does not answer with the mode's own code at all, such as another method for the same end.
#[test]
fn spelling_a_call_otherwise_does_not_open_it() {
    let upstream = Upstream::ok();
    let gateway = gateway(&upstream, None);
    let address = gateway.address;
    for (host, method, target) in [
        (None, "GET", "/client/api?command=registeruserkeys"),
        (None, "GET", "/client/api?command=REGISTERUSERKEYS"),
        (None, "GET", "/client/api?%63ommand=getUserKeys"),
        (None, "GET", "/client/api?command=%67etUserKeys"),
        (None, "GET", "/zstack/v1/accesskeys/"),
        (None, "GET", "/zstack/v1/%61ccesskeys"),
        (None, "GET", "/zstack/v1/accesskeys?q=uuid=x"),
        (None, "GET", "/zstack/v1/accounts?q=password~=a%25"),
        (Some("ostor.test"), "GET", "/?%6fstor-users&emailAddress=a"),
        (Some("ostor.test"), "GET", "/bucket/key?x=1&ostor-users"),
        (Some("ostor.test"), "GET", "/?ostor-users=&emailAddress=a"),
        (Some("s3.test"), "GET", "/bucket?session="),
        (Some("s3.test"), "GET", "/bucket/?%73ession"),
        (Some("iam.test"), "GET", "/?Action=%43reateAccessKey&Version=2010-05-08"),
        (Some("iam.test"), "GET", "/?Action=createaccesskey&Version=2010-05-08"),
    ] {
        let mut ask = support::ask(method, target);
        ask = ask.header("Host", host.unwrap_or(&address.to_string()));
        let told = gateway.call(&ask);
        assert!((400..500).contains(&told.status), "{method} {target}: {} {}", told.status, told.text());
        assert!(!told.error().is_empty(), "{method} {target}");
    }
    upstream.assert_untouched("no spelling opens a call about keys");
}

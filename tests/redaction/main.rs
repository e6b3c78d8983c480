//! Secrets do not leave through answers: the whole way, over sockets, as callers see it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../support/mod.rs"]
mod support;

mod answers;
mod flow;
mod headers;
mod unreadable;

use std::sync::{Arc, Mutex};

use support::naive::Keys;
use support::{Gateway, Response, Upstream, answer, route};

const JSON: (&str, &str) = ("Content-Type", "application/json");
const XML: (&str, &str) = ("Content-Type", "text/xml;charset=UTF-8");

/// One route of each kind, with further lines for each.
fn routes(upstream: &Upstream, lines: &str) -> String {
    let url = format!("\"{}\"", upstream.url());
    let region = "credential = \"key\", region = \"eu-central-1\"";
    [
        ("cloud", "path = \"/client/api\"", "cloudstack = { credential = \"key\" }".to_owned()),
        ("zstack", "path = \"/zstack\"", "zstack = { credential = \"key\" }".to_owned()),
        ("s3", "host = \"s3.internal\"", format!("s3-v4 = {{ {region} }}")),
        (
            "ostor",
            "host = \"ostor.internal\"",
            "s3-v2 = { credential = \"key\", dialect = \"ostor\" }".to_owned(),
        ),
        ("aws", "path = \"/aws\"", format!("aws-v4 = {{ {region}, service = \"dynamodb\" }}")),
    ]
    .map(|(name, matches, sign)| route(name, matches, &url, &sign).replace("secrets = \"allow\"", lines))
    .concat()
}

/// A gateway whose routes have these lines, before an upstream that always gives the same answer.
fn always(lines: &str, bytes: Vec<u8>) -> (Gateway, Upstream) {
    let upstream = Upstream::answering(move |_| bytes.clone());
    (Gateway::with(&routes(&upstream, lines)), upstream)
}

/// A gateway before an upstream whose answer the test may change.
fn changing(lines: &str) -> (Gateway, Upstream, impl Fn(Vec<u8>)) {
    let next = Arc::new(Mutex::new(Vec::new()));
    let given = next.clone();
    let upstream = Upstream::answering(move |_| given.lock().unwrap().clone());
    let gateway = Gateway::with(&routes(&upstream, lines));
    (gateway, upstream, move |bytes| *next.lock().unwrap() = bytes)
}

/// Fails if anything of an answer holds the credential of the gateway or what a test calls a canary.
#[track_caller]
fn assert_discreet(response: &Response) {
    let headers: String =
        response.headers.0.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    let Keys { id, secret, .. } = Keys::default();
    for text in [response.text(), headers] {
        for canary in [&id, &secret, "canary"] {
            assert!(!text.contains(canary), "{canary} got out: {text}");
        }
    }
}

fn json(body: &str) -> Vec<u8> {
    answer(200, &[JSON], body.as_bytes())
}

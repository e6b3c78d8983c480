//! The console on the admin listener, over sockets: what it shows is what happened, it shows nothing that it should not,
//! and to nobody else.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::cast_precision_loss, clippy::float_cmp)]

#[path = "../support/mod.rs"]
mod support;

mod events;
mod metrics;
mod numbers;
mod page;
mod record;
mod rejections;
mod stages;
mod status;
mod traces;

use std::collections::BTreeMap;

use serde_json::Value;
use support::naive::{self, Keys, S3V2, SigV4};
use support::{
    Ask, Caller, Gateway, PATIENCE, Request, Setup, Upstream, answer, ask, eventually, every_scheme, route,
};

/// One call of each scheme, by its route.
fn calls() -> [(&'static str, Ask); 5] {
    [
        ("cloud", ask("GET", "/client/api?command=listUsers&response=json&keyword=CANARY-PARAMETER")),
        ("zstack", ask("GET", "/zstack/v1/vm-instances?limit=1&q=name=CANARY-PARAMETER")),
        (
            "ceph",
            ask("GET", "/bucket/key?versionId=7&response-content-disposition=CANARY-PARAMETER&acl")
                .header("Host", "ceph.internal")
                .header("x-amz-meta-note", "CANARY-PARAMETER"),
        ),
        (
            "s3",
            ask("GET", "/bucket/key?versionId=7&response-content-disposition=CANARY-PARAMETER")
                .header("Host", "s3.internal")
                .header("x-amz-server-side-encryption-customer-key", "CANARY-PARAMETER"),
        ),
        ("sqs", ask("POST", "/sqs/?Action=ListQueues&Version=2012-11-05&QueueNamePrefix=CANARY-PARAMETER")),
    ]
}

/// What the server of a route says of a request.
#[track_caller]
fn verify(route: &str, request: &Request) {
    let keys = Keys::default();
    let host = request.headers.one("host").unwrap_or_default();
    let verdict = match route {
        "cloud" => naive::cloudstack(request, &keys).map(drop),
        "zstack" => naive::zstack(request, &keys, "/zstack", 8 * 3600).map(drop),
        "ceph" => naive::s3v2(request, &keys, S3V2::Ceph(host)),
        "s3" => naive::sigv4(request, &keys, SigV4::S3).map(drop),
        _ => naive::sigv4(request, &keys, SigV4::SQS).map(drop),
    };
    verdict.unwrap_or_else(|why| panic!("{route}: {why}"));
}

/// A JSON answer of the admin listener.
#[track_caller]
fn json(gateway: &Gateway, path: &str) -> Value {
    let told = gateway.admin(path);
    assert_eq!(told.status, 200, "{path}: {}", told.text());
    assert_eq!(told.headers.one("content-type"), Some("application/json"), "{path}");
    serde_json::from_slice(&told.body).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All samples of `/metrics`, by series as they stand there.
fn samples(gateway: &Gateway) -> BTreeMap<String, f64> {
    let text = gateway.admin("/metrics").text();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let each = lines.map(|line| {
        let (series, value) = line.rsplit_once(' ').expect(line);
        (series.to_owned(), value.parse().expect(line))
    });
    each.collect()
}

/// The sum of the samples of one metric whose labels hold all of these texts.
fn sum(samples: &BTreeMap<String, f64>, name: &str, labels: &[&str]) -> f64 {
    let of = |series: &str| {
        series.split('{').next() == Some(name) && labels.iter().all(|label| series.contains(label))
    };
    samples.iter().filter(|(series, _)| of(series)).map(|(_, value)| value).sum()
}

/// Begins to watch: from here on calls are kept.
fn look(gateway: &Gateway) {
    assert_eq!(json(gateway, "/calls"), serde_json::json!([]));
}

/// Waits until so many calls are kept, and gives them, latest first.
#[track_caller]
fn kept(gateway: &Gateway, count: usize) -> Vec<Value> {
    let mut calls = Vec::new();
    eventually("the calls are kept", || {
        json(gateway, "/calls").as_array().unwrap().clone_into(&mut calls);
        calls.len() >= count
    });
    calls
}

/// A gateway that is not ready: its one route's credential cannot be had.
fn not_ready(upstream: &Upstream) -> Gateway {
    let text =
        "[credentials.missing]\naccess-key = { env = \"COUNTERSIGN_TEST_NOT_SET\" }\nsecret-key = { env = \
                \"COUNTERSIGN_TEST_NOT_SET\" }\n"
            .to_owned()
            + &route(
                "a",
                "path = \"/a\"",
                &format!("\"{}\"", upstream.url()),
                "zstack = { credential = \"missing\" }",
            );
    Setup::routes(&text).start()
}

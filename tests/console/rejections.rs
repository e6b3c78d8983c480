//! Upstreams that refuse the signature, and upstreams whose clock is off.

use super::*;

/// The date of a clock that is `ahead` seconds ahead, as HTTP writes it.
fn date(ahead: i64) -> String {
    let at = jiff::Timestamp::from_second(naive::now() + ahead).unwrap();
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[test]
fn a_rejected_signature_is_counted_and_passed_on() {
    let upstream = Upstream::answering(|request| {
        match request.path() {
        "/client/api" => answer(
            401,
            &[("Content-Type", "application/json")],
            br#"{"listusersresponse":{"uuidList":[],"errorcode":401,"errortext":"unable to verify user credentials and/or request signature"}}"#,
        ),
        "/zstack/v1/vm-instances" => answer(403, &[("Content-Type", "text/plain")], b"requestTimeTooSkewed"),
        "/bucket/denied" => answer(403, &[], b"<Error><Code>AccessDenied</Code></Error>"),
        "/bucket/key" => answer(403, &[("Content-Type", "application/xml")], b"<?xml version=\"1.0\"?><Error><Code>InvalidAccessKeyId</Code></Error>"),
        _ => answer(400, &[("x-amzn-ErrorType", "InvalidSignatureException:http://x/")], b"{}"),
    }
    });
    let gateway = Gateway::with(&every_scheme(&upstream));
    for (_, call) in calls() {
        let answered = gateway.call(&call);
        assert!((400..=403).contains(&answered.status) && answered.error().is_empty(), "{answered:?}");
        assert!(!answered.body.is_empty());
    }
    gateway.call(&ask("GET", "/bucket/denied").header("Host", "s3.internal")).passed(403);
    gateway.call(&ask("HEAD", "/bucket/key").header("Host", "s3.internal")).passed(403);
    gateway.wait_for_records(7);
    let metrics = samples(&gateway);
    let name = "countersign_upstream_signature_rejected_total";
    for (route, reason) in [
        ("cloud", "unspecified"),
        ("zstack", "skew"),
        ("ceph", "unknown-key"),
        ("s3", "unknown-key"),
        ("sqs", "mismatch"),
    ] {
        let series = format!("{name}{{route=\"{route}\",reason=\"{reason}\"}}");
        assert_eq!(metrics.get(&series), Some(&1.0), "{series} in {metrics:#?}");
    }
    assert_eq!(sum(&metrics, name, &[]), 5.0);
    let status = json(&gateway, "/status");
    assert!(
        status["routes"].as_array().unwrap().iter().all(|route| route["signature-rejected"] == 1),
        "{status}"
    );
}

#[test]
fn clocks_are_told_by_dates() {
    let upstream = Upstream::answering(|request| match request.path() {
        "/client/api" => answer(200, &[("Date", &date(90))], b"{}"),
        "/zstack/v1/vm-instances" => answer(200, &[("Date", &date(-3600))], b"{}"),
        "/bucket/key" => answer(200, &[("Date", "yesterday")], b"ok"),
        _ => answer(200, &[], b"ok"),
    });
    let gateway = Gateway::with(&every_scheme(&upstream));
    for (_, call) in calls() {
        gateway.call(&call).passed(200);
    }
    gateway.wait_for_records(5);
    let metrics = samples(&gateway);
    let skew = |route| {
        metrics.get(&format!("countersign_upstream_clock_skew_seconds{{route=\"{route}\"}}")).copied()
    };
    let near = |value: Option<f64>, to: f64| (value.unwrap() - to).abs() <= 2.0;
    assert!(near(skew("cloud"), 90.0) && near(skew("zstack"), -3600.0), "{metrics:#?}");
    // What is not known is not said to be zero.
    assert_eq!((skew("ceph"), skew("s3"), skew("sqs")), (None, None, None));
    let status = json(&gateway, "/status");
    let of = |name: &str| {
        status["routes"].as_array().unwrap().iter().find(|route| route["name"] == name).unwrap()["clock-skew-seconds"].clone()
    };
    assert_eq!((of("cloud").as_f64(), of("s3")), (skew("cloud"), Value::Null));
}

//! What the console counts is what `/metrics` counts, and what happened.

use super::*;

/// An upstream whose answers have the status and the length that the key names: `404-100`.
fn by_name() -> Upstream {
    Upstream::answering(|request| {
        let name = request.path().rsplit('/').next().unwrap_or_default();
        let (status, length) = name.split_once('-').unwrap_or(("200", "2"));
        answer(status.parse().unwrap_or(200), &[], &vec![b'x'; length.parse().unwrap_or(2)])
    })
}

fn get(bucket: &str, name: &str) -> Ask {
    ask("GET", &format!("/{bucket}/{name}")).header("Host", "s3.internal")
}

#[test]
fn status_and_history_agree_with_the_metrics() {
    let upstream = by_name();
    let nobody = format!("\"http://{}\"", support::gateway::free_address());
    let signs = "s3-v4 = { credential = \"key\", region = \"r\" }";
    let gateway = Gateway::with(
        &(every_scheme(&upstream) + &route("nobody", "host = \"nobody.internal\"", &nobody, signs)),
    );
    for (name, count) in [("200-10", 20), ("404-20", 5), ("503-30", 3), ("304-0", 2)] {
        for _ in 0..count {
            gateway.call(&get("logs", name));
        }
    }
    gateway.call(&ask("PUT", "/media/200-4").header("Host", "s3.internal").body("seven b")).passed(200);
    for _ in 0..4 {
        gateway.call(&ask("GET", "/client/api?response=json")).refused(400, "command-missing");
        gateway.call(&ask("GET", "/nowhere")).refused(404, "route-not-found");
    }
    gateway
        .call(&ask("GET", "/ghosts/key").header("Host", "nobody.internal"))
        .refused(502, "upstream-connect");
    gateway.wait_for_records(40);
    let (metrics, status, history) =
        (samples(&gateway), json(&gateway, "/status"), json(&gateway, "/history"));

    let s3 = status["routes"].as_array().unwrap().iter().find(|route| route["name"] == "s3").unwrap();
    assert_eq!(s3["requests"], 31);
    assert_eq!(s3["classes"], serde_json::json!({ "2xx": 21, "3xx": 2, "4xx": 5, "5xx": 3 }));
    assert_eq!(
        (&s3["received-bytes"], &s3["sent-bytes"]),
        (&7.into(), &(20 * 10 + 5 * 20 + 3 * 30 + 4).into())
    );
    let close = |value: &Value, to: f64| (value.as_f64().unwrap() - to).abs() < 1e-9;
    assert!(close(&s3["share-4xx"], 5.0 / 31.0) && close(&s3["share-5xx"], 3.0 / 31.0), "{s3}");
    let (p50, p99) = (s3["p50-seconds"].as_f64().unwrap(), s3["p99-seconds"].as_f64().unwrap());
    assert!(p50 > 0.0 && p50 <= p99 && p99 < 10.0, "{s3}");
    assert!(s3["rate"].as_f64().unwrap() > 0.0);
    assert_eq!(s3["in-flight"], 0);

    // Each number is the one that collectors get.
    for route in status["routes"].as_array().unwrap() {
        let label = format!("route=\"{}\"", route["name"].as_str().unwrap());
        let of = |name| sum(&metrics, name, &[&label]);
        assert_eq!(route["requests"].as_f64().unwrap(), of("countersign_requests_total"), "{route}");
        assert_eq!(
            route["sent-bytes"].as_f64().unwrap(),
            of("countersign_response_body_bytes_total"),
            "{route}"
        );
        assert_eq!(
            route["received-bytes"].as_f64().unwrap(),
            of("countersign_request_body_bytes_total"),
            "{route}"
        );
    }
    let without_route = status["routes"].as_array().unwrap().last().unwrap();
    assert_eq!((&without_route["name"], &without_route["requests"]), (&"".into(), &4.into()));
    for refusals in status["refusals"].as_array().unwrap() {
        let label = format!("reason=\"{}\"", refusals["reason"].as_str().unwrap());
        assert_eq!(
            refusals["count"].as_f64().unwrap(),
            sum(&metrics, "countersign_refused_total", &[&label])
        );
    }
    assert_eq!(status["refusals"].as_array().unwrap().len(), 3);

    // So are the totals of the plots.
    let points = history["points"].as_array().unwrap();
    for (index, class) in history["classes"].as_array().unwrap().iter().enumerate() {
        let plotted: f64 = points.iter().map(|point| point["classes"][index].as_f64().unwrap()).sum();
        let label = format!("code_class=\"{}\"", class.as_str().unwrap());
        assert_eq!(plotted, sum(&metrics, "countersign_requests_total", &[&label]), "{class}");
    }
    let refused = points.iter().flat_map(|point| point["refused"].as_object().unwrap().values());
    let plotted: f64 = refused.map(|count| count.as_f64().unwrap()).sum();
    assert_eq!(plotted, sum(&metrics, "countersign_refused_total", &[]));
    let of_one = json(&gateway, "/history?route=cloud");
    let plotted: f64 =
        of_one["points"].as_array().unwrap().iter().map(|point| point["classes"][3].as_f64().unwrap()).sum();
    assert_eq!(plotted, 4.0);

    // Only what an upstream answered counts for a bucket; most bytes first.
    let buckets = serde_json::json!([
        { "name": "logs", "calls": 30, "received": 0, "sent": 390 },
        { "name": "media", "calls": 1, "received": 7, "sent": 4 },
    ]);
    assert_eq!(status["buckets"], buckets);
    let audit = &status["audit"];
    assert_eq!(
        (&audit["outcomes"], &audit["writable"], &audit["waiting"]),
        (&40.into(), &true.into(), &0.into())
    );
    for kind in ["intent", "outcome"] {
        let told = audit[format!("{kind}s")].as_f64().unwrap();
        assert_eq!(told, sum(&metrics, "countersign_audit_records_total", &[&format!("kind=\"{kind}\"")]));
    }
    assert_eq!(sum(&metrics, "countersign_audit_queue_records", &[]), 0.0);
    assert_eq!(sum(&metrics, "countersign_audit_errors_total", &[]), 0.0);
}

#[test]
fn readiness_and_reloads_show() {
    let upstream = Upstream::ok();
    let gateway = not_ready(&upstream);
    let status = json(&gateway, "/status");
    assert_eq!(status["ready"], false);
    let fault = status["faults"][0].as_str().unwrap();
    assert_eq!(gateway.admin("/readyz").text().trim_end(), fault);
    assert!(fault.contains("missing"), "{fault}");
    assert_eq!((&status["routes"][0]["ready"], &status["reload-success"]), (&false.into(), &true.into()));
    let page = gateway.admin("/").text();
    assert!(page.contains(">not ready<") && page.contains("credential-unavailable missing"), "{page}");
    std::fs::write(&gateway.file, "version = 1\nnonsense").unwrap();
    gateway.signal("HUP");
    eventually("the reload is refused", || json(&gateway, "/status")["reload-success"] == false);
    assert!(gateway.admin("/").text().contains("refused"));
}

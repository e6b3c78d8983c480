//! The admin listener: guarded, and its metrics are what collectors can read.

use super::*;

fn admin_call(gateway: &Gateway, ask: &Ask) -> Response {
    Caller::to(gateway.admin).call(ask)
}

#[test]
fn the_admin_listener_is_guarded() {
    let upstream = Upstream::ok();
    let gateway = Gateway::with(&cloud(&upstream));
    for (path, status) in [("/livez", 200), ("/readyz", 200), ("/metrics", 200), ("/", 200), ("/debug", 404)]
    {
        let told = gateway.admin(path);
        assert_eq!(told.status, status, "{path}");
        assert_eq!(told.headers.one("cache-control"), Some("no-store"), "{path}");
        assert_eq!(told.headers.one("x-content-type-options"), Some("nosniff"), "{path}");
        assert!(!told.headers.has("access-control-allow-origin"), "{path}");
    }
    for host in ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "0.0.0.0", "", "localhost:1x"] {
        assert_eq!(
            admin_call(&gateway, &ask("GET", "/metrics").header("Host", host)).status,
            421,
            "{host:?}"
        );
    }
    for host in ["localhost", "127.0.0.1:1", "[::1]:8481"] {
        assert_eq!(admin_call(&gateway, &ask("GET", "/livez").header("Host", host)).status, 200, "{host:?}");
    }
    for (name, value) in [
        ("Origin", "http://evil.example"),
        ("Origin", "null"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
        ("Sec-Purpose", "prefetch"),
    ] {
        let page = ask("GET", "/metrics").header(name, value);
        assert_eq!(admin_call(&gateway, &page).status, 403, "{name}: {value}");
    }
    // What a user types into a browser.
    let typed = ask("GET", "/metrics").header("Sec-Fetch-Site", "none").header("Sec-Fetch-Dest", "document");
    assert_eq!(admin_call(&gateway, &typed).status, 200);
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        let told = admin_call(&gateway, &ask(method, "/livez"));
        assert_eq!((told.status, told.headers.one("allow")), (405, Some("GET, HEAD")), "{method}");
    }
    let head = Caller::to(gateway.admin).call(&ask("HEAD", "/livez"));
    assert_eq!((head.status, head.body.len()), (200, 0));
    // Neither listener answers for the other.
    gateway.call(&ask("GET", "/metrics")).refused(404, "route-not-found");
    assert_eq!(gateway.admin(LIST).status, 404);
    upstream.assert_untouched("admin paths");
}

/// Reads `OpenMetrics` text strictly: every sample belongs to a declared family, every value is a number, nothing
/// stands twice, and the end is marked.
fn samples(text: &str) -> Vec<(String, f64)> {
    let body = text.strip_suffix("# EOF\n").expect("the end is marked");
    let mut families: Vec<(String, String)> = Vec::new();
    let mut found: Vec<(String, f64)> = Vec::new();
    for line in body.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let words: Vec<&str> = comment.splitn(3, ' ').collect();
            match words[0] {
                "TYPE" => {
                    assert!(families.iter().all(|(name, _)| name != words[1]), "declared twice: {line}");
                    families.push((words[1].to_owned(), words[2].to_owned()));
                }
                "HELP" | "UNIT" => {}
                other => panic!("comment {other}: {line}"),
            }
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect(line);
        let name = series.split('{').next().unwrap();
        assert!(series.len() == name.len() || series.ends_with('}'), "{line}");
        let (family, kind) = families.last().expect("a family is declared first");
        let suffix =
            name.strip_prefix(family.as_str()).unwrap_or_else(|| panic!("{name} is not of {family}"));
        let allowed: &[&str] = match kind.as_str() {
            "counter" => &["_total"],
            "gauge" => &[""],
            "histogram" => &["_bucket", "_count", "_sum"],
            "info" => &["_info"],
            other => panic!("type {other}"),
        };
        assert!(allowed.contains(&suffix), "{kind}: {line}");
        assert!(found.iter().all(|(known, _)| known != series), "twice: {line}");
        found.push((series.to_owned(), value.parse().unwrap_or_else(|_| panic!("{line}"))));
    }
    found
}

#[test]
fn metrics_are_open_metrics() {
    let upstream = Upstream::ok();
    let gateway = Gateway::with(&cloud(&upstream));
    for _ in 0..3 {
        gateway.call(&list()).passed(200);
    }
    gateway.call(&ask("GET", "/client/api?response=json")).refused(400, "command-missing");
    gateway.call(&ask("GET", "/nowhere")).refused(404, "route-not-found");
    // Whatever callers make up, the series stay bounded.
    for method in ["QQQ", "\u{71}uux"] {
        gateway.call(&ask(method, "/nowhere"));
    }
    gateway.wait_for_records(7);
    let told = gateway.admin("/metrics");
    let media_type = told.headers.one("content-type").unwrap();
    assert!(media_type.starts_with("application/openmetrics-text; version=1.0.0"), "{media_type}");
    let samples = samples(&told.text());
    let value = |series: &str| {
        let found = samples.iter().find(|(known, _)| known == series);
        found.unwrap_or_else(|| panic!("{series} is missing in {samples:#?}")).1.round()
    };
    let exactly = |series: &str, count: f64| {
        assert!((value(series) - count).abs() < 0.5, "{series} is {}", value(series));
    };
    let labels = "scheme=\"cloudstack\",method=\"GET\"";
    assert!(
        value(&format!("countersign_requests_total{{route=\"cloud\",{labels},code_class=\"2xx\"}}")) >= 3.0
    );
    assert!(
        value(&format!("countersign_requests_total{{route=\"cloud\",{labels},code_class=\"4xx\"}}")) >= 1.0
    );
    let unmatched = "countersign_requests_total{route=\"\",scheme=\"\",method=\"_OTHER\",code_class=\"4xx\"}";
    exactly(unmatched, 2.0);
    exactly("countersign_refused_total{route=\"cloud\",reason=\"command-missing\"}", 1.0);
    exactly("countersign_request_duration_seconds_count{route=\"cloud\"}", 4.0);
    exactly("countersign_upstream_duration_seconds_count{route=\"cloud\"}", 3.0);
    exactly("countersign_sign_duration_seconds_count{scheme=\"cloudstack\"}", 3.0);
    exactly("countersign_inflight_requests{route=\"cloud\"}", 0.0);
    exactly("countersign_credential_ready{credential=\"key\"}", 1.0);
    exactly("countersign_config_reload_success", 1.0);
    let read = value("countersign_config_reload_timestamp_seconds");
    assert!((naive::now() as f64 - read).abs() < 60.0, "{read}");
    let build = format!("countersign_build_info{{version=\"{}\",", env!("CARGO_PKG_VERSION"));
    assert!(samples.iter().any(|(series, _)| series.starts_with(&build)), "{build}");
    value("countersign_connections_refused_total");
    value("countersign_connections");
}

/// Requests whose caller leaves before the answer are over for the meters too.
#[test]
fn callers_who_leave_are_not_in_progress_for_ever() {
    let upstream = Gate::default().upstream();
    let gateway = Gateway::with(&cloud(&upstream));
    let mut caller = gateway.connect();
    caller.send(&list().bytes(gateway.address));
    upstream.wait_for(1);
    assert_eq!(metric(&gateway, "countersign_inflight_requests{route=\"cloud\"}"), Some(1.0));
    assert_eq!(metric(&gateway, "countersign_connections"), Some(1.0));
    drop(caller);
    let records = gateway.wait_for_records(1);
    assert_eq!(records[0]["ended"], "caller-left");
    eventually("nothing is in progress", || {
        metric(&gateway, "countersign_inflight_requests{route=\"cloud\"}") == Some(0.0)
            && metric(&gateway, "countersign_connections") == Some(0.0)
    });
}

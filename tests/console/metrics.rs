//! The dashboard, the alerts, the page about metrics and the running program name the same metrics.

use std::collections::BTreeSet;
use std::fs::read_to_string;
use std::path::Path;

use super::*;

fn file(path: &str) -> String {
    read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path))
        .unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The words of a text that are names of ours or of the process.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
    words
        .filter(|word| word.starts_with("countersign_") || word.starts_with("process_"))
        .map(str::to_owned)
        .collect()
}

/// A metric by the name that a page uses: without what a histogram adds.
fn base(name: &str) -> String {
    let histogram = ["_bucket", "_count", "_sum"].iter().find_map(|suffix| name.strip_suffix(suffix));
    histogram.filter(|name| name.ends_with("_seconds")).unwrap_or(name).to_owned()
}

/// Every expression of a dashboard.
fn expressions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if name == "expr" || name == "query" => found.push(text.clone()),
                    other => expressions(other, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| expressions(value, found)),
        _ => {}
    }
}

/// What a `credential_process` gives.
const EXPIRING: &str = r#"{"Version":1,"AccessKeyId":"AKEXPIRING","SecretAccessKey":"canary-expiring","SessionToken":"canary-token","Expiration":"2099-01-01T00:00:00Z"}"#;

/// A gateway after everything has happened that makes a metric appear.
fn experienced() -> (Gateway, Upstream) {
    let upstream = Upstream::answering(|request| match request.path() {
        "/bucket/key" => {
            answer(403, &[("Date", "Sun, 22 Nov 2026 00:00:00 GMT")], b"<Code>SignatureDoesNotMatch</Code>")
        }
        _ => answer(200, &[], b"ok"),
    });
    let folder = tempfile::tempdir().unwrap().keep();
    let (config, helper) = (folder.join("config"), folder.join("helper"));
    std::fs::write(&helper, format!("#!/bin/sh\necho '{EXPIRING}'\n")).unwrap();
    let none = folder.join("credentials");
    std::fs::write(&none, "").unwrap();
    std::fs::write(&config, format!("[profile expiring]\ncredential_process = sh {}\n", helper.display()))
        .unwrap();
    let text = "[credentials.expiring]\naws-profile = \"expiring\"\n".to_owned() + &every_scheme(&upstream);
    let text = text
        + &route(
            "e",
            "host = \"e.internal\"",
            &format!("\"{}\"", upstream.url()),
            "s3-v4 = { credential = \"expiring\", region = \"r\" }",
        );
    let gateway = Setup::routes(&text)
        .environment("AWS_CONFIG_FILE", config.to_str().unwrap())
        .environment("AWS_SHARED_CREDENTIALS_FILE", none.to_str().unwrap())
        .start();
    for (_, call) in calls() {
        gateway.call(&call);
    }
    gateway.call(&ask("GET", "/nowhere")).refused(404, "route-not-found");
    gateway.wait_for_records(6);
    std::fs::remove_dir_all(folder).unwrap();
    (gateway, upstream)
}

#[test]
fn dashboard_alerts_page_and_program_agree() {
    let (gateway, _upstream) = experienced();
    let exported: BTreeSet<String> =
        samples(&gateway).into_keys().map(|series| base(series.split('{').next().unwrap())).collect();
    assert!(exported.len() > 25, "{exported:?}");

    let mut used = Vec::new();
    let dashboard: Value = serde_json::from_str(&file("config/grafana-dashboard.json")).unwrap();
    expressions(&dashboard, &mut used);
    assert!(used.len() > 25, "{used:?}");
    let alerts = file("config/alerts.yaml");
    for text in used.iter().map(String::as_str).chain([alerts.as_str()]) {
        for name in names(text) {
            assert!(exported.contains(&base(&name)), "{name} is not exported: {text}");
        }
    }
    // Whoever reads the page knows every metric there is, and no other.
    let page = names(&file("docs/metrics.md"));
    let page: BTreeSet<String> = page.into_iter().filter(|name| name != "countersign_").collect();
    let none = Vec::<&String>::new();
    assert_eq!(exported.difference(&page).collect::<Vec<_>>(), none, "not documented");
    assert_eq!(page.difference(&exported).collect::<Vec<_>>(), none, "documented, and not exported");
}

#[test]
fn the_alerts_name_reasons_that_exist() {
    let page = file("docs/errors.md");
    let codes: BTreeSet<&str> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let alerts = file("config/alerts.yaml");
    let mut seen = 0;
    for reasons in alerts.split("reason=~\"").skip(1) {
        for reason in reasons.split('"').next().unwrap().split('|') {
            assert!(codes.contains(reason), "{reason}");
            seen += 1;
        }
    }
    assert!(seen > 0);
}

#[test]
fn labels_hold_nothing_that_a_caller_made_up() {
    let (gateway, _upstream) = experienced();
    let before = samples(&gateway).len();
    for number in 0..40 {
        let made_up = format!("/client/api?command=listMadeUp{number}&response=json");
        gateway.call(&ask("GET", &made_up)).passed(200);
        gateway.call(&ask("GET", &format!("/bucket-{number}/k")).header("Host", "s3.internal"));
        gateway.call(&ask(&format!("METHOD{number}"), "/nowhere"));
    }
    gateway.wait_for_records(126);
    let after = samples(&gateway);
    assert!(after.len() <= before + 10, "{before} {} {after:#?}", after.len());
    assert!(after.keys().all(|series| !series.contains("MadeUp") && !series.contains("bucket-")));
}

#[test]
fn the_process_is_measured() {
    let upstream = Upstream::ok();
    let gateway = Gateway::with(&every_scheme(&upstream));
    let metrics = samples(&gateway);
    let value = |name: &str| metrics.get(name).copied().unwrap_or_else(|| panic!("{name} in {metrics:#?}"));
    assert!((naive::now() as f64 - value("process_start_time_seconds")).abs() < 60.0);
    let resident = value("process_resident_memory_bytes");
    // Read a moment apart.
    assert!((resident - gateway.resident() as f64).abs() < 0.5 * resident, "{resident}");
    assert!(value("process_cpu_seconds_total") >= 0.0);
    assert!((4.0..500.0).contains(&value("process_open_fds")));
    assert!(value("process_max_fds") >= value("process_open_fds"));
    assert!(value("process_threads") >= 2.0);
    let version = metrics.keys().find(|series| series.starts_with("countersign_build_info")).unwrap();
    assert!(version.contains(&format!("version=\"{}\"", env!("CARGO_PKG_VERSION"))), "{version}");
    assert!(version.contains("rustc=\"1."), "{version}");
}

//! The command line as its users meet it: the real program, its outputs and its exit codes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::format_collect)]

#[path = "support/program.rs"]
mod program;

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use program::{Place, finish};
use serde_json::Value;

const ID: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// One route of each scheme.
const ROUTES: &str = r#"
[routes.cloud]
match = { path = "/client/api" }
upstream = { url = "http://127.0.0.1:9", host = "cloud.example" }
sign.cloudstack = { credential = "key" }
[routes.zstack]
match = { path = "/zstack" }
upstream = { url = "http://127.0.0.1:9", host = "zstack.example" }
sign.zstack = { credential = "key", time-zone = "Asia/Shanghai" }
[routes.ceph]
match = { host = "ceph.internal" }
upstream = { url = "http://127.0.0.1:9", host = "rgw.example" }
sign.s3-v2 = { credential = "key", dialect = "ceph" }
[routes.s3]
match = { host = "s3.internal" }
upstream = { url = "http://127.0.0.1:9", host = "s3.example" }
sign.s3-v4 = { credential = "key", region = "us-east-1" }
[routes.chunks]
match = { host = "chunks.internal" }
upstream = { url = "http://127.0.0.1:9", host = "s3.example" }
sign.s3-v4 = { credential = "key", region = "us-east-1", payload = "chunked" }
[routes.sqs]
match = { path = "/sqs" }
upstream = { url = "http://127.0.0.1:9", host = "sqs.example", rewrite-path = "/" }
sign.aws-v4 = { credential = "key", region = "eu-central-1", service = "sqs" }
"#;

/// What is signed in each scheme: method, URL, body.
const CALLS: [(&str, &str, &str, &str); 6] = [
    ("cloud", "GET", "http://any/client/api?command=listUsers&response=json", ""),
    ("zstack", "GET", "http://any/zstack/v1/vm-instances?limit=1", ""),
    ("ceph", "GET", "http://ceph.internal/bucket/key?versionId=1", ""),
    ("s3", "PUT", "http://s3.internal/bucket/a%20b", "hello"),
    ("chunks", "PUT", "http://chunks.internal/bucket/key", "hello"),
    ("sqs", "POST", "http://any/sqs/", "Action=ListQueues&Version=2012-11-05"),
];

fn every_scheme() -> (Place, String) {
    let place = Place::new();
    let file = place.configuration(ID, SECRET, ROUTES);
    (place, file)
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn help_and_version() {
    let place = Place::new();
    let version = place.run(&["--version"]).with(0);
    assert_eq!(version.out.trim(), format!("countersign {}", env!("CARGO_PKG_VERSION")));
    let help = place.run(&["--help"]).with(0);
    for command in ["serve", "check", "demo", "route", "sign", "status", "completions", "man"] {
        assert!(help.out.lines().any(|line| line.trim_start().starts_with(command)), "{command}");
        assert!(place.run(&[command, "--help"]).with(0).out.contains("Usage: countersign"), "{command}");
    }
}

#[test]
fn bad_usage_is_exit_2() {
    let (place, file) = every_scheme();
    let sign = ["sign", "--config", &file, "GET", "http://any/client/api?command=listUsers"];
    let with = |more: &[&'static str]| place.run(&[&sign, more].concat()).with(2);
    for bad in [&["nonsense"][..], &["serve"], &["check", "--format", "yaml"], &["route"], &[]] {
        let ended = place.run(bad).with(2);
        assert!(ended.out.is_empty() && ended.err.contains("--help"), "{bad:?}: {ended:?}");
    }
    assert!(with(&["--at", "yesterday"]).err.contains("--at"));
    assert!(with(&["-H", "no colon"]).err.contains("Name: value"));
    assert!(with(&["--presign", "soon"]).err.contains("--presign"));
    // CloudStack has no presigned form.
    assert!(with(&["--presign", "60"]).err.contains("sign-failed"));
}

/// Reads what stands between `before` and the next quote, wherever that occurs.
fn quoted<'t>(text: &'t str, before: &'t str) -> Vec<&'t str> {
    text.split(before).skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

#[test]
fn every_shipped_configuration_is_valid() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    assert!(files.len() >= 5, "one file per scheme and a full one: {files:?}");
    for path in files {
        let place = Place::new();
        // Whatever the file refers to is put where this test can write it.
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.replace("\"/etc/countersign/", &format!("\"{}/", place.path("etc")));
        let text = text.replace("\"/run/", &format!("\"{}/", place.path("run")));
        let text = text.replace("\"/var/log/countersign/", &format!("\"{}/", place.path("")));
        let file = place.write("countersign.toml", &text);
        for named in quoted(&text, "{ file = \"") {
            let path = named.strip_prefix(&format!("{}/", place.path(""))).unwrap_or(named);
            place.write(path, "a-value-of-some-length");
        }
        for name in quoted(&text, "systemd = \"") {
            place.write(&format!("systemd/{name}"), "value");
        }
        for program in quoted(&text, "exec = [\"") {
            let script = place.write(&format!("bin/{program}"), "#!/bin/sh\necho value\n");
            std::fs::set_permissions(script, std::fs::Permissions::from_mode(0o700)).unwrap();
        }
        let profiles: String = quoted(&text, "aws-profile = \"")
            .iter()
            .map(|name| format!("[{name}]\naws_access_key_id = id\naws_secret_access_key = value\n"))
            .collect();
        let mut command = place.command(&["check", "--config", &file]);
        command
            .env("PATH", format!("{}:/usr/bin:/bin", place.path("bin")))
            .env("CREDENTIALS_DIRECTORY", place.path("systemd"))
            .env("AWS_SHARED_CREDENTIALS_FILE", place.write("aws", &profiles))
            .env("AWS_CONFIG_FILE", place.path("none"));
        command.envs(quoted(&text, "env = \"").into_iter().map(|name| (name, "value")));
        let ended = finish(command.spawn().unwrap()).with(0);
        assert!(ended.out.contains(": valid"), "{}: {ended:?}", path.display());
    }
}

#[test]
fn check_tells_all_that_is_wrong() {
    let (place, file) = every_scheme();
    let good = place.run(&["check", "--config", &file]).with(0);
    assert!(good.out.contains("cloud: /client/api -> http://127.0.0.1:9"), "{}", good.out);
    let bad =
        std::fs::read_to_string(&file).unwrap().replace("upstream =", "upstraem =").replace("key\"", "kex\"");
    let bad = place.write("bad.toml", &bad);
    let ended = place.run(&["check", "--config", &bad]).with(2);
    assert!(ended.err.contains("bad.toml:6:") && ended.err.contains("upstraem"), "{}", ended.err);
    assert!(ended.err.matches("upstraem").count() >= 6, "every one is told: {}", ended.err);
    let report = json(&place.run(&["check", "--config", &bad, "--format", "json"]).with(2).out);
    assert_eq!(report["ok"], false);
    assert!(report["problems"].as_array().unwrap().len() >= 12);
    let report = json(&place.run(&["check", "--config", &file, "--format", "json"]).with(0).out);
    assert_eq!((&report["ok"], report["routes"].as_array().unwrap().len()), (&Value::Bool(true), 6));
    std::fs::remove_file(place.path("secret")).unwrap();
    let ended = place.run(&["check", "--config", &file]).with(2);
    assert!(ended.err.contains("credential `key`") && ended.out.contains("NOT RESOLVED"), "{}", ended.all());
}

#[test]
fn the_configuration_can_come_from_the_environment() {
    let (place, file) = every_scheme();
    let mut command = place.command(&["route", "GET", "http://any/zstack/v1"]);
    assert!(finish(command.env("COUNTERSIGN_CONFIG", &file).spawn().unwrap()).with(0).out.contains("zstack"));
}

#[test]
fn route_tells_who_takes_a_request() {
    let (place, file) = every_scheme();
    for (route, method, url, _) in CALLS {
        let out = place.run(&["route", "--config", &file, method, url]).with(0).out;
        assert!(out.starts_with(&format!("route {route}\n")), "{url}: {out}");
    }
    for nobody in ["http://any/clientx", "http://any/client/apix", "http://other.internal/"] {
        let ended = place.run(&["route", "--config", &file, "GET", nobody]).with(4);
        assert!(ended.err.contains("route-not-found") && ended.out.is_empty(), "{nobody}: {ended:?}");
    }
    let missing = place.run(&["route", "--config", "/nonexistent.toml", "GET", "http://any/"]).with(2);
    assert!(missing.err.contains("/nonexistent.toml"), "{}", missing.err);
}

#[test]
fn signing_shows_every_scheme_in_every_form() {
    let (place, file) = every_scheme();
    for (route, method, url, body) in CALLS {
        let sign_at = |time: &str, more: &[&str]| {
            let words = ["sign", "--config", &file, "--at", time, method, url, "--data", body];
            place.run(&[&words[..], more].concat()).with(0).out
        };
        let sign = |more: &[&str]| sign_at("2026-03-04T05:06:07Z", more);
        let told = json(&sign(&["--as", "json", "--reveal"]));
        let signature = told["signature"].as_str().unwrap();
        assert!(signature.len() >= 28, "{route}: {told}");
        assert!(!told["string-to-sign"].as_str().unwrap().is_empty(), "{route}");
        // The same instant gives the same signature, and another one another.
        assert_eq!(json(&sign(&["--as", "json", "--reveal"])), told, "{route}");
        let later = json(&sign_at("2026-03-04T05:06:08Z", &["--as", "json", "--reveal"]));
        assert_ne!(later["signature"], told["signature"], "{route}");

        let http = sign(&["--reveal"]);
        assert!(http.contains("string to sign") && http.contains(signature), "{route}: {http}");
        let curl = sign(&["--as", "curl", "--reveal"]);
        let encoded = signature.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
        assert!(curl.starts_with("curl -X "), "{route}: {curl}");
        assert!(curl.contains(signature) || curl.contains(&encoded), "{route}: {curl}");

        for form in ["http", "curl", "json"] {
            let hidden = sign(&["--as", form]);
            assert!(!hidden.contains(signature) && !hidden.contains(&encoded), "{route} as {form}");
            assert!(!hidden.contains(SECRET), "{route} as {form}");
            assert!(!holds_chunk_signature(&hidden), "{route} as {form}: {hidden}");
        }
        assert!(route != "chunks" || holds_chunk_signature(&http), "the body is shown: {http}");
    }
}

fn holds_chunk_signature(text: &str) -> bool {
    text.split("chunk-signature=")
        .skip(1)
        .any(|rest| rest.len() >= 64 && rest.as_bytes()[..64].iter().all(u8::is_ascii_hexdigit))
}

/// The curl line that is shown does what it says: a shell gives curl exactly these words.
#[test]
fn the_curl_form_survives_a_shell() {
    let (place, file) = every_scheme();
    let url = "http://s3.internal/bucket/it's%20$HOME";
    let body = "don't `run` $(this)\n\"or\" that";
    let line =
        place.run(&["sign", "--config", &file, "PUT", url, "--data", body, "--as", "curl"]).with(0).out;
    let words = place.write("words", &line.replacen("curl", "printf '%s\\0'", 1));
    let out = std::process::Command::new("sh").arg(words).output().unwrap();
    let told: Vec<_> = out.stdout.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
    assert_eq!(told[0], "-X");
    assert_eq!(told[2], "http://s3.example/bucket/it%27s%20%24HOME");
    assert!(told.iter().any(|word| word == body), "{told:?}");
    assert!(told.iter().any(|word| word.starts_with("authorization: AWS4-HMAC-SHA256 ")), "{told:?}");
}

#[test]
fn what_cannot_be_signed_says_why() {
    let (place, file) = every_scheme();
    let cases = [
        ("http://any/client/api?response=json", "command-missing"),
        ("http://any/client/api?command=a&COMMAND=b", "duplicate-parameter"),
        ("http://any/zstack/v1/..%2Fx", "bad-path"),
        ("http://any/nowhere", "route-not-found"),
    ];
    for (url, code) in cases {
        let ended = place.run(&["sign", "--config", &file, "GET", url]).with(2);
        assert!(ended.err.contains(code) && ended.out.is_empty(), "{url}: {ended:?}");
    }
}

fn vectors(name: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name);
    let all = json(&std::fs::read_to_string(path).unwrap());
    all["vectors"].as_array().unwrap().clone()
}

fn headers(vector: &Value) -> Vec<String> {
    let all = vector["request"]["headers"].as_array().unwrap().iter();
    all.map(|header| format!("{}: {}", header[0].as_str().unwrap(), header[1].as_str().unwrap()))
        .filter(|header| !header.to_ascii_lowercase().starts_with("host:"))
        .collect()
}

/// Signs a vector's request in the query; the outcome, and the URL's query.
fn presign(vector: &Value, sign: &str, clock: &str, expires: i64) -> (Value, String) {
    let text = |path: &str| vector.pointer(path).unwrap().as_str().unwrap();
    let (host, url) = (text("/request/host"), text("/request/url"));
    let name = host.split(':').next().unwrap();
    let place = Place::new();
    let mut route = format!(
        "[routes.store]\nmatch = {{ host = \"{name}\" }}\nupstream = {{ url = \"http://{host}\", insecure = true }}\n{sign}"
    );
    if name == "localhost" {
        route = route.replace(", insecure = true", "");
    }
    if let Some(token) = vector.pointer("/credentials/session_token").and_then(Value::as_str) {
        let line = format!("session-token = {{ file = \"{}\" }}\n", place.write("token", token));
        route = line + &route;
    }
    let file = place.configuration(text("/credentials/access_key"), text("/credentials/secret_key"), &route);
    let headers = headers(vector);
    let (method, url, expires) =
        (text("/request/method"), format!("http://{host}{url}"), expires.to_string());
    let mut words =
        vec!["sign", "--config", &file, "--as", "json", "--reveal", "--at", clock, "--presign", &expires];
    words.extend(headers.iter().flat_map(|header| ["-H", header]));
    words.extend([method, &url]);
    let told = json(&place.run(&words).with(0).out);
    let query = told["url"].as_str().unwrap().split_once('?').unwrap().1.to_owned();
    (told, query)
}

#[test]
fn presigned_version_4_is_what_amazon_publishes() {
    let mut agreed = 0;
    for vector in vectors("s3v4_query.json") {
        let sign = "sign.s3-v4 = { credential = \"key\", region = \"us-east-1\" }\n";
        let clock = vector["clock"].as_str().unwrap();
        let (told, query) = presign(&vector, sign, clock, vector["expires"].as_i64().unwrap());
        let name = &vector["name"];
        assert_eq!(told["canonical-request"], vector["expected"]["canonical_request"], "{name}");
        assert_eq!(told["string-to-sign"], vector["expected"]["string_to_sign"], "{name}");
        let signature = vector["expected"]["signature"].as_str().unwrap();
        assert_eq!(told["signature"], signature, "{name}");
        assert!(query.contains(&format!("X-Amz-Signature={signature}")), "{name}: {query}");
        agreed += 1;
    }
    assert!(agreed >= 50, "{agreed}");
}

#[test]
fn presigned_version_2_is_what_clients_make() {
    let mut agreed = 0;
    for vector in vectors("s3v2_query.json") {
        let clock = jiff::Timestamp::from_second(vector["clock_epoch"].as_i64().unwrap()).unwrap();
        let expires = vector["expires_epoch"].as_i64().unwrap() - clock.as_second();
        let sign = "sign.s3-v2 = { credential = \"key\", dialect = \"aws\" }\n";
        let (told, query) = presign(&vector, sign, &clock.to_string(), expires);
        let name = &vector["name"];
        assert_eq!(told["string-to-sign"], vector["expected"]["string_to_sign"], "{name}");
        assert_eq!(told["signature"], vector["expected"]["signature"], "{name}");
        assert!(query.contains(vector["expected"]["query_added"].as_str().unwrap()), "{name}: {query}");
        agreed += 1;
    }
    assert!(agreed >= 50, "{agreed}");
}

#[test]
fn presigned_urls_hide_their_signature() {
    let (place, file) = every_scheme();
    for (url, signature) in [
        ("http://s3.internal/bucket/key", "X-Amz-Signature="),
        ("http://ceph.internal/bucket/key", "Signature="),
    ] {
        let presign = ["sign", "--config", &file, "GET", url, "--presign", "60"];
        let hidden = place.run(&presign).with(0).out;
        assert!(hidden.contains(&format!("{signature}HIDDEN")), "{hidden}");
        let shown = place.run(&[&presign[..], &["--reveal"]].concat()).with(0).out;
        assert!(shown.contains(signature) && !shown.contains("HIDDEN"), "{shown}");
    }
}

#[test]
fn completions_and_manual() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish"] {
        let out = place.run(&["completions", shell]).with(0).out;
        assert!(out.contains("countersign") && out.contains("presign"), "{shell}");
    }
    let page = place.run(&["man"]).with(0).out;
    assert!(page.contains(".TH countersign 1") && page.contains("serve"), "{page}");
}

#[test]
fn the_demo_accepts_every_scheme() {
    let ended = Place::new().run(&["demo", "--once"]).with(0);
    assert_eq!(ended.out.matches("verdict  OK 200").count(), 6, "{}", ended.out);
    assert_eq!(ended.out.matches("curl -X").count(), 6, "{}", ended.out);
    assert!(ended.out.contains("every signature was accepted"), "{}", ended.out);
    let records: Vec<_> =
        ended.out.lines().filter_map(|line| line.trim_start().strip_prefix("record ")).map(json).collect();
    assert_eq!(records.len(), 6);
    assert!(records.iter().all(|record| record["additionalEventData"]["status"] == 200), "{records:?}");
}

/// `countersign … | head -1`: the reader goes away in the middle of it.
#[test]
fn a_closed_pipe_ends_quietly() {
    let (place, file) = every_scheme();
    let sign = ["sign", "--config", &file, "PUT", "http://s3.internal/b/k", "--data", &"x".repeat(100_000)];
    let check = ["check", "--config", &file];
    for words in [&["completions", "bash"][..], &["man"], &["--help"], &["demo", "--once"], &sign, &check] {
        let mut child = place.command(words).spawn().unwrap();
        let mut first = String::new();
        BufReader::with_capacity(16, child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let ended = finish(child);
        assert_eq!((ended.code, ended.err.contains("panic")), (Some(0), false), "{words:?}: {ended:?}");
        // Not even a first line: the pipe is closed before anything is written.
        let mut child = place.command(words).spawn().unwrap();
        drop(child.stdout.take());
        let ended = finish(child);
        assert_eq!((ended.code, ended.err.contains("panic")), (Some(0), false), "{words:?}: {ended:?}");
    }
}

//! The record as files, its index, everything that is made of it, and every page of the admin listener.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::hunt::Hunt;
use crate::program::Place;
use crate::support::*;
use crate::tls::{Authority, TlsUpstream};
use crate::{every_ask, every_route, permanent, temporary};

/// The key of the record.
const KEY: &str = "cAnArY+record/KEY=0004, long enough";

/// What an outcome's line can be made into.
const MADE_OF_IT: [&[&str]; 11] = [
    &["audit", "query", "--format", "json", "--limit", "1000"],
    &["audit", "query", "--format", "csv", "--limit", "1000"],
    &["audit", "query", "--format", "table", "--limit", "1000"],
    &["audit", "tail"],
    &["audit", "export", "--as", "cloudtrail"],
    &["audit", "export", "--as", "ocsf"],
    &["audit", "export", "--as", "ecs"],
    &["audit", "export", "--as", "csv"],
    &["usage", "--by", "client", "--period", "day", "--format", "json"],
    &["usage", "--by", "bucket", "--period", "month", "--format", "csv"],
    &["audit", "verify", "--format", "json"],
];

#[test]
fn the_record_and_what_is_made_of_it_hold_no_secret() {
    let plain = Upstream::answering(|request| {
        let status = if request.target.contains("acl") { 403 } else { 200 };
        answer(status, &[("x-amz-request-id", "1")], b"ok")
    });
    let authority = Authority::new("ca");
    let secure = TlsUpstream::new(&authority.server(&["localhost"]), &["h2"]);
    let place = Place::new();
    let folder = place.path("record");
    fs::create_dir(&folder).unwrap();
    let file = format!("{folder}/audit.jsonl");
    let mut gateway = Setup::default()
        .credential("key", permanent())
        .credential("temporary", temporary())
        .text(&every_route(&plain, &secure, &place.write("ca", &authority.pem())))
        .text(&format!("[audit]\nfile = \"{file}\"\nkey = {{ env = \"RECORD_KEY\" }}"))
        .environment("RECORD_KEY", KEY)
        .environment("COUNTERSIGN_LOG", "trace")
        .start();
    // Somebody watches, so that what was signed is kept for the console.
    let mut watching = Caller::to(gateway.admin);
    watching.send(format!("GET /events HTTP/1.1\r\nHost: {}\r\n\r\n", gateway.admin).as_bytes());
    let mut told = String::new();
    for (ask, _) in every_ask() {
        let response = gateway.call(&ask);
        told += &format!("{:?}\n{}\n", response.headers, response.text());
    }
    let calls = every_ask().len();
    let complete =
        || fs::read_to_string(&file).is_ok_and(|text| text.matches("\"outcome\"").count() >= calls);
    eventually("every outcome is in the file", complete);

    let mut hunt = Hunt::secrets();
    hunt.add("key of the record", KEY);
    let signatures: usize = plain.requests().iter().map(|request| hunt.add_signatures(request)).sum();
    assert!(signatures > 10, "requests were signed: {signatures}");
    hunt.assert_absent("an answer", &told);
    for page in
        ["/", "/status", "/history", "/calls", "/audit/head", "/metrics", "/readyz", "/search?status=200"]
    {
        let response = gateway.admin(page);
        hunt.assert_absent(page, &format!("{:?}{}", response.headers, response.text()));
    }
    let kept: serde_json::Value = serde_json::from_str(&gateway.admin("/calls").text()).unwrap();
    let mut signed = 0;
    for call in kept.as_array().unwrap() {
        let id = call["id"].as_str().unwrap();
        let detail = gateway.admin(&format!("/calls/{id}")).text();
        signed += usize::from(detail.contains("\"string-to-sign\":\""));
        hunt.assert_absent("a call's detail", &detail);
        hunt.assert_absent("a call's page", &gateway.admin(&format!("/call?id={id}")).text());
    }
    assert!(signed > 5, "what was signed is shown: {signed}");
    gateway.signal("TERM");
    gateway.wait();
    let output = gateway.output();
    hunt.assert_absent("the log", &output);

    for words in MADE_OF_IT {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        let key_file = place.write("record.key", KEY);
        command.args(words).args(["--from", &file]).env_remove("COUNTERSIGN_CONFIG");
        if words.contains(&"verify") {
            command.args(["--key-file", &key_file]);
        }
        let done = command.output().unwrap();
        assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
        assert!(done.stdout.len() > 100, "{words:?} says something");
        for stream in [&done.stdout, &done.stderr] {
            hunt.assert_absent(&words.join(" "), &String::from_utf8_lossy(stream));
        }
    }
    let mut files = 0;
    for entry in fs::read_dir(Path::new(&folder)).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        if path.extension().is_some_and(|extension| extension == "zst") {
            bytes = zstd::decode_all(bytes.as_slice()).unwrap();
        }
        files += 1;
        hunt.assert_absent(&path.display().to_string(), &String::from_utf8_lossy(&bytes));
    }
    assert!(files >= 2, "a segment and an index: {files}");
}

//! `policy = "learn"`, and from what was learnt to rules that are enforced.

use crate::program::Place;
use crate::support::*;
use crate::{configuration, metric, reload, with_rules, with_strict_rules};

fn s3(method: &str, target: &str) -> Ask {
    ask(method, target).header("Host", "s3.internal")
}

/// The calls of a day, on two routes.
fn calls() -> Vec<Ask> {
    let list = "<Delete><Object><Key>tmp/1</Key></Object><Object><Key>tmp/2/x</Key></Object></Delete>";
    vec![
        ask("GET", "/client/api?command=listVirtualMachines&response=json"),
        ask("GET", "/client/api?command=stopVirtualMachine&response=json&id=1"),
        s3("GET", "/logs/2024/01/a"),
        s3("GET", "/logs/2024/02/b"),
        s3("HEAD", "/logs/2024/02/b"),
        s3("GET", "/logs?list-type=2&prefix=2024/01"),
        s3("GET", "/other?list-type=2"),
        s3("GET", "/other?list-type=2&prefix=x"),
        s3("PUT", "/data/a%2ab%20").body("x"),
        s3("PUT", "/data/copy").header("x-amz-copy-source", "/logs/2023/z"),
        s3("POST", "/data?delete").body(list),
        s3("GET", "/"),
    ]
}

/// What is near to them, and was never done.
fn others() -> Vec<Ask> {
    let list = "<Delete><Object><Key>tmp/1</Key></Object><Object><Key>precious</Key></Object></Delete>";
    vec![
        ask("GET", "/client/api?command=listUsers&response=json"),
        ask("GET", "/client/api?command=startVirtualMachine&response=json&id=1"),
        s3("GET", "/logs-private/2024/01/a"),
        s3("GET", "/logs"),
        s3("GET", "/logs?list-type=2&prefix=2025/"),
        s3("GET", "/third/a"),
        s3("PUT", "/logs/2024/01/a").body("x"),
        s3("PUT", "/data/copy").header("x-amz-copy-source", "/private/z"),
        s3("POST", "/data?delete").body(list),
        s3("DELETE", "/data/precious"),
    ]
}

#[test]
fn learnt_rules_admit_what_was_done_and_nothing_near_it() {
    let upstream = Upstream::ok();
    let learning = "policy = \"learn\"\nallow = []\nread-only = true";
    let routes = ["cloud", "s3"]
        .iter()
        .fold(every_scheme(&upstream), |text, route| with_rules(&text, route, learning));
    let gateway = Gateway::with(&routes);
    for call in calls() {
        gateway.call(&call).passed(200);
    }
    let records = gateway.wait_for_records(calls().len());
    for record in &records {
        assert_eq!(record["decision"], "learn", "{record}");
        assert!(!record["asks"].as_array().unwrap().is_empty(), "{record}");
        let rule = record["rule"].as_str().unwrap();
        assert!(rule == "allow" || rule == "read-only", "{record}");
    }
    let count = |route: &str| {
        metric(
            &gateway,
            &format!("countersign_policy_decisions_total{{route=\"{route}\",decision=\"learn\"}}"),
        )
    };
    assert_eq!((count("cloud"), count("s3")), (Some(2.0), Some(10.0)));

    let place = Place::new();
    let log: String = gateway.lines().iter().map(|line| format!("{line}\n")).collect();
    let file = place.write("record.jsonl", &log);
    let suggested = place.run(&["policy", "suggest", "--from", &file]).with(0);
    assert_eq!(suggested.err, "");
    let expected = r#"[routes.cloud]
allow = [
    "listVirtualMachines",
    "stopVirtualMachine",
]

[routes.s3]
allow = [
    "s3:DeleteObject data/tmp/*",
    "s3:GetObject logs/*",
    "s3:ListAllMyBuckets",
    "s3:ListBucket other",
    "s3:ListBucket logs/2024/01",
    "s3:PutObject data/*",
]
"#;
    // Order within a list is of no matter.
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&suggested.out), sorted(expected), "{}", suggested.out);

    // The suggestion takes the place of what was learnt with.
    let mut text = configuration(&gateway);
    for table in suggested.out.split("\n[").map(|table| table.trim_start_matches('[')) {
        let (head, list) = table.split_once("]\n").unwrap();
        text = text.replace(&format!("[{head}]\n{learning}\n"), &format!("[{head}]\n{list}"));
    }
    assert!(!text.contains("learn"), "{text}");
    reload(&gateway, &text);
    for call in calls() {
        let response = gateway.call(&call);
        response.passed(200);
        assert_eq!(gateway.record_of(&response)["decision"], "allow");
    }
    let before = upstream.requests().len();
    for call in others() {
        gateway.call(&call).refused(403, "operation-not-allowed");
    }
    assert_eq!(upstream.requests().len(), before);
}

/// What was closed by name stays closed.
#[test]
fn learning_opens_no_ban_and_no_secret() {
    let upstream = Upstream::answering(|_| answer(200, &[("content-type", "application/json")], b"{}"));
    let lines = "policy = \"learn\"\nallow = []\ndeny = ['destroy*']";
    let gateway = Gateway::with(&with_strict_rules(&every_scheme(&upstream), "cloud", lines));
    let call = |command: &str| gateway.call(&ask("GET", &format!("/client/api?command={command}&id=1")));
    call("destroyVirtualMachine").refused(403, "operation-denied");
    call("registerUserKeys").refused(403, "secrets-denied");
    upstream.assert_untouched("bans while learning");
    let response = call("listSomethingNew");
    response.passed(200);
    let record = gateway.record_of(&response);
    assert_eq!((&record["decision"], &record["asks"][0]), (&"learn".into(), &"listSomethingNew".into()));
}

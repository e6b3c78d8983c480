//! `countersign route`: what the gateway would decide, and why, without sending anything.

use crate::program::{Ended, Place};

const RULES: &str = r#"
[clients.reader]
from = ["127.0.0.1"]
read-only = true
[clients.backup]
from = ["127.0.0.1"]
allow = ["s3:PutObject logs/*", "s3:GetObject logs/*"]
deny = ["* logs/locked*"]
[clients.stranger]
from = ["127.0.0.1"]
[routes.store]
match = { host = "s3.internal" }
upstream = { url = "http://127.0.0.1:9", host = "s3.example" }
clients = ["reader", "backup"]
deny = ["s3:DeleteBucket"]
sign.s3-v4 = { credential = "key", region = "us-east-1" }
[routes.cloud]
match = { path = "/client/api" }
upstream = { url = "http://127.0.0.1:9", host = "cloud.example" }
policy = "learn"
allow = ["list*"]
sign.cloudstack = { credential = "key" }
"#;

#[test]
fn decisions_can_be_asked_for() {
    let place = Place::new();
    let file = place.configuration("AKID", "canary-secret", RULES);
    let route = |words: &[&str]| -> Ended { place.run(&[&["route", "--config", &file], words].concat()) };
    let s3 = "http://s3.internal/logs/2024/a";
    for (words, code, lines) in [
        (
            &["GET", s3][..],
            0,
            &["route store", "operation s3:GetObject", "resource logs/2024/a", "decision allow"][..],
        ),
        (&["HEAD", s3], 0, &["operation s3:GetObject (s3:HeadObject)"]),
        (
            &["PUT", s3, "--client", "reader"],
            4,
            &["operation s3:PutObject", "decision deny", "rule read-only (of the client)"],
        ),
        (
            &["PUT", s3, "--client", "backup"],
            0,
            &["decision allow", "rule s3:PutObject logs/* (of the client)"],
        ),
        (
            &["PUT", "http://s3.internal/other/a", "--client", "backup"],
            4,
            &["decision deny", "rule allow (of the client)"],
        ),
        (
            &["GET", "http://s3.internal/logs/locked", "--client", "backup"],
            4,
            &["rule * logs/locked* (of the client)"],
        ),
        (
            &["DELETE", "http://s3.internal/logs"],
            4,
            &["decision deny", "rule s3:DeleteBucket (of the route)"],
        ),
        (
            &["PUT", s3, "--client", "backup", "-H", "x-amz-copy-source: /private/x"],
            4,
            &[
                "operation s3:PutObject (s3:CopyObject)",
                "and s3:GetObject (s3:CopyObject)",
                "resource private/x",
                "decision deny",
            ],
        ),
        (&["GET", s3, "--client", "stranger"], 4, &["route store", "decision deny", "rule clients"]),
        (
            &["GET", "http://any/client/api?command=listUsers"],
            0,
            &["decision allow", "rule list* (of the route)"],
        ),
        (
            &["GET", "http://any/client/api?command=stopRouter"],
            0,
            &["decision learn", "rule allow (of the route)"],
        ),
        (
            &[
                "POST",
                "http://any/client/api",
                "-H",
                "Content-Type: application/x-www-form-urlencoded",
                "-d",
                "command=registerUserKeys",
            ],
            4,
            &["operation registerUserKeys", "decision deny", "rule secrets (of the route)"],
        ),
        (&["GET", "http://any/client/api"], 4, &["route cloud"]),
        (&["GET", "http://any/client/api?command=%1b%5b31m"], 0, &["operation \\u{1b}[31m"]),
    ] {
        let ended = route(words).with(code);
        for line in lines {
            assert!(
                ended.out.lines().any(|found| found == *line),
                "{words:?}: no {line:?} in\n{}",
                ended.out
            );
        }
        assert_eq!(ended.err.is_empty(), code == 0, "{words:?}: {}", ended.err);
        assert!(
            ended.all().bytes().all(|byte| byte == b'\n' || (0x20..0x7f).contains(&byte)),
            "{}",
            ended.all()
        );
    }
    let unknown = route(&["GET", s3, "--client", "nobody"]).with(2);
    assert!(unknown.err.contains("client `nobody` is not defined"), "{}", unknown.err);
    let refused = route(&["DELETE", "http://s3.internal/logs"]).err;
    assert!(refused.contains("operation-denied: `s3:DeleteBucket` on `logs` is forbidden by"), "{refused}");
}

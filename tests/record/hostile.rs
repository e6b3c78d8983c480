//! Callers that try to bend the record: lines, terminals, reading direction, other calls' fields, length.

use serde_json::Value;

use crate::lines_of;
use crate::support::*;

const NASTY: &str = "%0A%0D%22%5C%1B%5B31m%E2%80%AE%F0%9F%98%80%00%7F%22%7D%2C%22seq%22%3A0";

#[test]
fn no_input_breaks_a_line_or_stands_for_another_field() {
    let upstream = Upstream::ok();
    let gateway = Gateway::with(&every_scheme(&upstream));
    let long = "k".repeat(900);
    for call in [
        ask("GET", &format!("/b/{NASTY}?prefix={NASTY}&{NASTY}={NASTY}")).header("Host", "s3.internal"),
        ask("PUT", &format!("/b/{long}")).header("Host", "s3.internal").body(""),
        ask("GET", &format!("/client/api?command={NASTY}&{NASTY}=1")),
        ask("GET", "/client/api?command=listUsers&command%28omitted%29=1&%28omitted%29=2"),
        ask("GET", "/client/api?command=listUsers").header("User-Agent", "a\u{e4}\t\"},\"seq\":1"),
        ask("PROPFIND", "/b/k").header("Host", "s3.internal"),
    ] {
        let response = gateway.call(&call);
        let (_, outcome) = lines_of(&gateway, &response);
        let kinds: Vec<_> = outcome.as_object().unwrap().keys().filter(|name| *name == "seq").collect();
        assert_eq!(kinds.len(), 1);
    }
    for (number, line) in gateway.output().lines().filter(|line| line.contains("\"seq\":")).enumerate() {
        assert!(line.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{line:?}");
        assert!(line.len() < 64 << 10, "{} bytes", line.len());
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["seq"], number, "lines are whole and in their order");
    }
}

/// Whatever a caller puts where secrets go, and whatever the upstream puts into errors, none of it stands in a line.
#[test]
fn what_callers_hide_stays_hidden() {
    let upstream = Upstream::answering(|_| {
        answer(
            403,
            &[("x-amz-request-id", "ok")],
            b"<Error><Code>AccessDenied</Code><Key>canary-answer</Key></Error>",
        )
    });
    let gateway = Gateway::with(&every_scheme(&upstream));
    for call in [
        ask("POST", "/client/api")
            .form("command=updateUser&password=canary-password&id=1&usersecretkey=canary-key"),
        ask("GET", "/client/api?command=login&username=x&password=canary-password"),
        ask("PUT", "/zstack/v1/accounts/0123456789abcdef0123456789abcdef")
            .body("{\"updateAccount\":{\"password\":\"canary-password\",\"uuid\":\"canary secret\"}}"),
        ask("GET", "/b/k?X-Amz-Signature=canary-signature&X-Amz-Security-Token=canary-token")
            .header("Host", "s3.internal"),
        ask("GET", "/b/k")
            .header("Host", "s3.internal")
            .header("x-amz-server-side-encryption-customer-key", "canary-key"),
        ask("POST", "/sqs/").form("Action=SendMessage&MessageBody=canary-body"),
        ask("GET", "/b/k").header("Host", "ceph.internal").header("Cookie", "canary-cookie"),
    ] {
        lines_of(&gateway, &gateway.call(&call));
    }
    let output = gateway.output();
    let line = output.lines().find(|line| line.contains("canary"));
    assert_eq!(line, None);
}

//! Each refusal in each protocol, its record, and that nothing was sent.

use serde_json::Value;

use crate::support::*;
use crate::{metric, with_rules, with_strict_rules};

/// A call of each protocol that changes something, and what it is named.
struct Protocol {
    route: &'static str,
    call: fn() -> Ask,
    operation: &'static str,
    resource: &'static str,
}

const PROTOCOLS: [Protocol; 5] = [
    Protocol {
        route: "cloud",
        call: || ask("GET", "/client/api?command=stopVirtualMachine&response=json&id=1"),
        operation: "stopVirtualMachine",
        resource: "",
    },
    Protocol {
        route: "zstack",
        call: || ask("DELETE", "/zstack/v1/vm-instances/0123456789abcdef0123456789abcdef"),
        operation: "DELETE /v1/vm-instances/{uuid}",
        resource: "",
    },
    Protocol {
        route: "ceph",
        call: || ask("PUT", "/logs/2024/a").header("Host", "ceph.internal").body("x"),
        operation: "s3:PutObject",
        resource: "logs/2024/a",
    },
    Protocol {
        route: "s3",
        call: || ask("PUT", "/logs/2024/a").header("Host", "s3.internal").body("x"),
        operation: "s3:PutObject",
        resource: "logs/2024/a",
    },
    Protocol {
        route: "sqs",
        call: || ask("POST", "/sqs/").form("Action=SendMessage&MessageBody=x"),
        operation: "sqs:SendMessage",
        resource: "",
    },
];

/// The message of a refusal, read as the caller's library would.
fn message(route: &str, response: &Response) -> String {
    let text = response.text();
    let json = || serde_json::from_str::<Value>(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let said = match route {
        "cloud" => {
            let error = &json()["stopvirtualmachineresponse"];
            assert_eq!(error["errorcode"], response.status, "{text}");
            error["errortext"].clone()
        }
        "zstack" => json()["error"]["details"].clone(),
        "sqs" => {
            assert!(text.contains("<ErrorResponse>") && text.contains("<Code>AccessDenied</Code>"), "{text}");
            text.clone().into()
        }
        _ => {
            let code = if response.status == 429 { "SlowDown" } else { "AccessDenied" };
            assert!(text.contains(&format!("<Code>{code}</Code>")), "{text}");
            text.clone().into()
        }
    };
    said.as_str().unwrap().to_owned()
}

#[test]
fn every_refusal_speaks_every_protocol() {
    for Protocol { route, call, operation, resource } in PROTOCOLS {
        let deny = format!("deny = ['{}*']", &operation[..operation.len() - 2]);
        for (rules, code, rule, told) in [
            (deny.as_str(), "operation-denied", &deny[9..deny.len() - 2], "deny"),
            ("allow = ['@read']", "operation-not-allowed", "allow", "`allow`"),
            ("read-only = true", "read-only", "read-only", "`read-only`"),
        ] {
            let upstream = Upstream::ok();
            let gateway = Gateway::with(&with_rules(&every_scheme(&upstream), route, rules));
            let response = gateway.call(&call());
            response.refused(403, code);
            let message = message(route, &response);
            for part in [operation, resource, told, &format!("route `{route}`")] {
                assert!(message.contains(part), "{part}: {message}");
            }
            if code == "operation-denied" {
                assert!(message.contains(&format!("`{rule}`")), "{rule}: {message}");
            }
            let record = gateway.record_of(&response);
            let text = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
            assert_eq!(text("decision"), "deny");
            assert_eq!((text("rule"), text("error")), (rule.to_owned(), code.to_owned()));
            assert_eq!((text("operation"), text("resource")), (operation.to_owned(), resource.to_owned()));
            upstream.assert_untouched(code);
            let name = format!("countersign_policy_decisions_total{{route=\"{route}\",decision=\"deny\"}}");
            assert_eq!(metric(&gateway, &name), Some(1.0));
        }
    }
}

#[test]
fn what_no_rule_forbids_passes_and_says_why() {
    for Protocol { route, call, operation, resource } in PROTOCOLS {
        let allow = format!("allow = ['{operation}']\ndeny = ['nothing*']");
        for (rules, rule) in [("", ""), ("allow = ['*']", "*"), (allow.as_str(), operation)] {
            let upstream = Upstream::ok();
            let gateway = Gateway::with(&with_rules(&every_scheme(&upstream), route, rules));
            let response = gateway.call(&call());
            response.passed(200);
            assert_eq!(upstream.requests().len(), 1);
            let record = gateway.record_of(&response);
            assert_eq!(record["decision"], "allow");
            assert_eq!(record["rule"].as_str().unwrap_or_default(), rule);
            assert_eq!(record["resource"].as_str().unwrap_or_default(), resource);
            assert!(record.get("asks").is_none(), "only a route that learns writes them");
        }
    }
}

#[test]
fn secrets_stay_in_unless_the_route_lets_them_out() {
    let keys = [
        ("cloud", ask("GET", "/client/api?command=registerUserKeys&response=json&id=1")),
        (
            "zstack",
            ask("PUT", "/zstack/v1/accounts/login").body("{\"logInByAccount\":{\"accountName\":\"a\"}}"),
        ),
        ("ceph", ask("GET", "/b?session").header("Host", "ceph.internal")),
        ("s3", ask("GET", "/b?session").header("Host", "s3.internal")),
    ];
    let material = [("cloud", ask("GET", "/client/api?command=createSSHKeyPair&response=json&name=x"))];
    for (calls, open) in [(&keys[..], [false, false, true, true]), (&material[..], [true, false, true, true])]
    {
        let switches = ["", "secrets = \"deny\"", "secrets = \"redact\"", "secrets = \"allow\""];
        for (switch, open) in switches.into_iter().zip(open) {
            for (route, call) in calls {
                // An answer that a redacting route can read.
                let upstream =
                    Upstream::answering(|_| answer(200, &[("content-type", "application/json")], b"{}"));
                let lines = format!("{switch}\nallow = ['*']");
                let gateway = Gateway::with(&with_strict_rules(&every_scheme(&upstream), route, &lines));
                let response = gateway.call(call);
                if open {
                    response.passed(200);
                    continue;
                }
                response.refused(403, "secrets-denied");
                assert!(response.text().contains("secrets = "), "{}", response.text());
                let record = gateway.record_of(&response);
                assert_eq!((&record["rule"], &record["decision"]), (&"secrets".into(), &"deny".into()));
                upstream.assert_untouched(switch);
            }
        }
    }
}

/// An upload that is refused is refused before its body: no leave to send is given, and no byte is waited for.
#[test]
fn refused_uploads_are_not_read() {
    let upstream = Upstream::ok();
    let gateway = Gateway::with(&with_rules(&every_scheme(&upstream), "s3", "read-only = true"));
    for framing in
        [("Content-Length", "1000"), ("Content-Length", "9999999"), ("Transfer-Encoding", "chunked")]
    {
        let call = ask("PUT", "/b/k").header("Host", "s3.internal").header("Expect", "100-continue");
        let mut caller = gateway.connect();
        let response = caller.call(&call.header(framing.0, framing.1));
        response.refused(403, "read-only");
        assert!(response.interim.is_empty(), "leave was given");
    }
    upstream.assert_untouched("refused uploads");
}

/// Names that callers choose are cut and escaped in what they are told.
#[test]
fn messages_hold_no_raw_text() {
    let upstream = Upstream::ok();
    let gateway = Gateway::with(&with_rules(&every_scheme(&upstream), "s3", "allow = []"));
    let key = "%3Cscript%3E".repeat(40);
    let response = gateway.call(&ask("GET", &format!("/b/{key}")).header("Host", "s3.internal"));
    response.refused(403, "operation-not-allowed");
    let text = response.text();
    assert!(!text.contains("<script>") && text.contains("&lt;script&gt;"), "{text}");
    assert!(text.len() < 600 && text.contains("..."), "{text}");
    let record = gateway.record_of(&response);
    assert_eq!(record["resource"].as_str().unwrap().len(), 2 + 8 * 40, "the record says all of it");
}

/// A redirect would be leave to do the call: it is judged first, and the upstream is not even asked for a size.
#[test]
fn what_is_refused_is_not_handed_over() {
    let upstream = Upstream::answering(|_| answer(200, &[("x-size", "0")], &[0; 64]));
    let lines = "hand-over = \"redirect\"\nhand-over-from = 1\nallow = ['s3:GetObject open/*']\ndeny = ['* */secret']";
    let gateway = Gateway::with(&with_rules(&every_scheme(&upstream), "s3", lines));
    let host = |ask: Ask| ask.header("Host", "s3.internal");
    let put = |target: &str| {
        host(ask("PUT", target)).header("Expect", "100-continue").header("Content-Length", "9")
    };
    gateway.call(&host(ask("GET", "/open/secret"))).refused(403, "operation-denied");
    gateway.call(&host(ask("GET", "/closed/a"))).refused(403, "operation-not-allowed");
    gateway.call(&put("/open/a")).refused(403, "operation-not-allowed");
    upstream.assert_untouched("refused hand-overs");
    let response = gateway.call(&host(ask("GET", "/open/a")));
    assert_eq!(response.status, 307, "{}", response.text());
    let record = gateway.record_of(&response);
    assert_eq!((&record["decision"], &record["rule"]), (&"allow".into(), &"s3:GetObject open/*".into()));
    let count = "countersign_policy_decisions_total{route=\"s3\",decision=\"allow\"}";
    assert_eq!(metric(&gateway, count), Some(1.0), "judged once");
}

/// HEAD is authorised as GET, and the parts of an upload as the upload.
#[test]
fn calls_pass_under_the_name_that_authorises_them() {
    let upstream = Upstream::ok();
    let allow = "allow = ['s3:GetObject logs/*', 's3:PutObject logs/*', 's3:ListBucket logs']";
    for (route, host) in [("s3", "s3.internal"), ("ceph", "ceph.internal")] {
        let gateway = Gateway::with(&with_rules(&every_scheme(&upstream), route, allow));
        for (method, target, passes) in [
            ("HEAD", "/logs/a", true),
            ("HEAD", "/other/a", false),
            ("HEAD", "/logs", true),
            ("HEAD", "/other", false),
            ("GET", "/logs?list-type=2&prefix=2024/", true),
            ("GET", "/logs?versions", false),
            ("GET", "/other?list-type=2", false),
            ("POST", "/logs/a?uploads", true),
            ("PUT", "/logs/a?partNumber=1&uploadId=x", true),
            ("POST", "/logs/a?uploadId=x", true),
            ("POST", "/other/a?uploads", false),
            ("PUT", "/other/a?partNumber=1&uploadId=x", false),
            ("POST", "/other/a?uploadId=x", false),
            ("DELETE", "/logs/a?uploadId=x", false),
            ("GET", "/logs/a?acl", false),
            ("GET", "/logs/a?versionId=1", false),
            ("GET", "/", false),
            ("GET", "/logs%2fa", true),
            ("GET", "/%6cogs/a", true),
            ("GET", "/other/../logs/a", false),
            ("GET", "/LOGS/a", false),
        ] {
            let body = if method == "POST" || method == "PUT" { "<x/>" } else { "" };
            let mut call = ask(method, target).header("Host", host);
            if !body.is_empty() {
                call = call.body(body);
            }
            let response = gateway.call(&call);
            let status = if passes { 200 } else { 403 };
            assert_eq!(response.status, status, "{method} {target}: {}", response.text());
        }
    }
}

/// A caller may neither hide a name from a ban nor borrow one for leave.
#[test]
fn names_that_nobody_knows_are_not_allowed_by_accident() {
    let upstream = Upstream::ok();
    let rules = "allow = ['list*', 'deployVirtualMachine']\ndeny = ['*secretly*']";
    let gateway = Gateway::with(&with_rules(&every_scheme(&upstream), "cloud", rules));
    for (command, code) in [
        ("listUsers", ""),
        ("deployVirtualMachine", ""),
        ("listSomethingNew", "operation-not-allowed"),
        ("LISTUSERS", "operation-not-allowed"),
        ("listUsers%20", "operation-not-allowed"),
        ("list*", "operation-not-allowed"),
        ("listSecretlyNew", "operation-denied"),
        ("destroyVirtualMachine", "operation-not-allowed"),
    ] {
        let response = gateway.call(&ask("GET", &format!("/client/api?command={command}")));
        assert_eq!(response.error(), code, "{command}: {}", response.text());
    }
    // In a form body as in the query.
    let form = ask("POST", "/client/api").form("command=destroyVirtualMachine&id=1");
    gateway.call(&form).refused(403, "operation-not-allowed");
}

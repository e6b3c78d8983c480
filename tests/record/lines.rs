//! Intents and outcomes of sent, refused, failed and abandoned calls.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::lines_of;
use crate::support::*;

fn s3(upstream: &Upstream, lines: &str) -> String {
    let url = format!("\"{}\"", upstream.url());
    let sign = "s3-v4 = { credential = \"key\", region = \"eu-central-1\" }";
    route("store", "host = \"s3.internal\"", &url, sign).replace("secrets", &format!("{lines}\nsecrets"))
}

fn put() -> Ask {
    ask("PUT", "/logs/2024/a%20b?uploadId=u1&partNumber=7").header("Host", "s3.internal").body("body")
}

#[test]
fn a_call_that_changes_something_has_two_lines() {
    let upstream = Upstream::answering(|_| answer(200, &[("x-amz-request-id", "UP-1")], b"stored"));
    let gateway = Gateway::with(&s3(&upstream, ""));
    let response = gateway.call(&put().header("User-Agent", "job/1.2"));
    response.passed(200);
    let (intent, outcome) = lines_of(&gateway, &response);
    let intent = intent.expect("an intent");
    for line in [&intent, &outcome] {
        let expected = json!({
            "eventVersion": "1.0", "eventType": "ActivityLog", "eventCategory": "ActivityAuditLog", "eventSource": "s3",
            "eventName": "UploadPart", "awsRegion": "eu-central-1", "sourceIPAddress": "127.0.0.1", "userAgent": "job/1.2",
            "readOnly": false, "userIdentity": { "type": "Anonymous" }, "resources": [{ "name": "logs/2024/a b" }],
            "requestParameters": {
                "bucketName": "logs", "key": "2024/a b", "uploadId": "u1", "partNumber": "7",
            },
        });
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(&line[name], value, "{name}");
        }
        assert_eq!(line["eventTime"], outcome["eventTime"]);
        assert!(line.get("errorCode").is_none() && line.get("errorMessage").is_none());
        let ours = &line["additionalEventData"];
        let expected = json!({
            "route": "store", "operation": "s3:PutObject", "credential": "key", "accessKeyId": "AKCANARYID0000000001",
            "scheme": "s3-v4", "decision": "allow", "upstream": upstream.url(), "method": "PUT",
        });
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(&ours[name], value, "{name}");
        }
    }
    assert_ne!(intent["eventID"], outcome["eventID"]);
    let ours = &outcome["additionalEventData"];
    let expected = json!({
        "status": 200, "upstreamStatus": 200, "bytesIn": 4, "bytesOut": 6, "upstreamRequestId": "UP-1", "attempts": 1,
        "ended": "complete",
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&ours[name], value, "{name}");
        assert!(intent["additionalEventData"].get(name).is_none(), "an intent knows no {name}");
    }
    for name in ["queueMs", "signUs", "firstByteMs", "totalMs"] {
        assert!(
            ours[name].as_f64().is_some_and(|time| (0.0..60_000_000.0).contains(&time)),
            "{name}: {ours}"
        );
    }
    assert!(ours["totalMs"].as_f64() >= ours["firstByteMs"].as_f64());
}

/// What was signed, recomputed from what arrived.
#[test]
fn the_digest_is_of_what_was_signed() {
    let upstream = Upstream::ok();
    let url = format!("\"{}\"", upstream.url());
    let gateway = Gateway::with(&route(
        "cloud",
        "path = \"/client/api\"",
        &url,
        "cloudstack = { credential = \"key\" }",
    ));
    let response = gateway.call(&ask("GET", "/client/api?command=listUsers&Keyword=A%20b"));
    response.passed(200);
    let request = upstream.take().remove(0);
    let mut fields: Vec<String> = request
        .query()
        .unwrap()
        .split('&')
        .filter(|field| !field.starts_with("signature="))
        .map(str::to_owned)
        .collect();
    fields.sort();
    let digest = Sha256::digest(fields.join("&").to_ascii_lowercase());
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let (_, outcome) = lines_of(&gateway, &response);
    assert_eq!(outcome["additionalEventData"]["stringToSignSha256"], digest);
}

#[test]
fn a_read_has_one_line_and_unknown_calls_have_two() {
    let upstream = Upstream::ok();
    let url = format!("\"{}\"", upstream.url());
    let cloud = route("cloud", "path = \"/client/api\"", &url, "cloudstack = { credential = \"key\" }");
    let gateway = Gateway::with(&cloud);
    for (command, reads) in
        [("listUsers", true), ("startVirtualMachine", false), ("frobnicateTheCloud", false)]
    {
        let response = gateway.call(&ask("GET", &format!("/client/api?command={command}")));
        response.passed(200);
        let (intent, outcome) = lines_of(&gateway, &response);
        assert_eq!(intent.is_none(), reads, "{command}");
        assert_eq!(outcome["readOnly"], reads, "{command}");
        assert_eq!((&outcome["eventSource"], &outcome["eventName"]), (&json!("cloudstack"), &json!(command)));
    }
}

/// Refused before anything was sent, with all that was known.
#[test]
fn refused_calls_are_recorded_like_signed_ones() {
    let upstream = Upstream::ok();
    let gateway = Gateway::with(&s3(&upstream, "deny = [\"s3:PutObject\"]"));
    let response = gateway.call(&put());
    response.refused(403, "operation-denied");
    let (intent, outcome) = lines_of(&gateway, &response);
    assert_eq!(intent, None, "nothing was about to be sent");
    let ours = &outcome["additionalEventData"];
    assert_eq!(outcome["errorCode"], "operation-denied");
    assert!(outcome["errorMessage"].as_str().unwrap().contains("s3:PutObject"), "{outcome}");
    assert_eq!(outcome["requestParameters"]["key"], "2024/a b");
    assert_eq!(outcome["resources"], json!([{ "name": "logs/2024/a b" }]));
    assert_eq!((&ours["decision"], &ours["rule"]), (&json!("deny"), &json!("s3:PutObject")));
    assert_eq!((&ours["status"], &ours["attempts"]), (&json!(403), &json!(0)));
    for name in ["upstreamStatus", "signUs", "firstByteMs", "stringToSignSha256", "upstreamRequestId"] {
        assert!(ours.get(name).is_none(), "{name}: {ours}");
    }

    // What gets nowhere at all is told from what a route knew.
    let response = gateway.call(&ask("GET", "/x").header("Host", "other.internal"));
    let (_, outcome) = lines_of(&gateway, &response);
    assert_eq!(outcome["userIdentity"], json!({ "type": "Unknown" }));
    assert!(outcome["additionalEventData"].get("route").is_none());
    assert_eq!(upstream.connections(), 0);
}

#[test]
fn errors_of_the_upstream_have_its_code_and_no_words() {
    for (body, headers, code) in [
        ("<Error><Code>NoSuchKey</Code><Message>secret words</Message></Error>", vec![], json!("NoSuchKey")),
        ("{\"__type\":\"com.amazon#AccessDenied\"}", vec![], json!("AccessDenied")),
        ("{\"x\":{\"errorcode\":431,\"errortext\":\"words\"}}", vec![], json!("431")),
        ("<Code>no code, a sentence</Code>", vec![], Value::Null),
        ("<Code>NoSuchKey</Code>", vec![("content-encoding", "gzip")], Value::Null),
        ("not found", vec![], Value::Null),
    ] {
        let told = answer(404, &headers, body.as_bytes());
        let upstream = Upstream::answering(move |_| told.clone());
        let gateway = Gateway::with(&s3(&upstream, ""));
        let response = gateway.call(&ask("GET", "/b/k").header("Host", "s3.internal"));
        assert_eq!(response.status, 404);
        let (_, outcome) = lines_of(&gateway, &response);
        assert_eq!(outcome.get("errorCode").cloned().unwrap_or_default(), code, "{body}");
        assert!(outcome.get("errorMessage").is_none(), "{body}");
        assert_eq!(outcome["additionalEventData"]["upstreamStatus"], 404);
    }
}

/// An upstream that nobody can reach: the intent was there before, the outcome says what became of it.
#[test]
fn calls_that_fail_on_the_way_have_both_lines() {
    let upstream = Upstream::ok();
    let routes = s3(&upstream, "").replace(&upstream.url(), "http://127.0.0.1:1");
    let gateway = Gateway::with(&routes);
    let response = gateway.call(&put());
    let (intent, outcome) = lines_of(&gateway, &response);
    assert!(intent.is_some());
    assert_eq!(response.status, 502);
    assert_eq!(outcome["errorCode"], json!(response.headers.one("x-countersign-error").unwrap()));
    assert_eq!(outcome["additionalEventData"]["attempts"], 1);
}

/// A redirect to the upstream is leave to change something there.
#[test]
fn handing_over_has_an_intent_before_the_url_is_given() {
    let upstream = Upstream::ok();
    let gateway = Gateway::with(&s3(&upstream, "hand-over = \"redirect\"\nhand-over-from = \"1KiB\""));
    let ask = ask("PUT", "/logs/big")
        .header("Host", "s3.internal")
        .header("Expect", "100-continue")
        .header("Content-Length", "4096");
    let response = gateway.call(&ask);
    assert_eq!(response.status, 307, "{}", response.text());
    let (intent, outcome) = lines_of(&gateway, &response);
    assert!(intent.is_some());
    assert_eq!(outcome["additionalEventData"]["ended"], "handed-over");
}

/// The upstream sees nothing before the intent of a call stands in the record.
#[test]
fn intents_are_written_before_anything_is_sent() {
    let upstream = Upstream::answering(|_| {
        std::thread::sleep(std::time::Duration::from_millis(300));
        answer(200, &[], b"late")
    });
    // In a file, which says what is written and not what a reader has come to.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.jsonl");
    let routes = format!("[audit]\nfile = \"{}\"\n{}", file.display(), s3(&upstream, ""));
    let gateway = Gateway::with(&routes);
    let written = |kind: &str| {
        let text = std::fs::read_to_string(&file).unwrap();
        // Of a line that is being written, the end is not there yet.
        let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        let lines = lines.map(|line| serde_json::from_str(line).unwrap());
        lines.filter(|line: &Value| line["additionalEventData"]["record"] == kind).collect::<Vec<_>>()
    };
    let mut caller = gateway.connect();
    caller.send(b"PUT /b/k HTTP/1.1\r\nHost: s3.internal\r\nContent-Length: 1\r\n\r\nx");
    upstream.wait_for(1);
    let lines = (written("intent").len(), written("outcome").len());
    assert_eq!(lines, (1, 0), "while the upstream still works on it");
    drop(caller);
    eventually("the outcome is written", || written("outcome").len() == 1);
    let outcome = &written("outcome")[0]["additionalEventData"];
    assert_eq!((&outcome["status"], &outcome["ended"]), (&Value::Null, &json!("caller-left")));
}

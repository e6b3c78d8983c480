use super::*;
use crate::audit::parameters::{Family, Hasher};

#[test]
fn the_fields_and_their_order_are_those_of_the_definition() {
    let pairs: [(&[u8], &[u8]); 1] = [(b"zoneid", b"1")];
    let parameters = Parameters::of(Family::Cloudstack, pairs, &Hasher::random());
    let event = Event {
        kind: Kind::Outcome,
        time: Timestamp::constant(1_795_253_400, 123_456_000),
        request_id: "id",
        source: "cloudstack",
        name: "deployVirtualMachine",
        region: Some("eu-central-1"),
        source_ip: "unix:uid=1000",
        user_agent: Some("curl/8"),
        identity: Identity {
            kind: IdentityType::Client,
            name: Some("billing-cron"),
            proof: Some("unix-user"),
            access_key: Some("LOCALBACKUP01"),
        },
        read_only: false,
        parameters: Some(&parameters),
        resources: &["bucket/key"],
        error_code: Some("operation-denied"),
        error_message: Some("no"),
        additional: Additional {
            route: Some("cloud"),
            operation: Some("deployVirtualMachine"),
            credential: Some("cloud-lab"),
            access_key: Some("AK"),
            scheme: Some("cloudstack"),
            decision: Some(Decision::Deny),
            rule: Some("deploy*"),
            cause: Some("c"),
            upstream: Some("https://cloud.lab.example"),
            method: Some("GET"),
            status: Some(200),
            upstream_status: Some(201),
            bytes_in: Some(0),
            bytes_out: Some(512),
            queue_ms: Some(0.1),
            sign_us: Some(12),
            first_byte_ms: Some(12.3),
            total_ms: Some(13.1),
            upstream_request_id: Some("u"),
            attempts: Some(1),
            polls: Some(2),
            ended: Some("complete"),
            string_to_sign: Some("abc"),
            trace: Some("4bf9"),
            asks: &["deploy*".to_owned()],
        },
    };
    let line = event.json();
    let id = line.split("\"eventID\":\"").nth(1).and_then(|rest| rest.get(..36)).unwrap_or_default();
    assert_eq!(uuid::Uuid::parse_str(id).map(|id| id.get_version_num()).ok(), Some(7));
    let expected = concat!(
        r#"{"eventVersion":"1.0","eventTime":"2026-11-21T09:30:00.123456Z","eventID":"","requestID":"id","#,
        r#""eventType":"ActivityLog","eventCategory":"ActivityAuditLog","eventSource":"cloudstack","#,
        r#""eventName":"deployVirtualMachine","awsRegion":"eu-central-1","sourceIPAddress":"unix:uid=1000","#,
        r#""userAgent":"curl/8","userIdentity":{"type":"Client","userName":"billing-cron","proof":"unix-user","#,
        r#""accessKeyId":"LOCALBACKUP01"},"readOnly":false,"requestParameters":{"zoneid":"1"},"#,
        r#""resources":[{"name":"bucket/key"}],"errorCode":"operation-denied","errorMessage":"no","#,
        r#""additionalEventData":{"record":"outcome","route":"cloud","operation":"deployVirtualMachine","#,
        r#""credential":"cloud-lab","accessKeyId":"AK","scheme":"cloudstack","decision":"deny","rule":"deploy*","#,
        r#""cause":"c","upstream":"https://cloud.lab.example","method":"GET","status":200,"upstreamStatus":201,"#,
        r#""bytesIn":0,"bytesOut":512,"queueMs":0.1,"signUs":12,"firstByteMs":12.3,"totalMs":13.1,"#,
        r#""upstreamRequestId":"u","attempts":1,"polls":2,"ended":"complete","stringToSignSha256":"abc","traceId":"4bf9","#,
        r#""asks":["deploy*"]}}"#,
    );
    assert_eq!(line.replace(id, ""), expected);
}

#[test]
fn the_least_event_has_what_readers_need() {
    let value: serde_json::Value = serde_json::from_str(&Event::default().json()).unwrap_or_default();
    assert_eq!(value["userIdentity"]["type"], "Unknown");
    assert_eq!(value["readOnly"], false);
    assert_eq!(value["additionalEventData"]["record"], "outcome");
    assert!(value["additionalEventData"].get("decision").is_none() && value.get("resources").is_none());
}

#[test]
fn no_event_is_longer_than_readers_take() {
    // As long as texts can be, of characters whose escapes are longest.
    let long = "\u{1f600}".repeat(5_000);
    let resource = "\u{1}".repeat(1_024);
    let texts = vec![resource.as_str(); 1_000];
    let asks = vec![resource.clone(); 1_000];
    // Keys of S3 may hold anything, and are shown.
    let key = "\u{1}".repeat(1_024);
    let pairs = vec![(&b"key"[..], key.as_bytes()); 100];
    let parameters = Parameters::of(Family::S3, pairs, &Hasher::random());
    let event = Event {
        request_id: &long,
        source: &long,
        name: &long,
        user_agent: Some(&long),
        parameters: Some(&parameters),
        resources: &texts,
        error_message: Some(&long),
        additional: Additional {
            rule: Some(&long),
            cause: Some(&long),
            asks: &asks,
            ..Additional::default()
        },
        ..Event::default()
    };
    let line = event.json();
    assert!(line.len() < 1 << 20, "{}", line.len());
    let value: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
    let listed = value["resources"].as_array().map_or(0, Vec::len) as u64;
    assert_eq!((listed, &value["additionalEventData"]["resourcesOmitted"]), (64, &(1_000 - 64).into()));
    assert_eq!(value["additionalEventData"]["asks"].as_array().map(Vec::len), Some(16));
    assert_eq!(value["additionalEventData"]["asksOmitted"], 1_000 - 16);
}

//! Which parameters stand in the record, of every protocol.

use serde_json::{Value, json};

use crate::lines_of;
use crate::support::*;

/// The parameters of one call in its outcome, whether it passed or not.
#[track_caller]
fn parameters(gateway: &Gateway, ask: &Ask) -> Value {
    lines_of(gateway, &gateway.call(ask)).1["requestParameters"].clone()
}

#[track_caller]
fn assert_hashed(value: &Value, length: usize) {
    assert_eq!(value["length"], length, "{value}");
    let hash = value["hash"].as_str().unwrap();
    assert!(hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{value}");
    assert_eq!(value.as_object().unwrap().len(), 2, "{value}");
}

#[test]
fn every_protocol_shows_ids_and_hides_the_rest() {
    let upstream = Upstream::ok();
    let gateway = Gateway::with(&every_scheme(&upstream));
    let found = parameters(
        &gateway,
        &ask("POST", "/client/api?command=deployVirtualMachine&response=json")
            .form("zoneId=2f6a-1&name=web-1&userdata=I2Nsb3Vk&apikey=MINE&signature=mine"),
    );
    assert_eq!((&found["command"], &found["zoneId"]), (&json!("deployVirtualMachine"), &json!("2f6a-1")));
    assert_hashed(&found["name"], 5);
    assert_hashed(&found["userdata"], 8);
    assert_eq!(found.as_object().unwrap().len(), 5, "nothing of the caller's own signature: {found}");

    let put = ask("PUT", "/zstack/v1/vm-instances/0123456789abcdef0123456789abcdef/actions")
        .header("Content-Type", "application/json")
        .body("{\"changeVmPassword\":{\"password\":\"canary\",\"uuid\":\"0123\",\"count\":2,\"on\":true}}");
    let found = parameters(&gateway, &put);
    assert_eq!(found["changeVmPassword.uuid"], "0123");
    assert_eq!(found["changeVmPassword.count"], "2");
    assert_hashed(&found["changeVmPassword.password"], 6);
    assert_hashed(&found["changeVmPassword.on"], 4);
    let found = parameters(&gateway, &ask("GET", "/zstack/v1/vm-instances?limit=3&q=name=web"));
    assert_eq!(found["limit"], "3");
    assert_hashed(&found["q"], 8);

    let found = parameters(
        &gateway,
        &ask("GET", "/logs/?list-type=2&prefix=2024%2F&X-Amz-Foo=bar").header("Host", "ceph.internal"),
    );
    assert_eq!(found["bucketName"], "logs");
    assert_eq!((&found["list-type"], &found["prefix"]), (&json!("2"), &json!("2024/")));
    assert_hashed(&found["X-Amz-Foo"], 3);

    let found = parameters(
        &gateway,
        &ask("POST", "/sqs/").form("Action=SendMessage&Version=2012-11-05&MessageBody=hello"),
    );
    assert_eq!((&found["Action"], &found["Version"]), (&json!("SendMessage"), &json!("2012-11-05")));
    assert_hashed(&found["MessageBody"], 5);
}

/// Equal values have equal hashes, so that an auditor can follow one; under a key of one's own, after a restart too.
#[test]
fn hashes_tell_equal_values_from_others() {
    let upstream = Upstream::ok();
    let key = "a key of the record, long enough";
    let start = |key: Option<&str>| {
        let mut setup = Setup::routes(&every_scheme(&upstream));
        if let Some(key) = key {
            setup = setup.environment("RECORD_KEY", key).text("[audit]\nkey = { env = \"RECORD_KEY\" }");
        }
        setup.start()
    };
    let hash = |gateway: &Gateway, value: &str| {
        let call = ask("GET", &format!("/client/api?command=listUsers&keyword={value}"));
        parameters(gateway, &call)["keyword"]["hash"].clone()
    };
    let (one, two) = (start(Some(key)), start(Some(key)));
    assert_eq!(hash(&one, "alice"), hash(&one, "alice"));
    assert_ne!(hash(&one, "alice"), hash(&one, "bob"));
    assert_eq!(hash(&one, "alice"), hash(&two, "alice"));
    let (three, four) = (start(None), start(None));
    assert_ne!(hash(&three, "alice"), hash(&four, "alice"), "without a key, of one run only");
}

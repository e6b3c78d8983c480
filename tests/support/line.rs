//! Lines of the record, as tests read them: one flat object for a call's outcome.

use serde_json::{Map, Value};

/// The flat form of an outcome's line; none of any other line. Texts that are absent are left out, but for those that
/// tests look for in every call.
pub fn flat(line: &Value) -> Option<Value> {
    let ours = &line["additionalEventData"];
    if ours["record"] != "outcome" {
        return None;
    }
    let who = &line["userIdentity"];
    let client = match who["type"].as_str().unwrap() {
        "Client" => who["userName"].clone(),
        "Anonymous" => "anonymous".into(),
        "Unknown" => "".into(),
        other => panic!("{other} is no type of an identity"),
    };
    let resource = &line["resources"][0]["name"];
    // An error of the gateway's own says what it means; one of the upstream's is not looked for here.
    let own = line.get("errorMessage").map_or(&Value::Null, |_| &line["errorCode"]);
    let ended = Some(&ours["ended"]).filter(|ended| *ended != "complete").unwrap_or(&Value::Null);
    let mut out = Map::new();
    for (name, value, otherwise) in [
        ("time", &line["eventTime"], None),
        ("request-id", &line["requestID"], None),
        ("source", &line["sourceIPAddress"], None),
        ("client", &client, None),
        ("proof", &who["proof"], None),
        ("local-key", &who["accessKeyId"], None),
        ("route", &ours["route"], Some(Value::from(""))),
        ("scheme", &ours["scheme"], Some("".into())),
        ("credential", &ours["credential"], Some("".into())),
        ("operation", &ours["operation"], Some("".into())),
        ("resource", resource, None),
        ("decision", &ours["decision"], None),
        ("rule", &ours["rule"], None),
        ("asks", &ours["asks"], None),
        ("method", &ours["method"], None),
        ("status", &ours["status"], Some(0.into())),
        ("error", own, None),
        ("cause", &ours["cause"], None),
        ("ended", ended, None),
        ("polls", &ours["polls"], None),
        ("trace-id", &ours["traceId"], None),
        ("bytes-in", &ours["bytesIn"], None),
        ("bytes-out", &ours["bytesOut"], None),
        ("sign-us", &ours["signUs"], Some(0.into())),
        ("upstream-ms", &ours["firstByteMs"], Some(0.0.into())),
        ("duration-ms", &ours["totalMs"], None),
    ] {
        let value = if value.is_null() { otherwise } else { Some(value.clone()) };
        if let Some(value) = value {
            out.insert(name.to_owned(), value);
        }
    }
    Some(out.into())
}

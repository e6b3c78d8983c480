#![allow(clippy::unwrap_used)]

use super::*;
use crate::target::parameters;

const ID: &str = "0123456789abcdef0123456789abcdef";

fn named(method: &str, path: &str, body: &str) -> Result<Operation, Reason> {
    let path = path.replace("ID", ID);
    let (path, query) = path.split_once('?').unwrap_or((&path, ""));
    let query = parameters(query, 100).unwrap();
    zstack(&Call { method, path, query: &query, body: body.as_bytes() })
}

#[test]
fn the_tables_are_sorted_and_complete() {
    assert!(CALLS.is_sorted_by(|(a, ..), (b, ..)| a < b));
    assert!(ACTIONS.is_sorted_by(|(a, _), (b, _)| a < b));
    for (path, collection, item) in CALLS {
        assert!(path.starts_with("/v1/") && !(collection.is_empty() && item.is_empty()), "{path}");
        for method in collection.split_whitespace().chain(item.split_whitespace()) {
            assert!(["GET", "POST", "DELETE"].contains(&method), "{path}");
        }
    }
    for (path, keys) in ACTIONS {
        assert!(path.starts_with("/v1/") && !keys.is_empty() && keys.is_sorted_by(|a, b| a < b), "{path}");
    }
    let calls: usize =
        CALLS.iter().map(|(_, a, b)| a.split_whitespace().chain(b.split_whitespace()).count()).sum();
    let actions: usize = ACTIONS.iter().map(|(_, keys)| keys.len()).sum();
    assert!(calls > 700 && actions > 350, "{calls} {actions}");
}

#[test]
fn calls_are_named_by_method_and_path() {
    for (method, path, name, access, tier) in [
        ("GET", "/v1/vm-instances", "GET /v1/vm-instances", Access::Read, Tier::None),
        ("GET", "/v1/vm-instances/ID", "GET /v1/vm-instances/{uuid}", Access::Read, Tier::None),
        (
            "GET",
            "/v1/vm-instances/01234567-89ab-cdef-0123-456789abcdef",
            "GET /v1/vm-instances/{uuid}",
            Access::Read,
            Tier::None,
        ),
        ("POST", "/v1/vm-instances", "POST /v1/vm-instances", Access::Write, Tier::Material),
        ("DELETE", "/v1/vm-instances/ID", "DELETE /v1/vm-instances/{uuid}", Access::Write, Tier::None),
        ("GET", "/v1/zones/ID/", "GET /v1/zones/{uuid}/", Access::Unknown, Tier::None),
        ("GET", "/v1/zones/a", "GET /v1/zones/a", Access::Unknown, Tier::None),
        (
            "GET",
            "/v1/vm-instances/ID/actions",
            "GET /v1/vm-instances/{uuid}/actions",
            Access::Unknown,
            Tier::None,
        ),
        ("GET", "/v1/accounts/login", "GET /v1/accounts/login", Access::Unknown, Tier::Keys),
        ("POST", "/v1/accounts/login", "POST /v1/accounts/login", Access::Unknown, Tier::Keys),
        ("POST", "/v1/accesskeys", "POST /v1/accesskeys", Access::Write, Tier::Keys),
        ("GET", "/v1/accesskeys/ID", "GET /v1/accesskeys/{uuid}", Access::Read, Tier::Keys),
        ("GET", "/v1/api-jobs/ID", "GET /v1/api-jobs/{uuid}", Access::Read, Tier::Material),
        ("GET", "/v1/hosts?q=password%7E%3Da%25", "GET /v1/hosts", Access::Read, Tier::Keys),
        ("GET", "/v1/zql?zql=query+accesskey", "GET /v1/zql", Access::Read, Tier::Keys),
        (
            "GET",
            "/v1/resource-configurations/kvm/x.y/ID",
            "GET /v1/resource-configurations/kvm/x.y/{uuid}",
            Access::Read,
            Tier::Material,
        ),
        ("GET", "/v1/new-things", "GET /v1/new-things", Access::Unknown, Tier::None),
    ] {
        let operation = named(method, path, "").unwrap();
        assert_eq!((&*operation.ask.name, operation.access, operation.tier), (name, access, tier), "{path}");
        assert!(operation.further.is_empty());
    }
}

#[test]
fn actions_are_named_by_the_body() {
    let vm = "/v1/vm-instances/ID/actions";
    for (path, body, name, access, tier) in [
        (vm, r#"{"startVmInstance":{}}"#, "startVmInstance", Access::Write, Tier::None),
        (
            vm,
            r#"{"systemTags":[],"st\u0061rtVmInstance":{},"userTags":[]}"#,
            "startVmInstance",
            Access::Write,
            Tier::None,
        ),
        (
            vm,
            "{\r\n \"setVmConsolePassword\" : { \"a\": [1, {\"a\": 1}] } }\n",
            "setVmConsolePassword",
            Access::Write,
            Tier::Material,
        ),
        ("/v1/accounts/login", r#"{"logInByAccount":{}}"#, "logInByAccount", Access::Write, Tier::Keys),
        ("/v1/accounts/login", "{}", "logInByAccount", Access::Write, Tier::Keys),
        ("/v1/accounts/login", "", "logInByAccount", Access::Write, Tier::Keys),
        ("/v1/management-nodes/actions", r#"{"getVersion":{}}"#, "getVersion", Access::Read, Tier::None),
        (
            "/v1/global-configurations/kvm/a.b/actions",
            r#"{"updateGlobalConfig":{}}"#,
            "updateGlobalConfig",
            Access::Write,
            Tier::Material,
        ),
        (vm, "{}", "PUT /v1/vm-instances/{uuid}/actions", Access::Unknown, Tier::None),
        (vm, r#"{"params":{}}"#, "PUT /v1/vm-instances/{uuid}/actions", Access::Unknown, Tier::None),
    ] {
        let operation = named("PUT", path, body).unwrap();
        assert_eq!(
            (&*operation.ask.name, operation.access, operation.tier),
            (name, access, tier),
            "{path} {body}"
        );
        assert!(operation.further.is_empty(), "{path} {body}");
    }
}

#[test]
fn an_action_away_from_its_path_asks_for_both() {
    for (path, key) in [
        ("/v1/vm-instances/ID/actions", "expungeEverything"),
        ("/v1/vm-instances/ID/actions", "startvminstance"),
        ("/v1/zones/ID/actions", "startVmInstance"),
        ("/v1/new/ID/actions", "startVmInstance"),
    ] {
        let operation = named("PUT", path, &format!("{{\"{key}\":{{}}}}")).unwrap();
        let template = format!("PUT {}", path.replace("ID", "{uuid}"));
        assert_eq!(operation.asks().map(|ask| &*ask.name).collect::<Vec<_>>(), [key, &template]);
        assert_eq!(operation.access, Access::Unknown);
    }
}

#[test]
fn bodies_with_two_readings_are_refused() {
    let vm = "/v1/vm-instances/ID/actions";
    for body in [
        r#"{"startVmInstance":{},"stopVmInstance":{}}"#,
        r#"{"startVmInstance":{},"x":1}"#,
        r#"{"startVmInstance":{},"startVmInstance":{}}"#,
        r#"{"startVmInstance":{},"st\u0061rtVmInstance":{}}"#,
        r#"{"systemTags":[],"systemTags":[],"startVmInstance":{}}"#,
        r#"{"startVmInstance":{}} x"#,
        r#"{"startVmInstance":{}}{"stopVmInstance":{}}"#,
        r"{'startVmInstance':{}}",
        r"{startVmInstance:{}}",
        r#"{"startVmInstance":{},}"#,
        r#"/* a */{"startVmInstance":{}}"#,
        "[]",
        "\"startVmInstance\"",
        "null",
        "{",
        "\u{feff}{\"startVmInstance\":{}}",
    ] {
        assert!(matches!(named("PUT", vm, body), Err(Reason::BadBody(_))), "{body}");
    }
    assert!(named("PUT", "/v1/accounts/login", r#"{"startVmInstance":{}}"#).is_err());
    let invalid = Call { method: "PUT", path: "/v1/x", query: &[], body: b"{\"a\xff\":{}}" };
    assert!(zstack(&invalid).is_err());
}

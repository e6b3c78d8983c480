//! CloudStack on the wire: methods, values that encoders differ on, and parameters that must not arrive.

use std::collections::BTreeMap;

use crate::support::naive::{self, Keys};
use crate::support::{Ask, Gateway, Request, Upstream, ask};
use crate::with_route;

const ROUTE: &str = "[routes.cloud]\nmatch = { path = \"/client/api\" }\nupstream = \"URL\"\nsecrets = \"allow\"\n\
    sign.cloudstack = { credential = \"key\" }\n";

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Sends a request, which must arrive and verify; gives it and its parameters.
#[track_caller]
fn sent(gateway: &Gateway, upstream: &Upstream, ask: &Ask) -> (Request, BTreeMap<String, String>) {
    gateway.call(ask).passed(200);
    let requests = upstream.take();
    assert_eq!(requests.len(), 1);
    let parameters = naive::cloudstack(&requests[0], &Keys::default()).unwrap();
    (requests[0].clone(), parameters)
}

#[test]
fn values_that_encoders_differ_on_verify() {
    let upstream = Upstream::ok();
    let gateway = with_route(&upstream, ROUTE);
    let long = "x".repeat(4000);
    let long_query = format!("v={long}");
    let cases: &[(&str, &[(&str, &str)])] = &[
        ("v=*", &[("v", "*")]),
        ("v=%2a%2A", &[("v", "**")]),
        ("v=~x%7Ey", &[("v", "~x~y")]),
        ("v=1%2B2", &[("v", "1+2")]),
        ("v=1+2%203", &[("v", "1 2 3")]),
        ("v=a/b?c:d@e!f$g'h(i)j,k;l", &[("v", "a/b?c:d@e!f$g'h(i)j,k;l")]),
        ("v=%5B%5D%7B%7D%22%3C%3E%5C%5E%60%7C", &[("v", "[]{}\"<>\\^`|")]),
        ("tags%5B0%5D.key=Env&tags%5B0%5D.value=a*b", &[("tags[0].key", "Env"), ("tags[0].value", "a*b")]),
        ("tags[0].key=Env&tags[1].key=~", &[("tags[0].key", "Env"), ("tags[1].key", "~")]),
        ("v=%C3%89t%C3%A9%20%E4%B8%AD%F0%9F%98%80", &[("v", "Été 中😀")]),
        ("v=%c3%89", &[("v", "É")]),
        ("v=-----BEGIN%0Aline%0D%0A-----END%0A", &[("v", "-----BEGIN\nline\r\n-----END\n")]),
        ("v=", &[("v", "")]),
        ("v", &[("v", "")]),
        ("v=a=b==", &[("v", "a=b==")]),
        ("v=a%26b%3Dc", &[("v", "a&b=c")]),
        ("v=100%25", &[("v", "100%")]),
        ("v=%00", &[("v", "\0")]),
        (
            "Zeta=1&alpha=2&a=3&aB=4&a-b=5&a.b=6&a_b=7&A1=8",
            &[
                ("Zeta", "1"),
                ("alpha", "2"),
                ("a", "3"),
                ("aB", "4"),
                ("a-b", "5"),
                ("a.b", "6"),
                ("a_b", "7"),
                ("A1", "8"),
            ],
        ),
        (
            "n%C3%A4me=x&z%20z=y&%EF%BD%9A=1&%F0%9F%98%80=2",
            &[("n\u{e4}me", "x"), ("z z", "y"), ("\u{ff5a}", "1"), ("\u{1f600}", "2")],
        ),
        (&long_query, &[("v", &long)]),
    ];
    for (query, expected) in cases {
        let mut expected = map(expected);
        expected.extend(map(&[("command", "listUsers"), ("response", "json")]));
        let target = format!("/client/api?command=listUsers&{query}&response=json");
        let (request, parameters) = sent(&gateway, &upstream, &ask("GET", &target));
        assert_eq!((request.method.as_str(), request.path()), ("GET", "/client/api"), "{query}");
        assert_eq!(parameters, expected, "{query}");
        assert!(!request.target.contains('+'), "{query}: a plus is read in two ways");

        let form = format!("command=listUsers&{query}&response=json");
        let (request, parameters) = sent(&gateway, &upstream, &ask("POST", "/client/api").form(&form));
        assert_eq!((request.method.as_str(), request.query()), ("POST", None), "{query}");
        assert_eq!(parameters, expected, "{query}");
    }
}

#[test]
fn state_changing_commands_become_a_form() {
    let upstream = Upstream::ok();
    let gateway = with_route(&upstream, ROUTE);
    let query = "command=deployVirtualMachine&name=web01&response=json";
    let in_query = format!("/client/api?{query}");
    let mixed = ask("POST", "/client/api?command=deployVirtualMachine&response=json").form("name=web01");
    let expected = map(&[("command", "deployVirtualMachine"), ("name", "web01"), ("response", "json")]);
    for call in [
        ask("GET", &in_query),
        // The legacy script: POST, everything in the query, no body at all or an empty one.
        ask("POST", &in_query),
        ask("POST", &in_query).body(""),
        ask("POST", &in_query).form(""),
        ask("POST", "/client/api").form(query),
        ask("POST", "/client/api").form(&format!("{query}\r\n")),
        ask("POST", "/client/api")
            .header("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")
            .body(query),
        mixed,
    ] {
        let (request, parameters) = sent(&gateway, &upstream, &call);
        assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/client/api"));
        assert_eq!(parameters, expected);
        let length = request.body.len().to_string();
        assert_eq!(request.headers.one("content-length"), Some(length.as_str()));
    }
}

#[test]
fn reads_keep_their_method() {
    let upstream = Upstream::ok();
    let gateway = with_route(&upstream, ROUTE);
    for command in
        ["listUsers", "queryAsyncJobResult", "getVMPassword", "findHostsForMigration", "quotaSummary"]
    {
        let target = format!("/client/api?command={command}");
        let (request, _) = sent(&gateway, &upstream, &ask("GET", &target));
        assert_eq!(
            (request.method.as_str(), request.framing),
            ("GET", super::support::message::Framing::None)
        );
        let (request, _) = sent(&gateway, &upstream, &ask("POST", &target));
        assert_eq!((request.method.as_str(), request.query()), ("POST", None));
    }
    for command in ["destroyVirtualMachine", "LISTENforever-x", "list", "updateConfiguration"] {
        let (request, _) = sent(&gateway, &upstream, &ask("GET", &format!("/client/api?command={command}")));
        assert_eq!(request.method, "POST", "{command}");
    }
}

#[test]
fn the_method_is_configurable() {
    let upstream = Upstream::ok();
    let rule = |method: &str| ROUTE.replace("\"key\"", &format!("\"key\", method = \"{method}\""));
    let keep = with_route(&upstream, &rule("keep"));
    let post = with_route(&upstream, &rule("post"));
    for (gateway, command, came, went) in [
        (&keep, "destroyVirtualMachine", "GET", "GET"),
        (&keep, "destroyVirtualMachine", "POST", "POST"),
        (&keep, "listUsers", "POST", "POST"),
        (&post, "listUsers", "GET", "POST"),
        (&post, "destroyVirtualMachine", "GET", "POST"),
    ] {
        let (request, parameters) =
            sent(gateway, &upstream, &ask(came, &format!("/client/api?command={command}&id=1")));
        assert_eq!(request.method, went, "{command} by {came}");
        assert_eq!(parameters, map(&[("command", command), ("id", "1")]));
    }
}

#[test]
fn the_callers_signature_parameters_never_arrive() {
    let upstream = Upstream::ok();
    let gateway = with_route(&upstream, ROUTE);
    let theirs = "apikey=EVIL&ApiKey=EVIL2&SIGNATURE=EVIL3&signature=EVIL4&signatureversion=2&EXPIRES=2030-01-01T00:00:00Z\
        &expires=EVIL5&sessionkey=EVIL6&SessionKey=EVIL7&%61pi%4Bey=EVIL8";
    let (request, parameters) = sent(
        &gateway,
        &upstream,
        &ask("GET", &format!("/client/api?{theirs}&command=listUsers")).header("Cookie", "JSESSIONID=EVIL9"),
    );
    assert_eq!(parameters, map(&[("command", "listUsers")]));
    assert!(!String::from_utf8_lossy(&upstream.bytes(request.connection)).contains("EVIL"));
    let form = format!("{theirs}&command=deployVirtualMachine");
    let (request, parameters) =
        sent(&gateway, &upstream, &ask("POST", "/client/api?apiKey=EVILa&expires=EVILb").form(&form));
    assert_eq!(parameters, map(&[("command", "deployVirtualMachine")]));
    assert!(!String::from_utf8_lossy(&upstream.bytes(request.connection)).contains("EVIL"));
}

#[test]
fn the_path_can_be_rewritten_and_expires_shortened() {
    let upstream = Upstream::ok();
    let gateway = with_route(
        &upstream,
        "[routes.cloud]\nmatch = { path = \"/lab\" }\nupstream = { url = \"URL\", rewrite-path = \"/client/api\" }\nsecrets = \"allow\"\n\
         sign.cloudstack = { credential = \"key\", expires = \"30s\" }\n",
    );
    let (request, _) = sent(&gateway, &upstream, &ask("GET", "/lab?command=listUsers"));
    assert_eq!(request.path(), "/client/api");
    let expires =
        request.query().unwrap().split('&').find_map(|field| field.strip_prefix("expires=")).unwrap();
    let expires = String::from_utf8(naive::decoded(expires, false).unwrap()).unwrap();
    // Thirty seconds ahead is the same minute or the next one.
    let minute = |at: i64| (at / 60 % 60).to_string();
    let written: i64 = expires[14..16].parse().unwrap();
    let now = naive::now();
    assert!([minute(now), minute(now + 31)].contains(&written.to_string()), "{expires}");
}

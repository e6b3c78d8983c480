//! Rules and limits of clients, beside those of their routes.

use crate::support::*;
use crate::{configuration, reload, with_rules};

/// Clients are told apart by their tokens here; how they prove themselves is another matter.
fn client(name: &str, lines: &str) -> String {
    format!("[clients.{name}]\ntoken = {{ env = \"TOKEN_{name}\" }}\n{lines}\n")
}

fn setup(routes: &str, clients: &[(&str, &str)]) -> Setup {
    let text: String = clients.iter().map(|(name, lines)| client(name, lines)).collect();
    let mut setup = Setup::routes(&format!("{text}{routes}"));
    for (name, _) in clients {
        setup = setup.environment(&format!("TOKEN_{name}"), &token(name));
    }
    setup
}

fn token(name: &str) -> String {
    format!("{name}-0123456789abcdef0123456789abcdef")
}

fn by(name: &str, ask: Ask) -> Ask {
    ask.header("Authorization", &format!("Bearer {}", token(name)))
}

fn s3(method: &str, target: &str) -> Ask {
    ask(method, target).header("Host", "s3.internal")
}

fn list() -> Ask {
    ask("GET", "/client/api?command=listUsers&response=json")
}

#[test]
fn route_and_client_must_both_let_pass() {
    let upstream = Upstream::ok();
    let clients = [
        ("free", ""),
        ("reader", "read-only = true"),
        ("writer", "allow = ['s3:PutObject logs/*']"),
        ("careful", "deny = ['* logs/locked*']"),
    ];
    let lines = "clients = ['free', 'reader', 'writer', 'careful']\nallow = ['@read', '@write logs/*']";
    let routes = with_rules(&every_scheme(&upstream), "s3", lines);
    let gateway = setup(&routes, &clients).start();
    for (name, method, target, code, holder) in [
        ("free", "GET", "/any/k", "", ""),
        ("free", "PUT", "/logs/k", "", ""),
        ("free", "PUT", "/any/k", "operation-not-allowed", "route `s3`"),
        ("reader", "GET", "/logs/k", "", ""),
        ("reader", "PUT", "/logs/k", "read-only", "client `reader`"),
        ("reader", "PUT", "/any/k", "read-only", "client `reader`"),
        ("writer", "PUT", "/logs/k", "", ""),
        ("writer", "GET", "/logs/k", "operation-not-allowed", "client `writer`"),
        ("writer", "PUT", "/any/k", "operation-not-allowed", "route `s3`"),
        ("careful", "GET", "/logs/k", "", ""),
        ("careful", "GET", "/logs/locked/k", "operation-denied", "client `careful`"),
        ("careful", "GET", "/logs?list-type=2", "operation-denied", "client `careful`"),
        ("careful", "GET", "/logs?list-type=2&prefix=open/", "", ""),
    ] {
        let mut call = by(name, s3(method, target));
        if method == "PUT" {
            call = call.body("x");
        }
        let response = gateway.call(&call);
        assert_eq!(response.error(), code, "{name} {method} {target}: {}", response.text());
        assert!(response.text().contains(holder), "{}", response.text());
        let record = gateway.record_of(&response);
        assert_eq!(record["client"], name);
        assert_eq!(record["decision"], if code.is_empty() { "allow" } else { "deny" });
    }
}

/// Who has not proved to be anybody is not judged, and takes nothing from anybody's limits.
#[test]
fn strangers_are_not_judged() {
    let upstream = Upstream::ok();
    let routes =
        with_rules(&every_scheme(&upstream), "cloud", "clients = ['a']\nrate = \"1/h\"\nconcurrency = 1");
    let gateway = setup(&routes, &[("a", "rate = \"1/h\"")]).start();
    for _ in 0..3 {
        let response = gateway.call(&list());
        assert_eq!(response.error(), "not-authenticated", "{}", response.text());
        assert!(gateway.record_of(&response).get("decision").is_none());
        gateway.call(&list().header("Authorization", "Bearer wrong")).refused(401, "token-unknown");
    }
    gateway.call(&by("a", list())).passed(200);
    gateway.call(&by("a", list())).refused(429, "rate-limited");
}

#[test]
fn a_client_has_one_rate_on_all_routes() {
    let upstream = Upstream::ok();
    let both = "clients = ['busy', 'calm']";
    let routes = with_rules(&every_scheme(&upstream), "cloud", &format!("{both}\nrate = \"10/h\""));
    let routes = with_rules(&routes, "s3", both);
    let clients = [("busy", "rate = \"3/h\""), ("calm", "")];
    for workers in [1, 2] {
        let gateway = setup(&routes, &clients).workers(workers).start();
        gateway.call(&by("busy", s3("GET", "/b/k"))).passed(200);
        gateway.call(&by("busy", list())).passed(200);
        gateway.call(&by("busy", list())).passed(200);
        for _ in 0..20 {
            gateway.call(&by("busy", list())).refused(429, "rate-limited");
        }
        gateway.call(&by("busy", s3("GET", "/b/k"))).refused(429, "rate-limited");
        // What the client was refused took nothing from the route: two of its ten are used.
        for _ in 0..8 {
            gateway.call(&by("calm", list())).passed(200);
        }
        gateway.call(&by("calm", list())).refused(429, "rate-limited");
        gateway.call(&by("calm", s3("GET", "/b/k"))).passed(200);
        // On an open route nobody is a client.
        gateway.call(&ask("GET", "/zstack/v1/zones")).passed(200);
        let text = configuration(&gateway);
        reload(&gateway, &text.replace("[routes.zstack]\n", "[routes.zstack]\nread-only = true\n"));
        gateway.call(&by("busy", s3("GET", "/b/k"))).refused(429, "rate-limited");
    }
}

#[test]
fn a_client_has_its_own_places() {
    let upstream = Upstream::scripted(|talk| {
        while let Some(request) = talk.request() {
            if request.target.contains("hold") {
                talk.write(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nhe");
                talk.drain();
                return;
            }
            talk.write(&answer(200, &[], b"ok"));
        }
    });
    let routes = with_rules(&every_scheme(&upstream), "cloud", "clients = ['one', 'other']\nconcurrency = 2");
    let gateway = setup(&routes, &[("one", "concurrency = 1"), ("other", "")]).start();
    let mut held = gateway.connect();
    let hold = ask("GET", "/client/api?command=listUsers&hold=1");
    held.send(&by("one", hold).bytes(gateway.address));
    assert_eq!(held.response_head().unwrap().unwrap().0, 200);
    gateway.call(&by("one", list())).refused(429, "concurrency-limited");
    // The refusal gave the route's place back.
    gateway.call(&by("other", list())).passed(200);
    drop(held);
    eventually("its place is free", || gateway.call(&by("one", list())).status == 200);
}

/// Rules are those of the world that a request begins in, on connections from before too.
#[test]
fn rules_change_with_a_reload() {
    let upstream = Upstream::ok();
    let routes = with_rules(&every_scheme(&upstream), "cloud", "clients = ['a']");
    let gateway = setup(&routes, &[("a", "deny = ['nothing']")]).start();
    let mut caller = gateway.connect();
    caller.call(&by("a", list())).passed(200);
    let text = configuration(&gateway);
    reload(&gateway, &text.replace("deny = ['nothing']", "deny = ['list*']"));
    caller.call(&by("a", list())).refused(403, "operation-denied");
    reload(&gateway, &text);
    caller.call(&by("a", list())).passed(200);
}

/// A client's `allow` is learnt on routes that learn, and enforced on the others.
#[test]
fn learning_is_the_routes() {
    let upstream = Upstream::ok();
    let routes = with_rules(&every_scheme(&upstream), "cloud", "clients = ['a']\npolicy = \"learn\"");
    let routes = with_rules(&routes, "s3", "clients = ['a']");
    let gateway = setup(&routes, &[("a", "allow = ['getNothing']")]).start();
    let response = gateway.call(&by("a", list()));
    response.passed(200);
    let record = gateway.record_of(&response);
    assert_eq!((&record["decision"], &record["asks"][0]), (&"learn".into(), &"listUsers".into()));
    gateway.call(&by("a", s3("GET", "/b/k"))).refused(403, "operation-not-allowed");
}

//! Keys that come and go while callers keep their connections.

use std::fs;

use crate::signer::{Call, V4};
use crate::support::naive::Keys;
use crate::support::{Setup, Upstream, eventually, route};

fn key(id: &str) -> Keys {
    Keys { id: id.into(), secret: format!("secret of {id}"), token: None }
}

fn call(keys: &Keys) -> Call {
    V4::S3.header(&Call::new("GET", "s3.internal", "/b/k"), keys, None).0
}

#[test]
fn a_key_that_is_removed_ends_with_the_next_request() {
    let upstream = Upstream::ok();
    let text = route(
        "s3",
        "host = \"s3.internal\"",
        &format!("\"{}\"", upstream.url()),
        "s3-v4 = { credential = \"key\", region = \"us-east-1\" }",
    );
    let entry = |id: &str| format!("{{ access-key = \"{id}\", secret-key = {{ env = \"{id}\" }} }}");
    let both = format!("keys = [{}, {}]", entry("OLDKEY01"), entry("NEWKEY01"));
    let gateway = Setup::routes(&text.replace("\nmatch", "\nclients = [\"job\"]\nmatch"))
        .environment("OLDKEY01", &key("OLDKEY01").secret)
        .environment("NEWKEY01", &key("NEWKEY01").secret)
        .text(&format!("[clients.job]\n{both}"))
        .start();
    // Ten callers, each with a connection of its own that stays open.
    let mut callers: Vec<_> = (0..10).map(|_| gateway.connect()).collect();
    for (number, caller) in callers.iter_mut().enumerate() {
        let keys = if number % 2 == 0 { key("OLDKEY01") } else { key("NEWKEY01") };
        let response = caller.call(&call(&keys).ask());
        response.passed(200);
        assert_eq!(gateway.record_of(&response)["local-key"], keys.id.as_str());
    }
    let reload = |from: &str, to: &str| {
        let config = fs::read_to_string(&gateway.file).unwrap();
        assert!(config.contains(from), "{config}");
        fs::write(&gateway.file, config.replace(from, to)).unwrap();
        let before = gateway.events("configuration reloaded").len();
        gateway.signal("HUP");
        eventually("the reload is done", || gateway.events("configuration reloaded").len() > before);
    };
    let new = format!("keys = [{}]", entry("NEWKEY01"));
    reload(&both, &new);
    for (number, caller) in callers.iter_mut().enumerate() {
        if number % 2 == 0 {
            caller.call(&call(&key("OLDKEY01")).ask()).refused(403, "unknown-access-key");
            caller.closed();
        } else {
            caller.call(&call(&key("NEWKEY01")).ask()).passed(200);
        }
    }
    // The whole client goes, and with it every key.
    reload(&new, "from = [\"10.0.0.0/8\"]");
    callers[1].call(&call(&key("NEWKEY01")).ask()).refused(403, "client-not-allowed");
    // And comes back.
    reload("from = [\"10.0.0.0/8\"]", &both);
    gateway.call(&call(&key("OLDKEY01")).ask()).passed(200);
}

#[test]
fn a_secret_that_is_missing_proves_nobody_until_it_comes() {
    let upstream = Upstream::ok();
    let text = route(
        "s3",
        "host = \"s3.internal\"",
        &format!("\"{}\"", upstream.url()),
        "s3-v4 = { credential = \"key\", region = \"us-east-1\" }",
    );
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let gateway = Setup::routes(&text.replace("\nmatch", "\nclients = [\"job\", \"tok\"]\nmatch"))
        .text(&format!(
            "[clients.job]\nkeys = [{{ access-key = \"LATEKEY01\", secret-key = {{ file = \"{}\" }} }}]",
            path("late.secret")
        ))
        .text(&format!("[clients.tok]\ntoken = {{ file = \"{}\" }}", path("late.token")))
        .start();
    let ready = gateway.admin("/readyz");
    assert_eq!(ready.status, 503);
    assert!(ready.text().contains("client-unprovable job: "), "{}", ready.text());
    assert!(ready.text().contains("client-unprovable tok: "), "{}", ready.text());
    gateway.call(&call(&key("LATEKEY01")).ask()).refused(403, "unknown-access-key");
    let bearer = Call::new("GET", "s3.internal", "/b/k").header("Authorization", "Bearer late-token");
    gateway.call(&bearer.ask()).refused(401, "token-unknown");
    // An empty token is none, even where the token is not there.
    let empty = Call::new("GET", "s3.internal", "/b/k").header("Authorization", "Basic Og==");
    gateway.call(&empty.ask()).refused(401, "token-unknown");

    let private = |name: &str, text: &str| {
        use std::io::Write;
        use std::os::unix::fs::OpenOptionsExt;
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    };
    private("late.secret", &key("LATEKEY01").secret);
    private("late.token", "late-token\n");
    gateway.signal("HUP");
    gateway.wait_for_event("configuration reloaded");
    assert_eq!(gateway.admin("/readyz").status, 200);
    gateway.call(&call(&key("LATEKEY01")).ask()).passed(200);
    gateway.call(&bearer.ask()).passed(200);
}

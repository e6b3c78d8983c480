//! The life of the process, on the real program: one file per stage of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::cast_precision_loss)]

mod admin;
mod credentials;
#[path = "../support/program.rs"]
mod program;
mod reload;
mod sockets;
mod start;
mod stop;
#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::sync::{Arc, Condvar, Mutex};

use support::*;

const LIST: &str = "/client/api?command=listUsers&response=json";

fn list() -> Ask {
    ask("GET", LIST)
}

fn cloud(upstream: &Upstream) -> String {
    route(
        "cloud",
        "path = \"/client/api\"",
        &format!("\"{}\"", upstream.url()),
        "cloudstack = { credential = \"key\" }",
    )
}

fn zstack(upstream: &Upstream) -> String {
    route(
        "zstack",
        "path = \"/zstack\"",
        &format!("\"{}\"", upstream.url()),
        "zstack = { credential = \"key\" }",
    )
}

/// The value of a metric without labels, or with exactly these.
fn metric(gateway: &Gateway, name: &str) -> Option<f64> {
    let text = gateway.admin("/metrics").text();
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

/// Asks for a reload and waits for its outcome; the event that tells it.
#[track_caller]
fn reload(gateway: &Gateway, outcome: &str) -> serde_json::Value {
    let before = gateway.events(outcome).len();
    gateway.signal("HUP");
    eventually(outcome, || gateway.events(outcome).len() > before);
    gateway.events(outcome).pop().unwrap()
}

const GOOD: &str = "configuration reloaded";
const REFUSED: &str = "reload refused; the old configuration stays";

fn configuration(gateway: &Gateway) -> String {
    fs::read_to_string(&gateway.file).unwrap()
}

/// A gate that an upstream holds its answers behind.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        let closed = self.0.0.lock().unwrap();
        drop(self.0.1.wait_timeout_while(closed, PATIENCE * 2, |open| !*open));
    }

    /// An upstream that answers when the gate is open.
    fn upstream(&self) -> Upstream {
        let gate = self.clone();
        Upstream::answering(move |_| {
            gate.pass();
            answer(200, &[], b"held")
        })
    }
}

/// A configuration with these listeners and one route, after `version` and credentials.
fn text_of_a_server(listen: &str, admin: &str) -> String {
    format!(
        "[server]\nlisten = [{listen}]\n{admin}\n[routes.cloud]\nmatch = {{ path = \"/client/api\" }}\n\
         upstream = \"http://127.0.0.1:9\"\nsign.cloudstack = {{ credential = \"key\" }}\n"
    )
}

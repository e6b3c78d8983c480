//! What policy and limits do on the wire: refusals in each protocol before anything is sent, what bodies and headers
//! ask for, learning, and limits over workers and reloads.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod carried;
mod clients;
mod learn;
mod limits;
#[path = "../support/program.rs"]
mod program;
mod refusals;
mod route;
#[path = "../support/mod.rs"]
mod support;

use std::fs;

use support::*;

/// Asks for a reload of a configuration and waits until it serves.
#[track_caller]
fn reload(gateway: &Gateway, text: &str) {
    const GOOD: &str = "configuration reloaded";
    let before = gateway.events(GOOD).len();
    fs::write(&gateway.file, text).unwrap();
    gateway.signal("HUP");
    eventually(GOOD, || gateway.events(GOOD).len() > before);
}

fn configuration(gateway: &Gateway) -> String {
    fs::read_to_string(&gateway.file).unwrap()
}

/// Adds lines to the table of one route.
fn with_rules(routes: &str, route: &str, lines: &str) -> String {
    let head = format!("[routes.{route}]\n");
    assert_eq!(routes.matches(&head).count(), 1);
    routes.replace(&head, &format!("{head}{lines}\n"))
}

/// The same for a route that is as strict about secrets as a route is by itself.
fn with_strict_rules(routes: &str, route: &str, lines: &str) -> String {
    let routes = with_rules(routes, route, lines);
    let (before, after) = routes.split_once(&format!("[routes.{route}]\n{lines}\n")).unwrap();
    let after = after.replacen("secrets = \"allow\"\n", "", 1);
    format!("{before}[routes.{route}]\n{lines}\n{after}")
}

/// The value of a metric with exactly these labels.
fn metric(gateway: &Gateway, name: &str) -> Option<f64> {
    let text = gateway.admin("/metrics").text();
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

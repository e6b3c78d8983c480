//! What keeps the program from starting, and what it tells when it has.

use std::fs;
use std::net::{SocketAddr, TcpListener};

use super::program::Place;
use super::support::gateway::free_address;
use super::*;

#[test]
fn what_keeps_it_from_starting_has_its_exit_code() {
    let taken = free_address();
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let held_address = held.local_addr().unwrap().to_string();
    let place = Place::new();
    let run = |text: &str| {
        let file = place.configuration("id", "canary-secret-of-a-start", text);
        let ended = place.run(&["serve", "--config", &file]);
        assert!(!ended.all().contains("canary-secret"), "{ended:?}");
        ended
    };
    let ended = run(&text_of_a_server(&format!("\"{held_address}\""), "")).with(1);
    assert!(ended.err.contains(&held_address) && ended.err.contains("in use"), "{}", ended.err);
    let ended =
        run(&text_of_a_server(&format!("\"{taken}\""), &format!("admin = \"{held_address}\""))).with(1);
    assert!(ended.err.contains("(admin)") && ended.err.contains(&held_address), "{}", ended.err);
    let folder = place.path("no/such/folder/socket");
    let ended = run(&text_of_a_server(&format!("\"unix:{folder}\""), "")).with(1);
    assert!(ended.err.contains(&folder), "{}", ended.err);

    let ended = run("[server]\nlistne = []\n").with(2);
    assert!(ended.err.contains("countersign.toml:6:") && ended.err.contains("did you mean"), "{}", ended.err);
    let ended = place.run(&["serve", "--config", "/nonexistent/countersign.toml"]).with(2);
    assert!(ended.err.contains("/nonexistent/countersign.toml"), "{}", ended.err);
    place.run(&["serve"]).with(2);
    let tls = "{ address = \"127.0.0.1:0\", tls = { certificate = \"/nonexistent/tls.pem\", key = \"/nonexistent/tls.key\" } }";
    let ended = run(&text_of_a_server(tls, "")).with(2);
    assert!(ended.err.contains("/nonexistent/tls."), "{}", ended.err);
}

/// Nothing of a running gateway can be dumped, and a reload before everything stands does not end it.
#[test]
fn no_core_and_early_signals() {
    let upstream = Upstream::ok();
    let mut gateway = Gateway::with(&cloud(&upstream));
    let limits = fs::read_to_string(format!("/proc/{}/limits", gateway.pid())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let words: Vec<&str> = core.split_whitespace().collect();
    assert_eq!(words[4..6], ["0", "0"], "{core}");
    for _ in 0..50 {
        gateway.signal("HUP");
    }
    gateway.wait_for_event(GOOD);
    gateway.call(&list()).passed(200);
    assert!(gateway.is_alive());
}

/// A port of its own choice is told, also for the admin listener.
#[test]
fn a_free_port_is_told() {
    let place = Place::new();
    let file =
        place.configuration("id", "secret", &text_of_a_server("\"127.0.0.1:0\"", "admin = \"127.0.0.1:0\""));
    let mut child = place.command(&["--log-format", "json", "serve", "--config", &file]).spawn().unwrap();
    let mut told = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut address = |message: &str| -> SocketAddr {
        loop {
            let mut line = String::new();
            assert_ne!(std::io::BufRead::read_line(&mut told, &mut line).unwrap(), 0, "no {message}");
            let event: serde_json::Value = serde_json::from_str(&line).unwrap();
            if event["message"] == message {
                return event["address"].as_str().unwrap().parse().unwrap();
            }
        }
    };
    let (data, admin) = (address("listening"), address("admin"));
    assert!(data.port() != 0 && admin.port() != 0 && data != admin);
    let response = Caller::to(admin).call(&ask("GET", "/livez"));
    let unmatched = Caller::to(data).call(&ask("GET", "/nowhere"));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!((response.status, unmatched.status), (200, 404));
}

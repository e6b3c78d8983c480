//! TERM, INT and the other signals: what drains, for how long, and what is cut.

use std::fs;
use std::io::Read;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::*;

#[test]
fn a_term_drains() {
    let gate = Gate::default();
    let upstream = gate.upstream();
    let mut gateway = Gateway::with(&cloud(&upstream));
    let mut waiting = gateway.connect();
    waiting.send(&list().bytes(gateway.address));
    upstream.wait_for(1);
    let mut idle = gateway.connect();
    idle.call(&ask("GET", "/nowhere")).refused(404, "route-not-found");
    let fresh = TcpStream::connect(gateway.address).unwrap();
    assert_eq!(gateway.admin("/readyz").status, 200);

    gateway.signal("TERM");
    gateway.wait_for_event("draining");
    eventually("new connections are refused", || TcpStream::connect(gateway.address).is_err());
    let ready = gateway.admin("/readyz");
    assert_eq!((ready.status, ready.text().as_str()), (503, "draining\n"));
    assert_eq!(gateway.admin("/livez").status, 200);
    // Whoever has no request in progress is let go.
    idle.closed();
    fresh.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!((&fresh).read(&mut [0; 1]).unwrap_or(0), 0);
    assert!(gateway.is_alive(), "a request is still in progress");

    gate.open();
    let held = waiting.response("GET");
    assert_eq!(held.passed(200).text(), "held");
    waiting.closed();
    assert_eq!(gateway.wait().code(), Some(0));
    assert_eq!(gateway.records().len(), 2, "every record is written");
}

#[test]
fn an_interrupt_drains_too_and_nothing_open_ends_at_once() {
    let upstream = Upstream::ok();
    let mut gateway = Setup::routes(&cloud(&upstream)).workers(3).start();
    gateway.call(&list()).passed(200);
    let start = Instant::now();
    gateway.signal("INT");
    assert_eq!(gateway.wait().code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_drain_that_takes_too_long_is_cut() {
    let upstream = Gate::default().upstream();
    let mut gateway = Setup::routes(&cloud(&upstream)).server("drain = \"30s\"").start();
    // The drain's time, too, is that of the last good file.
    fs::write(&gateway.file, configuration(&gateway).replace("\"30s\"", "\"300ms\"")).unwrap();
    reload(&gateway, GOOD);
    let mut waiting = gateway.connect();
    waiting.send(&list().bytes(gateway.address));
    upstream.wait_for(1);
    let start = Instant::now();
    gateway.signal("TERM");
    assert_eq!(gateway.wait().code(), Some(3));
    assert!(start.elapsed() >= Duration::from_millis(300), "{:?}", start.elapsed());
    waiting.closed();
    let records = gateway.wait_for_records(1);
    assert_eq!((&records[0]["route"], &records[0]["ended"]), (&"cloud".into(), &"caller-left".into()));
}

#[test]
fn a_second_term_ends_at_once() {
    for second in ["TERM", "INT"] {
        let upstream = Gate::default().upstream();
        let mut gateway = Gateway::with(&cloud(&upstream));
        let mut waiting = gateway.connect();
        waiting.send(&list().bytes(gateway.address));
        upstream.wait_for(1);
        gateway.signal("TERM");
        gateway.wait_for_event("draining");
        // A reload in the middle of it harms nobody.
        gateway.signal("HUP");
        assert!(gateway.is_alive());
        gateway.signal(second);
        let start = Instant::now();
        assert_eq!(gateway.wait().code(), Some(3));
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
        assert_eq!(gateway.wait_for_records(1).len(), 1, "its record is written");
    }
}

#[test]
fn usr1_harms_nobody() {
    let upstream = Upstream::ok();
    let mut gateway = Gateway::with(&cloud(&upstream));
    gateway.signal("USR1");
    eventually("the signal is told", || gateway.output().contains("nothing to reopen"));
    gateway.call(&list()).passed(200);
    assert!(gateway.is_alive());
}

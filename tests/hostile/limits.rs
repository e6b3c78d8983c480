//! What grows without bound, and what takes its time.

use std::time::{Duration, Instant};

use crate::support::{Gateway, Setup, Upstream, ask, eventually, every_scheme};

fn limited(upstream: &Upstream, limits: &str) -> Gateway {
    Setup::routes(&every_scheme(upstream)).limits(limits).start()
}

/// As many headers, each with a name of its own.
fn headers(count: usize) -> String {
    (0..count).map(|n| format!("X-{n}: v")).collect::<Vec<_>>().join("\r\n") + "\r\n"
}

/// As many parameters.
fn fields(letter: char, count: usize) -> String {
    (0..count).map(|n| format!("{letter}{n}=")).collect::<Vec<_>>().join("&")
}

const HEAD: &str = "GET /client/api?command=listUsers HTTP/1.1\r\nHost: localhost\r\n";

#[test]
fn heads_have_a_size() {
    let upstream = Upstream::ok();
    let gateway = limited(&upstream, "head = \"8KiB\"\nheaders = 20\ntarget = 1000");
    let with = |lines: &str| gateway.raw(format!("{HEAD}{lines}\r\n").as_bytes()).unwrap();
    // Just below, then above.
    with(&headers(18)).unwrap().passed(200);
    assert_eq!(with(&headers(21)).unwrap().status, 431);
    with(&format!("X-Long: {}\r\n", "x".repeat(7000))).unwrap().passed(200);
    assert_eq!(with(&format!("X-Long: {}\r\n", "x".repeat(9000))).unwrap().status, 431);
    let target = |length: usize| {
        let path = "/client/api?command=listUsers&v=";
        gateway.call(&ask("GET", &format!("{path}{}", "x".repeat(length - path.len()))))
    };
    target(1000).passed(200);
    target(1001).refused(414, "target-too-long");
    assert_eq!(upstream.take().len(), 3);
    // An endless head is cut off, whatever it consists of.
    for filler in ["X-A: b\r\n".repeat(2000), "x".repeat(100_000), "GET /".repeat(30_000)] {
        let mut caller = gateway.connect();
        caller.send(HEAD.as_bytes());
        caller.send(filler.as_bytes());
        if let Ok(Some(answer)) = caller.try_response("GET") {
            assert!(matches!(answer.status, 400 | 414 | 431), "{}", answer.status);
        }
    }
    assert_eq!(upstream.take().len(), 0);
}

#[test]
fn the_defaults_hold_too() {
    let upstream = Upstream::ok();
    let gateway = Gateway::with(&every_scheme(&upstream));
    let raw = |bytes: String| gateway.raw(bytes.as_bytes()).unwrap().unwrap();
    assert_eq!(raw(format!("{HEAD}{}\r\n", headers(101))).status, 431);
    assert_eq!(raw(format!("{HEAD}X: {}\r\n\r\n", "x".repeat(40_000))).status, 431);
    gateway
        .call(&ask("GET", &format!("/client/api?v={}", "x".repeat(17_000))))
        .refused(414, "target-too-long");
    assert!(matches!(
        raw(format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(70_000))).status,
        414 | 431
    ));
    let many = fields('p', 1001);
    gateway
        .call(&ask("POST", "/client/api").form(&format!("command=listUsers&{many}")))
        .refused(400, "too-many-parameters");
    let half = fields('p', 600);
    let other = fields('q', 600);
    let both = ask("POST", &format!("/client/api?command=listUsers&{half}")).form(&other);
    gateway.call(&both).refused(400, "too-many-parameters");
    upstream.assert_untouched("too large");
}

#[test]
fn a_slow_head_is_cut_off() {
    let upstream = Upstream::ok();
    let gateway = limited(&upstream, "header-timeout = \"400ms\"\nidle-timeout = \"30s\"");
    let start = Instant::now();
    let mut stopped = gateway.connect();
    stopped.send(b"GET /client/api?comm");
    let mut trickling = gateway.connect();
    // A byte now and then does not extend the time.
    for byte in HEAD.bytes().cycle() {
        if !trickling.send(&[byte]) || start.elapsed() > Duration::from_secs(5) {
            break;
        }
        if trickling.quiet_for(Duration::from_millis(20)) != Some(Vec::new()) {
            break;
        }
    }
    assert!(start.elapsed() >= Duration::from_millis(350), "{:?}", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    stopped.closed();
    // The second head on a connection has the same time.
    let mut again = gateway.connect();
    again.call(&ask("GET", "/client/api?command=listUsers")).passed(200);
    again.send(b"GET /cl");
    let start = Instant::now();
    again.closed();
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    assert_eq!(upstream.take().len(), 1);
}

#[test]
fn many_slow_callers_do_not_hold_up_others() {
    let upstream = Upstream::ok();
    let gateway = limited(&upstream, "header-timeout = \"2s\"");
    let slow: Vec<_> = (0..200)
        .map(|_| {
            let mut caller = gateway.connect();
            caller.send(b"POST /b/k HTTP/1.1\r\nHost: s3.internal\r\n");
            caller
        })
        .collect();
    let start = Instant::now();
    for _ in 0..20 {
        gateway.call(&ask("GET", "/client/api?command=listUsers")).passed(200);
    }
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    drop(slow);
}

#[test]
fn connections_have_a_limit() {
    let upstream = Upstream::ok();
    let gateway = limited(&upstream, "connections = 3");
    let mut kept: Vec<_> = (0..3).map(|_| gateway.connect()).collect();
    for caller in &mut kept {
        caller.call(&ask("GET", "/client/api?command=listUsers")).passed(200);
    }
    gateway.connect().closed();
    kept.pop();
    eventually("a place is free again", || {
        let mut caller = gateway.connect();
        caller.send(&ask("GET", "/client/api?command=listUsers").bytes(gateway.address));
        caller.try_response("GET").is_ok_and(|answer| answer.is_some_and(|answer| answer.status == 200))
    });
}

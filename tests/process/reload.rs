//! HUP: a good file is served, a bad one is refused with its reason, and nobody notices either.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::*;

#[test]
fn a_reload_serves_new_routes_on_old_connections() {
    let upstream = Upstream::ok();
    let gateway = Gateway::with(&cloud(&upstream));
    let mut caller = gateway.connect();
    caller.call(&list()).passed(200);
    caller.call(&ask("GET", "/zstack/v1/hosts")).refused(404, "route-not-found");

    fs::write(&gateway.file, configuration(&gateway) + &zstack(&upstream)).unwrap();
    reload(&gateway, GOOD);
    caller.call(&ask("GET", "/zstack/v1/hosts")).passed(200);
    caller.call(&list()).passed(200);
    // The route that did not change kept its upstream connection.
    let connections: Vec<usize> = upstream.requests().iter().map(|request| request.connection).collect();
    assert_eq!(connections, [0, 1, 0]);
    assert_eq!(metric(&gateway, "countersign_config_reload_success"), Some(1.0));
    // A route that is taken away is gone.
    fs::write(&gateway.file, configuration(&gateway).replace(&cloud(&upstream), "")).unwrap();
    reload(&gateway, GOOD);
    caller.call(&list()).refused(404, "route-not-found");
}

#[test]
fn a_bad_file_keeps_the_old_world_and_says_why() {
    let upstream = Upstream::ok();
    let gateway = Gateway::with(&cloud(&upstream));
    let good = configuration(&gateway);
    let line = good.lines().count() + 1;
    let bad = [
        (
            format!("{good}[routes.new]\nmatsch = {{ path = \"/\" }}\n"),
            format!("countersign.toml:{}:", line + 1),
        ),
        (format!("{good}this is no TOML\n"), format!("countersign.toml:{line}:")),
        (good.replace("credential = \"key\"", "credential = \"kee\""), "did you mean `key`?".to_owned()),
    ];
    for (text, told) in bad {
        fs::write(&gateway.file, text).unwrap();
        let event = reload(&gateway, REFUSED);
        let why = event["error"].as_str().unwrap();
        assert!(why.contains(&told), "{told}: {why}");
        assert_eq!(metric(&gateway, "countersign_config_reload_success"), Some(0.0));
        gateway.call(&list()).passed(200);
        assert_eq!(gateway.admin("/readyz").status, 200, "the world that serves is whole");
    }
    fs::remove_file(&gateway.file).unwrap();
    let why = reload(&gateway, REFUSED)["error"].to_string();
    assert!(why.contains("cannot be read"), "{why}");
    gateway.call(&list()).passed(200);
    fs::write(&gateway.file, good).unwrap();
    reload(&gateway, GOOD);
    assert_eq!(metric(&gateway, "countersign_config_reload_success"), Some(1.0));
    gateway.call(&list()).passed(200);
}

#[test]
fn what_a_reload_cannot_change_is_refused_by_name() {
    let upstream = Upstream::ok();
    let gateway = Setup::routes(&(cloud(&upstream) + "")).start();
    let good = configuration(&gateway);
    for changed in [
        good.replace("listen = [\"127.0.0.1:0\"]", "listen = [\"127.0.0.1:0\", \"127.0.0.1:0\"]"),
        good.replace("workers = 1", "workers = 2"),
        good.replace(&format!("admin = \"{}\"", gateway.admin), ""),
    ] {
        assert_ne!(changed, good);
        fs::write(&gateway.file, changed + &zstack(&upstream)).unwrap();
        let why = reload(&gateway, REFUSED)["error"].as_str().unwrap().to_owned();
        assert!(why.contains("`server.listen`") && why.contains("restart"), "{why}");
        gateway.call(&list()).passed(200);
        gateway.call(&ask("GET", "/zstack/v1/hosts")).refused(404, "route-not-found");
    }
    assert_eq!(metric(&gateway, "countersign_config_reload_success"), Some(0.0));
}

/// A chain has one writer, and what it was begun with holds until it ends.
#[test]
fn the_record_does_not_change_in_a_reload() {
    let upstream = Upstream::ok();
    let gateway = Setup::routes(&(cloud(&upstream) + "")).start();
    let good = configuration(&gateway);
    for changed in [
        "[audit]\nfile = \"/var/log/audit.jsonl\"\n",
        "[audit]\non-full = \"drop-reads\"\n",
        "[audit]\nkey = { env = \"AUDIT_KEY\" }\n",
    ] {
        fs::write(&gateway.file, format!("{good}{}{changed}", zstack(&upstream))).unwrap();
        let why = reload(&gateway, REFUSED)["error"].as_str().unwrap().to_owned();
        assert!(why.contains("`audit`") && why.contains("restart"), "{why}");
        gateway.call(&list()).passed(200);
        gateway.call(&ask("GET", "/zstack/v1/hosts")).refused(404, "route-not-found");
    }
    // What says the same changes nothing.
    fs::write(&gateway.file, format!("{good}{}[audit]\non-full = \"refuse\"\n", zstack(&upstream))).unwrap();
    reload(&gateway, GOOD);
    gateway.call(&ask("GET", "/zstack/v1/hosts")).passed(200);
}

/// Reloads of good and bad files while requests flow: not one of them fails.
#[test]
fn reloads_under_load_lose_nothing() {
    let upstream = Upstream::answering(|_| {
        std::thread::sleep(Duration::from_millis(1));
        answer(200, &[], b"ok")
    });
    let gateway = Setup::routes(&cloud(&upstream)).workers(2).start();
    let good = configuration(&gateway);
    let over = AtomicBool::new(false);
    let sent = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for keep in [true, true, false] {
            let (gateway, over, sent) = (&gateway, &over, &sent);
            scope.spawn(move || {
                let mut caller = gateway.connect();
                while !over.load(Ordering::SeqCst) {
                    caller.call(&list()).passed(200);
                    sent.fetch_add(1, Ordering::SeqCst);
                    if !keep {
                        caller = gateway.connect();
                    }
                }
            });
        }
        let stop = Stop(&over);
        for turn in 0..20 {
            let before = sent.load(Ordering::SeqCst);
            match turn % 3 {
                0 => {
                    fs::write(&gateway.file, format!("{good}{}", zstack(&upstream))).unwrap();
                    reload(&gateway, GOOD);
                }
                1 => {
                    fs::write(&gateway.file, format!("{good}nonsense")).unwrap();
                    reload(&gateway, REFUSED);
                }
                _ => {
                    // Another upstream by name: its connections are made anew.
                    let moved = upstream.url().replace("127.0.0.1", "localhost");
                    fs::write(&gateway.file, good.replace(&upstream.url(), &moved)).unwrap();
                    reload(&gateway, GOOD);
                }
            }
            eventually("requests flow on", || sent.load(Ordering::SeqCst) > before + 5);
        }
        drop(stop);
    });
    let failed: Vec<_> = gateway.records().into_iter().filter(|record| record["status"] != 200).collect();
    assert!(failed.is_empty(), "{failed:?}");
}

/// Ends the callers of a test, also when the test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// An endpoint whose route has changed is not kept alive by the workers' pools.
#[test]
fn connections_of_old_worlds_are_closed() {
    let (first, second) = (Upstream::ok(), Upstream::ok());
    let gateway = Setup::routes(&cloud(&first)).workers(2).start();
    eventually("both workers have a connection", || {
        gateway.call(&list()).passed(200);
        first.connections() == 2
    });
    let moved = configuration(&gateway).replace(&first.url(), &second.url());
    fs::write(&gateway.file, moved).unwrap();
    reload(&gateway, GOOD);
    gateway.call(&list()).passed(200);
    second.wait_for(1);
    eventually("the old connections are closed", || first.is_closed(0) && first.is_closed(1));
}

//! Workers, unix sockets and the limit of connections.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use super::program::Place;
use super::support::naive::Keys;
use super::*;

/// Each worker has an upstream pool of its own, so the upstream counts those that serve.
#[test]
fn every_worker_serves() {
    let upstream = Upstream::ok();
    let gateway = Setup::routes(&cloud(&upstream)).workers(4).start();
    // The kernel spreads connections by a hash of their addresses: 200 of them miss no one of four.
    for _ in 0..200 {
        gateway.call(&list()).passed(200);
        if upstream.connections() == 4 {
            break;
        }
    }
    assert_eq!(upstream.connections(), 4);
    let threads = fs::read_dir(format!("/proc/{}/task", gateway.pid())).unwrap();
    let names = threads.map(|thread| fs::read_to_string(thread.unwrap().path().join("comm")).unwrap());
    let mut workers: Vec<_> = names.filter(|name| name.starts_with("worker-")).collect();
    workers.sort();
    assert_eq!(workers, ["worker-0\n", "worker-1\n", "worker-2\n", "worker-3\n"]);
}

fn over_unix(path: &Path, host: &str) -> String {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {LIST} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut told = String::new();
    stream.read_to_string(&mut told).unwrap();
    told
}

#[test]
fn a_unix_socket_is_private_and_taken_over_only_when_dead() {
    let upstream = Upstream::ok();
    let place = Place::new();
    let path = place.path("gateway.sock");
    let socket = Path::new(&path);
    // Left behind by a process that is gone.
    drop(UnixListener::bind(socket).unwrap());
    let setup = || {
        let listen = format!("\"127.0.0.1:0\", \"unix:{path}\"");
        Setup::routes(&cloud(&upstream)).listen(&listen).workers(2)
    };
    let mut gateway = setup().start();
    assert_eq!(gateway.addresses[1], format!("unix:{path}"));
    let found = fs::symlink_metadata(socket).unwrap();
    assert!(found.file_type().is_socket());
    assert_eq!(found.permissions().mode() & 0o777, 0o660);
    let told = over_unix(socket, "localhost");
    assert!(told.starts_with("HTTP/1.1 200 "), "{told}");
    assert!(over_unix(socket, "evil.example").starts_with("HTTP/1.1 421 "));
    naive::cloudstack(&upstream.last(), &Keys::default()).unwrap();
    let uid = rustix::process::getuid().as_raw();
    let records = gateway.wait_for_records(2);
    assert_eq!(records[0]["source"], format!("unix:uid={uid}"));

    // A second one finds it alive and leaves it alone.
    let text = text_of_a_server(&format!("\"unix:{path}\""), "");
    let file = place.configuration("id", "secret", &text);
    let ended = place.run(&["serve", "--config", &file]).with(1);
    assert!(ended.err.contains(&path) && ended.err.contains("in use"), "{}", ended.err);
    assert!(over_unix(socket, "localhost").starts_with("HTTP/1.1 200 "));

    gateway.signal("TERM");
    assert_eq!(gateway.wait().code(), Some(0));
    assert!(!socket.exists(), "the socket is removed");

    // Whatever is no socket is nobody's to remove.
    fs::write(socket, "precious").unwrap();
    let ended = place.run(&["serve", "--config", &file]).with(1);
    assert!(ended.err.contains(&path), "{}", ended.err);
    assert_eq!(fs::read_to_string(socket).unwrap(), "precious");
}

/// A successor starts while its predecessor still drains; the predecessor's end leaves it alone.
#[test]
fn a_successor_keeps_its_unix_socket() {
    let gate = Gate::default();
    let upstream = gate.upstream();
    let place = Place::new();
    let path = place.path("gateway.sock");
    let socket = Path::new(&path);
    let setup = || Setup::routes(&cloud(&upstream)).listen(&format!("\"127.0.0.1:0\", \"unix:{path}\""));
    let mut old = setup().start();
    let mut waiting = old.connect();
    waiting.send(&list().bytes(old.address));
    upstream.wait_for(1);
    old.signal("TERM");
    eventually("the old one takes no connections", || UnixStream::connect(socket).is_err());
    let new = setup().start();
    gate.open();
    waiting.response("GET").passed(200);
    assert_eq!(old.wait().code(), Some(0));
    assert!(over_unix(socket, "localhost").starts_with("HTTP/1.1 200 "));
    drop(new);
}

#[test]
fn connections_beyond_the_limit_are_closed_and_counted() {
    let upstream = Upstream::ok();
    let gateway = Setup::routes(&cloud(&upstream)).limits("connections = 3").workers(2).start();
    let mut open: Vec<Caller> = (0..3).map(|_| gateway.connect()).collect();
    for caller in &mut open {
        caller.call(&list()).passed(200);
    }
    gateway.connect().closed();
    eventually("it is counted", || {
        metric(&gateway, "countersign_connections_refused_total") == Some(1.0)
            && metric(&gateway, "countersign_connections") == Some(3.0)
    });
    // Those that are open are not harmed, and a place that becomes free is given away.
    open[1].call(&list()).passed(200);
    open.remove(0);
    eventually("a place is free", || {
        let mut caller = gateway.connect();
        caller.send(&list().bytes(gateway.address));
        matches!(caller.try_response("GET"), Ok(Some(response)) if response.status == 200)
    });
}

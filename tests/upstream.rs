//! The way to an upstream: connecting, waiting, misbehaving upstreams, and which connection carries which request.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::io::Read;
use std::net::{Ipv6Addr, TcpListener, ToSocketAddrs};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use support::gateway::free_address;
use support::naive::Keys;
use support::*;

const LIST: &str = "/client/api?command=listUsers&response=json";

fn list() -> Ask {
    ask("GET", LIST)
}

fn cloud(upstream: &str) -> String {
    route("cloud", "path = \"/client/api\"", upstream, "cloudstack = { credential = \"key\" }")
}

fn to(upstream: &Upstream) -> String {
    cloud(&format!("\"{}\"", upstream.url()))
}

/// Which connection carried each request so far.
fn connections(upstream: &Upstream) -> Vec<usize> {
    upstream.requests().iter().map(|request| request.connection).collect()
}

#[test]
fn nobody_listens() {
    let gateway = Gateway::with(&cloud(&format!("\"http://{}\"", free_address())));
    let told = gateway.call(&list());
    told.refused(502, "upstream-connect");
    assert!(told.text().contains("\"errorcode\":502"), "{}", told.text());
    let record = gateway.record_of(&told);
    assert_eq!((&record["error"], &record["status"]), (&"upstream-connect".into(), &502.into()));
}

#[test]
fn a_name_that_does_not_resolve() {
    let gateway = Setup::routes(&cloud("\"https://nowhere.invalid\""))
        .environment("RES_OPTIONS", "timeout:1 attempts:1")
        .limits("connect-timeout = \"30s\"")
        .start();
    gateway.call(&list()).refused(502, "upstream-unresolved");
}

/// A link-local address that a route states is meant: it is dialled, and fails as any other would.
#[test]
fn a_stated_address_is_dialled_whatever_it_is() {
    let gateway = Gateway::with(&cloud("\"https://[fe80::1]\""));
    gateway.call(&list()).refused(502, "upstream-connect");
}

/// A listening socket whose queue is full: the connection is neither taken nor refused.
#[test]
fn a_connection_that_nobody_takes_has_its_time() {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let mut queue = Vec::new();
    for _ in 0..16 {
        match std::net::TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
            Ok(stream) => queue.push(stream),
            Err(_) => break,
        }
    }
    let gateway =
        Setup::routes(&cloud(&format!("\"http://{address}\""))).limits("connect-timeout = \"300ms\"").start();
    let start = Instant::now();
    gateway.call(&list()).refused(502, "upstream-connect");
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(5), "{took:?}");
    drop(queue);
}

#[test]
fn an_upstream_that_never_answers() {
    let upstream = Upstream::scripted(|talk| {
        talk.request();
        talk.drain();
    });
    let gateway = Setup::routes(&to(&upstream)).limits("response-timeout = \"300ms\"").start();
    let start = Instant::now();
    gateway.call(&list()).refused(504, "upstream-timeout");
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(5), "{took:?}");
    eventually("its connection is closed", || upstream.is_closed(0));
    assert_eq!(upstream.requests().len(), 1, "it was sent once");
}

/// A head that drips does not win time.
#[test]
fn an_upstream_that_answers_too_slowly() {
    let upstream = Upstream::scripted(|talk| {
        talk.request();
        for byte in b"HTTP/1.1 200 OK\r\nx-slow: ".iter().chain([b'x'; 4000].iter()) {
            std::thread::sleep(Duration::from_millis(20));
            if !talk.write(&[*byte]) {
                return;
            }
        }
    });
    let gateway = Setup::routes(&to(&upstream)).limits("response-timeout = \"500ms\"").start();
    let start = Instant::now();
    gateway.call(&list()).refused(504, "upstream-timeout");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn what_is_no_http_is_told_as_such() {
    let answers: [&[u8]; 12] = [
        b"this is no HTTP at all\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 99999 OK\r\n\r\n",
        b"HTTP/3.0 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: a\0b\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx-half: a head",
    ];
    let turn = AtomicUsize::new(0);
    let upstream = Upstream::scripted(move |talk| {
        if talk.request().is_some() {
            talk.write(answers[turn.fetch_add(1, Ordering::SeqCst)]);
        }
    });
    let gateway = Gateway::with(&to(&upstream));
    for (index, answer) in answers.iter().enumerate() {
        let told = gateway.call(&list());
        assert_eq!(
            (told.status, told.error()),
            (502, "upstream-protocol"),
            "{:?}: {told:?}",
            String::from_utf8_lossy(answer)
        );
        assert_eq!(upstream.requests().len(), index + 1, "it was sent once");
    }
    assert_eq!(connections(&upstream), (0..answers.len()).collect::<Vec<_>>(), "none was used again");
}

/// A head without end, or interim answers without end: cut by their length, long before their time, and nobody else
/// on the same worker waits for it.
#[test]
fn an_endless_head_ends() {
    for flood in ["x-more: and more\r\n", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early Hints\r\n\r\n"]
    {
        let upstream = Upstream::scripted(move |talk| {
            talk.request();
            if flood.starts_with("x-") {
                talk.write(b"HTTP/1.1 200 OK\r\n");
            }
            let lines = flood.repeat(200);
            while talk.write(lines.as_bytes()) {}
        });
        let gateway = Gateway::with(&to(&upstream));
        let start = Instant::now();
        gateway.call(&list()).refused(502, "upstream-protocol");
        gateway.call(&ask("GET", "/nowhere")).refused(404, "route-not-found");
        assert!(start.elapsed() < Duration::from_secs(10), "{flood:?}: {:?}", start.elapsed());
        assert!(gateway.peak() < 128 << 20, "{}", gateway.peak());
        eventually("its connection is closed", || upstream.is_closed(0));
    }
}

/// A few interim answers are no flood, and long bodies are none either.
#[test]
fn what_is_long_and_sound_passes() {
    let upstream = Upstream::answering(|_| {
        let mut bytes = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".repeat(20);
        bytes.extend(answer(200, &[("x-long", &"v".repeat(60_000))], &vec![b'x'; 8 << 20]));
        bytes
    });
    let gateway = Gateway::with(&to(&upstream));
    for _ in 0..5 {
        let told = gateway.call(&list());
        assert_eq!(told.passed(200).body.len(), 8 << 20);
        assert_eq!(told.headers.one("x-long").map(str::len), Some(60_000));
    }
    assert_eq!(connections(&upstream), [0; 5]);
}

/// The bytes were on their way: whether the upstream acted on them, nobody knows, so nobody sends them again.
#[test]
fn a_connection_that_closes_without_an_answer_is_not_tried_again() {
    for reset in [false, true] {
        let upstream = Upstream::scripted(move |talk| {
            talk.request();
            if reset {
                talk.reset();
            }
        });
        let gateway = Gateway::with(&to(&upstream));
        gateway.call(&list()).refused(502, "upstream-protocol");
        assert_eq!(upstream.requests().len(), 1);
        assert_eq!(upstream.connections(), 1);
    }
}

/// The same on a connection that has served before: the upstream may have acted on what it read.
#[test]
fn a_used_connection_that_closes_without_an_answer_is_not_tried_again() {
    let upstream = Upstream::scripted(|talk| {
        talk.request();
        talk.write(&answer(200, &[], b"ok"));
        talk.request();
    });
    let gateway = Gateway::with(&to(&upstream));
    gateway.call(&list()).passed(200);
    gateway.call(&list()).refused(502, "upstream-protocol");
    assert_eq!(connections(&upstream), [0, 0]);
    gateway.call(&list()).passed(200);
    assert_eq!(connections(&upstream), [0, 0, 1]);
}

/// A connection that the upstream has closed meanwhile costs nobody an error.
#[test]
fn a_connection_that_was_closed_idle_is_replaced() {
    let upstream = Upstream::scripted(|talk| {
        talk.request();
        talk.write(&answer(200, &[], b"ok"));
        // Closed before it is recorded as closed.
        talk.reset();
    });
    let gateway = Gateway::with(&to(&upstream));
    for turn in 0..20 {
        gateway.call(&list()).passed(200);
        eventually("it is closed", || upstream.is_closed(turn));
    }
    assert_eq!(connections(&upstream), (0..20).collect::<Vec<_>>());
}

#[test]
fn a_connection_is_used_again_after_a_whole_exchange() {
    let bodies: [&[u8]; 5] = [
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\ncontent-length: 100\r\n\r\n",
        b"HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n",
    ];
    let turn = AtomicUsize::new(0);
    let upstream = Upstream::answering(move |_| bodies[turn.fetch_add(1, Ordering::SeqCst) % 5].to_vec());
    let gateway = Gateway::with(&to(&upstream));
    for status in [200, 200, 204, 304, 500, 200] {
        gateway.call(&list()).passed(status);
    }
    assert_eq!(connections(&upstream), [0; 6]);
}

#[test]
fn a_connection_is_not_used_again_when_the_upstream_says_so() {
    let closing: [&[u8]; 3] = [
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
    ];
    let turn = AtomicUsize::new(0);
    let upstream = Upstream::scripted(move |talk| {
        let bytes = closing[turn.fetch_add(1, Ordering::SeqCst) % 3];
        talk.request();
        talk.write(bytes);
        // All but the last stay open, and must not be trusted all the same.
        if bytes.starts_with(b"HTTP/1.1 200 OK\r\n\r\n") {
            return;
        }
        talk.request();
    });
    let gateway = Gateway::with(&to(&upstream));
    for _ in 0..3 {
        let told = gateway.call(&list());
        told.passed(200);
        assert!(told.complete, "{told:?}");
    }
    assert_eq!(connections(&upstream), [0, 1, 2]);
}

/// A connection that an older server offers to keep is used again; one that says a stray byte between two requests is
/// not, and costs nobody an error.
#[test]
fn a_connection_is_used_again_only_while_nothing_is_said_on_it() {
    let old = Upstream::answering(|_| {
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok".to_vec()
    });
    let gateway = Gateway::with(&to(&old));
    for _ in 0..3 {
        gateway.call(&list()).passed(200);
    }
    assert_eq!(connections(&old), [0; 3]);

    let stray = Upstream::scripted(|talk| {
        while talk.request().is_some() {
            talk.write(&answer(200, &[], b"ok"));
            std::thread::sleep(Duration::from_millis(30));
            talk.write(b"\r\n");
        }
    });
    let gateway = Gateway::with(&to(&stray));
    for _ in 0..3 {
        assert_eq!(gateway.call(&list()).passed(200).text(), "ok");
        std::thread::sleep(Duration::from_millis(150));
    }
    assert_eq!(connections(&stray), [0, 1, 2]);
}

/// A few interim answers more than anybody sends.
#[test]
fn interim_answers_have_an_end() {
    let hints = |count: usize| {
        let mut bytes = b"HTTP/1.1 102 Processing\r\n\r\n".repeat(count);
        bytes.extend(answer(200, &[], b"ok"));
        bytes
    };
    let turn = AtomicUsize::new(0);
    let upstream = Upstream::answering(move |_| hints([32, 33][turn.fetch_add(1, Ordering::SeqCst) % 2]));
    let gateway = Gateway::with(&to(&upstream));
    gateway.call(&list()).passed(200);
    gateway.call(&list()).refused(502, "upstream-protocol");
    assert_eq!(connections(&upstream), [0, 0], "it was sent once");
}

/// A caller who leaves in the middle of an answer takes the upstream's connection with it: what is left on it must
/// never reach another.
#[test]
fn a_connection_is_not_used_again_when_the_caller_left() {
    let upstream = Upstream::scripted(|talk| {
        while let Some(request) = talk.request() {
            if request.target.contains("listUsers") {
                talk.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
                continue;
            }
            talk.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n");
            let some = vec![b'x'; 64 << 10];
            while talk.write(&some) {}
            return;
        }
    });
    let gateway = Gateway::with(&to(&upstream));
    gateway.call(&list()).passed(200);
    let mut caller = gateway.connect();
    caller.send(&ask("GET", "/client/api?command=listEvents&response=json").bytes(gateway.address));
    assert_eq!(caller.response_head().unwrap().unwrap().0, 200);
    assert_eq!(caller.read(1000).len(), 1000);
    drop(caller);
    eventually("the upstream's connection is closed", || upstream.is_closed(0));
    gateway.call(&list()).passed(200);
    assert_eq!(connections(&upstream), [0, 0, 1]);
    let records = gateway.wait_for_records(3);
    assert_eq!(records.iter().filter(|record| record["ended"] == "caller-left").count(), 1);
}

/// A gate for each connection.
#[derive(Clone, Default)]
struct Gates(Arc<(Mutex<Vec<usize>>, Condvar)>);

impl Gates {
    fn open(&self, connection: usize) {
        self.0.0.lock().unwrap().push(connection);
        self.0.1.notify_all();
    }

    fn pass(&self, connection: usize) {
        let opened = self.0.0.lock().unwrap();
        let closed = |opened: &mut Vec<usize>| !opened.contains(&connection);
        drop(self.0.1.wait_timeout_while(opened, PATIENCE, closed));
    }
}

/// The connection that was used last is the one that its upstream closes last.
#[test]
fn the_newest_idle_connection_is_taken_first() {
    let gates = Gates::default();
    let passing = gates.clone();
    let upstream = Upstream::answering(move |request| {
        passing.pass(request.connection);
        answer(200, &[], b"ok")
    });
    let gateway = Gateway::with(&to(&upstream));
    let mut callers: Vec<Caller> = Vec::new();
    for count in 1..=3 {
        let mut caller = gateway.connect();
        caller.send(&list().bytes(gateway.address));
        upstream.wait_for(count);
        callers.push(caller);
    }
    assert_eq!(connections(&upstream), [0, 1, 2]);
    for connection in [2, 0, 1] {
        gates.open(connection);
        callers[connection].response("GET").passed(200);
    }
    // Last given back: 1, before it 0, before that 2.
    for _ in 0..3 {
        gateway.call(&list()).passed(200);
    }
    assert_eq!(connections(&upstream)[3..], [1, 1, 1]);
}

/// Routes do not share connections, whether their credentials differ or not.
#[test]
fn every_route_has_connections_of_its_own() {
    let upstream = Upstream::ok();
    let other = Keys { id: "AKOTHER".into(), secret: "canary-of-another-route".into(), token: None };
    let url = format!("{{ url = \"{}\", rewrite-path = \"/client/api\" }}", upstream.url());
    let sign = |credential: &str| format!("cloudstack = {{ credential = \"{credential}\" }}");
    let routes = ["one", "two", "three"].map(|name| {
        let credential = if name == "three" { "other" } else { "key" };
        route(name, &format!("path = \"/{name}\""), &url, &sign(credential))
    });
    let gateway = Setup::routes(&routes.concat()).credential("other", other.clone()).start();
    for _ in 0..2 {
        for name in ["one", "two", "three"] {
            gateway.call(&ask("GET", &format!("/{name}?command=listUsers"))).passed(200);
        }
    }
    assert_eq!(connections(&upstream), [0, 1, 2, 0, 1, 2]);
    // And a reload does not make them share.
    gateway.signal("HUP");
    gateway.wait_for_event("configuration reloaded");
    for name in ["one", "two", "three"] {
        gateway.call(&ask("GET", &format!("/{name}?command=listUsers"))).passed(200);
    }
    assert_eq!(connections(&upstream)[6..], [0, 1, 2]);
    for request in upstream.requests() {
        let keys = if request.connection == 2 { other.clone() } else { Keys::default() };
        naive::cloudstack(&request, &keys).unwrap();
    }
}

/// `localhost` has an address in each family; one that refuses does not keep the other from being tried.
#[test]
fn every_address_of_a_name_is_tried() {
    let families: Vec<bool> =
        ("localhost", 1).to_socket_addrs().unwrap().map(|address| address.is_ipv6()).collect();
    let upstream = Upstream::ok();
    let named = upstream.url().replace("127.0.0.1", "localhost");
    if families.contains(&false) {
        let gateway = Gateway::with(&cloud(&format!("\"{named}\"")));
        gateway.call(&list()).passed(200);
        assert_eq!(upstream.last().headers.one("host"), Some(&named["http://".len()..]));
    }
    if families.contains(&true)
        && let Ok(listener) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0))
    {
        let port = listener.local_addr().unwrap().port();
        let serving = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let read = stream.read(&mut [0; 4096]).unwrap();
            std::io::Write::write_all(&mut stream, &answer(200, &[], b"six")).unwrap();
            read
        });
        let gateway = Gateway::with(&cloud(&format!("\"http://localhost:{port}\"")));
        assert_eq!(gateway.call(&list()).passed(200).text(), "six");
        assert!(serving.join().unwrap() > 0);
    }
    assert!(!families.is_empty());
}

/// An upstream that says too much: what is left over is never an answer to somebody else.
#[test]
fn surplus_bytes_are_nobody_elses_answer() {
    let upstream = Upstream::scripted(|talk| {
        talk.request();
        let mut bytes = answer(200, &[], b"ok");
        bytes.extend(answer(200, &[], b"POISON"));
        talk.write(&bytes);
        talk.request();
    });
    let gateway = Gateway::with(&to(&upstream));
    for turn in 0..5 {
        let told = gateway.call(&list());
        assert!(!told.text().contains("POISON"), "{turn}: {told:?}");
        assert_eq!(told.passed(200).text(), "ok");
    }
}

//! Large bodies: they stream both ways at flat memory, and the slower side sets the pace.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::{Upstream, ask, eventually};
use crate::{gateway, head, limited};

const MIB: usize = 1 << 20;
const LONG: usize = 64 * MIB;
/// What the gateway may grow by while a long body passes: buffers, not bodies.
const GROWTH: u64 = 20 << 20;

/// Sends `length` bytes, counting those that the kernel took.
fn pour(stream: &std::net::TcpStream, length: usize, count: &AtomicUsize) {
    let block = vec![b'x'; 64 << 10];
    let mut stream = stream;
    while count.load(Ordering::SeqCst) < length {
        let size = block.len().min(length - count.load(Ordering::SeqCst));
        if stream.write_all(&block[..size]).is_err() {
            return;
        }
        count.fetch_add(size, Ordering::SeqCst);
    }
}

#[test]
fn a_long_upload_streams_with_backpressure() {
    for (host, covered) in [("ceph.internal", false), ("s3.internal", true)] {
        let go = Arc::new(AtomicUsize::new(0));
        let (wait, arrived) = (go.clone(), Arc::new(AtomicUsize::new(0)));
        let total = arrived.clone();
        let upstream = Upstream::scripted(move |talk| {
            talk.forget();
            let Some(head) = talk.head() else { return };
            let length: usize = head.headers.one("content-length").unwrap().parse().unwrap();
            while wait.load(Ordering::SeqCst) == 0 {
                std::thread::sleep(Duration::from_millis(5));
            }
            while total.load(Ordering::SeqCst) < length {
                let read = talk.skip(MIB.min(length - total.load(Ordering::SeqCst)));
                if read == 0 {
                    return;
                }
                total.fetch_add(read, Ordering::SeqCst);
            }
            talk.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        });
        let gateway = gateway(&upstream);
        let before = gateway.peak();
        let mut caller = gateway.connect();
        caller.send(&head(&[
            "PUT /b/k HTTP/1.1",
            &format!("Host: {host}"),
            &format!("Content-Length: {LONG}"),
        ]));
        let sent = Arc::new(AtomicUsize::new(0));
        let sending = {
            let (stream, sent) = (caller.stream().try_clone().unwrap(), sent.clone());
            std::thread::spawn(move || pour(&stream, LONG, &sent))
        };
        // The upstream does not read: the caller comes to a stop.
        let mut last = usize::MAX;
        eventually("the caller waits for the upstream", || {
            let now = sent.load(Ordering::SeqCst);
            let still = now == last && now > 0;
            last = now;
            std::thread::sleep(Duration::from_millis(150));
            still
        });
        assert!(last < LONG / 2, "{host}: {last} bytes were taken from the caller and are nowhere");
        go.store(1, Ordering::SeqCst);
        let answer = caller.response("PUT");
        answer.passed(200);
        sending.join().unwrap();
        let expected = if covered { LONG + LONG / 700 } else { LONG };
        let arrived = arrived.load(Ordering::SeqCst);
        assert!(arrived >= LONG && arrived <= expected + 1000, "{host}: {arrived}");
        let grown = gateway.peak() - before;
        assert!(grown < GROWTH, "{host}: the gateway grew by {grown} bytes");
        assert_eq!(gateway.record_of(&answer)["bytes-in"].as_u64(), Some(LONG as u64));
    }
}

#[test]
fn a_long_download_streams_with_backpressure() {
    let sent = Arc::new(AtomicUsize::new(0));
    let count = sent.clone();
    let upstream = Upstream::scripted(move |talk| {
        while talk.request().is_some() {
            talk.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {LONG}\r\n\r\n").as_bytes());
            let block = vec![b'x'; 64 << 10];
            for _ in 0..LONG / block.len() {
                if !talk.write(&block) {
                    return;
                }
                count.fetch_add(block.len(), Ordering::SeqCst);
            }
        }
    });
    let gateway = gateway(&upstream);
    let before = gateway.peak();
    let mut caller = gateway.connect();
    caller.send(&head(&["GET /b/k HTTP/1.1", "Host: s3.internal"]));
    let (status, headers) = caller.response_head().unwrap().unwrap();
    assert_eq!((status, headers.one("content-length")), (200, Some(LONG.to_string().as_str())));
    let mut last = usize::MAX;
    eventually("the upstream waits for the caller", || {
        let now = sent.load(Ordering::SeqCst);
        let still = now == last && now > 0;
        last = now;
        std::thread::sleep(Duration::from_millis(150));
        still
    });
    assert!(last < LONG / 2, "{last} bytes were taken from the upstream and are nowhere");
    let mut read = 0;
    while read < LONG {
        let bytes = caller.read(MIB.min(LONG - read));
        assert!(!bytes.is_empty() && bytes.iter().all(|&byte| byte == b'x'));
        read += bytes.len();
    }
    let grown = gateway.peak() - before;
    assert!(grown < GROWTH, "the gateway grew by {grown} bytes");
    caller.call(&ask("GET", "/nowhere")).refused(404, "route-not-found");
    assert_eq!(gateway.wait_for_records(2)[0]["bytes-out"].as_u64(), Some(LONG as u64));
}

#[test]
fn what_must_be_read_whole_has_a_limit() {
    let upstream = Upstream::ok();
    let gateway = limited(&upstream, "form = \"2KiB\"\nbody = \"64KiB\"");
    let form = "Content-Type: application/x-www-form-urlencoded";
    for (target, limit) in [("/client/api?command=deployVirtualMachine", 2 << 10), ("/sqs/x", 64 << 10)] {
        let body = |length: usize| format!("a={}", "x".repeat(length - 2));
        gateway.call(&ask("POST", target).form(&body(limit))).passed(200);
        let connections = upstream.connections();
        // With a stated length the refusal does not wait for the body.
        let mut caller = gateway.connect();
        let length = format!("Content-Length: {}", limit + 1);
        caller.send(&head(&[&format!("POST {target} HTTP/1.1"), "Host: localhost", form, &length]));
        caller.response("POST").refused(413, "body-too-large");
        caller.closed();
        // Without one it comes as soon as the limit is passed.
        let mut caller = gateway.connect();
        let chunked = "Transfer-Encoding: chunked";
        caller.send(&head(&[&format!("POST {target} HTTP/1.1"), "Host: localhost", form, chunked]));
        caller.send(format!("{:x}\r\n{}\r\n", limit + 1, body(limit + 1)).as_bytes());
        caller.response("POST").refused(413, "body-too-large");
        caller.closed();
        assert_eq!((upstream.take().len(), upstream.connections()), (1, connections), "{target}");
    }
    // What is not collected has none: the version 2 route streams.
    let call = ask("PUT", "/b/k").header("Host", "ceph.internal").body(vec![b'x'; 200 << 10]);
    gateway.call(&call).passed(200);
}

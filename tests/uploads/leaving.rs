//! A caller that leaves and an upstream that dies, at every byte of a small exchange and wherever it may matter in a
//! long one. Half an upload never looks whole to the upstream, half an answer never looks whole to the caller, and
//! nothing is sent twice.

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::body::{Form, Http, Upload, data};
use crate::support::{Gateway, Upstream, answer, eventually};
use crate::{gateway, sink};

const HOSTS: [&str; 4] =
    ["auto-signed.internal", "chunked-trailer.internal", "unsigned-trailer.internal", "ceph.internal"];

/// Numbers that differ from run to run; the seed is printed when a test fails, and set by `COUNTERSIGN_SEED`.
struct Dice {
    seed: u64,
    state: u64,
}

impl Drop for Dice {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Standard error of a failing test is shown with it.
            let _ = writeln!(std::io::stderr(), "again: COUNTERSIGN_SEED={}", self.seed);
        }
    }
}

impl Dice {
    fn new() -> Self {
        let seed = std::env::var("COUNTERSIGN_SEED").ok().and_then(|seed| seed.parse().ok());
        let now = || u64::from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos()) + 1;
        let seed = seed.unwrap_or_else(now);
        Self { seed, state: seed }
    }

    fn below(&mut self, limit: usize) -> usize {
        // xorshift64*
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let number = self.state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16;
        usize::try_from(number).unwrap() % limit
    }
}

fn upload(form: Form, length: usize) -> Upload {
    Upload::new(form, &data(length))
}

/// The caller sends `cut` bytes and leaves, by closing or by saying that it sends no more.
fn leave_at(gateway: &Gateway, bytes: &[u8], cut: usize) {
    let mut caller = gateway.connect();
    caller.send(&bytes[..cut]);
    if cut % 2 == 1 {
        caller.finish_sending();
        if let Ok(Some(answer)) = caller.try_response("PUT") {
            answer.refused(400, answer.error());
            assert!(["body-incomplete", "ambiguous-request"].contains(&answer.error()), "{answer:?}");
        }
    }
}

#[test]
fn a_caller_leaves_at_every_byte() {
    let upstream = sink();
    let gateway = gateway(&upstream);
    let mut records = 0;
    for host in HOSTS {
        for (form, http) in [
            (Form::Plain, Http::Length),
            (Form::Plain, Http::Chunked),
            (Form::UnsignedTrailer("crc32"), Http::Length),
            (Form::SignedTrailer("crc32"), Http::Chunked),
        ] {
            if host.starts_with("chunked") && form == Form::Plain && http == Http::Chunked {
                continue;
            }
            let upload = upload(form, 20);
            let bytes = upload.put(host, http);
            let head = upload.head("PUT", "/b/k", host, http).len();
            // The head has its own tests; here every fifth byte of it will do.
            for cut in (0..head).step_by(5).chain(head..bytes.len()) {
                leave_at(&gateway, &bytes, cut);
                records += usize::from(cut >= head);
            }
        }
    }
    gateway.wait_for_records(records);
    let whole = upstream.take().into_iter().filter(|request| request.complete).count();
    assert_eq!(whole, 0, "half an upload was committed");
    for host in HOSTS {
        let mut caller = gateway.connect();
        caller.send(&upload(Form::Plain, 20).put(host, Http::Length));
        caller.response("PUT").passed(200);
    }
}

/// Places of a long body: around the gateway's chunks and the caller's, the end, and some by chance.
fn places(length: usize, dice: &mut Dice) -> Vec<usize> {
    let mut places = Vec::new();
    for edge in [0, 8 << 10, 50_000, 64 << 10, 128 << 10, 256 << 10, length] {
        places.extend([edge.saturating_sub(1), edge, edge + 1]);
    }
    places.extend([2, 5, 60, 100, 200].map(|before| length - before));
    places.extend((0..10).map(|_| dice.below(length)));
    places.retain(|place| *place < length);
    places
}

#[test]
fn a_caller_leaves_a_long_upload() {
    let mut dice = Dice::new();
    let upstream = sink();
    let gateway = gateway(&upstream);
    let mut records = 0;
    for host in HOSTS {
        for (form, http) in [
            (Form::Plain, Http::Length),
            (Form::UnsignedTrailer("crc64nvme"), Http::Length),
            (Form::UnsignedTrailer("sha1"), Http::Chunked),
        ] {
            let upload = upload(form, 300_000);
            let bytes = upload.put(host, http);
            let head = upload.head("PUT", "/b/k", host, http).len();
            for place in places(bytes.len() - head, &mut dice) {
                leave_at(&gateway, &bytes, head + place);
                records += 1;
            }
        }
    }
    gateway.wait_for_records(records);
    assert!(upstream.take().iter().all(|request| !request.complete), "half an upload was committed");
}

/// The caller sees exactly what there was of an answer that breaks off after `cut` bytes.
#[track_caller]
fn broken_answer(gateway: &Gateway, bytes: &[u8], whole: &[u8], cut: usize) {
    let head = whole.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    let mut caller = gateway.connect();
    caller.send(bytes);
    match caller.try_response("PUT").unwrap() {
        Some(answer) if cut < head => drop(answer.refused(502, "upstream-protocol")),
        Some(answer) => {
            answer.passed(200);
            assert_eq!(answer.complete, cut == whole.len(), "{cut} of {}: {answer:?}", whole.len());
        }
        // An answer that breaks off before its head was passed on is no answer.
        None => assert!(cut >= head && cut < whole.len(), "{cut}: closed without an answer"),
    }
}

#[test]
fn an_upstream_dies_at_every_byte_of_its_answer() {
    let length = answer(200, &[("etag", "\"1\"")], b"hello");
    let chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nX-T: 1\r\n\r\n";
    for whole in [length, chunks.to_vec()] {
        let script = whole.clone();
        let upstream = Upstream::scripted(move |talk| {
            let Some(request) = talk.request() else { return };
            let cut: usize = request.path().rsplit('/').next().unwrap().parse().unwrap();
            talk.write(&script[..cut]);
        });
        let gateway = gateway(&upstream);
        let mut calls = 0;
        for (host, form) in [
            ("ceph.internal", Form::Plain),
            ("auto-signed.internal", Form::Plain),
            ("chunked-trailer.internal", Form::UnsignedTrailer("crc32")),
        ] {
            let upload = upload(form, 20);
            for cut in 0..=whole.len() {
                let bytes = upload.bytes("PUT", &format!("/b/{cut}"), host, Http::Length);
                broken_answer(&gateway, &bytes, &whole, cut);
                calls += 1;
            }
        }
        assert_eq!(upstream.requests().len(), calls, "a request was sent again");
    }
}

/// The upstream reads `cut` bytes of a request and is gone, on a connection of its own or on one that has served.
fn dying_reader(kept: bool) -> Upstream {
    Upstream::scripted(move |talk| {
        if kept {
            let Some(first) = talk.request() else { return };
            if !first.path().ends_with("/first") {
                return;
            }
            talk.write(&answer(200, &[], b"ok"));
        }
        let Some(head) = talk.head() else { return };
        let cut: usize = head.start.split(['/', ' ']).nth(3).unwrap().parse().unwrap();
        talk.skip(cut);
        if cut % 2 == 1 {
            talk.reset();
        }
    })
}

#[test]
fn an_upstream_dies_while_it_reads() {
    let mut dice = Dice::new();
    for kept in [false, true] {
        let upstream = dying_reader(kept);
        let gateway = gateway(&upstream);
        let mut calls = 0;
        for (host, form) in [
            ("ceph.internal", Form::Plain),
            ("auto-signed.internal", Form::Plain),
            ("chunked-trailer.internal", Form::UnsignedTrailer("crc32")),
        ] {
            let small = upload(form, 20);
            let long = upload(form, 300_000);
            let cuts = (0..20).map(|cut| (&small, cut));
            let cuts: Vec<_> =
                cuts.chain(places(300_000, &mut dice).into_iter().map(|cut| (&long, cut))).collect();
            for (upload, cut) in cuts {
                if kept {
                    let mut caller = gateway.connect();
                    caller.send(&small.bytes("PUT", "/b/first", host, Http::Length));
                    caller.response("PUT").passed(200);
                }
                let mut caller = gateway.connect();
                caller.send(&upload.bytes("PUT", &format!("/b/{cut}"), host, Http::Length));
                let answer = caller.response("PUT");
                assert_eq!((answer.status, answer.error()), (502, "upstream-protocol"), "{host} {cut}");
                calls += 1;
            }
        }
        eventually("every connection is over", || {
            (0..upstream.connections()).all(|connection| upstream.is_closed(connection))
        });
        assert_eq!(upstream.connections(), calls, "a request was sent again");
    }
}

#[test]
fn a_caller_leaves_a_download_anywhere() {
    const LENGTH: usize = 600_000;
    let mut dice = Dice::new();
    let body = data(LENGTH);
    let upstream = Upstream::answering(move |_| answer(200, &[], &body));
    let gateway = gateway(&upstream);
    for _ in 0..40 {
        let mut caller = gateway.connect();
        caller.send(b"GET /b/k HTTP/1.1\r\nHost: auto-signed.internal\r\n\r\n");
        caller.response_head().unwrap().unwrap();
        let wanted = dice.below(LENGTH);
        assert_eq!(caller.read(wanted).len(), wanted);
    }
    // Whoever comes next gets a whole answer and nothing of the others'.
    for _ in 0..5 {
        let mut caller = gateway.connect();
        caller.send(b"GET /b/k HTTP/1.1\r\nHost: auto-signed.internal\r\n\r\n");
        let answer = caller.response("GET");
        assert!(answer.complete && answer.body == data(LENGTH));
    }
}

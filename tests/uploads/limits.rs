//! Limits of what is gathered: 413 for one body too long, 503 for all of them together, and every byte of a budget
//! given back, however a request ends.

use crate::body::{Form, Http, MIB, Upload, data};
use crate::spool::nameless_files;
use crate::support::naive::{self, Keys};
use crate::support::{Gateway, Response, Setup, eventually};
use crate::{limited, routes, s3_code, sink};

fn put(gateway: &Gateway, upload: &Upload, host: &str, http: Http) -> Response {
    let mut caller = gateway.connect();
    caller.send(&upload.put(host, http));
    caller.response("PUT")
}

#[test]
fn a_body_that_is_too_long_is_a_413() {
    let upstream = sink();
    let gateway = limited(&upstream, "body = \"64KiB\"");
    let limit = 64 << 10;
    let fits = Upload::new(Form::Plain, &data(limit));
    let framed = Upload::new(Form::UnsignedTrailer("crc32"), &data(limit));
    let beyond = data(limit + 1);
    for http in [Http::Length, Http::Chunked] {
        for upload in [&fits, &framed] {
            for host in ["auto-signed.internal", "hash-none.internal"] {
                put(&gateway, upload, host, http).passed(200);
            }
        }
        upstream.take();
        let connections = upstream.connections();
        for form in [Form::Plain, Form::UnsignedTrailer("crc32")] {
            let upload = Upload::new(form, &beyond);
            for host in ["auto-signed.internal", "hash-none.internal"] {
                let answer = put(&gateway, &upload, host, http);
                answer.refused(413, "body-too-large");
                assert_eq!(s3_code(&answer.text()), "EntityTooLarge");
                assert!(answer.text().contains("65536"), "{}", answer.text());
            }
        }
        assert!(upstream.take().is_empty() && upstream.connections() == connections);
        // What streams has no such limit.
        for host in ["chunked-signed.internal", "unsigned-signed.internal"] {
            put(&gateway, &Upload::new(Form::UnsignedTrailer("crc32"), &beyond), host, http).passed(200);
        }
        put(&gateway, &Upload::new(Form::Plain, &beyond), "ceph.internal", http).passed(200);
        upstream.take();
    }
}

/// With a stated length the refusal comes instead of the body.
#[test]
fn a_413_does_not_wait_for_the_body() {
    let upstream = sink();
    let gateway = limited(&upstream, "body = \"64KiB\"");
    for form in [Form::Plain, Form::UnsignedTrailer("crc32")] {
        let upload = Upload::new(form, &data(100_000)).with("Expect", "100-continue");
        let mut caller = gateway.connect();
        caller.send(&upload.head("PUT", "/b/k", "hash-none.internal", Http::Length));
        let answer = caller.response("PUT");
        answer.refused(413, "body-too-large");
        assert!(answer.interim.is_empty());
        caller.closed();
    }
    upstream.assert_untouched("too long");
}

#[test]
fn without_room_in_files_long_bodies_are_a_503() {
    let upstream = sink();
    for spool in ["0", "\"1MiB\""] {
        let gateway = limited(&upstream, &format!("spool = {spool}"));
        for http in [Http::Length, Http::Chunked] {
            // Of unknown length, less stays in memory: many may come at once.
            let fits = if http == Http::Length { MIB } else { MIB / 4 };
            put(&gateway, &Upload::new(Form::Plain, &data(fits)), "hash-signed.internal", http).passed(200);
            upstream.take();
            for form in [Form::Plain, Form::UnsignedTrailer("crc32")] {
                let upload = Upload::new(form, &data(MIB + 1));
                let answer = put(&gateway, &upload, "hash-none.internal", http);
                answer.refused(503, "spool-full");
                assert_eq!(s3_code(&answer.text()), "SlowDown");
            }
        }
        assert!(upstream.take().is_empty(), "it was sent");
        // What streams needs no room.
        put(&gateway, &Upload::new(Form::Plain, &data(2 * MIB)), "auto-signed.internal", Http::Length)
            .passed(200);
        upstream.take();
    }
}

#[test]
fn without_room_in_memory_bodies_wait_in_files() {
    let upstream = sink();
    for memory in ["0", "1000"] {
        let gateway = limited(&upstream, &format!("memory = {memory}"));
        for length in [0, 1, 999, 1000, 1001, 70_000, MIB] {
            for form in [Form::Plain, Form::SignedTrailer("sha256")] {
                let upload = Upload::new(form, &data(length));
                put(&gateway, &upload, "hash-none.internal", Http::Chunked).passed(200);
                let request = upstream.take().remove(0);
                naive::sigv4(&request, &Keys::default(), naive::SigV4::S3).unwrap();
                assert!(request.body == data(length));
            }
        }
        let none = limited(&upstream, &format!("memory = {memory}\nspool = 0"));
        put(&none, &Upload::new(Form::Plain, &data(1001)), "hash-none.internal", Http::Length)
            .refused(503, "spool-full");
    }
}

/// However often and however it ends, nothing of a budget is lost: room for one is room for one again.
#[test]
fn budgets_are_given_back() {
    let upstream = sink();
    let gateway = limited(&upstream, "spool = \"1500KiB\"\nmemory = \"900KiB\"\nbody = \"1400KiB\"");
    let small = Upload::new(Form::Plain, &data(800_000));
    let long = Upload::new(Form::Plain, &data(1_200_000));
    let bad = Upload::new(Form::UnsignedTrailer("crc32"), &data(1_200_000))
        .replacing("x-amz-checksum-crc32:", "x-amz-checksum-crc32:A");
    let mut records = 0;
    for _ in 0..12 {
        put(&gateway, &small, "hash-none.internal", Http::Chunked).passed(200);
        put(&gateway, &long, "hash-none.internal", Http::Chunked).passed(200);
        put(&gateway, &bad, "hash-none.internal", Http::Length).refused(400, "checksum-mismatch");
        put(&gateway, &Upload::new(Form::Plain, &data(1_450_000)), "hash-none.internal", Http::Chunked)
            .refused(413, "body-too-large");
        for upload in [&small, &long] {
            let bytes = upload.put("hash-none.internal", Http::Length);
            let mut caller = gateway.connect();
            caller.send(&bytes[..bytes.len() - 1]);
        }
        records += 6;
        // Their ends are noticed in their own time.
        eventually("both are gone", || gateway.records().len() == records);
    }
    assert_eq!(upstream.take().into_iter().filter(|request| request.complete).count(), 24);
}

/// Two at once have no room; the second is told to come again, and when the first is gone there is room.
#[test]
fn a_budget_is_shared_by_all_requests_and_workers() {
    let upstream = sink();
    let gateway = Setup::routes(&routes(&upstream)).limits("spool = \"2MiB\"").workers(2).start();
    let upload = Upload::new(Form::Plain, &data(MIB + 300_000));
    let bytes = upload.put("hash-none.internal", Http::Length);
    let mut first = gateway.connect();
    first.send(&bytes[..bytes.len() - 1]);
    eventually("the first has taken its room", || {
        nameless_files(&gateway).iter().any(|length| *length > MIB as u64)
    });
    for _ in 0..4 {
        put(&gateway, &upload, "hash-none.internal", Http::Length).refused(503, "spool-full");
    }
    first.send(&bytes[bytes.len() - 1..]);
    first.response("PUT").passed(200);
    for _ in 0..4 {
        put(&gateway, &upload, "hash-none.internal", Http::Length).passed(200);
    }
}

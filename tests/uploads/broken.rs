//! Bodies that are not what they say they are: the upstream's request ends before it can commit, the caller gets the
//! S3 error that names the fault, and the connection is not used again.

use crate::body::{ALGORITHMS, Form, Http, MIB, Upload, checksum, content_md5, data};
use crate::support::{Gateway, Upstream, eventually, naive};
use crate::{gateway, limited, s3_code, sink};

/// A fault, and the answer that it gets.
struct Fault {
    name: String,
    upload: Upload,
    http: Http,
    status: u16,
    code: &'static str,
    s3: &'static str,
}

fn fault(name: &str, upload: Upload, status: u16, code: &'static str, s3: &'static str) -> Fault {
    Fault { name: name.to_owned(), upload, http: Http::Length, status, code, s3 }
}

const FORMS: [Form; 3] = [Form::Signed, Form::SignedTrailer("crc32"), Form::UnsignedTrailer("crc64nvme")];

/// Faults of a body of `length` bytes.
fn faults(length: usize) -> Vec<Fault> {
    let body = data(length);
    let other = data(length + 1).split_off(1);
    let plain = || Upload::new(Form::Plain, &body);
    let mut all = vec![
        fault(
            "a stated digest",
            plain().with("x-amz-content-sha256", &naive::sha256(&other)),
            400,
            "digest-mismatch",
            "XAmzContentSHA256Mismatch",
        ),
        fault(
            "Content-MD5",
            plain().with("content-md5", &content_md5(&other)),
            400,
            "checksum-mismatch",
            "BadDigest",
        ),
        fault(
            "Content-MD5 of a framed body",
            Upload::new(Form::UnsignedTrailer("sha1"), &body).with("content-md5", &content_md5(&other)),
            400,
            "checksum-mismatch",
            "BadDigest",
        ),
    ];
    for algorithm in ALGORITHMS {
        let name = format!("x-amz-checksum-{algorithm}");
        let wrong = checksum(algorithm, &other);
        all.push(fault(
            &format!("{algorithm} in a header"),
            plain().with(&name, &wrong),
            400,
            "checksum-mismatch",
            "BadDigest",
        ));
        for form in [Form::SignedTrailer(algorithm), Form::UnsignedTrailer(algorithm)] {
            let upload = Upload::new(form, &body).replacing(&checksum(algorithm, &body), &wrong);
            all.push(fault(&format!("{form:?}"), upload, 400, "checksum-mismatch", "BadDigest"));
        }
    }
    for form in FORMS {
        let good = || Upload::new(form, &body);
        let decoded = "x-amz-decoded-content-length";
        for (what, stated) in [("too long", length + 1), ("too short", length - 1), ("none", 0)] {
            let upload = good().with(decoded, &stated.to_string());
            all.push(fault(
                &format!("{form:?}, decoded length {what}"),
                upload,
                400,
                "chunked-malformed",
                "IncompleteBody",
            ));
        }
        all.push(fault(
            &format!("{form:?}, no decoded length"),
            good().without(decoded),
            411,
            "length-required",
            "MissingContentLength",
        ));
        let signature = format!(";chunk-signature={}", "5a".repeat(32));
        let end = if form == FORMS[2] { "\r\n0\r\n".to_owned() } else { format!("\r\n0{signature}\r\n") };
        for (what, to) in [
            ("a size in no number", "\r\nzz\r\n"),
            ("a signed size", "\r\n-1\r\n"),
            ("a blank", "\r\n0 \r\n"),
            ("a bare line feed", "\r\n0\n"),
            ("data longer than its size", "x\r\n0\r\n"),
            ("a chunk of 16 EiB", "\r\nffffffffffffffff\r\n"),
            ("an extension", "\r\n0;evil=1\r\n"),
        ] {
            let upload = good().replacing(&end, to);
            all.push(fault(&format!("{form:?}, {what}"), upload, 400, "chunked-malformed", "IncompleteBody"));
        }
        let mut cut = good();
        cut.body.truncate(cut.body.len() - 1);
        all.push(fault(
            &format!("{form:?}, the last byte missing"),
            cut,
            400,
            "chunked-malformed",
            "IncompleteBody",
        ));
        let mut more = good();
        more.body.extend_from_slice(b"PUT /b/evil HTTP/1.1\r\nHost: s3.internal\r\n\r\n");
        all.push(fault(&format!("{form:?}, surplus"), more, 400, "chunked-malformed", "IncompleteBody"));
    }
    all.extend(trailer_faults(&body));
    for fault in &mut all {
        if fault.name.ends_with("sha256") || fault.name.contains("too") {
            fault.http = Http::Chunked;
        }
    }
    all
}

fn trailer_faults(body: &[u8]) -> Vec<Fault> {
    let malformed =
        |name: &str, upload| fault(name, upload, 400, "trailer-malformed", "MalformedTrailerError");
    let mut all = Vec::new();
    for form in [Form::SignedTrailer("crc32"), Form::UnsignedTrailer("crc32")] {
        let good = || Upload::new(form, body);
        let line = format!("x-amz-checksum-crc32:{}\r\n", checksum("crc32", body));
        let doubled = format!("{line}{line}");
        let sha1 = format!("{line}x-amz-checksum-sha1:{}\r\n", checksum("sha1", body));
        all.extend([
            malformed(&format!("{form:?} missing"), good().replacing(&line, "")),
            malformed(&format!("{form:?} twice"), good().replacing(&line, &doubled)),
            malformed(&format!("{form:?} with one that is not declared"), good().replacing(&line, &sha1)),
            malformed(&format!("{form:?} declared by nobody"), good().without("x-amz-trailer")),
            malformed(&format!("{form:?} with a blank name"), good().replacing(&line, &format!(" {line}"))),
            malformed(&format!("{form:?} without a colon"), good().replacing(":", " ")),
            malformed(
                &format!("{form:?} declared twice"),
                good().with("x-amz-trailer", "x-amz-checksum-crc32,x-amz-checksum-crc32"),
            ),
        ]);
    }
    let seal = format!("x-amz-trailer-signature:{}\r\n", "5a".repeat(32));
    let signed = || Upload::new(Form::SignedTrailer("crc32"), body);
    all.push(malformed("no trailer signature", signed().replacing(&seal, "")));
    all.push(malformed("a short trailer signature", signed().replacing("5a\r\n", "\r\n")));
    all.push(malformed(
        "a trailer where the form has none",
        Upload::new(Form::Signed, body).with("x-amz-trailer", "x-amz-checksum-crc32"),
    ));
    all
}

/// Sends every fault between two good uploads.
fn every_fault(hosts: &[&str], length: usize) {
    let upstream = sink();
    let gateway = gateway(&upstream);
    let good = Upload::new(Form::UnsignedTrailer("crc32"), &data(length));
    for host in hosts {
        for fault in faults(length) {
            let Fault { name, upload, http, status, code, s3 } = fault;
            good_one(&gateway, &upstream, &good, host);
            let mut caller = gateway.connect();
            caller.send(&upload.put(host, http));
            let answer = caller.response("PUT");
            assert_eq!((answer.status, answer.error()), (status, code), "{host}: {name}: {}", answer.text());
            assert_eq!(s3_code(&answer.text()), s3, "{host}: {name}");
            none_whole(&upstream, &format!("{host}: {name}"));
        }
        good_one(&gateway, &upstream, &good, host);
    }
    assert!(!gateway.output().contains("evil"));
}

/// A good upload arrives, and nothing else that is whole does: a request that was cut is known as cut once its
/// connection has ended, which may be now.
#[track_caller]
fn good_one(gateway: &Gateway, upstream: &Upstream, good: &Upload, host: &str) {
    let mut caller = gateway.connect();
    caller.send(&good.put(host, Http::Length));
    caller.response("PUT").passed(200);
    let whole = upstream.take().into_iter().filter(|request| request.complete).count();
    assert_eq!(whole, 1, "{host}: a broken upload was committed");
}

#[track_caller]
fn none_whole(upstream: &Upstream, case: &str) {
    assert!(upstream.take().iter().all(|request| !request.complete), "{case}: it was committed");
}

#[test]
fn faults_of_gathered_bodies_reach_nobody() {
    let hosts = ["auto-trailer.internal", "hash-signed.internal"];
    every_fault(&hosts, 3000);
}

#[test]
fn faults_of_short_streams_commit_nothing() {
    every_fault(&["chunked-signed.internal", "unsigned-trailer.internal", "ceph.internal"], 3000);
}

#[test]
fn faults_of_long_streams_commit_nothing() {
    every_fault(&["chunked-trailer.internal", "unsigned-none.internal", "ceph.internal"], 200_000);
}

#[test]
fn faults_beyond_memory_commit_nothing() {
    let upstream = sink();
    let gateway = gateway(&upstream);
    let body = data(MIB + 100_000);
    let wrong = naive::sha256(b"another body");
    for (host, upload, code) in [
        (
            "auto-signed.internal",
            Upload::new(Form::Plain, &body).with("x-amz-content-sha256", &wrong),
            "digest-mismatch",
        ),
        (
            "hash-none.internal",
            Upload::new(Form::Plain, &body).with("x-amz-content-sha256", &wrong),
            "digest-mismatch",
        ),
        (
            "hash-none.internal",
            Upload::new(Form::UnsignedTrailer("crc32"), &body)
                .replacing(&checksum("crc32", &body), "AAAAAA=="),
            "checksum-mismatch",
        ),
        (
            "auto-trailer.internal",
            Upload::new(Form::UnsignedTrailer("crc32"), &body)
                .replacing(&checksum("crc32", &body), "AAAAAA=="),
            "checksum-mismatch",
        ),
    ] {
        for http in [Http::Length, Http::Chunked] {
            let mut caller = gateway.connect();
            caller.send(&upload.put(host, http));
            caller.response("PUT").refused(400, code);
            none_whole(&upstream, host);
        }
    }
}

/// A body of nothing has a digest, a checksum and a trailer too.
#[test]
fn faults_of_empty_bodies_commit_nothing() {
    let upstream = sink();
    let gateway = gateway(&upstream);
    let some = data(3);
    for host in
        ["auto-signed.internal", "chunked-trailer.internal", "unsigned-trailer.internal", "ceph.internal"]
    {
        for (upload, code) in [
            (
                Upload::new(Form::Plain, b"").with("x-amz-content-sha256", &naive::sha256(&some)),
                "digest-mismatch",
            ),
            (Upload::new(Form::Plain, b"").with("content-md5", &content_md5(&some)), "checksum-mismatch"),
            (
                Upload::new(Form::Plain, b"").with("x-amz-checksum-crc32", &checksum("crc32", &some)),
                "checksum-mismatch",
            ),
            (
                Upload::new(Form::UnsignedTrailer("crc32"), b"").replacing("AAAAAA==", "AAAAAB=="),
                "checksum-mismatch",
            ),
            (
                Upload::new(Form::UnsignedTrailer("crc32"), b"")
                    .replacing("x-amz-checksum-crc32:AAAAAA==\r\n", ""),
                "trailer-malformed",
            ),
            (Upload::new(Form::Signed, b"").with("x-amz-decoded-content-length", "1"), "chunked-malformed"),
            (
                Upload::new(Form::UnsignedTrailer("crc32"), &some).with("x-amz-decoded-content-length", "0"),
                "chunked-malformed",
            ),
        ] {
            let mut caller = gateway.connect();
            caller.send(&upload.put(host, Http::Length));
            let answer = caller.response("PUT");
            assert_eq!((answer.status, answer.error()), (400, code), "{host}: {upload:?}");
            none_whole(&upstream, host);
        }
    }
}

/// What two parsers could read differently is refused by name.
#[test]
fn statements_that_stand_twice_are_refused() {
    let upstream = sink();
    let gateway = gateway(&upstream);
    let body = data(100);
    let sum = checksum("crc32", &body);
    let digest = naive::sha256(&body);
    let framed = || Upload::new(Form::UnsignedTrailer("crc32"), &body);
    for host in ["auto-signed.internal", "ceph.internal"] {
        for (name, upload) in [
            (
                "content-md5",
                Upload::new(Form::Plain, &body)
                    .with("content-md5", &content_md5(&body))
                    .also("Content-MD5", &content_md5(b"x")),
            ),
            (
                "x-amz-checksum-crc32",
                Upload::new(Form::Plain, &body)
                    .with("x-amz-checksum-crc32", &sum)
                    .also("X-Amz-Checksum-Crc32", "AAAAAA=="),
            ),
            (
                "x-amz-content-sha256",
                Upload::new(Form::Plain, &body)
                    .with("x-amz-content-sha256", &digest)
                    .also("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD"),
            ),
            ("x-amz-decoded-content-length", framed().also("X-Amz-Decoded-Content-Length", "7")),
            ("x-amz-checksum-crc32", framed().with("x-amz-checksum-crc32", &sum)),
        ] {
            let mut caller = gateway.connect();
            caller.send(&upload.put(host, Http::Length));
            let answer = caller.response("PUT");
            answer.refused(400, "bad-header");
            assert_eq!(s3_code(&answer.text()), "InvalidRequest");
            assert!(answer.text().contains(name), "{}", answer.text());
        }
    }
    upstream.assert_untouched("nobody knows what was meant");
}

#[test]
fn framing_without_its_word_is_refused() {
    let upstream = sink();
    let gateway = gateway(&upstream);
    for (name, value) in [
        ("x-amz-content-sha256", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"),
        ("x-amz-content-sha256", "STREAMING-EVIL"),
        ("x-amz-content-sha256", ""),
        ("x-amz-decoded-content-length", "1e3"),
        ("x-amz-decoded-content-length", "-1"),
        ("x-amz-decoded-content-length", "99999999999999999999"),
        ("x-amz-trailer", "x-amz-meta-evil"),
        ("x-amz-checksum-crc32", "not Base64 of this"),
        ("content-md5", "short"),
    ] {
        for host in ["auto-signed.internal", "ceph.internal"] {
            let mut caller = gateway.connect();
            let upload = Upload::new(Form::UnsignedTrailer("crc32"), b"hello").with(name, value);
            caller.send(&upload.put(host, Http::Length));
            let answer = caller.response("PUT");
            assert!(answer.status == 400 && !answer.error().is_empty(), "{name}: {value}: {answer:?}");
        }
    }
    assert!(upstream.requests().iter().all(|request| !request.complete));
}

/// A caller that stalls is told so, wherever it stops.
#[test]
fn stalls_commit_nothing() {
    let upstream = sink();
    let gateway = limited(&upstream, "body-timeout = \"300ms\"");
    let upload = Upload::new(Form::UnsignedTrailer("crc32"), &data(200_000));
    let hosts =
        ["auto-signed.internal", "chunked-signed.internal", "unsigned-trailer.internal", "ceph.internal"];
    std::thread::scope(|scope| {
        for host in hosts {
            for http in [Http::Length, Http::Chunked] {
                let bytes = upload.put(host, http);
                let gateway = &gateway;
                let head = upload.head("PUT", "/b/k", host, http).len();
                for cut in [head, head + 10, head + 100_000, bytes.len() - 40, bytes.len() - 1] {
                    let part = bytes[..cut].to_vec();
                    scope.spawn(move || {
                        let mut caller = gateway.connect();
                        caller.send(&part);
                        let answer = caller.response("PUT");
                        answer.refused(408, "body-timeout");
                        assert_eq!(s3_code(&answer.text()), "RequestTimeout");
                        caller.closed();
                    });
                }
            }
        }
    });
    for connection in 0..upstream.connections() {
        eventually("the upstream's connection is closed", || upstream.is_closed(connection));
    }
    assert!(upstream.requests().iter().all(|request| !request.complete));
}

//! Version 2, ZStack and CloudStack: signatures that do not cover the body, which streams.

use std::io::Cursor;

use crate::body::{ALGORITHMS, Form, Http, MIB, Upload, content_md5, data, local};
use crate::support::message::{Framing, Wire};
use crate::support::naive::{self, Keys, S3V2};
use crate::support::{Request, Upstream, answer, eventually};
use crate::{gateway, limited, sink};

#[test]
fn version_2_takes_every_form() {
    let upstream = sink();
    let gateway = gateway(&upstream);
    let address = upstream.address.to_string();
    let mut turns = ALGORITHMS.into_iter().cycle();
    for length in [0, 1, 70_000, MIB, MIB + 1, 3 * MIB] {
        let body = data(length);
        let algorithm = turns.next().unwrap();
        for form in
            [Form::Plain, Form::Signed, Form::SignedTrailer(algorithm), Form::UnsignedTrailer(algorithm)]
        {
            for http in [Http::Length, Http::Chunked] {
                let upload = Upload::new(form, &body).with("content-md5", &content_md5(&body));
                let mut caller = gateway.connect();
                caller.send(&upload.put("ceph.internal", http));
                caller.response("PUT").passed(200);
                let request = upstream.take().remove(0);
                let case = format!("{form:?} {http:?} {length}");
                naive::s3v2(&request, &Keys::default(), S3V2::Ceph(&address))
                    .unwrap_or_else(|why| panic!("{case}: {why}"));
                assert!(request.body == body && request.complete, "{case}");
                let known = form != Form::Plain || http == Http::Length;
                let framing = if known { Framing::Length(length as u64) } else { request.framing };
                assert_eq!(request.framing, framing, "{case}");
                for name in [
                    "content-encoding",
                    "x-amz-decoded-content-length",
                    "x-amz-trailer",
                    "x-amz-content-sha256",
                ] {
                    assert!(!request.headers.has(name), "{case}: {name}");
                }
                // The name of a checksum travels with the checksum or not at all.
                let summed = request.headers.names().iter().any(|name| name.starts_with("x-amz-checksum-"));
                assert_eq!(request.headers.has("x-amz-sdk-checksum-algorithm"), summed, "{case}");
                // A checksum that followed the body goes before it.
                let followed = matches!(form, Form::SignedTrailer(_) | Form::UnsignedTrailer(_));
                assert_eq!(summed, followed, "{case}");
            }
        }
    }
}

/// Sends part of a body, waits until that has arrived, and sends the rest: nothing collected it.
fn streams(method: &str, target: &str, host: &str, judge: impl Fn(&Request)) {
    const LENGTH: usize = 400_000;
    let upstream = Upstream::scripted(|talk| {
        while talk.head().is_some() {
            talk.skip(200_000);
            talk.skip(LENGTH - 200_000);
            talk.write(&answer(200, &[], b"ok"));
        }
    });
    let gateway = gateway(&upstream);
    let body = data(LENGTH);
    let upload = Upload::new(Form::Plain, &body).with("content-type", "application/json");
    let bytes = upload.bytes(method, target, host, Http::Length);
    let mut caller = gateway.connect();
    caller.send(&bytes[..bytes.len() - 100_000]);
    eventually("the first part arrives while the second is not sent", || {
        upstream.connections() == 1 && upstream.bytes(0).len() > 200_000
    });
    caller.send(&bytes[bytes.len() - 100_000..]);
    caller.response(method).passed(200);
    let mut wire = Wire::new(Cursor::new(upstream.bytes(0)));
    let head = wire.head().unwrap().unwrap();
    let framing = head.framing().unwrap();
    let arrived = wire.body(framing).unwrap();
    assert!(arrived.complete && arrived.bytes == body);
    let mut words = head.start.split(' ').map(str::to_owned);
    judge(&Request {
        connection: 0,
        method: words.next().unwrap(),
        target: words.next().unwrap(),
        headers: head.headers,
        framing,
        body: arrived.bytes,
        complete: true,
        trailers: Vec::new(),
    });
}

#[test]
fn zstack_streams() {
    streams("POST", "/zstack/v1/images", "localhost", |request| {
        naive::zstack(request, &Keys::default(), "/zstack", 8 * 3600).unwrap();
    });
}

#[test]
fn version_2_streams() {
    streams("PUT", "/b/k", "ceph.internal", |request| {
        let host = request.headers.one("host").unwrap();
        naive::s3v2(request, &Keys::default(), S3V2::Ceph(host)).unwrap();
    });
}

/// A CloudStack form is signed as it is, so it is known before it is sent; nothing else of CloudStack has a body.
#[test]
fn a_long_cloudstack_form_is_signed() {
    let upstream = sink();
    // More than what waits in memory elsewhere, of known length or not.
    let gateway = limited(&upstream, "form = \"4MiB\"\nmemory = 0\nspool = 0");
    let value = "x".repeat(3 * MIB);
    for http in [Http::Length, Http::Chunked] {
        let form = format!("command=deployVirtualMachine&userdata={value}");
        let upload = Upload::new(Form::Plain, form.as_bytes())
            .with("content-type", "application/x-www-form-urlencoded");
        let mut caller = gateway.connect();
        caller.send(&upload.bytes("POST", "/client/api", &local(gateway.address), http));
        caller.response("POST").passed(200);
        let request = upstream.take().remove(0);
        let parameters = naive::cloudstack(&request, &Keys::default()).unwrap();
        assert_eq!(parameters["userdata"].len(), value.len());
    }
}

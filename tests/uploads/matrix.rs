//! Every `payload`, every `upstream-chunked`, every form and size of a body, with and without a length: what arrives
//! verifies, says of itself what it is, and is the body that was sent.

use std::collections::HashMap;

use crate::body::{ALGORITHMS, Form, Http, MIB, Upload, data};
use crate::judge::{Covered, judge};
use crate::support::{Caller, Gateway, Upstream};
use crate::{FORMS, gateway, sink};

/// How an upload should arrive; `None`: 411.
fn expected(payload: &str, chunked: &str, form: Form, http: Http, length: usize) -> Option<Covered> {
    let known = form != Form::Plain || http == Http::Length;
    let trailer = form.algorithm().is_some() && chunked == "trailer";
    let flat = form != Form::Plain && chunked == "none";
    Some(match payload {
        "hash" => Covered::Hashed,
        _ if known && length == 0 => Covered::Hashed,
        "unsigned" if trailer => Covered::UnsignedTrailer,
        "unsigned" => Covered::Unsigned,
        "chunked" if !known => return None,
        "auto" if !known || length <= MIB => Covered::Hashed,
        _ if flat => Covered::Hashed,
        _ if trailer => Covered::SignedTrailer,
        _ => Covered::Signed,
    })
}

struct Matrix {
    upstream: Upstream,
    gateway: Gateway,
    caller: Caller,
    /// Bodies by their form and length; making them takes longer than sending them.
    uploads: HashMap<String, Upload>,
    done: usize,
}

impl Matrix {
    fn new() -> Self {
        let upstream = sink();
        let gateway = gateway(&upstream);
        let caller = gateway.connect();
        Self { upstream, gateway, caller, uploads: HashMap::new(), done: 0 }
    }

    #[track_caller]
    fn try_one(&mut self, payload: &str, chunked: &str, form: Form, http: Http, length: usize) {
        let case = format!("{payload} {chunked} {form:?} {http:?} {length}");
        let body = data(length);
        let upload =
            self.uploads.entry(format!("{form:?} {length}")).or_insert_with(|| Upload::new(form, &body));
        self.caller.send(&upload.put(&format!("{payload}-{chunked}.internal"), http));
        let answer = self.caller.response("PUT");
        self.done += 1;
        let Some(expected) = expected(payload, chunked, form, http, length) else {
            answer.refused(411, "length-required");
            self.caller = self.gateway.connect();
            assert!(self.upstream.take().is_empty(), "{case}");
            return;
        };
        answer.passed(200);
        let requests = self.upstream.take();
        assert_eq!(requests.len(), 1, "{case}");
        let request = &requests[0];
        let judged = judge(request).unwrap_or_else(|why| panic!("{case}: {why}"));
        assert_eq!(judged.covered, expected, "{case}");
        assert!(judged.body == body, "{case}: the body changed on its way");
        // A checksum that came goes on wherever the form has a place for it.
        let sum = form.algorithm().map(|algorithm| format!("x-amz-checksum-{algorithm}"));
        let sums = |name: &String| {
            judged.trailers.iter().any(|(known, _)| known == name) || request.headers.has(name)
        };
        let keeps = !matches!(expected, Covered::Signed | Covered::Unsigned);
        assert_eq!(sum.as_ref().is_some_and(sums), keeps && sum.is_some(), "{case}");
        let named = request.headers.has("x-amz-sdk-checksum-algorithm");
        assert_eq!(named, keeps && sum.is_some(), "{case}");
    }
}

fn forms() -> Vec<Form> {
    let mut forms = vec![Form::Plain, Form::Signed];
    for algorithm in ALGORITHMS {
        forms.extend([Form::SignedTrailer(algorithm), Form::UnsignedTrailer(algorithm)]);
    }
    forms
}

/// Small bodies in the full product, large ones in all but the algorithm, which takes turns.
fn every_upload(payload: &str) {
    let mut matrix = Matrix::new();
    for chunked in FORMS {
        for form in forms() {
            for http in [Http::Length, Http::Chunked] {
                for length in [0, 1, 70_000] {
                    matrix.try_one(payload, chunked, form, http, length);
                }
            }
        }
        let mut turns = ALGORITHMS.into_iter().cycle();
        for http in [Http::Length, Http::Chunked] {
            for length in [MIB, MIB + 1, 3 * MIB] {
                let algorithm = turns.next().unwrap();
                for form in [Form::Signed, Form::SignedTrailer(algorithm), Form::UnsignedTrailer(algorithm)] {
                    matrix.try_one(payload, chunked, form, http, length);
                }
                if chunked == "signed" {
                    matrix.try_one(payload, chunked, Form::Plain, http, length);
                }
            }
        }
    }
    assert_eq!(matrix.done, 3 * 12 * 2 * 3 + 3 * 2 * 3 * 3 + 6);
}

#[test]
fn with_payload_auto() {
    every_upload("auto");
}

#[test]
fn with_payload_hash() {
    every_upload("hash");
}

#[test]
fn with_payload_chunked() {
    every_upload("chunked");
}

#[test]
fn with_payload_unsigned() {
    every_upload("unsigned");
}

#[test]
fn encodings_of_the_object_stay() {
    let upstream = sink();
    let gateway = gateway(&upstream);
    let body = data(3000);
    let plain = Upload::new(Form::Plain, &body);
    let framed = Upload::new(Form::UnsignedTrailer("crc32"), &body);
    for (upload, lines, kept) in [
        (&plain, &["gzip"][..], Some("gzip")),
        (&plain, &["gzip, br"], Some("gzip,br")),
        (&plain, &["gzip", "br"], Some("gzip,br")),
        (&framed, &["aws-chunked"], None),
        (&framed, &[], None),
        (&framed, &["aws-chunked,gzip"], Some("gzip")),
        (&framed, &["gzip, aws-chunked"], Some("gzip")),
        (&framed, &["gzip,AWS-Chunked , br"], Some("gzip,br")),
        (&framed, &["aws-chunked", "gzip"], Some("gzip")),
        (&framed, &["gzip", "aws-chunked"], Some("gzip")),
        (&framed, &["gzip"], Some("gzip")),
    ] {
        for (host, chunked) in [
            ("hash-none.internal", false),
            ("chunked-signed.internal", true),
            ("unsigned-signed.internal", false),
        ] {
            let mut upload = upload.clone().without("content-encoding");
            for line in lines {
                upload = upload.also("Content-Encoding", line);
            }
            let mut caller = gateway.connect();
            caller.send(&upload.put(host, Http::Length));
            caller.response("PUT").passed(200);
            let request = upstream.take().remove(0);
            let judged = judge(&request).unwrap_or_else(|why| panic!("{host} {lines:?}: {why}"));
            assert!(judged.body == body);
            let expected = match (chunked, kept) {
                (true, Some(kept)) => Some(format!("aws-chunked,{kept}")),
                (true, None) => Some("aws-chunked".to_owned()),
                (false, kept) => kept.map(str::to_owned),
            };
            let encoding = request.headers.one("content-encoding").map(|value| value.replace(", ", ","));
            assert_eq!(encoding, expected, "{host} {lines:?}");
        }
    }
}

#[test]
fn a_stated_checksum_travels_in_every_mode() {
    let upstream = sink();
    let gateway = gateway(&upstream);
    for length in [0, 1, 70_000, MIB + 1] {
        let body = data(length);
        for (turn, payload) in crate::PAYLOADS.into_iter().enumerate() {
            let algorithm = ALGORITHMS[(turn + length) % 5];
            let name = format!("x-amz-checksum-{algorithm}");
            let sum = crate::body::checksum(algorithm, &body);
            let upload = Upload::new(Form::Plain, &body)
                .with(&name, &sum)
                .with("x-amz-sdk-checksum-algorithm", &algorithm.to_uppercase())
                .with("content-md5", &crate::body::content_md5(&body));
            let mut caller = gateway.connect();
            caller.send(&upload.put(&format!("{payload}-signed.internal"), Http::Length));
            caller.response("PUT").passed(200);
            let request = upstream.take().remove(0);
            let judged = judge(&request).unwrap_or_else(|why| panic!("{payload} {length}: {why}"));
            assert!(judged.body == body);
            assert_eq!(request.headers.one(&name), Some(sum.as_str()));
            assert_eq!(request.headers.one("content-md5"), Some(crate::body::content_md5(&body).as_str()));
            assert!(request.headers.has("x-amz-sdk-checksum-algorithm"));
        }
    }
}

//! S3 calls that are more than a body: lists to delete, copies, multipart uploads, forms of browsers, conditions,
//! versions and overrides of the answer's headers.

use crate::body::{ALGORITHMS, Form, Http, MIB, Upload, checksum, content_md5, data};
use crate::judge::{Covered, judge};
use crate::support::naive::{self, Keys, S3V2};
use crate::support::{Gateway, Request, Setup, Upstream, answer, ask};
use crate::{gateway, s3_code, sink};

#[track_caller]
fn sent(gateway: &Gateway, upstream: &Upstream, bytes: &[u8]) -> Request {
    let mut caller = gateway.connect();
    caller.send(bytes);
    caller.response("POST").passed(200);
    upstream.take().remove(0)
}

const V4: [&str; 5] = [
    "auto-signed.internal",
    "hash-none.internal",
    "chunked-trailer.internal",
    "unsigned-trailer.internal",
    "unsigned-none.internal",
];

/// A list of long keys: a thousand of them make more than a megabyte.
fn list(length: usize) -> Vec<u8> {
    let object = format!("<Object><Key>a&amp;{}</Key></Object>", "b".repeat(1100));
    format!("<Delete>{}</Delete>", object.repeat(length / object.len() + 1)).into_bytes()
}

#[test]
fn a_list_to_delete_gets_its_digest() {
    let upstream = sink();
    let memory_full = Setup::routes(&crate::routes(&upstream)).limits("memory = 0").start();
    let address = upstream.address.to_string();
    for gateway in [gateway(&upstream), memory_full] {
        for length in [0, 100, MIB - 100, MIB + 5000] {
            let list = list(length);
            for http in [Http::Length, Http::Chunked] {
                for host in V4 {
                    let bytes = Upload::new(Form::Plain, &list).bytes("POST", "/b?delete", host, http);
                    let request = sent(&gateway, &upstream, &bytes);
                    let judged = judge(&request).unwrap_or_else(|why| panic!("{host} {length}: {why}"));
                    assert!(judged.body == list && judged.covered == Covered::Hashed);
                    assert_eq!(request.headers.one("content-md5"), Some(content_md5(&list).as_str()));
                }
                let bytes = Upload::new(Form::Plain, &list).bytes("POST", "/b?delete", "ceph.internal", http);
                let request = sent(&gateway, &upstream, &bytes);
                naive::s3v2(&request, &Keys::default(), S3V2::Ceph(&address)).unwrap();
                assert_eq!(request.headers.one("content-md5"), Some(content_md5(&list).as_str()));
            }
        }
    }
}

#[test]
fn a_list_to_delete_keeps_the_digest_that_it_has() {
    let upstream = sink();
    let gateway = gateway(&upstream);
    let list = list(500);
    for host in V4.into_iter().chain(["ceph.internal"]) {
        let with_md5 = Upload::new(Form::Plain, &list).with("Content-MD5", &content_md5(&list));
        let request = sent(&gateway, &upstream, &with_md5.bytes("POST", "/b/?delete", host, Http::Length));
        assert_eq!(request.headers.one("content-md5"), Some(content_md5(&list).as_str()));
        for algorithm in ALGORITHMS {
            let name = format!("x-amz-checksum-{algorithm}");
            let sum = checksum(algorithm, &list);
            let stated = Upload::new(Form::Plain, &list).with(&name, &sum);
            let trailing = Upload::new(Form::UnsignedTrailer(algorithm), &list);
            for upload in [stated, trailing] {
                let request =
                    sent(&gateway, &upstream, &upload.bytes("POST", "/b?delete", host, Http::Length));
                assert_eq!(request.headers.one(&name), Some(sum.as_str()), "{host}");
                assert!(!request.headers.has("content-md5"), "{host}: one is enough");
                assert!(request.body == list);
                if host != "ceph.internal" {
                    judge(&request).unwrap_or_else(|why| panic!("{host}: {why}"));
                }
            }
        }
        let wrong = Upload::new(Form::Plain, &list).with("Content-MD5", &content_md5(b"another list"));
        let mut caller = gateway.connect();
        caller.send(&wrong.bytes("POST", "/b?delete", host, Http::Length));
        let answer = caller.response("POST");
        answer.refused(400, "checksum-mismatch");
        assert_eq!(s3_code(&answer.text()), "BadDigest");
        assert!(upstream.take().is_empty());
    }
}

#[test]
fn copies_are_signed_with_all_that_they_say() {
    let upstream = sink();
    let gateway = gateway(&upstream);
    let address = upstream.address.to_string();
    let headers = [
        ("x-amz-copy-source", "/src/a%20key%2Bplus/%E4%B8%AD?versionId=abc"),
        ("x-amz-copy-source-if-match", "\"etag\""),
        ("x-amz-copy-source-if-unmodified-since", "Sat, 01 Jan 2028 00:00:00 GMT"),
        ("x-amz-copy-source-range", "bytes=0-9"),
        ("x-amz-metadata-directive", "REPLACE"),
        ("x-amz-tagging-directive", "COPY"),
        ("x-amz-checksum-algorithm", "CRC32"),
        ("x-amz-storage-class", "STANDARD_IA"),
        ("x-amz-meta-a", "b"),
    ];
    for target in ["/b/k", "/b/k?partNumber=3&uploadId=u%2F1"] {
        for host in V4.into_iter().chain(["ceph.internal"]) {
            let mut call = ask("PUT", target).header("Host", host);
            for (name, value) in headers {
                call = call.header(name, value);
            }
            let answer = gateway.call(&call);
            answer.passed(200);
            assert_eq!(gateway.record_of(&answer)["operation"], "s3:PutObject");
            let request = upstream.take().remove(0);
            for (name, value) in headers {
                assert_eq!(request.headers.one(name), Some(value), "{host}");
            }
            if host == "ceph.internal" {
                naive::s3v2(&request, &Keys::default(), S3V2::Ceph(&address)).unwrap();
            } else {
                let signed = request.headers.one("authorization").unwrap();
                assert!(signed.contains("x-amz-copy-source;x-amz-copy-source-if-match"), "{signed}");
                assert!(judge(&request).unwrap().body.is_empty());
            }
        }
    }
}

#[test]
fn multipart_calls_pass() {
    let upstream = sink();
    let gateway = gateway(&upstream);
    let list = b"<CompleteMultipartUpload><Part><ETag>\"1\"</ETag><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>";
    let part = data(MIB + 7);
    for host in V4 {
        let mut steps: Vec<(&str, &str, Upload, &str)> = vec![
            (
                "POST",
                "/b/k?uploads",
                Upload::new(Form::Plain, b"")
                    .with("x-amz-checksum-algorithm", "CRC32")
                    .with("x-amz-checksum-type", "COMPOSITE"),
                "s3:PutObject",
            ),
            ("GET", "/b/k?uploadId=u", Upload::new(Form::Plain, b""), "s3:ListMultipartUploadParts"),
            ("DELETE", "/b/k?uploadId=u", Upload::new(Form::Plain, b""), "s3:AbortMultipartUpload"),
            ("GET", "/b?uploads", Upload::new(Form::Plain, b""), "s3:ListBucketMultipartUploads"),
        ];
        for form in [Form::Plain, Form::UnsignedTrailer("crc32"), Form::Signed] {
            steps.push(("PUT", "/b/k?partNumber=1&uploadId=u", Upload::new(form, &part), "s3:PutObject"));
        }
        // What it states is a checksum of the object and not of this list.
        let object = Upload::new(Form::Plain, list)
            .with("x-amz-checksum-crc32", &checksum("crc32", &part))
            .with("x-amz-checksum-sha256", "Vf0vxEUvFBYZhkHwQYLbnCzDqBFzWLHKUzlqFQnl6u0=-2")
            .with("x-amz-checksum-type", "FULL_OBJECT")
            .with("x-amz-mp-object-size", "1048583");
        steps.push(("POST", "/b/k?uploadId=u", object, "s3:PutObject"));
        for (method, target, upload, operation) in steps {
            let http = Http::Length;
            let mut bytes = upload.bytes(method, target, host, http);
            if upload.body.is_empty() && method != "POST" {
                bytes = ask(method, target).header("Host", host).bytes(gateway.address);
            }
            let mut caller = gateway.connect();
            caller.send(&bytes);
            let answer = caller.response(method);
            assert_eq!((answer.status, answer.error()), (200, ""), "{host} {operation}: {}", answer.text());
            assert_eq!(gateway.record_of(&answer)["operation"], operation);
            let request = upstream.take().remove(0);
            assert_eq!(request.target, target);
            if (method, target) == ("POST", "/b/k?uploadId=u") {
                for (name, value) in upload.headers.iter().filter(|(name, _)| name.starts_with("x-amz-")) {
                    assert_eq!(request.headers.one(name), Some(value.as_str()), "{host}");
                }
                assert_eq!(naive_body(&request), list);
                continue;
            }
            let judged = judge(&request).unwrap_or_else(|why| panic!("{host} {operation}: {why}"));
            assert!(judged.body.is_empty() || judged.body == part);
        }
    }
}

/// The body of a request whose checksum headers speak of something else.
fn naive_body(request: &Request) -> Vec<u8> {
    let payload = naive::sigv4(request, &Keys::default(), naive::SigV4::S3);
    payload.unwrap_or_else(|why| panic!("{why}")).bytes().to_vec()
}

#[test]
fn forms_of_browsers_are_refused_by_name() {
    let upstream = sink();
    let gateway = gateway(&upstream);
    let form = "--x\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nk\r\n--x--\r\n";
    for host in V4.into_iter().chain(["ceph.internal"]) {
        for media in
            ["multipart/form-data; boundary=x", "Multipart/Form-Data;boundary=x", "multipart/form-data"]
        {
            let upload = Upload::new(Form::Plain, form.as_bytes()).with("content-type", media);
            let mut caller = gateway.connect();
            caller.send(&upload.bytes("POST", "/b", host, Http::Length));
            let answer = caller.response("POST");
            answer.refused(415, "unsupported-body");
            assert!(answer.text().contains("browser-form"), "{}", answer.text());
            assert_eq!(s3_code(&answer.text()), "NotImplemented");
        }
    }
    upstream.assert_untouched("its policy is a second signature");
}

#[test]
fn conditions_ranges_versions_and_overrides_pass() {
    let upstream = Upstream::answering(|request| match request.headers.one("range") {
        Some(_) => answer(206, &[("content-range", "bytes 1-2/9")], b"bc"),
        None if request.headers.has("if-none-match") => {
            b"HTTP/1.1 304 Not Modified\r\netag: \"1\"\r\n\r\n".to_vec()
        }
        None if request.headers.has("if-match") => answer(412, &[], b"<Error/>"),
        None => answer(200, &[("x-amz-version-id", "v1")], b"abc"),
    });
    let gateway = gateway(&upstream);
    let address = upstream.address.to_string();
    let query = "versionId=v%2B1&response-content-type=text%2Fplain&response-content-disposition=attachment%3B%20filename%3D%22a%20b%22\
        &response-cache-control=no-cache&response-expires=Thu%2C%2001%20Jan%202030%2000%3A00%3A00%20GMT&partNumber=2";
    for host in V4.into_iter().chain(["ceph.internal"]) {
        for (name, value, status) in [
            ("Range", "bytes=1-2", 206),
            ("If-None-Match", "\"1\"", 304),
            ("If-Match", "\"2\"", 412),
            ("If-Modified-Since", "Thu, 01 Jan 2026 00:00:00 GMT", 200),
            ("If-Unmodified-Since", "Thu, 01 Jan 2026 00:00:00 GMT", 200),
            ("x-amz-checksum-mode", "ENABLED", 200),
            ("x-amz-expected-bucket-owner", "111122223333", 200),
        ] {
            let call = ask("GET", &format!("/b/k?{query}")).header("Host", host).header(name, value);
            let answer = gateway.call(&call);
            assert_eq!((answer.status, answer.error()), (status, ""), "{host} {name}");
            let request = upstream.take().remove(0);
            assert_eq!(request.headers.one(name), Some(value));
            assert_eq!(request.query(), Some(query));
            if host == "ceph.internal" {
                naive::s3v2(&request, &Keys::default(), S3V2::Ceph(&address)).unwrap();
            } else {
                judge(&request).unwrap_or_else(|why| panic!("{host}: {why}"));
            }
        }
        // A conditional write.
        let upload = Upload::new(Form::UnsignedTrailer("crc32"), b"x").with("if-none-match", "*");
        let mut caller = gateway.connect();
        caller.send(&upload.put(host, Http::Length));
        assert_eq!(caller.response("PUT").status, 304);
        assert_eq!(upstream.take()[0].headers.one("if-none-match"), Some("*"));
    }
}

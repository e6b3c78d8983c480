//! `aws-chunked` uploads signed with a local key: every chunk and the trailers are verified as they flow, and what is
//! wrong anywhere never becomes an object.

use crate::signer::{self, Call, V4};
use crate::support::naive::{self, Keys, SigV4};
use crate::support::{Upstream, answer};
use crate::{flipped, gateway, local};

const SIGNED: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
const TRAILER: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
const UNSIGNED: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";

/// The CRC-32 of the chunks of [`small`], in Base64, as another program computed it.
const CRC32: &str = "+esgrQ==";

fn upload(host: &str, length: usize, trailer: bool) -> Call {
    let call = Call::new("PUT", host, "/b/k")
        .header("Content-Encoding", "aws-chunked")
        .header("x-amz-decoded-content-length", &length.to_string());
    if trailer { call.header("x-amz-trailer", "x-amz-checksum-crc32") } else { call }
}

fn small() -> [&'static [u8]; 2] {
    [b"hello", b"world"]
}

fn signed(host: &str, keys: &Keys) -> Call {
    let (call, chain) = V4::S3.header(&upload(host, 10, false), keys, Some(SIGNED));
    call.body(chain.body(&small(), &[]))
}

fn with_trailer(host: &str, keys: &Keys) -> Call {
    let (call, chain) = V4::S3.header(&upload(host, 10, true), keys, Some(TRAILER));
    call.body(chain.body(&small(), &[("x-amz-checksum-crc32", CRC32)]))
}

#[test]
fn signed_chunks_pass_and_are_signed_anew() {
    let upstream = Upstream::ok();
    let gateway = gateway(&upstream);
    for host in ["s3.internal", "ceph.internal"] {
        for call in [signed(host, &local()), with_trailer(host, &local())] {
            let response = gateway.call(&call.ask());
            assert_eq!((response.status, response.error()), (200, ""), "{}", response.text());
            let request = upstream.take().remove(0);
            assert_eq!(request.body, b"helloworld", "{host}");
            if host == "s3.internal" {
                naive::sigv4(&request, &Keys::default(), SigV4::S3).unwrap();
            }
        }
    }
    // Without signatures of chunks the head alone is signed.
    let (call, _) = V4::S3.header(&upload("s3.internal", 10, true), &local(), Some(UNSIGNED));
    let body = format!("5\r\nhello\r\n5\r\nworld\r\n0\r\nx-amz-checksum-crc32:{CRC32}\r\n\r\n");
    gateway.call(&call.body(body).ask()).passed(200);
}

#[test]
fn one_changed_byte_anywhere_is_refused() {
    let upstream = Upstream::ok();
    let gateway = gateway(&upstream);
    for call in [signed("s3.internal", &local()), with_trailer("s3.internal", &local())] {
        let body = call.body.clone().unwrap();
        for at in 0..body.len() {
            let mut call = call.clone();
            call.body.as_mut().unwrap()[at] ^= 1;
            let response = gateway.call(&call.ask());
            assert!(
                matches!(response.status, 400 | 403 | 501),
                "byte {at}: {} {}",
                response.status,
                response.text()
            );
            // A changed letter of a signature or of the data is a wrong signature.
            let in_data = body[..at].ends_with(b"\r\n") && at > 90;
            if in_data && body[at..].starts_with(b"hello") || body[at..].starts_with(b"world") {
                response.refused(403, "chunk-signature-mismatch");
                assert!(response.text().contains("<Code>SignatureDoesNotMatch</Code>"));
            }
        }
    }
    assert_eq!(upstream.take().iter().filter(|request| request.complete).count(), 0);
}

#[test]
fn chunks_of_another_key_or_order_are_refused() {
    let upstream = Upstream::ok();
    let gateway = gateway(&upstream);
    let head = |keys: &Keys| V4::S3.header(&upload("s3.internal", 10, false), keys, Some(SIGNED)).0;
    let refuse = |call: Call, code: &str| {
        let response = gateway.call(&call.ask());
        assert_eq!((response.status, response.error()), (403, code), "{}", response.text());
    };
    refuse(signed("s3.internal", &flipped()), "signature-mismatch");
    // A good head with chunks that another key signed, or that follow another head.
    refuse(head(&local()).body(signed("s3.internal", &flipped()).body.unwrap()), "chunk-signature-mismatch");
    let (other, chain) =
        V4::S3.header(&upload("s3.internal", 10, false).header("x-amz-meta-a", "b"), &local(), Some(SIGNED));
    drop(other);
    refuse(head(&local()).body(chain.body(&small(), &[])), "chunk-signature-mismatch");
    // The chunks in another order.
    let body = signed("s3.internal", &local()).body.unwrap();
    let text = String::from_utf8(body).unwrap();
    let lines: Vec<&str> = text.split_inclusive("\r\n").collect();
    let swapped = [&lines[2..4], &lines[..2], &lines[4..]].concat().concat();
    refuse(head(&local()).body(swapped), "chunk-signature-mismatch");
    // Chunks left out, with a length that agrees.
    let (call, chain) = V4::S3.header(&upload("s3.internal", 5, false), &local(), Some(SIGNED));
    let whole = String::from_utf8(chain.body(&small(), &[])).unwrap();
    let lines: Vec<&str> = whole.split_inclusive("\r\n").collect();
    refuse(call.body([&lines[..2], &lines[4..]].concat().concat()), "chunk-signature-mismatch");
    assert_eq!(upstream.take().iter().filter(|request| request.complete).count(), 0);
}

#[test]
fn a_signature_that_cannot_vouch_for_chunks_carries_none() {
    let upstream = Upstream::ok();
    let gateway = gateway(&upstream);
    let body = signed("s3.internal", &local()).body.unwrap();
    // Version 2 has no signatures of chunks.
    let call = upload("s3.internal", 10, false).header("x-amz-content-sha256", SIGNED);
    let call = signer::v2_header(&call, &local(), 0, None).body(&body);
    gateway.call(&call.ask()).refused(400, "signature-malformed");
    // A signed URL whose holder adds the framing: the chunks would need the key.
    let url = V4::S3.query(&Call::new("PUT", "s3.internal", "/b/k"), &local(), 60);
    let call = url.header("Content-Encoding", "aws-chunked").header("x-amz-content-sha256", SIGNED);
    let call = call.header("x-amz-decoded-content-length", "10").body(&body);
    gateway.call(&call.ask()).refused(403, "header-not-signed");
    upstream.assert_untouched("an unsigned framing");
}

#[test]
fn a_bad_chunk_breaks_a_long_upload_off() {
    let upstream = Upstream::scripted(|talk| {
        talk.forget();
        while talk.request().is_some() {
            talk.write(&answer(200, &[], b"ok"));
        }
    });
    let gateway = gateway(&upstream);
    let piece = vec![b'x'; 64 << 10];
    let pieces: Vec<&[u8]> = (0..64).map(|_| piece.as_slice()).collect();
    let (call, chain) = V4::S3.header(&upload("s3.internal", 4 << 20, false), &local(), Some(SIGNED));
    let body = chain.body(&pieces, &[]);
    gateway.call(&call.clone().body(&body).ask()).passed(200);
    for at in [100, 2 << 20, (4 << 20) + 5000, body.len() - 20] {
        let mut bad = body.clone();
        bad[at] ^= 1;
        let response = gateway.call(&call.clone().body(bad).ask());
        assert!(matches!(response.status, 400 | 403), "{at}: {}", response.text());
    }
    let whole = upstream.take().iter().filter(|request| request.complete).count();
    assert_eq!(whole, 1);
}

//! Object keys of every byte: what the upstream decodes is the key that the caller meant, and the signature covers it.

use crate::body::{Form, Http, Upload};
use crate::judge::judge;
use crate::support::naive::{self, Keys, S3V2};
use crate::{gateway, sink};

#[test]
fn keys_of_every_byte_arrive() {
    let upstream = sink();
    let gateway = gateway(&upstream);
    let address = upstream.address.to_string();
    let mut caller = gateway.connect();
    for byte in 1..=0xff_u8 {
        for (number, before) in ["", "a"].into_iter().enumerate() {
            let key = [before.as_bytes(), &[byte], b"z"].concat();
            // Escaped in both letter cases, and as it is where a path can hold it (RFC 3986, 3.3).
            let lower: String = key.iter().map(|byte| format!("%{byte:02x}")).collect();
            let upper = lower.to_uppercase();
            let literal = byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(&byte);
            let mut spellings = vec![if number == 0 { lower } else { upper }];
            if literal {
                spellings.push(String::from_utf8(key.clone()).unwrap());
            }
            for spelling in spellings {
                for host in ["auto-signed.internal", "ceph.internal"] {
                    let upload = Upload::new(Form::Plain, b"x");
                    caller.send(&upload.bytes("PUT", &format!("/b/{spelling}"), host, Http::Length));
                    let answer = caller.response("PUT");
                    assert_eq!((answer.status, answer.error()), (200, ""), "{spelling}: {}", answer.text());
                    let request = upstream.take().remove(0);
                    let path = request.path().strip_prefix("/b/").unwrap();
                    assert_eq!(naive::decoded(path, false).unwrap(), key, "{spelling} became {path}");
                    if host == "ceph.internal" {
                        naive::s3v2(&request, &Keys::default(), S3V2::Ceph(&address)).unwrap();
                    } else {
                        judge(&request).unwrap_or_else(|why| panic!("{spelling}: {why}"));
                    }
                }
            }
        }
    }
}

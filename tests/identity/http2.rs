//! HTTP/2 names the host outside the headers; signatures cover it all the same.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;

use crate::signer::{Call, V4};
use crate::support::naive::{self, Keys, SigV4};
use crate::support::{Setup, Upstream};
use crate::tls::Session;
use crate::{flipped, local, routes};

/// The call as HTTP/2 sends it, to `host`.
fn request(call: &Call, host: &str) -> Request<Full<Bytes>> {
    let mut request = Request::builder().method(call.method.as_str());
    request = request.uri(format!("http://{host}{}", call.target));
    for (name, value) in call.headers.iter().filter(|(name, _)| name != "Host") {
        request = request.header(name, value);
    }
    request.body(Full::from(call.body.clone().unwrap_or_default())).unwrap()
}

#[tokio::test]
async fn the_authority_is_signed() {
    let upstream = Upstream::ok();
    let gateway = Setup::routes(&routes(&upstream, "clients = [\"job\"]"))
        .listen("{ address = \"127.0.0.1:0\", h2c = true }")
        .environment("LOCAL_SECRET", &local().secret)
        .text("[clients.job]\nkeys = [{ access-key = \"LOCALJOB01\", secret-key = { env = \"LOCAL_SECRET\" } }]")
        .start();
    let put = Call::new("PUT", "s3.internal", "/b/k").body("hello");
    let mut session = Session::plain(gateway.address, true).await.unwrap();
    for call in [V4::S3.header(&put, &local(), None).0, V4::S3.query(&put, &local(), 60)] {
        let told = session.send(request(&call, "s3.internal")).await.unwrap();
        assert_eq!((told.status, told.error()), (200, ""), "{told:?}");
        naive::sigv4(&upstream.take()[0], &Keys::default(), SigV4::S3).unwrap();
        let mut session = Session::plain(gateway.address, true).await.unwrap();
        let told = session.send(request(&call, "s3.internal:81")).await.unwrap();
        assert_eq!((told.status, told.error()), (403, "signature-mismatch"), "{told:?}");
    }
    let call = V4::S3.header(&put, &flipped(), None).0;
    let told = session.send(request(&call, "s3.internal")).await.unwrap();
    assert_eq!((told.status, told.error()), (403, "signature-mismatch"), "{told:?}");
    assert_eq!(upstream.take().len(), 0);
}

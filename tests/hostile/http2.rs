//! HTTP/2 callers: what they send is judged by the same rules, and arrives as signed HTTP/1.1.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::Frame;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::support::naive::{self, Keys, Payload, S3V2, SigV4};
use crate::support::{Gateway, PATIENCE, Setup, Upstream, eventually, every_scheme};

type Body = BoxBody<Bytes, std::io::Error>;

fn gateway(upstream: &Upstream) -> Gateway {
    Setup::routes(&every_scheme(upstream)).listen("{ address = \"127.0.0.1:0\", h2c = true }").start()
}

fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed()
}

fn full(bytes: &'static [u8]) -> Body {
    Full::from(bytes).map_err(|never| match never {}).boxed()
}

/// Runs one connection's worth of requests.
fn talk<F: Future>(gateway: &Gateway, script: impl FnOnce(SendRequest<Body>) -> F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
        let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        tokio::time::timeout(PATIENCE, script(sender)).await.expect("the connection hangs")
    })
}

async fn call(sender: &mut SendRequest<Body>, request: Request<Body>) -> Response<Bytes> {
    let (head, body) = sender.send_request(request).await.unwrap().into_parts();
    Response::from_parts(head, body.collect().await.unwrap().to_bytes())
}

fn code(answer: &Response<Bytes>) -> (u16, &str) {
    let code = answer.headers().get("x-countersign-error");
    (answer.status().as_u16(), code.map_or("", |code| code.to_str().unwrap()))
}

#[test]
fn every_scheme_is_signed_for_http2_callers() {
    let upstream = Upstream::ok();
    let gateway = gateway(&upstream);
    let host = upstream.address.to_string();
    talk(&gateway, async |mut sender| {
        let request = |method: &str, uri: &str, body: Body| {
            let request = Request::builder().method(method).uri(uri);
            let request =
                request.header("cookie", "a=EVIL").header("cookie", "b=EVIL").header("te", "trailers");
            request.header("authorization", "EVIL").header("x-forwarded-for", "EVIL").body(body).unwrap()
        };
        for (method, uri, body) in [
            ("GET", "http://localhost/client/api?command=listUsers", empty()),
            ("POST", "http://localhost/client/api?command=deployVirtualMachine", empty()),
            ("PUT", "http://localhost/zstack/v1/x", full(b"{}")),
            ("PUT", "http://ceph.internal/b/k", full(b"hello")),
            ("PUT", "http://s3.internal/b/a+b//c", full(b"hello")),
            ("POST", "http://localhost/sqs/", full(b"{}")),
        ] {
            let answer = call(&mut sender, request(method, uri, body)).await;
            assert_eq!((code(&answer), answer.body().as_ref()), ((200, ""), b"ok".as_slice()), "{uri}");
            assert!(answer.headers().contains_key("x-request-id"));
        }
    });
    let keys = Keys::default();
    let requests = upstream.wait_for(6);
    naive::cloudstack(&requests[0], &keys).unwrap();
    assert_eq!(naive::cloudstack(&requests[1], &keys).unwrap()["command"], "deployVirtualMachine");
    naive::zstack(&requests[2], &keys, "/zstack", 8 * 3600).unwrap();
    naive::s3v2(&requests[3], &keys, S3V2::Ceph(&host)).unwrap();
    assert_eq!(naive::sigv4(&requests[4], &keys, SigV4::S3).unwrap(), Payload::Hashed(b"hello".to_vec()));
    naive::sigv4(&requests[5], &keys, SigV4::SQS).unwrap();
    for connection in 0..upstream.connections() {
        assert!(!String::from_utf8_lossy(&upstream.bytes(connection)).contains("EVIL"));
    }
}

#[test]
fn the_authority_is_the_host() {
    let upstream = Upstream::ok();
    let gateway = gateway(&upstream);
    let path = "/client/api?command=listUsers";
    talk(&gateway, async |mut sender| {
        for (authority, host, expected) in [
            ("evil.example", "", (421, "unknown-host")),
            ("evil.example", "localhost", (400, "ambiguous-request")),
            ("localhost", "evil.example", (400, "ambiguous-request")),
            ("user@localhost", "", (400, "ambiguous-request")),
            ("localhost.", "", (421, "unknown-host")),
        ] {
            let mut request = Request::builder().uri(format!("http://{authority}{path}"));
            if !host.is_empty() {
                request = request.header("host", host);
            }
            match sender.send_request(request.body(empty()).unwrap()).await {
                Ok(answer) => {
                    let (head, body) = answer.into_parts();
                    let answer = Response::from_parts(head, body.collect().await.unwrap().to_bytes());
                    assert_eq!(code(&answer), expected, "{authority} {host}");
                }
                // The parser may refuse the stream by itself.
                Err(error) => assert!(!error.is_timeout(), "{authority} {host}: {error}"),
            }
        }
    });
    upstream.assert_untouched("another host was meant");
}

#[test]
fn hostile_heads_are_refused_for_http2_callers_too() {
    let upstream = Upstream::ok();
    let gateway = gateway(&upstream);
    talk(&gateway, async |mut sender| {
        for (method, uri, header, expected) in [
            (
                "GET",
                "http://localhost/client/api?command=a&COMMAND=b",
                ("x-a", "b"),
                (400, "duplicate-parameter"),
            ),
            ("GET", "http://localhost/zstack/v1/%2e%2e/x", ("x-a", "b"), (400, "bad-path")),
            ("GET", "http://s3.internal/b/k", ("x_amz_date", "b"), (400, "bad-header")),
            ("GET", "http://s3.internal/b/k", ("origin", "null"), (403, "browser-request")),
            ("GET", "http://s3.internal/b/k", ("sec-fetch-site", "cross-site"), (403, "browser-request")),
            ("OPTIONS", "http://s3.internal/b/k", ("x-a", "b"), (403, "browser-request")),
            ("TRACE", "http://s3.internal/b/k", ("x-a", "b"), (405, "method-not-allowed")),
            ("CONNECT", "localhost:443", ("x-a", "b"), (400, "upgrade-refused")),
            ("CONNECT", "169.254.169.254:80", ("x-a", "b"), (400, "upgrade-refused")),
            ("PUT", "http://s3.internal/b/k", ("x-amz-content-sha256", "zz"), (400, "bad-header")),
        ] {
            let request = Request::builder().method(method).uri(uri).header(header.0, header.1);
            let answer = call(&mut sender, request.body(empty()).unwrap()).await;
            assert_eq!(code(&answer), expected, "{method} {uri} {header:?}");
        }
        let request = Request::builder().uri("http://localhost/zstack/v1/x").body(full(b"x")).unwrap();
        assert_eq!(code(&call(&mut sender, request).await), (400, "unexpected-body"));
    });
    upstream.assert_untouched("refused");
}

#[test]
fn trailers_are_dropped_and_a_reset_stream_never_looks_whole() {
    let upstream = Upstream::ok();
    let gateway = gateway(&upstream);
    talk(&gateway, async |mut sender| {
        let mut trailers = http::HeaderMap::new();
        trailers.insert("authorization", http::HeaderValue::from_static("EVIL"));
        let frames = [Ok(Frame::data(Bytes::from_static(b"hello"))), Ok(Frame::trailers(trailers))];
        let body = StreamBody::new(futures_util::stream::iter(frames)).boxed();
        let request = Request::builder().method("PUT").uri("http://ceph.internal/b/k").body(body).unwrap();
        assert_eq!(call(&mut sender, request).await.status(), StatusCode::OK);

        // Half a body, then the stream is reset.
        let frames = futures_util::stream::iter([Ok(Frame::data(Bytes::from_static(b"half")))]);
        let broken = futures_util::stream::once(async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            Err(std::io::Error::other("the caller gives up"))
        });
        let body = futures_util::StreamExt::chain(frames, broken);
        let body = BodyExt::boxed(StreamBody::new(body));
        let request = Request::builder().method("PUT").uri("http://ceph.internal/b/k").body(body).unwrap();
        assert!(sender.send_request(request).await.is_err());
    });
    let requests = upstream.wait_for(2);
    assert_eq!((requests[0].text().as_str(), requests[0].complete), ("hello", true));
    assert!(requests[0].trailers.is_empty());
    assert_eq!((requests[1].text().as_str(), requests[1].complete), ("half", false));
    eventually("the connection is closed", || upstream.is_closed(requests[1].connection));
}

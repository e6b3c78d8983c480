//! HTTP/2 without TLS, by prior knowledge.

use http::{Request, Version};

use super::support::naive::{Keys, SigV4};
use super::tls::Session;
use super::*;

fn h2c_listener() -> &'static str {
    "{ address = \"127.0.0.1:0\", h2c = true }"
}

#[tokio::test]
async fn prior_knowledge_is_taken_where_it_is_allowed() {
    let upstream = Upstream::ok();
    let gateway =
        Setup::routes(&(cloud(&plain(&upstream)) + &s3(&plain(&upstream)))).listen(h2c_listener()).start();
    let authority = gateway.address.to_string();
    let mut session = Session::plain(gateway.address, true).await.unwrap();
    let told = session.send(get2("http", &authority, LIST)).await.unwrap();
    assert_eq!((told.status, told.version), (200, Version::HTTP_2));
    let seen = upstream.last();
    assert_eq!(seen.headers.one("host"), Some(upstream.address.to_string().as_str()));
    naive::cloudstack(&seen, &Keys::default()).unwrap();

    // Streams of one connection, bodies among them, do not wait for each other.
    let streams = (0..30).map(|index| {
        let body = format!("body {index}").repeat(1 + index * 100);
        let request = Request::put(format!("http://{authority}/bucket/{index}"));
        session.stream(request.body(Full::from(body)).unwrap())
    });
    for told in futures_util::future::join_all(streams).await {
        assert_eq!(told.unwrap().status, 200);
    }
    let server = SigV4::S3;
    for request in upstream.requests().iter().filter(|request| request.method == "PUT") {
        naive::sigv4(request, &Keys::default(), server).unwrap();
    }

    // The door is the same as ever.
    let count = upstream.requests().len();
    for (request, status, code) in [
        (get2("http", "evil.example", LIST), 421, "unknown-host"),
        (get2("http", &authority, "/nowhere"), 404, "route-not-found"),
        (get2("http", &authority, "/client/api?command=a&COMMAND=b"), 400, "duplicate-parameter"),
    ] {
        let told = session.send(request).await.unwrap();
        assert_eq!((told.status, told.error()), (status, code), "{told:?}");
    }
    let mut two = get2("http", &authority, LIST);
    two.headers_mut().insert("host", "localhost".parse().unwrap());
    assert_eq!(session.send(two).await.unwrap().error(), "ambiguous-request");
    assert_eq!(upstream.requests().len(), count);

    // The same listener speaks HTTP/1.1, and watches it.
    gateway.call(&ask("GET", LIST)).passed(200);
    let count = upstream.requests().len();
    let both = "PUT /bucket/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let told = gateway.raw(both.as_bytes()).unwrap().unwrap();
    told.refused(400, "ambiguous-request");
    let upgrade = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n";
    assert_eq!(gateway.raw(upgrade.as_bytes()).unwrap().unwrap().status, 400);
    assert_eq!(upstream.requests().len(), count);
}

#[tokio::test]
async fn prior_knowledge_is_refused_elsewhere() {
    let upstream = Upstream::ok();
    let gateway = Gateway::with(&cloud(&plain(&upstream)));
    let authority = gateway.address.to_string();
    let outcome = match Session::plain(gateway.address, true).await {
        Ok(mut session) => session.send(get2("http", &authority, LIST)).await.map(|told| told.status),
        Err(error) => Err(error),
    };
    assert!(outcome.is_err(), "{outcome:?}");
    upstream.assert_untouched("HTTP/2 in the clear needs h2c = true");
}

/// A body that breaks off upstream breaks off for an HTTP/2 caller too, and nobody else on the connection is harmed.
#[tokio::test]
async fn a_broken_answer_never_looks_whole() {
    let upstream = Upstream::answering(|_| answer(200, &[], b"whole"));
    let cut = Upstream::scripted(|talk| {
        talk.request();
        talk.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nhalf");
    });
    let routes = cloud(&plain(&upstream)) + &s3(&plain(&cut));
    let gateway = Setup::routes(&routes).listen(h2c_listener()).start();
    let authority = gateway.address.to_string();
    let mut session = Session::plain(gateway.address, true).await.unwrap();
    let told = session.send(get2("http", &authority, "/bucket/key")).await.unwrap();
    assert_eq!(told.status, 200);
    assert!(told.body.is_err(), "{told:?}");
    let told = session.send(get2("http", &authority, LIST)).await.unwrap();
    assert_eq!((told.status, told.body.as_deref()), (200, Ok("whole")));
    let records = gateway.wait_for_records(2);
    assert_eq!(records[0]["ended"], "upstream-broke-off");
}

#[tokio::test]
async fn a_drain_lets_http2_streams_finish() {
    let (open, gate) = std::sync::mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let upstream = Upstream::answering(move |_| {
        let _ = gate.lock().unwrap().recv_timeout(PATIENCE);
        answer(200, &[], b"held")
    });
    let mut gateway = Setup::routes(&cloud(&plain(&upstream))).listen(h2c_listener()).start();
    let authority = gateway.address.to_string();
    let session = Session::plain(gateway.address, true).await.unwrap();
    let held = tokio::spawn(session.stream(get2("http", &authority, LIST)));
    let waiting = tokio::task::spawn_blocking(move || {
        upstream.wait_for(1);
        upstream
    });
    let _upstream = waiting.await.unwrap();
    gateway.signal("TERM");
    gateway.wait_for_event("draining");
    open.send(()).unwrap();
    drop(open);
    let told = held.await.unwrap().unwrap();
    assert_eq!((told.status, told.body.as_deref()), (200, Ok("held")));
    // A stream that crosses the farewell may still be served; soon none is.
    let mut late = 0;
    while session.stream(get2("http", &authority, LIST)).await.is_ok() {
        late += 1;
        assert!(late < 100, "the connection goes on for ever");
    }
    let ended = tokio::task::spawn_blocking(move || gateway.wait());
    assert_eq!(ended.await.unwrap().code(), Some(0));
}

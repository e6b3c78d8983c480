//! Spans over OTLP, with the feature `otlp`: a collector that is nothing but sockets and a reading of protobuf's wire
//! format finds each call as a span of the right trace, and nothing else about it.

#![cfg(feature = "otlp")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/mod.rs"]
mod support;
#[path = "support/tls.rs"]
mod tls;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use support::naive::Keys;
use support::{Gateway, PATIENCE, Setup, Upstream, answer, ask, eventually, every_scheme};
use tls::{Authority, Leaf};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// A request that came: its head and its body.
type Posts = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// Where spans are sent to.
struct Collector {
    address: SocketAddr,
    posts: Posts,
    /// What it answers.
    status: Arc<Mutex<u16>>,
}

impl Collector {
    fn start(leaf: Option<&Leaf>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (posts, status) = (Posts::default(), Arc::new(Mutex::new(200)));
        let config = leaf.map(|leaf| {
            let chain =
                CertificateDer::pem_slice_iter(leaf.certificate.as_bytes()).map(Result::unwrap).collect();
            let key = PrivateKeyDer::from_pem_slice(leaf.key.as_bytes()).unwrap();
            Arc::new(ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap())
        });
        let (kept, answers) = (posts.clone(), status.clone());
        // It ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                let status = *answers.lock().unwrap();
                // A caller that does not trust this collector is no business of the others.
                let _ = match &config {
                    Some(config) => {
                        let session = ServerConnection::new(config.clone()).unwrap();
                        take(StreamOwned::new(session, stream), status, &kept)
                    }
                    None => take(stream, status, &kept),
                };
            }
        });
        Self { address, posts, status }
    }

    /// All spans that came.
    fn spans(&self) -> Vec<Span> {
        self.posts.lock().unwrap().iter().flat_map(|(_, body)| spans(body)).collect()
    }
}

fn take(stream: impl Read + Write, status: u16, posts: &Posts) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let lower = head.to_ascii_lowercase();
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body)?;
    posts.lock().unwrap().push((head, body));
    let stream = stream.get_mut();
    write!(
        stream,
        "HTTP/1.1 {status} X\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n"
    )?;
    stream.flush()
}

/// A field of a message of protobuf.
#[derive(Debug)]
enum Field {
    Number(u64),
    Bytes(Vec<u8>),
}

/// The fields of a message, in order.
fn fields(mut rest: &[u8]) -> Vec<(u64, Field)> {
    fn number(rest: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let byte = rest[0];
            *rest = &rest[1..];
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        value
    }
    let mut found = Vec::new();
    while !rest.is_empty() {
        let tag = number(&mut rest);
        let length = match tag & 7 {
            0 => {
                found.push((tag >> 3, Field::Number(number(&mut rest))));
                continue;
            }
            1 => 8,
            2 => usize::try_from(number(&mut rest)).unwrap(),
            5 => 4,
            other => panic!("wire type {other}"),
        };
        let (value, after) = rest.split_at(length);
        rest = after;
        found.push((
            tag >> 3,
            match tag & 7 {
                2 => Field::Bytes(value.to_vec()),
                _ => Field::Number(value.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte))),
            },
        ));
    }
    found
}

fn all(message: &[u8], wanted: u64) -> Vec<Vec<u8>> {
    let of = |(number, field)| match field {
        Field::Bytes(bytes) if number == wanted => Some(bytes),
        _ => None,
    };
    fields(message).into_iter().filter_map(of).collect()
}

fn number(message: &[u8], wanted: u64) -> u64 {
    let of = |(number, field)| match field {
        Field::Number(value) if number == wanted => Some(value),
        _ => None,
    };
    fields(message).into_iter().find_map(of).unwrap_or_default()
}

fn text(message: &[u8], wanted: u64) -> String {
    String::from_utf8(all(message, wanted).pop().unwrap_or_default()).unwrap()
}

fn hex(message: &[u8], wanted: u64) -> String {
    all(message, wanted).concat().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `KeyValue`s: texts and whole numbers.
fn attributes(message: &[u8], wanted: u64) -> BTreeMap<String, String> {
    let each = all(message, wanted).into_iter().map(|pair| {
        let value = all(&pair, 2).concat();
        let told = if all(&value, 1).is_empty() { number(&value, 3).to_string() } else { text(&value, 1) };
        (text(&pair, 1), told)
    });
    each.collect()
}

#[derive(Debug)]
struct Span {
    service: String,
    trace: String,
    id: String,
    parent: String,
    name: String,
    kind: u64,
    started: u64,
    ended: u64,
    attributes: BTreeMap<String, String>,
    /// 2 is an error.
    status: u64,
}

impl Span {
    fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

/// The spans of an `ExportTraceServiceRequest`.
fn spans(body: &[u8]) -> Vec<Span> {
    let mut found = Vec::new();
    for resource_spans in all(body, 1) {
        let resource = attributes(&all(&resource_spans, 1).concat(), 1);
        for scope_spans in all(&resource_spans, 2) {
            for span in all(&scope_spans, 2) {
                found.push(Span {
                    service: resource["service.name"].clone(),
                    trace: hex(&span, 1),
                    id: hex(&span, 2),
                    parent: hex(&span, 4),
                    name: text(&span, 5),
                    kind: number(&span, 6),
                    started: number(&span, 7),
                    ended: number(&span, 8),
                    attributes: attributes(&span, 9),
                    status: all(&span, 15).first().map(|status| number(status, 3)).unwrap_or_default(),
                });
            }
        }
    }
    found
}

/// A gateway that sends its spans often.
fn gateway(upstream: &Upstream, endpoint: &str, more: &[(&str, &str)]) -> Gateway {
    let setup = Setup::default().credential("key", Keys::default()).text(&every_scheme(upstream));
    let setup = setup
        .environment("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        .environment("OTEL_BSP_SCHEDULE_DELAY", "50");
    more.iter().fold(setup, |setup, (name, value)| setup.environment(name, value)).start()
}

#[test]
fn every_call_is_a_span_of_its_trace() {
    let upstream = Upstream::answering(|request| match request.path() {
        "/bucket/broken" => answer(503, &[], b"no"),
        _ => answer(200, &[], b"ok"),
    });
    let collector = Collector::start(None);
    let token = [("OTEL_EXPORTER_OTLP_HEADERS", "x-token=canary-collector")];
    let mut gateway = gateway(&upstream, &format!("http://{}", collector.address), &token);
    let call = ask("GET", "/client/api?command=listUsers&response=json&keyword=CANARY-PARAMETER");
    let given = format!("00-{TRACE}-{PARENT}-01");
    gateway.call(&call.header("Traceparent", &given).header("User-Agent", "CANARY-AGENT")).passed(200);
    let forwarded = upstream.take().remove(0).headers.one("traceparent").unwrap().to_owned();
    eventually("the span arrives while the gateway runs", || !collector.spans().is_empty());
    // One without a trace begins one; the kinds of failure; one that its caller does not want kept.
    gateway.call(&ask("GET", "/bucket/broken").header("Host", "s3.internal")).passed(503);
    let begun = upstream.take().remove(0).headers.one("traceparent").unwrap().to_owned();
    gateway.call(&ask("MADEUP", "/nowhere")).refused(404, "route-not-found");
    let unsampled = ask("GET", "/bucket/quiet").header("Host", "s3.internal");
    gateway
        .call(&unsampled.header("Traceparent", &format!("00-{}-{PARENT}-00", "ab".repeat(16))))
        .passed(200);
    // What waits is sent before the end.
    gateway.signal("TERM");
    assert_eq!(gateway.wait().code(), Some(0));

    let spans = collector.spans();
    assert_eq!(spans.len(), 3, "{spans:#?}");
    let first = &spans[0];
    assert_eq!((first.trace.as_str(), first.parent.as_str()), (TRACE, PARENT));
    assert_eq!((first.name.as_str(), first.kind, first.service.as_str()), ("GET cloud", 2, "countersign"));
    // The upstream's spans hang below this one.
    assert_eq!(forwarded, format!("00-{TRACE}-{}-01", first.id));
    assert!(first.id.len() == 16 && first.id != PARENT, "{first:?}");
    assert!(first.ended > first.started && first.ended - first.started < 60_000_000_000, "{first:?}");
    for (name, value) in [
        ("http.request.method", "GET"),
        ("http.route", "cloud"),
        ("http.response.status_code", "200"),
        ("client.address", "127.0.0.1"),
        ("countersign.operation", "listUsers"),
        ("countersign.decision", "allow"),
        ("error.type", ""),
    ] {
        assert_eq!(first.attribute(name), value, "{name}: {first:?}");
    }
    assert_eq!(first.status, 0);
    let of = |name: &str| {
        spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("{name}: {spans:#?}"))
    };
    let broken = of("GET s3");
    assert_eq!((broken.status, broken.attribute("error.type"), broken.parent.as_str()), (2, "503", ""));
    assert_eq!(begun, format!("00-{}-{}-03", broken.trace, broken.id));
    // What a caller made up names no span.
    let refused = of("_OTHER (no route)");
    assert_eq!(
        (refused.attribute("error.type"), refused.attribute("http.response.status_code")),
        ("route-not-found", "404")
    );

    for (head, body) in &*collector.posts.lock().unwrap() {
        let lower = head.to_ascii_lowercase();
        assert!(lower.starts_with("post /v1/traces http/1.1\r\n"), "{head}");
        assert!(lower.contains("content-type: application/x-protobuf\r\n"), "{head}");
        assert!(lower.contains(&format!("host: {}\r\n", collector.address)), "{head}");
        assert!(lower.contains("x-token: canary-collector\r\n"), "{head}");
        let body = String::from_utf8_lossy(body);
        for secret in ["CANARY", &Keys::default().secret, "canary", "signature", "bucket"] {
            assert!(!body.contains(secret), "a span holds {secret}");
        }
    }
}

#[test]
fn a_collector_over_tls_must_be_trusted() {
    let upstream = Upstream::ok();
    let authority = Authority::new("collectors");
    let collector = Collector::start(Some(&authority.server(&["localhost"])));
    let folder = tempfile::tempdir().unwrap();
    let trusted = folder.path().join("collectors.pem");
    std::fs::write(&trusted, authority.pem()).unwrap();
    let endpoint = format!("https://localhost:{}/v1/traces", collector.address.port());
    let named = [("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpoint.as_str())];
    let call = ask("GET", "/bucket/key").header("Host", "s3.internal");
    {
        let stranger = gateway(&upstream, "", &named);
        stranger.call(&call).passed(200);
        let told = stranger.wait_for_event("spans cannot be exported");
        assert!(told["why"].as_str().unwrap().contains("certificate"), "{told}");
    }
    assert!(collector.spans().is_empty());
    let known = [named[0], ("OTEL_EXPORTER_OTLP_CERTIFICATE", trusted.to_str().unwrap())];
    let gateway = gateway(&upstream, "", &known);
    gateway.call(&call).passed(200);
    eventually("the span arrives", || collector.spans().len() == 1);
}

/// Calls go on whatever becomes of their spans, and the log says so once.
#[test]
fn a_collector_that_fails_holds_up_nothing() {
    let upstream = Upstream::ok();
    let collector = Collector::start(None);
    *collector.status.lock().unwrap() = 400;
    let gateway = gateway(&upstream, &format!("http://{}", collector.address), &[]);
    let call = ask("GET", "/bucket/key").header("Host", "s3.internal");
    for count in 1..4 {
        gateway.call(&call).passed(200);
        eventually("the collector refuses it", || collector.spans().len() == count);
    }
    let told = gateway.wait_for_event("spans cannot be exported");
    assert_eq!(told["why"], "the collector answers 400");
    *collector.status.lock().unwrap() = 200;
    gateway.call(&call).passed(200);
    gateway.wait_for_event("spans are exported again");
    assert_eq!(gateway.events("spans cannot be exported").len(), 1);
}

#[test]
fn without_an_endpoint_nothing_is_begun() {
    let upstream = Upstream::ok();
    let gateway = Gateway::with(&every_scheme(&upstream));
    gateway.call(&ask("GET", "/bucket/key").header("Host", "s3.internal")).passed(200);
    assert!(!upstream.take().remove(0).headers.has("traceparent"));
}

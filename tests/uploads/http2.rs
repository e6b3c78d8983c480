//! The same over HTTP/2 to the upstream: what is whole verifies, and what is not ends in a reset, never in a stream
//! that looks finished.

use std::fs;
use std::path::PathBuf;

use crate::body::{Form, Http, MIB, Upload, checksum, data};
use crate::judge::judge;
use crate::support::message::Framing;
use crate::support::{Gateway, Setup, eventually, route};
use crate::tls::{Authority, TlsUpstream};

const ROUTES: [&str; 3] = ["signed", "trailer", "unsigned"];

struct World {
    upstream: TlsUpstream,
    gateway: Gateway,
    ca: PathBuf,
}

impl World {
    fn new() -> Self {
        let authority = Authority::new("ca");
        let upstream = TlsUpstream::new(&authority.server(&["localhost"]), &["h2"]);
        let ca = std::env::temp_dir().join(format!("countersign-test-{}.pem", uuid::Uuid::new_v4()));
        fs::write(&ca, authority.pem()).unwrap();
        let url = format!(
            "{{ url = \"https://localhost:{}\", ca-file = \"{}\", http2 = true }}",
            upstream.address.port(),
            ca.display()
        );
        let rules = [
            "payload = \"chunked\"",
            "payload = \"chunked\", upstream-chunked = \"trailer\"",
            "payload = \"unsigned\"",
        ];
        let routes: String = ROUTES
            .iter()
            .zip(rules)
            .map(|(name, rule)| {
                let sign = format!("s3-v4 = {{ credential = \"key\", region = \"us-east-1\", {rule} }}");
                route(name, &format!("host = \"{name}.internal\""), &url, &sign)
            })
            .collect();
        Self { upstream, gateway: Setup::routes(&routes).start(), ca }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.ca);
    }
}

#[test]
fn uploads_verify_or_are_reset() {
    let world = World::new();
    let mut records = 0;
    let mut whole = Vec::new();
    for name in ROUTES {
        let host = format!("{name}.internal");
        for (form, http) in [
            (Form::Plain, Http::Length),
            (Form::UnsignedTrailer("crc64nvme"), Http::Length),
            (Form::SignedTrailer("sha256"), Http::Chunked),
            (Form::Plain, Http::Chunked),
        ] {
            if form == Form::Plain && http == Http::Chunked && name != "unsigned" {
                continue;
            }
            for length in [1, 70_000, MIB + 1] {
                let body = data(length);
                let good = Upload::new(form, &body);
                let mut caller = world.gateway.connect();
                let target = format!("/b/{}", whole.len());
                caller.send(&good.bytes("PUT", &target, &host, http));
                caller.response("PUT").passed(200);
                whole.push((target, body.clone()));
                records += 1;

                // The caller leaves before the last byte.
                let bytes = good.bytes("PUT", "/b/left", &host, http);
                let mut caller = world.gateway.connect();
                caller.send(&bytes[..bytes.len() - 1]);
                drop(caller);
                records += 1;

                if let Some(algorithm) = form.algorithm() {
                    let sum = checksum(algorithm, &body);
                    let wrong = good.replacing(&sum, &checksum(algorithm, b"another body"));
                    let mut caller = world.gateway.connect();
                    caller.send(&wrong.bytes("PUT", "/b/wrong", &host, http));
                    caller.response("PUT").refused(400, "checksum-mismatch");
                    records += 1;
                }
            }
        }
    }
    world.gateway.wait_for_records(records);
    // Resets travel behind what was sent before them; one more request is behind them all.
    let mut caller = world.gateway.connect();
    caller.send(&Upload::new(Form::Plain, b"last").bytes("PUT", "/b/last", "signed.internal", Http::Length));
    caller.response("PUT").passed(200);
    whole.push(("/b/last".to_owned(), b"last".to_vec()));
    eventually("all good ones arrived", || world.upstream.seen().len() >= whole.len());
    let seen = world.upstream.seen();
    let targets: Vec<&String> = seen.iter().map(|seen| &seen.target).collect();
    assert_eq!(seen.len(), whole.len(), "a broken upload was committed: {targets:?}");
    for (seen, (target, body)) in seen.iter().zip(&whole) {
        let mut request = seen.as_request();
        request.framing = Framing::Length(request.body.len() as u64);
        let judged = judge(&request).unwrap_or_else(|why| panic!("{target}: {why}"));
        assert!(&seen.target == target && &judged.body == body, "{target}");
    }
}

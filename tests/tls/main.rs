//! TLS on both sides, and HTTP/2 on both sides: certificates, names, ALPN, prior knowledge, reload.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::format_push_string)]

mod cleartext;
mod listener;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/tls.rs"]
mod tls;
mod upstream;

use std::fs;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use support::*;
use tls::{Authority, Leaf};

const LIST: &str = "/client/api?command=listUsers&response=json";
const BOTH: [&str; 2] = ["h2", "http/1.1"];

fn get(authority: &str, target: &str) -> Request<Full<Bytes>> {
    Request::get(target).header("host", authority).body(Full::default()).unwrap()
}

/// A request as HTTP/2 states it: scheme and authority in the target, no `Host`.
fn get2(scheme: &str, authority: &str, target: &str) -> Request<Full<Bytes>> {
    Request::get(format!("{scheme}://{authority}{target}")).body(Full::default()).unwrap()
}

fn cloud(upstream: &str) -> String {
    route("cloud", "path = \"/client/api\"", upstream, "cloudstack = { credential = \"key\" }")
}

fn s3(upstream: &str) -> String {
    let sign = "s3-v4 = { credential = \"key\", region = \"us-east-1\" }";
    route("s3", "path = \"/bucket\"", upstream, sign)
}

/// A gateway with a TLS listener, and the files of it.
struct Front {
    gateway: Gateway,
    folder: std::path::PathBuf,
}

const GOOD: &str = "configuration reloaded";
const REFUSED: &str = "reload refused; the old configuration stays";

impl Front {
    fn new(leaf: &Leaf, client_ca: Option<&Authority>, routes: &str, limits: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("countersign-test-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&folder).unwrap();
        let path = |name: &str| folder.join(name).display().to_string();
        let (certificate, key) = (path("tls.pem"), path("tls.key"));
        let mut tls = format!("certificate = \"{certificate}\", key = \"{key}\"");
        fs::write(&certificate, &leaf.certificate).unwrap();
        fs::write(&key, &leaf.key).unwrap();
        if let Some(authority) = client_ca {
            fs::write(path("callers.pem"), authority.pem()).unwrap();
            tls += &format!(", client-ca = \"{}\"", path("callers.pem"));
        }
        let listen =
            format!("{{ address = \"127.0.0.1:0\", hosts = [\"gateway.example\"], tls = {{ {tls} }} }}");
        let gateway = Setup::routes(routes).listen(&listen).limits(limits).start();
        Self { gateway, folder }
    }

    fn replace(&self, name: &str, content: &str) {
        fs::write(self.folder.join(name), content).unwrap();
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[track_caller]
fn reload(gateway: &Gateway, outcome: &str) -> serde_json::Value {
    let before = gateway.events(outcome).len();
    gateway.signal("HUP");
    eventually(outcome, || gateway.events(outcome).len() > before);
    gateway.events(outcome).pop().unwrap()
}

fn plain(upstream: &Upstream) -> String {
    format!("\"{}\"", upstream.url())
}

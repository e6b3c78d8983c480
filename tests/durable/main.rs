//! The record through the gateway: disks that are full, that hang, that vanish; files that are moved, rotated, sealed,
//! and wanted by two.

#![allow(clippy::unwrap_used, clippy::expect_used, unreachable_pub)]

mod files;
mod full;
#[path = "../support/program.rs"]
mod program;
#[path = "../support/running.rs"]
mod running;
#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use countersign::ledger::{self, Report};
use program::Place;
use running::Running;
use serde_json::Value;
use support::{Caller, Response, Upstream, answer, ask};

/// A configuration of one S3 route with a record, and the upstream behind it.
struct Desk {
    place: Place,
    upstream: Upstream,
    file: PathBuf,
}

/// The gateway at work on it.
struct Open<'d> {
    desk: &'d Desk,
    gateway: Running,
    address: SocketAddr,
    admin: SocketAddr,
}

impl Desk {
    /// `file` is relative to the test's own folder, unless it is absolute; `audit` is more of `[audit]`.
    fn new(file: &str, audit: &str) -> Self {
        let place = Place::new();
        let upstream = Upstream::answering(|_| answer(200, &[("content-type", "text/plain")], b"ok"));
        let file = PathBuf::from(place.path(file));
        let rest = format!(
            "[server]\nlisten = [\"127.0.0.1:0\"]\nadmin = \"127.0.0.1:0\"\nworkers = 1\n\
             [audit]\nfile = \"{}\"\n{audit}\n\
             [routes.s3]\nmatch = {{ host = \"s3.internal\" }}\nupstream = \"{}\"\n\
             sign.s3-v4 = {{ credential = \"key\", region = \"us-east-1\" }}\n",
            file.display(),
            upstream.url(),
        );
        place.configuration("AKIDEXAMPLE", "a secret of forty characters for tests..", &rest);
        Self { place, upstream, file }
    }

    /// Starts the gateway; it sees errors instead of the signal that a file at its limit brings.
    fn open(&self) -> Open<'_> {
        let serve = ["--log-format", "json", "serve", "--config", "countersign.toml"];
        let program = self.place.command(&serve);
        let mut command = std::process::Command::new("sh");
        command.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"]);
        command.arg(program.get_program()).args(program.get_args());
        command.current_dir(program.get_current_dir().unwrap());
        command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null());
        let mut gateway = Running::start(command);
        let (admin, address) = (gateway.wait_for("admin"), gateway.wait_for("listening"));
        Open { desk: self, gateway, address, admin }
    }

    /// The record's lines in one of its files, compressed or not.
    fn lines_of(file: &Path) -> Vec<Value> {
        let bytes = fs::read(file).unwrap();
        let bytes = if file.extension().is_some_and(|end| end == "zst") {
            zstd::decode_all(bytes.as_slice()).unwrap()
        } else {
            bytes
        };
        let text = String::from_utf8(bytes).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The lines of all files, oldest first.
    fn lines(&self) -> Vec<Value> {
        let files = ledger::read::files(&self.file).unwrap();
        files.iter().flat_map(|file| Self::lines_of(file)).collect()
    }

    /// Fails unless the record holds.
    #[track_caller]
    fn proven(&self, moved: &[PathBuf]) -> Report {
        let report = ledger::record(&self.file, moved, &[], None).unwrap();
        assert!(report.holds(), "{:#?}", report.problems);
        report
    }
}

impl Open<'_> {
    fn put(&self, key: &str) -> Response {
        let ask = ask("PUT", &format!("/bucket/{key}")).header("Host", "s3.internal").body("body");
        Caller::to(self.address).call(&ask)
    }

    fn get(&self, key: &str) -> Response {
        Caller::to(self.address).call(&ask("GET", &format!("/bucket/{key}")).header("Host", "s3.internal"))
    }

    /// Fails unless a call is refused within a second because it could not be recorded, and not sent.
    #[track_caller]
    fn refuses(&self, call: impl FnOnce(&Self) -> Response) {
        let before = self.desk.upstream.requests().len();
        let start = Instant::now();
        let response = call(self);
        let took = start.elapsed();
        assert_eq!(response.status, 503, "{}", response.text());
        assert_eq!(response.headers.one("x-countersign-error"), Some("audit-unavailable"));
        assert!(took < Duration::from_secs(1), "{took:?}");
        assert_eq!(self.desk.upstream.requests().len(), before, "it was sent");
    }

    /// Calls until it works again.
    #[track_caller]
    fn recovers(&self) {
        support::eventually("a call that is recorded", || self.put("again").status == 200);
        support::eventually("readiness", || self.admin("/readyz").status == 200);
    }

    fn admin(&self, path: &str) -> Response {
        Caller::to(self.admin).call(&ask("GET", path))
    }

    fn metric(&self, name: &str) -> f64 {
        let text = self.admin("/metrics").text();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("no {name} in\n{text}")).parse().unwrap()
    }

    /// Ends it; the exit code must be that of a clean end.
    #[track_caller]
    fn close(mut self) {
        let status = self.gateway.stop();
        assert!(status.success(), "{status:?}\n{}", self.gateway.said());
    }
}

/// Whether a line is about a call with this key, of this kind.
fn is_about(line: &Value, record: &str, key: &str) -> bool {
    line["additionalEventData"]["record"] == record && line["resources"][0]["name"] == format!("bucket/{key}")
}

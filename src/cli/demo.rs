//! `countersign demo`: verifying endpoints of every scheme and a gateway in front, in one process on loopback.
//!
//! Each scheme is tried once by a plain request without keys; the verdict of the endpoint and the gateway's own
//! record are shown. Then everything keeps serving until interrupted, or ends at once with `--once`.

use std::fmt::Write as _;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};

use super::{FAILED, NO, output};
use crate::audit::writer::Sink;
use crate::config;
use crate::credentials;
use crate::demo::{Verifiers, endpoints};
use crate::live::Feed;
use crate::metrics::Metrics;
use crate::reload::World;
use crate::server::{Workers, record};
use crate::sign::Signer;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Try each scheme once and end; exit code 0 only when every verdict is good.
    #[arg(long)]
    once: bool,
}

/// One scheme of the demo: what is called, as a caller without keys would.
struct Call {
    route: &'static str,
    method: &'static str,
    target: &'static str,
    body: &'static str,
    sign: &'static str,
}

const FORM: &str = "application/x-www-form-urlencoded";

const CALLS: [Call; 6] = [
    Call {
        route: "cloudstack",
        method: "GET",
        target: "/client/api?command=listUsers&keyword=caf%C3%A9*~&response=json",
        body: "",
        sign: "sign.cloudstack = { credential = \"demo\" }",
    },
    Call {
        route: "zstack",
        method: "GET",
        target: "/zstack/v1/vm-instances?limit=2",
        body: "",
        sign: "sign.zstack = { credential = \"demo\", time-zone = \"Asia/Shanghai\" }",
    },
    Call {
        route: "s3-v2",
        method: "GET",
        target: "/s3-v2/photos/caf%C3%A9%20(1).jpg?versionId=7",
        body: "",
        sign: "sign.s3-v2 = { credential = \"demo\", dialect = \"ceph\" }",
    },
    Call {
        route: "ostor",
        method: "GET",
        target: "/ostor/?emailAddress=user@example.com&ostor-users",
        body: "",
        // Calls about users carry keys, and are refused by default.
        sign: "secrets = \"redact\"\nsign.s3-v2 = { credential = \"demo\", dialect = \"ostor\" }",
    },
    Call {
        route: "s3-v4",
        method: "PUT",
        target: "/s3-v4/photos/a+b//c~.txt",
        body: "hello",
        sign: "sign.s3-v4 = { credential = \"demo\", region = \"us-east-1\" }",
    },
    Call {
        route: "aws-v4",
        method: "POST",
        target: "/aws-v4/",
        body: "Action=ListQueues&Version=2012-11-05",
        sign: "sign.aws-v4 = { credential = \"demo\", region = \"eu-central-1\", service = \"sqs\" }",
    },
];

impl Call {
    fn prefix(&self) -> &'static str {
        match self.route {
            "cloudstack" => "/client/api",
            "zstack" => "/zstack",
            "s3-v2" => "/s3-v2",
            "ostor" => "/ostor",
            "s3-v4" => "/s3-v4",
            _ => "/aws-v4",
        }
    }

    fn curl(&self, gateway: SocketAddr) -> String {
        let data = if self.body.is_empty() { String::new() } else { format!(" --data-raw '{}'", self.body) };
        format!("curl -X {} 'http://{gateway}{}'{data}", self.method, self.target)
    }
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return output::fail(FAILED, &error.to_string()),
    };
    match tokio::task::LocalSet::new().block_on(&runtime, demo(arguments.once)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => output::fail(NO, "not every endpoint accepted the gateway's signature"),
        Err(error) => output::fail(FAILED, &error.to_string()),
    }
}

async fn demo(once: bool) -> Result<bool, Box<dyn std::error::Error>> {
    let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
    let endpoint = listener.local_addr()?;
    let keys = Keys::write()?;
    let text = configuration(endpoint, &keys);
    let parsed = config::parse("demo.toml", &text).map_err(|problems| problems.to_string())?;

    let mut verifiers = Verifiers::new();
    for route in &parsed.routes {
        let key = credentials::resolve(&parsed.credentials[0])?.key;
        let verifier: Arc<dyn Signer> = Arc::from(route.scheme.prepare(key)?);
        verifiers.insert(route.upstream.host.clone(), verifier);
    }
    tokio::task::spawn_local(endpoints(listener, verifiers));

    let metrics = Arc::new(Metrics::default());
    let world = World::new(parsed, metrics.clone())?;
    let (lines, records) = channel();
    let (scribe, _writer) = record(&world.config().audit, Sink::Stream(Box::new(Lines(lines))))?;
    let mut workers = Workers::start(world.config(), &world.snapshot(), &scribe, &metrics, &Feed::default())?;
    let port = workers.ports.first().copied().flatten().unwrap_or_default();
    let gateway = SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, port));

    output::line(&format!("gateway   http://{gateway}   (callers need no keys)"));
    output::line(&format!("endpoints http://{endpoint}   (each verifies its own scheme)\n"));
    let mut good = true;
    for call in &CALLS {
        let (status, verdict) = send(gateway, call).await?;
        let accepted = status == 200 && verdict.contains("\"verified\"");
        good &= accepted;
        let record = next(&records).await;
        output::line(call.route);
        output::line(&format!("  try      {}", call.curl(gateway)));
        output::line(&format!(
            "  verdict  {} {status} {}",
            if accepted { "OK" } else { "FAILED" },
            verdict.trim()
        ));
        output::line(&format!("  record   {}\n", record.trim()));
    }
    output::line(if good { "every signature was accepted" } else { "NOT every signature was accepted" });
    if !once {
        output::line("serving until interrupted (Ctrl-C)");
        let (mut int, mut term) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        loop {
            tokio::select! {
                _ = int.recv() => break,
                _ = term.recv() => break,
                record = next(&records) => if !record.is_empty() {
                    output::line(record.trim());
                },
            }
        }
    }
    workers.drain();
    workers.done_within(world.config().server.drain).await;
    workers.cut();
    workers.join();
    Ok(good)
}

/// What tells the line of a call's end from its intent and from the marks of the record itself.
const OUTCOME: &str = "\"record\":\"outcome\"";

/// The next record of the gateway; empty when none comes for a while.
async fn next(records: &Receiver<String>) -> String {
    for _ in 0..200 {
        match records.try_recv() {
            Ok(record) if record.contains(OUTCOME) => return record,
            Ok(_) => continue,
            Err(_) => {}
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    String::new()
}

/// A sink that hands lines over instead of printing them.
struct Lines(Sender<String>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        for line in String::from_utf8_lossy(bytes).lines() {
            // Nobody listens any more when the demo is over.
            let _ = self.0.send(line.to_owned());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The demo's credential: two private files with random content, gone when the demo ends.
struct Keys(PathBuf);

impl Keys {
    fn write() -> std::io::Result<Self> {
        let folder = std::env::temp_dir().join(format!("countersign-demo-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&folder)?;
        let keys = Self(folder);
        for part in ["id", "secret"] {
            let mut options = std::fs::OpenOptions::new();
            let mut file = options.write(true).create_new(true).mode(0o600).open(keys.file(part))?;
            write!(file, "{}", uuid::Uuid::new_v4().simple())?;
        }
        Ok(keys)
    }

    fn file(&self, part: &str) -> PathBuf {
        self.0.join(part)
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        // Best effort: the files are private and worthless once the demo is over.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A configuration as a user would write it: every route leads to the same address under a host of its own.
fn configuration(endpoint: SocketAddr, keys: &Keys) -> String {
    let path = |path: &Path| path.display().to_string();
    let mut text = format!(
        "version = 1\n[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\ndrain = \"1s\"\n[credentials.demo]\n\
         access-key = {{ file = \"{}\" }}\nsecret-key = {{ file = \"{}\" }}\n",
        path(&keys.file("id")),
        path(&keys.file("secret"))
    );
    for call in &CALLS {
        let rewrite =
            if matches!(call.route, "cloudstack" | "zstack") { "" } else { ", rewrite-path = \"/\"" };
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "[routes.{route}]\nmatch = {{ path = \"{}\" }}\nupstream = {{ url = \"http://{endpoint}\", host = \
             \"{route}.demo\"{rewrite} }}\n{}\n",
            call.prefix(),
            call.sign,
            route = call.route,
        );
    }
    text
}

/// Sends a call without any key, as curl would.
async fn send(gateway: SocketAddr, call: &Call) -> Result<(u16, String), Box<dyn std::error::Error>> {
    let stream = TcpStream::connect(gateway).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::task::spawn_local(async move { drop(connection.await) });
    let mut request =
        Request::builder().method(call.method).uri(call.target).header("host", gateway.to_string());
    if call.method == "POST" {
        request = request.header("content-type", FORM);
    }
    let request = request.body(Full::<bytes::Bytes>::from(call.body))?;
    let response = sender.send_request(request).await?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await?.to_bytes();
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

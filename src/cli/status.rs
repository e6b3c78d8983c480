//! `countersign status`: how a running gateway stands, as its admin listener tells it.
//!
//! Exit code 0: ready; 4: not ready; 5: nobody answers there.

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::{BAD_CONFIG, FAILED, LogFormat, NO, UNREACHABLE, output};
use crate::admin::status::{Route, Status};
use crate::config;

/// The longest that the gateway may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest answer, in bytes.
const LONGEST: usize = 16 << 20;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The address of the admin listener; without it, that of the configuration.
    #[arg(long, value_name = "ADDRESS", env = "COUNTERSIGN_ADMIN")]
    admin: Option<SocketAddr>,
    /// The configuration file.
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_CONFIG", required_unless_present = "admin")]
    config: Option<PathBuf>,
    /// The form of the answer; text on a terminal, JSON otherwise.
    #[arg(long, value_enum)]
    format: Option<LogFormat>,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let address = match address(arguments) {
        Ok(address) => address,
        Err(why) => return output::fail(BAD_CONFIG, &why),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return output::fail(FAILED, &error.to_string()),
    };
    let asked = runtime.block_on(async { tokio::time::timeout(PATIENCE, ask(address)).await });
    let body = match asked {
        Ok(Ok(body)) => body,
        Ok(Err(why)) => return output::fail(UNREACHABLE, &format!("no gateway answers on {address}: {why}")),
        Err(_) => return output::fail(UNREACHABLE, &format!("no gateway answers on {address} within 5 s")),
    };
    let status: Status = match serde_json::from_slice(&body) {
        Ok(status) => status,
        Err(error) => {
            let why = format!("what answers on {address} is no gateway of this version: {error}");
            return output::fail(UNREACHABLE, &why);
        }
    };
    let as_text = match arguments.format {
        Some(format) => matches!(format, LogFormat::Text),
        None => std::io::stdout().is_terminal(),
    };
    let told = if as_text { text(&status) } else { String::from_utf8_lossy(&body).into_owned() + "\n" };
    let printed = output::all(told.as_bytes());
    if status.ready { printed } else { ExitCode::from(NO) }
}

/// Where to ask.
fn address(arguments: &Arguments) -> Result<SocketAddr, String> {
    if let Some(address) = arguments.admin {
        return Ok(address);
    }
    let file = arguments.config.as_deref().unwrap_or_else(|| std::path::Path::new("countersign.toml"));
    let config = config::load(file).map_err(|problems| problems.to_string())?;
    config.server.admin.ok_or_else(|| {
        "the configuration has no `server.admin`: without it a gateway tells nobody how it stands".to_owned()
    })
}

/// The body of `/status`.
async fn ask(address: SocketAddr) -> Result<Bytes, String> {
    let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let exchange = async {
        let request = Request::get("/status").header("host", address.to_string());
        let request = request.body(Empty::<Bytes>::new()).map_err(|error| error.to_string())?;
        let answer = sender.send_request(request).await.map_err(|error| error.to_string())?;
        if answer.status() != StatusCode::OK {
            return Err(format!("it answers with status {}", answer.status().as_u16()));
        }
        let body = Limited::new(answer.into_body(), LONGEST).collect().await;
        body.map(http_body_util::Collected::to_bytes).map_err(|error| error.to_string())
    };
    tokio::select! {
        body = exchange => body,
        // The connection ends after the exchange, which is then the one that is ready.
        ended = connection => Err(ended.map_or_else(|error| error.to_string(), |()| "it closed".to_owned())),
    }
}

/// As people read it. What the gateway says is its own text or was made visible there; controls are escaped again, for
/// whoever answers may be somebody else.
fn text(status: &Status) -> String {
    let mut out = String::new();
    let state = if status.ready { "ready" } else { "not ready" };
    let up = status.now.duration_since(status.started).as_secs().max(0);
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "countersign {} is {state}, up {} h {} min, {} connections, {} records written",
        shown(&status.version),
        up / 3_600,
        up / 60 % 60,
        status.connections,
        status.audit.records
    );
    for fault in &status.faults {
        let _ = writeln!(out, "  {}", shown(fault));
    }
    if !status.reload_success {
        let _ = writeln!(out, "the last reload was refused; the configuration before it is in force");
    }
    record(status, &mut out);
    if !status.routes.is_empty() {
        let _ = writeln!(out);
        let header =
            ["ROUTE", "REQUESTS", "RATE", "P50", "P99", "4XX", "5XX", "IN FLIGHT", "CLOCK", "CREDENTIAL"];
        let rows = std::iter::once(header.map(str::to_owned))
            .chain(status.routes.iter().map(row))
            .collect::<Vec<_>>();
        table(&rows, &mut out);
    }
    let missing = status.credentials.iter().filter(|credential| !credential.ready);
    for credential in missing {
        let _ = writeln!(out, "credential {} is unavailable", shown(&credential.name));
    }
    out
}

/// How the record stands; a fault stands above already where it takes readiness away.
fn record(status: &Status, out: &mut String) {
    let audit = &status.audit;
    // Writing to a String cannot fail.
    if let Some(fault) = audit.fault().filter(|fault| !status.faults.contains(fault)) {
        let _ = writeln!(out, "the record: {}", shown(&fault));
    }
    if audit.waiting > 0 || audit.errors > 0 || audit.lost() > 0 {
        let (waiting, errors, lost) = (audit.waiting, audit.errors, audit.lost());
        let _ = writeln!(
            out,
            "the record: {waiting} lines wait, {errors} writes failed, {lost} outcomes were lost"
        );
    }
    if let Some(head) = &audit.head {
        let _ = writeln!(out, "the record's head: {} (segment {})", shown(head), audit.segment);
    }
}

fn shown(text: &str) -> String {
    crate::live::visible(text).into_owned()
}

fn row(route: &Route) -> [String; 10] {
    let number =
        |value: Option<f64>, show: &dyn Fn(f64) -> String| value.map_or_else(|| "-".to_owned(), show);
    let milliseconds = |value: f64| format!("{:.1}ms", value * 1e3);
    let percent = |value: f64| format!("{:.1}%", value * 100.0);
    let mut credential = route.credential.clone();
    if !route.ready {
        credential.push_str(" (unavailable)");
    } else if route.signature_rejected > 0 {
        let _ = write!(credential, " (rejected {} times)", route.signature_rejected);
    }
    [
        if route.name.is_empty() { "(no route)".to_owned() } else { shown(&route.name) },
        route.requests.to_string(),
        format!("{:.2}/s", route.rate),
        number(route.p50_seconds, &milliseconds),
        number(route.p99_seconds, &milliseconds),
        number(route.share_4xx, &percent),
        number(route.share_5xx, &percent),
        route.in_flight.to_string(),
        number(route.clock_skew_seconds, &|skew| format!("{skew:+.0}s")),
        shown(&credential),
    ]
}

/// Columns as wide as their widest value; the first and the last to the left, numbers to the right.
fn table<const N: usize>(rows: &[[String; N]], out: &mut String) {
    let widths: [usize; N] =
        std::array::from_fn(|at| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or_default());
    for row in rows {
        for (at, (value, width)) in row.iter().zip(widths).enumerate() {
            // Writing to a String cannot fail.
            let _ = match at {
                0 => write!(out, "{value:<width$}"),
                _ if at + 1 == N => write!(out, "  {value}"),
                _ => write!(out, "  {value:>width$}"),
            };
        }
        out.push('\n');
    }
}

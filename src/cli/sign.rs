//! `countersign sign METHOD URL`: the signed request that the gateway would send, and how it came to be.
//!
//! The signature itself is shown only with `--reveal`: whoever sees it can use it.

use std::fmt::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use crate::sign::encode::{Keep, percent};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Uri};
use jiff::Timestamp;

use super::{BAD_CONFIG, ConfigFile, FAILED, output};
use crate::gateway::{DryRun, Planned};
use crate::metrics::Metrics;
use crate::reload::World;
use crate::sign::Stages;

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    file: ConfigFile,
    /// The method.
    method: Method,
    /// The URL as a caller would use it at the gateway.
    url: Uri,
    /// A header of the request; may be repeated.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// The body.
    #[arg(short, long, default_value = "")]
    data: String,
    /// Sign as of this time instead of now (RFC 3339).
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    /// Give a URL that holds for this many seconds instead of a signed request.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "900")]
    presign: Option<u32>,
    /// Show the signature.
    #[arg(long)]
    reveal: bool,
    /// The form of the output.
    #[arg(long = "as", value_enum, default_value_t = Form::Http)]
    form: Form,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Form {
    /// Stages and the request as HTTP.
    Http,
    /// A curl command line.
    Curl,
    /// One JSON object.
    Json,
}

pub(super) fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("a header is written `Name: value`")?;
    let name = name.trim().parse().map_err(|_| format!("`{}` is not a header name", name.trim()))?;
    let value = value.trim().parse().map_err(|_| "the value cannot stand in a header".to_owned())?;
    Ok((name, value))
}

/// What is shown, whatever its form.
#[derive(Default)]
struct Shown {
    canonical_request: Option<String>,
    string_to_sign: String,
    signature: String,
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let world = match World::load(&arguments.file.config, Arc::new(Metrics::default())) {
        Ok(world) => world,
        Err(error) => return output::fail(BAD_CONFIG, &error.to_string()),
    };
    let mut request = Request::new(Bytes::from(arguments.data.clone()));
    *request.method_mut() = arguments.method.clone();
    *request.uri_mut() = arguments.url.clone();
    for (name, value) in &arguments.headers {
        request.headers_mut().append(name.clone(), value.clone());
    }
    let snapshot = world.snapshot().load_full();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return output::fail(FAILED, &error.to_string()),
    };
    let now = arguments.at.unwrap_or_else(Timestamp::now);
    let shown = runtime.block_on(async {
        let planned = DryRun { request }.plan(&snapshot).await?;
        match arguments.presign {
            Some(expires) => presigned(planned, now, expires, arguments.method.as_str()),
            None => signed(planned, now).await,
        }
    });
    match shown {
        Ok(mut shown) => {
            if !arguments.reveal {
                shown.hide();
            }
            output::all(shown.written(arguments.form).as_bytes())
        }
        Err(reason) => output::fail(BAD_CONFIG, &format!("{}: {}", reason.code(), reason.message())),
    }
}

fn presigned(
    planned: Planned,
    now: Timestamp,
    expires: u32,
    method: &str,
) -> Result<Shown, crate::reason::Reason> {
    let mut shown = Shown { method: method.to_owned(), ..Shown::default() };
    shown.url = planned.presign(now, expires, |stages| shown_stages(&mut shown, stages))?;
    Ok(shown)
}

async fn signed(planned: Planned, now: Timestamp) -> Result<Shown, crate::reason::Reason> {
    let mut shown = Shown::default();
    let scheme = if planned.route.endpoint.upstream.tls { "https" } else { "http" };
    let signed = planned.sign(now, |stages| shown_stages(&mut shown, stages))?;
    let (head, body) = signed.into_parts();
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let host = head.headers.get(http::header::HOST).map(text).unwrap_or_default();
    shown.method = head.method.to_string();
    shown.url = format!("{scheme}://{host}{}", String::from_utf8_lossy(&head.target));
    shown.headers = head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    if let Ok(body) = http_body_util::BodyExt::collect(body).await {
        shown.body =
            Some(String::from_utf8_lossy(&body.to_bytes()).into_owned()).filter(|body| !body.is_empty());
    }
    Ok(shown)
}

fn shown_stages(shown: &mut Shown, stages: &Stages<'_>) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    shown.canonical_request = stages.canonical_request.map(text);
    shown.string_to_sign = text(stages.string_to_sign);
    stages.signature.clone_into(&mut shown.signature);
}

impl Shown {
    /// Puts a word in the place of the signature and of a session token, plain and percent-encoded alike.
    fn hide(&mut self) {
        let signature = std::mem::replace(&mut self.signature, "(hidden; --reveal shows it)".to_owned());
        let header =
            self.headers.iter().find(|(name, _)| name == "x-amz-security-token").map(|(_, value)| value);
        let query = self.url.split(['?', '&']).find_map(|field| field.strip_prefix("X-Amz-Security-Token="));
        let token = header.map(String::as_str).or(query).unwrap_or_default().to_owned();
        let texts =
            self.headers.iter_mut().map(|(_, value)| value).chain([&mut self.url, &mut self.string_to_sign]);
        for text in texts.chain(self.body.as_mut()).chain(self.canonical_request.as_mut()) {
            for secret in [&signature, &token].into_iter().filter(|secret| !secret.is_empty()) {
                let mut encoded = Vec::new();
                percent(secret.as_bytes(), Keep::Unreserved, &mut encoded);
                let encoded = String::from_utf8_lossy(&encoded);
                *text = text.replace(secret.as_str(), "HIDDEN").replace(&*encoded, "HIDDEN");
            }
        }
        if let Some(body) = &mut self.body {
            *body = without_chunk_signatures(body);
        }
    }

    fn written(&self, form: Form) -> String {
        match form {
            Form::Json => {
                let object = serde_json::json!({
                    "canonical-request": self.canonical_request,
                    "string-to-sign": self.string_to_sign,
                    "signature": self.signature,
                    "method": self.method,
                    "url": self.url,
                    "headers": self.headers,
                    "body": self.body,
                });
                format!("{object:#}\n")
            }
            Form::Curl => {
                let mut line = format!("curl -X {} {}", self.method, quoted(&self.url));
                for (name, value) in self.headers.iter().filter(|(name, _)| name != "content-length") {
                    let _ = write!(line, " \\\n  -H {}", quoted(&format!("{name}: {value}")));
                }
                if let Some(body) = &self.body {
                    let _ = write!(line, " \\\n  --data-raw {}", quoted(body));
                }
                line + "\n"
            }
            Form::Http => {
                let mut out = String::new();
                // Writing to a String cannot fail.
                let _ = self.http(&mut out);
                out
            }
        }
    }

    fn http(&self, out: &mut String) -> fmt::Result {
        if let Some(canonical) = &self.canonical_request {
            writeln!(out, "canonical request\n{}\n", indented(canonical))?;
        }
        writeln!(out, "string to sign\n{}\n", indented(&self.string_to_sign))?;
        writeln!(out, "signature\n  {}\n\n{} {}", self.signature, self.method, self.url)?;
        for (name, value) in &self.headers {
            writeln!(out, "{name}: {value}")?;
        }
        match &self.body {
            Some(body) => writeln!(out, "\n{body}"),
            None => Ok(()),
        }
    }
}

/// The signatures inside an `aws-chunked` body follow from that of the head, and are worth as much.
fn without_chunk_signatures(body: &str) -> String {
    const MARK: &str = "chunk-signature=";
    let mut parts = body.split(MARK);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.bytes().take_while(u8::is_ascii_hexdigit).count();
        out.push_str(MARK);
        out.push_str("HIDDEN");
        out.push_str(&part[digits..]);
    }
    out
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

/// One word of a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

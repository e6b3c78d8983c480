//! The configuration, checked: what every other room reads.
//!
//! [`load`] turns the text of the file into a [`Config`] or into *all* of its problems. Nothing here resolves a
//! secret, opens a socket or reads any file but the configuration itself.

pub mod access;
pub mod audit;
mod diagnostic;
mod mask;
mod read;
mod table;
mod value;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use access::{
    Client, ClientAddress, ClientAuth, Conditions, Enforcement, LocalKey, Quota, Rate, Rule, Rules, Secrets,
    Selector,
};
pub use audit::{Audit, OnFull};
pub use diagnostic::{Position, Problem, Problems, Style};

use crate::sign::Scheme;

/// A configuration is a page or two; what is longer is another kind of file.
const MAX_FILE: u64 = 4 << 20;

/// Reads and checks a configuration file.
///
/// # Errors
/// Every problem of the file at once, or the one that keeps it from being read.
pub fn load(path: &Path) -> Result<Config, Problems> {
    let name = path.display().to_string();
    let refuse = |problem: Problem| Problems::new(&name, String::new(), vec![problem]);
    let text = file_text(path).map_err(|(what, help)| {
        refuse(Problem::of_file(format!("the configuration cannot be read: {what}")).help(help))
    })?;
    parse(&name, &text)
}

/// Checks the text of a configuration file that is called `name` in messages.
///
/// # Errors
/// Every problem of the text at once, in the order of the file.
pub fn parse(name: &str, text: &str) -> Result<Config, Problems> {
    read::read(name, text)
}

fn file_text(path: &Path) -> Result<String, (String, &'static str)> {
    let permission = "check the path, and that the user countersign runs as can read it";
    let file = std::fs::metadata(path).map_err(|error| (error.to_string(), permission))?;
    if file.is_dir() || file.len() > MAX_FILE {
        return Err(("it is not a configuration file".to_owned(), "name a TOML file of at most 4 MiB"));
    }
    let bytes = std::fs::read(path).map_err(|error| (error.to_string(), permission))?;
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.split(|byte| *byte == b'\n').count();
        (format!("line {line} is not UTF-8"), "save the file as UTF-8")
    })
}

/// A whole, valid configuration.
#[derive(Debug)]
pub struct Config {
    /// `[server]`.
    pub server: Server,
    /// `[audit]`.
    pub audit: Audit,
    /// `[credentials.*]` in the order of the file.
    pub credentials: Vec<Credential>,
    /// `[clients.*]` in the order of the file.
    pub clients: Vec<Client>,
    /// `[routes.*]` in the order of the file.
    pub routes: Vec<Route>,
}

/// `[server]`: listeners, workers and limits.
#[derive(Debug)]
pub struct Server {
    /// Where callers connect; at least one.
    pub listen: Vec<Listener>,
    /// The admin listener; loopback only.
    pub admin: Option<SocketAddr>,
    /// Worker threads; 0 is one per core.
    pub workers: usize,
    /// How long a drain may take.
    pub drain: Duration,
    /// Where bodies wait that must be known before they are sent; absent: the system's temporary directory.
    pub spool_directory: Option<PathBuf>,
    /// Limits and timeouts.
    pub limits: Limits,
}

/// Where a listener is bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// `ip:port`.
    Tcp(SocketAddr),
    /// `unix:/path`.
    Unix(PathBuf),
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// One data listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Where it is bound.
    pub address: Address,
    /// Further host names that it answers to, lower case, without port.
    pub hosts: Vec<String>,
    /// TLS, when it is spoken.
    pub tls: Option<ListenerTls>,
    /// Whether cleartext HTTP/2 with prior knowledge is accepted.
    pub h2c: bool,
    /// Peers that speak for others.
    pub trusted_proxies: Vec<ipnet::IpNet>,
    /// How they tell for whom; present whenever there are any.
    pub client_address: Option<ClientAddress>,
}

/// TLS files of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerTls {
    /// PEM chain, leaf first.
    pub certificate: PathBuf,
    /// PEM private key.
    pub key: PathBuf,
    /// PEM roots that client certificates must chain to; absent: none is asked for.
    pub client_ca: Option<PathBuf>,
    /// PEM list of revoked client certificates.
    pub client_crl: Option<PathBuf>,
    /// Whether callers need a certificate; of no matter without `client_ca`.
    pub client_auth: ClientAuth,
}

/// `[server.limits]`; the defaults are those of the threat model's section on availability.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request head (32 KiB).
    pub head: usize,
    /// Headers of a request (100).
    pub headers: usize,
    /// Bytes of a request target (16 KiB).
    pub target: usize,
    /// Bytes of a form whose fields are signed (1 MiB).
    pub form: u64,
    /// Bytes of a body that must be known before it is sent (5 GiB).
    pub body: u64,
    /// Bytes of all such bodies that wait in memory (64 MiB); beyond it they wait in files.
    pub memory: u64,
    /// Bytes of all such bodies that wait in files (16 GiB).
    pub spool: u64,
    /// Fields of a query or form (1,000).
    pub parameters: usize,
    /// Connections over all workers (10,000).
    pub connections: usize,
    /// From the first byte of a head to its last (10 s).
    pub header_timeout: Duration,
    /// A kept-alive connection without a request (60 s).
    pub idle_timeout: Duration,
    /// A body in which no byte moves (60 s).
    pub body_timeout: Duration,
    /// TLS handshake with a caller (5 s).
    pub handshake_timeout: Duration,
    /// Connect and TLS handshake with an upstream (5 s).
    pub connect_timeout: Duration,
    /// From the last request byte to the upstream's response head (60 s).
    pub response_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: 32 << 10,
            headers: 100,
            target: 16 << 10,
            form: 1 << 20,
            body: 5 << 30,
            memory: 64 << 20,
            spool: 16 << 30,
            parameters: 1_000,
            connections: 10_000,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            body_timeout: Duration::from_secs(60),
            handshake_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_secs(60),
        }
    }
}

/// `[credentials.NAME]`.
#[derive(Debug)]
pub struct Credential {
    /// Its name, the only thing about it that is ever logged.
    pub name: String,
    /// Where the key comes from.
    pub source: CredentialSource,
}

/// Where a whole credential comes from.
#[derive(Debug)]
pub enum CredentialSource {
    /// Each part by its own reference.
    Parts {
        /// The access key id.
        access_key: SecretRef,
        /// The secret key.
        secret_key: SecretRef,
        /// The session token of a temporary credential.
        session_token: Option<SecretRef>,
    },
    /// A profile of the shared AWS credentials file.
    AwsProfile(String),
}

/// A typed reference to a value that does not stand in the configuration.
#[derive(Debug, PartialEq, Eq)]
pub enum SecretRef {
    /// `{ env = "NAME" }`.
    Env(String),
    /// `{ file = "/path" }`; `allow-open-mode = true` accepts a file that group or world can read.
    File {
        /// The file.
        path: PathBuf,
        /// Accept a group- or world-readable file.
        allow_open_mode: bool,
    },
    /// `{ systemd = "name" }`: a file of `$CREDENTIALS_DIRECTORY`.
    Systemd(String),
    /// `{ exec = ["cmd", "arg"] }`: its standard output.
    Exec(Vec<String>),
}

/// `[routes.NAME]`.
#[derive(Debug)]
pub struct Route {
    /// Its name, as in logs, metrics and messages.
    pub name: String,
    /// Which host it answers to.
    pub host: HostMatch,
    /// Path prefix, beginning with `/`, without a trailing `/` (the root is `""`).
    pub path: String,
    /// Where requests go.
    pub upstream: Upstream,
    /// The name of the credential.
    pub credential: String,
    /// The signer's scheme and options.
    pub scheme: Scheme,
    /// What the gateway does around that scheme.
    pub shape: Shape,
    /// Further request headers that pass to the upstream, lower case.
    pub forward_headers: Vec<String>,
    /// `wait`: whether jobs are waited for; CloudStack and ZStack only.
    pub wait: Option<Wait>,
    /// `hand-over`: whether large objects go round the gateway; S3 only.
    pub hand_over: Option<HandOver>,
    /// `clients`: who may use it, by name; absent: anyone who can reach it.
    pub clients: Option<Vec<String>>,
    /// `allow`, `deny`, `read-only`.
    pub rules: Rules,
    /// `rate`, `burst`, `concurrency`.
    pub quota: Quota,
    /// `secrets`.
    pub secrets: Secrets,
    /// `redact`: further names of fields that answers must not carry.
    pub redact: Vec<String>,
    /// `policy`.
    pub policy: Enforcement,
    /// `refuse-replays`: whether a mutating call with a local signature may come only once.
    pub refuse_replays: bool,
}

/// `wait` and `wait-by-default`: asynchronous calls are polled to their end here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// The longest wait.
    pub longest: Duration,
    /// For whom.
    pub when: WaitWhen,
}

/// `wait-by-default`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitWhen {
    /// For callers that send `x-countersign-wait`.
    Asked,
    /// For all; `x-countersign-wait` says how long, and `0s` that it shall not be.
    Always,
}

/// `hand-over = "redirect"`: large transfers are answered with a redirect to a presigned URL of the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandOver {
    /// `hand-over-from`: bytes of the smallest transfer that is handed over (8 MiB).
    pub from: u64,
}

/// A route's host condition; names are lower case, without port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HostMatch {
    /// Any host that the listener accepts.
    Any,
    /// This name.
    Exact(String),
    /// `*.suffix`: any name with at least one label before the suffix. Holds the suffix without `*.`.
    Suffix(String),
}

/// Where a route's requests are sent. Connect address, signed `Host` and SNI are three things.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Upstream {
    /// Whether TLS is spoken.
    pub tls: bool,
    /// Host name or address to connect to (an IPv6 address without brackets).
    pub connect_host: String,
    /// Port to connect to.
    pub connect_port: u16,
    /// The `Host` that is signed and sent; a port stands in it unless it is the scheme's default.
    pub host: String,
    /// The TLS server name.
    pub sni: String,
    /// PEM roots instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// What replaces the matched prefix; absent: the path passes as it is. Without a trailing `/` (the root is `""`).
    pub rewrite_path: Option<String>,
    /// Whether HTTP/2 may be negotiated by ALPN; by default wherever TLS is spoken.
    pub http2: bool,
}

/// What the gateway does to a request, beside signing, for each family of schemes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `sign.cloudstack`.
    Cloudstack {
        /// `method`.
        method: MethodRule,
    },
    /// `sign.zstack`.
    Zstack,
    /// `sign.s3-v2` and `sign.s3-v4`.
    S3 {
        /// `addressing`: how buckets are named to the upstream.
        addressing: Addressing,
        /// `payload`; always `Unsigned` for SigV2, whose signature does not cover the body.
        payload: PayloadRule,
        /// `upstream-chunked`: how bodies that come as `aws-chunked` go on.
        chunked: UpstreamChunked,
    },
    /// `sign.aws-v4`.
    Aws,
}

/// `method` of `sign.cloudstack`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MethodRule {
    /// State-changing commands become a form POST, reads keep their method.
    Auto,
    /// Every request keeps its method.
    Keep,
    /// Every request becomes a form POST.
    Post,
}

/// `addressing` of the S3 schemes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addressing {
    /// `/bucket/key`.
    Path,
    /// `bucket.host`.
    Virtual,
}

/// `upstream-chunked` of `sign.s3-v4`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamChunked {
    /// As signed chunks without trailers, for servers that know no others; the checksum is verified here and ends here.
    Signed,
    /// With the caller's checksum as a trailer: the default.
    Trailer,
    /// Not at all: as a plain body, gathered where its digest must be known.
    None,
}

/// `payload` of `sign.s3-v4`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadRule {
    /// Up to 1 MiB of known length is hashed, more is chunk-signed, unknown length is spooled and hashed.
    Auto,
    /// The digest of the whole body.
    Hash,
    /// `UNSIGNED-PAYLOAD`; only over TLS or loopback.
    Unsigned,
    /// Chunk signatures; needs a known length.
    Chunked,
}

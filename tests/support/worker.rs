//! One worker in this process, between an upstream that answers with 1 KiB and a caller that keeps its connection:
//! what a small proxied request goes through, with a client's identity, a policy, a record in a file and metrics.

#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use countersign::audit::parameters::Hasher;
use countersign::audit::segments::Rotation;
use countersign::audit::writer::{Settings, Sink, Writer, start};
use countersign::body::spool::Store;
use countersign::gateway::Scribe;
use countersign::listen::bind::Listening;
use countersign::live::Feed;
use countersign::metrics::Metrics;
use countersign::reload::World;
use countersign::secret::{Key, Secret};
use countersign::sign::{Head, Payload, Scheme, Scratch, Timestamp, sigv4};
use countersign::{config, worker};
use http::{HeaderMap, HeaderValue};
use tempfile::TempDir;
use tokio::sync::watch;

/// How a caller proves who it is.
pub const IDENTITIES: [&str; 3] = ["connection", "token", "keys"];

const TOKEN: &str = "a-token-of-at-least-thirty-two-characters-for-this";
const SECRET: &str = "a-local-secret-key-of-forty-characters-xx";

/// An upstream that answers every request with 1 KiB, as an S3 server does.
fn upstream() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || answer(stream.unwrap()));
        }
    });
    address
}

fn answer(mut stream: TcpStream) {
    stream.set_nodelay(true).unwrap();
    let head = "HTTP/1.1 200 OK\r\nServer: MinIO\r\nDate: Sun, 22 Nov 2026 14:00:00 GMT\r\n\
                Content-Type: application/octet-stream\r\nContent-Length: 1024\r\nAccept-Ranges: bytes\r\n\
                ETag: \"9a0364b9e99bb480dd25e1f0284c8555\"\r\nLast-Modified: Sun, 22 Nov 2026 13:00:00 GMT\r\n\
                x-amz-request-id: 17A2B3C4D5E6F708\r\n\r\n";
    let mut bytes = head.as_bytes().to_vec();
    bytes.extend([b'x'; 1024]);
    while read_head(&mut stream).is_some() {
        stream.write_all(&bytes).unwrap();
    }
}

/// Reads up to an empty line; how many bytes followed it.
fn read_head(stream: &mut TcpStream) -> Option<(Vec<u8>, usize)> {
    let mut seen = Vec::with_capacity(4096);
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).ok().filter(|read| *read > 0)?;
        seen.extend_from_slice(&buffer[..read]);
        if let Some(end) = seen.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            let after = seen.len() - end - 4;
            return Some((seen, after));
        }
    }
}

fn configuration(upstream: SocketAddr, folder: &Path, identity: &str) -> String {
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        format!("{{ file = \"{}\" }}", path.display())
    };
    let condition = match identity {
        "connection" => "from = [\"127.0.0.0/8\"]".to_owned(),
        "token" => format!("token = {}", file("token", TOKEN)),
        "keys" => format!("keys = [{{ access-key = \"LOCAL01\", secret-key = {} }}]", file("local", SECRET)),
        other => panic!("--identity {other}"),
    };
    format!(
        "version = 1\n\
         [server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\n\
         [credentials.store]\naccess-key = {}\nsecret-key = {}\n\
         [clients.job]\n{condition}\n\
         [routes.store]\nmatch = {{ path = \"/\" }}\nupstream = \"http://{upstream}\"\n\
         sign.s3-v4 = {{ credential = \"store\", region = \"eu-central-1\" }}\n\
         clients = [\"job\"]\n\
         allow = [\"s3:GetObject bucket/*\", \"s3:ListBucket bucket\"]\ndeny = [\"s3:* secret/*\"]\n",
        file("access", "AKIDEXAMPLE"),
        file("secret", "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY"),
    )
}

/// The request of a small tool, with what its identity needs.
fn request(gateway: SocketAddr, identity: &str) -> String {
    let path = "/bucket/some/key/of/an/object.tar.zst";
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::try_from(gateway.to_string()).unwrap());
    headers.insert("user-agent", HeaderValue::from_static("aws-cli/2.15.0"));
    headers.insert("accept", HeaderValue::from_static("*/*"));
    match identity {
        "token" => {
            headers.insert("authorization", HeaderValue::try_from(format!("Bearer {TOKEN}")).unwrap());
        }
        "keys" => {
            let key = Key { id: "LOCAL01".to_owned(), secret: Secret::from(SECRET), session_token: None };
            let signer = Scheme::SigV4(sigv4::Options::s3("eu-central-1", "s3")).prepare(key).unwrap();
            let mut scratch = Scratch::new();
            let head = Head { method: "GET", path, query: None, headers: &headers, host_bucket: None };
            let edits = signer.sign(&head, Payload::Unsigned, Timestamp::now(), &mut scratch).unwrap();
            let set: Vec<_> = edits
                .headers
                .iter()
                .flatten()
                .map(|(name, value)| (name.clone(), value.to_owned()))
                .collect();
            for (name, value) in set {
                headers.insert(name, HeaderValue::try_from(value).unwrap());
            }
        }
        _ => {}
    }
    let lines: String =
        headers.iter().map(|(name, value)| format!("{name}: {}\r\n", value.to_str().unwrap())).collect();
    format!("GET {path} HTTP/1.1\r\n{lines}\r\n")
}

/// Sends `count` requests one after the other.
fn drive(stream: &mut TcpStream, request: &[u8], count: usize) {
    let mut buffer = vec![0; 1024];
    for _ in 0..count {
        stream.write_all(request).unwrap();
        let (head, after) = read_head(stream).expect("an answer");
        assert!(head.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&head));
        stream.read_exact(&mut buffer[after..]).unwrap();
    }
}

/// A running worker and a caller's connection to it.
pub struct Running {
    _folder: TempDir,
    _world: World,
    _cut: watch::Sender<bool>,
    draining: watch::Sender<bool>,
    thread: Option<JoinHandle<std::io::Result<bool>>>,
    writer: Option<Writer>,
    stream: Option<TcpStream>,
    request: String,
}

impl Running {
    /// Starts a worker whose caller proves itself in this way; `begin` is called on its thread.
    pub fn start(identity: &str, begin: fn()) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = configuration(upstream(), folder.path(), identity);
        let parsed = config::parse("request.toml", &text).map_err(|problems| problems.to_string()).unwrap();
        let metrics = Arc::new(Metrics::default());
        let world = World::new(parsed, metrics.clone()).unwrap();
        let audit = config::Audit::default();
        let sink = Sink::File(folder.path().join("audit.jsonl"));
        let rotation = Rotation { size: audit.rotate_size, age: audit.rotate_age };
        let key = Some(Secret::from("key"));
        let (recorder, writer) = start(Settings { sink, key, rotation, retain: None }).unwrap();
        let scribe = Scribe { recorder, hasher: Hasher::random(), on_full: audit.on_full };
        let socket = Listening::bind(&world.config().server.listen[0].address).unwrap();
        let gateway = SocketAddr::from((Ipv4Addr::LOCALHOST, socket.port().unwrap()));
        let (draining, drained) = watch::channel(false);
        let (cut, was_cut) = watch::channel(false);
        let parts = worker::Parts {
            world: world.snapshot(),
            scribe,
            metrics,
            connections: Arc::new(AtomicUsize::new(0)),
            draining: drained,
            cut: was_cut,
            sockets: vec![(socket, false)],
            store: Store::default(),
            feed: Feed::default(),
        };
        let thread = thread::spawn(move || {
            begin();
            worker::run(parts)
        });
        let stream = TcpStream::connect(gateway).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            _folder: folder,
            _world: world,
            _cut: cut,
            draining,
            thread: Some(thread),
            writer: Some(writer),
            stream: Some(stream),
            request: request(gateway, identity),
        }
    }

    /// Sends so many requests, one after the other.
    pub fn drive(&mut self, count: usize) {
        drive(self.stream.as_mut().unwrap(), self.request.as_bytes(), count);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stream = None;
        self.draining.send_replace(true);
        let ended = self.thread.take().map(JoinHandle::join);
        let written = self.writer.take().map(|writer| writer.stop(Duration::from_secs(30)));
        if !thread::panicking() {
            assert!(matches!(ended, Some(Ok(Ok(true)))) && matches!(written, Some(Ok(()))));
        }
    }
}

//! What one proxied small request costs a worker: heap allocations, counted on the worker's own thread, and where they
//! come from.
//!
//! A GET of an object of 1 KiB through an `s3-v4` route with a client's identity, a policy, a record in a file and
//! metrics, over kept-alive connections on both sides: the whole worker with its socket, its runtime and its pool.
//! Caller and upstream are other threads and are not counted.
//!
//! `cargo bench --bench request` prints the counts; `-- --sites` prints who allocates too; `-- --requests N` sends so
//! many; `-- --identity connection|token|keys` takes one kind of proof alone.

#![allow(unsafe_code, clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::cast_precision_loss)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::cell::Cell;
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread;

use countersign::audit::parameters::Hasher;
use countersign::audit::writer::{Settings, Sink, start};
use countersign::body::spool::Store;
use countersign::gateway::Scribe;
use countersign::listen::bind::Listening;
use countersign::live::Feed;
use countersign::metrics::Metrics;
use countersign::reload::World;
use countersign::secret::{Key, Secret};
use countersign::sign::{Head, Payload, Scheme, Scratch, Timestamp, sigv4};
use countersign::{audit, config, worker};
use http::{HeaderMap, HeaderValue};
use tokio::sync::watch;

struct Counting;

/// What one thread, the worker's, has taken from the heap.
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static REALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);
/// Whether each is looked at.
static TRACED: AtomicBool = AtomicBool::new(false);
static SITES: Mutex<Vec<(usize, Backtrace)>> = Mutex::new(Vec::new());

thread_local! {
    // Const, so that touching it allocates nothing.
    static COUNTED: Cell<bool> = const { Cell::new(false) };
}

fn note(size: usize, again: bool) {
    // A thread that is being torn down has no flag any more.
    if !COUNTED.try_with(Cell::get).unwrap_or(false) {
        return;
    }
    if again { &REALLOCATIONS } else { &ALLOCATIONS }.fetch_add(1, Relaxed);
    BYTES.fetch_add(size as u64, Relaxed);
    if TRACED.load(Relaxed) {
        COUNTED.set(false);
        let trace = Backtrace::force_capture();
        SITES.lock().unwrap().push((size, trace));
        COUNTED.set(true);
    }
}

// SAFETY: every method hands its arguments on to `System` unchanged and returns what `System` returned, so the
// contract is kept exactly as `System` keeps it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size(), false);
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size(), false);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size, true);
        // SAFETY: as above.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

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
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
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
            let set: Vec<_> =
                edits.headers.iter().flatten().map(|(name, value)| (name.clone(), value.to_owned())).collect();
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

/// The frame of a trace that says who wanted memory: the first of this crate, and what it called.
fn site(trace: &Backtrace) -> String {
    let text = trace.to_string();
    let mut frames = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let Some((_, name)) = line.trim().split_once(": ") else { continue };
        let place = lines.next_if(|next| next.trim().starts_with("at ")).unwrap_or_default().trim().to_owned();
        frames.push((name.to_owned(), place));
    }
    let own = frames.iter().position(|(name, _)| name.contains("countersign"));
    let dull = ["note", "alloc", "core::", "std::", "<alloc::", "<core::", "<std::", "request::", "<request::", "__rust"];
    let is_dull = |name: &str| dull.iter().any(|dull| name.starts_with(dull)) || !name.contains("::");
    let shown: Vec<_> = match own {
        Some(own) => frames[own.saturating_sub(1)..].iter().take(3).collect(),
        None => frames.iter().filter(|(name, _)| !is_dull(name)).take(4).collect(),
    };
    let shown = shown.into_iter().map(|(name, place)| {
        let file = place.rsplit('/').next().unwrap_or_default();
        let name: String = name.chars().take(100).collect();
        if name.contains("countersign") { format!("{name} ({file})") } else { name }
    });
    shown.collect::<Vec<_>>().join("\n                  < ")
}

fn measure(identity: &str, requests: usize, sites: bool) {
    let folder = tempfile::tempdir().unwrap();
    let text = configuration(upstream(), folder.path(), identity);
    let parsed = config::parse("request.toml", &text).map_err(|problems| problems.to_string()).unwrap();
    let metrics = Arc::new(Metrics::default());
    let world = World::new(parsed, metrics.clone()).unwrap();
    let audit = config::Audit::default();
    let sink = Sink::File(folder.path().join("audit.jsonl"));
    let rotation = audit::segments::Rotation { size: audit.rotate_size, age: audit.rotate_age };
    let (recorder, writer) =
        start(Settings { sink, key: Some(Secret::from("key")), rotation, retain: None }).unwrap();
    let scribe = Scribe { recorder: recorder.clone(), hasher: Hasher::random(), on_full: audit.on_full };
    let socket = Listening::bind(&world.config().server.listen[0].address).unwrap();
    let gateway = SocketAddr::from((Ipv4Addr::LOCALHOST, socket.port().unwrap()));
    let (draining, drained) = watch::channel(false);
    let (_cut, was_cut) = watch::channel(false);
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
    let worker = thread::spawn(move || {
        COUNTED.set(true);
        worker::run(parts)
    });

    let request = request(gateway, identity);
    let mut stream = TcpStream::connect(gateway).unwrap();
    stream.set_nodelay(true).unwrap();
    // Long enough for every buffer to have the size that it keeps.
    drive(&mut stream, request.as_bytes(), 500);
    let counts = || [&ALLOCATIONS, &REALLOCATIONS, &BYTES].map(|count| count.load(Relaxed));
    let before = counts();
    drive(&mut stream, request.as_bytes(), requests);
    let after = counts();
    let per = |index: usize| (after[index] - before[index]) as f64 / requests as f64;
    println!("{identity:>12} {:>14.2} {:>14.2} {:>14.0}", per(0), per(1), per(2));

    if sites {
        const LOOKED_AT: usize = 10;
        TRACED.store(true, Relaxed);
        drive(&mut stream, request.as_bytes(), LOOKED_AT);
        TRACED.store(false, Relaxed);
        let mut by_site: HashMap<String, (usize, usize)> = HashMap::new();
        for (size, trace) in SITES.lock().unwrap().drain(..) {
            let entry = by_site.entry(site(&trace)).or_default();
            entry.0 += 1;
            entry.1 += size;
        }
        let mut by_site: Vec<_> = by_site.into_iter().collect();
        by_site.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
        for (site, (count, bytes)) in by_site {
            let (count, bytes) = (count as f64 / LOOKED_AT as f64, bytes as f64 / LOOKED_AT as f64);
            println!("{count:>8.1}{bytes:>8.0}  {site}");
        }
    }
    drop(stream);
    draining.send_replace(true);
    worker.join().unwrap().unwrap();
    drop(recorder);
    writer.stop(std::time::Duration::from_secs(30)).unwrap();
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let after = |name: &str| {
        arguments.iter().position(|argument| argument == name).and_then(|at| arguments.get(at + 1)).cloned()
    };
    let requests = after("--requests").map_or(2_000, |count| count.parse().unwrap());
    let sites = arguments.iter().any(|argument| argument == "--sites");
    println!("{:>12} {:>14} {:>14} {:>14}", "identity", "allocations", "reallocations", "bytes");
    let only = after("--identity");
    for identity in ["connection", "token", "keys"] {
        if only.as_deref().is_none_or(|only| only == identity) {
            measure(identity, requests, sites);
        }
    }
}

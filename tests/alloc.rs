//! Signing allocates nothing once its scratch is warm: every scheme, header and query form, verifying and chunks too.
//! A whole request, from socket to socket, allocates next to nothing beside what its HTTP library does.
//!
//! A counting allocator is the only way to hold that, and an allocator is an `unsafe` trait; this is the one place in
//! the project that has any, it is test code, and it only counts and hands on to the system's allocator.

#![allow(unsafe_code, clippy::unwrap_used, clippy::expect_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

use countersign::secret::{Key, Secret};
use countersign::sign::{
    ChunkMode, Head, Payload, Scheme, Scratch, Signer, Timestamp, cloudstack, s3v2, sigv4, zstack,
};
use http::{HeaderMap, HeaderName, HeaderValue};

#[path = "support/worker.rs"]
mod worker;

struct Counting;

thread_local! {
    // Per thread, so that the harness's own threads do not disturb; const, so that touching it allocates nothing.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    static IS_WORKER: Cell<bool> = const { Cell::new(false) };
}

/// What workers have allocated; they run on threads of their own.
static OF_WORKERS: AtomicUsize = AtomicUsize::new(0);

fn count() {
    // A thread that is being torn down has no counter any more, and nothing of ours runs there.
    let _ = ALLOCATIONS.try_with(|counter| counter.set(counter.get() + 1));
    if IS_WORKER.try_with(Cell::get).unwrap_or(false) {
        OF_WORKERS.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: every method hands its arguments on to `System` unchanged and returns what `System` returned, so the
// contract is kept exactly as `System` keeps it; the counter is a thread-local integer.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
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

fn allocations(run: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    run();
    ALLOCATIONS.get() - before
}

/// A request that owns its parts.
struct Request {
    method: &'static str,
    path: String,
    query: Option<String>,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Request {
    fn head(&self) -> Head<'_> {
        Head {
            method: self.method,
            path: &self.path,
            query: self.query.as_deref(),
            headers: &self.headers,
            host_bucket: None,
        }
    }
}

/// Requests of many shapes: with and without query, repeated and unsorted names, escapes, many headers, forms.
fn requests() -> Vec<Request> {
    let methods = ["GET", "PUT", "POST", "DELETE"];
    (0..64_usize)
        .map(|i| {
            let mut headers = HeaderMap::new();
            headers.insert("host", HeaderValue::from_static("s3.example.com:9000"));
            for n in 0..i % 12 {
                let name: HeaderName = format!("x-amz-meta-{}", (n * 7) % 12).parse().unwrap();
                headers.append(name, format!("  value {n}   of  {i} ").parse().unwrap());
            }
            let form = i % 5 == 4;
            if form {
                let form = HeaderValue::from_static("application/x-www-form-urlencoded");
                headers.insert("content-type", form);
            }
            let query = (i % 3 != 0).then(|| {
                let pieces =
                    (0..i % 9).map(|n| format!("k{}%20%C3%A9={}+%2F{n}", (n * 5) % 9, "v".repeat(i)));
                pieces.chain(["acl".to_owned(), format!("uploadId={i}")]).collect::<Vec<_>>().join("&")
            });
            Request {
                method: methods[i % 4],
                path: format!("/zstack/bucket//a%20b/{}/%E6%97%A5", "seg/../".repeat(i % 6)),
                query,
                headers,
                body: if form { b"command=listUsers&name=%C3%89+x&z".to_vec() } else { vec![b'b'; i * 10] },
            }
        })
        .collect()
}

fn schemes() -> Vec<(&'static str, Scheme)> {
    let zstack = zstack::Options::in_zone("Europe/Paris", None).unwrap();
    vec![
        ("cloudstack", Scheme::Cloudstack(cloudstack::Options::default())),
        ("zstack", Scheme::Zstack(zstack)),
        ("s3-v2", Scheme::S3V2(s3v2::Options::new(s3v2::Dialect::Ceph))),
        ("s3-v4", Scheme::SigV4(sigv4::Options::s3("eu-central-1", "s3"))),
        ("aws-v4", Scheme::SigV4(sigv4::Options::aws("eu-central-1", "sqs"))),
    ]
}

fn signer(scheme: &Scheme, token: bool) -> Box<dyn Signer> {
    let session_token = token.then(|| Secret::from("FwoGZXIvYXdzE/dev+=="));
    let key = Key { id: "AKIDEXAMPLE".to_owned(), secret: Secret::from("wJalrXUtnFEMI"), session_token };
    scheme.prepare(key).unwrap()
}

fn noon() -> Timestamp {
    "2026-03-04T12:00:00Z".parse().unwrap()
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| ()), 0);
    assert_eq!(allocations(|| drop(std::hint::black_box(vec![1_u8]))), 1);
}

#[test]
fn signing_allocates_nothing() {
    let requests = requests();
    for (name, scheme) in schemes() {
        let tokens =
            if matches!(scheme, Scheme::S3V2(_) | Scheme::SigV4(_)) { &[false, true][..] } else { &[false] };
        for &token in tokens {
            let signer = signer(&scheme, token);
            let mut scratch = Scratch::new();
            let mut done = 0;
            let mut all = |now: Timestamp| {
                done = 0;
                for request in &requests {
                    for payload in
                        [Payload::Whole(&request.body), Payload::Unsigned, Payload::Digest([7; 32])]
                    {
                        let head = request.head();
                        done += usize::from(signer.sign(&head, payload, now, &mut scratch).is_ok());
                        let _ = signer.presign(&head, payload, now, 600, &mut scratch);
                    }
                }
            };
            // Two rounds, because one buffer may first grow while it stands in for another.
            all(noon());
            all(noon());
            let later = noon().checked_add(jiff::SignedDuration::from_secs(61)).unwrap();
            assert_eq!(allocations(|| all(later)), 0, "{name}, token: {token}");
            assert_eq!(done, requests.len() * 3, "{name}: every request is signed");
        }
    }
}

#[test]
fn verifying_allocates_nothing() {
    for (name, scheme) in schemes() {
        let signer = signer(&scheme, false);
        let mut scratch = Scratch::new();
        for mut request in requests() {
            if name == "cloudstack" {
                request.method = "POST";
                let command = "command=listUsers";
                request.query =
                    request.query.map(|query| format!("{query}&{command}")).or(Some(command.into()));
                request.body.clear();
            }
            let (headers, query) = {
                let edits = signer
                    .sign(&request.head(), Payload::Whole(&request.body), noon(), &mut scratch)
                    .unwrap();
                let set = edits.headers.iter().flatten().map(|(n, v)| (n.clone(), v.parse().unwrap()));
                (set.collect::<Vec<_>>(), edits.query.map(str::to_owned))
            };
            request.headers.extend(headers);
            request.query = query.or(request.query);
            let mut verdict =
                || signer.verify(&request.head(), Payload::Whole(&request.body), noon(), &mut scratch);
            assert_eq!(verdict(), Ok(()), "{name}");
            let counted = allocations(|| assert!(verdict().is_ok()));
            assert_eq!(counted, 0, "{name}");
        }
    }
}

#[test]
fn chunks_allocate_nothing() {
    let signer = signer(&schemes()[3].1, false);
    let data = vec![1_u8; 8192];
    for mode in [ChunkMode::Signed, ChunkMode::SignedTrailer, ChunkMode::UnsignedTrailer] {
        let mut driver = signer.chunk_signer(&"0".repeat(64), mode, noon()).unwrap();
        let mut out = Vec::with_capacity(64 * 1024);
        let counted = allocations(|| {
            for _ in 0..4 {
                driver.chunk(&data, &mut out);
            }
            driver.finish(&[("x-amz-checksum-crc32c", "AAAAAA==")], &mut out);
        });
        assert_eq!(counted, 0, "{mode:?}");
        assert!(out.len() > 4 * data.len());
    }
}

/// A call costs nothing while nobody watches: nothing is made, and a bucket that is known is counted in place.
#[test]
fn reporting_to_nobody_allocates_nothing() {
    let feed = countersign::live::Feed::default();
    let reporter = feed.reporter();
    reporter.count("bucket", 1, 1);
    let mut made = 0;
    let counted = allocations(|| {
        for _ in 0..1_000 {
            let call = reporter.clone();
            assert!(!call.is_wanted());
            call.sign("id", || unreachable!("nobody watches"));
            call.count("bucket", 1, 1);
            call.publish(|| {
                made += 1;
                countersign::live::Call::default()
            });
        }
    });
    assert_eq!((counted, made), (0, 0));
    // The closures are what would allocate.
    let _watch = feed.watch();
    let counted = allocations(|| {
        reporter.publish(|| countersign::live::Call {
            id: "id".to_owned(),
            ..countersign::live::Call::default()
        });
    });
    assert!(counted > 0);
}

/// `benches/request.rs` says who allocates.
#[test]
fn a_small_request_allocates_little() {
    for (identity, most) in worker::IDENTITIES.into_iter().zip([4, 4, 6]) {
        let mut running = worker::Running::start(identity, || IS_WORKER.set(true));
        running.drive(300);
        let before = OF_WORKERS.load(Ordering::Relaxed);
        running.drive(200);
        let counted = OF_WORKERS.load(Ordering::Relaxed) - before;
        assert!((200..=most * 200).contains(&counted), "{identity}: {counted} of 200 requests");
    }
}

//! Thousands of mutated requests: the gateway never dies, and whatever reaches the upstream is signed.
//!
//! The seed is fixed, so that a failure can be repeated; `COUNTERSIGN_SEED` sets another, and a failure prints it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::naive::{self, Keys, S3V2, SigV4};
use crate::support::{Request, Setup, Upstream, answer, every_scheme};

const CASES: usize = 8000;
const THREADS: usize = 8;

/// A small generator (splitmix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap()
    }

    fn pick<'t, T: ?Sized>(&mut self, from: &[&'t T]) -> &'t T {
        from[self.below(from.len())]
    }
}

const WHOLE: &[&str] = &[
    "GET /client/api?command=listUsers&response=json&name=a+b%2Bc HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n",
    "GET /client/api?command=deployVirtualMachine&tags%5B0%5D.key=x HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "POST /client/api?response=json HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n\
     Content-Length: 29\r\n\r\ncommand=listNetworks&zoneid=1",
    "GET /zstack/v1/vm-instances?limit=2 HTTP/1.1\r\nHost: localhost\r\nDate: x\r\n\r\n",
    "PUT /zstack/v1/vm-instances/%E4%B8%AD/actions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
     Content-Length: 20\r\n\r\n{\"stopVmInstance\":1}",
    "GET /bucket/a%20b/c+d//e?acl&prefix=x HTTP/1.1\r\nHost: ceph.internal\r\nX-Amz-Meta-A: b\r\n\r\n",
    "PUT /bucket/key HTTP/1.1\r\nHost: ceph.internal\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "PUT /bucket/key~*'() HTTP/1.1\r\nHost: s3.internal\r\nX-Amz-Acl: private\r\nContent-Length: 5\r\n\r\nhello",
    "GET /bucket?list-type=2&prefix=a%2Fb HTTP/1.1\r\nHost: s3.internal\r\nRange: bytes=0-1\r\n\r\n",
    "DELETE /bucket/k?versionId=1 HTTP/1.1\r\nHost: s3.internal\r\nConnection: close\r\n\r\n",
    "POST /sqs/ HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: AmazonSQS.ListQueues\r\nContent-Length: 2\r\n\r\n{}",
    "GET /sqs/a/./b/../c?Action=ListQueues HTTP/1.1\r\nHost: localhost\r\n\r\n",
];

const BITS: &[&str] = &[
    "\r\n",
    "\n",
    "\r",
    "\0",
    " ",
    "\t",
    ":",
    ";",
    ",",
    "&",
    "=",
    "%",
    "%2",
    "%00",
    "%0a",
    "%2f",
    "%2e%2e",
    "%ff",
    "%zz",
    "+",
    "/",
    "//",
    "/../",
    "/./",
    "\\",
    "?",
    "#",
    "*",
    "@",
    "\u{7f}",
    "\u{ff}",
    "\u{e9}",
    "_",
    "-",
    "0",
    "99999999999",
    "chunked",
    "Transfer-Encoding: chunked\r\n",
    "Content-Length: 5\r\n",
    "Content-Length: 0\r\n",
    "Host: evil\r\n",
    "Host: localhost\r\n",
    "Connection: x-amz-date\r\n",
    "Connection: close\r\n",
    "Authorization: AWS evil:evil\r\n",
    "X-Amz-Date: 20010101T000000Z\r\n",
    "x-amz-security-token: evil\r\n",
    "Expect: 100-continue\r\n",
    "X_A: b\r\n",
    "X-Amz-Content-Sha256: UNSIGNED-PAYLOAD\r\n",
    "Cookie: JSESSIONID=evil\r\n",
    "X-Web-Hook: http://evil/\r\n",
    "&command=evil",
    "&COMMAND=evil",
    "&signature=evil",
    "&apikey=evil",
    "&expires=1",
    "&X-Amz-Signature=evil",
    "&a=b&a=c",
    "?acl",
    "&acl=",
    "HTTP/1.0",
    "http://evil/",
    "PUT ",
    "POST ",
    "GET / HTTP/1.1\r\nHost: evil\r\n\r\n",
];

fn mutate(dice: &mut Dice) -> Vec<u8> {
    let mut bytes = dice.pick(WHOLE).as_bytes().to_vec();
    for _ in 0..=dice.below(3) {
        let at = dice.below(bytes.len());
        match dice.below(8) {
            0 => bytes[at] = u8::try_from(dice.below(256)).unwrap(),
            1 => bytes[at] ^= 1 << dice.below(8),
            2 => drop(bytes.remove(at)),
            3 => {
                let end = (at + dice.below(12)).min(bytes.len());
                bytes.drain(at..end);
            }
            4 => {
                let end = (at + dice.below(40)).min(bytes.len());
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
            5 => {
                // A whole line, twice or elsewhere.
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let lines: Vec<&str> = text.split_inclusive("\r\n").collect();
                let (from, to) = (dice.below(lines.len()), dice.below(lines.len()));
                let mut moved = lines.clone();
                moved.insert(to, lines[from]);
                bytes = moved.concat().into_bytes();
            }
            _ => {
                let bit: Vec<u8> =
                    dice.pick(BITS).chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
                bytes.splice(at..at, bit);
            }
        }
        if bytes.is_empty() {
            bytes.push(b'\n');
        }
    }
    bytes
}

/// Judges whatever arrived, by the host that only its own route signs for.
fn verdict(request: &Request) -> Result<(), String> {
    let keys = Keys::default();
    match request.headers.one("host") {
        Some("cloud.up") => naive::cloudstack(request, &keys).map(drop),
        Some("zstack.up") => naive::zstack(request, &keys, "/zstack", 8 * 3600).map(drop),
        Some("ceph.up") => naive::s3v2(request, &keys, S3V2::Ceph("ceph.up")),
        // What broke off was never committed, and its digest cannot be right.
        Some("s3.up" | "sqs.up") if !request.complete => Ok(()),
        Some("s3.up") => naive::sigv4(request, &keys, SigV4::S3).map(drop),
        Some("sqs.up") => naive::sigv4(request, &keys, SigV4::SQS).map(drop),
        other => Err(format!("host {other:?}")),
    }
}

/// The key by which the body of a `PUT` names what is to be done.
fn action(request: &Request) -> Option<String> {
    let body: serde_json::Value = serde_json::from_slice(&request.body).ok()?;
    let named = |key: &&String| {
        !["params", "session", "sessionUuid", "systemTags", "userTags"].contains(&key.as_str())
    };
    body.as_object().filter(|_| request.method == "PUT")?.keys().find(named).cloned()
}

/// The operation as the upstream understands it; the answer carries it back.
fn operation(request: &Request) -> String {
    match request.headers.one("host") {
        Some("cloud.up") => naive::cloudstack(request, &Keys::default())
            .map_or_else(|why| why, |parameters| parameters.get("command").cloned().unwrap_or_default()),
        Some("zstack.up") => action(request).unwrap_or_else(|| {
            format!("{} {}", request.method, request.path().strip_prefix("/zstack").unwrap_or(""))
        }),
        _ => String::new(),
    }
}

/// The same route table, with a host of its own for each route's upstream.
fn routes(upstream: &Upstream) -> String {
    let url = upstream.url();
    let mut text = every_scheme(upstream);
    for name in ["cloud", "zstack", "ceph", "s3", "sqs"] {
        let start = text.find(&format!("[routes.{name}]")).unwrap();
        let (before, after) = text.split_at(start);
        let host = format!("url = \"{url}\", host = \"{name}.up\"");
        let table = format!("upstream = {{ {host} }}");
        let after =
            after.replacen(&format!("upstream = \"{url}\""), &table, usize::from(name != "sqs")).replacen(
                &format!("url = \"{url}\", rewrite"),
                &format!("{host}, rewrite"),
                usize::from(name == "sqs"),
            );
        text = format!("{before}{after}");
    }
    text
}

#[test]
fn mutated_requests_are_refused_or_signed() {
    let seed =
        std::env::var("COUNTERSIGN_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_260_101);
    let upstream = Upstream::answering(|request| {
        let echoed: String = operation(request)
            .chars()
            .map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' })
            .collect();
        answer(200, &[("x-seen", echoed.trim())], b"ok")
    });
    let limits = "header-timeout = \"100ms\"\nbody-timeout = \"100ms\"\nidle-timeout = \"1s\"";
    let mut gateway = Setup::routes(&routes(&upstream)).limits(limits).workers(2).start();
    // The table is sound: every request passes while it is whole.
    for whole in WHOLE {
        gateway.raw(whole.as_bytes()).unwrap().unwrap().passed(200);
    }
    let (passed, refused, silent) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let echoed = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (gateway, passed, refused, silent, echoed) = (&gateway, &passed, &refused, &silent, &echoed);
            scope.spawn(move || {
                for case in (thread..CASES).step_by(THREADS) {
                    let bytes = mutate(&mut Dice(seed ^ (case as u64) << 20));
                    let mut caller = gateway.connect();
                    caller.stream().set_read_timeout(Some(Duration::from_secs(10))).unwrap();
                    // Ends a head that lost its end.
                    caller.send(&[&bytes, b"\r\n\r\n".as_slice()].concat());
                    match caller.try_response(if bytes.starts_with(b"HEAD ") { "HEAD" } else { "GET" }) {
                        Ok(Some(answer)) if answer.status == 200 => {
                            passed.fetch_add(1, Ordering::Relaxed);
                            echoed.lock().unwrap().push((case, answer));
                        }
                        Ok(Some(answer)) => {
                            let status = answer.status;
                            assert!(
                                (400..=501).contains(&status),
                                "seed {seed}, case {case}: {answer:?} to {bytes:?}"
                            );
                            assert_ne!(status, 500, "seed {seed}, case {case}: {answer:?}");
                            refused.fetch_add(1, Ordering::Relaxed);
                        }
                        Ok(None) => drop(silent.fetch_add(1, Ordering::Relaxed)),
                        Err(why) => assert!(!why.contains("timed out"), "seed {seed}, case {case}: {why}"),
                    }
                }
            });
        }
    });
    assert!(gateway.is_alive(), "seed {seed}");
    gateway.raw(WHOLE[0].as_bytes()).unwrap().unwrap().passed(200);

    let requests = upstream.requests();
    let all = || {
        format!("seed {seed}: {passed:?} passed, {refused:?} refused, {silent:?} closed without an answer")
    };
    assert!(requests.len() > CASES / 10 && refused.load(Ordering::Relaxed) > CASES / 10, "{}", all());
    for request in &requests {
        verdict(request).unwrap_or_else(|why| panic!("seed {seed}: {why}\n{request:?}"));
    }
    assert!(gateway.events("internal error").is_empty(), "seed {seed}");
    // What the log calls the operation is what the upstream was asked to do.
    let echoed = echoed.into_inner().unwrap();
    let (case, last) = echoed.last().unwrap();
    gateway.record_of(last);
    let records = gateway.records();
    assert!(!records.is_empty(), "seed {seed}, case {case}");
    for (case, answer) in &echoed {
        let id = answer.headers.one("x-request-id").unwrap();
        let record = records.iter().find(|record| record["request-id"] == id);
        let record = record.unwrap_or_else(|| panic!("seed {seed}, case {case}: no record"));
        let theirs = answer.headers.one("x-seen").unwrap_or_default();
        if !theirs.is_empty() {
            let ours: String = record["operation"]
                .as_str()
                .unwrap()
                .chars()
                .map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' })
                .collect();
            assert_eq!(ours.trim(), theirs, "seed {seed}, case {case}");
        }
    }
    println!("{}, {} arrived", all(), requests.len());
}

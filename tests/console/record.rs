//! How the record stands, as every part of the admin listener tells it: a listener in this process, and a record whose
//! state the test makes up.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;
use std::sync::{Arc, Mutex};

use countersign::admin::search::{Found, Terms};
use countersign::admin::{Listener, Parts, Search, State};
use countersign::audit::chain::Head;
use countersign::audit::recorder::{self, Unrecorded};
use countersign::config::OnFull;
use countersign::live::Feed;
use countersign::metrics::Metrics;
use countersign::reload::World;

use super::*;

const HASH: [u8; 32] = [0xa7; 32];

/// A record that is written.
fn written() -> recorder::State {
    recorder::State {
        head: Some(Head { seq: 12_345, hash: HASH }),
        segment: 7,
        obstacle: None,
        last_error: None,
        waiting_lines: 3,
        waiting_bytes: 2_048,
        intents: 11,
        outcomes: 29,
        commits: 5,
        errors: 0,
        lost_reads: 0,
        lost_writes: 0,
    }
}

/// A record that is not.
fn failing() -> recorder::State {
    recorder::State {
        obstacle: Some(Unrecorded::Failing),
        last_error: Some("cannot write <b>audit.jsonl</b>: No space left on device".to_owned()),
        errors: 4,
        lost_reads: 2,
        lost_writes: 1,
        ..written()
    }
}

/// An admin listener over a record.
struct Admin {
    address: SocketAddr,
    record: Arc<Mutex<recorder::State>>,
}

impl Admin {
    fn over(state: recorder::State, on_full: OnFull) -> Self {
        Self::searched(state, on_full, None)
    }

    fn searched(state: recorder::State, on_full: OnFull, search: Option<Search>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("secret");
        let mut file =
            std::fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&secret).unwrap();
        file.write_all(b"canary-secret").unwrap();
        let of = format!("{{ file = \"{}\" }}", secret.display());
        let text = format!(
            "version = 1\n[server]\nlisten = [\"127.0.0.1:0\"]\n[credentials.key]\naccess-key = {of}\nsecret-key = {of}\n"
        ) + &route(
            "a",
            "path = \"/a\"",
            "\"http://127.0.0.1:9\"",
            "zstack = { credential = \"key\" }",
        );
        let config = folder.path().join("countersign.toml");
        std::fs::write(&config, text).unwrap();
        let metrics = Arc::new(Metrics::default());
        let world = World::load(&config, metrics.clone()).unwrap();
        let record = Arc::new(Mutex::new(state));
        let told = record.clone();
        let parts = Parts {
            metrics,
            unresolved: world.unresolved(),
            world: world.snapshot(),
            feed: Feed::default(),
            audit: Box::new(move || told.lock().unwrap().clone()),
            on_full,
            search,
        };
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.address();
        // It ends with the test's process.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            tokio::task::LocalSet::new().block_on(&runtime, async {
                listener.start(State::new(parts)).unwrap();
                std::future::pending::<()>().await;
            });
        });
        Self { address, record }
    }

    fn set(&self, state: recorder::State) {
        *self.record.lock().unwrap() = state;
    }

    /// Status and body of an answer.
    fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), body.to_owned())
    }

    fn samples(&self) -> BTreeMap<String, f64> {
        let text = self.get("/metrics").1;
        let lines = text.lines().filter(|line| line.starts_with("countersign_audit_"));
        lines
            .map(|line| line.rsplit_once(' ').unwrap())
            .map(|(series, value)| (series.into(), value.parse().unwrap()))
            .collect()
    }

    fn status(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command.args(["status", "--admin", &self.address.to_string()]).args(arguments);
        let ended = command.env_remove("COUNTERSIGN_CONFIG").output().unwrap();
        (ended.status.code(), String::from_utf8(ended.stdout).unwrap())
    }
}

#[test]
fn the_head_is_told_as_proofs_take_it() {
    let admin = Admin::over(written(), OnFull::Refuse);
    let head = format!("12345:{}", "a7".repeat(32));
    assert_eq!(admin.get("/audit/head"), (200, format!("{head}\n")));
    let claim: countersign::ledger::verify::Claim = admin.get("/audit/head").1.trim_end().parse().unwrap();
    assert_eq!((claim.seq, claim.hash), (12_345, HASH));
    let status: Value = serde_json::from_str(&admin.get("/status").1).unwrap();
    assert_eq!(status["audit"]["head"], head.as_str());
    assert!(admin.get("/").1.contains(&format!("<dd>{head}</dd>")));
    assert!(
        admin.status(&["--format", "text"]).1.contains(&format!("the record's head: {head} (segment 7)\n"))
    );
    // Text for people is no chain.
    admin.set(recorder::State { head: None, ..written() });
    assert_eq!(admin.get("/audit/head").0, 404);
    let status: Value = serde_json::from_str(&admin.get("/status").1).unwrap();
    assert_eq!(status["audit"].get("head"), None);
    assert!(admin.get("/").1.contains("<dd>none yet</dd>"));
}

#[test]
fn every_count_of_the_record_is_shown() {
    let admin = Admin::over(written(), OnFull::Refuse);
    assert_eq!(admin.get("/readyz").0, 200);
    let expected = [
        ("countersign_audit_records_total{kind=\"intent\"}", 11.0),
        ("countersign_audit_records_total{kind=\"outcome\"}", 29.0),
        ("countersign_audit_lost_records_total{access=\"read\"}", 0.0),
        ("countersign_audit_lost_records_total{access=\"other\"}", 0.0),
        ("countersign_audit_commits_total", 5.0),
        ("countersign_audit_errors_total", 0.0),
        ("countersign_audit_queue_records", 3.0),
        ("countersign_audit_queue_bytes", 2_048.0),
        ("countersign_audit_writable", 1.0),
    ];
    assert_eq!(admin.samples(), expected.map(|(name, value)| (name.to_owned(), value)).into());
    let status: Value = serde_json::from_str(&admin.get("/status").1).unwrap();
    let audit = serde_json::json!({
        "writable": true, "head": format!("12345:{}", "a7".repeat(32)), "segment": 7, "records": 40, "intents": 11,
        "outcomes": 29, "commits": 5, "errors": 0, "waiting": 3, "waiting-bytes": 2048, "lost-reads": 0, "lost-writes": 0,
    });
    assert_eq!(status["audit"], audit);
    let page = admin.get("/").1;
    for (name, value) in [
        ("Intents", "11"),
        ("Outcomes", "29"),
        ("Commits", "5"),
        ("Waiting", "3 (2.0 KiB)"),
        ("Segment", "7"),
    ] {
        assert!(page.contains(&format!("<dt>{name}</dt><dd>{value}</dd>")), "{name}");
    }
    assert!(page.contains("<div class=\"good\"><dt>State</dt><dd>written</dd></div>"), "{page}");
    let (code, told) = admin.status(&["--format", "text"]);
    assert_eq!(code, Some(0));
    assert!(told.contains("40 records written") && told.contains("3 lines wait"), "{told}");
    // It is asked each time.
    admin.set(failing());
    let samples = admin.samples();
    let value = |name: &str| samples[&format!("countersign_audit_{name}")];
    assert_eq!((value("errors_total"), value("writable")), (4.0, 0.0));
    let lost = ["read", "other"].map(|access| value(&format!("lost_records_total{{access=\"{access}\"}}")));
    assert_eq!(lost, [2.0, 1.0]);
    let page = admin.get("/").1;
    assert!(page.contains("<div class=\"bad\"><dt>Lost</dt><dd>3</dd></div>"), "{page}");
}

#[test]
fn a_gateway_that_cannot_record_is_not_ready() {
    let admin = Admin::over(failing(), OnFull::Refuse);
    let fault = "audit-unwritable the record cannot be written: cannot write <b>audit.jsonl</b>: No space left on device";
    assert_eq!(admin.get("/readyz"), (503, format!("{fault}\n")));
    assert_eq!(admin.get("/livez").0, 200);
    let page = admin.get("/").1;
    assert!(page.contains(">not ready<") && page.contains("No space left on device"), "{page}");
    assert!(!page.contains("<b>"), "{page}");
    let (code, told) = admin.status(&["--format", "text"]);
    assert_eq!(code, Some(4));
    assert_eq!(told.matches("No space left on device").count(), 1, "{told}");
    assert!(told.contains("4 writes failed, 3 outcomes were lost"), "{told}");
    for (obstacle, why) in [
        (Unrecorded::Stalled, "takes too long"),
        (Unrecorded::Crowded, "too many events wait"),
        (Unrecorded::Stopped, "nothing is recorded any more"),
    ] {
        admin.set(recorder::State { obstacle: Some(obstacle), ..written() });
        let (status, told) = admin.get("/readyz");
        assert!(status == 503 && told.contains(why), "{told}");
    }
    // By itself, as soon as it can be written again.
    admin.set(written());
    assert_eq!(admin.get("/readyz"), (200, "ok\n".to_owned()));
}

/// Where reads pass unrecorded, a load balancer must not take the gateway away from them; who looks is told all the same.
#[test]
fn where_reads_pass_it_stays_ready_and_says_so() {
    let admin = Admin::over(failing(), OnFull::DropReads);
    assert_eq!(admin.get("/readyz"), (200, "ok\n".to_owned()));
    assert_eq!(admin.samples()["countersign_audit_writable"], 0.0);
    let page = admin.get("/").1;
    assert!(page.contains(">ready<") && page.contains("<div class=\"bad\"><dt>State</dt>"), "{page}");
    let (code, told) = admin.status(&["--format", "text"]);
    assert_eq!(code, Some(0));
    assert!(told.contains("the record: audit-unwritable the record cannot be written"), "{told}");
    let (_, told) = admin.status(&[]);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&told["ready"], &told["audit"]["writable"]), (&true.into(), &false.into()));
}

/// Asks the record, by the page's own form and by its script's request.
#[test]
fn the_record_is_searched_as_it_is_asked() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = asked.clone();
    let search = Search::with(move |terms| {
        seen.lock().unwrap().push(terms.clone());
        match terms.operation.as_str() {
            "wrong" => Err("operation: <i>wrong</i>\u{202e}".to_owned()),
            "panic" => panic!("a search that fails"),
            "none" => Ok(Vec::new()),
            _ => Ok(vec![Found {
                time: "2026-11-22T09:30:00.123Z".to_owned(),
                client: "billing".to_owned(),
                operation: "<script>alert(1)</script>".to_owned(),
                resource: "logs/\u{202e}gpj.exe".to_owned(),
                status: 403,
                error: "operation-denied".to_owned(),
                duration_ms: 12.5,
                ..Found::default()
            }]),
        }
    });
    let admin = Admin::searched(written(), OnFull::Refuse, Some(search));
    let form = admin.get("/").1;
    assert!(form.contains("id=\"search-form\"") && asked.lock().unwrap().is_empty(), "{form}");
    let query = "since=2h&client=billing&route=a&operation=s3%3AGet*&resource=logs%2F&status=4xx&request=0198&refused=1";
    let page = admin.get(&format!("/?search=1&{query}")).1;
    let found: Value = serde_json::from_str(&admin.get(&format!("/search?{query}&other=x")).1).unwrap();
    let terms = Terms {
        since: "2h".to_owned(),
        client: "billing".to_owned(),
        route: "a".to_owned(),
        operation: "s3:Get*".to_owned(),
        resource: "logs/".to_owned(),
        status: "4xx".to_owned(),
        request: "0198".to_owned(),
        refused: true,
    };
    assert_eq!(*asked.lock().unwrap(), [terms.clone(), terms]);
    // What was asked for stands in the form again.
    for field in
        ["name=\"operation\" value=\"s3:Get*\"", "name=\"refused\" value=\"1\" checked", "value=\"2h\""]
    {
        assert!(page.contains(field), "{field}: {page}");
    }
    assert!(page.contains("&lt;script&gt;alert(1)") && !page.contains("<script>"), "{page}");
    assert!(page.contains("logs/\\u{202e}gpj.exe") && page.contains("operation-denied"), "{page}");
    assert_eq!((&found[0]["status"], &found[0]["resource"]), (&403.into(), &"logs/\\u{202e}gpj.exe".into()));
    let wrong = admin.get("/?search=1&operation=wrong").1;
    assert!(wrong.contains("&lt;i&gt;wrong&lt;/i&gt;\\u{202e}") && !wrong.contains("<i>"), "{wrong}");
    assert_eq!(admin.get("/search?operation=wrong"), (400, "operation: <i>wrong</i>\\u{202e}\n".to_owned()));
    assert!(admin.get("/?search=1&operation=none").1.contains("No call of the record is such."));
    assert_eq!(admin.get("/search?operation=panic"), (400, "the search failed\n".to_owned()));
    assert_eq!(admin.get("/readyz").0, 200);
    // Whoever cannot search is not offered to.
    let admin = Admin::over(written(), OnFull::Refuse);
    assert!(!admin.get("/?search=1").1.contains("search-form"));
    assert_eq!(admin.get("/search").0, 404);
}

//! Who may do what: principals, routes, operations and transports, all combined, through the real program, against an
//! oracle that is a page long and shares nothing with the gateway.
//!
//! Every cell is a call on a real connection. What it was answered, who it was recorded as, what was decided and
//! whether the upstream saw it must be what the oracle says.

#![allow(clippy::unwrap_used, clippy::expect_used)]
#![allow(unreachable_pub, dead_code)]

#[path = "../support/mod.rs"]
mod support;
#[path = "../support/tls.rs"]
mod tls;
// Callers that sign for themselves.
#[path = "../identity/signer.rs"]
mod signer;

mod cell;
mod lines;
mod oracle;

use std::collections::HashMap;

use cell::{Cell, LISTS, OPERATIONS, POLICIES, SCHEMES, SHOWN, TRANSPORTS};
use lines::Lines;
use oracle::{Expected, expected};
use support::naive::Keys;
use support::{Gateway, Setup, Upstream, answer};
use tls::Authority;

/// Of all cells this part is tried, spread evenly; the bar is 20,000.
const ONE_IN: usize = 4;

const AGENT: &str = "the-token-of-the-agent-0123456789";
const READER: &str = "the-token-of-the-reader-0123456789";
const LOCAL_SECRET: &str = "local-canary/Secret+of=the JOB";

/// The local key of this id.
fn local(id: &str) -> Keys {
    Keys { id: id.into(), secret: LOCAL_SECRET.into(), token: None }
}

fn clients() -> String {
    let user = rustix::process::getuid().as_raw();
    let key =
        |id: &str| format!("keys = [{{ access-key = \"{id}\", secret-key = {{ env = \"LOCAL_SECRET\" }} }}]");
    format!(
        "[clients.me]\nunix-user = {user}\n\
         [clients.else]\nunix-user = 424242\n\
         [clients.net]\nfrom = [\"10.20.0.0/16\"]\n\
         [clients.loop]\nfrom = [\"127.0.0.0/8\"]\n\
         [clients.partner]\ncertificate = \"partner.example\"\n\
         [clients.agent]\ntoken = {{ env = \"AGENT\" }}\n\
         [clients.reader]\ntoken = {{ env = \"READER\" }}\nread-only = true\n\
         [clients.job]\n{}\n\
         [clients.farjob]\n{}\nfrom = [\"10.20.0.0/16\"]\n",
        key("LOCALJOB01"),
        key("LOCALFAR01"),
    )
}

fn routes(upstream: &Upstream) -> String {
    let mut text = String::new();
    for (scheme, name) in SCHEMES.iter().enumerate() {
        for (list, names) in LISTS.iter().enumerate() {
            for (policy, lines) in POLICIES.iter().enumerate() {
                let operations = &OPERATIONS[scheme];
                let lines = lines.replace("READ", operations[0].name).replace("WRITE", operations[1].name);
                let quoted: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
                let admitted = match *names {
                    [] => String::new(),
                    _ => format!("clients = [{}]\n", quoted.join(", ")),
                };
                text.push_str(&format!(
                    "[routes.r{scheme}-{list}-{policy}]\n{lines}\n{admitted}\
                     match = {{ host = \"r{scheme}-{list}-{policy}.test\" }}\nupstream = \"{}\"\nsign.{name}\n",
                    upstream.url()
                ));
            }
        }
    }
    text
}

fn gateway(upstream: &Upstream, authority: &Authority) -> Gateway {
    let folder = std::env::temp_dir().join(format!("countersign-matrix-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir(&folder).unwrap();
    let file = |name: &str, content: &str| {
        let path = folder.join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let leaf = authority.server(&["localhost"]);
    let tls = format!(
        "tls = {{ certificate = \"{}\", key = \"{}\", client-ca = \"{}\", client-auth = \"optional\" }}",
        file("chain.pem", &leaf.certificate),
        file("key.pem", &leaf.key),
        file("callers.pem", &authority.pem()),
    );
    let listeners = format!(
        "\"127.0.0.1:0\", \"unix:{}\", {{ address = \"127.0.0.1:0\", {tls} }}, \
         {{ address = \"127.0.0.1:0\", h2c = true }}, {{ address = \"127.0.0.1:0\", \
         trusted-proxies = [\"127.0.0.1\"], client-address = \"proxy-protocol\" }}",
        folder.join("gateway.sock").display(),
    );
    let gateway = Setup::routes(&(routes(upstream) + &clients()))
        .listen(&listeners)
        .workers(2)
        .environment("AGENT", AGENT)
        .environment("READER", READER)
        .environment("LOCAL_SECRET", LOCAL_SECRET)
        .start();
    gateway.assert_discreet();
    gateway
}

/// Every cell in some order, of which one in [`ONE_IN`] is taken, so that each value of each side meets each other.
fn cells() -> Vec<Cell> {
    let mut all = Vec::new();
    for (scheme, operations) in OPERATIONS.iter().enumerate() {
        for list in 0..LISTS.len() {
            for policy in 0..POLICIES.len() {
                for operation in 0..operations.len() {
                    for shown in SHOWN {
                        for transport in TRANSPORTS {
                            all.push(Cell { scheme, list, policy, operation, shown, transport });
                        }
                    }
                }
            }
        }
    }
    // A fixed permutation: a step that shares no factor with the count.
    let count = all.len();
    let coprime = |step: &usize| {
        (2..=*step).all(|divisor| !step.is_multiple_of(divisor) || !count.is_multiple_of(divisor))
    };
    let step = (count / 3..count).find(coprime).unwrap();
    (0..count / ONE_IN).map(|index| all[index * step % count]).collect()
}

#[test]
fn every_cell_is_what_the_oracle_says() {
    let upstream = Upstream::answering(|request| {
        let kind = if request.method == "HEAD" { "text/plain" } else { "application/json" };
        answer(200, &[("Content-Type", kind)], b"{}")
    });
    let authority = Authority::new("callers and gateway");
    let gateway = gateway(&upstream, &authority);
    let cells = cells();
    assert!(cells.len() >= 20_000, "{} cells", cells.len());

    let mut lines = Lines::to(&gateway, &authority);
    let mut wrong = Vec::new();
    let mut ids: HashMap<String, usize> = HashMap::new();
    let (mut forwarded, mut codes) = (0, HashMap::<String, usize>::new());
    for (index, cell) in cells.iter().enumerate() {
        let told = lines.call(cell);
        let want = expected(cell);
        let good = match &want {
            Expected::Forwarded { .. } => told.status == 200 && told.error.is_empty(),
            Expected::Refused { code, .. } => told.error == *code && told.status >= 400,
        };
        forwarded += usize::from(matches!(want, Expected::Forwarded { .. }));
        *codes.entry(told.error.clone()).or_default() += 1;
        if !good {
            wrong.push(format!("{cell:?}: {told:?}, but {want:?}"));
            assert!(wrong.len() < 20, "{}", wrong.join("\n"));
        }
        assert!(ids.insert(told.id.clone(), index).is_none(), "two calls have the id {}", told.id);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(upstream.requests().len(), forwarded, "what was refused never reaches the upstream");

    let records = gateway.wait_for_records(cells.len());
    assert_eq!(records.len(), cells.len());
    for record in &records {
        let cell = &cells[ids[record["request-id"].as_str().unwrap()]];
        let (client, decision) = match expected(cell) {
            Expected::Forwarded { client, learnt: true } => (client, "learn"),
            Expected::Forwarded { client, .. } => (client, "allow"),
            Expected::Refused { client: Some(client), .. } => (client, "deny"),
            Expected::Refused { client: None, .. } => ("", ""),
        };
        let text = |key: &str| record[key].as_str().unwrap_or_default();
        assert_eq!((text("client"), text("decision")), (client, decision), "{cell:?}\n{record}");
        assert_eq!(text("route"), cell.route());
    }
    // No side of the matrix may have become trivial.
    for code in [
        "",
        "client-not-allowed",
        "not-authenticated",
        "token-unknown",
        "unknown-access-key",
        "signature-mismatch",
        "operation-denied",
        "operation-not-allowed",
        "read-only",
        "secrets-denied",
    ] {
        assert!(
            codes.get(code).is_some_and(|count| *count > 100),
            "{code:?} hardly ever happened: {codes:?}"
        );
    }
}

//! Which proof counts when a caller could be several clients: signatures before tokens before the connection, and the
//! first of the route's clients among equals.

use crate::signer::{Call, V4};
use crate::support::naive::Keys;
use crate::support::{Gateway, Setup, Upstream, ask, route};
use crate::{flipped, local};

/// Clients that a caller from loopback is, or can prove to be; and two that it is not.
const CLIENTS: &str = "
[clients.near]
from = [\"127.0.0.0/8\"]
[clients.home]
from = [\"10.0.0.0/8\", \"127.0.0.1/32\"]
[clients.far]
from = [\"10.0.0.0/8\"]
[clients.bearer]
token = { env = \"TOKEN\" }
[clients.far-bearer]
token = { env = \"FAR_TOKEN\" }
from = [\"10.0.0.0/8\"]
[clients.job]
keys = [{ access-key = \"LOCALJOB01\", secret-key = { env = \"LOCAL_SECRET\" } }]
[clients.far-job]
keys = [{ access-key = \"LOCALFAR01\", secret-key = { env = \"LOCAL_SECRET\" } }]
from = [\"10.0.0.0/8\"]
[clients.near-job]
keys = [{ access-key = \"LOCALNEAR1\", secret-key = { env = \"LOCAL_SECRET\" } }]
from = [\"127.0.0.0/8\"]
[clients.certified]
certificate = \"partner.example\"
";

fn gateway(upstream: &Upstream, lists: &[&[&str]]) -> Gateway {
    let mut text = String::new();
    for (number, list) in lists.iter().enumerate() {
        let host = format!("host = \"r{number}.internal\"");
        let sign = "s3-v4 = { credential = \"key\", region = \"us-east-1\" }";
        let one = route(&format!("r{number}"), &host, &format!("\"{}\"", upstream.url()), sign);
        let names: Vec<String> = list.iter().map(|name| format!("\"{name}\"")).collect();
        text += &one.replace("\nmatch", &format!("\nclients = [{}]\nmatch", names.join(", ")));
    }
    let tls = "{ address = \"127.0.0.1:0\" }";
    Setup::routes(&text)
        .listen(tls)
        .environment("TOKEN", "the-token-of-bearer")
        .environment("FAR_TOKEN", "the-token-of-far-bearer")
        .environment("LOCAL_SECRET", &local().secret)
        .text(&CLIENTS.replace("[clients.certified]\ncertificate = \"partner.example\"\n", ""))
        .start()
}

/// What a caller shows.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Show {
    Nothing,
    Token(&'static str),
    Key(&'static str),
    BadKey(&'static str),
    Url(&'static str),
    TokenAndUrl,
}

const BEARER: Show = Show::Token("the-token-of-bearer");
const FAR_BEARER: Show = Show::Token("the-token-of-far-bearer");

fn shown(show: Show, host: &str) -> Call {
    let call = Call::new("GET", host, "/b/k");
    let keys = |id: &str| Keys { id: id.into(), ..local() };
    match show {
        Show::Nothing => call,
        Show::Token(token) => call.header("Authorization", &format!("Bearer {token}")),
        Show::Key(id) => V4::S3.header(&call, &keys(id), None).0,
        Show::BadKey(id) => V4::S3.header(&call, &Keys { id: id.into(), ..flipped() }, None).0,
        Show::Url(id) => V4::S3.query(&call, &keys(id), 60),
        Show::TokenAndUrl => {
            V4::S3.query(&call, &keys("LOCALJOB01"), 60).header("Authorization", "Bearer the-token-of-bearer")
        }
    }
}

/// The clients of a route, what the caller shows, and who it is and by what, or the refusal.
type Case<'c> = (&'c [&'c str], Show, Result<(&'c str, &'c str), (u16, &'c str)>);

#[test]
fn each_request_is_one_client_or_nobody() {
    let upstream = Upstream::ok();
    let denied = Err((403, "client-not-allowed"));
    let asked = Err((401, "not-authenticated"));
    let unsigned = Err((403, "not-authenticated"));
    let unknown_token = Err((401, "token-unknown"));
    let mismatch = Err((403, "signature-mismatch"));
    let unknown_key = Err((403, "unknown-access-key"));
    let ambiguous = Err((400, "ambiguous-request"));
    let cases: &[Case<'_>] = &[
        // By the connection alone, in the route's order.
        (&["near"], Show::Nothing, Ok(("near", "from"))),
        (&["near", "home"], Show::Nothing, Ok(("near", "from"))),
        (&["home", "near"], Show::Nothing, Ok(("home", "from"))),
        (&["far", "home"], Show::Nothing, Ok(("home", "from"))),
        (&["far"], Show::Nothing, denied),
        // What does not count on a route is as if it were not there.
        (&["near"], BEARER, Ok(("near", "from"))),
        (&["near"], Show::Key("LOCALJOB01"), Ok(("near", "from"))),
        (&["near"], Show::BadKey("LOCALJOB01"), Ok(("near", "from"))),
        (&["far"], BEARER, denied),
        (&["near", "bearer"], Show::Key("LOCALJOB01"), Ok(("near", "from"))),
        (&["near", "job"], BEARER, Ok(("near", "from"))),
        // Tokens before the connection.
        (&["near", "bearer"], BEARER, Ok(("bearer", "token"))),
        (&["bearer", "near"], Show::Nothing, Ok(("near", "from"))),
        (&["bearer", "far"], Show::Nothing, asked),
        (&["bearer"], Show::Nothing, asked),
        (&["near", "bearer"], Show::Token("nonsense"), unknown_token),
        (&["near", "bearer"], FAR_BEARER, unknown_token),
        (&["near", "far-bearer"], FAR_BEARER, denied),
        (&["far-bearer", "bearer"], BEARER, Ok(("bearer", "token"))),
        // Signatures before all.
        (&["near", "bearer", "job"], Show::Key("LOCALJOB01"), Ok(("job", "keys"))),
        (&["near", "bearer", "job"], Show::Url("LOCALJOB01"), Ok(("job", "keys"))),
        (&["near", "bearer", "job"], BEARER, Ok(("bearer", "token"))),
        (&["near", "bearer", "job"], Show::Nothing, Ok(("near", "from"))),
        (&["near", "bearer", "job"], Show::TokenAndUrl, ambiguous),
        (&["near", "job"], Show::BadKey("LOCALJOB01"), mismatch),
        (&["near", "job"], Show::Key("LOCALNEAR1"), unknown_key),
        (&["near", "job"], Show::Key("LOCALFAR01"), unknown_key),
        (&["near", "far-job"], Show::Key("LOCALFAR01"), denied),
        (&["near", "far-job"], Show::BadKey("LOCALFAR01"), mismatch),
        (&["near", "far-job", "near-job"], Show::Key("LOCALNEAR1"), Ok(("near-job", "keys"))),
        (&["job"], Show::Nothing, unsigned),
        (&["job"], BEARER, unsigned),
        (&["job", "bearer"], Show::Nothing, asked),
        (&["far-job", "far"], Show::Nothing, unsigned),
    ];
    let mut lists: Vec<&[&str]> = cases.iter().map(|(list, ..)| *list).collect();
    lists.sort_unstable();
    lists.dedup();
    let gateway = gateway(&upstream, &lists);
    for (list, show, expected) in cases {
        let number = lists.iter().position(|known| known == list).unwrap();
        let host = format!("r{number}.internal");
        let response = gateway.call(&shown(*show, &host).ask());
        let record = gateway.record_of(&response);
        let found = if response.status == 200 {
            Ok((record["client"].as_str().unwrap(), record["proof"].as_str().unwrap()))
        } else {
            assert_eq!(
                (record["client"].as_str(), record.get("proof")),
                (Some(""), None),
                "{list:?} {show:?}"
            );
            Err((response.status, response.error()))
        };
        assert_eq!(found, *expected, "{list:?} {show:?}: {}", response.text());
        assert_eq!(upstream.take().len(), usize::from(expected.is_ok()), "{list:?} {show:?}");
    }
}

#[test]
fn the_record_says_what_did_not_hold() {
    let upstream = Upstream::ok();
    let gateway = gateway(&upstream, &[&["far-job", "far-bearer"], &["near"]]);
    let cause = |show, host: &str| {
        let response = gateway.call(&shown(show, host).ask());
        let record = gateway.record_of(&response);
        assert!(!response.text().contains("far"), "callers do not learn of clients: {}", response.text());
        record["cause"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(cause(Show::Key("LOCALFAR01"), "r0.internal"), "client `far-job`: `from` does not hold");
    assert_eq!(cause(FAR_BEARER, "r0.internal"), "client `far-bearer`: `from` does not hold");
    assert_eq!(
        cause(Show::Key("LOCALJOB01"), "r0.internal"),
        "a key of client `job`, which this route does not list"
    );
    assert_eq!(cause(Show::BadKey("LOCALFAR01"), "r0.internal"), "signature mismatch");
    assert_eq!(cause(Show::Key("NOBODYSKEY"), "r0.internal"), "unknown access key");
    assert_eq!(cause(Show::Nothing, "r0.internal"), "");
    // A secret in the place of the id is not written down.
    let odd = Call::new("GET", "r0.internal", "/b/k").header("Authorization", "AWS canary/Secret+x:c2ln");
    let response =
        gateway.call(&odd.header("Date", &crate::signer::mail(crate::support::naive::now(), "GMT")).ask());
    assert_eq!(gateway.record_of(&response)["local-key"], "(no id)");
}

#[test]
fn an_open_route_takes_anyone_and_looks_at_nothing() {
    let upstream = Upstream::ok();
    let text = route(
        "open",
        "host = \"s3.internal\"",
        &format!("\"{}\"", upstream.url()),
        "s3-v4 = { credential = \"key\", region = \"us-east-1\" }",
    );
    let gateway = Setup::routes(&text).start();
    for show in [Show::Nothing, BEARER, Show::Key("X123"), Show::Url("LOCALJOB01"), Show::TokenAndUrl] {
        let response = gateway.call(&shown(show, "s3.internal").ask());
        response.passed(200);
        let record = gateway.record_of(&response);
        assert_eq!((&record["client"], record.get("proof")), (&"anonymous".into(), None));
        assert_eq!(record.get("local-key"), None);
    }
    let gateway_with_users =
        Setup::routes(&text.replace("\nmatch", "\nclients = [\"me\", \"nobody\"]\nmatch"))
            .text(&format!("[clients.me]\nunix-user = {}", rustix_user()))
            .text("[clients.nobody]\nunix-user = \"no-such-user-of-this-machine\"")
            .start();
    let response = gateway_with_users.call(&ask("GET", "/b/k").header("Host", "s3.internal"));
    response.passed(200);
    let record = gateway_with_users.record_of(&response);
    assert_eq!((&record["client"], &record["proof"]), (&"me".into(), &"unix-user".into()));
    let event = gateway_with_users.wait_for_event("client cannot be proved");
    assert_eq!(event["client"], "nobody");
}

/// The user that this test runs as.
fn rustix_user() -> u32 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").unwrap().uid()
}

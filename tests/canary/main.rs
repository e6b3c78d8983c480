//! Secrets that can be recognised go through everything that the program says: logs at their loudest, records,
//! metrics, answers, reports, dry runs, panics. None of them, and no signature that was made with them, comes out.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::format_push_string)]

mod hunt;
#[path = "../support/program.rs"]
mod program;
mod record;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/tls.rs"]
mod tls;

use std::fs;
use std::io::BufRead;
use std::process::Command;

use bytes::Bytes;
use http_body_util::Full;
use hunt::{Hunt, spellings};
use program::{Place, finish};
use support::naive::Keys;
use support::*;
use tls::{Authority, Session, TlsUpstream};

const SECRET: &str = "cAnArY+secret/KEY=0001 of the permanent credential";
const TEMPORARY: &str = "cAnArY+secret/KEY=0002 of the temporary credential";
const TOKEN: &str = "cAnArY+session/TOKEN=0003";
const ID: &str = "AKCANARYPERMANENT001";
const TEMPORARY_ID: &str = "ASCANARYTEMPORARY002";

fn permanent() -> Keys {
    Keys { id: ID.into(), secret: SECRET.into(), token: None }
}

fn temporary() -> Keys {
    Keys { id: TEMPORARY_ID.into(), secret: TEMPORARY.into(), token: Some(TOKEN.into()) }
}

#[test]
fn the_hunt_finds_what_it_hunts() {
    let hunt = Hunt::secrets();
    for text in [SECRET, TEMPORARY, TOKEN].into_iter().flat_map(spellings) {
        let told = std::panic::catch_unwind(|| hunt.assert_absent("a text", &format!("before {text} after")));
        assert!(told.is_err(), "{text}");
    }
}

fn every_route(plain: &Upstream, secure: &TlsUpstream, ca: &str) -> String {
    let temporary = "credential = \"temporary\", region = \"us-east-1\"";
    let secure = format!(
        "{{ url = \"https://localhost:{}\", ca-file = \"{ca}\", http2 = true }}",
        secure.address.port()
    );
    let nowhere = format!("\"http://{}\"", gateway::free_address());
    let plain = format!("\"{}\"", plain.url());
    [
        route("cloud", "path = \"/client/api\"", &plain, "cloudstack = { credential = \"key\" }"),
        route("zstack", "path = \"/zstack\"", &plain, "zstack = { credential = \"key\" }"),
        route(
            "ceph",
            "host = \"ceph.internal\"",
            &plain,
            "s3-v2 = { credential = \"temporary\", dialect = \"ceph\" }",
        ),
        route("s3", "host = \"s3.internal\"", &plain, &format!("s3-v4 = {{ {temporary} }}")),
        route(
            "chunks",
            "host = \"chunks.internal\"",
            &plain,
            &format!("s3-v4 = {{ {temporary}, payload = \"chunked\" }}"),
        ),
        route(
            "h2",
            "host = \"h2.internal\"",
            &secure,
            &format!("s3-v4 = {{ {temporary}, payload = \"chunked\" }}"),
        ),
        route("sqs", "path = \"/sqs\"", &plain, &format!("aws-v4 = {{ {temporary}, service = \"sqs\" }}")),
        route("dead", "host = \"dead.internal\"", &nowhere, &format!("s3-v4 = {{ {temporary} }}")),
        route("mute", "host = \"mute.internal\"", &nowhere, "cloudstack = { credential = \"temporary\" }"),
    ]
    .concat()
}

/// Requests of every kind: good ones, refused ones, and some whose upstream is not there.
fn every_ask() -> Vec<(Ask, u16)> {
    let at = |method: &str, host: &str, target: &str| ask(method, target).header("Host", host);
    let command = "/client/api?command";
    vec![
        (ask("GET", &format!("{command}=listUsers&response=json")), 200),
        (ask("GET", &format!("{command}=deployVirtualMachine&name=a")), 200),
        (ask("POST", "/client/api").form("command=deployVirtualMachine&name=a"), 200),
        (ask("GET", "/zstack/v1/vm-instances?limit=1"), 200),
        (at("GET", "ceph.internal", "/bucket/key?acl"), 200),
        (at("PUT", "ceph.internal", "/bucket/key").body("body"), 200),
        (at("GET", "s3.internal", "/bucket/a%20b?versionId=1"), 200),
        (at("PUT", "s3.internal", "/bucket/key").body("body"), 200),
        (at("PUT", "chunks.internal", "/bucket/key").body("x".repeat(200_000)), 200),
        (at("GET", "h2.internal", "/bucket/key"), 200),
        (at("PUT", "h2.internal", "/bucket/key").body("x".repeat(200_000)), 200),
        (ask("POST", "/sqs/").form("Action=ListQueues"), 200),
        (at("GET", "dead.internal", "/bucket/key"), 502),
        (at("GET", "mute.internal", &format!("{command}=listUsers")), 503),
        (ask("GET", "/client/api?response=json"), 400),
        (ask("GET", &format!("{command}=listUsers&COMMAND=a")), 400),
        (ask("GET", "/nowhere"), 404),
        (at("GET", "evil.example", "/"), 421),
    ]
}

#[tokio::test]
async fn nothing_that_a_gateway_says_holds_a_secret() {
    let plain = Upstream::answering(|request| {
        let status = if request.target.contains("acl") { 403 } else { 200 };
        answer(status, &[("x-amz-request-id", "1")], b"ok")
    });
    let authority = Authority::new("ca");
    let leaf = authority.server(&["localhost"]);
    let secure = TlsUpstream::new(&leaf, &["h2"]);
    let place = Place::new();
    let (ca, certificate, key) = (
        place.write("ca", &authority.pem()),
        place.write("tls", &leaf.certificate),
        place.write("key", &leaf.key),
    );
    let listen = format!(
        "\"127.0.0.1:0\", {{ address = \"127.0.0.1:0\", tls = {{ certificate = \"{certificate}\", key = \"{key}\" }} }}"
    );
    let gateway = Setup::default()
        .credential("key", permanent())
        .credential("temporary", temporary())
        .text(&every_route(&plain, &secure, &ca))
        .listen(&listen)
        .environment("COUNTERSIGN_LOG", "trace")
        .workers(2)
        .start();

    let mut told = String::new();
    let asks = every_ask();
    for (ask, status) in &asks {
        let response = gateway.call(ask);
        let expected = if *status == 200 && response.status == 403 { 403 } else { *status };
        assert_eq!(response.status, expected, "{ask:?}: {response:?}");
        told += &format!("{:?}\n{}\n", response.headers, response.text());
    }
    // The same over TLS and HTTP/2, whose library writes traces of its own.
    let config = tls::caller(&authority, None, &["h2"]);
    let secure_address = gateway.addresses[1].parse().unwrap();
    let mut session = Session::tls(secure_address, &config, "localhost").await.unwrap();
    for host in ["h2.internal", "s3.internal", "evil.example"] {
        let request = http::Request::put(format!("https://{host}/bucket/key"));
        let response = session.send(request.body(Full::<Bytes>::from("body")).unwrap()).await.unwrap();
        told += &format!("{:?}\n{:?}\n", response.headers, response.body);
    }
    gateway.wait_for_records(asks.len() + 3);

    let mut hunt = Hunt::secrets();
    let mut signatures = 0;
    let secure = secure.seen().iter().map(tls::Seen::as_request).collect::<Vec<_>>();
    for request in plain.requests().iter().chain(&secure) {
        signatures += hunt.add_signatures(request);
    }
    assert!(signatures > 30, "every request was signed: {signatures}");

    let output = gateway.output();
    assert!(output.contains("\"level\":\"TRACE\"") && output.contains("\"target\":\"h2::"), "it is loud");
    hunt.assert_absent("an answer", &told);
    hunt.assert_absent("/metrics", &gateway.admin("/metrics").text());
    let ready = gateway.admin("/readyz");
    assert_eq!(ready.status, 503, "one credential does not fit its scheme");
    hunt.assert_absent("/readyz", &ready.text());
    hunt.assert_absent("the record and the log", &output);
    assert!(output.contains("\"credential\":\"key\"") && output.contains("temporary"), "names are logged");
    // The record states access keys; the log names credentials, not even those.
    assert!(output.contains(&format!("\"accessKeyId\":\"{ID}\"")), "the record says which key was used");
    hunt.add("access key", ID);
    hunt.add("access key", TEMPORARY_ID);
    hunt.assert_absent("the log", &gateway.log());
    let cmdline = fs::read(format!("/proc/{}/cmdline", gateway.pid())).unwrap();
    hunt.assert_absent("the command line", &String::from_utf8_lossy(&cmdline));
}

/// The log for people says no more than that for programs; here the secrets come from the environment.
#[test]
fn the_text_log_and_the_process_list_hold_no_secret() {
    let upstream = Upstream::ok();
    let place = Place::new();
    let routes = route(
        "s3",
        "path = \"/\"",
        &format!("\"{}\"", upstream.url()),
        "s3-v4 = { credential = \"key\", region = \"us-east-1\" }",
    );
    let file = place.write(
        "countersign.toml",
        &format!(
            "version = 1\n[server]\nlisten = [\"127.0.0.1:0\"]\n[credentials.key]\naccess-key = {{ env = \"T_ID\" }}\n\
             secret-key = {{ env = \"T_SECRET\" }}\nsession-token = {{ env = \"T_TOKEN\" }}\n{routes}"
        ),
    );
    let mut command = place.command(&["serve", "--config", &file, "--log-format", "text"]);
    command.envs([
        ("T_ID", TEMPORARY_ID),
        ("T_SECRET", TEMPORARY),
        ("T_TOKEN", TOKEN),
        ("COUNTERSIGN_LOG", "trace"),
    ]);
    let mut child = command.spawn().unwrap();
    let mut err = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut text = String::new();
    let address = loop {
        let mut line = String::new();
        assert_ne!(err.read_line(&mut line).unwrap(), 0, "{text}");
        text += &line;
        if let Some((_, rest)) = line.split_once("listening address=") {
            break rest.split_whitespace().next().unwrap().parse().unwrap();
        }
    };
    Caller::to(address).call(&ask("PUT", "/bucket/key").body("body")).passed(200);
    let cmdline = fs::read(format!("/proc/{}/cmdline", child.id())).unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM)
        .unwrap();
    std::io::Read::read_to_string(&mut err, &mut text).unwrap();
    let ended = finish(child).with(0);
    assert!(
        ended.out.contains(" 200 s3 PUT s3:PutObject ") && ended.out.contains("key=key"),
        "{}",
        ended.out
    );
    let mut hunt = Hunt::secrets();
    hunt.add("access key", TEMPORARY_ID);
    assert_eq!(hunt.add_signatures(&upstream.last()), 2);
    hunt.assert_absent("standard error", &text);
    hunt.assert_absent("the request log", &ended.out);
    hunt.assert_absent("the command line", &String::from_utf8_lossy(&cmdline));
}

#[test]
fn reports_and_dry_runs_hold_no_secret() {
    let place = Place::new();
    let token = place.write("token", TOKEN);
    let rest = format!(
        "session-token = {{ file = \"{token}\" }}\n{}",
        route(
            "s3",
            "path = \"/\"",
            "\"http://127.0.0.1:9\"",
            "s3-v4 = { credential = \"key\", region = \"us-east-1\", payload = \"chunked\" }"
        )
    );
    let file = place.configuration(TEMPORARY_ID, TEMPORARY, &rest);
    let hunt = Hunt::secrets();
    let run = |words: &[&str]| {
        let mut command = place.command(words);
        finish(command.env("COUNTERSIGN_LOG", "trace").spawn().unwrap())
    };
    let sign =
        ["sign", "--config", &file, "--at", "2026-03-04T05:06:07Z", "PUT", "http://any/b/k", "--data", "x"];
    let presign =
        ["sign", "--config", &file, "--at", "2026-03-04T05:06:07Z", "GET", "http://any/b/k", "--presign"];
    for form in ["http", "curl", "json"] {
        for words in [&sign[..], &presign] {
            let revealed = run(&[words, &["--as", "json", "--reveal"]].concat()).with(0).out;
            let told: serde_json::Value = serde_json::from_str(&revealed).unwrap();
            let signature = told["signature"].as_str().unwrap();
            let mut hunt = Hunt::secrets();
            hunt.add("signature", signature);
            let hidden = run(&[words, &["--as", form]].concat()).with(0).all();
            hunt.assert_absent(form, &hidden);
            assert!(hidden.contains("HIDDEN"), "{hidden}");
            // Who asks for the signature gets it, and the token that goes with it; never the key.
            let shown = run(&[words, &["--as", form, "--reveal"]].concat()).with(0).all();
            assert!(shown.contains(signature), "{shown}");
            let mut keys = Hunt::default();
            keys.add("secret key", TEMPORARY);
            keys.assert_absent(form, &shown);
        }
    }
    for format in ["text", "json"] {
        hunt.assert_absent("check", &run(&["check", "--config", &file, "--format", format]).with(0).all());
    }
    hunt.assert_absent("route", &run(&["route", "--config", &file, "GET", "http://any/b"]).with(0).all());

    // Secrets where they do not belong, and files that others can read.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    fs::set_permissions(place.path("secret"), mode).unwrap();
    let open = run(&["check", "--config", &file]).with(2);
    assert!(open.err.contains("secret-key"), "{}", open.err);
    hunt.assert_absent("check", &open.all());
    let text = fs::read_to_string(&file).unwrap();
    let written = [
        text.replace(&format!("{{ file = \"{}\" }}", place.path("secret")), &format!("\"{TEMPORARY}\"")),
        text.replace(&place.path("token"), TOKEN),
        text.replace("secret-key = {", &format!("secret-key = \"{TEMPORARY}\" {{")),
        text.replace("credential = \"key\"", &format!("credential = \"{TEMPORARY}\"")),
    ];
    for bad in written {
        assert_ne!(bad, text);
        let bad = place.write("bad.toml", &bad);
        for words in [
            &["check", "--config", &bad][..],
            &["serve", "--config", &bad],
            &["check", "--format", "json", "--config", &bad],
        ] {
            hunt.assert_absent(words[0], &run(words).with(2).all());
        }
    }
}

/// The demo's keys are made up on the spot: nothing that looks like a signature may stand in what it prints.
#[test]
fn the_demo_prints_no_signature() {
    let place = Place::new();
    let mut command = place.command(&["demo", "--once"]);
    let told = finish(command.env("COUNTERSIGN_LOG", "trace").spawn().unwrap()).with(0).all();
    let lower = told.to_lowercase();
    for sign in ["signature=", "credential=", "authorization:", "aws4-hmac", "apikey=", "secret"] {
        assert!(!lower.contains(sign), "{sign}: {told}");
    }
}

const CHILD: &str = "COUNTERSIGN_TEST_PANICS";

/// Not a test by itself: what the process of the next one does.
#[test]
fn a_panic_with_a_secret() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(std::io::stderr).init();
    countersign::server::conceal_panics();
    let outcome = std::panic::catch_unwind(|| panic!("a defect near {SECRET}"));
    assert!(outcome.is_err());
}

#[test]
fn a_panic_tells_its_place_and_nothing_else() {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "a_panic_with_a_secret", "--nocapture"]).env(CHILD, "1");
    let out = command.output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "the child itself is sound");
    assert!(text.contains("internal error") && text.contains("canary/main.rs:"), "{text}");
    Hunt::secrets().assert_absent("a panic", &text);
}

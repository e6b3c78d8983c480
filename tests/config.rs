//! The configuration file, good and bad: what the shipped examples mean, every rule with its place and message,
//! the exact rendering, and that nothing which may be a secret is ever repeated.
//!
//! The golden files `tests/config/*.err` are what `countersign check --config tests/config/NAME.toml` prints.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::time::Duration;

use countersign::cli::check::{Format, examine};
use countersign::config::{
    self, Address, Addressing, Config, CredentialSource, HandOver, HostMatch, Limits, MethodRule,
    PayloadRule, Problems, SecretRef, Shape, Style, UpstreamChunked, Wait, WaitWhen,
};
use countersign::sign::{Scheme, cloudstack, s3v2, sigv4, zstack};

/// A letter sequence that nothing but a secret holds; any four letters of it betray it.
const CANARY: &str = "QZQZQZQZQZQZ";

fn good(text: &str) -> Config {
    config::parse("test.toml", text).unwrap_or_else(|problems| panic!("{problems}"))
}

fn bad(text: &str) -> Problems {
    match config::parse("test.toml", text) {
        Ok(_) => panic!("accepted:\n{text}"),
        Err(problems) => problems,
    }
}

/// A valid file around one route; `server` and `route` are further lines of those tables.
fn file(server: &str, route: &str) -> String {
    format!(
        "version = 1\n[server]\n{server}\n[credentials.lab]\naws-profile = \"lab\"\n[routes.one]\n{route}\n"
    )
}

const MATCH: &str = "match = { path = \"/\" }";
const UPSTREAM: &str = "upstream = \"https://cloud.example\"";
const SIGN: &str = "sign.cloudstack = { credential = \"lab\" }";

// --- What is shipped --------------------------------------------------------------------------------------------

#[test]
fn every_shipped_file_loads() {
    let mut seen = Vec::new();
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/config")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let config = config::load(&path).unwrap_or_else(|problems| panic!("{problems}"));
            assert!(!config.routes.is_empty());
            seen.push(path.file_name().unwrap().to_string_lossy().into_owned());
        }
    }
    seen.sort();
    let shipped = [
        "aws-v4.toml",
        "cloudstack.toml",
        "full.toml",
        "ostor.toml",
        "s3-v2.toml",
        "s3-v4.toml",
        "zstack.toml",
    ];
    assert_eq!(seen, shipped);
}

fn full() -> Config {
    good(include_str!("../config/full.toml"))
}

#[test]
fn the_full_example_states_the_defaults() {
    let server = full().server;
    assert_eq!(server.limits, Limits::default());
    assert_eq!(server.drain, Duration::from_secs(30));
    assert_eq!(server.workers, 0);
    assert_eq!(server.admin, Some("127.0.0.1:8481".parse().unwrap()));
    assert_eq!(server.listen.len(), 5);
    assert_eq!(server.listen[1].address, Address::Unix("/run/countersign/gateway.sock".into()));
    let tls = server.listen[2].tls.as_ref().unwrap();
    assert_eq!(tls.client_ca.as_deref(), Some(Path::new("/etc/countersign/callers.pem")));
    assert_eq!(server.listen[2].hosts, ["gateway.internal"]);
    assert!(server.listen[4].h2c && !server.listen[0].h2c);
}

#[test]
fn the_full_example_shows_every_credential_source() {
    let credentials = full().credentials;
    let names: Vec<_> = credentials.iter().map(|credential| credential.name.as_str()).collect();
    assert_eq!(names, ["cloud-lab", "zs-prod", "ceph-old", "backups", "session"], "in the order of the file");
    let parts = |index: usize| match &credentials[index].source {
        CredentialSource::Parts { access_key, secret_key, session_token } => {
            (access_key, secret_key, session_token.as_ref())
        }
        CredentialSource::AwsProfile(_) => panic!("a profile"),
    };
    assert!(matches!(parts(0).0, SecretRef::Env(name) if name == "CLOUD_LAB_KEY"));
    assert!(matches!(parts(0).1, SecretRef::File { allow_open_mode: false, .. }));
    assert!(matches!(parts(1).1, SecretRef::Systemd(name) if name == "zs-prod-secret"));
    assert!(matches!(parts(2).1, SecretRef::Exec(argv) if argv[..] == ["pass", "show", "ceph/secret"]));
    assert!(matches!(&credentials[3].source, CredentialSource::AwsProfile(name) if name == "backups"));
    assert!(matches!(parts(4).1, SecretRef::File { allow_open_mode: true, .. }));
    assert!(matches!(parts(4).2, Some(SecretRef::File { allow_open_mode: false, .. })));
}

#[test]
fn the_full_example_shows_every_scheme() {
    let routes = full().routes;
    let [cloudstack_route, zstack_route, ceph, backups, queue, private, plain] = &routes[..] else {
        panic!("{} routes", routes.len())
    };
    let expires = Duration::from_secs(600);
    let options = cloudstack::Options { expires, ..cloudstack::Options::default() };
    assert_eq!(cloudstack_route.scheme, Scheme::Cloudstack(options));
    assert_eq!(cloudstack_route.shape, Shape::Cloudstack { method: MethodRule::Auto });
    assert_eq!(cloudstack_route.path, "/client/api");
    assert_eq!(cloudstack_route.host, HostMatch::Any);
    let options = zstack::Options::in_zone("Asia/Shanghai", Some("PRC")).ok().unwrap();
    assert_eq!((&zstack_route.scheme, &zstack_route.shape), (&Scheme::Zstack(options), &Shape::Zstack));
    assert_eq!(zstack_route.upstream.host, "zstack.example:8080");
    assert_eq!(zstack_route.upstream.sni, "zstack.example");
    let dialect = s3v2::Dialect::from_name("ceph").unwrap();
    let options = s3v2::Options { dialect, extra_sub_resources: vec!["quota".to_owned()] };
    assert_eq!(ceph.scheme, Scheme::S3V2(options));
    assert_eq!(ceph.host, HostMatch::Exact("ceph.internal".to_owned()));
    assert_eq!(ceph.path, "");
    assert_eq!(backups.scheme, Scheme::SigV4(sigv4::Options::s3("eu-central-1", "s3")));
    assert_eq!(
        backups.shape,
        Shape::S3 {
            addressing: Addressing::Virtual,
            payload: PayloadRule::Auto,
            chunked: UpstreamChunked::Trailer
        }
    );
    assert_eq!(backups.host, HostMatch::Suffix("s3.internal".to_owned()));
    assert_eq!(backups.forward_headers, ["x-trace-id"]);
    assert_eq!(queue.scheme, Scheme::SigV4(sigv4::Options::aws("eu-central-1", "sqs")));
    assert_eq!(queue.shape, Shape::Aws);
    assert_eq!(queue.upstream.rewrite_path.as_deref(), Some(""));
    let upstream = &private.upstream;
    assert!(upstream.tls && !upstream.http2);
    assert_eq!((upstream.connect_host.as_str(), upstream.connect_port), ("10.0.0.7", 9000));
    assert_eq!((upstream.host.as_str(), upstream.sni.as_str()), ("minio.example:9000", "minio.example"));
    assert_eq!(upstream.ca_file.as_deref(), Some(Path::new("/etc/countersign/private-ca.pem")));
    assert!(!plain.upstream.tls);
    assert_eq!(plain.upstream.host, "old.cloud.example:8080");
    assert_eq!(plain.shape, Shape::Cloudstack { method: MethodRule::Keep });
}

// --- What a file means ------------------------------------------------------------------------------------------

#[test]
fn defaults() {
    let config = good(&file("", &[MATCH, UPSTREAM, SIGN].join("\n")));
    assert_eq!(config.server.listen[0].address, Address::Tcp("127.0.0.1:8480".parse().unwrap()));
    assert_eq!(config.server.admin, None);
    let route = &config.routes[0];
    assert_eq!(route.upstream.connect_port, 443);
    assert_eq!(route.upstream.host, "cloud.example");
    assert!(route.upstream.http2 && route.forward_headers.is_empty());
    let zstack = good(&file("", &[MATCH, UPSTREAM, "sign.zstack = { credential = \"lab\" }"].join("\n")));
    let options = zstack::Options::in_zone("GMT", None).ok().unwrap();
    assert_eq!(zstack.routes[0].scheme, Scheme::Zstack(options));
    let s3 = good(&file("", &[MATCH, UPSTREAM, "sign.s3-v2 = { credential = \"lab\" }"].join("\n")));
    let Scheme::S3V2(options) = &s3.routes[0].scheme else { panic!("not SigV2") };
    assert_eq!(options.dialect, s3v2::Dialect::from_name("aws").unwrap());
    assert_eq!(
        s3.routes[0].shape,
        Shape::S3 {
            addressing: Addressing::Path,
            payload: PayloadRule::Unsigned,
            chunked: UpstreamChunked::None
        }
    );
    let sign = "sign.s3-v4 = { credential = \"lab\", region = \"r\" }";
    let s3 = good(&file("", &[MATCH, UPSTREAM, sign].join("\n")));
    assert_eq!(s3.routes[0].scheme, Scheme::SigV4(sigv4::Options::s3("r", "s3")));
    assert_eq!(
        s3.routes[0].shape,
        Shape::S3 {
            addressing: Addressing::Path,
            payload: PayloadRule::Auto,
            chunked: UpstreamChunked::Trailer
        }
    );
}

#[test]
fn aws_switches_are_two() {
    let sign = "sign.aws-v4 = { credential = \"lab\", region = \"r\", service = \"s\", normalize = false }";
    let config = good(&file("", &[MATCH, UPSTREAM, sign].join("\n")));
    let Scheme::SigV4(options) = &config.routes[0].scheme else { panic!("not SigV4") };
    assert!(options.double_encode && !options.normalize);
}

#[test]
fn the_ways_to_write_a_scheme_mean_the_same() {
    let inline = good(&file("", &[MATCH, UPSTREAM, SIGN].join("\n")));
    let table = format!("{MATCH}\n{UPSTREAM}\n[routes.one.sign.cloudstack]\ncredential = \"lab\"");
    assert_eq!(good(&file("", &table)).routes[0].scheme, inline.routes[0].scheme);
    let nested = format!("{MATCH}\n{UPSTREAM}\nsign = {{ cloudstack = {{ credential = \"lab\" }} }}");
    assert_eq!(good(&file("", &nested)).routes[0].scheme, inline.routes[0].scheme);
}

#[test]
fn sizes_and_times_are_read() {
    let limits = "limits = { head = 65536, body = \"2GiB\", form = \"64 KiB\", idle-timeout = \"1h 0m\" }";
    let limits = limits.replace("2GiB", "1GiB");
    let config = good(&file(&limits, &[MATCH, UPSTREAM, SIGN].join("\n")));
    let limits = config.server.limits;
    assert_eq!((limits.head, limits.body, limits.form), (65_536, 1 << 30, 64 << 10));
    assert_eq!(limits.idle_timeout, Duration::from_secs(3600));
}

#[test]
fn loopback_upstreams_may_be_plain() {
    for url in ["http://127.0.0.1:8080", "http://127.8.9.1", "http://[::1]:80", "http://LOCALHOST:5000/"] {
        good(&file("", &[MATCH, &format!("upstream = \"{url}\""), SIGN].join("\n")));
    }
    let unsigned = "sign.s3-v4 = { credential = \"lab\", region = \"r\", payload = \"unsigned\" }";
    good(&file("", &[MATCH, "upstream = \"http://[::1]:9000\"", unsigned].join("\n")));
    good(&file("", &[MATCH, UPSTREAM, unsigned].join("\n")));
}

#[test]
fn the_same_path_on_other_hosts_is_another_match() {
    let route = |name: &str, condition: &str| {
        format!("[routes.{name}]\nmatch = {{ {condition} }}\n{UPSTREAM}\n{SIGN}\n")
    };
    let text = format!(
        "version = 1\n[credentials.lab]\naws-profile = \"lab\"\n{}{}{}{}",
        route("a", "path = \"/x\""),
        route("b", "path = \"/x\", host = \"b.internal\""),
        route("c", "path = \"/x\", host = \"*.b.internal\""),
        route("d", "path = \"/x/y\""),
    );
    assert_eq!(good(&text).routes.len(), 4);
}

// --- What is refused, and how it is said ------------------------------------------------------------------------

/// Lines of `[server]`, lines of the route, and the problems as `line:column message`.
type Rule<'t> = (&'t str, String, &'t [&'t str]);

fn assert_each(rules: &[Rule<'_>]) {
    for (server, route, expected) in rules {
        let text = file(server, route);
        let problems = bad(&text);
        let found: Vec<_> = problems
            .iter()
            .map(|problem| {
                let at = problems.position(problem).unwrap();
                format!("{}:{} {}", at.line, at.column, problem.message())
            })
            .collect();
        assert_eq!(&found, expected, "\n{text}");
    }
}

fn https(sign: &str) -> String {
    [MATCH, UPSTREAM, sign].join("\n")
}

fn to(upstream: &str) -> String {
    [MATCH, upstream, SIGN].join("\n")
}

#[test]
fn each_rule_of_the_server_speaks_for_itself() {
    let plain = https(SIGN);
    assert_each(&[
        ("listen = []", plain.clone(), &["3:10 `server.listen` names no listener"]),
        ("listen = \"127.0.0.1:1\"", plain.clone(), &["3:10 `server.listen` must be an array"]),
        (
            "listen = [\"192.0.2.1:8480\"]",
            plain.clone(),
            &["3:11 other machines can reach this listener, and route `one` admits anyone"],
        ),
        ("listen = [\"unix:/a\", \"unix:/a\"]", plain.clone(), &["3:22 two listeners have the same address"]),
        ("admin = \"0.0.0.0:8481\"", plain.clone(), &["3:9 `server.admin` must be a loopback address"]),
        ("workers = -1", plain.clone(), &["3:11 `server.workers` must be from 0 to 1024"]),
        (
            "workers = 99999999999999999999999",
            plain.clone(),
            &["3:11 `server.workers` must be from 0 to 1024"],
        ),
        ("drain = 30", plain.clone(), &["3:9 `server.drain` must be a duration like \"30s\""]),
        (
            "limits.body = true",
            plain.clone(),
            &["3:15 `server.limits.body` must be a size like \"32KiB\" or a number of bytes"],
        ),
        ("limits.body = \"1KB\"", plain.clone(), &["3:15 `server.limits.body` is not a size"]),
    ]);
}

#[test]
fn each_rule_of_a_route_speaks_for_itself() {
    assert_each(&[
        ("", [UPSTREAM, SIGN].join("\n"), &["6:9 `routes.one` has no `match`"]),
        ("", [MATCH, SIGN].join("\n"), &["6:9 `routes.one` has no `upstream`"]),
        ("", [MATCH, UPSTREAM].join("\n"), &["6:9 `routes.one` has no `sign`"]),
        (
            "",
            https("sign = \"s3-v4\""),
            &["9:8 `routes.one.sign` must be a table named after the scheme, like `sign.cloudstack = { … }`"],
        ),
        ("", https("sign.s3-v5 = {}"), &["9:6 unknown key `s3-v5` in `routes.one.sign`"]),
        ("", https("sign.cloudstack = {}"), &["9:6 `routes.one.sign.cloudstack` has no `credential`"]),
        (
            "",
            https("sign.s3-v4 = { credential = \"lab\" }"),
            &["9:6 `routes.one.sign.s3-v4` has no `region`"],
        ),
        (
            "",
            https("sign.cloudstack = { credential = \"lab\", expires = \"15m 1s\" }"),
            &["9:51 `routes.one.sign.cloudstack.expires` must be from 1s to 15m"],
        ),
        (
            "",
            https("sign.zstack = { credential = \"lab\", time-zone = \"Mars/Olympus\" }"),
            &["9:49 `routes.one.sign.zstack.time-zone` is not a time zone of the IANA database"],
        ),
        (
            "",
            https("sign.zstack = { credential = \"lab\", time-zone = \"UTC\", time-zone-label = \"a b\" }"),
            &["9:74 `routes.one.sign.zstack.time-zone-label` cannot name a zone in a `Date` header"],
        ),
        ("", to("upstream = 1"), &["8:12 `routes.one.upstream` must be a URL or a table with `url`"]),
        ("", to("upstream = {}"), &["8:1 `routes.one.upstream` has no `url`"]),
        (
            "",
            to("upstream = \"cloud.example\""),
            &["8:12 `routes.one.upstream` must begin with `https://` or `http://`"],
        ),
        (
            "",
            to("upstream = \"https://cloud.example?a\""),
            &["8:12 `routes.one.upstream` must not have a query"],
        ),
        (
            "",
            to("upstream = \"https://cloud.example#a\""),
            &["8:12 `routes.one.upstream` must not have a fragment"],
        ),
        (
            "",
            to("upstream = \"https://cloud.example/api\""),
            &["8:12 `routes.one.upstream` must not have a path"],
        ),
        (
            "",
            to("upstream = \"http://localhost.example\""),
            &["8:12 signed requests would leave this machine unencrypted"],
        ),
        (
            "",
            to("upstream = { url = \"http://a.example\", insecure = false }"),
            &["8:20 signed requests would leave this machine unencrypted"],
        ),
        (
            "",
            https("sign.cloudstack = { credential = \"lab\" }\nclient = 1"),
            &["10:1 unknown key `client` in `routes.one`"],
        ),
        (
            "",
            https(
                "sign.cloudstack = { credential = \"lab\" }\nforward-headers = [\"X-Amz-Date\", \"te\", \"host\"]",
            ),
            &[
                "10:20 `routes.one.forward-headers` is a header of credentials or signatures, which the signer alone writes",
                "10:34 `routes.one.forward-headers` is a hop-by-hop header, which ends at the gateway",
                "10:40 `routes.one.forward-headers` is a header that the gateway itself writes",
            ],
        ),
    ]);
}

#[test]
fn waits_and_hand_overs() {
    let routes = full().routes;
    let wait = |seconds| Some(Wait { longest: Duration::from_secs(seconds), when: WaitWhen::Asked });
    assert_eq!(routes[0].wait, wait(120));
    assert_eq!(routes[1].wait, wait(300));
    assert_eq!(routes[1].forward_headers, ["x-job-uuid", "x-web-hook"]);
    assert_eq!(routes[3].hand_over, Some(HandOver { from: 8 << 20 }));
    assert!(routes[2].wait.is_none() && routes[2].hand_over.is_none());

    let route = |sign: &str, more: &str| format!("{MATCH}\n{UPSTREAM}\n{sign}\n{more}");
    let read = |sign: &str, more: &str| good(&file("", &route(sign, more))).routes.remove(0);
    let s3 = "sign.s3-v4 = { credential = \"lab\", region = \"x\" }";
    let always = Wait { longest: Duration::from_secs(3600), when: WaitWhen::Always };
    assert_eq!(read(SIGN, "wait = \"1h\"\nwait-by-default = true").wait, Some(always));
    assert_eq!(read(s3, "hand-over = \"redirect\"").hand_over, Some(HandOver { from: 8 << 20 }));
    assert_eq!(
        read(s3, "hand-over = \"redirect\"\nhand-over-from = 7").hand_over,
        Some(HandOver { from: 7 })
    );
    assert_eq!(read(s3, "hand-over = \"off\"").hand_over, None);
    let loopback = "upstream = \"http://127.0.0.1:9000\"";
    let text = file("", &format!("{MATCH}\n{loopback}\n{s3}\nhand-over = \"redirect\""));
    assert!(good(&text).routes[0].hand_over.is_some());

    let plain = "upstream = { url = \"http://s3.example\", insecure = true }";
    assert_each(&[
        ("", route(SIGN, "wait = \"500ms\""), &["10:8 `routes.one.wait` must be from 1s to 1h"]),
        ("", route(SIGN, "wait = \"2h\""), &["10:8 `routes.one.wait` must be from 1s to 1h"]),
        ("", route(SIGN, "wait = 60"), &["10:8 `routes.one.wait` must be a duration like \"30s\""]),
        ("", route(SIGN, "wait-by-default = true"), &["10:19 `routes.one.wait-by-default` needs `wait`"]),
        (
            "",
            route(s3, "wait = \"60s\""),
            &["10:8 `routes.one.wait` is for CloudStack and ZStack routes only"],
        ),
        (
            "",
            route(SIGN, "hand-over = \"redirect\""),
            &["10:13 `routes.one.hand-over` is for S3 routes only"],
        ),
        (
            "",
            route(s3, "hand-over = \"Redirect\""),
            &["10:13 `routes.one.hand-over` must be one of: off, redirect"],
        ),
        (
            "",
            route(s3, "hand-over-from = \"1MiB\""),
            &["10:18 `routes.one.hand-over-from` belongs to `hand-over = \"redirect\"` only"],
        ),
        (
            "",
            route(s3, "hand-over = \"redirect\"\nhand-over-from = -1"),
            &["11:18 `routes.one.hand-over-from` must be at least 1 byte"],
        ),
        (
            "",
            format!("{MATCH}\n{plain}\n{s3}\nhand-over = \"redirect\""),
            &["10:13 a presigned URL over plain http is anybody's who sees it on its way"],
        ),
        (
            "",
            route(SIGN, "forward-headers = [\"x-job-uuid\", \"X-Web-Hook\"]"),
            &[
                "10:20 `routes.one.forward-headers` names `x-job-uuid`, a header of ZStack",
                "10:34 `routes.one.forward-headers` names `x-web-hook`, a header of ZStack",
            ],
        ),
    ]);
}

#[test]
fn every_problem_is_reported_once_in_the_order_of_the_file() {
    let problems = bad(include_str!("config/everything.toml"));
    let places: Vec<_> = problems.iter().filter_map(|problem| problems.position(problem)).collect();
    assert_eq!(places.len(), 39);
    assert!(places.is_sorted_by_key(|place| (place.line, place.column)));
    assert_eq!(
        problems.brief(),
        "test.toml:1:11: this countersign reads `version = 1` only (and 38 more problems)"
    );
}

#[test]
fn the_rendering_is_exact() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in ["duplicate", "empty", "everything", "listeners", "secrets", "syntax"] {
        let file = directory.join(format!("tests/config/{name}.toml"));
        let report = examine(&file, Format::Text, Style::Plain);
        assert!(!report.good && report.out.is_empty());
        let found = report.err.replace(&format!("{}/", directory.display()), "");
        let expected = std::fs::read_to_string(file.with_extension("err")).unwrap();
        assert!(found == expected, "tests/config/{name}.err should now read:\n{found}");
        assert!(!found.contains('\x1b'));
    }
}

#[test]
fn colour_is_asked_for() {
    let problems = bad("");
    assert!(problems.render(Style::Coloured).contains("\x1b["));
    assert!(!problems.render(Style::Plain).contains("\x1b["));
}

#[test]
fn json_carries_the_places() {
    let json = bad(&file("wrkers = 1", &[MATCH, UPSTREAM, SIGN].join("\n"))).to_json();
    assert_eq!(
        json,
        serde_json::json!([{
            "message": "unknown key `wrkers` in `server`",
            "file": "test.toml",
            "line": 3, "column": 1, "end_line": 3, "end_column": 7,
            "label": "unknown key",
            "help": "did you mean `workers`?",
        }])
    );
}

#[test]
fn a_file_that_cannot_be_read_is_a_problem_too() {
    let problems = config::load(Path::new("/nonexistent/countersign.toml")).err().unwrap();
    assert!(problems.brief().starts_with("/nonexistent/countersign.toml: the configuration cannot be read"));
    assert!(config::load(Path::new("/")).err().unwrap().to_string().contains("not a configuration file"));
    let path = std::env::temp_dir().join(format!("countersign-utf8-{}.toml", std::process::id()));
    std::fs::write(&path, b"version = 1\n# \xff\n").unwrap();
    let problems = config::load(&path).err().unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(problems.to_string().contains("line 2 is not UTF-8"), "{problems}");
}

#[test]
fn a_name_cannot_steer_the_terminal() {
    let problems = bad("version = 1\n\"\\u001b[2J\" = 1\n[routes.\"\\u001b[2J\"]\nx = 1\n");
    assert!(!problems.to_string().contains('\x1b'), "{problems:?}");
    assert!(!problems.to_json().to_string().contains('\x1b'));
}

// --- What is never said -----------------------------------------------------------------------------------------

fn assert_silent(text: &str) {
    let Err(problems) = config::parse("test.toml", text) else { return };
    let said = [
        problems.render(Style::Plain),
        problems.render(Style::Coloured),
        problems.to_json().to_string(),
        problems.brief(),
        format!("{problems:?}"),
        format!("{problems}"),
    ];
    for said in said {
        assert!(!said.contains(&CANARY[..4]), "{text}\n----\n{said}");
    }
}

/// Mistakes that people make with secrets, each in a file that is otherwise fine.
#[test]
fn a_secret_in_the_file_is_never_repeated() {
    let credential = [
        "secret-key = \"CANARY\"",
        "secret-key = 'CANARY'",
        "secret-key = \"\"\"\nCANARY\n\"\"\"",
        "secret-key = CANARY",
        "secret-key CANARY",
        "secret-key: CANARY",
        "secret-key: \"CANARY\"",
        "secret-key == \"CANARY\"",
        "secret-key = \"CANARY",
        "secret-key = CANARY\"",
        "secret-key = \"CANARY' # CANARY",
        "secret-key = \"CANARY\" CANARY",
        "secret-key = \"CANARY\\q\"",
        "secret-key = [\"CANARY\"]",
        "secret-key = { value = \"CANARY\" }",
        "secret-key = { CANARY = 1 }",
        "secret-key.CANARY = 1",
        "secret-key = { \"CANARY\" }",
        "secret-key = { env = \"CANARY-CANARY\" }",
        "secret-key = { env = \"CANARY\", file = \"/CANARY\" }",
        "secret-key = { file = \"CANARY\" }",
        "secret-key = { file = \"/x\" \"CANARY\" }",
        "secret-key = { file = \"/x\", allow-open-mode = \"CANARY\" }",
        "secret-key = { systemd = \"CANARY/CANARY\" }",
        "secret-key = { exec = \"echo CANARY\" }",
        "secret-key = { exec = [\"echo\", \"CANARY\", 1] }",
        "secret-key = { exec = [\"\", \"CANARY\"] }",
        "secret-key = { exec = [], env = \"CANARY\" }",
        "secret-key = { literal = \"CANARY\" } # CANARY",
        "secret-key = { exec = [\"CANARY\" \"CANARY\"] }",
        "secret-keys = \"CANARY\"",
        "secret = \"CANARY\"",
        "CANARY = \"x\"",
        "CANARY",
        "\"CANARY\"",
        "= \"CANARY\"",
        "access-key = \"CANARY\"",
        "session-token = \"CANARY\"",
        "session-token = 1 # CANARY",
        "aws-profile = \"CANARY\\n\"",
        "aws-profile = [\"CANARY\"]",
        "aws-profile = \"CANARY\"\nsecret-key = \"CANARY\"",
        "[credentials.lab.CANARY]",
        "[CANARY",
    ];
    let base = |name: &str, lines: &str| {
        format!("{}[credentials.{name}]\n{lines}\n", file("", &[MATCH, UPSTREAM, SIGN].join("\n")))
    };
    let access = "access-key = { env = \"ACCESS\" }";
    for lines in credential {
        let lines = lines.replace("CANARY", CANARY);
        for text in [base("two", &lines), base("two", &format!("{access}\n{lines}")), base("lab", &lines)] {
            bad(&text);
            assert_silent(&text);
        }
    }
    let elsewhere = [
        ("secret = \"CANARY\"", String::new()),
        ("secret = CANARY", String::new()),
        ("# CANARY\nlisten = [ # CANARY\n1]", String::new()),
        ("listen = [{ address = \"127.0.0.1:1\", tls = { key = \"-----BEGIN CANARY\" } }]", String::new()),
        ("", "upstream = \"https://user:CANARY@cloud.example\"".to_owned()),
        ("", "upstream = { url = \"https://CANARY@cloud.example\", x = \"CANARY\" }".to_owned()),
        ("", "upstream = \"https://cloud.example/?secretKey=CANARY\"".to_owned()),
        ("", "sign.cloudstack = { credential = \"CANARY\" }".to_owned()),
        ("", "sign.cloudstack = { credential = { secret-key = \"CANARY\" } }".to_owned()),
        ("", "sign.cloudstack = { credential = \"lab\", secret-key = \"CANARY\" }".to_owned()),
        ("", "sign.cloudstack = \"CANARY\"".to_owned()),
        ("", "sign = \"CANARY\"".to_owned()),
        ("", "credential = { secret-key = \"CANARY\" }".to_owned()),
        ("", "clients = [\"CANARY\"]".to_owned()),
        ("", "[clients.x]\ntoken = \"CANARY\"\nkeys = [{ secret-key = \"CANARY\" }]".to_owned()),
        ("", "[credentials]\nsecret-key = \"CANARY\"".to_owned()),
        ("", "[credential.lab]\nsecret-key = \"CANARY\"".to_owned()),
        ("", "[audit]\nfile = \"CANARY\"".to_owned()),
    ];
    for (server, route) in elsewhere {
        let text = file(server, &format!("match = 1\n{route}")).replace("CANARY", CANARY);
        bad(&text);
        assert_silent(&text);
    }
    for text in [
        "secret-key = \"CANARY\"",
        "CANARY",
        "version = \"CANARY\"",
        "credentials = \"CANARY\"",
        "credentials = [{ secret-key = \"CANARY\" }]",
        "[[credentials]]\nname = \"lab\"\nsecret-key = \"CANARY\"",
        "routes = \"CANARY\"",
        "server = \"CANARY\"",
    ] {
        let text = text.replace("CANARY", CANARY);
        bad(&text);
        assert_silent(&text);
    }
}

/// The same of the record's key.
#[test]
fn a_key_of_the_record_is_never_repeated() {
    for audit in [
        "[audit]\nkey = \"CANARY\"",
        "[audit]\nkey = { CANARY = 1 }",
        "[audit]\nkey = { secret = \"CANARY\" }",
        "[audit]\nkey.CANARY = 1",
        "[audit]\nkeys = \"CANARY\"\nCANARY = 1",
        "[audit]\nkey = { file = \"CANARY\" }",
        "[audit]\nkey = [\"CANARY\"]",
        "[audit.CANARY]",
        "[audit]\nkey = CANARY",
    ] {
        let text = file("", &[MATCH, UPSTREAM, SIGN, audit].join("\n")).replace("CANARY", CANARY);
        bad(&text);
        assert_silent(&text);
    }
}

/// One slip of the finger anywhere around a secret: a character lost, or one too many.
#[test]
fn no_single_slip_brings_a_secret_out() {
    let forms = [
        "access-key = { env = \"CANARY\" }\nsecret-key = \"CANARY\" # CANARY\n",
        "access-key = \"CANARY\"\nsecret-key = { file = \"/CANARY\", mode = \"CANARY\" }\n",
        "access-key = { exec = [\"echo\", \"CANARY\"] }\nsecret-key = '''CANARY\nCANARY'''\n",
    ];
    for form in forms {
        let text = format!("[credentials.two]\n{}", form.replace("CANARY", CANARY));
        let text = format!("{}{text}", file("", &[MATCH, UPSTREAM, SIGN].join("\n")));
        let begin = text.find("[credentials.two]").unwrap();
        for at in begin..text.len() {
            assert_silent(&format!("{}{}", &text[..at], &text[at + 1..]));
            for slip in ["\"", "'", "=", "{", "}", "[", "]", ",", ".", "#", "\n", " ", "\\", "\u{1}", "ä"] {
                assert_silent(&format!("{}{slip}{}", &text[..at], &text[at..]));
            }
        }
    }
}

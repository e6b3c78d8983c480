//! `[audit]` in the configuration: what it means, what is refused with which words, and what `check` says of it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::time::Duration;

use countersign::cli::check::{Format, Report, examine};
use countersign::config::{self, Audit, Config, OnFull, Problems, SecretRef, Style};

/// A valid file that ends with `[audit]`, on line 8, and these lines.
fn file(audit: &str) -> String {
    format!(
        "version = 1\n[credentials.lab]\naws-profile = \"lab\"\n[routes.one]\nmatch = {{ path = \"/\" }}\n\
         upstream = \"https://cloud.example\"\nsign.cloudstack = {{ credential = \"lab\" }}\n[audit]\n{audit}\n"
    )
}

fn good(audit: &str) -> Config {
    config::parse("test.toml", &file(audit)).unwrap_or_else(|problems| panic!("{problems}"))
}

fn bad(audit: &str) -> Problems {
    match config::parse("test.toml", &file(audit)) {
        Ok(_) => panic!("accepted:\n{audit}"),
        Err(problems) => problems,
    }
}

const FILE: &str = "file = \"/var/log/audit.jsonl\"\n";
const DAY: Duration = Duration::from_secs(86_400);

#[test]
fn the_full_example_states_the_defaults() {
    let audit = config::parse("full.toml", include_str!("../config/full.toml")).unwrap().audit;
    let Audit { file, on_full, rotate_size, rotate_age, retain, key } = audit;
    let default = Audit::default();
    assert_eq!(file.as_deref(), Some(Path::new("/var/log/countersign/audit.jsonl")));
    assert_eq!(
        (on_full, rotate_size, rotate_age),
        (default.on_full, default.rotate_size, default.rotate_age)
    );
    assert_eq!(retain, Some(90 * DAY));
    assert!(
        matches!(key, Some(SecretRef::File { path, .. }) if path == Path::new("/etc/countersign/audit.key"))
    );
}

#[test]
fn what_is_left_out_has_its_default() {
    let expected = Audit {
        file: None,
        on_full: OnFull::Refuse,
        rotate_size: 256 << 20,
        rotate_age: DAY,
        retain: None,
        key: None,
    };
    assert_eq!(good("").audit, expected);
    assert_eq!(config::parse("x", file("").trim_end().trim_end_matches("[audit]")).unwrap().audit, expected);
    let expected = Audit { file: Some("/var/log/audit.jsonl".into()), ..expected };
    assert_eq!(good(FILE).audit, expected);
}

#[test]
fn every_key_is_read() {
    let text = "on-full = \"drop-reads\"\nrotate-size = 1048576\nrotate-age = \"90m\"\nretain = \"1d 12h\"\n\
                key = { exec = [\"pass\", \"show\", \"audit\"] }";
    let audit = good(&format!("{FILE}{text}")).audit;
    assert_eq!(audit.on_full, OnFull::DropReads);
    assert_eq!((audit.rotate_size, audit.rotate_age), (1 << 20, Duration::from_secs(5400)));
    assert_eq!(audit.retain, Some(DAY + DAY / 2));
    assert!(matches!(audit.key, Some(SecretRef::Exec(argv)) if argv == ["pass", "show", "audit"]));
    // A chain has a key on standard output too, and calls may be refused there.
    let audit = good("on-full = \"drop-reads\"\nkey = { env = \"AUDIT_KEY\" }").audit;
    assert_eq!((audit.file, audit.on_full), (None, OnFull::DropReads));
    assert!(matches!(audit.key, Some(SecretRef::Env(name)) if name == "AUDIT_KEY"));
}

#[test]
fn days_are_days() {
    for (text, expected) in
        [("90d", 90 * DAY), ("7d", 7 * DAY), ("36500d", 36_500 * DAY), ("2d12h", DAY * 5 / 2)]
    {
        assert_eq!(good(&format!("{FILE}retain = \"{text}\"")).audit.retain, Some(expected), "{text}");
    }
    assert_eq!(good(&format!("{FILE}rotate-age = \"1m\"\nretain = \"60s\"")).audit.retain, Some(DAY / 1440));
}

/// `line:column message / help` of each problem.
fn said(problems: &Problems) -> Vec<String> {
    let json = problems.to_json();
    let problems = json.as_array().unwrap().iter();
    problems
        .map(|problem| {
            let text = |key: &str| problem[key].as_str().unwrap_or_default();
            format!("{}:{} {} / {}", problem["line"], problem["column"], text("message"), text("help"))
        })
        .collect()
}

#[test]
fn what_cannot_be_is_refused_with_help() {
    let stream = "standard output has no segments: add `file = \"/…/audit.jsonl\"`, or remove the key";
    let folder =
        "9:8 `audit.file` names a folder / name a file in it, like `/var/log/countersign/audit.jsonl`";
    let days = "write it like `30m`, `24h` or `90d`";
    let whole = "only whole segments are deleted: raise it, or lower `rotate-age`";
    let reference = "secrets are not written here; use { env = \"…\" }, { file = \"/…\" }, { systemd = \"…\" } or \
                     { exec = [\"…\"] }";
    let with_file = |lines: &str| format!("{FILE}{lines}");
    for (audit, expected) in [
        (
            "file = \"audit.jsonl\"".to_owned(),
            "9:8 `audit.file` must be an absolute path / begin it with `/`".into(),
        ),
        ("file = 1".to_owned(), "9:8 `audit.file` must be a string / ".to_owned()),
        ("file = \"/var/log/\"".to_owned(), folder.to_owned()),
        ("file = \"/var/log/.\"".to_owned(), folder.to_owned()),
        ("file = \"/var/log/..\"".to_owned(), folder.to_owned()),
        ("file = \"/\"".to_owned(), folder.to_owned()),
        (
            "rotate-size = \"1MiB\"".to_owned(),
            format!("9:1 `audit.rotate-size` needs `audit.file` / {stream}"),
        ),
        ("rotate-age = \"1h\"".to_owned(), format!("9:1 `audit.rotate-age` needs `audit.file` / {stream}")),
        ("retain = \"90d\"".to_owned(), format!("9:1 `audit.retain` needs `audit.file` / {stream}")),
        (
            with_file("rotate-size = \"1023KiB\""),
            "10:15 `audit.rotate-size` must be from 1048576 to 1099511627776 bytes / ".to_owned(),
        ),
        (
            with_file("rotate-size = \"1025GiB\""),
            "10:15 `audit.rotate-size` must be from 1048576 to 1099511627776 bytes / ".to_owned(),
        ),
        (
            with_file("rotate-size = true"),
            "10:15 `audit.rotate-size` must be a size like \"32KiB\" or a number of bytes / ".to_owned(),
        ),
        (with_file("rotate-age = \"59s\""), "10:14 `audit.rotate-age` must be from 1m to 366d / ".to_owned()),
        (
            with_file("rotate-age = \"367d\""),
            "10:14 `audit.rotate-age` must be from 1m to 366d / ".to_owned(),
        ),
        (
            with_file("rotate-age = 24"),
            "10:14 `audit.rotate-age` must be a duration like \"30s\" / ".to_owned(),
        ),
        (with_file("retain = \"36501d\""), "10:10 `audit.retain` must be from 1m to 36500d / ".to_owned()),
        (with_file("retain = \"0d\""), "10:10 `audit.retain` must be from 1m to 36500d / ".to_owned()),
        (with_file("retain = \"90 days\""), format!("10:10 `audit.retain` is not a duration / {days}")),
        (with_file("retain = \"1d1d\""), format!("10:10 `audit.retain` is not a duration / {days}")),
        (with_file("retain = \"1d 30h\""), format!("10:10 `audit.retain` is not a duration / {days}")),
        (with_file("retain = \"d\""), format!("10:10 `audit.retain` is not a duration / {days}")),
        (with_file("retain = \"-1d\""), format!("10:10 `audit.retain` is not a duration / {days}")),
        (
            with_file("retain = \"99999999999999999999d\""),
            format!("10:10 `audit.retain` is not a duration / {days}"),
        ),
        (
            with_file("retain = \"999999999999999999d\""),
            format!("10:10 `audit.retain` is not a duration / {days}"),
        ),
        (
            with_file("retain = \"23h\""),
            format!("10:10 `audit.retain` is shorter than `audit.rotate-age`, 24h / {whole}"),
        ),
        (
            with_file("rotate-age = \"8d\"\nretain = \"7d\""),
            format!("11:10 `audit.retain` is shorter than `audit.rotate-age`, 8d / {whole}"),
        ),
        // What is broken already is not compared.
        (
            with_file("rotate-age = \"soon\"\nretain = \"1h\""),
            format!("10:14 `audit.rotate-age` is not a duration / {days}"),
        ),
        (
            "on-full = \"drop-read\"".to_owned(),
            "9:11 `audit.on-full` must be one of: refuse, drop-reads / did you mean `drop-reads`?".to_owned(),
        ),
        ("key = \"x\"".to_owned(), format!("9:7 `audit.key` must be a reference, not a value / {reference}")),
        ("key = {}".to_owned(), format!("9:1 `audit.key` names no source / {reference}")),
        ("rotate-sise = 1".to_owned(), "9:1 unknown key in `audit` / did you mean `rotate-size`?".to_owned()),
    ] {
        assert_eq!(said(&bad(&audit)), [expected], "\n{audit}");
    }
}

/// In a file that is not TOML, the words that are known to be keys are quoted, and nothing else.
#[test]
fn keys_are_quoted_where_nothing_else_is() {
    for key in ["file", "on-full", "rotate-size", "rotate-age", "retain", "key"] {
        let said = bad(&format!("{key} = = \"CANARY\"")).to_string();
        assert!(said.contains(&format!("{key} = = \"******\"")), "{said}");
    }
}

// --- check ------------------------------------------------------------------------------------------------------

/// A folder with a configuration whose credential resolves, and `[audit]` with these lines; `DIR` is the folder.
fn check(audit: &str, key: &str, format: Format) -> Report {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    for (name, text) in [("id", "an-id"), ("audit.key", key)] {
        std::fs::write(path(name), text).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(path(name), mode).unwrap();
    }
    let credential =
        format!("access-key = {{ file = \"{0}\" }}\nsecret-key = {{ file = \"{0}\" }}", path("id"));
    let text = file(&audit.replace("DIR", &folder.path().display().to_string()));
    let text = text.replace("aws-profile = \"lab\"", &credential);
    std::fs::write(path("gateway.toml"), text).unwrap();
    let Report { good, out, err } = examine(Path::new(&path("gateway.toml")), format, Style::Plain);
    let plain = |text: String| text.replace(&folder.path().display().to_string(), "DIR");
    Report { good, out: plain(out), err: plain(err) }
}

const KEY: &str = "CANARY-0123456789abcdef";

#[test]
fn check_says_where_calls_will_be_recorded() {
    for (audit, expected) in [
        ("", "record\n  standard output, on-full refuse\n"),
        (
            "file = \"DIR/audit.jsonl\"",
            "record\n  DIR/audit.jsonl: segments of 256MiB or 24h, kept for good, on-full refuse\n",
        ),
        (
            "file = \"DIR/audit.jsonl\"\non-full = \"drop-reads\"\nrotate-size = 1048577\nrotate-age = \"61s\"\n\
             retain = \"90d\"\nkey = { file = \"DIR/audit.key\" }",
            "record\n  DIR/audit.jsonl: segments of 1048577 bytes or 61s, kept 90d, on-full drop-reads, key resolved \
             (file)\n",
        ),
        (
            "key = { file = \"DIR/audit.key\" }",
            "record\n  standard output, on-full refuse, key resolved (file)\n",
        ),
    ] {
        let report = check(audit, KEY, Format::Text);
        assert!(report.good && report.err.is_empty(), "{report:?}");
        assert!(
            report.out.starts_with("DIR/gateway.toml: valid\n") && report.out.ends_with(expected),
            "{report:?}"
        );
        assert!(!report.out.contains("CANARY"));
    }
}

#[test]
fn check_says_what_would_keep_the_record_from_being_begun() {
    let keyed = "key = { file = \"DIR/audit.key\" }";
    for (audit, key, expected) in [
        ("file = \"DIR\"", KEY, "error: `audit.file`: `DIR` is a folder; name a file in it\n"),
        (
            "file = \"DIR/none/audit.jsonl\"",
            KEY,
            "error: `audit.file`: there is no folder `DIR/none`; create it, for the user countersign runs as\n",
        ),
        (
            "file = \"DIR/id/audit.jsonl\"",
            KEY,
            "error: `audit.file`: there is no folder `DIR/id`; create it, for the user countersign runs as\n",
        ),
        (
            keyed,
            "CANARY",
            "error: `audit.key`, from file: the key is shorter than 16 bytes; `openssl rand -hex 32` makes a good one\n",
        ),
        (keyed, "", "error: `audit.key`, from file: the value is empty; put the key there\n"),
    ] {
        let report = check(audit, key, Format::Text);
        assert!(!report.good, "{report:?}");
        assert_eq!(report.err, expected);
        assert!(
            report.out.starts_with("DIR/gateway.toml: valid, but calls cannot be recorded\n"),
            "{report:?}"
        );
        assert_eq!(report.out.contains("key NOT RESOLVED (file)"), audit == keyed, "{report:?}");
        let json: serde_json::Value = serde_json::from_str(&check(audit, key, Format::Json).out).unwrap();
        assert_eq!(json["ok"], false);
        let message = json["problems"][0]["message"].as_str().unwrap();
        assert_eq!(format!("error: {message}\n"), expected);
    }
}

#[test]
fn check_tells_programs_of_the_record_too() {
    let json = |audit: &str| -> serde_json::Value {
        let report = check(audit, KEY, Format::Json);
        assert!(report.good, "{report:?}");
        serde_json::from_str(&report.out).unwrap()
    };
    let expected = serde_json::json!({
        "file": null, "on-full": "refuse", "rotate-size": null, "rotate-age": null, "retain": null, "key": null,
    });
    assert_eq!(json("")["record"], expected);
    let all =
        "file = \"DIR/a\"\non-full = \"drop-reads\"\nretain = \"90d\"\nkey = { file = \"DIR/audit.key\" }";
    let expected = serde_json::json!({
        "file": "DIR/a", "on-full": "drop-reads", "rotate-size": 268_435_456, "rotate-age": 86_400,
        "retain": 7_776_000, "key": { "source": "file", "resolved": true },
    });
    assert_eq!(json(all)["record"], expected);
}

#[test]
fn check_warns_of_keys_that_others_may_see() {
    let open = "key = { file = \"DIR/audit.key\", allow-open-mode = true }";
    let report = check(open, KEY, Format::Text);
    assert_eq!(report.err, "warning: `audit.key` may lie in a file that others on this machine can read\n");
    let report = check("key = { env = \"COUNTERSIGN_NO_SUCH_VARIABLE\" }", KEY, Format::Text);
    let warning =
        "warning: `audit.key` comes from the environment, which other processes of the same user can read\n";
    assert!(!report.good && report.err.ends_with(warning), "{report:?}");
}

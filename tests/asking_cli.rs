//! `countersign audit` and `countersign usage` as their users meet them: the real program over a made record.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/naive_record.rs"]
mod naive;
#[path = "support/program.rs"]
mod program;
#[path = "support/record.rs"]
mod record;

use std::io::{BufRead, BufReader, Read};
use std::process::Child;
use std::time::{Duration, Instant};

use naive::{Conditions, calls, usage};
use program::{Place, finish};
use record::{Maker, Recipe};
use serde_json::Value;

fn made(hostile: bool) -> (Place, String, Maker) {
    let place = Place::new();
    let log = place.path("audit.jsonl");
    let mut maker = Maker::new(&log, Recipe { hostile, ..Recipe::default() });
    maker.calls(400);
    maker.rotate();
    maker.calls(100);
    (place, log, maker)
}

/// Ends a command that would go on for ever.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_query_finds_calls_and_says_when_there_are_none() {
    let (place, log, maker) = made(false);
    let naive = |conditions: &Conditions| -> Vec<String> {
        let mut found: Vec<_> =
            calls(&maker.lines).into_iter().filter(|call| conditions.hold(call)).collect();
        found.sort_by_key(|call| call.time);
        found.into_iter().map(|call| call.line).collect()
    };
    let ask = |more: &[&str]| place.run(&[&["audit", "query", "--from", &log], more].concat());
    let all = ask(&[]).with(0);
    assert_eq!(all.out.lines().collect::<Vec<_>>(), naive(&Conditions::default()));
    assert_eq!(all.err, "");

    let failed = Conditions {
        clients: vec!["backup-job".into(), "ops".into()],
        operations: vec!["s3:*object".into()],
        statuses: vec!["4xx".into(), "500-599".into()],
        ..Conditions::default()
    };
    let wanted = naive(&failed);
    assert!(!wanted.is_empty());
    let found = ask(&[
        "--client",
        "backup-job",
        "--client",
        "ops",
        "--operation",
        "s3:*object",
        "--status",
        "4xx",
        "--status",
        "500-599",
    ]);
    assert_eq!(found.with(0).out.lines().collect::<Vec<_>>(), wanted);

    let one: Value = serde_json::from_str(&maker.lines[7]).unwrap();
    let id = one["requestID"].as_str().unwrap();
    let table = ask(&["--request-id", id, "--format", "table"]).with(0);
    assert_eq!(table.out.lines().count(), 2, "{table:?}");
    assert!(table.out.starts_with("TIME ") && table.out.contains(&one["eventTime"].as_str().unwrap()[..23]));
    let csv = ask(&["--request-id", id, "--format", "csv"]).with(0);
    assert!(csv.out.starts_with("time,request_id,") && csv.out.contains(id), "{csv:?}");

    let none = ask(&["--client", "nobody"]).with(4);
    assert_eq!((none.out.as_str(), none.err.as_str()), ("", ""));
    ask(&["--since", "2027-06-01"]).with(4);
    assert_eq!(
        ask(&["--limit", "3"]).with(0).out.lines().collect::<Vec<_>>(),
        all.out.lines().collect::<Vec<_>>()[all.out.lines().count() - 3..]
    );
    assert_eq!(ask(&["--limit", "0"]).with(0).out, all.out);
}

#[test]
fn mistakes_are_said_with_a_remedy() {
    let (place, log, _maker) = made(false);
    let missing = place.path("missing.jsonl");
    let bad = |arguments: &[&str]| place.run(arguments).with(2);
    assert!(bad(&["audit", "query", "--from", &missing]).err.contains("audit.file"));
    assert!(bad(&["usage", "--from", &missing]).err.contains("does not exist"));
    for (option, value, word) in [
        ("--since", "yesterday", "2026-11-01"),
        ("--status", "6xx", "4xx"),
        ("--source", "somewhere", "10.0.0.0/8"),
        ("--operation", "", "name"),
        ("--limit", "many", "--limit"),
    ] {
        let said = bad(&["audit", "query", "--from", &log, option, value]);
        assert!(said.err.contains(word) && said.out.is_empty(), "{option}: {said:?}");
    }
    assert!(bad(&["usage", "--from", &log, "--period", "year"]).err.contains("month"));
    assert!(
        bad(&["usage", "--from", &log, "--period", "2026-12-01..2026-11-01"])
            .err
            .contains("before it begins")
    );
    let both = ["usage", "--from", &log, "--period", "2026-10-01..2026-11-01", "--since", "2h"];
    assert!(bad(&both).err.contains("--since"));
    // The index cannot be where the record is; it can be elsewhere.
    let precious =
        place.write("precious", "my diary, which is long enough to have a byte at sixty-eight, and one more");
    let said = place.run(&["audit", "query", "--from", &log, "--index", &precious]).with(1);
    assert!(said.err.contains("--index") && said.err.contains("left alone"), "{said:?}");
    place.run(&["audit", "query", "--from", &log, "--index", &place.path("elsewhere")]).with(0);
    assert!(std::path::Path::new(&place.path("elsewhere")).exists());
    assert!(!std::path::Path::new(&place.path("audit.jsonl.index.sqlite")).exists());
}

/// A record of two segments with one call that never ended, made with `key`; its configuration is `countersign.toml`.
fn configured(key: Option<&'static str>) -> (Place, String, Maker) {
    let place = Place::new();
    let log = place.path("audit.jsonl");
    let mut maker = Maker::new(&log, Recipe { key, ..Recipe::default() });
    maker.calls(200);
    maker.rotate();
    maker.calls(30);
    maker.settle();
    let key =
        key.map(|key| format!("key = {{ file = \"{}\" }}\n", place.write("audit.key", &format!("{key}\n"))));
    let rest = format!(
        "[server]\nlisten = [\"unix:{}\"]\n[audit]\nfile = \"{log}\"\n{}\
         [routes.ceph]\nupstream = \"https://ceph.example\"\nmatch = {{ path = \"/\" }}\n\
         sign.s3-v4 = {{ region = \"r\", credential = \"key\" }}\n",
        place.path("socket"),
        key.unwrap_or_default()
    );
    place.configuration("AKIDEXAMPLE", "secret", &rest);
    (place, log, maker)
}

#[test]
fn the_record_is_found_by_the_configuration_or_comes_in_on_standard_input() {
    let (place, log, maker) = configured(None);
    let config = place.path("countersign.toml");
    place.run(&["check", "--config", &config]).with(0);
    let commands = [
        &["audit", "query", "--format", "csv"][..],
        &["audit", "tail", "-n", "50"],
        &["audit", "export", "--as", "ecs"],
        &["audit", "verify"],
        &["usage", "--by", "route", "--format", "csv"],
        &["policy", "suggest"],
    ];
    let captured: String = maker.lines.iter().map(|line| format!("{line}\n")).collect();
    let captured = place.write("captured.jsonl", &captured);
    for command in commands {
        let named = place.run(&[command, &["--from", &log]].concat()).with(0);
        assert!(named.out.lines().count() > 3, "{command:?}");
        let by_option = place.run(&[command, &["--config", &config]].concat()).with(0);
        assert_eq!(by_option.out, named.out, "{command:?}");
        let mut by_environment = place.command(command);
        by_environment.env("COUNTERSIGN_CONFIG", &config);
        assert_eq!(finish(by_environment.spawn().unwrap()).with(0).out, named.out, "{command:?}");
        // A file that is named goes before what the environment says.
        let mut both = place.command(&[command, &["--from", &log]].concat());
        both.env("COUNTERSIGN_CONFIG", "/nonexistent");
        assert_eq!(finish(both.spawn().unwrap()).with(0).out, named.out, "{command:?}");
        let said = place.run(command).with(2);
        assert!(said.err.contains("--from") && said.err.contains("--config"), "{said:?}");

        if command[1] == "verify" {
            continue;
        }
        let file = place.run(&[command, &["--from", &captured]].concat()).with(0);
        let mut piped = place.command(&[command, &["--from", "-"]].concat());
        piped.stdin(std::fs::File::open(&captured).unwrap());
        let piped = finish(piped.spawn().unwrap()).with(0);
        assert_eq!((piped.out, piped.err), (file.out, String::new()), "{command:?}");
    }
    let left: Vec<_> =
        std::fs::read_dir(std::env::temp_dir()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with("countersign-spool-")), "{left:?}");
    for command in [&["audit", "reindex", "--from", "-"][..], &["audit", "tail", "-f", "--from", "-"]] {
        assert!(place.run(command).with(2).err.contains("name a file"));
    }
    // A configuration without `audit.file`, and one that is none.
    let text = std::fs::read_to_string(&config).unwrap();
    let bare = place.write("bare.toml", &text.replace(&format!("file = \"{log}\"\n"), ""));
    assert!(place.run(&["audit", "query", "--config", &bare]).with(2).err.contains("standard output"));
    let broken = place.write("broken.toml", &format!("{text}\n[audit.nonsense]\n"));
    assert!(place.run(&["usage", "--config", &broken]).with(2).err.contains("unknown key"));
}

#[test]
fn a_record_is_proved_or_what_is_wrong_is_said() {
    let (place, log, mut maker) = configured(None);
    let verify = |more: &[&str]| place.run(&[&["audit", "verify", "--from", &log], more].concat());
    let proved = verify(&[]).with(0);
    assert_eq!(proved.err, "");
    let count = |kind: &str| {
        let kind = format!("\"record\":\"{kind}\",\"route\"");
        maker.lines.iter().filter(|line| line.contains(&kind)).count()
    };
    let (intents, outcomes) = (count("intent"), count("outcome"));
    let times: Vec<String> =
        calls(&maker.lines).iter().map(|call| call.value["eventTime"].as_str().unwrap().to_owned()).collect();
    let (first, last) = (times.iter().min().unwrap(), times.iter().max().unwrap());
    for line in [
        "proved".to_owned(),
        "segments  2, 1 of them sealed, 0 with a key".to_owned(),
        format!("lines     {}: {intents} intents, {outcomes} outcomes", maker.seq),
        format!("calls     from {first} to {last}"),
        format!("head      {}", maker.head()),
    ] {
        assert!(proved.out.lines().any(|found| found == line), "{line}\n{}", proved.out);
    }
    assert!(!proved.out.contains("in doubt") && !proved.out.contains("problems"));
    let noted = maker.head();
    verify(&["--head", &noted]).with(0);

    // Calls in doubt are told, and take nothing from the proof; this one's clock was set back.
    maker.now = record::BEGIN - 86_400_000_000;
    let crashed = maker.crash();
    let doubtful = verify(&["--head", &noted]).with(0);
    assert!(doubtful.err.contains("one call is in doubt") && doubtful.out.contains(&crashed), "{doubtful:?}");
    let tree: Value = serde_json::from_str(&verify(&["--format", "json"]).with(0).out).unwrap();
    assert_eq!((&tree["proved"], &tree["problem-count"]), (&true.into(), &0.into()));
    assert_eq!((&tree["lines"], &tree["head"]), (&maker.seq.into(), &maker.head().into()));
    assert_eq!((&tree["intents"], &tree["outcomes"]), (&(intents + 1).into(), &outcomes.into()));
    let doubt = &tree["in-doubt"][0];
    let intent: Value = serde_json::from_str(maker.lines.last().unwrap()).unwrap();
    assert_eq!((&tree["first-call"], &tree["last-call"]), (&intent["eventTime"], &last.as_str().into()));
    assert_eq!((&tree["in-doubt-count"], &doubt["request-id"]), (&1.into(), &crashed.into()));
    assert_eq!((&doubt["time"], &doubt["name"]), (&intent["eventTime"], &intent["eventName"]));
    assert_eq!((&doubt["seq"], &doubt["file"]), (&intent["seq"], &log.as_str().into()));
    assert_eq!(tree["segments"][0]["sealed"], true);
    assert_eq!(tree["segments"].as_array().unwrap().len(), 2);

    // What is wrong is said with its place.
    let whole = std::fs::read_to_string(&log).unwrap();
    let altered = whole.replacen("\"readOnly\":true", "\"readOnly\":tru3", 1).replace("tru3", "null");
    assert_ne!(altered, whole);
    let line = 1 + whole.lines().zip(altered.lines()).position(|(one, other)| one != other).unwrap();
    std::fs::write(&log, &altered).unwrap();
    let said = verify(&[]).with(4);
    assert!(said.out.starts_with("NOT WHAT WAS WRITTEN\n"), "{said:?}");
    assert!(said.out.contains(&format!("{log}:{line} (seq ")), "{said:?}");
    let tree: Value = serde_json::from_str(&verify(&["--format", "json"]).with(4).out).unwrap();
    assert_eq!(tree["proved"], false);
    assert_eq!(
        (&tree["problems"][0]["line"], &tree["problems"][0]["file"]),
        (&line.into(), &log.as_str().into())
    );

    // A missing end shows against a head that was noted, and a head that never was.
    let cut: String = whole.lines().take(10).map(|line| format!("{line}\n")).collect();
    std::fs::write(&log, cut).unwrap();
    verify(&[]).with(0);
    assert!(verify(&["--head", &noted]).with(4).out.contains("ends before its head"));
    std::fs::write(&log, &whole).unwrap();
    let other = format!("{}:{}", maker.seq - 3, "0".repeat(64));
    assert!(verify(&["--head", &other]).with(4).out.contains("rewritten"));
    assert!(verify(&["--head", "7"]).with(2).err.contains("colon"));
    assert!(
        place.run(&["audit", "verify", "--from", &place.path("none")]).with(2).err.contains("does not exist")
    );
}

#[test]
fn segments_that_were_moved_are_proved_with_the_others_or_alone() {
    let (place, log, mut maker) = configured(None);
    maker.rotate();
    maker.calls(5);
    std::fs::create_dir(place.path("away")).unwrap();
    let sealed = format!("{log}.00000001.zst");
    let away = place.path("away/old");
    std::fs::rename(&sealed, &away).unwrap();
    let missing = place.run(&["audit", "verify", "--from", &log]).with(4);
    assert!(missing.out.contains("segments are missing"), "{missing:?}");
    place.run(&["audit", "verify", "--from", &log, &away]).with(0);
    // In any order, without the environment's record; the one before is proved for itself.
    let mut alone = place.command(&["audit", "verify", &log, &away]);
    alone.env("COUNTERSIGN_CONFIG", "/nonexistent");
    assert!(finish(alone.spawn().unwrap()).with(4).out.contains("segments are missing"));
    let mut alone = place.command(&["audit", "verify", &log, &format!("{log}.00000002.zst"), &away]);
    alone.env("COUNTERSIGN_CONFIG", "/nonexistent");
    assert!(finish(alone.spawn().unwrap()).with(0).out.contains("segments  3, 2 of them sealed"));
    assert!(place.run(&["audit", "verify", &away]).with(0).out.contains("segments  1, 1 of them sealed"));
    let mistyped = place.run(&["audit", "verify", "--from", &log, &place.path("away/older")]).with(2);
    assert!(mistyped.err.contains("no such file"));
    // A rotator's names, with a date of eight digits.
    std::fs::rename(&away, format!("{log}-20261122")).unwrap();
    place.run(&["audit", "verify", "--from", &log]).with(0);
    std::fs::rename(format!("{log}-20261122"), format!("{log}.20261122")).unwrap();
    place.run(&["audit", "verify", "--from", &log]).with(0);
    let ended = place.run(&["audit", "query", "--from", &log, "--format", "csv"]).with(0);
    assert!(ended.out.lines().count() > 200);
}

#[test]
fn a_key_proves_who_wrote_the_record() {
    let key = "0123456789abcdef0123456789abcdef";
    let (place, log, _maker) = configured(Some(key));
    let (config, file) = (place.path("countersign.toml"), place.path("audit.key"));
    let verify = |more: &[&str]| place.run(&[&["audit", "verify"], more].concat());
    let proved = verify(&["--config", &config]).with(0);
    assert!(proved.out.contains("2 with a key"), "{proved:?}");
    let mut by_environment = place.command(&["audit", "verify"]);
    by_environment.env("COUNTERSIGN_CONFIG", &config);
    finish(by_environment.spawn().unwrap()).with(0);
    verify(&["--from", &log, "--key-file", &file]).with(0);
    verify(&["--from", &log, "--config", &config]).with(0);
    let without = verify(&["--from", &log]).with(4);
    assert!(without.out.contains("written with a key"), "{without:?}");
    let other = place.write("other.key", "another key, as long as it must be");
    verify(&["--config", &config, "--key-file", &other]).with(4);
    verify(&["--from", &log, "--key-file", &other, "--key-file", &file]).with(0);
    // A record without a key is not what the holder of the key wrote.
    let (plain, plain_log, _maker) = configured(None);
    let unkeyed = plain.run(&["audit", "verify", "--from", &plain_log, "--key-file", &file]).with(4);
    assert!(unkeyed.out.contains("not written with the key"), "{unkeyed:?}");
    let short = place.write("short.key", "short");
    for bad in [&short, &place.path("none.key")] {
        let said = verify(&["--from", &log, "--key-file", bad]).with(2);
        assert!(said.err.contains("--key-file") && said.out.is_empty(), "{said:?}");
    }
    std::fs::remove_file(&file).unwrap();
    assert!(verify(&["--config", &config]).with(2).err.contains("audit.key"));
}

/// The line of an outcome, as far as suggestions go by it.
fn passed(
    route: &str,
    client: &str,
    decision: &str,
    operation: &str,
    resource: &str,
    asks: &[&str],
) -> String {
    let identity = if client.is_empty() {
        serde_json::json!({ "type": "Anonymous" })
    } else {
        serde_json::json!({ "type": "Client", "userName": client })
    };
    let mut line = serde_json::json!({
        "eventTime": "2026-11-22T09:30:00Z", "requestID": format!("{route}{operation}{resource}"),
        "eventName": operation, "userIdentity": identity,
        "additionalEventData": { "record": "outcome", "route": route, "operation": operation },
        "seq": 0,
    });
    if !resource.is_empty() {
        line["resources"] = serde_json::json!([{ "name": resource }]);
    }
    if !decision.is_empty() {
        line["additionalEventData"]["decision"] = decision.into();
    }
    if !asks.is_empty() {
        line["additionalEventData"]["asks"] = asks.into();
    }
    format!("{line}\n")
}

#[test]
fn suggestions_go_by_route_and_client() {
    let place = Place::new();
    let log = [
        passed("store", "a", "allow", "s3:GetObject", "logs/2024/x", &[]),
        passed("store", "a", "learn", "s3:GetObject", "logs/2024/y", &["s3:GetObject logs/2024/y"]),
        passed("store", "b", "learn", "s3:PutObject", "x", &["s3:PutObject logs/in/1", "s3:GetObject tmp/*"]),
        passed("store", "b", "deny", "s3:DeleteObject", "logs/in/1", &[]),
        passed("other", "b", "learn", "listUsers", "", &[]),
        passed("open", "", "allow", "GET /v1/zones", "", &[]),
        passed("store", "a", "", "s3:GetObject", "x/y", &[]),
    ]
    .concat();
    // The beginning of it in a segment that was sealed.
    let (old, new) = log.split_at(log.match_indices('\n').nth(1).unwrap().0 + 1);
    std::fs::write(place.path("audit.jsonl.00000001.zst"), zstd::encode_all(old.as_bytes(), 3).unwrap())
        .unwrap();
    let file = place.write("audit.jsonl", new);
    let whole = place.run(&["policy", "suggest", "--from", &file]).with(0);
    assert_eq!(whole.err, "");
    let expected = "[routes.open]\nallow = [\n    \"GET /v1/zones\",\n]\n\n\
        [routes.other]\nallow = [\n    \"listUsers\",\n]\n\n\
        [routes.store]\nallow = [\n    \"s3:GetObject logs/2024/*\",\n    \"s3:GetObject tmp/*\",\n    \"s3:PutObject logs/in/1\",\n]\n\n\
        [clients.a]\nallow = [\n    \"s3:GetObject logs/2024/*\",\n]\n\n\
        [clients.b]\nallow = [\n    \"listUsers\",\n    \"s3:GetObject tmp/*\",\n    \"s3:PutObject logs/in/1\",\n]\n";
    assert_eq!(whole.out, expected);
    let parts: Vec<&str> = expected.split("\n\n").map(str::trim_end).collect();
    let some = |words: &[&str]| {
        let words = [&["policy", "suggest", "--from", &file], words].concat();
        place.run(&words).with(0).out.trim_end().to_owned()
    };
    assert_eq!(some(&["--route", "store"]), parts[2]);
    assert_eq!(some(&["--client", "b"]), parts[4]);
    assert_eq!(some(&["--route", "other", "--client", "a"]), format!("{}\n\n{}", parts[1], parts[3]));
    for nobody in [&["--route", "nowhere"][..], &["--client", "nobody"]] {
        let ended = place.run(&[&["policy", "suggest", "--from", &file], nobody].concat()).with(4);
        assert_eq!(ended.out, "");
    }
    let odd = passed("r", "", "learn", "list users", "", &[]);
    let file = place.write("odd.jsonl", &format!("{log}\nno record\n{odd}\u{1}\n"));
    let ended = place.run(&["policy", "suggest", "--from", &file]).with(0);
    assert!(
        ended.err.contains("left out: 3\n") && ended.err.contains("alone, left out: 1\n"),
        "{}",
        ended.err
    );
    assert_eq!(ended.out, expected);
    let empty = place.write("empty.jsonl", "");
    let ended = place.run(&["policy", "suggest", "--from", &empty]).with(4);
    assert!(ended.err.contains("no record of a call that passed"), "{}", ended.err);
    place.run(&["policy", "suggest", "--from", "/nonexistent"]).with(2);
    place.run(&["policy", "suggest"]).with(2);
}

#[test]
fn nothing_from_the_record_steers_a_terminal() {
    let (place, log, mut maker) = made(true);
    // A record that is not in the writer's ASCII: raw letters of every kind between the quotes.
    let line = maker.lines[3].replace("\"eventName\":\"", "\"eventName\":\"\u{9b}2J\u{202e}\u{7f}ü");
    maker.flush();
    let mut bytes = std::fs::read(&log).unwrap();
    bytes.extend(format!("{line}\n").into_bytes());
    std::fs::write(&log, bytes).unwrap();
    for command in [
        &["audit", "query"][..],
        &["audit", "query", "--format", "table"],
        &["audit", "query", "--format", "csv"],
        &["audit", "tail", "-n", "1000"],
        &["audit", "tail", "-n", "1000", "--format", "table"],
        &["audit", "tail", "-n", "1000", "--format", "csv"],
        &["audit", "export", "--as", "cloudtrail"],
        &["audit", "export", "--as", "ocsf"],
        &["audit", "export", "--as", "ecs"],
        &["audit", "export", "--as", "csv"],
        &["usage", "--by", "operation", "--format", "table"],
        &["usage", "--by", "operation", "--format", "json"],
        &["usage", "--by", "operation", "--format", "csv"],
    ] {
        let ended = place.run(&[command, &["--from", &log]].concat()).with(0);
        let csv = command.contains(&"csv");
        let steers = |letter: char| match letter {
            '\n' | ' '..='~' => false,
            '\r' => !csv,
            _ => !csv || letter.is_control() || letter == '\u{202e}' || letter == '\u{200b}',
        };
        let found = ended.out.chars().find(|letter| steers(*letter));
        assert_eq!(found, None, "{command:?}");
        assert!(ended.out.lines().count() > 3, "{command:?}");
    }
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let (place, log, _maker) = made(false);
    for command in [
        &["audit", "query"][..],
        &["audit", "query", "--format", "table"],
        &["audit", "query", "--format", "csv"],
        &["audit", "tail", "-n", "100000"],
        &["audit", "export", "--as", "ocsf"],
        &["audit", "export", "--as", "csv"],
        &["audit", "export", "--as", "parquet"],
    ] {
        let mut child = place.command(&[command, &["--from", &log]].concat()).spawn().unwrap();
        let mut byte = [0];
        let mut pipe = child.stdout.take().unwrap();
        let _ = pipe.read(&mut byte).unwrap();
        drop(pipe);
        let ended = finish(child).with(0);
        assert_eq!(ended.err, "", "{command:?}");
    }
}

#[test]
fn tail_shows_the_last_and_follows_through_rotation() {
    let (place, log, mut maker) = made(false);
    let outcomes = |lines: &[String]| -> Vec<String> {
        lines.iter().filter(|line| line.contains("\"record\":\"outcome\"")).cloned().collect()
    };
    let shown = place.run(&["audit", "tail", "--from", &log]).with(0);
    let all = outcomes(&maker.lines);
    assert_eq!(shown.out.lines().collect::<Vec<_>>(), all[all.len() - 10..]);

    let arguments = ["audit", "tail", "-f", "-n", "0", "--from", &log, "--route", "cloudstack"];
    let mut child = Running(place.command(&arguments).spawn().unwrap());
    let (send, lines) = std::sync::mpsc::channel();
    let pipe = child.0.stdout.take().unwrap();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                return;
            }
        }
    });
    // It has begun when it shows a call that is made after it was started.
    let routed = |line: &&String| line.contains("\"route\":\"cloudstack\"");
    let start = Instant::now();
    let first = loop {
        let from = maker.lines.len();
        maker.calls(20);
        if let Ok(line) = lines.recv_timeout(Duration::from_millis(500)) {
            let made = outcomes(&maker.lines[from..]);
            if made.iter().find(routed) == Some(&line) {
                while lines.recv_timeout(Duration::from_millis(600)).is_ok() {}
                break line;
            }
        }
        assert!(start.elapsed() < Duration::from_secs(15), "nothing was shown");
    };
    assert!(!first.is_empty());
    let from = maker.lines.len();
    for _ in 0..3 {
        maker.calls(30);
        maker.rotate();
        maker.calls(5);
        std::thread::sleep(Duration::from_millis(150));
    }
    let wanted: Vec<String> = outcomes(&maker.lines[from..]).iter().filter(routed).cloned().collect();
    assert!(wanted.len() > 5);
    let found: Vec<String> =
        wanted.iter().map_while(|_| lines.recv_timeout(Duration::from_secs(15)).ok()).collect();
    let ended = child.0.try_wait().unwrap();
    assert!(found == wanted, "{} found, {} wanted, ended: {ended:?}", found.len(), wanted.len());
}

#[test]
fn exports_go_to_a_private_file_or_not_at_all() {
    use std::os::unix::fs::PermissionsExt;
    let (place, log, _maker) = made(false);
    let file = place.path("out.json");
    place.run(&["audit", "export", "--from", &log, "--as", "cloudtrail", "-o", &file]).with(0);
    let tree: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert!(tree["Records"].as_array().unwrap().len() >= 480);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let nowhere = place.path("no/such/folder/out.json");
    let said = place.run(&["audit", "export", "--from", &log, "--as", "ecs", "-o", &nowhere]).with(1);
    assert!(said.err.contains("cannot write"), "{said:?}");
    assert!(!std::path::Path::new(&place.path("out.json.part")).exists());
}

#[test]
fn reindex_counts_its_lines_and_shows_no_bar_without_a_terminal() {
    let (place, log, maker) = made(false);
    let said = place.run(&["audit", "reindex", "--from", &log]).with(0);
    assert!(said.out.starts_with(&format!("{} lines indexed in ", maker.seq)), "{said:?}");
    assert_eq!(said.err, "");
}

#[test]
fn usage_is_a_recount_in_every_form() {
    let (place, log, mut maker) = made(false);
    maker.settle();
    let ask = |more: &[&str]| place.run(&[&["usage", "--from", &log], more].concat()).with(0).out;
    let day = countersign::ledger::usage::Period::Day;
    let wanted = usage(&calls(&maker.lines), &Conditions::default(), "bucket", day);

    let list: Value = serde_json::from_str(&ask(&["--by", "bucket", "--period", "day"])).unwrap();
    let list = list.as_array().unwrap();
    assert_eq!(list.len(), wanted.len());
    for (one, ((from, name), [all, errors, bytes_in, bytes_out, _])) in list.iter().zip(&wanted) {
        assert_eq!(one["timeRange"], serde_json::json!([from / 1000, from / 1000 + 86_399_999]));
        assert_eq!(one["bucketName"], *name);
        assert_eq!(one["incomingBytes"], *bytes_in);
        assert_eq!(one["outgoingBytes"], *bytes_out);
        assert_eq!((&one["calls"], &one["errors"]), (&(*all).into(), &(*errors).into()));
        let operations = one["operations"].as_object().unwrap();
        assert!(operations.keys().all(|name| name.starts_with("s3:")));
        assert_eq!(operations.values().map(|count| count.as_u64().unwrap()).sum::<u64>(), all - errors);
        assert!(one.get("storageUtilized").is_none() && one.get("numberOfObjects").is_none());
    }

    let csv = ask(&["--by", "bucket", "--period", "day", "--format", "csv"]);
    assert!(csv.starts_with(
        "from,until,by,name,calls,errors,incoming_bytes,outgoing_bytes,latency_mean_ms,latency_p50_ms,\
         latency_p99_ms,latency_max_ms\r\n"
    ));
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), wanted.len());
    for (row, ((from, name), [all, errors, bytes_in, bytes_out, _])) in rows.iter().zip(&wanted) {
        let from = record::time(*from).replace(".000000", "");
        let counts = [all, errors, bytes_in, bytes_out].map(u64::to_string);
        assert_eq!((&row[0], &row[2], &row[3]), (from.as_str(), "bucket", name.as_str()));
        assert_eq!([&row[4], &row[5], &row[6], &row[7]], counts.each_ref().map(String::as_str));
    }

    let table = ask(&["--by", "route", "--period", "2026-10-01..2026-11-01", "--format", "table"]);
    assert_eq!(table.lines().count(), 6, "{table}");
    assert!(
        table.lines().skip(1).all(|line| line.starts_with("2026-10-01T00:00:00Z  2026-11-01T00:00:00Z  "))
    );
}

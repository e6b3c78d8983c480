//! `docs/audit.md` is what the record is: its example is a record that holds, its program proves real segments and
//! catches what was altered, and its tables name every field and mark that is written.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use countersign::audit::event::{Event, Kind};
use countersign::audit::segments::Rotation;
use countersign::audit::writer::{Settings, Sink, start};
use countersign::ledger::{read, verify};
use countersign::secret::Secret;
use sha2::{Digest, Sha256};

fn text(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn page() -> String {
    text("docs/audit.md")
}

/// The only block of the page that is marked so.
fn block(language: &str) -> String {
    let page = page();
    let fence = format!("```{language}\n");
    let mut blocks = page.split(&fence).skip(1);
    let block = blocks.next().unwrap().split("```").next().unwrap().to_owned();
    assert!(blocks.next().is_none(), "more than one block of {language}");
    block
}

/// The sentence of the page, by nothing but its words: the hash before, then the line up to and including its number.
fn follows(line: &str, number: usize, before: &mut Vec<u8>) -> bool {
    let covered = &line[..line.rfind(",\"hash\":\"").unwrap()];
    let mut digest = Sha256::new();
    digest.update(&before);
    digest.update(covered);
    *before = digest.finalize().to_vec();
    let hash: String = before.iter().map(|byte| format!("{byte:02x}")).collect();
    covered.ends_with(&format!(",\"seq\":{number}")) && line == format!("{covered},\"hash\":\"{hash}\"}}")
}

#[test]
fn the_example_is_a_record_that_holds() {
    let example = block("json");
    let mut before = vec![0; 32];
    for (number, line) in example.lines().enumerate() {
        assert!(follows(line, number, &mut before), "{line}");
    }
    assert!(!follows(example.lines().next().unwrap(), 0, &mut before), "a line follows what it does not");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.jsonl");
    fs::write(&file, &example).unwrap();
    let report = verify(std::slice::from_ref(&file), &file, &[], None);
    assert!(report.holds() && report.notes.is_empty(), "{report:?}");
    assert_eq!((report.lines, report.outcomes, report.intents), (3, 1, 0));
    assert!(report.segments[0].sealed);
}

/// The example shows no field that lines do not have, in the order that they have.
#[test]
fn the_example_has_the_fields_of_a_line() {
    let example = block("json");
    let line = example.lines().nth(1).unwrap();
    let (top, ours) = fields();
    let mut last = 0;
    for name in top.iter().chain(&ours) {
        if let Some(at) = line.find(&format!("\"{name}\":")) {
            assert!(at > last, "{name} stands elsewhere in a line");
            last = at;
        }
    }
    let value: serde_json::Value = serde_json::from_str(line).unwrap();
    for (object, names) in [(&value, &top), (&value["additionalEventData"], &ours)] {
        for name in object.as_object().unwrap().keys() {
            assert!(names.contains(name) || ["seq", "hash"].contains(&name.as_str()), "{name} is no field");
        }
    }
}

/// A record of three segments at `file`, of which at least the first gets compressed.
fn record(file: &Path, key: Option<&str>) {
    for run in 0..3 {
        let settings = Settings {
            sink: Sink::File(file.to_owned()),
            key: key.map(Secret::from),
            rotation: Rotation { size: 1 << 30, age: Duration::from_secs(3600) },
            retain: None,
        };
        let (recorder, writer) = start(settings).unwrap();
        for call in 0..5 {
            let id = format!("call {run} {call} \"\u{202e}\n");
            recorder.outcome(&Event { kind: Kind::Outcome, request_id: &id, ..Event::default() });
        }
        writer.stop(Duration::from_secs(10)).unwrap();
    }
    let patience = Instant::now() + Duration::from_secs(10);
    while !read::files(file).unwrap()[0].ends_with("audit.jsonl.00000001.zst") {
        assert!(Instant::now() < patience, "the first segment was never compressed");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The lines of each segment. One may be compressed and removed after it was listed.
fn segments(file: &Path) -> Vec<Vec<u8>> {
    let contents = |path: &PathBuf| {
        let file = fs::File::open(path)?;
        let compressed = path.extension().is_some_and(|extension| extension == "zst");
        if compressed {
            zstd::decode_all(file)
        } else {
            std::io::read_to_string(file).map(String::into_bytes)
        }
    };
    (0..10)
        .find_map(|_| read::files(file).unwrap().iter().map(contents).collect::<Result<_, _>>().ok())
        .unwrap()
}

/// What the page's program says of these bytes; `None` where there is no Python.
fn program(lines: &[u8], key: Option<&str>) -> Option<(bool, String)> {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("chain.py");
    fs::write(&script, block("python")).unwrap();
    let mut command = Command::new("python3");
    command.arg(&script);
    if let Some(key) = key {
        let file = folder.path().join("audit.key");
        fs::write(&file, format!("{key}\n")).unwrap();
        command.arg(file);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        child => child.unwrap(),
    };
    // It does not read on once it has found something.
    let _ = child.stdin.take().unwrap().write_all(lines);
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8(said).unwrap()))
}

#[test]
fn the_program_proves_real_segments() {
    for key in [None, Some("a key that is longer than a block of the digest, which is sixty-four bytes long")]
    {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("audit.jsonl");
        record(&file, key);
        let segments = segments(&file);
        assert_eq!(segments.len(), 3);
        let all = segments.concat();
        let Some((holds, said)) = program(&all, key) else { return };
        assert!(holds, "{said}");
        let secret = key.map(Secret::from);
        let report =
            countersign::ledger::record(&file, &[], &secret.iter().collect::<Vec<_>>(), None).unwrap();
        assert!(report.holds(), "{report:?}");
        let head = report.head.unwrap();
        let hash: String = head.hash.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(said, format!("holds up to {}:{hash}\n", head.seq));
        assert!(program(&segments[1], key).unwrap().0, "a segment by itself");

        let lines: Vec<&[u8]> = all.split_inclusive(|byte| *byte == b'\n').collect();
        let mut altered = all.clone();
        let at = lines[..3].concat().len() + 20;
        altered[at] ^= 1;
        let without = [lines[..5].concat(), lines[6..].concat()].concat();
        let twice = [lines[..6].concat(), lines[5..].concat()].concat();
        for (changed, line) in [(altered, 4), (without, 6), (twice, 7)] {
            assert_eq!(program(&changed, key).unwrap(), (false, format!("line {line} does not hold\n")));
        }
        let other = if key.is_some() { None } else { Some("another") };
        assert_eq!(program(&all, other).unwrap(), (false, "line 1 does not hold\n".to_owned()));
    }
}

/// The names that the writer gives to fields, in their order: those of a line, and those of `additionalEventData`.
fn fields() -> (Vec<String>, Vec<String>) {
    let source = text("src/audit/event.rs");
    let of = |begin: &str| -> Vec<String> {
        let (_, body) = source.split_once(begin).unwrap();
        let (body, _) = body.split_once("\n    }\n").unwrap();
        // `line.KIND("name", …)`, of which a line of the source has one at its beginning.
        body.lines()
            .filter_map(|line| line.trim_start().strip_prefix("line.")?.split_once("(\""))
            .map(|(_, rest)| rest.split('"').next().unwrap().to_owned())
            .collect()
    };
    (of("    fn write(&self, line: &mut Object<'_>) {"), of("    fn write(&self, kind: Kind, "))
}

/// What stands between backticks in the first column of the tables under this head.
fn first_column(head: &str) -> BTreeSet<String> {
    let page = page();
    let table: Vec<&str> = page
        .lines()
        .skip_while(|line| *line != head)
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .collect();
    assert!(!table.is_empty(), "no table with the head {head}");
    let cells = table.iter().map(|row| row.split('|').nth(1).unwrap());
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

#[test]
fn the_tables_name_every_field() {
    let (top, ours) = fields();
    assert!(top.len() > 15 && ours.len() > 20, "{top:?} {ours:?}");
    let chain = ["seq", "hash"].map(str::to_owned);
    assert_eq!(first_column("| field | says |"), top.into_iter().chain(chain).collect());
    assert_eq!(first_column("| field of `additionalEventData` | says |"), ours.into_iter().collect());
}

#[test]
fn the_table_names_every_mark() {
    let source = text("src/audit/mark.rs");
    let (_, marks) = source.split_once("pub(super) enum Mark {").unwrap();
    let (marks, _) = marks.split_once("\n}\n").unwrap();
    let variants = marks.lines().filter_map(|line| line.strip_prefix("    "));
    let variants = variants.filter(|line| line.starts_with(|first: char| first.is_ascii_uppercase()));
    let names: BTreeSet<String> =
        variants.map(|line| line.split([' ', '{']).next().unwrap().to_lowercase()).collect();
    assert!(names.contains("gap") && names.len() >= 5, "{names:?}");
    assert_eq!(first_column("| `record` | is written | says |"), names);
    let (_, reasons) = source.split_once("pub(super) enum After {").unwrap();
    let (reasons, _) = reasons.split_once("\n}\n").unwrap();
    for reason in reasons.lines().filter_map(|line| line.trim().strip_suffix(',')) {
        assert!(page().contains(&format!("`{}`", reason.to_lowercase())), "the page does not name {reason}");
    }
}

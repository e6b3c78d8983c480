//! Every published vector, stage by stage: canonical request, string to sign, signature, final request; then through
//! the trait, with `verify` accepting what was signed and refusing it with one byte changed.
//!
//! Reads every `*.json` of the directory that `COUNTERSIGN_VECTORS` names (default `tests/vectors`), prints a count
//! per file, collects all failures before it fails, and never skips: an unknown scheme, an unreadable file, a count
//! that disagrees and an empty directory are failures.

#![allow(clippy::unwrap_used, clippy::expect_used, unreachable_pub)]

mod vector;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

fn directory() -> PathBuf {
    let named = std::env::var_os("COUNTERSIGN_VECTORS").unwrap_or_else(|| "tests/vectors".into());
    Path::new(env!("CARGO_MANIFEST_DIR")).join(named)
}

#[test]
fn every_vector_passes() {
    let outcome = vector::run(&directory());
    // Straight to the stream: the counts are shown whether or not the harness captures output.
    let mut out = std::io::stdout().lock();
    for line in &outcome.counts {
        writeln!(out, "{line}").expect("standard output is open");
    }
    drop(out);
    assert!(
        outcome.failures.is_empty(),
        "{} failures:\n{}",
        outcome.failures.len(),
        outcome.failures.join("\n")
    );
}

/// A scratch directory of one file, removed when dropped.
struct Sandbox(PathBuf);

impl Sandbox {
    fn new(name: &str, file: Option<&str>) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("vectors-{name}"));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        if let Some(text) = file {
            std::fs::write(path.join("case.json"), text).unwrap();
        }
        Self(path)
    }

    fn failures(&self) -> Vec<String> {
        vector::run(&self.0).failures
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn nothing_is_skipped_in_silence() {
    let file = |scheme: &str, count: u64, vectors: Value| {
        json!({"format": 1, "scheme": scheme, "count": count, "vectors": vectors}).to_string()
    };
    let one = json!([{"name": "n", "scheme": "zstack", "expected": {}}]);
    let cases = [
        ("empty", None, "no vector files"),
        ("broken", Some("{".to_owned()), "not readable as JSON"),
        ("shape", Some("{}".to_owned()), "no list of vectors"),
        ("format", Some(file("zstack", 1, one.clone()).replace("\"format\":1", "\"format\":2")), "format"),
        ("count", Some(file("zstack", 2, one.clone())), "count says 2, the file holds 1"),
        ("none", Some(file("zstack", 0, json!([]))), "holds no vectors"),
        ("unknown", Some(file("s5", 1, json!([{"name": "n", "scheme": "s5"}]))), "unknown scheme `s5`"),
        ("lacking", Some(file("zstack", 1, one)), "`clock_date_header` is not a text"),
    ];
    for (name, text, reason) in cases {
        let failures = Sandbox::new(name, text.as_deref()).failures();
        assert!(failures.iter().any(|line| line.contains(reason)), "{name}: {failures:?}");
    }
    let missing = vector::run(Path::new("/nonexistent/vectors")).failures;
    assert!(!missing.is_empty());
}

/// Spoils each expectation in turn: a runner that does not look at a field would not notice.
#[test]
fn every_expectation_is_looked_at() {
    for path in vector::files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")).unwrap() {
        let file: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let vectors = file["vectors"].as_array().unwrap();
        let cases = [vectors.first().unwrap(), vectors.last().unwrap()];
        for case in cases {
            for field in case["expected"].as_object().unwrap().keys() {
                let mut spoilt = case.clone();
                let expected = &mut spoilt["expected"][field];
                *expected = match &*expected {
                    Value::String(text) => json!(format!("{text}0")),
                    Value::Bool(yes) => json!(!yes),
                    Value::Number(number) => json!(number.as_u64().unwrap() + 1),
                    Value::Array(list) => json!(list.iter().skip(1).collect::<Vec<_>>()),
                    Value::Null => json!("0"),
                    Value::Object(_) => panic!("an expectation is plain: {field}"),
                };
                let text = json!({"format": 1, "count": 1, "vectors": [spoilt]}).to_string();
                let failures = Sandbox::new("spoilt", Some(&text)).failures();
                assert!(
                    !failures.is_empty(),
                    "{}: {}: {field} is not looked at",
                    path.display(),
                    case["name"]
                );
            }
        }
    }
}

//! The chain, once more: from its definition, by other means than the crate's two readings of it.

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::books::{Books, Way, calls};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Follows the chain through lines; fails where it breaks.
pub fn follow(text: &str, key: Option<&str>) -> Vec<Value> {
    let mut before = vec![0; 32];
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let value: Value = serde_json::from_str(line).unwrap();
        assert_eq!(value["seq"], index, "{line}");
        let covered = &line[..line.rfind(",\"hash\":").unwrap()];
        let message = [&before, covered.as_bytes()].concat();
        before = match key {
            None => Sha256::digest(&message).to_vec(),
            Some(key) => {
                let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
                mac.update(&message);
                mac.finalize().into_bytes().to_vec()
            }
        };
        assert_eq!(value["hash"], hex(&before), "{line}");
        found.push(value);
    }
    found
}

#[test]
fn lines_are_chained_as_defined() {
    let long = "a key that is longer than a block of the digest, which is sixty-four bytes long";
    for key in [None, Some("key"), Some(long)] {
        let books = Books::new();
        let (recorder, writer) = books.start(Way { key, ..Way::default() });
        calls(&recorder, "call", 20);
        writer.stop(crate::books::PATIENCE).unwrap();
        let text = std::fs::read_to_string(books.file()).unwrap();
        assert!(
            text.ends_with('\n') && text.bytes().all(|byte| byte == b'\n' || (0x20..0x7f).contains(&byte))
        );
        let lines = follow(&text, key);
        assert_eq!(lines.len(), 42);
        assert_eq!(lines[0]["segment"]["record"], "open");
        assert_eq!(lines[0]["segment"]["previousHash"], "0".repeat(64));
        assert_eq!(lines[41]["segment"]["record"], "seal");
        assert_eq!(lines[41]["segment"]["lines"], 41);
        for pair in lines[1..41].chunks(2) {
            assert_eq!(pair[0]["additionalEventData"]["record"], "intent");
            assert_eq!(pair[1]["additionalEventData"]["record"], "outcome");
            assert_eq!(pair[0]["requestID"], pair[1]["requestID"]);
            assert_ne!(pair[0]["eventID"], pair[1]["eventID"]);
            assert_eq!(pair[1]["userAgent"], "tests/1.0 \"quoted\" \u{202e}\u{1f600}\n");
        }
        books.proven(key.as_slice());
    }
}

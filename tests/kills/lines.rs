//! The record as anybody could read it: its files by their names, its lines as JSON, its calls by their ids. Shares no
//! code with the crate.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::ids;

/// What the record says of calls.
#[derive(Default)]
pub struct Lines {
    /// Every id in a line of an intent, the call's own in its resource or parameters among them.
    pub intents: HashSet<String>,
    /// The same of outcomes.
    pub outcomes: HashSet<String>,
    /// Calls with an intent and no outcome, by `requestID`.
    pub in_doubt: BTreeSet<String>,
    /// How many lines begin a life of a process in the midst of a segment.
    pub recovered: usize,
}

impl Lines {
    /// Reads the record of `audit.jsonl` in a folder.
    pub fn read(folder: &Path) -> Self {
        let mut texts = Vec::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let Some(rest) = name.strip_prefix("audit.jsonl") else { continue };
            let number = rest.trim_start_matches('.');
            let bytes = match number.strip_suffix(".zst") {
                // A segment that a kill caught on its way into its compressed file stands there twice.
                Some(plain) => {
                    texts.retain(|(known, _)| known != plain);
                    zstd::decode_all(fs::read(&path).unwrap().as_slice()).unwrap()
                }
                None if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                    if !number.is_empty() && folder.join(format!("{name}.zst")).exists() {
                        continue;
                    }
                    fs::read(&path).unwrap()
                }
                None => continue,
            };
            texts.push((number.trim_end_matches(".zst").to_owned(), bytes));
        }
        // The active file has no number, and is the last.
        texts.sort_by_key(|(number, _)| (number.is_empty(), number.clone()));
        let mut found = Self::default();
        for (_, text) in texts {
            let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            for line in text[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                found.line(line);
            }
        }
        found
    }

    fn line(&mut self, line: &[u8]) {
        let value: Value = serde_json::from_slice(line).unwrap();
        let call = || value["requestID"].as_str().unwrap().to_owned();
        match value["additionalEventData"]["record"].as_str() {
            Some("intent") => {
                self.intents.extend(ids(line));
                assert!(self.in_doubt.insert(call()), "two intents of one call");
            }
            Some("outcome") => {
                self.outcomes.extend(ids(line));
                self.in_doubt.remove(&call());
            }
            _ => self.recovered += usize::from(value["segment"]["record"] == "recovered"),
        }
    }
}

//! Marks: the lines of the record that tell of the record itself. They are chained like all others, and have one
//! field, `segment`, beside the chain's own.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::chain::{Chain, hex};
use super::line;

/// Why a segment begins where it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum After {
    /// There was no record before.
    Nothing,
    /// The segment before ended with its seal.
    Seal,
    /// The segment before could not be written any more. What it holds beyond this segment's `previousHash` is
    /// not known to be on the disk, and stands here again.
    Failure,
    /// The segment before was found without a seal and with an end that does not verify with the key in use: it was
    /// damaged, or written with another key. It was left as it is.
    Unverified,
}

/// One mark.
#[derive(Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "lowercase", rename_all_fields = "camelCase")]
pub(super) enum Mark {
    /// The first line of every segment.
    Open {
        /// Segments are counted from 1.
        number: u64,
        opened: String,
        previous_hash: String,
        #[serde(rename = "hash-algorithm")]
        algorithm: String,
        after: After,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        host: Option<String>,
    },
    /// The last line of a segment that is complete.
    Seal {
        number: u64,
        closed: String,
        /// Lines of the segment, from the open line to the one before this.
        lines: u64,
        #[serde(rename = "firstSeq")]
        first: u64,
    },
    /// The process was started and found the segment without a seal.
    Recovered {
        number: u64,
        started: String,
        /// Bytes of a last, incomplete line, which now stand in the file `….torn`.
        torn_bytes: u64,
    },
    /// Lines that could not be written, nor kept until they could.
    Gap {
        number: u64,
        noted: String,
        /// Outcomes of calls that are known to change nothing.
        reads: u64,
        /// Outcomes of others.
        writes: u64,
    },
    /// Segments whose time is over are deleted, all up to this number.
    Retired { number: u64, noted: String, through: u64 },
}

impl Mark {
    /// The line without its end.
    pub(super) fn body(&self) -> Vec<u8> {
        #[derive(Serialize)]
        struct Line<'a> {
            segment: &'a Mark,
        }
        line::body(&Line { segment: self })
    }

    /// The mark of a line, if it is one.
    pub(super) fn of(line: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Line {
            segment: Mark,
        }
        serde_json::from_slice::<Line>(line).ok().map(|line| line.segment)
    }

    /// The open line of a segment that goes on from `chain`.
    pub(super) fn open(number: u64, chain: &Chain, after: After, host: Option<&str>) -> Self {
        Self::Open {
            number,
            opened: now(),
            previous_hash: hex(&chain.previous_hash()),
            algorithm: chain.algorithm().name().to_owned(),
            after,
            host: host.map(str::to_owned),
        }
    }
}

/// The time as it stands in every line.
pub(super) fn now() -> String {
    format!("{:.6}", Timestamp::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_look_as_documented() {
        let body = Mark::Seal { number: 7, closed: "1970".to_owned(), lines: 3, first: 5 }.body();
        let expected = r#"{"segment":{"record":"seal","number":7,"closed":"1970","lines":3,"firstSeq":5}"#;
        assert_eq!(String::from_utf8_lossy(&body), expected);
        let torn = Mark::Recovered { number: 7, started: "1970".to_owned(), torn_bytes: 17 }.body();
        assert!(String::from_utf8_lossy(&torn).contains(r#""tornBytes":17"#));
    }
}

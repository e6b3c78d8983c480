//! Makes records as the gateway writes them, from a seed: calls of four APIs, intents before what changes something,
//! the real chain, segments that are sealed and compressed. Writes its JSON by hand and shares nothing with the
//! crate.

#![allow(dead_code, unreachable_pub, missing_docs)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::cast_possible_truncation
)]

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// Numbers that look random and are the same for the same seed (`SplitMix64`).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.roll() % end
    }

    pub fn of<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// The first more often than the last.
    pub fn mostly<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        let (one, other) = (self.below(choices.len() as u64), self.below(choices.len() as u64));
        choices[one.min(other) as usize]
    }
}

/// How a record is made.
#[derive(Clone)]
pub struct Recipe {
    pub seed: u64,
    /// Bytes after which a segment is sealed.
    pub segment: u64,
    /// The average time between calls.
    pub gap_us: u64,
    /// Whether sealed segments are compressed, in frames of about this size.
    pub frame: Option<usize>,
    /// Whether texts of callers try to break what reads them.
    pub hostile: bool,
    /// Whether lines are kept in memory.
    pub keep: bool,
    /// What the chain is made with.
    pub key: Option<&'static str>,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            seed: 1,
            segment: 1 << 20,
            gap_us: 60_000_000,
            frame: Some(64 << 10),
            hostile: false,
            keep: true,
            key: None,
        }
    }
}

pub const CLIENTS: [&str; 8] =
    ["backup-job", "billing-cron", "ops", "agent", "partner", "ci", "dashboard", "rare-visitor"];

const CLOUDSTACK: [(&str, bool); 9] = [
    ("listVirtualMachines", true),
    ("queryAsyncJobResult", true),
    ("listUsers", true),
    ("listZones", true),
    ("deployVirtualMachine", false),
    ("startVirtualMachine", false),
    ("stopVirtualMachine", false),
    ("destroyVirtualMachine", false),
    ("registerTemplate", false),
];
const S3: [(&str, bool); 8] = [
    ("GetObject", true),
    ("PutObject", false),
    ("HeadObject", true),
    ("ListObjectsV2", true),
    ("DeleteObject", false),
    ("UploadPart", false),
    ("DeleteObjects", false),
    ("ListBuckets", true),
];
const ZSTACK: [(&str, bool); 4] = [
    ("GET /v1/vm-instances", true),
    ("GET /v1/vm-instances/{uuid}", true),
    ("stopVmInstance", false),
    ("POST /v1/volumes", false),
];
pub const HOSTILE_TEXTS: [&str; 10] = [
    "=HYPERLINK(\"http://evil\")",
    "\u{1b}[31m\u{1b}]0;x\u{7}",
    "a\r\nb",
    "\u{202e}gnp.exe",
    "\u{0}nul",
    "quote\"back\\slash",
    "\u{2028}\u{feff}\u{200b}",
    "'; DROP TABLE call; --",
    "%_*?[",
    "\u{1f600}\u{10ffff}\u{d7ff}",
];

/// Writes a record.
pub struct Maker {
    pub log: PathBuf,
    recipe: Recipe,
    dice: Dice,
    out: BufWriter<File>,
    hash: [u8; 32],
    pub seq: u64,
    number: u64,
    begun: u64,
    first: u64,
    in_segment: u64,
    /// Microseconds since 1970.
    pub now: i64,
    /// Every line of a call, when the recipe keeps them.
    pub lines: Vec<String>,
    pub bytes: u64,
    /// Outcomes that are held back, so that calls overlap.
    waiting: Vec<String>,
    line: String,
}

/// 2026-10-01T00:00:00Z.
pub const BEGIN: i64 = 1_790_812_800_000_000;

impl Maker {
    pub fn new(log: impl Into<PathBuf>, recipe: Recipe) -> Self {
        let log = log.into();
        let out = BufWriter::with_capacity(1 << 20, File::create(&log).unwrap());
        let dice = Dice::new(recipe.seed);
        // Two records are not begun in the same moment.
        let now = BEGIN + recipe.seed.cast_signed();
        let mut new = Self {
            log,
            recipe,
            dice,
            out,
            hash: [0; 32],
            seq: 0,
            number: 1,
            begun: 0,
            first: 0,
            in_segment: 0,
            now,
            lines: Vec::new(),
            bytes: 0,
            waiting: Vec::new(),
            line: String::new(),
        };
        new.open("nothing");
        new
    }

    /// Makes so many calls, and their lines durable enough to be read.
    pub fn calls(&mut self, count: u64) {
        for _ in 0..count {
            self.call();
        }
        self.flush();
    }

    pub fn flush(&mut self) {
        self.out.flush().unwrap();
    }

    /// Writes the outcomes that were held back.
    pub fn settle(&mut self) {
        for line in std::mem::take(&mut self.waiting) {
            self.write(&line);
        }
        self.flush();
    }

    fn open(&mut self, after: &str) {
        (self.begun, self.first, self.in_segment) = (self.bytes, self.seq, 0);
        let (number, hash) = (self.number, hex(&self.hash));
        let algorithm = if self.recipe.key.is_some() { "hmac-sha256" } else { "sha256" };
        self.chained(&format!(
            "{{\"segment\":{{\"record\":\"open\",\"number\":{number},\"opened\":\"{}\",\"previousHash\":\"{hash}\",\
             \"hash-algorithm\":\"{algorithm}\",\"after\":\"{after}\"}}",
            time(self.now)
        ));
    }

    /// Seals the segment and begins the next, as the gateway does when one is large enough.
    pub fn rotate(&mut self) -> PathBuf {
        let (number, lines, first) = (self.number, self.in_segment, self.first);
        self.chained(&format!(
            "{{\"segment\":{{\"record\":\"seal\",\"number\":{number},\"closed\":\"{}\",\"lines\":{lines},\
             \"firstSeq\":{first}}}",
            time(self.now)
        ));
        self.flush();
        let plain = PathBuf::from(format!("{}.{number:08}", self.log.display()));
        std::fs::rename(&self.log, &plain).unwrap();
        self.number += 1;
        self.out = BufWriter::with_capacity(1 << 20, File::create(&self.log).unwrap());
        self.open("seal");
        match self.recipe.frame {
            Some(frame) => compress(&plain, frame),
            None => plain,
        }
    }

    /// The disk fails: what was written since `before` stays where it is, without a seal, and stands again in a new
    /// segment, as when the gateway goes on after a failed sync.
    pub fn fail(&mut self, before: &State) -> PathBuf {
        self.flush();
        let plain = PathBuf::from(format!("{}.{:08}", self.log.display(), self.number));
        std::fs::rename(&self.log, &plain).unwrap();
        let again: Vec<String> = self.lines[before.lines..]
            .iter()
            .map(|line| line[..line.rfind(",\"seq\":").unwrap()].to_owned())
            .collect();
        (self.hash, self.seq) = (before.hash, before.seq);
        self.lines.truncate(before.lines);
        self.number += 1;
        self.out = BufWriter::with_capacity(1 << 20, File::create(&self.log).unwrap());
        self.open("failure");
        for text in again {
            self.write(&text);
        }
        self.flush();
        plain
    }

    /// The last line, as `SEQ:HASH`.
    pub fn head(&self) -> String {
        format!("{}:{}", self.seq - 1, hex(&self.hash))
    }

    /// Where the record stands.
    pub fn state(&self) -> State {
        State { hash: self.hash, seq: self.seq, lines: self.lines.len() }
    }

    fn chained(&mut self, text: &str) {
        let line = &mut self.line;
        line.clear();
        write!(line, "{text},\"seq\":{}", self.seq).unwrap();
        self.hash = if let Some(key) = self.recipe.key {
            let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
            mac.update(&self.hash);
            mac.update(line.as_bytes());
            mac.finalize().into_bytes().into()
        } else {
            let mut hasher = Sha256::new();
            hasher.update(self.hash);
            hasher.update(line.as_bytes());
            hasher.finalize().into()
        };
        writeln!(line, ",\"hash\":\"{}\"}}", hex(&self.hash)).unwrap();
        self.out.write_all(line.as_bytes()).unwrap();
        self.bytes += line.len() as u64;
        self.seq += 1;
        self.in_segment += 1;
    }

    fn write(&mut self, text: &str) {
        if self.bytes - self.begun > self.recipe.segment {
            self.rotate();
        }
        self.chained(text);
        if self.recipe.keep {
            self.lines.push(self.line.trim_end().to_owned());
        }
    }

    /// One call: its intent where it changes something, and its outcome, mostly at once.
    pub fn call(&mut self) {
        self.now += self.dice.below(2 * self.recipe.gap_us).cast_signed();
        let (arrived, mutating, text) = self.shape();
        let request = uuid(arrived, &mut self.dice);
        if mutating {
            let event = uuid(arrived, &mut self.dice);
            let intent = text("intent", &event, &request);
            self.write(&intent);
        }
        let event = uuid(arrived, &mut self.dice);
        let outcome = text("outcome", &event, &request);
        if self.dice.below(20) == 0 {
            self.waiting.push(outcome);
            if self.waiting.len() > 30 {
                let held = self.waiting.remove(0);
                self.write(&held);
            }
        } else {
            self.write(&outcome);
        }
    }

    /// A call that never ends: its intent, and its id.
    pub fn crash(&mut self) -> String {
        let (arrived, _, text) = self.shape();
        let request = uuid(arrived, &mut self.dice);
        let event = uuid(arrived, &mut self.dice);
        let intent = text("intent", &event, &request);
        self.write(&intent);
        self.flush();
        request
    }

    #[allow(clippy::too_many_lines)]
    fn shape(&mut self) -> (i64, bool, impl Fn(&str, &str, &str) -> String + use<>) {
        let dice = &mut self.dice;
        let client = dice.mostly(&CLIENTS);
        let (source, route, (name, read)) = match dice.below(10) {
            0..=5 => ("s3", dice.of(&["backups", "ceph"]), S3[dice.below(S3.len() as u64) as usize]),
            6..=7 => ("cloudstack", "cloudstack", CLOUDSTACK[dice.below(CLOUDSTACK.len() as u64) as usize]),
            8 => ("zstack", "zstack", ZSTACK[dice.below(ZSTACK.len() as u64) as usize]),
            _ => ("sqs", "queue", ("SendMessage", false)),
        };
        let mut operation = match source {
            "s3" => format!("s3:{name}"),
            "sqs" => format!("sqs:{name}"),
            _ => name.to_owned(),
        };
        let hostile = self.recipe.hostile && dice.below(4) == 0;
        let mut agent = "aws-cli/2.31 Python/3.13".to_owned();
        if hostile {
            dice.of(&HOSTILE_TEXTS).clone_into(&mut agent);
            if dice.below(3) == 0 {
                operation = format!("s3:{}", dice.of(&HOSTILE_TEXTS));
            }
        }
        let mut resources = Vec::new();
        if source == "s3" && name != "ListBuckets" {
            let bucket = format!("bucket-{:02}", dice.below(40));
            let count = if name == "DeleteObjects" { 1 + dice.below(5) } else { 1 };
            for _ in 0..count {
                let key = if hostile {
                    dice.of(&HOSTILE_TEXTS).to_owned()
                } else {
                    format!("2026/{:02}/{:06x}.bin", 1 + dice.below(12), dice.below(1 << 24))
                };
                resources.push(if name.starts_with("List") {
                    bucket.clone()
                } else {
                    format!("{bucket}/{key}")
                });
            }
        }
        let parameters = match (source, dice.below(3)) {
            ("cloudstack", 0) => format!(
                ",\"requestParameters\":{{\"zoneid\":\"zone-{}\",\"name\":{{\"length\":12,\"hash\":\"00112233\"}}}}",
                dice.below(3)
            ),
            ("cloudstack", 1) => {
                format!(
                    ",\"requestParameters\":{{\"account\":\"acme-{}\",\"zoneId\":\"zone-0\"}}",
                    dice.below(5)
                )
            }
            ("s3", 0) => ",\"requestParameters\":{\"versionId\":\"7\",\"zoneid\":\"not-a-zone\"}".to_owned(),
            _ => String::new(),
        };
        let caller = match dice.below(6) {
            0 => format!("unix:uid={}", 1000 + dice.below(3)),
            1 => format!("2001:db8::{:x}", dice.below(200)),
            2 => format!("192.168.{}.{}", dice.below(4), dice.below(250)),
            _ => format!("10.{}.{}.{}", dice.below(3), dice.below(8), dice.below(250)),
        };
        let (status, error, upstream) = match dice.below(200) {
            0..=1 => (403, "operation-denied", false),
            2 => (401, "client-unknown", false),
            3 => (503, "credential-unavailable", false),
            4 => (502, "upstream-unreachable", true),
            5 => (0, "", true),
            6..=9 => (404, "", true),
            10..=11 => (500, "", true),
            12 => (302, "", true),
            _ => (200, "", true),
        };
        let (identity, client) = match (error, dice.below(50)) {
            ("client-unknown", _) => ("Unknown", String::new()),
            (_, 0) => ("Anonymous", String::new()),
            _ => ("Client", format!(",\"userName\":\"{client}\",\"proof\":\"unix-user\"")),
        };
        let (bytes_in, bytes_out) =
            (if read { 0 } else { dice.below(1 << 20) }, if status == 0 { 0 } else { dice.below(1 << 22) });
        let scale = 8 + dice.below(14);
        let micros = 300 + dice.below(1 << scale);
        let arrived = self.now;
        let mutating = !read && error != "operation-denied" && error != "client-unknown";
        let time = time(arrived);
        let resources: Vec<String> =
            resources.iter().map(|name| format!("{{\"name\":{}}}", json(name))).collect();
        let resources = if resources.is_empty() {
            String::new()
        } else {
            format!(",\"resources\":[{}]", resources.join(","))
        };
        let (operation, agent) = (json(&operation), json(&agent));
        let text = move |record: &str, event: &str, request: &str| {
            let mut line = format!(
                "{{\"eventVersion\":\"1.0\",\"eventTime\":\"{time}\",\"eventID\":\"{event}\",\"requestID\":\"{request}\",\
                 \"eventType\":\"ActivityLog\",\"eventCategory\":\"ActivityAuditLog\",\"eventSource\":\"{source}\",\
                 \"eventName\":\"{name}\",\"awsRegion\":\"eu-central-1\",\"sourceIPAddress\":\"{caller}\",\
                 \"userAgent\":{agent},\"userIdentity\":{{\"type\":\"{identity}\"{client}}},\"readOnly\":{read}\
                 {parameters}{resources}"
            );
            if record == "outcome" && !error.is_empty() {
                write!(line, ",\"errorCode\":\"{error}\",\"errorMessage\":\"no \\\"reason\\\"\"").unwrap();
            }
            write!(
                line,
                ",\"additionalEventData\":{{\"record\":\"{record}\",\"route\":\"{route}\",\"operation\":{operation},\
                 \"credential\":\"key-of-{route}\",\"accessKeyId\":\"AKIDEXAMPLE\",\"scheme\":\"{source}\",\
                 \"decision\":\"{}\",\"upstream\":\"https://{route}.example\",\"method\":\"GET\"",
                if error == "operation-denied" { "deny" } else { "allow" }
            )
            .unwrap();
            if record == "outcome" {
                write!(line, ",\"status\":{status}").unwrap();
                if upstream && error.is_empty() && status > 0 {
                    write!(line, ",\"upstreamStatus\":{status}").unwrap();
                }
                write!(
                    line,
                    ",\"bytesIn\":{bytes_in},\"bytesOut\":{bytes_out},\"queueMs\":0.1,\"signUs\":12,\
                     \"firstByteMs\":1.5,\"totalMs\":{}.{:03}",
                    micros / 1000,
                    micros % 1000
                )
                .unwrap();
                if upstream {
                    line.push_str(",\"attempts\":1");
                }
                line.push_str(if status == 0 {
                    ",\"ended\":\"caller-left\""
                } else {
                    ",\"ended\":\"complete\""
                });
                if bytes_out % 3 == 1 {
                    write!(line, ",\"traceId\":\"{bytes_out:032x}\"").unwrap();
                }
            }
            line.push('}');
            line
        };
        (arrived, mutating, text)
    }
}

/// Where a record stood.
pub struct State {
    hash: [u8; 32],
    pub seq: u64,
    lines: usize,
}

/// Compresses a file in frames of about this size, and removes it.
pub fn compress(plain: &Path, frame: usize) -> PathBuf {
    let text = std::fs::read(plain).unwrap();
    let target = PathBuf::from(format!("{}.zst", plain.display()));
    let mut out = BufWriter::new(File::create(&target).unwrap());
    let mut compressor = zstd::bulk::Compressor::new(3).unwrap();
    compressor.include_checksum(true).unwrap();
    for part in text.chunks(frame) {
        out.write_all(&compressor.compress(part).unwrap()).unwrap();
    }
    out.flush().unwrap();
    std::fs::remove_file(plain).unwrap();
    target
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|half| char::from(DIGITS[half as usize]))
        .collect()
}

fn uuid(micros: i64, dice: &mut Dice) -> String {
    let (high, low) = (dice.roll(), dice.roll());
    let millis = micros / 1000;
    format!(
        "{:08x}-{:04x}-7{:03x}-{:04x}-{:012x}",
        millis >> 16,
        millis & 0xffff,
        high & 0xfff,
        0x8000 | high >> 12 & 0x3fff,
        low & 0xffff_ffff_ffff
    )
}

/// Microseconds since 1970 as RFC 3339, by the civil calendar (Howard Hinnant's `civil_from_days`).
pub fn time(micros: i64) -> String {
    let (seconds, fraction) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{fraction:06}Z",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

/// A JSON string in ASCII.
fn json(text: &str) -> String {
    let mut out = String::from("\"");
    for unit in text.encode_utf16() {
        match u8::try_from(unit) {
            Ok(letter @ (b' ' | b'!' | b'#'..=b'[' | b']'..=b'~')) => out.push(char::from(letter)),
            _ => write!(out, "\\u{unit:04x}").unwrap(),
        }
    }
    out + "\""
}

//! A record of a test's own: its folder, its writer, its events, its proof.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use countersign::audit::event::{Additional, Event, Identity, IdentityType, Kind};
use countersign::audit::recorder::{Recorder, Unrecorded};
use countersign::audit::segments::Rotation;
use countersign::audit::writer::{Settings, Sink, StartError, Writer, start};
use countersign::ledger::{self, Claim, Report};
use countersign::secret::Secret;
use jiff::Timestamp;
use tempfile::TempDir;

/// The longest that anything may take before a test calls it a hang.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// How the writer is set up.
#[derive(Clone, Copy)]
pub struct Way {
    pub size: u64,
    pub age: Duration,
    pub retain: Option<Duration>,
    pub key: Option<&'static str>,
}

impl Default for Way {
    fn default() -> Self {
        Self { size: 1 << 30, age: Duration::from_secs(3600), retain: None, key: None }
    }
}

/// A folder with a record in it, gone when the test is over.
pub struct Books {
    folder: TempDir,
}

impl Books {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The active file.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("audit.jsonl")
    }

    pub fn start(&self, way: Way) -> (Recorder, Writer) {
        open(&self.file(), way).unwrap()
    }

    /// All files of the record, in their order.
    pub fn files(&self) -> Vec<PathBuf> {
        ledger::read::files(&self.file()).unwrap()
    }

    pub fn verify(&self, keys: &[&str], head: Option<Claim>) -> Report {
        verify(&self.files(), &self.file(), keys, head)
    }

    /// Fails unless the record holds.
    #[track_caller]
    pub fn proven(&self, keys: &[&str]) -> Report {
        let report = self.verify(keys, None);
        assert!(report.holds(), "{:#?}\n{:#?}", report.problems, self.names());
        report
    }

    /// The names of everything in the folder.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.folder())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Waits until every past segment is compressed.
    #[track_caller]
    pub fn compressed(&self) {
        Self::wait("the compression", || {
            let ends = |name: &String| name.rsplit('.').next().unwrap_or_default().to_owned();
            !self.names().iter().map(ends).any(|end| end == "new" || end.parse::<u64>().is_ok())
        });
    }

    /// Waits until something is as it should be.
    #[track_caller]
    pub fn wait(what: &str, mut is_so: impl FnMut() -> bool) {
        let start = Instant::now();
        while !is_so() {
            assert!(start.elapsed() < PATIENCE, "{what} did not come");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

pub fn open(file: &Path, way: Way) -> Result<(Recorder, Writer), StartError> {
    start(Settings {
        sink: Sink::File(file.to_owned()),
        key: way.key.map(Secret::from),
        rotation: Rotation { size: way.size, age: way.age },
        retain: way.retain,
    })
}

pub fn verify(files: &[PathBuf], active: &Path, keys: &[&str], head: Option<Claim>) -> Report {
    let keys: Vec<Secret> = keys.iter().map(|key| Secret::from(*key)).collect();
    ledger::verify(files, active, &keys.iter().collect::<Vec<_>>(), head)
}

/// A runtime like a worker's.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// An event with something in most fields.
pub fn event<'a>(kind: Kind, id: &'a str, resources: &'a [&'a str], read_only: bool) -> Event<'a> {
    Event {
        kind,
        time: Timestamp::now(),
        request_id: id,
        source: "s3",
        name: if read_only { "GetObject" } else { "PutObject" },
        source_ip: "10.0.0.7",
        user_agent: Some("tests/1.0 \"quoted\" \u{202e}\u{1f600}\n"),
        identity: Identity { kind: IdentityType::Client, name: Some("backup-job"), ..Identity::default() },
        read_only,
        resources,
        additional: Additional { route: Some("backups"), status: Some(200), ..Additional::default() },
        ..Event::default()
    }
}

/// Records a mutating call from its intent to its outcome.
pub async fn call(recorder: &Recorder, id: &str) -> Result<(), Unrecorded> {
    let outcome = recorder.intent(&event(Kind::Intent, id, &["bucket/key"], false)).await;
    recorder.outcome(&event(Kind::Outcome, id, &["bucket/key"], false));
    outcome
}

/// Records `count` calls, one after the other.
pub fn calls(recorder: &Recorder, prefix: &str, count: usize) {
    run(async {
        for index in 0..count {
            call(recorder, &format!("{prefix}-{index}")).await.unwrap();
        }
    });
}

/// The head as the recorder tells it.
pub fn head(recorder: &Recorder) -> Claim {
    recorder.state().head.unwrap().to_string().parse().unwrap()
}

//! A gateway process: the real program with a configuration of the test's own, killed when the test is over.
//!
//! Its secrets are canaries: when a gateway ends, neither of its outputs may hold one of them.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::caller::{Ask, Caller, Response};
use super::line::flat;
use super::naive::Keys;
use super::{PATIENCE, eventually};

/// What a gateway is started with.
pub struct Setup {
    server: String,
    limits: String,
    body: String,
    credentials: Vec<(String, Keys)>,
    environment: Vec<(String, String)>,
    listen: String,
    workers: usize,
}

impl Default for Setup {
    /// One worker, so that one pool of upstream connections serves all requests of a test.
    fn default() -> Self {
        Self {
            server: String::new(),
            limits: String::new(),
            body: String::new(),
            credentials: Vec::new(),
            environment: Vec::new(),
            listen: "\"127.0.0.1:0\"".to_owned(),
            workers: 1,
        }
    }
}

impl Setup {
    /// A gateway with the credential `key` and the text of its routes.
    pub fn routes(text: &str) -> Self {
        Self::default().credential("key", Keys::default()).text(text)
    }

    /// Adds a line to `[server]`.
    #[must_use]
    pub fn server(mut self, line: &str) -> Self {
        self.server.push_str(&format!("{line}\n"));
        self
    }

    /// Adds lines to `[server.limits]`.
    #[must_use]
    pub fn limits(mut self, lines: &str) -> Self {
        self.limits.push_str(&format!("{lines}\n"));
        self
    }

    /// The elements of `server.listen`, as TOML; the first is where callers of the harness connect.
    #[must_use]
    pub fn listen(mut self, elements: &str) -> Self {
        elements.clone_into(&mut self.listen);
        self
    }

    /// How many workers there are.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Adds a credential, whose parts will stand in private files.
    #[must_use]
    pub fn credential(mut self, name: &str, keys: Keys) -> Self {
        self.credentials.push((name.to_owned(), keys));
        self
    }

    /// Sets an environment variable of the process.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds text to the configuration, after `[server]` and the credentials.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        self.body.push_str(text);
        self.body.push('\n');
        self
    }

    /// The configuration file's text.
    pub fn configuration(&self, folder: &Path, admin: SocketAddr) -> String {
        let Self { server, limits, body, listen, workers, .. } = self;
        let mut text = format!(
            "version = 1\n[server]\nlisten = [{listen}]\nadmin = \"{admin}\"\nworkers = {workers}\n{server}\
             [server.limits]\n{limits}"
        );
        for (name, keys) in &self.credentials {
            text.push_str(&format!("[credentials.{name}]\n"));
            for (key, _) in keys.parts() {
                let file = folder.join(format!("{name}.{key}"));
                text.push_str(&format!("{key} = {{ file = \"{}\" }}\n", file.display()));
            }
        }
        text + body
    }

    /// Starts the gateway and waits until it listens.
    #[track_caller]
    pub fn start(self) -> Gateway {
        // The free port for the admin listener may be lost to another test between two binds.
        for _ in 0..5 {
            match self.launch() {
                Ok(gateway) => return gateway,
                Err(errors) if errors.contains("(admin)") => {}
                Err(errors) => panic!("the gateway did not start:\n{errors}"),
            }
        }
        panic!("no free port for the admin listener");
    }

    fn launch(&self) -> Result<Gateway, String> {
        let folder = Folder::new();
        let admin = free_address();
        let mut canaries = Vec::new();
        for (name, keys) in &self.credentials {
            for (key, value) in keys.parts() {
                write_private(&folder.0.join(format!("{name}.{key}")), value);
                if key != "access-key" {
                    canaries.push(value.to_owned());
                }
            }
        }
        // What is called a canary and is given by the environment is hunted like the credentials.
        let given = self.environment.iter().map(|(_, value)| value.clone());
        canaries.extend(given.filter(|value| value.contains("canary")));
        let file = folder.0.join("countersign.toml");
        fs::write(&file, self.configuration(&folder.0, admin)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command.args(["--log-format", "json", "serve", "--config"]).arg(&file).current_dir(&folder.0);
        command.env_remove("COUNTERSIGN_CONFIG").env_remove("COUNTERSIGN_LOG");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdout = Lines::of(child.stdout.take().unwrap());
        let stderr = Lines::of(child.stderr.take().unwrap());
        let mut gateway = Gateway {
            child,
            folder,
            file,
            address: admin,
            addresses: Vec::new(),
            admin,
            stdout,
            stderr,
            canaries,
        };
        let start = Instant::now();
        loop {
            let events = gateway.events("admin");
            let exited = gateway.child.try_wait().unwrap().is_some();
            if !events.is_empty() {
                break;
            }
            if exited || start.elapsed() > PATIENCE {
                std::thread::sleep(Duration::from_millis(50));
                return Err(gateway.stderr.all().join("\n"));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        for event in gateway.events("listening") {
            gateway.addresses.push(event["address"].as_str().unwrap_or_default().to_owned());
        }
        gateway.address =
            gateway.addresses.iter().find_map(|address| address.parse().ok()).unwrap_or(gateway.admin);
        Ok(gateway)
    }
}

/// A running gateway.
pub struct Gateway {
    child: Child,
    folder: Folder,
    /// The configuration file.
    pub file: PathBuf,
    /// Where callers connect.
    pub address: SocketAddr,
    /// All listeners, as the gateway names them.
    pub addresses: Vec<String>,
    /// The admin listener.
    pub admin: SocketAddr,
    stdout: Lines,
    stderr: Lines,
    canaries: Vec<String>,
}

impl Gateway {
    /// A gateway with default settings and these routes, which sign with the credential `key`.
    #[track_caller]
    pub fn with(routes: &str) -> Self {
        Setup::routes(routes).start()
    }

    /// Sends one request on a connection of its own.
    #[track_caller]
    pub fn call(&self, ask: &Ask) -> Response {
        self.connect().call(ask)
    }

    /// Sends raw bytes on a connection of its own and reads one answer; `Ok(None)` when there was none.
    pub fn raw(&self, bytes: &[u8]) -> Result<Option<Response>, String> {
        let mut caller = self.connect();
        caller.send(bytes);
        caller.try_response(if bytes.starts_with(b"HEAD ") { "HEAD" } else { "GET" })
    }

    /// A connection.
    pub fn connect(&self) -> Caller {
        Caller::to(self.address)
    }

    /// The answer of the admin listener to a GET.
    #[track_caller]
    pub fn admin(&self, path: &str) -> Response {
        Caller::to(self.admin).call(&super::ask("GET", path))
    }

    /// The outcomes in the record so far, flat.
    pub fn records(&self) -> Vec<serde_json::Value> {
        self.lines().iter().filter_map(flat).collect()
    }

    /// Every line of the record so far, as far as it goes to standard output.
    pub fn lines(&self) -> Vec<serde_json::Value> {
        self.stdout.all().iter().map(|line| parse(line)).collect()
    }

    /// Waits for the record of an answer, by its `x-request-id`.
    #[track_caller]
    pub fn record_of(&self, response: &Response) -> serde_json::Value {
        let id = response.headers.one("x-request-id").expect("an answer without x-request-id");
        let mut found = None;
        eventually("the record is written", || {
            found = self.records().into_iter().find(|record| record["request-id"] == id);
            found.is_some()
        });
        found.unwrap()
    }

    /// Waits for `count` records.
    #[track_caller]
    pub fn wait_for_records(&self, count: usize) -> Vec<serde_json::Value> {
        let mut records = Vec::new();
        eventually("the records are written", || {
            records = self.records();
            records.len() >= count
        });
        records
    }

    /// The events on standard error with this message so far.
    pub fn events(&self, message: &str) -> Vec<serde_json::Value> {
        let lines = self.stderr.all();
        let events = lines.iter().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        events.filter(|event| event["message"] == message).collect()
    }

    /// Waits for an event with this message.
    #[track_caller]
    pub fn wait_for_event(&self, message: &str) -> serde_json::Value {
        eventually(message, || !self.events(message).is_empty());
        self.events(message).remove(0)
    }

    /// Everything on standard error so far.
    pub fn log(&self) -> String {
        self.stderr.all().join("\n")
    }

    /// Everything on standard output and standard error so far.
    pub fn output(&self) -> String {
        self.stdout.all().join("\n") + "\n" + &self.stderr.all().join("\n")
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory, in bytes.
    pub fn resident(&self) -> u64 {
        self.status_of("VmRSS:")
    }

    /// The most resident memory that there ever was, in bytes.
    pub fn peak(&self) -> u64 {
        self.status_of("VmHWM:")
    }

    fn status_of(&self, field: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }

    /// Sends a signal by its name, such as `HUP`.
    pub fn signal(&self, name: &str) {
        let pid = Pid::from_child(&self.child);
        let signal = match name {
            "HUP" => Signal::HUP,
            "TERM" => Signal::TERM,
            "INT" => Signal::INT,
            "USR1" => Signal::USR1,
            "STOP" => Signal::STOP,
            "CONT" => Signal::CONT,
            other => panic!("signal {other}"),
        };
        kill_process(pid, signal).unwrap();
    }

    /// Waits for the process to end by itself.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("the process ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// Whether it still runs.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// A file of the test's own beside the configuration, mode 0600.
    pub fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.0.join(name);
        let _ = fs::remove_file(&path);
        write_private(&path, content);
        path
    }

    /// The folder of the configuration and the credentials.
    pub fn folder(&self) -> &Path {
        &self.folder.0
    }

    /// Fails if an output holds one of the secrets, plain, or any text that looks like a signature of ours.
    #[track_caller]
    pub fn assert_discreet(&self) {
        let output = self.output();
        for canary in &self.canaries {
            assert!(!output.contains(canary.as_str()), "a secret was written to the log");
        }
        assert!(!output.contains("panicked"), "a panic was written to the log");
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.stdout.finished();
        self.stderr.finished();
        if std::thread::panicking() {
            let lines = self.stderr.all();
            let tail = &lines[lines.len().saturating_sub(20)..];
            // Standard error of a failing test is shown with it.
            let _ = writeln!(std::io::stderr(), "the gateway's last events:\n{}", tail.join("\n"));
        } else {
            self.assert_discreet();
        }
    }
}

/// The lines of an output, as they come.
#[derive(Clone, Default)]
struct Lines(Arc<Output>);

#[derive(Default)]
struct Output {
    state: Mutex<(Vec<String>, bool)>,
    over: Condvar,
}

impl Lines {
    fn of(output: impl Read + Send + 'static) -> Self {
        let lines = Self::default();
        let sink = lines.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n') {
                let Ok(line) = line else { break };
                sink.0.state.lock().unwrap().0.push(String::from_utf8_lossy(&line).into_owned());
            }
            sink.0.state.lock().unwrap().1 = true;
            sink.0.over.notify_all();
        });
        lines
    }

    fn all(&self) -> Vec<String> {
        self.0.state.lock().unwrap().0.clone()
    }

    /// Waits until the process has closed the output.
    fn finished(&self) {
        let guard = self.0.state.lock().unwrap();
        drop(self.0.over.wait_timeout_while(guard, Duration::from_secs(2), |(_, over)| !*over));
    }
}

/// A folder of the test's own, gone when the test is over.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("countersign-test-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn write_private(path: &Path, content: &str) {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all(content.as_bytes()).unwrap();
}

/// A loopback address that nobody listens on at this moment.
pub fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

fn parse(line: &str) -> serde_json::Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("not a JSON line ({error}): {line:?}"))
}

//! The life of the process: build the world, start the workers, answer signals, drain.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::admin;
use crate::audit::Format;
use crate::audit::parameters::Hasher;
use crate::audit::segments::Rotation;
use crate::audit::writer::{self, Settings, Sink, Writer};
use crate::body::spool::Store;
use crate::config::{self, Address, Config};
use crate::credentials::{RecordKeyError, record_key};
use crate::gateway::Scribe;
use crate::listen::bind::{Listening, is_free};
use crate::live::Feed;
use crate::metrics::Metrics;
use crate::reload::{LoadError, World};
use crate::snapshot::Snapshot;
use crate::worker;

/// How often the end of the workers is looked for.
const POLL: Duration = Duration::from_millis(20);
/// How long workers that were cut may take to drop what they hold.
const CUT: Duration = Duration::from_secs(1);
/// How long the last lines of the record may take.
const FLUSH: Duration = Duration::from_secs(2);
/// When the world is looked at again although no credential of it will expire.
const SELDOM: Duration = Duration::from_secs(3600);

/// What is said of a second signal.
const AGAIN: &str = "told to stop again; what is open is closed";

/// How a run ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    /// Every connection was finished.
    Clean,
    /// The drain's time ran out, or a second signal cut it short.
    Cut,
}

/// Why a run could not begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Configuration or what it names.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The record's key.
    #[error(transparent)]
    Key(#[from] RecordKeyError),
    /// The record.
    #[error(transparent)]
    Record(#[from] writer::StartError),
    /// A socket, thread or signal.
    #[error("{0}: {1}")]
    System(String, #[source] io::Error),
}

fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> StartError {
    let what = what.into();
    move |error| StartError::System(what, error)
}

/// The running workers.
pub struct Workers {
    threads: Vec<JoinHandle<io::Result<bool>>>,
    draining: watch::Sender<bool>,
    cut: watch::Sender<bool>,
    files: SocketFiles,
    /// Where callers connect, in the order of the configuration.
    pub addresses: Vec<String>,
    /// The bound ports of TCP listeners, in the same order.
    pub ports: Vec<Option<u16>>,
}

/// The paths of unix sockets, removed when this is dropped.
#[derive(Default)]
struct SocketFiles(Vec<PathBuf>);

impl Drop for SocketFiles {
    fn drop(&mut self) {
        for path in &self.0 {
            // A path that somebody else removed is gone as it should be.
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Workers {
    /// Binds every listener and starts the workers on them.
    pub fn start(
        config: &Config,
        world: &Arc<ArcSwap<Snapshot>>,
        scribe: &Scribe,
        metrics: &Arc<Metrics>,
        feed: &Feed,
    ) -> Result<Self, StartError> {
        let mut files = SocketFiles::default();
        let mut first = Vec::new();
        for listener in &config.server.listen {
            let free = match &listener.address {
                Address::Tcp(address) => is_free(*address),
                Address::Unix(_) => Ok(()),
            };
            let bound = free
                .and_then(|()| Listening::bind(&listener.address))
                .map_err(system(format!("cannot listen on {}", listener.address)))?;
            if let Address::Unix(path) = &listener.address {
                files.0.push(path.clone());
            }
            first.push((bound, listener.h2c));
        }
        let addresses = first.iter().map(|(socket, _)| socket.name()).collect();
        let ports = first.iter().map(|(socket, _)| socket.port()).collect();
        let count = match config.server.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            count => count,
        };
        let connections = Arc::new(AtomicUsize::new(0));
        let store = Store { folder: config.server.spool_directory.clone(), ..Store::default() };
        let (draining, drained) = watch::channel(false);
        let (cut, was_cut) = watch::channel(false);
        let mut threads = Vec::with_capacity(count);
        for index in 0..count {
            let sockets = if index + 1 == count {
                std::mem::take(&mut first)
            } else {
                let again = first.iter().map(|(socket, h2c)| Ok((socket.again()?, *h2c)));
                again.collect::<io::Result<_>>().map_err(system("cannot share a listener"))?
            };
            let given = worker::Parts {
                world: world.clone(),
                scribe: scribe.clone(),
                metrics: metrics.clone(),
                connections: connections.clone(),
                draining: drained.clone(),
                cut: was_cut.clone(),
                sockets,
                store: store.clone(),
                feed: feed.clone(),
            };
            let thread = std::thread::Builder::new().name(format!("worker-{index}"));
            threads.push(thread.spawn(move || worker::run(given)).map_err(system("cannot start a worker"))?);
        }
        Ok(Self { threads, draining, cut, files, addresses, ports })
    }

    /// Begins the drain: no new connections, and the present ones end after their request.
    pub fn drain(&mut self) {
        // While the sockets still listen, nobody can have taken the paths over.
        self.files = SocketFiles::default();
        self.draining.send_replace(true);
    }

    /// Ends the drain: what is still open is closed as it is.
    pub fn cut(&self) {
        self.cut.send_replace(true);
    }

    /// Whether all workers are done.
    pub fn are_done(&self) -> bool {
        self.threads.iter().all(JoinHandle::is_finished)
    }

    /// Waits until all workers are done, at most for `limit`; whether they are.
    pub async fn done_within(&self, limit: Duration) -> bool {
        let wait = async {
            while !self.are_done() {
                tokio::time::sleep(POLL).await;
            }
        };
        tokio::time::timeout(limit, wait).await.is_ok()
    }

    /// Waits for all workers; whether every connection ended by itself.
    pub fn join(self) -> Ended {
        let mut ended = Ended::Clean;
        for thread in self.threads {
            match thread.join() {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) | Err(_) => ended = Ended::Cut,
                Ok(Err(error)) => {
                    tracing::error!(%error, "a worker failed");
                    ended = Ended::Cut;
                }
            }
        }
        ended
    }
}

/// Runs the gateway of a configuration file until it is told to stop.
pub fn serve(path: &Path, format: Format) -> Result<Ended, StartError> {
    harden();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(system("cannot start the control runtime"))?;
    let context = runtime.enter();
    // From here on a reload that comes too early waits instead of ending the process.
    let (hup, usr1) = (on(SignalKind::hangup())?, on(SignalKind::user_defined1())?);
    let metrics = Arc::new(Metrics::default());
    let world = World::load(path, metrics.clone())?;
    let audit = &world.config().audit;
    let (scribe, writer) = record(audit, sink(audit, format))?;
    let admin = world.config().server.admin.map(admin::Listener::bind).transpose();
    let admin = admin.map_err(|(address, error)| {
        StartError::System(format!("cannot listen on {address} (admin)"), error)
    })?;
    let signals =
        Signals { hup, usr1, term: on(SignalKind::terminate())?, int: on(SignalKind::interrupt())? };
    let (feed, spans) = feed()?;
    let workers = Workers::start(world.config(), &world.snapshot(), &scribe, &metrics, &feed)?;
    announce(&world, &workers, admin.as_ref());
    let recorder = scribe.recorder.clone();
    let (unresolved, snapshot) = (world.unresolved(), world.snapshot());
    let audit = Box::new(move || recorder.state());
    let config::Audit { on_full, file, .. } = &world.config().audit;
    let (on_full, search) = (*on_full, file.clone().map(admin::Search::over));
    let parts = admin::Parts { metrics, unresolved, world: snapshot, feed, audit, on_full, search };
    let state = admin::State::new(parts);
    drop(context);
    let control = control(world, workers, state, admin, scribe, signals);
    let ended = tokio::task::LocalSet::new().block_on(&runtime, control)?;
    if let Err(unfinished) = writer.stop(FLUSH) {
        tracing::error!(%unfinished);
    }
    spans.finish();
    Ok(ended)
}

/// Where calls are recorded: in the file of the configuration, otherwise on standard output.
fn sink(audit: &config::Audit, format: Format) -> Sink {
    match (&audit.file, format) {
        (Some(file), _) => Sink::File(file.clone()),
        (None, Format::Json) => Sink::Stream(Box::new(io::stdout())),
        (None, Format::Text) => Sink::Text(Box::new(io::stdout())),
    }
}

/// Opens the record, and starts the thread that writes it.
///
/// # Errors
/// Its key, or what keeps it from being opened.
pub fn record(audit: &config::Audit, sink: Sink) -> Result<(Scribe, Writer), StartError> {
    let key = audit.key.as_ref().map(record_key).transpose()?;
    let hasher = key.as_ref().map_or_else(Hasher::random, Hasher::keyed);
    let rotation = Rotation { size: audit.rotate_size, age: audit.rotate_age };
    let (recorder, writer) = writer::start(Settings { sink, key, rotation, retain: audit.retain })?;
    Ok((Scribe { recorder, hasher, on_full: audit.on_full }, writer))
}

/// Where workers report to, and what sends their spans.
#[cfg(feature = "otlp")]
fn feed() -> Result<(Feed, Spans), StartError> {
    let spans = crate::otlp::Spans::from_environment()
        .map_err(|why| StartError::System("cannot export traces".to_owned(), io::Error::other(why)))?;
    let export = spans.as_ref().map(crate::otlp::Spans::export);
    Ok((Feed::new(export), Spans(spans)))
}

/// Where workers report to; this build exports no spans.
#[cfg(not(feature = "otlp"))]
#[allow(clippy::unnecessary_wraps, reason = "with the feature it can fail")]
fn feed() -> Result<(Feed, Spans), StartError> {
    let asked = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];
    if asked.into_iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty())) {
        tracing::warn!("traces are not exported: this build lacks the feature `otlp`");
    }
    Ok((Feed::default(), Spans()))
}

/// What sends spans, where this build has it and the environment asks for it.
struct Spans(#[cfg(feature = "otlp")] Option<crate::otlp::Spans>);

impl Spans {
    #[cfg_attr(not(feature = "otlp"), allow(clippy::unused_self, reason = "there is nothing to finish"))]
    fn finish(&self) {
        #[cfg(feature = "otlp")]
        if let Some(spans) = &self.0 {
            spans.finish();
        }
    }
}

fn announce(world: &World, workers: &Workers, admin: Option<&admin::Listener>) {
    for (address, listener) in workers.addresses.iter().zip(&world.config().server.listen) {
        let scheme = if listener.tls.is_some() { "https" } else { "http" };
        tracing::info!(%address, scheme, "listening");
    }
    if let Some(admin) = admin {
        tracing::info!(address = %admin.address(), "admin");
    }
    for route in &world.snapshot().load().routes {
        let (scheme, credential) = (route.scheme_name(), &route.credential);
        let upstream = &route.endpoint.upstream.host;
        tracing::info!(route = %route.name, scheme, %credential, %upstream, signs = route.signer.is_some(), "route");
    }
}

/// What an operator can say.
struct Signals {
    hup: Signal,
    usr1: Signal,
    term: Signal,
    int: Signal,
}

fn on(kind: SignalKind) -> Result<Signal, StartError> {
    signal(kind).map_err(system("cannot handle signals"))
}

/// Signals and the admin listener, until the workers are done.
async fn control(
    world: World,
    mut workers: Workers,
    state: admin::State,
    admin: Option<admin::Listener>,
    scribe: Scribe,
    mut signals: Signals,
) -> Result<Ended, StartError> {
    let (snapshot, has_file) = (world.snapshot(), world.config().audit.file.is_some());
    if let Some(admin) = admin {
        admin.start(state.clone()).map_err(system("cannot start the admin listener"))?;
    }
    let (reloads, asked) = channel();
    let keeper = std::thread::Builder::new().name("reload".into());
    keeper.spawn(move || keep(world, &asked)).map_err(system("cannot start the reload thread"))?;
    loop {
        tokio::select! {
            _ = signals.hup.recv() => {
                // The thread lives as long as this sender.
                let _ = reloads.send(());
            }
            _ = signals.usr1.recv() => {
                if has_file {
                    tracing::info!("reopening the record");
                    scribe.recorder.reopen();
                } else {
                    tracing::info!("the record goes to standard output; nothing to reopen");
                }
            }
            _ = signals.term.recv() => break,
            _ = signals.int.recv() => break,
        }
    }
    tracing::info!("draining");
    state.drain();
    workers.drain();
    let limit = snapshot.load().drain;
    tokio::select! {
        done = workers.done_within(limit) => if !done {
            tracing::warn!(after = ?limit, "the drain took too long; what is open is closed");
        },
        _ = signals.term.recv() => tracing::warn!("{AGAIN}"),
        _ = signals.int.recv() => tracing::warn!("{AGAIN}"),
    }
    workers.cut();
    // A worker that is stuck ends with the process.
    Ok(if workers.done_within(CUT).await { workers.join() } else { Ended::Cut })
}

/// Reloads and renews the world on a thread of its own: a credential's source may take long, and signals and the
/// admin listener do not wait for it.
fn keep(mut world: World, asked: &Receiver<()>) {
    loop {
        match asked.recv_timeout(world.next_renewal().unwrap_or(SELDOM)) {
            Ok(()) => match world.reload() {
                Ok(()) => tracing::info!("configuration reloaded"),
                Err(error) => tracing::error!(%error, "reload refused; the old configuration stays"),
            },
            Err(RecvTimeoutError::Timeout) => world.renew(),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Keeps secrets out of core files, of other users' debuggers, and of panic messages.
fn harden() {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if setrlimit(Resource::Core, none).is_err()
        || set_dumpable_behavior(DumpableBehavior::NotDumpable).is_err()
    {
        tracing::warn!("core files could not be turned off");
    }
    conceal_panics();
}

/// From now on a panic says where it happened and nothing of what it was about: the text could hold a caller's data.
pub fn conceal_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "internal error");
    }));
}

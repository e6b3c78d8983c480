//! Reading the world anew: configuration, credentials, snapshot; then one pointer is swapped.
//!
//! A reload that fails anywhere leaves the old world serving and says why. Credentials that expire are renewed
//! before they do; one that cannot be resolved is tried again, and its routes answer 503 meanwhile.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;

use crate::config::{self, Config};
use crate::credentials::{self, ClientSecrets, Resolved};
use crate::metrics::{CredentialLabel, Metrics};
use crate::snapshot::Snapshot;

/// A credential that failed is tried again after this long.
const RETRY: Duration = Duration::from_secs(15);
/// The shortest time between two attempts.
const PAUSE: Duration = Duration::from_secs(1);
/// An expiring credential is renewed this long before its end.
const AHEAD: Duration = Duration::from_secs(300);

/// What stands before a client's name in [`Unresolved`]; no credential is called so, because of the blank.
pub const CLIENT: &str = "client ";

/// What is wrong at the moment, by credential name, or by client name after [`CLIENT`]; readable by the admin listener.
pub type Unresolved = Arc<Mutex<HashMap<String, String>>>;

/// Why the world could not be built.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The configuration is wrong; all problems, rendered.
    #[error("{0}")]
    Config(String),
    /// The configuration is right by itself, but cannot be used now.
    #[error("{0}")]
    Use(String),
}

/// The configuration in force, the keys it resolved to, and the snapshot that workers read.
pub struct World {
    path: Option<PathBuf>,
    config: Config,
    keys: HashMap<String, Resolved>,
    secrets: ClientSecrets,
    unresolved: Unresolved,
    snapshot: Arc<ArcSwap<Snapshot>>,
    metrics: Arc<Metrics>,
}

impl World {
    /// Loads a file. Credentials that cannot be resolved do not fail it; everything else does.
    pub fn load(path: &Path, metrics: Arc<Metrics>) -> Result<Self, LoadError> {
        let mut world = Self::new(read(path)?, metrics)?;
        world.path = Some(path.to_owned());
        Ok(world)
    }

    /// The world of a configuration that is already checked.
    pub fn new(config: Config, metrics: Arc<Metrics>) -> Result<Self, LoadError> {
        let mut found = Found::of(&config.credentials);
        let secrets = ClientSecrets::resolve(&config.clients);
        found.note_clients(&secrets);
        say_new(&found.faults, &HashMap::new());
        let snapshot = Snapshot::build(&config, (&found.keys, &secrets), &metrics, None)
            .map_err(|error| LoadError::Use(error.to_string()))?;
        say_unprovable(&snapshot);
        let snapshot = Arc::new(ArcSwap::from_pointee(snapshot));
        let unresolved = Arc::new(Mutex::new(found.faults));
        metrics.reload_success.set(1);
        let world = Self { path: None, config, keys: found.keys, secrets, unresolved, snapshot, metrics };
        world.stamp();
        world.count();
        Ok(world)
    }

    /// The configuration in force.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The pointer that workers read.
    pub fn snapshot(&self) -> Arc<ArcSwap<Snapshot>> {
        self.snapshot.clone()
    }

    /// Why credentials are missing, by name.
    pub fn unresolved(&self) -> Unresolved {
        self.unresolved.clone()
    }

    /// Reads the file again and swaps the snapshot; on any error nothing changes.
    pub fn reload(&mut self) -> Result<(), LoadError> {
        let outcome = self.try_reload();
        self.metrics.reload_success.set(i64::from(outcome.is_ok()));
        self.stamp();
        outcome
    }

    fn try_reload(&mut self) -> Result<(), LoadError> {
        let Some(path) = &self.path else { return Ok(()) };
        let config = read(path)?;
        let (old, new) = (&self.config.server, &config.server);
        if (&old.listen, old.admin, old.workers) != (&new.listen, new.admin, new.workers) {
            let fixed = "`server.listen`, `server.admin` and `server.workers` cannot change in a reload; restart for them";
            return Err(LoadError::Use(fixed.into()));
        }
        if self.config.audit != config.audit {
            // One writer goes on with one chain: what it was begun with stays until it ends.
            return Err(LoadError::Use("`audit` cannot change in a reload; restart for it".into()));
        }
        let mut found = Found::of(&config.credentials);
        let secrets = ClientSecrets::resolve(&config.clients);
        found.note_clients(&secrets);
        say_new(&found.faults, &HashMap::new());
        let previous = self.snapshot.load_full();
        let built = Snapshot::build(&config, (&found.keys, &secrets), &self.metrics, Some(&previous))
            .map_err(|error| LoadError::Use(error.to_string()))?;
        say_unprovable(&built);
        self.snapshot.store(Arc::new(built));
        *self.faults() = found.faults;
        let before = std::mem::replace(&mut self.config, config);
        self.keys = found.keys;
        self.secrets = secrets;
        for credential in before.credentials {
            self.forget(credential.name);
        }
        self.count();
        Ok(())
    }

    /// When [`World::renew`] has something to do next; `None`: never.
    pub fn next_renewal(&self) -> Option<Duration> {
        let now = Timestamp::now();
        self.config
            .credentials
            .iter()
            .filter_map(|credential| match self.keys.get(&credential.name) {
                None => Some(RETRY),
                Some(key) => {
                    let left = Duration::try_from(now.until(key.expires?).ok()?).unwrap_or_default();
                    // A key that came with its end behind it is not asked for without a pause.
                    Some(left.saturating_sub(AHEAD).max(RETRY.min(left)).max(PAUSE))
                }
            })
            .chain(self.secrets.faults().next().map(|_| RETRY))
            .min()
    }

    /// Resolves what is missing or about to expire. What is still good stays, even if its renewal fails.
    pub fn renew(&mut self) {
        let now = Timestamp::now();
        let stale = |key: &Resolved| key.expires.is_some_and(|expires| expires - AHEAD <= now);
        let due = |credential: &&config::Credential| self.keys.get(&credential.name).is_none_or(stale);
        let mut found = Found::of(self.config.credentials.iter().filter(due));
        let missing = self.secrets.faults().count();
        if missing > 0 {
            self.secrets = std::mem::take(&mut self.secrets).completed(&self.config.clients);
        }
        found.note_clients(&self.secrets);
        let before = self.keys.len();
        self.keys.retain(|_, key| key.expires.is_none_or(|expires| expires > now));
        let changed = !found.keys.is_empty() || self.keys.len() != before;
        let changed = changed || self.secrets.faults().count() != missing;
        {
            let mut faults = self.faults();
            say_new(&found.faults, &faults);
            faults.retain(|name, _| !found.keys.contains_key(name) && !name.starts_with(CLIENT));
            faults.extend(found.faults);
        }
        self.keys.extend(found.keys);
        if changed {
            let given = (&self.keys, &self.secrets);
            let renewed = self.snapshot.load().renewed(&self.config, given, &self.metrics);
            match renewed {
                Ok(renewed) => self.snapshot.store(Arc::new(renewed)),
                Err(error) => tracing::error!(%error, "what was resolved cannot be used; the old keys stay"),
            }
        }
        self.count();
    }

    fn faults(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.unresolved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings the metrics of every credential up to date.
    fn count(&self) {
        let snapshot = self.snapshot.load();
        let faults = self.faults();
        for config::Credential { name, .. } in &self.config.credentials {
            let label = CredentialLabel { credential: name.clone() };
            let mute =
                snapshot.routes.iter().any(|route| *route.credential == **name && route.signer.is_none());
            let key = self.keys.get(name);
            self.metrics.credential_ready.get_or_create(&label).set(i64::from(key.is_some() && !mute));
            let failures = self.metrics.credential_failures.get_or_create(&label);
            if faults.contains_key(name) {
                failures.inc();
            }
            if let Some(expires) = key.and_then(|key| key.expires) {
                self.metrics.credential_expiry.get_or_create(&label).set(expires.as_second());
            }
        }
    }

    /// Drops the metrics of a credential that the configuration does not name any more.
    fn forget(&self, credential: String) {
        if self.config.credentials.iter().any(|known| known.name == credential) {
            return;
        }
        let label = CredentialLabel { credential };
        self.metrics.credential_ready.remove(&label);
        self.metrics.credential_expiry.remove(&label);
        self.metrics.credential_failures.remove(&label);
    }

    #[allow(clippy::cast_precision_loss)]
    fn stamp(&self) {
        self.metrics.reload_timestamp.set(Timestamp::now().as_second() as f64);
    }
}

fn read(path: &Path) -> Result<Config, LoadError> {
    config::load(path).map_err(|problems| LoadError::Config(problems.to_string()))
}

/// Says why credentials are missing, once: what is tried again and again is not news again and again.
fn say_new(faults: &HashMap<String, String>, known: &HashMap<String, String>) {
    for (name, error) in faults.iter().filter(|(name, why)| known.get(*name) != Some(*why)) {
        if let Some(client) = name.strip_prefix(CLIENT) {
            tracing::error!(client, error, "client cannot be proved");
        } else {
            tracing::error!(credential = name, error, "credential unavailable");
        }
    }
}

/// Clients that nobody can be stay in the way of nobody else, but somebody wanted them.
fn say_unprovable(world: &Snapshot) {
    for (client, error) in world.clients.unprovable() {
        tracing::error!(client, error, "client cannot be proved");
    }
}

/// What resolving some credentials came to, by their names. No lock is held meanwhile: a source may take long.
struct Found {
    keys: HashMap<String, Resolved>,
    faults: HashMap<String, String>,
}

impl Found {
    fn of<'c>(credentials: impl IntoIterator<Item = &'c config::Credential>) -> Self {
        let mut found = Self { keys: HashMap::new(), faults: HashMap::new() };
        for credential in credentials {
            let name = credential.name.clone();
            match credentials::resolve(credential) {
                Ok(key) => drop(found.keys.insert(name, key)),
                Err(error) => drop(found.faults.insert(name, error.to_string())),
            }
        }
        found
    }

    /// Adds what is missing of clients; of several things of one client, the last.
    fn note_clients(&mut self, secrets: &ClientSecrets) {
        for fault in secrets.faults() {
            self.faults.insert(format!("{CLIENT}{}", fault.client), fault.to_string());
        }
    }
}

//! Who is calling: the configured clients, prepared, and the proofs by which a caller is one of them.
//!
//! [`Clients`] are those of a whole configuration, [`Entrance`] is what one route asks of its callers. Pure but for
//! [`account`]: a connection's facts and a request's head go in, an [`Identity`] or a [`Refusal`] comes out. Nothing
//! here decides what a client may do.

pub mod account;
mod conditions;
mod entrance;
mod local;
mod replays;
mod token;

use std::collections::HashMap;
use std::sync::Arc;

pub use entrance::{Entrance, Identity, Refusal, Shown};
pub use local::{Verified, local_region};
pub use replays::{Replay, Replays};

use crate::config;
use crate::credentials::ClientSecrets;
use crate::sign::Scheme;
use conditions::Conditions;
use local::LocalKey;

/// All clients, ready to be recognised. An index names one: its place in the configuration.
pub struct Clients {
    list: Vec<Client>,
    keys: HashMap<Box<str>, LocalKey>,
    /// By the SHA-256 of the token, so that looking one up compares nothing of the token itself.
    tokens: HashMap<[u8; 32], usize>,
    /// The distinct schemes that local keys sign with, over all routes.
    schemes: Vec<Scheme>,
}

/// One client, without its secrets.
struct Client {
    name: Arc<str>,
    conditions: Conditions,
    has_tokens: bool,
    has_keys: bool,
}

/// Two clients have the same token, so that it proves neither.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("clients `{0}` and `{1}` have the same token; give each its own")]
pub struct SameToken(String, String);

impl Clients {
    /// Prepares the clients of a configuration with the secrets that could be resolved.
    ///
    /// # Errors
    /// A token that two clients share.
    pub fn new(config: &config::Config, secrets: &ClientSecrets) -> Result<Self, SameToken> {
        let list: Vec<Client> = config.clients.iter().map(Client::new).collect();
        let numbers: HashMap<&str, usize> =
            config.clients.iter().enumerate().map(|(index, client)| (client.name.as_str(), index)).collect();
        let mut tokens = HashMap::new();
        for held in &secrets.tokens {
            let (Ok(hash), Some(&client)) = (&held.value, numbers.get(held.client.as_str())) else {
                continue;
            };
            if let Some(other) = tokens.insert(*hash, client).filter(|other| *other != client) {
                return Err(SameToken(list[other].name.to_string(), held.client.clone()));
            }
        }
        let mut schemes = Vec::new();
        for route in config.routes.iter().filter(|route| route.clients.is_some()) {
            for (_, scheme) in local::schemes(&route.scheme, &route.shape) {
                if !schemes.contains(&scheme) {
                    schemes.push(scheme);
                }
            }
        }
        let keys = secrets.keys.iter().filter_map(|held| {
            let client = *numbers.get(held.client.as_str())?;
            let secret = held.value.as_ref().ok()?.clone();
            Some((held.access_key.as_str().into(), LocalKey::new(client, secret, schemes.len())))
        });
        let keys = keys.collect();
        Ok(Self { list, keys, tokens, schemes })
    }

    /// Clients that nobody can be on this machine, because it does not know their `unix-user` or `unix-group`, or because
    /// no request can show all that they ask for: the client's name, and why. The rest of the configuration works.
    pub fn unprovable(&self) -> impl Iterator<Item = (&str, String)> {
        self.list.iter().filter_map(|client| {
            let why = match client.conditions.unknown() {
                Some(kind) => format!("this machine does not know its `unix-{kind}`; nobody is this client"),
                None if client.has_keys && client.has_tokens => {
                    "no request can show a token and a signature at once; make it two clients".to_owned()
                }
                None => return None,
            };
            Some((&*client.name, why))
        })
    }

    /// The name of a client.
    pub fn name(&self, client: usize) -> Arc<str> {
        self.list[client].name.clone()
    }
}

impl Client {
    fn new(client: &config::Client) -> Self {
        Self {
            name: client.name.as_str().into(),
            conditions: Conditions::new(client),
            has_tokens: !client.conditions.tokens.is_empty(),
            has_keys: !client.conditions.keys.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests;

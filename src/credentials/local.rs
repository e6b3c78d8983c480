//! What clients prove themselves with, resolved: tokens as their hashes, secrets of local keys.
//!
//! Blocking, as all of this room. A token is hashed as soon as it is read, and only the hash is kept.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::{Environment, Failure, clean, kind, read, take};
use crate::config::{Client, SecretRef};
use crate::secret::Secret;
use crate::sign::digest::sha256;

/// What a reference begins with that holds a token's hash instead of the token.
const HASHED: &[u8] = b"sha256:";

/// The tokens and keys of all clients, in the order of the configuration.
#[derive(Default)]
pub struct ClientSecrets {
    /// The SHA-256 of each token.
    pub tokens: Vec<Held<[u8; 32]>>,
    /// The secret of each local key.
    pub keys: Vec<Held<Arc<Secret>>>,
}

/// One token or key of a client, if it could be had.
pub struct Held<T> {
    /// The client's name.
    pub client: String,
    /// The id of a local key; empty for a token.
    pub access_key: String,
    /// Where it comes from, as the configuration names the kind.
    pub source: &'static str,
    /// The value, or why there is none.
    pub value: Result<T, ClientSecretError>,
}

/// Why a client cannot be proved. Holds names and what is wrong; never a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSecretError {
    /// The client's name.
    pub client: String,
    /// `token`, or `secret-key` with the id of its local key.
    pub part: String,
    /// The source, as the configuration names its kind.
    pub source: &'static str,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub help: String,
}

impl fmt::Display for ClientSecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client, part, source, problem, help } = self;
        write!(f, "client `{client}`, {part}, from {source}: {problem}; {help}")
    }
}

impl std::error::Error for ClientSecretError {}

impl ClientSecrets {
    /// Resolves everything from the process's environment, files and programs. What cannot be had is kept as its
    /// error: its client cannot be proved by it, and nobody else can either.
    pub fn resolve(clients: &[Client]) -> Self {
        Self::default().completed(clients)
    }

    /// The same clients with another attempt at what is missing.
    #[must_use]
    pub fn completed(self, clients: &[Client]) -> Self {
        let environment: Environment<'_> = &|name| std::env::var_os(name);
        let (mut tokens, mut keys) = (self.tokens.into_iter(), self.keys.into_iter());
        let mut out = Self::default();
        for Client { name, conditions, .. } in clients {
            for reference in &conditions.tokens {
                let earlier = tokens.next().and_then(|held| held.value.ok());
                let value = earlier.map_or_else(|| token(reference, environment), Ok);
                out.tokens.push(held(name, "", "`token`".to_owned(), reference, value));
            }
            for key in &conditions.keys {
                let earlier = keys.next().and_then(|held| held.value.ok());
                let value = earlier.map_or_else(|| secret(&key.secret_key, environment), Ok);
                let part = format!("`secret-key` of `{}`", key.access_key);
                out.keys.push(held(name, &key.access_key, part, &key.secret_key, value));
            }
        }
        out
    }

    /// Everything that is missing.
    pub fn faults(&self) -> impl Iterator<Item = &ClientSecretError> {
        let tokens = self.tokens.iter().filter_map(|held| held.value.as_ref().err());
        tokens.chain(self.keys.iter().filter_map(|held| held.value.as_ref().err()))
    }
}

fn held<T>(
    client: &str,
    access_key: &str,
    part: String,
    reference: &SecretRef,
    value: Result<T, Failure>,
) -> Held<T> {
    let source = kind(reference);
    let value = value.map_err(|Failure { problem, help }| {
        let client = client.to_owned();
        ClientSecretError { client, part, source, problem, help }
    });
    Held { client: client.to_owned(), access_key: access_key.to_owned(), source, value }
}

fn secret(reference: &SecretRef, environment: Environment<'_>) -> Result<Arc<Secret>, Failure> {
    let bytes = read(reference, environment).and_then(|bytes| clean(bytes, "secret key"))?;
    Ok(Arc::new(Secret::new(take(bytes))))
}

fn token(reference: &SecretRef, environment: Environment<'_>) -> Result<[u8; 32], Failure> {
    let bytes: Zeroizing<Vec<u8>> = read(reference, environment).and_then(|bytes| clean(bytes, "token"))?;
    if let Some(hex) = bytes.strip_prefix(HASHED) {
        let help = "write `sha256:` and 64 hexadecimal digits, or the token itself";
        let hash = unhex(hex).ok_or_else(|| Failure::new("the hash is not 64 hexadecimal digits", help))?;
        // A caller that shows an empty token would have it.
        return if hash == sha256(b"") {
            Err(Failure::new("the hash is that of nothing", help))
        } else {
            Ok(hash)
        };
    }
    if !bytes.iter().all(u8::is_ascii_graphic) {
        let help = "a token travels in a header: letters, digits and punctuation, without blanks";
        return Err(Failure::new("the token is not visible ASCII", help));
    }
    Ok(sha256(&bytes))
}

fn unhex(digits: &[u8]) -> Option<[u8; 32]> {
    let mut out = [0; 32];
    if digits.len() != 64 {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |digit: u8| char::from(digit).to_digit(16);
        *byte = u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok()?;
    }
    Some(out)
}

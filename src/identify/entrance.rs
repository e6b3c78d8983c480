//! What one route asks of its callers, and the choice of exactly one client for a request, or of none.
//!
//! A signature is verified before anything else counts, then a token, then what the connection tells. A proof that is
//! shown and wrong is refused, even where another client's conditions would hold.

use super::local::{self, Verified};
use super::{Clients, token};
use crate::caller::Peer;
use crate::config;
use crate::reason::Reason;
use crate::sign::claim::{self, Claim, Family, Place};
use crate::sign::{Head, Payload, Scratch, Timestamp, VerifyError};

/// The clients of a route, in its order, and the schemes that they may sign with.
pub struct Entrance {
    clients: Vec<usize>,
    /// Whether some client has local keys; without one a signature counts for nothing.
    takes_keys: bool,
    /// Whether some client has tokens.
    takes_tokens: bool,
    families: Vec<Family>,
    /// Of each family, the number of its scheme among those of [`Clients`].
    schemes: Vec<usize>,
}

/// What a request shows of its caller, not yet judged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// A signature.
    Signature(Family, Place),
    /// A token, by its hash.
    Token([u8; 32]),
    /// Nothing that counts on this route.
    Nothing,
}

/// Who is calling.
pub struct Identity<'c> {
    /// The index of the client.
    pub client: usize,
    /// The strongest of its conditions, as the configuration names it.
    pub proof: &'static str,
    /// Its signature, when that was the proof.
    pub signature: Option<Verified<'c>>,
}

/// Why a caller is nobody here.
pub struct Refusal {
    /// What the caller learns.
    pub reason: Reason,
    /// What only the record learns; empty when the reason says it all.
    pub cause: String,
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self { reason, cause: String::new() }
    }
}

impl Clients {
    /// What `route` asks of its callers; `None` when it asks nothing.
    pub fn entrance(&self, route: &config::Route) -> Option<Entrance> {
        let names = route.clients.as_ref()?;
        let find = |name: &String| self.list.iter().position(|client| *client.name == **name);
        let clients: Vec<usize> = names.iter().filter_map(find).collect();
        let local = local::schemes(&route.scheme, &route.shape);
        let number = |scheme| self.schemes.iter().position(|known| known == scheme);
        let (families, schemes) =
            local.iter().filter_map(|(family, scheme)| Some((*family, number(scheme)?))).unzip();
        Some(Entrance {
            takes_keys: clients.iter().any(|&client| self.list[client].has_keys),
            takes_tokens: clients.iter().any(|&client| self.list[client].has_tokens),
            clients,
            families,
            schemes,
        })
    }
}

impl Entrance {
    /// Whether a signature counts here.
    pub fn takes_keys(&self) -> bool {
        self.takes_keys
    }

    /// Finds what counts here in a request; `form` is the body of a CloudStack form.
    ///
    /// # Errors
    /// Two proofs at once.
    pub fn shown(&self, head: &Head<'_>, form: Option<&[u8]>) -> Result<Shown, Refusal> {
        let token = if self.takes_tokens { token::shown(head.headers)? } else { None };
        let families = if self.takes_keys { &self.families[..] } else { &[] };
        let signature = claim::find(head, form, families).map_err(|error| bad(error, Place::Header))?;
        match (signature, token) {
            (Some(_), Some(_)) => Err(Reason::AmbiguousRequest("a token and a signature").into()),
            (Some((family, place)), None) => Ok(Shown::Signature(family, place)),
            (None, Some(hash)) => Ok(Shown::Token(hash)),
            (None, None) => Ok(Shown::Nothing),
        }
    }

    /// Reads the claim of a signature that [`Self::shown`] found.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn claim(
        &self,
        (family, place): (Family, Place),
        head: &Head<'_>,
        payload: Payload<'_>,
        scratch: &mut Scratch,
    ) -> Result<Claim, Refusal> {
        claim::read((family, place), head, payload, scratch).map_err(|error| bad(error, place))
    }

    /// The client whose local key made the signature of `claim`, over this head and this payload.
    ///
    /// # Errors
    /// The key is none of this route's, the signature does not hold, or another condition of the client does not.
    pub fn by_signature<'c>(
        &self,
        clients: &'c Clients,
        claim: Claim,
        (head, payload): (&Head<'_>, Payload<'_>),
        peer: &Peer,
        now: Timestamp,
        scratch: &mut Scratch,
    ) -> Result<Identity<'c>, Refusal> {
        let unknown = || bad(VerifyError::UnknownKey, claim.place);
        let key = clients.keys.get(claim.key.as_str()).ok_or_else(unknown)?;
        let client = key.client;
        let name = &clients.list[client].name;
        if !self.clients.contains(&client) {
            let cause = format!("a key of client `{name}`, which this route does not list");
            return Err(Refusal { cause, ..unknown() });
        }
        let at = self.families.iter().position(|family| *family == claim.family).ok_or_else(unknown)?;
        let number = self.schemes[at];
        let signer = key.signer(&claim.key, number, &clients.schemes[number]).ok_or_else(unknown)?;
        signer.verify(head, payload, now, scratch).map_err(|error| bad(error, claim.place))?;
        check(clients, client, peer)?;
        if clients.list[client].has_tokens {
            return Err(not_held(name, "token"));
        }
        Ok(Identity { client, proof: "keys", signature: Some(Verified { claim, signer }) })
    }

    /// The client whose token has this hash.
    ///
    /// # Errors
    /// The token is none of this route's, or another condition of its client does not hold.
    pub fn by_token<'c>(
        &self,
        clients: &'c Clients,
        hash: &[u8; 32],
        peer: &Peer,
    ) -> Result<Identity<'c>, Refusal> {
        let client = clients.tokens.get(hash).copied().filter(|client| self.clients.contains(client));
        let client = client.ok_or(Reason::TokenUnknown)?;
        check(clients, client, peer)?;
        if clients.list[client].has_keys {
            return Err(not_held(&clients.list[client].name, "keys"));
        }
        Ok(Identity { client, proof: "token", signature: None })
    }

    /// The first client whose conditions the connection fulfils by itself.
    ///
    /// # Errors
    /// There is none.
    pub fn by_connection<'c>(&self, clients: &'c Clients, peer: &Peer) -> Result<Identity<'c>, Refusal> {
        let fits = |client: &&usize| {
            let client = &clients.list[**client];
            !client.has_keys && !client.has_tokens && client.conditions.failing(peer).is_none()
        };
        match self.clients.iter().find(fits) {
            Some(&client) => {
                let proof = clients.list[client].conditions.strongest();
                Ok(Identity { client, proof, signature: None })
            }
            None if self.takes_keys || self.takes_tokens => {
                Err(Reason::NotAuthenticated { token: self.takes_tokens }.into())
            }
            None => Err(Reason::ClientNotAllowed.into()),
        }
    }
}

fn check(clients: &Clients, client: usize, peer: &Peer) -> Result<(), Refusal> {
    let client = &clients.list[client];
    client.conditions.failing(peer).map_or(Ok(()), |condition| Err(not_held(&client.name, condition)))
}

fn not_held(client: &str, condition: &str) -> Refusal {
    let cause = format!("client `{client}`: `{condition}` does not hold");
    Refusal { reason: Reason::ClientNotAllowed, cause }
}

fn bad(error: VerifyError, place: Place) -> Refusal {
    Refusal { reason: Reason::BadSignature(error, place), cause: error.to_string() }
}

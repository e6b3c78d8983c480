//! Secret bytes, and the key pair that a signer is prepared with.
//!
//! A [`Secret`] has no `Debug`, no `Display`, no `Serialize` and no `Clone`; it is wiped when dropped and shown
//! only by [`Secret::expose`], so that every place that reads one can be found by that word.

use zeroize::Zeroizing;

/// Bytes that must never be printed, logged or compared with `==`.
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes ownership of the bytes; they are wiped on drop.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes themselves, for a MAC or a header; never for a message.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text.as_bytes().to_vec())
    }
}

/// One credential, resolved: what a scheme needs in order to sign.
pub struct Key {
    /// The access key id. Not secret: the record states it; logs name the credential instead.
    pub id: String,
    /// The secret key.
    pub secret: Secret,
    /// The session token of a temporary credential.
    pub session_token: Option<Secret>,
}

impl Key {
    /// A copy for another signer. Not `Clone`, so that every place that multiplies a secret can be found.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        let copy = |secret: &Secret| Secret::new(secret.expose().to_vec());
        Self {
            id: self.id.clone(),
            secret: copy(&self.secret),
            session_token: self.session_token.as_ref().map(copy),
        }
    }
}

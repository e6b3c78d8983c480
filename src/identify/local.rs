//! Local keys: keys that work only here, and the schemes that their owners may sign with.
//!
//! A key's signers are made when they are first needed and kept, so that ten thousand keys cost a look-up each.

use std::sync::{Arc, OnceLock};

use crate::config::Shape;
use crate::secret::{Key, Secret};
use crate::sign::chunked::ChunkVerifier;
use crate::sign::claim::{Claim, Family};
use crate::sign::{ChunkMode, Scheme, Signer, cloudstack, s3v2, sigv4, zstack};

/// The region of local SigV4 signatures on routes whose own scheme names none; every S3 client's default.
const DEFAULT_REGION: &str = "us-east-1";

/// The schemes that a caller may sign with on a route: all of the family of the route's own. An S3 upstream of one
/// version takes callers of the other, because the gateway signs anew.
pub(super) fn schemes(scheme: &Scheme, shape: &Shape) -> Vec<(Family, Scheme)> {
    match (scheme, shape) {
        (Scheme::Cloudstack(options), _) => {
            let options = cloudstack::Options { bound_expires: true, ..options.clone() };
            vec![(Family::Cloudstack, Scheme::Cloudstack(options))]
        }
        (Scheme::Zstack(options), _) => {
            // Local dates are in GMT, whatever the upstream's clock shows.
            let local = zstack::Options::in_zone("GMT", None).ok();
            let local = local.map(|local| local.with_context_path(&options.context_path));
            local.map(|local| (Family::Zstack, Scheme::Zstack(local))).into_iter().collect()
        }
        (Scheme::S3V2(options), _) => {
            let fourth = sigv4::Options::s3(DEFAULT_REGION, "s3");
            vec![(Family::SigV4, Scheme::SigV4(fourth)), (Family::S3V2, Scheme::S3V2(options.clone()))]
        }
        (Scheme::SigV4(options), Shape::S3 { .. }) => {
            let second = s3v2::Options::new(s3v2::Dialect::Aws);
            vec![(Family::SigV4, Scheme::SigV4(options.clone())), (Family::S3V2, Scheme::S3V2(second))]
        }
        (Scheme::SigV4(options), _) => vec![(Family::SigV4, Scheme::SigV4(options.clone()))],
    }
}

/// The region that local SigV4 signatures must name on a route of this scheme.
pub fn local_region(scheme: &Scheme) -> &str {
    match scheme {
        Scheme::SigV4(options) => &options.region,
        Scheme::Cloudstack(_) | Scheme::Zstack(_) | Scheme::S3V2(_) => DEFAULT_REGION,
    }
}

/// A scheme with a local key in it; none when the scheme cannot use the key.
type Prepared = Option<Box<dyn Signer>>;

/// A local key of a client.
pub(super) struct LocalKey {
    /// The index of its client.
    pub(super) client: usize,
    secret: Arc<Secret>,
    /// One for each of the distinct local schemes, prepared when it is first needed.
    signers: Box<[OnceLock<Prepared>]>,
}

impl LocalKey {
    pub(super) fn new(client: usize, secret: Arc<Secret>, schemes: usize) -> Self {
        Self { client, secret, signers: (0..schemes).map(|_| OnceLock::new()).collect() }
    }

    /// The signer for the scheme of this number.
    pub(super) fn signer(&self, id: &str, number: usize, scheme: &Scheme) -> Option<&dyn Signer> {
        let prepare = || {
            let secret = Secret::new(self.secret.expose().to_vec());
            scheme.prepare(Key { id: id.to_owned(), secret, session_token: None }).ok()
        };
        self.signers.get(number)?.get_or_init(prepare).as_deref()
    }
}

/// A signature that holds.
pub struct Verified<'c> {
    /// What it claimed.
    pub claim: Claim,
    pub(super) signer: &'c dyn Signer,
}

impl Verified<'_> {
    /// The judge of the chunks that follow in this mode; `None` where this signature cannot vouch for any.
    pub fn chunk_verifier(&self, mode: ChunkMode) -> Option<ChunkVerifier> {
        let signer = self.signer.chunk_signer(&self.claim.signature, mode, self.claim.signed_at?)?;
        Some(ChunkVerifier::from(signer))
    }
}

//! The least that a signature costs: hashing exactly the bytes that it hashes, by the same back end, and nothing else.

use std::hint::black_box;

use countersign::sign::Scratch;
use countersign::sign::digest::{MacSha1, MacSha256, sha256};

use super::Case;

/// The bytes of some requests' signatures.
pub struct Floor(Vec<Bytes>);

struct Bytes {
    canonical: Option<Vec<u8>>,
    to_sign: Vec<u8>,
    mac: Mac,
}

#[allow(clippy::large_enum_variant, reason = "a box would stand between the floor and its key")]
enum Mac {
    Sha1(MacSha1),
    Sha256(MacSha256),
}

impl Floor {
    pub fn of(cases: &[Case]) -> Self {
        let mut scratch = Scratch::new();
        let bytes = cases.iter().map(|case| {
            let signer = case.prepare();
            let edits = case.edits(signer.as_ref(), &mut scratch);
            let canonical = edits.stages.canonical_request.map(<[u8]>::to_vec);
            // Any key of the right length costs what the real one does.
            let mac = match &canonical {
                Some(_) => Mac::Sha256(MacSha256::new(&[7; 32])),
                None => Mac::Sha1(MacSha1::new(&[7; 40])),
            };
            Bytes { canonical, to_sign: edits.stages.string_to_sign.to_vec(), mac }
        });
        Self(bytes.collect())
    }

    pub fn run(&self) {
        for bytes in &self.0 {
            if let Some(canonical) = &bytes.canonical {
                black_box(sha256(black_box(canonical)));
            }
            match &bytes.mac {
                Mac::Sha1(mac) => {
                    black_box(mac.sign(black_box(&bytes.to_sign)));
                }
                Mac::Sha256(mac) => {
                    black_box(mac.sign(black_box(&bytes.to_sign)));
                }
            }
        }
    }
}

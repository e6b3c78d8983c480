//! `aws-chunked`, read back: every published body, random ones in random splits, and bodies with something changed.
//!
//! Each random run draws a new seed and prints it; `COUNTERSIGN_SEED` runs that one again. `COUNTERSIGN_VECTORS` names
//! another directory of vectors (default `tests/vectors`).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, unreachable_pub, dead_code)]

#[path = "hostile/dice.rs"]
mod dice;

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use countersign::checksum::{Algorithm, Checksum};
use countersign::secret::{Key, Secret};
use countersign::sign::chunked::{ChunkVerifier, DecodeError, Decoder, SignedPart, Trailer};
use countersign::sign::{ChunkMode, Scheme, Signer, Timestamp, digest, encode, sigv4};
use dice::Dice;
use serde_json::Value;

const MODES: [ChunkMode; 3] = [ChunkMode::Signed, ChunkMode::SignedTrailer, ChunkMode::UnsignedTrailer];

/// One encoded body and all that is needed to make and to read it.
struct Body {
    signer: Box<dyn Signer>,
    mode: ChunkMode,
    now: Timestamp,
    seed: String,
    plain: Vec<u8>,
    trailers: Vec<(String, String)>,
    wire: Vec<u8>,
}

/// Whether a decoder verifies signatures.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Signatures {
    Verified,
    Stripped,
}

/// The data, and the first error or the trailers.
type Outcome = (Vec<u8>, Result<Vec<Trailer>, DecodeError>);

impl Body {
    fn encode(&mut self, chunk_size: usize) {
        let mut driver = self.signer.chunk_signer(&self.seed, self.mode, self.now).unwrap();
        let trailers: Vec<(&str, &str)> =
            self.trailers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.plain.chunks(chunk_size).for_each(|data| driver.chunk(data, &mut self.wire));
        driver.finish(&trailers, &mut self.wire);
    }

    fn decoder(&self, signatures: Signatures) -> Decoder {
        let chain = || self.signer.chunk_signer(&self.seed, self.mode, self.now).unwrap();
        let verifier = (signatures == Signatures::Verified).then(|| ChunkVerifier::from(chain()));
        let declared: Vec<&str> = self.trailers.iter().map(|(name, _)| name.as_str()).collect();
        Decoder::new(self.mode, Some(self.plain.len() as u64), &declared, verifier).unwrap()
    }

    fn decode(&self, signatures: Signatures, wire: &[u8]) -> Outcome {
        decode(self.decoder(signatures), [wire])
    }

    /// What a good body decodes to.
    fn expected(&self) -> Outcome {
        let trailers = self.trailers.iter();
        let trailers =
            trailers.map(|(name, value)| Trailer { name: name.clone(), value: value.clone() }).collect();
        (self.plain.clone(), Ok(trailers))
    }

    /// A body that decodes to something else, and whose checksum does not show it, got through.
    fn is_fooled_by(&self, signatures: Signatures, wire: &[u8]) -> bool {
        let outcome = self.decode(signatures, wire);
        outcome != self.expected()
            && outcome
                .1
                .as_ref()
                .is_ok_and(|trailers| trailers.iter().all(|trailer| holds(trailer, &outcome.0)))
    }
}

fn holds(trailer: &Trailer, data: &[u8]) -> bool {
    let mut checksum = Checksum::new(Algorithm::from_header(&trailer.name).unwrap());
    checksum.update(data);
    checksum.matches(&trailer.value)
}

fn decode<'p>(mut decoder: Decoder, pieces: impl IntoIterator<Item = &'p [u8]>) -> Outcome {
    let mut data = Vec::new();
    for piece in pieces {
        let mut input = Bytes::copy_from_slice(piece);
        loop {
            match decoder.decode(&mut input) {
                Ok(Some(slice)) => data.extend_from_slice(&slice),
                Ok(None) => break,
                Err(error) => return (data, Err(error)),
            }
        }
    }
    (data, decoder.finish())
}

fn vectors() -> Vec<(String, Body)> {
    let named = std::env::var_os("COUNTERSIGN_VECTORS").unwrap_or_else(|| "tests/vectors".into());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(named).join("s3v4_streaming.json");
    let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let cases = file["vectors"].as_array().unwrap();
    assert_eq!(Some(cases.len() as u64), file["count"].as_u64());
    assert!(!cases.is_empty());
    cases.iter().map(|case| (case["name"].as_str().unwrap().to_owned(), vector(case))).collect()
}

fn vector(case: &Value) -> Body {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let (given, expected) = (&case["request"], &case["expected"]);
    let key = Key {
        id: text(&case["credentials"]["access_key"]),
        secret: Secret::from(case["credentials"]["secret_key"].as_str().unwrap()),
        session_token: case["credentials"]["session_token"].as_str().map(Secret::from),
    };
    let options = sigv4::Options::s3(text(&case["region"]), text(&case["service"]));
    let unit = given["body_repeat"]["unit"].as_str().unwrap().chars();
    let unit: Vec<u8> = unit.map(|letter| u8::try_from(letter).unwrap()).collect();
    let length = usize::try_from(given["body_repeat"]["bytes"].as_u64().unwrap()).unwrap();
    let trailers = given["trailers"].as_array().into_iter().flatten();
    let mut body = Body {
        signer: Scheme::SigV4(options).prepare(key).unwrap(),
        mode: ChunkMode::from_token(case["mode"].as_str().unwrap()).unwrap(),
        now: case["clock"].as_str().unwrap().parse().unwrap(),
        seed: text(&expected["seed_signature"]),
        plain: unit.into_iter().cycle().take(length).collect(),
        trailers: trailers.map(|pair| (text(&pair[0]), text(&pair[1]))).collect(),
        wire: Vec::new(),
    };
    // The published bytes where there are any; else our own, held against the published digest.
    if let Some(wire) = expected["encoded_body_b64"].as_str() {
        body.wire = STANDARD.decode(wire).unwrap();
    } else {
        body.encode(usize::try_from(given["chunk_size"].as_u64().unwrap()).unwrap());
    }
    let digest = encode::hex32(&digest::sha256(&body.wire)).to_vec();
    assert_eq!(String::from_utf8(digest).unwrap(), text(&expected["encoded_sha256"]));
    body
}

fn random(dice: &mut Dice) -> Body {
    let key = Key { id: "AKID".to_owned(), secret: Secret::from("s3cr3t"), session_token: None };
    let mode = MODES[dice.below(MODES.len())];
    let most = [1, 20, 300, 3_000][dice.below(4)];
    // Half of it line ends, digits and the like, so that data looks like framing.
    let byte = |dice: &mut Dice| match dice.next().to_le_bytes() {
        [at, 0..128, ..] => b"\r\n0;:a"[usize::from(at) % 6],
        [any, ..] => any,
    };
    let plain: Vec<u8> = (0..dice.below(most)).map(|_| byte(dice)).collect();
    let mut trailers = Vec::new();
    if mode != ChunkMode::Signed {
        for algorithm in Algorithm::ALL.into_iter().filter(|_| dice.chance(40)) {
            let mut checksum = Checksum::new(algorithm);
            checksum.update(&plain);
            trailers.push((algorithm.header().to_owned(), checksum.finish()));
        }
    }
    let mut body = Body {
        signer: Scheme::SigV4(sigv4::Options::s3("r", "s3")).prepare(key).unwrap(),
        mode,
        now: "2026-03-04T05:06:07Z".parse().unwrap(),
        seed: format!("{:064x}", dice.next()),
        plain,
        trailers,
        wire: Vec::new(),
    };
    let most = [1, 17, 300, 5_000][dice.below(4)];
    let size = 1 + dice.below(most);
    body.encode(size);
    body
}

/// Cuts at random places; empty pieces among them.
fn split<'w>(dice: &mut Dice, wire: &'w [u8]) -> Vec<&'w [u8]> {
    let most = [1, 3, 100, 2_000][dice.below(4)];
    let (mut pieces, mut rest) = (Vec::new(), wire);
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(dice.below(most + 1).min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces
}

#[test]
fn every_vector_decodes() {
    let vectors = vectors();
    for (name, body) in &vectors {
        for signatures in [Signatures::Verified, Signatures::Stripped] {
            assert!(body.decode(signatures, &body.wire) == body.expected(), "{name} {signatures:?}");
            let pieces = body.wire.chunks(1000);
            assert!(decode(body.decoder(signatures), pieces) == body.expected(), "{name} in pieces");
        }
        // Checksums of the AWS SDKs, not of ours.
        let (data, trailers) = body.expected();
        assert!(trailers.unwrap().iter().all(|trailer| holds(trailer, &data)), "{name}: checksum");
    }
    println!("s3v4_streaming.json: {} bodies decoded and verified", vectors.len());
}

/// One changed bit anywhere. In the signed forms the signatures find it, whatever the trailers say; in the unsigned
/// form the framing, the length or the checksum does. What still passes decodes to the very same: the letter case of a
/// size's digit or of a trailer's name.
#[test]
fn one_changed_bit_is_found() {
    let mut dice = Dice::new("one_changed_bit_is_found");
    for (name, body) in vectors() {
        let places: Vec<usize> = if body.wire.len() < 700 {
            (0..body.wire.len() * 8).collect()
        } else {
            // Both ends, where the framing is, and some of the rest.
            let drawn: Vec<usize> = (0..100).map(|_| dice.below(body.wire.len() * 8)).collect();
            (0..1000)
                .chain(body.wire.len() * 8 - 2000..body.wire.len() * 8)
                .step_by(11)
                .chain(drawn)
                .collect()
        };
        for place in places {
            let mut wire = body.wire.clone();
            wire[place / 8] ^= 1 << (place % 8);
            if body.mode == ChunkMode::UnsignedTrailer {
                assert!(!body.is_fooled_by(Signatures::Verified, &wire), "{name}: bit {place}");
            } else {
                let outcome = body.decode(Signatures::Verified, &wire);
                assert!(outcome.1.is_err() || outcome == body.expected(), "{name}: bit {place}");
            }
        }
    }
}

/// Signed chunks belong to one place in one body.
#[test]
fn chunks_cannot_be_moved() {
    let mut dice = Dice::new("chunks_cannot_be_moved");
    for mode in [ChunkMode::Signed, ChunkMode::SignedTrailer] {
        let mut body = random(&mut dice);
        (body.mode, body.plain, body.trailers) = (mode, b"aaaabbbbaaaacccc".to_vec(), Vec::new());
        body.wire.clear();
        body.encode(4);
        assert!(body.decode(Signatures::Verified, &body.wire) == body.expected());
        // Size, extension, line end, data, line end.
        let frame = 1 + ";chunk-signature=".len() + 64 + 2 + 4 + 2;
        let frames: Vec<&[u8]> = body.wire[..4 * frame].chunks(frame).collect();
        let end = &body.wire[4 * frame..];
        let mismatch = Err(DecodeError::SignatureMismatch(SignedPart::Chunk));
        for order in [[1, 0, 2, 3], [0, 1, 1, 3], [2, 1, 0, 3], [0, 1, 3, 2], [0, 0, 0, 0]] {
            let mut wire: Vec<u8> = order.iter().flat_map(|&at| frames[at]).copied().collect();
            wire.extend_from_slice(end);
            assert_eq!(body.decode(Signatures::Verified, &wire).1, mismatch, "{mode:?} {order:?}");
            assert!(body.decode(Signatures::Stripped, &wire).1.is_ok(), "only the signatures tell");
        }
        // The end of another body, seeded by another head.
        let mut other = random(&mut dice);
        (other.mode, other.plain, other.trailers) = (mode, body.plain.clone(), Vec::new());
        other.wire.clear();
        other.encode(4);
        let wire = [&body.wire[..4 * frame], &other.wire[4 * frame..]].concat();
        assert_eq!(body.decode(Signatures::Verified, &wire).1, mismatch);
        assert_eq!(body.decode(Signatures::Verified, &other.wire).1, mismatch);
    }
}

#[test]
fn random_bodies_come_back() {
    let mut dice = Dice::new("random_bodies_come_back");
    for round in 0..250 {
        let body = random(&mut dice);
        for signatures in [Signatures::Verified, Signatures::Stripped] {
            let pieces = split(&mut dice, &body.wire);
            assert!(decode(body.decoder(signatures), pieces) == body.expected(), "{round} {signatures:?}");
        }
    }
}

/// Any split of any input, good or spoilt, gives the same data and the same error.
#[test]
fn splits_do_not_matter() {
    let mut dice = Dice::new("splits_do_not_matter");
    let mut faults = std::collections::HashSet::new();
    for round in 0..250 {
        let body = random(&mut dice);
        let mut wire = body.wire.clone();
        for _ in 0..dice.below(3) {
            spoil(&mut dice, &mut wire);
        }
        let signatures = if dice.chance(50) { Signatures::Verified } else { Signatures::Stripped };
        let whole = body.decode(signatures, &wire);
        faults.extend(whole.1.clone().err().map(|error| format!("{error:?}")));
        for _ in 0..3 {
            let pieces = split(&mut dice, &wire);
            let lengths: Vec<usize> = pieces.iter().map(|piece| piece.len()).collect();
            assert!(
                decode(body.decoder(signatures), pieces) == whole,
                "{round} {signatures:?} {:?} {lengths:?}",
                whole.1
            );
        }
        assert!(decode(body.decoder(signatures), wire.chunks(1)) == whole, "{round} byte by byte");
    }
    assert!(faults.len() >= 6, "the spoilt inputs are of many kinds: {faults:?}");
}

/// Changes, drops, adds, doubles or cuts.
fn spoil(dice: &mut Dice, wire: &mut Vec<u8>) {
    if wire.is_empty() {
        return;
    }
    let at = dice.below(wire.len());
    // Where the framing is.
    let at = if dice.chance(30) { at % 90 % wire.len() } else { at };
    let at = if dice.chance(30) { wire.len() - 1 - at % 200 % wire.len() } else { at };
    match dice.below(6) {
        0 => wire[at] ^= 1 << dice.below(8),
        1 => drop(wire.remove(at)),
        2 => wire.insert(at, b"\r\n0a;:- \0\xFF"[dice.below(10)]),
        3 => wire.truncate(at),
        4 => wire.push(dice.next().to_le_bytes()[0]),
        _ => {
            let piece = wire[at..wire.len().min(at + 40)].to_vec();
            wire.splice(at..at, piece);
        }
    }
}

/// No body that was spoilt in any of these ways passes for another one when its signatures are verified.
#[test]
fn no_spoilt_body_passes_for_another() {
    let mut dice = Dice::new("no_spoilt_body_passes_for_another");
    let mut refused = 0;
    for round in 0..1_000 {
        let body = random(&mut dice);
        if body.mode == ChunkMode::UnsignedTrailer && body.trailers.is_empty() {
            continue;
        }
        let mut wire = body.wire.clone();
        for _ in 0..=dice.below(3) {
            spoil(&mut dice, &mut wire);
        }
        assert!(!body.is_fooled_by(Signatures::Verified, &wire), "{round}");
        refused += usize::from(body.decode(Signatures::Verified, &wire).1.is_err());
    }
    assert!(refused > 500, "{refused}");
}

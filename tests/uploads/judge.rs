//! What an upstream that verifies everything makes of a request: head, digest, every chunk signature, the trailer
//! signature, and all headers that speak of the body.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::body::{ALGORITHMS, checksum};
use crate::support::Request;
use crate::support::message::Framing;
use crate::support::naive::{self, Keys, SigV4, hex};

/// How a body was covered by the signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Covered {
    Hashed,
    Unsigned,
    Signed,
    SignedTrailer,
    UnsignedTrailer,
}

/// A request that holds.
#[derive(Debug)]
pub struct Judged {
    pub covered: Covered,
    pub body: Vec<u8>,
    /// Sizes of the chunks.
    pub chunks: Vec<usize>,
    pub trailers: Vec<(String, String)>,
}

/// Judges a version 4 request, or says what its server would refuse.
pub fn judge(request: &Request) -> Result<Judged, String> {
    if !request.complete {
        return Err("it broke off".to_owned());
    }
    let word = request.headers.one("x-amz-content-sha256").unwrap_or_default();
    let covered = match word {
        "UNSIGNED-PAYLOAD" => Covered::Unsigned,
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" => Covered::Signed,
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" => Covered::SignedTrailer,
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER" => Covered::UnsignedTrailer,
        _ => Covered::Hashed,
    };
    let trailing = matches!(covered, Covered::SignedTrailer | Covered::UnsignedTrailer);
    match naive::sigv4(request, &Keys::default(), SigV4::S3) {
        Ok(_) => {}
        // The head is judged before the body, whose forms with trailers only this file knows.
        Err(why) if trailing && why == "XAmzContentSHA256Mismatch" => {}
        Err(why) => return Err(why),
    }
    let judged = match covered {
        Covered::Hashed | Covered::Unsigned => {
            Judged { covered, body: request.body.clone(), chunks: Vec::new(), trailers: Vec::new() }
        }
        _ => unframed(request, covered)?,
    };
    headers(request, &judged)?;
    Ok(judged)
}

/// The headers that speak of the body agree with it.
fn headers(request: &Request, judged: &Judged) -> Result<(), String> {
    let one = |name: &str| request.headers.one(name);
    let chunked = !matches!(judged.covered, Covered::Hashed | Covered::Unsigned);
    let encoding = one("content-encoding").unwrap_or_default();
    let names: Vec<&str> = encoding.split(',').filter(|name| name.trim() == "aws-chunked").collect();
    if names.len() != usize::from(chunked) || (chunked && !encoding.starts_with("aws-chunked")) {
        return Err(format!("content-encoding {encoding:?}"));
    }
    let decoded = chunked.then(|| judged.body.len().to_string());
    if one("x-amz-decoded-content-length").map(str::to_owned) != decoded {
        return Err(format!("decoded length {:?}", one("x-amz-decoded-content-length")));
    }
    let framed = request.framing == Framing::Length(request.body.len() as u64)
        || (request.framing == Framing::None && !matches!(request.method.as_str(), "PUT" | "POST"));
    if judged.covered != Covered::Unsigned && !framed {
        return Err(format!("{:?} where a length is known", request.framing));
    }
    let declared = judged.trailers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(",");
    if one("x-amz-trailer").unwrap_or_default() != declared {
        return Err(format!("x-amz-trailer {:?}, {declared:?} came", one("x-amz-trailer")));
    }
    let is_sum =
        |name: &str| name.strip_prefix("x-amz-checksum-").is_some_and(|rest| ALGORITHMS.contains(&rest));
    let stated = request.headers.0.iter().filter(|(name, _)| is_sum(name));
    let mut sums: Vec<(&str, &str)> = stated.map(|(name, value)| (name.as_str(), value.as_str())).collect();
    sums.extend(judged.trailers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    for (name, value) in &sums {
        let algorithm = name.strip_prefix("x-amz-checksum-").ok_or(format!("trailer {name}"))?;
        if *value != checksum(algorithm, &judged.body) {
            return Err(format!("BadDigest: {name}"));
        }
    }
    // Amazon refuses the name of an algorithm without a checksum.
    match one("x-amz-sdk-checksum-algorithm") {
        Some(algorithm) if sums.iter().all(|(name, _)| !name.ends_with(&algorithm.to_lowercase())) => {
            Err(format!("InvalidRequest: {algorithm} is named and absent"))
        }
        _ => Ok(()),
    }
}

fn mac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The chain of signatures of one body.
struct Chain {
    key: Vec<u8>,
    scope: String,
    previous: String,
}

impl Chain {
    fn of(request: &Request) -> Result<Self, String> {
        let date = request.headers.one("x-amz-date").ok_or("no date")?;
        let scope = format!("{}/us-east-1/s3/aws4_request", &date[..8]);
        let mut key = mac(format!("AWS4{}", Keys::default().secret).as_bytes(), &date.as_bytes()[..8]);
        for part in ["us-east-1", "s3", "aws4_request"] {
            key = mac(&key, part.as_bytes());
        }
        let authorization = request.headers.one("authorization").ok_or("no authorization")?;
        let (_, seed) = authorization.rsplit_once("Signature=").ok_or("no signature")?;
        Ok(Self { key, scope: format!("{date}\n{scope}"), previous: seed.to_owned() })
    }

    fn check(&mut self, algorithm: &str, digests: &str, stated: &str) -> Result<(), String> {
        let text = format!("{algorithm}\n{}\n{}\n{digests}", self.scope, self.previous);
        self.previous = hex(&mac(&self.key, text.as_bytes()));
        if self.previous == stated { Ok(()) } else { Err(format!("SignatureDoesNotMatch: {algorithm}")) }
    }
}

/// A line and what follows it.
fn line(bytes: &[u8]) -> Result<(String, &[u8]), String> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n").ok_or("IncompleteBody")?;
    Ok((String::from_utf8_lossy(&bytes[..end]).into_owned(), &bytes[end + 2..]))
}

/// Takes the body out of its framing and checks every signature in it.
fn unframed(request: &Request, covered: Covered) -> Result<Judged, String> {
    let mut chain = Chain::of(request)?;
    let mut judged = Judged { covered, body: Vec::new(), chunks: Vec::new(), trailers: Vec::new() };
    let mut rest = request.body.as_slice();
    loop {
        let (text, after) = line(rest)?;
        let (size, signature) = match (covered, text.split_once(";chunk-signature=")) {
            (Covered::UnsignedTrailer, None) => (text.as_str(), None),
            (Covered::UnsignedTrailer, Some(_)) => return Err("a signature in the unsigned form".to_owned()),
            (_, Some((size, signature))) => (size, Some(signature)),
            (_, None) => return Err(format!("size line {text:?}")),
        };
        let number = usize::from_str_radix(size, 16).map_err(|_| format!("size {size:?}"))?;
        if size != format!("{number:x}") {
            return Err(format!("size {size:?}"));
        }
        let data = after.get(..number).ok_or("IncompleteBody")?;
        if let Some(signature) = signature {
            let digests = format!("{}\n{}", sha256(b""), sha256(data));
            chain.check("AWS4-HMAC-SHA256-PAYLOAD", &digests, signature)?;
        }
        if number == 0 {
            rest = after;
            break;
        }
        if after.get(number..number + 2) != Some(b"\r\n".as_slice()) {
            return Err("a chunk that does not end in CRLF".to_owned());
        }
        judged.body.extend_from_slice(data);
        judged.chunks.push(number);
        rest = &after[number + 2..];
    }
    let mut lines = String::new();
    let mut sealed = false;
    loop {
        let (text, after) = line(rest)?;
        rest = after;
        if text.is_empty() {
            break;
        }
        let (name, value) = text.split_once(':').ok_or(format!("MalformedTrailerError: {text:?}"))?;
        if sealed || covered == Covered::Signed {
            return Err(format!("MalformedTrailerError: {text:?}"));
        }
        if name == "x-amz-trailer-signature" && covered == Covered::SignedTrailer {
            chain.check("AWS4-HMAC-SHA256-TRAILER", &sha256(lines.as_bytes()), value)?;
            sealed = true;
            continue;
        }
        lines.push_str(&format!("{name}:{value}\n"));
        judged.trailers.push((name.to_owned(), value.to_owned()));
    }
    if !rest.is_empty() || (covered == Covered::SignedTrailer) != sealed {
        return Err(format!("{} bytes left, sealed: {sealed}", rest.len()));
    }
    let all_but_last = judged.chunks.split_last().map(|(_, others)| others).unwrap_or_default();
    if let Some(small) = all_but_last.iter().find(|size| **size < 8 << 10) {
        return Err(format!("InvalidChunkSizeError: {small}"));
    }
    Ok(judged)
}

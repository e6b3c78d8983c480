//! Uploads as callers send them: the three `aws-chunked` forms and plain bodies, with and without a length. Their
//! framing is written here anew and shares no line with the gateway's.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crc_fast::CrcAlgorithm;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256};

pub const MIB: usize = 1 << 20;
pub const ALGORITHMS: [&str; 5] = ["crc32", "crc32c", "crc64nvme", "sha1", "sha256"];

/// Bytes that differ from place to place.
pub fn data(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at.wrapping_mul(31) ^ (at >> 8)).to_le_bytes()[0]).collect()
}

/// The value of `x-amz-checksum-*`.
pub fn checksum(algorithm: &str, data: &[u8]) -> String {
    let crc = |kind, width: usize| {
        let bytes = crc_fast::checksum(kind, data).to_be_bytes();
        STANDARD.encode(&bytes[bytes.len() - width..])
    };
    match algorithm {
        "crc32" => crc(CrcAlgorithm::Crc32IsoHdlc, 4),
        "crc32c" => crc(CrcAlgorithm::Crc32Iscsi, 4),
        "crc64nvme" => crc(CrcAlgorithm::Crc64Nvme, 8),
        "sha1" => STANDARD.encode(Sha1::digest(data)),
        _ => STANDARD.encode(Sha256::digest(data)),
    }
}

/// The value of `Content-MD5`.
pub fn content_md5(data: &[u8]) -> String {
    STANDARD.encode(Md5::digest(data))
}

/// How a caller's body is framed inside HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Plain,
    Signed,
    SignedTrailer(&'static str),
    UnsignedTrailer(&'static str),
}

impl Form {
    /// The word in `x-amz-content-sha256`.
    pub fn token(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Signed => Some("STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
            Self::SignedTrailer(_) => Some("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"),
            Self::UnsignedTrailer(_) => Some("STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
        }
    }

    /// The checksum in its trailer.
    pub fn algorithm(self) -> Option<&'static str> {
        match self {
            Self::SignedTrailer(algorithm) | Self::UnsignedTrailer(algorithm) => Some(algorithm),
            _ => None,
        }
    }
}

/// How HTTP says where the body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Http {
    Length,
    Chunked,
}

/// An upload to be spoilt by a test and written out.
#[derive(Clone, Debug)]
pub struct Upload {
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Upload {
    /// A good one. Chunks are 50,000 bytes, which is no boundary of the gateway's own.
    pub fn new(form: Form, data: &[u8]) -> Self {
        let Some(token) = form.token() else {
            return Self { headers: Vec::new(), body: data.to_vec() };
        };
        let mut upload = Self { headers: Vec::new(), body: Vec::with_capacity(data.len() + 1000) };
        upload.set("x-amz-content-sha256", token);
        upload.set("x-amz-decoded-content-length", &data.len().to_string());
        upload.set("content-encoding", "aws-chunked");
        let signature = |name: &str| match form {
            Form::UnsignedTrailer(_) => String::new(),
            _ => format!("{name}{}", "5a".repeat(32)),
        };
        for chunk in data.chunks(50_000).chain([[].as_slice()]) {
            let line = format!("{:x}{}\r\n", chunk.len(), signature(";chunk-signature="));
            upload.body.extend_from_slice(line.as_bytes());
            upload.body.extend_from_slice(chunk);
            if !chunk.is_empty() {
                upload.body.extend_from_slice(b"\r\n");
            }
        }
        if let Some(algorithm) = form.algorithm() {
            upload.set("x-amz-trailer", &format!("x-amz-checksum-{algorithm}"));
            upload.set("x-amz-sdk-checksum-algorithm", &algorithm.to_uppercase());
            let line = format!("x-amz-checksum-{algorithm}:{}\r\n", checksum(algorithm, data));
            upload.body.extend_from_slice(line.as_bytes());
            if matches!(form, Form::SignedTrailer(_)) {
                upload
                    .body
                    .extend_from_slice(format!("{}\r\n", signature("x-amz-trailer-signature:")).as_bytes());
            }
        }
        upload.body.extend_from_slice(b"\r\n");
        upload
    }

    /// Sets a header.
    pub fn set(&mut self, name: &str, value: &str) {
        self.remove(name);
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    /// The same with a header set.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.set(name, value);
        self
    }

    /// The same with a header more, which may be there already.
    #[must_use]
    pub fn also(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Takes a header away.
    pub fn remove(&mut self, name: &str) {
        self.headers.retain(|(known, _)| known != name);
    }

    /// The same without a header.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.remove(name);
        self
    }

    /// The same with the last `from` in its body replaced; it must be there.
    #[must_use]
    pub fn replacing(mut self, from: &str, to: &str) -> Self {
        let from = from.as_bytes();
        let at = self.body.windows(from.len()).rposition(|window| window == from).expect("not in the body");
        self.body.splice(at..at + from.len(), to.bytes());
        self
    }

    /// The head, ready to be followed by the body.
    pub fn head(&self, method: &str, target: &str, host: &str, http: Http) -> Vec<u8> {
        let mut out = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n");
        for (name, value) in &self.headers {
            out.push_str(&format!("{name}: {value}\r\n"));
        }
        match http {
            Http::Length => out.push_str(&format!("Content-Length: {}\r\n\r\n", self.body.len())),
            Http::Chunked => out.push_str("Transfer-Encoding: chunked\r\n\r\n"),
        }
        out.into_bytes()
    }

    /// Head and body as HTTP has them.
    pub fn bytes(&self, method: &str, target: &str, host: &str, http: Http) -> Vec<u8> {
        let mut out = self.head(method, target, host, http);
        match http {
            Http::Length => out.extend_from_slice(&self.body),
            Http::Chunked => {
                for chunk in self.body.chunks(70_000).chain([[].as_slice()]) {
                    out.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                    out.extend_from_slice(chunk);
                    out.extend_from_slice(b"\r\n");
                }
            }
        }
        out
    }

    /// A PUT of `/b/k` on `host`.
    pub fn put(&self, host: &str, http: Http) -> Vec<u8> {
        self.bytes("PUT", "/b/k", host, http)
    }
}

/// `localhost` and a port: the host of routes that match by path.
pub fn local(address: SocketAddr) -> String {
    format!("localhost:{}", address.port())
}

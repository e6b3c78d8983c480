//! `aws-chunked` bodies, without I/O: framing and signing them, reading and verifying them (Amazon S3 reference,
//! "Signature calculations for the Authorization header: transferring payload in multiple chunks", with and without
//! trailing headers).
//!
//! [`ChunkSigner`] writes what goes to an upstream, [`Decoder`] reads what comes from a caller, and [`ChunkVerifier`]
//! judges a caller's signatures on the way. None of them holds a body back or copies more of it than its framing.

mod chain;
mod decoder;
mod encoder;
mod error;
mod line;
mod trailers;
mod verifier;

pub use decoder::{DEFAULT_MAX_CHUNK, Decoder};
pub use encoder::{ChunkSigner, encoded_length};
pub use error::{ChunkFault, DecodeError, LengthFault, SignedPart, TrailerFault};
pub use trailers::Trailer;
pub use verifier::ChunkVerifier;

/// The line end after a chunk's data.
pub const LINE_END: &[u8] = b"\r\n";

const CHUNK_SIGNATURE: &[u8] = b";chunk-signature=";
const TRAILER_SIGNATURE: &str = "x-amz-trailer-signature";

/// Digits of a signature in hexadecimal.
const HEX_SIGNATURE: usize = 64;

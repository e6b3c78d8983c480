//! The checksums that S3 callers put on bodies, in `x-amz-checksum-*` headers and trailers (Amazon S3 user guide,
//! "Checking object integrity").
//!
//! A running checksum of bytes that flow past. Never a proof against tampering by anyone but the line itself: the
//! CRCs hold no key and neither do the digests.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crc_fast::{CrcAlgorithm, Digest as Crc};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

/// The five algorithms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// CRC-32/ISO-HDLC, the one of zlib and Ethernet.
    Crc32,
    /// CRC-32/ISCSI, also called Castagnoli.
    Crc32c,
    /// CRC-64/NVME.
    Crc64Nvme,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Crc32, Self::Crc32c, Self::Crc64Nvme, Self::Sha1, Self::Sha256];

    /// The algorithm whose value this header or trailer carries; letter case does not matter.
    pub fn from_header(name: &str) -> Option<Self> {
        const PREFIX: &str = "x-amz-checksum-";
        // Most names are no such header.
        let stands = name.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX));
        Self::ALL.into_iter().find(|algorithm| stands && algorithm.header().eq_ignore_ascii_case(name))
    }

    /// The name of the header or trailer, in lower case.
    pub fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    /// The length of the checksum in bytes, before Base64.
    pub fn digest_len(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme => 8,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    /// The length of the value in a header or trailer, in bytes: Base64 with padding. What a trailer will take can so
    /// be counted before the body is known.
    pub fn value_len(self) -> usize {
        self.digest_len().div_ceil(3) * 4
    }
}

/// A checksum under way. Allocates nothing before its end.
#[derive(Clone)]
pub struct Checksum {
    algorithm: Algorithm,
    state: State,
}

#[derive(Clone)]
enum State {
    Crc(Crc),
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Checksum {
    /// Of nothing yet.
    pub fn new(algorithm: Algorithm) -> Self {
        let state = match algorithm {
            Algorithm::Crc32 => State::Crc(Crc::new(CrcAlgorithm::Crc32IsoHdlc)),
            Algorithm::Crc32c => State::Crc(Crc::new(CrcAlgorithm::Crc32Iscsi)),
            Algorithm::Crc64Nvme => State::Crc(Crc::new(CrcAlgorithm::Crc64Nvme)),
            Algorithm::Sha1 => State::Sha1(Sha1::new()),
            Algorithm::Sha256 => State::Sha256(Sha256::new()),
        };
        Self { algorithm, state }
    }

    /// Which one this is.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Takes the next piece of the body.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Crc(crc) => crc.update(bytes),
            State::Sha1(digest) => digest.update(bytes),
            State::Sha256(digest) => digest.update(bytes),
        }
    }

    /// The value for a header or trailer: the big-endian checksum in Base64 with padding.
    pub fn finish(self) -> String {
        match self.state {
            State::Crc(crc) => {
                let bytes = crc.finalize().to_be_bytes();
                STANDARD.encode(&bytes[bytes.len() - self.algorithm.digest_len()..])
            }
            State::Sha1(digest) => STANDARD.encode(digest.finalize()),
            State::Sha256(digest) => STANDARD.encode(digest.finalize()),
        }
    }

    /// Whether this is the value that a caller stated. As text: a checksum has one spelling in Base64. The composite
    /// value of a multipart upload (`…-3`) is of checksums, not of a body, and never matches.
    pub fn matches(self, stated: &str) -> bool {
        self.finish() == stated
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn of(algorithm: Algorithm, bytes: &[u8]) -> String {
        let mut checksum = Checksum::new(algorithm);
        checksum.update(bytes);
        checksum.finish()
    }

    fn hex(algorithm: Algorithm, bytes: &[u8]) -> String {
        let raw = STANDARD.decode(of(algorithm, bytes)).unwrap();
        assert_eq!(raw.len(), algorithm.digest_len());
        raw.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    }

    /// The catalogue of parametrised CRC algorithms, FIPS 180.
    #[test]
    fn check_values() {
        let digits = b"123456789";
        assert_eq!(hex(Algorithm::Crc32, digits), "cbf43926");
        assert_eq!(hex(Algorithm::Crc32c, digits), "e3069283");
        assert_eq!(hex(Algorithm::Crc64Nvme, digits), "ae8b14860a799888");
        assert_eq!(hex(Algorithm::Sha1, b"abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(
            hex(Algorithm::Sha256, b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    /// 66560 times `a` is Amazon's example of a signed body with a trailer; `Hello world` stands in the tests of all AWS
    /// SDKs.
    #[test]
    fn published_values() {
        assert_eq!(of(Algorithm::Crc32c, &vec![b'a'; 66560]), "sOO8/Q==");
        let published = [
            (Algorithm::Crc32, "i9aeUg=="),
            (Algorithm::Crc32c, "crUfeA=="),
            (Algorithm::Crc64Nvme, "OOJZ0D8xKts="),
            (Algorithm::Sha1, "e1AsOh9IyGCa4hLN+2Od7jlnP14="),
            (Algorithm::Sha256, "ZOyIygCyaOW6GjVnihtTFtIS9PNmskdyMlNKiuyjfzw="),
        ];
        for (algorithm, value) in published {
            assert_eq!(of(algorithm, b"Hello world"), value, "{algorithm:?}");
        }
    }

    #[test]
    fn of_nothing() {
        let empty = Algorithm::ALL.map(|algorithm| of(algorithm, b""));
        let expected = [
            "AAAAAA==",
            "AAAAAA==",
            "AAAAAAAAAAA=",
            "2jmj7l5rSw0yVb/vlWAYkK/YBwk=",
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        ];
        assert_eq!(empty, expected);
    }

    /// Every length up to well past the blocks that vector code takes at once, in one piece and in two.
    #[test]
    fn pieces_sum_like_the_whole() {
        let body: Vec<u8> = (0..1500_u32).map(|i| i.wrapping_mul(31).to_le_bytes()[0] ^ 0x5A).collect();
        for algorithm in Algorithm::ALL {
            for length in 0..body.len() {
                let (whole, cut) = (&body[..length], length * 7 % (length + 1));
                let mut pieces = Checksum::new(algorithm);
                pieces.update(&whole[..cut]);
                pieces.update(b"");
                whole[cut..].chunks(97).for_each(|piece| pieces.update(piece));
                assert_eq!(pieces.finish(), of(algorithm, whole), "{algorithm:?} {length} {cut}");
            }
        }
    }

    /// The library's vector code against a CRC of eight shifts a byte.
    #[test]
    fn vector_code_agrees_with_the_definition() {
        fn slow(polynomial: u64, width: u32, bytes: &[u8]) -> u64 {
            let ones = u64::MAX >> (64 - width);
            let crc = bytes.iter().fold(ones, |crc, &byte| {
                (0..8).fold(crc ^ u64::from(byte), |crc, _| (crc >> 1) ^ (polynomial * (crc & 1)))
            });
            crc ^ ones
        }
        let body: Vec<u8> = (0..5000_u32).map(|i| (i * i / 7).to_le_bytes()[0]).collect();
        // The polynomials with their bits reversed.
        let crcs = [
            (Algorithm::Crc32, 0xEDB8_8320, 32),
            (Algorithm::Crc32c, 0x82F6_3B78, 32),
            (Algorithm::Crc64Nvme, 0x9A6C_9329_AC4B_C9B5, 64),
        ];
        for (algorithm, polynomial, width) in crcs {
            for length in (0..300).chain([511, 512, 1023, 1024, 4095, 4096, 5000]) {
                let expected = slow(polynomial, width, &body[..length]);
                let digits = usize::try_from(width).unwrap() / 4;
                let expected = format!("{expected:0digits$x}");
                assert_eq!(hex(algorithm, &body[..length]), expected, "{algorithm:?} {length}");
            }
        }
    }

    #[test]
    fn a_stated_value_matches_in_one_spelling() {
        let checksum = |algorithm| {
            let mut checksum = Checksum::new(algorithm);
            checksum.update(b"Hello world");
            checksum
        };
        assert!(checksum(Algorithm::Crc32).matches("i9aeUg=="));
        for stated in ["", "i9aeUg", "i9aeUg=", "i9aeUh==", "I9AEUG==", " i9aeUg==", "i9aeUg==-1", "AAAAAA=="]
        {
            assert!(!checksum(Algorithm::Crc32).matches(stated), "{stated}");
        }
        assert!(!checksum(Algorithm::Crc32c).matches("i9aeUg=="));
    }

    #[test]
    fn headers_name_algorithms() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::from_header(algorithm.header()), Some(algorithm));
            assert_eq!(Algorithm::from_header(&algorithm.header().to_uppercase()), Some(algorithm));
            assert_eq!(of(algorithm, b"x").len(), algorithm.value_len());
            assert_eq!(Checksum::new(algorithm).algorithm(), algorithm);
        }
        for name in
            ["", "x-amz-checksum-", "x-amz-checksum-md5", "x-amz-checksum-crc32 ", "x-amz-checksum-type"]
        {
            assert_eq!(Algorithm::from_header(name), None, "{name}");
        }
    }
}

//! Every fault by its own case, in every split; what passes, passes by reference and without growing anything.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::sign::chunked::ChunkSigner;
use crate::sign::digest::MacSha256;

const SUM: &str = "x-amz-checksum-crc32c";

/// What a decoder made of input that came in these pieces: the data, and the first error or the trailers.
type Outcome = (Vec<u8>, Result<Vec<Trailer>, DecodeError>);

fn run<'p>(mut decoder: Decoder, pieces: impl Iterator<Item = &'p [u8]>) -> Outcome {
    let mut data = Vec::new();
    for piece in pieces {
        let mut input = Bytes::copy_from_slice(piece);
        loop {
            match decoder.decode(&mut input) {
                Ok(Some(slice)) => data.extend_from_slice(&slice),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(decoder.decode(&mut Bytes::new()), Err(error), "an error stays");
                    assert_eq!(decoder.finish(), Err(error), "an error stays");
                    return (data, Err(error));
                }
            }
        }
        assert!(input.is_empty(), "all input is taken");
    }
    let is_complete = decoder.is_complete();
    let end = decoder.finish();
    assert_eq!(is_complete, end.is_ok());
    (data, end)
}

/// Runs whole, byte by byte, and cut in two at every place.
fn every_split(make: impl Fn() -> Decoder, wire: &[u8]) -> Outcome {
    let whole = run(make(), std::iter::once(wire));
    assert_eq!(run(make(), wire.chunks(1)), whole, "byte by byte: {}", wire.escape_ascii());
    for at in 0..wire.len() {
        let (left, right) = wire.split_at(at);
        assert_eq!(
            run(make(), [left, b"", right].into_iter()),
            whole,
            "cut at {at}: {}",
            wire.escape_ascii()
        );
    }
    whole
}

fn plain(mode: ChunkMode, wire: &[u8]) -> Outcome {
    let declared = if mode == ChunkMode::Signed { &[][..] } else { &[SUM] };
    every_split(|| Decoder::new(mode, Some(5), declared, None).unwrap().with_max_chunk(1 << 20), wire)
}

/// `@` stands for a chunk signature, `#` for a trailer signature.
fn spell(text: &str) -> Vec<u8> {
    let digits = "0123456789abcdefABCDEF0123456789".repeat(2);
    text.replace('@', &format!(";chunk-signature={digits}"))
        .replace('#', &format!("x-amz-trailer-signature:{digits}"))
        .into_bytes()
}

fn trailer(value: &str) -> Vec<Trailer> {
    vec![Trailer { name: SUM.to_owned(), value: value.to_owned() }]
}

#[test]
fn the_three_forms() {
    let signed = plain(ChunkMode::Signed, &spell("2@\r\nab\r\n03@\r\n\r\nc\r\n0@\r\n\r\n"));
    assert_eq!(signed, (b"ab\r\nc".to_vec(), Ok(vec![])));
    let unsigned = plain(
        ChunkMode::UnsignedTrailer,
        b"0000000000000005\r\nabcde\r\n0\r\nX-Amz-Checksum-CRC32C:\t i9 eUg== \r\n\r\n",
    );
    assert_eq!(unsigned, (b"abcde".to_vec(), Ok(trailer("i9 eUg=="))));
    let both =
        plain(ChunkMode::SignedTrailer, &spell("5@\r\nabcde\r\n000@\r\nx-amz-checksum-crc32c:\r\n#\r\n\r\n"));
    assert_eq!(both, (b"abcde".to_vec(), Ok(trailer(""))));
}

/// As `minio-go` spells them: a trailer goes out as it is signed, and the line ends after that.
#[test]
fn a_line_feed_before_the_end_of_a_trailer() {
    let unsigned =
        plain(ChunkMode::UnsignedTrailer, b"5\r\nabcde\r\n0\r\nx-amz-checksum-crc32c:a=\n\r\n\r\n");
    assert_eq!(unsigned, (b"abcde".to_vec(), Ok(trailer("a="))));
    let signed = spell("5@\r\nabcde\r\n0@\r\nx-amz-checksum-crc32c:a=\n\r\n#\r\n\r\n");
    assert_eq!(plain(ChunkMode::SignedTrailer, &signed), (b"abcde".to_vec(), Ok(trailer("a="))));
}

/// Empty bodies, and a trailer form that announces no trailer.
#[test]
fn the_least_bodies() {
    for (mode, wire) in [
        (ChunkMode::Signed, "0@\r\n\r\n"),
        (ChunkMode::SignedTrailer, "0@\r\n#\r\n\r\n"),
        (ChunkMode::UnsignedTrailer, "0\r\n\r\n"),
    ] {
        let make = || Decoder::new(mode, Some(0), &[], None).unwrap();
        assert_eq!(every_split(make, &spell(wire)), (vec![], Ok(vec![])), "{mode:?}");
    }
}

#[test]
fn hostile_chunks() {
    use ChunkFault::{Extension, LineEnd, LineTooLong, Signature, Size, Surplus, TooLarge};
    use ChunkMode::{Signed, SignedTrailer, UnsignedTrailer};
    let cases = [
        (UnsignedTrailer, "\r\n", Size),
        (UnsignedTrailer, "-1\r\n", Size),
        (UnsignedTrailer, "+1\r\n", Size),
        (UnsignedTrailer, "0x5\r\nabcde\r\n0\r\n", Size),
        (UnsignedTrailer, " 5\r\nabcde\r\n", Size),
        (UnsignedTrailer, "5 \r\nabcde\r\n", Size),
        (UnsignedTrailer, "5\t\r\nabcde\r\n", Size),
        (UnsignedTrailer, "5_\r\nabcde\r\n", Size),
        (UnsignedTrailer, "5\r\r\nabcde\r\n", Size),
        (UnsignedTrailer, "\u{665}\r\nabcde\r\n", Size),
        (UnsignedTrailer, "g\r\n", Size),
        (UnsignedTrailer, "5,5\r\nabcde\r\n", Size),
        (UnsignedTrailer, "00000000000000005\r\nabcde\r\n", Size),
        (UnsignedTrailer, "10000000000000000\r\n", Size),
        (UnsignedTrailer, "ffffffffffffffff\r\n", TooLarge),
        (UnsignedTrailer, "100001\r\n", TooLarge),
        (UnsignedTrailer, "5\nabcde\n0\n\n", LineEnd),
        (UnsignedTrailer, "5\r\nabcde\n", LineEnd),
        (UnsignedTrailer, "5\r\nabcde0\r\n", LineEnd),
        (UnsignedTrailer, "5\r\nabcdef\r\n0\r\n", LineEnd),
        (UnsignedTrailer, "5\r\nabcde\r0\r\n", LineEnd),
        (UnsignedTrailer, "4\r\nabcde\r\n0\r\n", LineEnd),
        (UnsignedTrailer, "5;\r\nabcde\r\n", Extension),
        (UnsignedTrailer, "5;a=b\r\nabcde\r\n", Extension),
        (UnsignedTrailer, "5@\r\nabcde\r\n", Extension),
        (Signed, "5\r\nabcde\r\n", Signature),
        (Signed, "5;\r\nabcde\r\n", Signature),
        (Signed, "5;chunk-signature=\r\nabcde\r\n", Signature),
        (Signed, "5@0\r\nabcde\r\n", Signature),
        (Signed, "5@ \r\nabcde\r\n", Signature),
        (Signed, "5@;a=b\r\nabcde\r\n", Signature),
        (Signed, "5;a=b@\r\nabcde\r\n", Signature),
        (Signed, "5 @\r\nabcde\r\n", Size),
        (Signed, "@\r\nabcde\r\n", Size),
        (Signed, "5@\r\nabcde\r\n0@\r\nx", LineEnd),
        (Signed, "5@\r\nabcde\r\n0@\r\n\n", LineEnd),
        (Signed, "5@\r\nabcde\r\n0@\r\n\r\r\n", LineEnd),
        (Signed, "5@\r\nabcde\r\n0@\r\n\r\n\r\n", Surplus),
        (Signed, "5@\r\nabcde\r\n0@\r\n\r\n0@\r\n\r\n", Surplus),
        (SignedTrailer, "5@\r\nabcde\r\n0@\r\nx-amz-checksum-crc32c:a\r\n#\r\n\r\nx", Surplus),
        (UnsignedTrailer, "5\r\nabcde\r\n0\r\nx-amz-checksum-crc32c:a\r\n\r\n\0", Surplus),
    ];
    for (mode, text, fault) in cases {
        let (_, outcome) = plain(mode, &spell(text));
        assert_eq!(outcome, Err(DecodeError::InvalidChunk(fault)), "{mode:?} {text:?}");
    }
    let odd = spell("5@\r\nabcde\r\n");
    for (at, byte) in [(0, b'\0'), (2, b'C'), (20, b'g'), (20, b' '), (20, b'\0'), (20, 0xE9)] {
        let mut odd = odd.clone();
        odd[at] = byte;
        let (_, outcome) = plain(Signed, &odd);
        assert!(matches!(outcome, Err(DecodeError::InvalidChunk(Size | Signature))), "{at} {outcome:?}");
    }
    let (_, outcome) = plain_once(UnsignedTrailer, "1".repeat(MAX_SIZE_LINE - 1).as_bytes());
    assert_eq!(outcome, Err(DecodeError::IncompleteBody));
    for length in [MAX_SIZE_LINE, MAX_SIZE_LINE + 1, 100_000] {
        let (_, outcome) = plain_once(UnsignedTrailer, "1".repeat(length).as_bytes());
        assert_eq!(outcome, Err(DecodeError::InvalidChunk(LineTooLong)), "{length}");
    }
    let (_, outcome) = plain_once(UnsignedTrailer, ("1".repeat(126) + "\r\n").as_bytes());
    assert_eq!(outcome, Err(DecodeError::InvalidChunk(Size)), "the longest line that is looked at");
}

/// As [`plain`], for input too long to cut everywhere.
fn plain_once(mode: ChunkMode, wire: &[u8]) -> Outcome {
    let make = || Decoder::new(mode, Some(5), &[SUM], None).unwrap();
    let whole = run(make(), std::iter::once(wire));
    assert_eq!(run(make(), wire.chunks(1)), whole);
    assert_eq!(run(make(), wire.chunks(127)), whole);
    assert_eq!(run(make(), wire.chunks(128)), whole);
    whole
}

#[test]
fn hostile_trailers() {
    use ChunkMode::{SignedTrailer, UnsignedTrailer};
    use TrailerFault::{
        AfterSignature, LineEnd, Missing, Repeated, Signature, Syntax, TooLong, Undeclared, Unsigned,
    };
    let sum = "x-amz-checksum-crc32c:a\r\n";
    let cases = [
        (UnsignedTrailer, "\r\n".to_owned(), Missing),
        (UnsignedTrailer, format!("{sum}{sum}\r\n"), Repeated),
        (UnsignedTrailer, format!("{sum}X-Amz-Checksum-Crc32c:b\r\n\r\n"), Repeated),
        (UnsignedTrailer, "x-amz-checksum-crc32:a\r\n\r\n".to_owned(), Undeclared),
        (UnsignedTrailer, format!("{sum}x-amz-meta-a:b\r\n\r\n"), Undeclared),
        (UnsignedTrailer, format!("{sum}content-length:5\r\n\r\n"), Undeclared),
        (UnsignedTrailer, format!("{sum}#\r\n\r\n"), Undeclared),
        (UnsignedTrailer, format!("{sum}x-amz-trailer-signature:0\r\n\r\n"), Undeclared),
        (UnsignedTrailer, "x-amz-checksum-crc32c\r\n\r\n".to_owned(), Syntax),
        (UnsignedTrailer, ":a\r\n\r\n".to_owned(), Syntax),
        (UnsignedTrailer, "x-amz-checksum-crc32c :a\r\n\r\n".to_owned(), Syntax),
        (UnsignedTrailer, " x-amz-checksum-crc32c:a\r\n\r\n".to_owned(), Syntax),
        (UnsignedTrailer, "x-amz-checksum-crc32c:a\rb\r\n\r\n".to_owned(), Syntax),
        (UnsignedTrailer, "x-amz-checksum-crc32c:a\0\r\n\r\n".to_owned(), Syntax),
        (UnsignedTrailer, "x-amz-checksum-crc32c:a\u{e9}\r\n\r\n".to_owned(), Syntax),
        (UnsignedTrailer, "x-amz-checksum-crc32c:a\u{7f}\r\n\r\n".to_owned(), Syntax),
        // A folded line is no trailer.
        (UnsignedTrailer, format!("{sum} b\r\n\r\n"), Syntax),
        (UnsignedTrailer, "x-amz-checksum-crc32c:a\n\n\r\n\r\n".to_owned(), LineEnd),
        (UnsignedTrailer, "x-amz-checksum-crc32c:a\nb\r\n\r\n".to_owned(), Syntax),
        (UnsignedTrailer, "\nx-amz-checksum-crc32c:a\r\n\r\n".to_owned(), LineEnd),
        (UnsignedTrailer, format!("{sum}\n\r\n"), LineEnd),
        (UnsignedTrailer, format!("{sum}\n"), LineEnd),
        (SignedTrailer, format!("{sum}\r\n"), Unsigned),
        (SignedTrailer, "\r\n".to_owned(), Unsigned),
        (SignedTrailer, "#\r\n\r\n".to_owned(), Missing),
        (SignedTrailer, format!("#\r\n{sum}\r\n"), AfterSignature),
        (SignedTrailer, format!("{sum}#\r\n#\r\n\r\n"), AfterSignature),
        (SignedTrailer, format!("{sum}#0\r\n\r\n"), Signature),
        (SignedTrailer, format!("{sum}x-amz-trailer-signature:\r\n\r\n"), Signature),
        (SignedTrailer, format!("{sum}x-amz-trailer-signature:{}\r\n\r\n", "g".repeat(64)), Signature),
    ];
    for (mode, text, fault) in cases {
        let head = if mode == SignedTrailer { "5@\r\nabcde\r\n0@\r\n" } else { "5\r\nabcde\r\n0\r\n" };
        let (data, outcome) = plain(mode, &spell(&format!("{head}{text}")));
        assert_eq!(outcome, Err(DecodeError::MalformedTrailer(fault)), "{mode:?} {text:?}");
        assert_eq!(data, b"abcde");
    }
    for (length, fault) in
        [(MAX_TRAILERS - 2, None), (MAX_TRAILERS - 1, Some(TooLong)), (1 << 20, Some(TooLong))]
    {
        let value = "v".repeat(length - SUM.len() - 3);
        let wire = format!("5\r\nabcde\r\n0\r\n{SUM}:{value}\r\n\r\n");
        let (_, outcome) = plain_once(UnsignedTrailer, wire.as_bytes());
        match fault {
            None => assert_eq!(outcome, Ok(trailer(&value))),
            Some(fault) => assert_eq!(outcome, Err(DecodeError::MalformedTrailer(fault)), "{length}"),
        }
    }
}

#[test]
fn declarations() {
    let make = |mode, declared: &[&str]| Decoder::new(mode, None, declared, None).err();
    let refused = Some(DecodeError::MalformedTrailer(TrailerFault::Declaration));
    let many: Vec<String> = (0..17).map(|n| format!("a{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let bad: [&[&str]; 7] =
        [&[""], &["a b"], &["a:b"], &["a", "A"], &["X-Amz-Trailer-Signature"], &["\u{e9}"], &many];
    for declared in bad {
        assert_eq!(make(ChunkMode::UnsignedTrailer, declared), refused, "{declared:?}");
    }
    assert_eq!(make(ChunkMode::Signed, &[SUM]), refused);
    assert_eq!(make(ChunkMode::SignedTrailer, &many[..16]), None);
    let make = || Decoder::new(ChunkMode::UnsignedTrailer, None, &[" X-A\t", "b"], None).unwrap();
    let (_, outcome) = every_split(make, b"0\r\nB:2\r\nx-a:1\r\n\r\n");
    let found: Vec<_> = outcome.unwrap().into_iter().map(|t| (t.name, t.value)).collect();
    assert_eq!(found, [("b".to_owned(), "2".to_owned()), ("x-a".to_owned(), "1".to_owned())]);
}

#[test]
fn lengths() {
    let run = |length, wire: &str| {
        let make = || Decoder::new(ChunkMode::UnsignedTrailer, length, &[], None).unwrap();
        let (data, outcome) = every_split(make, wire.as_bytes());
        (data.len(), outcome.err())
    };
    let over = Some(DecodeError::DecodedLength(LengthFault::Over));
    let short = Some(DecodeError::DecodedLength(LengthFault::Short));
    assert_eq!(run(Some(3), "4\r\nabcd\r\n0\r\n\r\n"), (0, over), "before any of its data");
    assert_eq!(run(Some(3), "3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n"), (3, over));
    assert_eq!(run(Some(0), "1\r\na\r\n0\r\n\r\n"), (0, over));
    assert_eq!(run(Some(5), "4\r\nabcd\r\n0\r\n\r\n"), (4, short));
    assert_eq!(run(Some(1), "0\r\n\r\n"), (0, short));
    assert_eq!(run(None, "4\r\nabcd\r\n0\r\n\r\n"), (4, None));
    // Without a length the sum is still bounded by what a number holds, and a chunk by its own limit.
    let mut decoder = Decoder::new(ChunkMode::UnsignedTrailer, None, &[], None).unwrap();
    let mut line = Bytes::from_static(b"140000001\r\n");
    assert_eq!(decoder.decode(&mut line), Err(DecodeError::InvalidChunk(ChunkFault::TooLarge)));
    assert_eq!(decoder.chunk(), 1);
    let mut decoder =
        Decoder::new(ChunkMode::UnsignedTrailer, None, &[], None).unwrap().with_max_chunk(u64::MAX);
    decoder.total = 1;
    let mut line = Bytes::from_static(b"ffffffffffffffff\r\n");
    assert_eq!(decoder.decode(&mut line), Err(DecodeError::InvalidChunk(ChunkFault::TooLarge)));
}

#[test]
fn every_truncation_is_incomplete() {
    for (mode, text) in [
        (ChunkMode::Signed, "5@\r\nabcde\r\n0@\r\n\r\n"),
        (ChunkMode::SignedTrailer, "5@\r\nabcde\r\n0@\r\nx-amz-checksum-crc32c:a\r\n#\r\n\r\n"),
        (ChunkMode::UnsignedTrailer, "5\r\nabcde\r\n0\r\nx-amz-checksum-crc32c:a\r\n\r\n"),
    ] {
        let wire = spell(text);
        for length in 0..wire.len() {
            let (_, outcome) = plain(mode, &wire[..length]);
            assert_eq!(outcome, Err(DecodeError::IncompleteBody), "{mode:?} {length}");
        }
    }
}

/// The data is the input's own memory, and nothing in the decoder grows with what passes through it.
#[test]
fn data_is_not_copied_and_nothing_grows() {
    let mut decoder = Decoder::new(ChunkMode::UnsignedTrailer, None, &[SUM], None).unwrap();
    let room = decoder.line.capacity();
    let chunk = [b"10000\r\n", &vec![7; 0x10000][..], b"\r\n"].concat();
    for _ in 0..1000 {
        let mut input = Bytes::from(chunk.clone());
        let memory = input.as_ptr() as usize..input.as_ptr() as usize + input.len();
        let data = decoder.decode(&mut input).unwrap().unwrap();
        assert_eq!(data.len(), 0x10000);
        assert!(memory.contains(&(data.as_ptr() as usize)));
        assert_eq!(decoder.decode(&mut input), Ok(None));
    }
    assert_eq!(decoder.line.capacity(), room);
    assert_eq!(decoder.chunk(), 1000);
    let mut endless = decoder;
    assert_eq!(endless.decode(&mut Bytes::from_static(b"0\r\n")), Ok(None));
    let flood = Bytes::from(vec![b'x'; 1 << 20]);
    assert!(endless.decode(&mut flood.clone()).is_err());
    assert!(endless.line.capacity() <= 2 * MAX_TRAILERS);
}

#[test]
fn signatures_are_verified() {
    let chain = || {
        let seed = "5".repeat(HEX_SIGNATURE);
        ChunkSigner::new(ChunkMode::SignedTrailer, MacSha256::new(b"k"), b"date\nscope".to_vec(), &seed)
            .unwrap()
    };
    let mut signer = chain();
    let mut wire = Vec::new();
    signer.chunk(b"abc", &mut wire);
    signer.chunk(b"de", &mut wire);
    signer.finish(&[(SUM, "a")], &mut wire);
    let verified = |wire: &[u8]| {
        let verifier = || Some(ChunkVerifier::from(chain()));
        every_split(|| Decoder::new(ChunkMode::SignedTrailer, Some(5), &[SUM], verifier()).unwrap(), wire)
    };
    assert_eq!(verified(&wire), (b"abcde".to_vec(), Ok(trailer("a"))));

    let put =
        |from: &str, to: &str| String::from_utf8(wire.clone()).unwrap().replacen(from, to, 1).into_bytes();
    let chunk = Err(DecodeError::SignatureMismatch(SignedPart::Chunk));
    let trailers = Err(DecodeError::SignatureMismatch(SignedPart::Trailers));
    // A chunk's data is out before its signature is judged, and nothing of the next chunk is.
    assert_eq!(verified(&put("abc", "abd")), (b"abd".to_vec(), chunk.clone()));
    assert_eq!(verified(&put("\r\nde", "\r\ndf")), (b"abcdf".to_vec(), chunk));
    assert_eq!(verified(&put("crc32c:a", "crc32c:b")), (b"abcde".to_vec(), trailers));
    // What is not signed: the letter case of the name and the blanks around the value.
    assert_eq!(verified(&put("x-amz-checksum-crc32c:", "X-Amz-Checksum-Crc32c: ")).1, Ok(trailer("a")));
}

#[test]
fn errors_say_what_amazon_says() {
    let codes = [
        (DecodeError::IncompleteBody, "IncompleteBody"),
        (DecodeError::DecodedLength(LengthFault::Short), "IncompleteBody"),
        (DecodeError::InvalidChunk(ChunkFault::Size), "IncompleteBody"),
        (DecodeError::MalformedTrailer(TrailerFault::Missing), "MalformedTrailerError"),
        (DecodeError::SignatureMismatch(SignedPart::Chunk), "SignatureDoesNotMatch"),
    ];
    for (error, code) in codes {
        assert_eq!(error.s3_code(), code);
    }
    let text = DecodeError::DecodedLength(LengthFault::Over).to_string();
    assert_eq!(text, "the chunks hold more than x-amz-decoded-content-length");
}

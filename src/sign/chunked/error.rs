//! Why an `aws-chunked` body is refused, and the S3 error that says so.
//!
//! Small values: no byte of the body goes in.

/// Why a body cannot be accepted. The first fault found, the same however the input was split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The input ended before the body did.
    #[error("the aws-chunked body ends before its last chunk and trailers")]
    IncompleteBody,
    /// The chunks hold another number of bytes than announced.
    #[error("the chunks hold {0} than x-amz-decoded-content-length")]
    DecodedLength(LengthFault),
    /// The framing of a chunk is not in the one form.
    #[error("malformed chunk: {0}")]
    InvalidChunk(ChunkFault),
    /// The trailers are not in the one form, or not those announced.
    #[error("malformed trailers: {0}")]
    MalformedTrailer(TrailerFault),
    /// A signature is not the one that the signed part needs.
    #[error("the signature of {0} does not match")]
    SignatureMismatch(SignedPart),
}

/// Which way a length is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LengthFault {
    /// Found at the size line that would go beyond, before any byte of that chunk.
    #[error("more")]
    Over,
    /// Found at the chunk of size zero.
    #[error("less")]
    Short,
}

/// What is wrong with a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkFault {
    /// Not 1 to 16 hexadecimal digits.
    #[error("the size is not 1 to 16 hexadecimal digits")]
    Size,
    /// The size is above the limit.
    #[error("the chunk is larger than allowed")]
    TooLarge,
    /// The size line does not end within its limit.
    #[error("the size line is too long")]
    LineTooLong,
    /// A line does not end in carriage return and line feed, or data is longer or shorter than its size.
    #[error("carriage return and line feed do not stand where the line or the data ends")]
    LineEnd,
    /// The unsigned form has no chunk extension.
    #[error("an unsigned chunk has no extension")]
    Extension,
    /// The signed forms have `;chunk-signature=` and 64 hexadecimal digits, and nothing else.
    #[error("the size is not followed by ;chunk-signature= and 64 hexadecimal digits")]
    Signature,
    /// Input after the end of the body.
    #[error("the body goes on after its end")]
    Surplus,
}

/// What is wrong with the trailers, or with `x-amz-trailer`, which announces them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrailerFault {
    /// `x-amz-trailer` names something that is no header name, a name twice, the trailer signature or too many; or
    /// anything at all where the form has no trailers.
    #[error("x-amz-trailer does not name trailers that this form can carry")]
    Declaration,
    /// Not a header name, a colon and a value of visible ASCII.
    #[error("a trailer is not a name, a colon and a value of visible ASCII")]
    Syntax,
    /// A line does not end in carriage return and line feed.
    #[error("a trailer does not end in carriage return and line feed")]
    LineEnd,
    /// All lines together are too long.
    #[error("the trailers are too long")]
    TooLong,
    /// A name that `x-amz-trailer` lacks.
    #[error("a trailer is not named by x-amz-trailer")]
    Undeclared,
    /// A name twice.
    #[error("a trailer stands twice")]
    Repeated,
    /// A name of `x-amz-trailer` that did not come.
    #[error("a trailer named by x-amz-trailer is missing")]
    Missing,
    /// The signed form without `x-amz-trailer-signature`.
    #[error("x-amz-trailer-signature is missing")]
    Unsigned,
    /// `x-amz-trailer-signature` is not 64 hexadecimal digits.
    #[error("x-amz-trailer-signature is not 64 hexadecimal digits")]
    Signature,
    /// A trailer after `x-amz-trailer-signature`, which therefore does not cover it.
    #[error("a trailer stands after x-amz-trailer-signature")]
    AfterSignature,
}

/// What a signature in the body covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignedPart {
    /// A chunk's data and all chunks before it.
    #[error("a chunk")]
    Chunk,
    /// The trailers and all chunks.
    #[error("the trailers")]
    Trailers,
}

impl DecodeError {
    /// The code in the S3 error that Amazon answers this with. All are status 400, but for `SignatureDoesNotMatch`,
    /// which is 403. Amazon calls every fault of framing an incomplete body.
    pub fn s3_code(self) -> &'static str {
        match self {
            Self::IncompleteBody | Self::DecodedLength(_) | Self::InvalidChunk(_) => "IncompleteBody",
            Self::MalformedTrailer(_) => "MalformedTrailerError",
            Self::SignatureMismatch(_) => "SignatureDoesNotMatch",
        }
    }
}

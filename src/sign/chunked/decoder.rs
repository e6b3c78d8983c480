//! Reading `aws-chunked`, in any of its three forms, from input that is split anywhere.
//!
//! Strict: one spelling per form, everything bounded, nothing guessed. Data passes through as slices of the input and
//! is never copied or held. It is written anew for the upstream, so no byte of the caller's framing travels.

use bytes::{Buf as _, Bytes};

use super::error::{ChunkFault, DecodeError, LengthFault, SignedPart, TrailerFault};
use super::line::{Line, LineFault};
use super::trailers::{Entry, Trailer, Trailers};
use super::verifier::ChunkVerifier;
use super::{CHUNK_SIGNATURE, HEX_SIGNATURE, LINE_END};
use crate::sign::ChunkMode;

/// The largest chunk that is taken unless told otherwise, in bytes: 5 GiB, what Amazon takes in one PUT. Some SDKs send
/// a whole body as one chunk.
pub const DEFAULT_MAX_CHUNK: u64 = 5 << 30;

/// The longest size line with its end, in bytes; the longest legal one has 99.
const MAX_SIZE_LINE: usize = 128;

/// The most that all trailer lines may have together with their ends, in bytes.
const MAX_TRAILERS: usize = 16 * 1024;

/// The most digits of a size.
const MAX_DIGITS: usize = 16;

/// What comes next in the input.
#[derive(Clone, Copy)]
enum State {
    SizeLine,
    /// So many bytes of the chunk are still to come.
    Data(u64),
    /// The line end after a chunk's data, of which so many bytes have come.
    DataEnd(usize),
    /// The line end after the chunk of size zero in the form without trailers.
    Closing(usize),
    /// Trailer lines up to an empty one.
    Trailers,
    /// As before, after the trailer signature.
    Signed,
    Complete,
}

/// The reader of one body.
///
/// Data is given out as it flows, before the signature, length or trailer that vouches for it is known. So whoever
/// passes it on must hold back its end (one byte is enough) until [`Decoder::finish`] has said that the body is
/// complete; only then may an upstream see a complete request.
pub struct Decoder {
    mode: ChunkMode,
    /// `x-amz-decoded-content-length`.
    decoded_length: Option<u64>,
    max_chunk: u64,
    verifier: Option<ChunkVerifier>,
    trailers: Trailers,
    state: State,
    line: Line,
    /// Bytes that trailer lines may still have.
    trailer_room: usize,
    /// Sum of the sizes so far.
    total: u64,
    /// Size lines so far.
    chunks: u64,
    /// What the chunk under way says is its signature; zeros in the unsigned form.
    claimed: [u8; HEX_SIGNATURE],
    failed: Option<DecodeError>,
}

impl Decoder {
    /// A reader for the form that `x-amz-content-sha256` names.
    ///
    /// `decoded_length` is `x-amz-decoded-content-length`, in bytes; `None` leaves the total unchecked. `declared` are
    /// the names of `x-amz-trailer`, in any letter case: exactly these must come. Without a `verifier` only the form of
    /// signatures is checked, which is for a route where the caller's key does not count; the unsigned form ignores it.
    ///
    /// Fails with [`TrailerFault::Declaration`] when no trailers like these can come.
    pub fn new(
        mode: ChunkMode,
        decoded_length: Option<u64>,
        declared: &[&str],
        verifier: Option<ChunkVerifier>,
    ) -> Result<Self, DecodeError> {
        let trailers = Trailers::new(declared)?;
        if mode == ChunkMode::Signed && !trailers.is_none() {
            return Err(DecodeError::MalformedTrailer(TrailerFault::Declaration));
        }
        Ok(Self {
            mode,
            decoded_length,
            max_chunk: DEFAULT_MAX_CHUNK,
            verifier: verifier.filter(|_| mode != ChunkMode::UnsignedTrailer),
            trailers,
            state: State::SizeLine,
            line: Line::new(),
            trailer_room: MAX_TRAILERS,
            total: 0,
            chunks: 0,
            claimed: [0; HEX_SIGNATURE],
            failed: None,
        })
    }

    /// Takes chunks of at most so many bytes, instead of [`DEFAULT_MAX_CHUNK`].
    #[must_use]
    pub fn with_max_chunk(self, bytes: u64) -> Self {
        Self { max_chunk: bytes, ..self }
    }

    /// Reads on. `Some` is data, never empty, cut from `input` without copying; call again with the rest. `None` means
    /// that `input` is used up. The first error stays: every later call returns it again.
    ///
    /// A wrong signature is reported after the last byte of its chunk was given out.
    pub fn decode(&mut self, input: &mut Bytes) -> Result<Option<Bytes>, DecodeError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.step(input).inspect_err(|&error| self.failed = Some(error))
    }

    /// The end of the input: the trailers, in the order in which they came, when the body is complete and everything
    /// in it held. Their values are not judged here.
    pub fn finish(self) -> Result<Vec<Trailer>, DecodeError> {
        match (self.failed, self.state) {
            (Some(error), _) => Err(error),
            (None, State::Complete) => Ok(self.trailers.into_found()),
            (None, _) => Err(DecodeError::IncompleteBody),
        }
    }

    /// Whether the body has come to its end. More input would be an error.
    pub fn is_complete(&self) -> bool {
        self.failed.is_none() && matches!(self.state, State::Complete)
    }

    /// The number of the latest chunk, from 1, to say where an error is; 0 before the first.
    pub fn chunk(&self) -> u64 {
        self.chunks
    }

    fn step(&mut self, input: &mut Bytes) -> Result<Option<Bytes>, DecodeError> {
        loop {
            match self.state {
                State::SizeLine => {
                    if !self.line.read(input, MAX_SIZE_LINE).map_err(chunk_fault)? {
                        return Ok(None);
                    }
                    self.state = self.begin_chunk()?;
                    self.line.clear();
                }
                State::Data(0) => {
                    self.check_chunk()?;
                    self.state = State::DataEnd(0);
                }
                State::Data(_) | State::Complete if input.is_empty() => return Ok(None),
                State::Data(rest) => {
                    let size = usize::try_from(rest).map_or(input.len(), |rest| rest.min(input.len()));
                    let data = input.split_to(size);
                    if let Some(verifier) = &mut self.verifier {
                        verifier.update(&data);
                    }
                    self.state = State::Data(rest - size as u64);
                    return Ok(Some(data));
                }
                State::DataEnd(LINE_END_LEN) => self.state = State::SizeLine,
                State::Closing(LINE_END_LEN) => self.state = State::Complete,
                State::DataEnd(seen) | State::Closing(seen) => {
                    match input.first() {
                        None => return Ok(None),
                        Some(&byte) if byte == LINE_END[seen] => input.advance(1),
                        Some(_) => return Err(DecodeError::InvalidChunk(ChunkFault::LineEnd)),
                    }
                    self.state = match self.state {
                        State::DataEnd(_) => State::DataEnd(seen + 1),
                        _ => State::Closing(seen + 1),
                    };
                }
                State::Trailers | State::Signed => {
                    if !self.line.read_trailer(input, self.trailer_room).map_err(trailer_fault)? {
                        return Ok(None);
                    }
                    self.trailer_room -= self.line.len();
                    self.state = self.take_trailer()?;
                    self.line.clear();
                }
                State::Complete => return Err(DecodeError::InvalidChunk(ChunkFault::Surplus)),
            }
        }
    }

    /// Judges a complete size line.
    fn begin_chunk(&mut self) -> Result<State, DecodeError> {
        let line = self.line.text();
        self.chunks += 1;
        let digits = line.iter().position(|&b| b == b';').unwrap_or(line.len());
        let size = parse_size(&line[..digits]).ok_or(DecodeError::InvalidChunk(ChunkFault::Size))?;
        let extension = &line[digits..];
        if self.mode != ChunkMode::UnsignedTrailer {
            self.claimed = extension
                .strip_prefix(CHUNK_SIGNATURE)
                .and_then(signature)
                .ok_or(DecodeError::InvalidChunk(ChunkFault::Signature))?;
        } else if !extension.is_empty() {
            return Err(DecodeError::InvalidChunk(ChunkFault::Extension));
        }
        if size == 0 {
            return self.begin_end();
        }
        if size > self.max_chunk {
            return Err(DecodeError::InvalidChunk(ChunkFault::TooLarge));
        }
        self.total = self.total.checked_add(size).ok_or(DecodeError::InvalidChunk(ChunkFault::TooLarge))?;
        if self.decoded_length.is_some_and(|length| self.total > length) {
            return Err(DecodeError::DecodedLength(LengthFault::Over));
        }
        Ok(State::Data(size))
    }

    /// The chunk of size zero. Its signature comes first: an unproven end proves no length.
    fn begin_end(&mut self) -> Result<State, DecodeError> {
        self.check_chunk()?;
        if self.decoded_length.is_some_and(|length| self.total < length) {
            return Err(DecodeError::DecodedLength(LengthFault::Short));
        }
        Ok(if self.mode == ChunkMode::Signed { State::Closing(0) } else { State::Trailers })
    }

    fn check_chunk(&mut self) -> Result<(), DecodeError> {
        let holds = self.verifier.as_mut().is_none_or(|verifier| verifier.is_chunk(&self.claimed));
        if holds { Ok(()) } else { Err(DecodeError::SignatureMismatch(SignedPart::Chunk)) }
    }

    /// Judges a complete trailer line; the empty one ends the body.
    fn take_trailer(&mut self) -> Result<State, DecodeError> {
        let line = self.line.text();
        let is_sealed = matches!(self.state, State::Signed);
        if line.is_empty() {
            return match self.mode {
                ChunkMode::SignedTrailer if !is_sealed => Err(TrailerFault::Unsigned),
                _ if !self.trailers.are_complete() => Err(TrailerFault::Missing),
                _ => Ok(State::Complete),
            }
            .map_err(DecodeError::MalformedTrailer);
        }
        if is_sealed {
            return Err(DecodeError::MalformedTrailer(TrailerFault::AfterSignature));
        }
        match self.trailers.take(line).map_err(DecodeError::MalformedTrailer)? {
            Entry::Trailer => Ok(State::Trailers),
            Entry::Signature(_) if self.mode != ChunkMode::SignedTrailer => {
                Err(DecodeError::MalformedTrailer(TrailerFault::Undeclared))
            }
            Entry::Signature(value) => {
                let claimed = signature(value.as_bytes())
                    .ok_or(DecodeError::MalformedTrailer(TrailerFault::Signature))?;
                let found = self.trailers.found();
                let holds =
                    self.verifier.as_mut().is_none_or(|verifier| verifier.is_trailers(found, &claimed));
                if holds {
                    Ok(State::Signed)
                } else {
                    Err(DecodeError::SignatureMismatch(SignedPart::Trailers))
                }
            }
        }
    }
}

const LINE_END_LEN: usize = LINE_END.len();

fn chunk_fault(fault: LineFault) -> DecodeError {
    DecodeError::InvalidChunk(match fault {
        LineFault::TooLong => ChunkFault::LineTooLong,
        LineFault::End => ChunkFault::LineEnd,
    })
}

fn trailer_fault(fault: LineFault) -> DecodeError {
    DecodeError::MalformedTrailer(match fault {
        LineFault::TooLong => TrailerFault::TooLong,
        LineFault::End => TrailerFault::LineEnd,
    })
}

/// Hexadecimal digits and nothing else: no sign, no prefix, no blank, which general number parsers let pass.
fn parse_size(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > MAX_DIGITS {
        return None;
    }
    digits.iter().try_fold(0, |size, &digit| Some(size << 4 | u64::from(char::from(digit).to_digit(16)?)))
}

/// Exactly 64 hexadecimal digits, in either letter case; only lower case ever matches.
fn signature(text: &[u8]) -> Option<[u8; HEX_SIGNATURE]> {
    let digits: [u8; HEX_SIGNATURE] = text.try_into().ok()?;
    digits.iter().all(u8::is_ascii_hexdigit).then_some(digits)
}

#[cfg(test)]
mod tests;

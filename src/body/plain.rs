//! What a caller's body means: its bytes without any `aws-chunked` framing, checked against everything that the
//! caller stated of them.
//!
//! While anything is still to be checked, the last piece is held back until it is known to be right: a body that is
//! not what it says it is never reaches an upstream whole.

use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use md5::Md5;
use sha2::{Digest, Sha256};

use super::spool::Spooled;
use super::stream::Stream;
use super::{Data, Meter};
use crate::checksum::{Algorithm, Checksum};
use crate::reason::Reason;
use crate::sign::chunked::{DecodeError, Decoder, Trailer, TrailerFault};

/// What a caller stated of its body, to be checked as it flows.
#[derive(Default)]
pub struct Checks {
    sha256: Option<Box<(Sha256, [u8; 32])>>,
    md5: Option<Box<(Md5, [u8; 16])>>,
    checksums: Vec<(Checksum, Option<String>)>,
}

impl Checks {
    /// The body has this SHA-256 (`x-amz-content-sha256`).
    pub fn sha256(&mut self, expected: [u8; 32]) {
        self.sha256 = Some((Sha256::new(), expected).into());
    }

    /// The body has this MD5 (`Content-MD5`).
    pub fn md5(&mut self, expected: [u8; 16]) {
        self.md5 = Some((Md5::new(), expected).into());
    }

    /// The body has this checksum (`x-amz-checksum-*`), or the one that its trailer will state.
    pub fn checksum(&mut self, algorithm: Algorithm, expected: Option<String>) {
        self.checksums.push((Checksum::new(algorithm), expected));
    }

    fn is_empty(&self) -> bool {
        self.sha256.is_none() && self.md5.is_none() && self.checksums.is_empty()
    }

    fn update(&mut self, data: &[u8]) {
        if let Some(sha256) = &mut self.sha256 {
            sha256.0.update(data);
        }
        if let Some(md5) = &mut self.md5 {
            md5.0.update(data);
        }
        for (checksum, _) in &mut self.checksums {
            checksum.update(data);
        }
    }

    /// Whether everything holds, given the trailers that came.
    fn finish(self, trailers: &[Trailer]) -> Result<(), Reason> {
        if self.sha256.is_some_and(|check| check.0.finalize()[..] != check.1[..]) {
            return Err(Reason::DigestMismatch);
        }
        if self.md5.is_some_and(|check| check.0.finalize()[..] != check.1[..]) {
            return Err(Reason::ChecksumMismatch("Content-MD5"));
        }
        for (checksum, expected) in self.checksums {
            let header = checksum.algorithm().header();
            let stated = trailers.iter().find(|trailer| trailer.name.eq_ignore_ascii_case(header));
            let Some(expected) = expected.or_else(|| stated.map(|trailer| trailer.value.clone())) else {
                return Err(Reason::Chunked(DecodeError::MalformedTrailer(TrailerFault::Missing)));
            };
            if !checksum.matches(&expected) {
                return Err(Reason::ChecksumMismatch(header));
            }
        }
        Ok(())
    }
}

/// A body by its meaning.
pub struct Plain {
    source: Source,
    length: Option<u64>,
    checks: Option<Checks>,
    held: Option<Bytes>,
    trailers: Vec<Trailer>,
    meter: Rc<Meter>,
}

enum Source {
    Raw(Stream),
    Chunked(Box<Unchunked>),
    Spooled(Box<Spooled>),
}

/// A caller's `aws-chunked` stream on its way out of its framing.
struct Unchunked {
    stream: Stream,
    /// Gone when the body has ended.
    decoder: Option<Decoder>,
    input: Bytes,
}

impl Plain {
    /// A body without framing of its own.
    pub fn raw(stream: Stream, checks: Checks) -> Self {
        let (length, meter) = (stream.length(), stream.meter().clone());
        Self::new(Source::Raw(stream), length, checks, meter)
    }

    /// A body in `aws-chunked` framing, whose meaning is `length` bytes long.
    pub fn chunked(stream: Stream, decoder: Decoder, length: u64, checks: Checks) -> Self {
        let meter = stream.meter().clone();
        let unchunked = Unchunked { stream, decoder: Some(decoder), input: Bytes::new() };
        Self::new(Source::Chunked(Box::new(unchunked)), Some(length), checks, meter)
    }

    /// A body that waits in a file, checked already.
    pub fn spooled(spooled: Spooled, meter: Rc<Meter>) -> Self {
        let length = spooled.length();
        Self::new(Source::Spooled(Box::new(spooled)), Some(length), Checks::default(), meter)
    }

    fn new(source: Source, length: Option<u64>, checks: Checks, meter: Rc<Meter>) -> Self {
        Self { source, length, checks: Some(checks), held: None, trailers: Vec::new(), meter }
    }

    /// The length of its meaning in bytes, when known.
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// Whether it is empty and nothing is stated of it.
    pub fn is_absent(&self) -> bool {
        self.length == Some(0) && self.checks.as_ref().is_none_or(Checks::is_empty)
    }

    /// Forgets the checksums that headers stated; those of a trailer stay.
    pub fn forget_checksums(&mut self) {
        if let Some(checks) = &mut self.checks {
            checks.checksums.retain(|(_, stated)| stated.is_none());
        }
    }

    /// The meter of the call.
    pub fn meter(&self) -> &Rc<Meter> {
        &self.meter
    }

    /// The checked trailers, once the body has ended.
    pub fn trailers(&self) -> &[Trailer] {
        &self.trailers
    }

    /// The next bytes; the last come only when everything that was stated of the body holds.
    pub fn poll_data(&mut self, context: &mut Context<'_>) -> Data {
        loop {
            let data = match &mut self.source {
                Source::Raw(stream) => ready!(stream.poll_data(context)),
                Source::Chunked(unchunked) => ready!(unchunked.poll_data(context, &mut self.trailers)),
                Source::Spooled(spooled) => ready!(spooled.poll_data(context, &self.meter)),
            };
            let data = match data {
                Some(Ok(data)) => data,
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(self.finish()),
            };
            self.meter.step();
            let chunked = matches!(self.source, Source::Chunked(_));
            match &mut self.checks {
                Some(checks) if chunked || !checks.is_empty() => {
                    checks.update(&data);
                    if let Some(earlier) = self.held.replace(data) {
                        return Poll::Ready(Some(Ok(earlier)));
                    }
                }
                _ => return Poll::Ready(Some(Ok(data))),
            }
        }
    }

    fn finish(&mut self) -> Option<Result<Bytes, super::BodyError>> {
        if let Some(checks) = self.checks.take()
            && let Err(reason) = checks.finish(&self.trailers)
        {
            self.held = None;
            return Some(Err(self.meter.fail(reason)));
        }
        self.held.take().map(Ok)
    }
}

impl Unchunked {
    fn poll_data(&mut self, context: &mut Context<'_>, trailers: &mut Vec<Trailer>) -> Data {
        loop {
            let Some(decoder) = &mut self.decoder else { return Poll::Ready(None) };
            match decoder.decode(&mut self.input) {
                Ok(Some(data)) => return Poll::Ready(Some(Ok(data))),
                Ok(None) => match ready!(self.stream.poll_data(context)) {
                    Some(Ok(data)) => self.input = data,
                    Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                    None => match self.decoder.take().map(Decoder::finish) {
                        Some(Ok(found)) => *trailers = found,
                        Some(Err(error)) => return self.fail(error),
                        None => return Poll::Ready(None),
                    },
                },
                Err(error) => return self.fail(error),
            }
        }
    }

    fn fail(&self, error: DecodeError) -> Data {
        Poll::Ready(Some(Err(self.stream.meter().fail(Reason::Chunked(error)))))
    }
}

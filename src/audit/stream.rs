//! The record on a stream: standard output, a pipe, a device. The lines are chained as in files; there is one segment
//! and nothing is synced.

use std::io::{self, Write};

use super::chain::{Algorithm, Chain, Head};
use super::mark::{After, Mark, now};

/// Bytes on their way into a sink; what a failed write left over is written first by the next.
pub(super) struct Pipe {
    sink: Box<dyn Write + Send>,
    pending: Vec<u8>,
}

impl Pipe {
    pub(super) fn new(sink: Box<dyn Write + Send>) -> Self {
        Self { sink, pending: Vec::new() }
    }

    /// Writes bytes, after what is left over from before. They are taken in any case.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.pending.extend_from_slice(bytes);
        let mut done = 0;
        let outcome = loop {
            if done == self.pending.len() {
                break self.sink.flush();
            }
            match self.sink.write(&self.pending[done..]) {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        self.pending.drain(..done);
        outcome
    }
}

/// A stream, and where the chain is.
pub(super) struct Stream {
    pipe: Pipe,
    chain: Chain,
    /// The end of the chain when everything was last written.
    written: Option<Head>,
}

/// There is one.
pub(super) const NUMBER: u64 = 1;

impl Stream {
    pub(super) fn new(sink: Box<dyn Write + Send>, algorithm: Algorithm, host: Option<&str>) -> Self {
        let mut chain = Chain::after(None, algorithm);
        let mut pipe = Pipe::new(sink);
        let open = Mark::open(NUMBER, &chain, After::Nothing, host).body();
        chain.append(&open, &mut pipe.pending);
        Self { pipe, chain, written: None }
    }

    pub(super) fn written(&self) -> Option<Head> {
        self.written
    }

    /// Writes lines, after what is left over from before. They are taken in any case.
    pub(super) fn write(&mut self, bodies: impl IntoIterator<Item = Vec<u8>>) -> io::Result<()> {
        let mut lines = Vec::new();
        for body in bodies {
            self.chain.append(&body, &mut lines);
        }
        self.pipe.write(&lines)?;
        self.written = self.chain.head();
        Ok(())
    }

    /// Ends the record.
    pub(super) fn seal(&mut self) -> io::Result<()> {
        let seal = Mark::Seal { number: NUMBER, closed: now(), lines: self.chain.next(), first: 0 };
        self.write([seal.body()])
    }
}

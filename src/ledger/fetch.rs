//! Single lines out of segments, by where they lie: best asked for in the order of the record.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::Error;
use super::frames::{Frame, frames};
use super::segment::{Segment, segments};

/// How far a reader goes on rather than beginning at another frame.
const NEAR: u64 = 256 << 10;

/// Open segments.
pub(super) struct Fetch {
    log: PathBuf,
    segments: HashMap<[u8; 32], Segment>,
    /// The segment that was read last.
    open: Option<([u8; 32], Open)>,
}

enum Open {
    Plain(File),
    Compressed { path: PathBuf, frames: Vec<Frame>, reader: Option<(u64, Box<dyn Read>)> },
}

impl Fetch {
    /// Over the segments of the record at `log`.
    pub(super) fn new(log: &Path) -> Result<Self, Error> {
        let mut new = Self { log: log.to_owned(), segments: HashMap::new(), open: None };
        new.list()?;
        Ok(new)
    }

    fn list(&mut self) -> Result<(), Error> {
        self.segments = segments(&self.log)?.into_iter().map(|segment| (segment.identity, segment)).collect();
        Ok(())
    }

    /// The bytes of one line.
    ///
    /// # Errors
    /// [`Error::Gone`] where the segment is not there any more, [`Error::Damaged`] where it is shorter.
    pub(super) fn line(&mut self, identity: [u8; 32], at: u64, length: u32) -> Result<Vec<u8>, Error> {
        if self.open.as_ref().is_none_or(|(open, _)| *open != identity) {
            self.open = Some((identity, self.open(identity)?));
        }
        let Some((_, open)) = &mut self.open else { return Err(Error::Gone(self.log.clone())) };
        let mut line = vec![0; length as usize];
        match open.read(at, &mut line) {
            Ok(()) => Ok(line),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(Error::Damaged(self.log.clone()))
            }
            Err(error) => Err(Error::record(&self.log)(error)),
        }
    }

    fn open(&mut self, identity: [u8; 32]) -> Result<Open, Error> {
        // A segment may be moved, compressed or deleted between the listing and now: once more, then it is gone.
        for attempt in 0..2 {
            if attempt > 0 {
                self.list()?;
            }
            let Some(segment) = self.segments.get(&identity) else { continue };
            match Open::new(segment) {
                Ok(open)
                    if Segment::open(&segment.path, true)
                        .ok()
                        .flatten()
                        .is_some_and(|is| is.identity == identity) =>
                {
                    return Ok(open);
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(Error::record(&segment.path)(error)),
            }
        }
        Err(Error::Gone(self.log.clone()))
    }
}

impl Open {
    fn new(segment: &Segment) -> io::Result<Self> {
        let file = File::open(&segment.path)?;
        if !segment.compressed {
            return Ok(Self::Plain(file));
        }
        // Lengths are a few bytes each, and far apart: a large buffer would read all that is between them.
        let frames = frames(&mut BufReader::with_capacity(32, file))?;
        Ok(Self::Compressed { path: segment.path.clone(), frames, reader: None })
    }

    fn read(&mut self, at: u64, line: &mut [u8]) -> io::Result<()> {
        match self {
            Self::Plain(file) => {
                file.seek(SeekFrom::Start(at))?;
                file.read_exact(line)
            }
            Self::Compressed { path, frames, reader } => {
                let near =
                    reader.as_ref().is_some_and(|(reached, _)| (*reached..*reached + NEAR).contains(&at));
                if !near {
                    let frame = frames.partition_point(|frame| frame.content <= at).saturating_sub(1);
                    let frame = frames.get(frame).copied().unwrap_or(Frame { compressed: 0, content: 0 });
                    let ahead = reader
                        .as_ref()
                        .is_some_and(|(reached, _)| *reached <= at && *reached >= frame.content);
                    if !ahead {
                        let mut file = File::open(&*path)?;
                        file.seek(SeekFrom::Start(frame.compressed))?;
                        *reader = Some((frame.content, Box::new(zstd::stream::read::Decoder::new(file)?)));
                    }
                }
                let Some((reached, reader)) = reader else { return Err(io::ErrorKind::UnexpectedEof.into()) };
                let over = at - *reached;
                *reached += io::copy(&mut reader.take(over), &mut io::sink())?;
                reader.read_exact(line)?;
                *reached += line.len() as u64;
                Ok(())
            }
        }
    }
}

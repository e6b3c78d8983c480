//! The end of a record, and what is added to it: through rotation, moving and compression. Where a segment fails and
//! the next repeats its end, one line of a call may be given twice.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::Error;
use super::filter::Filter;
use super::line::{Kind, Line};
use super::read::LONGEST;
use super::segment::{Segment, segments};

/// Bytes that are read at a time, from the end backwards or from new lines.
const BLOCK: u64 = 256 << 10;

/// What takes a line: parsed, and its bytes.
pub type Each<'e> = &'e mut dyn FnMut(&Line<'_>, &[u8]) -> Result<(), Error>;

/// Follows a record.
pub struct Follow {
    log: PathBuf,
    filter: Filter,
    intents: bool,
    /// The file that is written to, as far as it was read; nothing while there is none.
    open: Option<Reading>,
    /// The number in the chain that the next unread line has at least.
    next: u64,
}

struct Reading {
    file: File,
    inode: u64,
    at: u64,
    /// The beginning of a line whose end is not written yet.
    rest: Vec<u8>,
}

impl Follow {
    /// Begins at the end of the record at `log`; the last `last` lines that the filter covers are given to `each`
    /// first. Intents are given only where `intents` asks for them.
    ///
    /// # Errors
    /// The record, or what `each` says.
    pub fn begin(
        log: &Path,
        filter: Filter,
        intents: bool,
        last: usize,
        each: Each<'_>,
    ) -> Result<Self, Error> {
        let mut new = Self { log: log.to_owned(), filter, intents, open: None, next: 0 };
        let found = segments(log)?;
        // Opened before older ones are read: what is written from here on comes later.
        let mut reading = Reading::open(log).map_err(Error::record(log))?;
        let mut lines: VecDeque<Vec<u8>> = VecDeque::new();
        if let Some(reading) = &mut reading {
            let end = reading.file.seek(SeekFrom::End(0)).map_err(Error::record(log))?;
            let whole =
                new.backwards(&mut reading.file, end, last, &mut lines).map_err(Error::record(log))?;
            reading.at = whole;
        }
        for segment in found.iter().rev().filter(|segment| segment.path != log) {
            if lines.len() >= last {
                break;
            }
            new.older(segment, last, &mut lines)?;
        }
        new.open = reading;
        for bytes in lines {
            if let Some(line) = Line::read(&bytes) {
                each(&line, &bytes)?;
            }
        }
        Ok(new)
    }

    fn covers(&self, line: &Line<'_>) -> bool {
        let asked = match line.kind() {
            Some(Kind::Outcome) => true,
            Some(Kind::Intent) => self.intents,
            Some(Kind::Note) | None => false,
        };
        asked && self.filter.matches(line)
    }

    /// Takes lines from `end` backwards until there are enough; where the last complete line ends.
    fn backwards(
        &mut self,
        file: &mut File,
        end: u64,
        last: usize,
        lines: &mut VecDeque<Vec<u8>>,
    ) -> io::Result<u64> {
        let mut whole = None;
        // What lies between `from` and the first line feed behind it; its beginning is not read yet.
        let mut head: Vec<u8> = Vec::new();
        let mut from = end;
        while from > 0 && (lines.len() < last || whole.is_none()) {
            let length = from.min(BLOCK);
            from -= length;
            let mut block = vec![0; usize::try_from(length).unwrap_or(0)];
            file.seek(SeekFrom::Start(from))?;
            file.read_exact(&mut block)?;
            block.append(&mut head);
            if whole.is_none() {
                let Some(feed) = block.iter().rposition(|byte| *byte == b'\n') else {
                    head = block;
                    continue;
                };
                whole = Some(from + feed as u64 + 1);
                block.truncate(feed + 1);
            }
            // Each piece but the first is a line with its feed; the first may begin before `from`.
            let mut pieces: Vec<&[u8]> = block.split_inclusive(|byte| *byte == b'\n').collect();
            let first = if from > 0 && !pieces.is_empty() { pieces.remove(0) } else { &[] };
            for piece in pieces.into_iter().rev() {
                self.seen(piece);
                let piece = piece.strip_suffix(b"\n").unwrap_or(piece);
                if lines.len() < last && Line::read(piece).is_some_and(|line| self.covers(&line)) {
                    lines.push_front(piece.to_vec());
                }
            }
            head = first.to_vec();
            if head.len() > LONGEST {
                head.clear();
            }
        }
        Ok(whole.unwrap_or(0))
    }

    /// Takes the last lines of an older segment.
    fn older(&mut self, segment: &Segment, last: usize, lines: &mut VecDeque<Vec<u8>>) -> Result<(), Error> {
        let wanted = last - lines.len();
        let mut found: VecDeque<Vec<u8>> = VecDeque::new();
        let record = Error::record(&segment.path);
        let mut read = || -> io::Result<()> {
            let mut segment = segment.lines()?;
            while let Some(located) = segment.complete()? {
                self.seen(located.bytes);
                if Line::read(located.bytes).is_some_and(|line| self.covers(&line)) {
                    found.push_back(located.bytes.to_vec());
                    if found.len() > wanted {
                        found.pop_front();
                    }
                }
            }
            Ok(())
        };
        match read() {
            // Deleted meanwhile: then it is not part of the record any more.
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(record(error)),
            _ => {}
        }
        while let Some(line) = found.pop_back() {
            lines.push_front(line);
        }
        Ok(())
    }

    fn seen(&mut self, line: &[u8]) {
        if let Some(seq) = Line::read(line).and_then(|line| line.seq) {
            self.next = self.next.max(seq + 1);
        }
    }

    /// Gives the lines that were added since to `each`; whether there were any, asked for or not.
    ///
    /// # Errors
    /// The record, or what `each` says.
    pub fn more(&mut self, each: Each<'_>) -> Result<bool, Error> {
        let inode = std::fs::metadata(&self.log).ok().map(|log| log.ino());
        let moved = self.open.as_ref().is_none_or(|open| Some(open.inode) != inode);
        // Whoever writes ends the old file before the new one is there: if it is, this is the rest of the old.
        let mut any = self.drain(each)?;
        if !moved {
            return Ok(any);
        }
        self.open = None;
        let new = Reading::open(&self.log).map_err(Error::record(&self.log))?;
        // Several rotations may lie between two looks: whatever holds lines that were not seen.
        let found = match segments(&self.log) {
            Err(Error::NoRecord(_)) => return Ok(any),
            found => found?,
        };
        if found.iter().any(|segment| segment.path == self.log && segment.first == 0) {
            // A record that begins again.
            self.next = 0;
        }
        for (number, segment) in found.iter().enumerate() {
            // A segment ends where the next one begins.
            let seen = found.get(number + 1).is_some_and(|next| next.first <= self.next);
            if !seen && (new.is_none() || segment.path != self.log) {
                match self.unseen(segment, each) {
                    // Compressed since they were listed, or deleted: the next look finds what there is now.
                    Err(Error::Record { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                        return Ok(true);
                    }
                    found => any |= found?,
                }
            }
        }
        self.open = new;
        any |= self.drain(each)?;
        Ok(any)
    }

    /// Gives the lines of a sealed segment that lie behind those that were seen.
    fn unseen(&mut self, segment: &Segment, each: Each<'_>) -> Result<bool, Error> {
        let record = |error| Error::record(&segment.path)(error);
        let mut lines = segment.lines().map_err(record)?;
        let before = self.next;
        while let Some(located) = lines.complete().map_err(record)? {
            self.give(located.bytes, each)?;
        }
        Ok(self.next > before)
    }

    fn give(&mut self, bytes: &[u8], each: Each<'_>) -> Result<(), Error> {
        let Some(line) = Line::read(bytes) else { return Ok(()) };
        match line.seq {
            // Seen already under the file's former name.
            Some(seq) if seq < self.next => return Ok(()),
            Some(seq) => self.next = seq + 1,
            None => {}
        }
        if self.covers(&line) { each(&line, bytes) } else { Ok(()) }
    }

    /// Gives what was added to the open file.
    fn drain(&mut self, each: Each<'_>) -> Result<bool, Error> {
        let Some(mut open) = self.open.take() else { return Ok(false) };
        let result = (|| {
            let mut any = false;
            if open.file.metadata().map_err(Error::record(&self.log))?.len() < open.at {
                // Not kept as a record is: whatever stands there now is taken as a new one.
                (open.at, open.rest, self.next) = (0, Vec::new(), 0);
            }
            loop {
                let lines = open.lines().map_err(Error::record(&self.log))?;
                if lines.is_empty() {
                    return Ok(any);
                }
                any = true;
                for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                    self.give(line, each)?;
                }
            }
        })();
        self.open = Some(open);
        result
    }
}

impl Reading {
    fn open(log: &Path) -> io::Result<Option<Self>> {
        let file = match File::open(log) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let inode = file.metadata()?.ino();
        Ok(Some(Self { file, inode, at: 0, rest: Vec::new() }))
    }

    /// Complete lines that were not read yet; none at the end of the file.
    fn lines(&mut self) -> io::Result<Vec<u8>> {
        self.file.seek(SeekFrom::Start(self.at))?;
        loop {
            let mut block = Vec::new();
            let read = (&mut self.file).take(BLOCK).read_to_end(&mut block)? as u64;
            if read == 0 {
                return Ok(Vec::new());
            }
            self.at += read;
            if let Some(feed) = block.iter().rposition(|byte| *byte == b'\n') {
                let rest = block.split_off(feed + 1);
                let mut lines = std::mem::replace(&mut self.rest, rest);
                lines.append(&mut block);
                return Ok(lines);
            }
            self.rest.append(&mut block);
            if self.rest.len() > LONGEST {
                self.rest.clear();
            }
        }
    }
}

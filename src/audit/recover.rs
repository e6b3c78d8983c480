//! What a new process finds of the record, and how it goes on from there.
//!
//! Nothing that could be evidence is lost: a last line without an end is moved to the file `….torn`; an end that does
//! not verify stays where it is, and the record goes on in a new segment, which says so.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use jiff::Timestamp;

use super::chain::{Algorithm, Chain, Head, split, unhex};
use super::layout::Layout;
use super::mark::{After, Mark};

/// Bytes at the end of a segment whose lines are verified; a start must not take as long as the log is.
const WINDOW: u64 = 1 << 20;
/// The longest that an open line can be.
const OPENING: u64 = 4 << 10;
/// Owner writes, group reads (a shipper, an auditor), nobody else.
pub(super) const MODE: u32 = 0o640;

/// Where the record goes on.
pub(super) enum Found {
    /// In the active file, which was left without a seal.
    Open(Continued),
    /// In a new segment.
    New {
        /// The number of the segment before; 0 for none.
        number: u64,
        chain: Chain,
        after: After,
    },
}

/// An active segment that is written on.
pub(super) struct Continued {
    pub(super) file: File,
    pub(super) number: u64,
    pub(super) first: u64,
    pub(super) opened: Timestamp,
    pub(super) size: u64,
    pub(super) chain: Chain,
    /// Bytes of a last, incomplete line that were moved away.
    pub(super) torn: u64,
}

/// The first line of a segment, as far as the writer needs it.
struct Opening {
    number: u64,
    opened: Timestamp,
    /// The line before the segment's first.
    before: Option<Head>,
    first: u64,
}

/// Looks at what is there; moves a torn last line away.
///
/// # Errors
/// What keeps the files from being read or mended.
pub(super) fn find(layout: &Layout, algorithm: &Algorithm) -> io::Result<Found> {
    let active = layout.active();
    // A segment that was begun and not put in its place. Where its place is free and it is whole, its lines may have
    // been promised; otherwise nobody was told that anything in it is durable.
    let new = layout.new_segment();
    if is_there(&new)? {
        if !is_there(active)? && is_whole(&new)? {
            fs::rename(&new, active)?;
        } else {
            fs::remove_file(&new)?;
        }
        layout.sync_folder()?;
    }
    match fs::metadata(active) {
        Ok(there) if there.len() > 0 => active_segment(layout, algorithm),
        Ok(_) => past_segments(layout, algorithm),
        Err(error) if error.kind() == io::ErrorKind::NotFound => past_segments(layout, algorithm),
        Err(error) => Err(error),
    }
}

fn is_there(path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether a segment begins with an open line and ends with a line's end.
fn is_whole(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let mut end = [0];
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut end)?;
    Ok(end == *b"\n" && opening(&mut file)?.is_some())
}

/// The active file is gone or empty: the last segment beside it tells where the chain is.
fn past_segments(layout: &Layout, algorithm: &Algorithm) -> io::Result<Found> {
    let nothing = |number| Found::New {
        number,
        chain: Chain::after(None, algorithm.clone()),
        after: if number == 0 { After::Nothing } else { After::Unverified },
    };
    let Some(last) = layout.all_past()?.pop() else { return Ok(nothing(0)) };
    let file = File::open(&last.path)?;
    let line = if last.compressed { last_line(zstd::Decoder::new(file)?) } else { last_line(file) };
    let Ok(Some(line)) = line else { return Ok(nothing(last.number)) };
    let head = split(&line).map(|(_, head)| head);
    let sealed = matches!(Mark::of(&line), Some(Mark::Seal { .. }));
    let after = if sealed { After::Seal } else { After::Unverified };
    Ok(Found::New { number: last.number, chain: Chain::after(head, algorithm.clone()), after })
}

/// The last complete line of a whole stream.
fn last_line(mut stream: impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut tail = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    let window = usize::try_from(WINDOW).unwrap_or(usize::MAX);
    loop {
        let read = match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        tail.extend_from_slice(&buffer[..read]);
        if tail.len() > 2 * window {
            tail.drain(..tail.len() - window);
        }
    }
    tail.truncate(tail.iter().rposition(|byte| *byte == b'\n').unwrap_or(0));
    Ok(tail.split(|byte| *byte == b'\n').next_back().filter(|line| !line.is_empty()).map(<[u8]>::to_vec))
}

/// The active file has something in it.
fn active_segment(layout: &Layout, algorithm: &Algorithm) -> io::Result<Found> {
    let mut options = OpenOptions::new();
    let mut file = options.read(true).append(true).mode(MODE).open(layout.active())?;
    let size = file.metadata()?.len();
    let past = layout.all_past()?.last().map_or(0, |past| past.number);
    let Tail { bytes, from_start } = tail(&mut file, size)?;
    let complete = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let torn = (bytes.len() - complete) as u64;
    let Some(Opening { number, opened, before, first }) = opening(&mut file)? else {
        // A crash does not leave this: segments get their first line before they get their name.
        let last = bytes[..complete].split(|byte| *byte == b'\n').rev().find_map(split).map(|(_, head)| head);
        return match last {
            Some(_) => Ok(unverified(past.saturating_add(1), last, algorithm)),
            None => past_segments(layout, algorithm).map(|found| match found {
                Found::New { number, chain, .. } => {
                    unverified(number.saturating_add(1), chain.head(), algorithm)
                }
                open @ Found::Open(_) => open,
            }),
        };
    };
    let mut lines = bytes[..complete].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let mut chain = if from_start {
        Chain::after(before, algorithm.clone())
    } else {
        // The first complete line in the window says where the chain is.
        Chain::after(lines.next().and_then(split).map(|(_, head)| head), algorithm.clone())
    };
    let mut claimed = chain.head();
    let mut verified = true;
    let mut sealed = false;
    for line in lines {
        verified &= chain.accept(line);
        claimed = split(line).map(|(_, head)| head).or(claimed);
        sealed = line.starts_with(b"{\"segment\":") && matches!(Mark::of(line), Some(Mark::Seal { .. }));
    }
    let highest = number.max(past);
    if !verified {
        return Ok(unverified(highest, claimed, algorithm));
    }
    if sealed {
        return Ok(Found::New { number: highest, chain, after: After::Seal });
    }
    if torn > 0 {
        move_away(layout, &file, &bytes[complete..], size - torn)?;
    }
    Ok(Found::Open(Continued { file, number, first, opened, size: size - torn, chain, torn }))
}

fn unverified(number: u64, last: Option<Head>, algorithm: &Algorithm) -> Found {
    Found::New { number, chain: Chain::after(last, algorithm.clone()), after: After::Unverified }
}

/// The end of a file: whole, or from a line's beginning.
struct Tail {
    bytes: Vec<u8>,
    from_start: bool,
}

/// At least two complete lines from the end of the file, if it has them, and what follows the last.
fn tail(file: &mut File, size: u64) -> io::Result<Tail> {
    let mut window = WINDOW;
    loop {
        let start = size.saturating_sub(window);
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(start))?;
        file.take(size - start).read_to_end(&mut bytes)?;
        if start == 0 {
            return Ok(Tail { bytes, from_start: true });
        }
        if bytes.split(|byte| *byte == b'\n').count() > 3 {
            let line = bytes.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            return Ok(Tail { bytes: bytes.split_off(line), from_start: false });
        }
        window *= 2;
    }
}

/// Reads the first line of a segment. Which algorithm it names is of no matter here: its hash decides.
fn opening(file: &mut File) -> io::Result<Option<Opening>> {
    let mut head = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(OPENING).read_to_end(&mut head)?;
    Ok(head.iter().position(|byte| *byte == b'\n').and_then(|end| opening_line(&head[..end])))
}

fn opening_line(line: &[u8]) -> Option<Opening> {
    let Some(Mark::Open { number, opened, previous_hash, .. }) = Mark::of(line) else { return None };
    let (_, own) = split(line)?;
    let before = match own.seq.checked_sub(1) {
        Some(seq) => Some(Head { seq, hash: unhex(previous_hash.as_bytes())? }),
        None => None,
    };
    Some(Opening { number, opened: opened.parse().ok()?, before, first: own.seq })
}

/// Appends the torn bytes to the file of torn lines, and only then takes them off the active file.
fn move_away(layout: &Layout, active: &File, torn: &[u8], complete: u64) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut kept = options.create(true).append(true).mode(MODE).open(layout.torn())?;
    kept.write_all(torn)?;
    kept.write_all(b"\n")?;
    kept.sync_all()?;
    layout.sync_folder()?;
    active.set_len(complete)?;
    active.sync_all()
}

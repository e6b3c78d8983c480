//! The record's files: which they are, and each as a stream of lines, plain or compressed, in bounded memory.
//!
//! Proof and questions both read through here, so that they mean the same files by a record and the same bytes by a
//! line. What a line says, and whether the chain holds, is nothing that this file knows. It never writes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Bytes of the longest line that is read; the writer's lines stay far below.
pub const LONGEST: usize = 1 << 20;

/// Bytes that are read from a file at a time.
const BUFFER: usize = 256 << 10;

/// What every zstd file begins with.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// How often a record that is rotated while it is looked up is looked up again.
const LOOKS: usize = 5;

/// The files of the record whose active file is `file`: those beside it that carry its name and a number, in the
/// order of their names, and itself, if it is there. A segment that stands there plain and compressed at once is on
/// its way from one to the other, and is named once.
///
/// Numbers are those of the writer (`NAME.00000007`, `NAME.00000007.zst`) and those that log rotators give, with dates
/// among them (`NAME.1`, `NAME-20261122`, `NAME.2026-11-22`).
///
/// # Errors
/// When the folder cannot be read.
pub fn files(file: &Path) -> io::Result<Vec<PathBuf>> {
    let folder = file.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    let own = file.file_name().unwrap_or_default().to_string_lossy();
    // By name without `.zst`.
    let mut found: BTreeMap<String, PathBuf> = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some(rest) = name.strip_prefix(&*own).and_then(|rest| rest.strip_prefix(['.', '-'])) else {
            continue;
        };
        let (stem, compressed) = rest.strip_suffix(".zst").map_or((rest, false), |stem| (stem, true));
        // What the writer adds where a number is taken.
        let number = stem.trim_end_matches(".again");
        let is_number =
            number.split('-').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
        if is_number && (compressed || !found.contains_key(stem)) {
            found.insert(stem.to_owned(), path);
        }
    }
    let mut files: Vec<PathBuf> = found.into_values().collect();
    if file.try_exists()? {
        files.push(file.to_owned());
    }
    Ok(files)
}

/// What `look` makes of the files of a record: it is asked again where the record was rotated meanwhile, so that no
/// segment is missed between its old name and its new one.
pub(super) fn settled<T, E: From<io::Error>>(
    file: &Path,
    mut look: impl FnMut(&[PathBuf]) -> Result<T, E>,
) -> Result<T, E> {
    let mut listed = files(file)?;
    for _ in 1..LOOKS {
        let seen = look(&listed);
        let now = files(file)?;
        if now == listed {
            return seen;
        }
        listed = now;
    }
    look(&listed)
}

/// A piece of a segment. Lines come without their newline.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A complete line.
    Line(&'a [u8]),
    /// A complete line that is longer than any line of the record; its beginning.
    TooLong(&'a [u8]),
    /// What follows the last newline.
    Torn(&'a [u8]),
}

/// A complete line and where it lies in its segment, as it was before compression.
#[derive(Clone, Copy, Debug)]
pub struct Located<'a> {
    /// Where it begins.
    pub at: u64,
    /// The line without its newline; empty where it is too long to be one of the record's.
    pub bytes: &'a [u8],
}

/// The lines of one file.
pub struct Lines {
    stream: BufReader<Source>,
    line: Vec<u8>,
    /// Where the next line begins.
    at: u64,
}

/// The bytes of one file.
enum Source {
    Plain(File),
    Compressed(Box<zstd::Decoder<'static, BufReader<File>>>),
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.read(buffer),
            Self::Compressed(decoder) => decoder.read(buffer),
        }
    }
}

/// Opens a segment, and tells whether it is compressed, by its name or else by how it begins. One that was compressed
/// and removed since its name was listed is found by its new name.
fn open(path: &Path) -> io::Result<(File, bool)> {
    let named = path.extension().is_some_and(|extension| extension == "zst");
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound && !named => {
            let mut compressed = path.to_owned();
            compressed.as_mut_os_string().push(".zst");
            return Ok((File::open(compressed).map_err(|_| error)?, true));
        }
        Err(error) => return Err(error),
    };
    let mut magic = Vec::new();
    (&mut file).take(4).read_to_end(&mut magic)?;
    file.seek(SeekFrom::Start(0))?;
    Ok((file, named || magic == ZSTD))
}

impl Lines {
    /// Opens a segment, compressed or not.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        let (file, compressed) = open(path)?;
        let source = if compressed {
            Source::Compressed(Box::new(zstd::Decoder::new(file)?))
        } else {
            Source::Plain(file)
        };
        Ok(Self { stream: BufReader::with_capacity(BUFFER, source), line: Vec::new(), at: 0 })
    }

    /// Opens a segment where a line begins.
    pub(super) fn open_at(path: &Path, at: u64) -> io::Result<Self> {
        let mut lines = Self::open(path)?;
        lines.at = match lines.stream.get_mut() {
            Source::Plain(file) => file.seek(SeekFrom::Start(at))?,
            Source::Compressed(_) => io::copy(&mut (&mut lines.stream).take(at), &mut io::sink())?,
        };
        Ok(lines)
    }

    /// Whether the file is compressed: then it is complete.
    pub(super) fn compressed(&self) -> bool {
        matches!(self.stream.get_ref(), Source::Compressed(_))
    }

    /// Where the next line begins, as it was before compression.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// How many bytes of the file were read, compressed as it may be.
    pub(super) fn consumed(&self) -> u64 {
        let mut file = match self.stream.get_ref() {
            Source::Plain(file) => file,
            Source::Compressed(decoder) => decoder.get_ref().get_ref(),
        };
        file.stream_position().unwrap_or(0)
    }

    /// The next piece, or `None` at the end.
    ///
    /// # Errors
    /// When the file cannot be read on, or what is compressed is damaged.
    #[allow(clippy::should_implement_trait, reason = "it lends its buffer, which an iterator cannot")]
    pub fn next(&mut self) -> io::Result<Option<Piece<'_>>> {
        self.line.clear();
        let most = LONGEST as u64;
        let read = (&mut self.stream).take(most).read_until(b'\n', &mut self.line)?;
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
            self.at += read as u64;
            return Ok(Some(Piece::Line(&self.line)));
        }
        if read < LONGEST {
            return Ok((!self.line.is_empty()).then_some(Piece::Torn(&self.line)));
        }
        // The rest of it is read, and not kept.
        let mut rest = Vec::new();
        let mut length = read as u64;
        loop {
            rest.clear();
            let read = (&mut self.stream).take(most).read_until(b'\n', &mut rest)?;
            length += read as u64;
            if rest.last() == Some(&b'\n') {
                self.at += length;
                return Ok(Some(Piece::TooLong(&self.line)));
            }
            if read < LONGEST {
                return Ok(Some(Piece::Torn(&self.line)));
            }
        }
    }

    /// The next complete line; `None` at the end, also where half a line follows: it may be being written.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub fn complete(&mut self) -> io::Result<Option<Located<'_>>> {
        let at = self.at;
        Ok(match self.next()? {
            Some(Piece::Line(bytes)) => Some(Located { at, bytes }),
            Some(Piece::TooLong(_)) => Some(Located { at, bytes: &[] }),
            Some(Piece::Torn(_)) | None => None,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn place(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            fs::write(folder.path().join(name), "").unwrap();
        }
        folder
    }

    #[test]
    fn a_record_is_its_numbered_files_and_no_others() {
        let folder = place(&[
            "audit.jsonl",
            "audit.jsonl.00000010.zst",
            "audit.jsonl.00000002",
            "audit.jsonl.00000002.zst",
            "audit.jsonl.00000002.again",
            "audit.jsonl.1",
            "audit.jsonl-20261122",
            "audit.jsonl.2026-11-22.zst",
            // None of these is a segment.
            "audit.jsonl.00000003.zst.new",
            "audit.jsonl.index.sqlite",
            "audit.jsonl.index.sqlite-wal",
            "audit.jsonl.lock",
            "audit.jsonl.new",
            "audit.jsonl.torn",
            "audit.jsonl.bak",
            "audit.jsonl.",
            "audit.jsonl-",
            "audit.jsonl.-1",
            "audit.jsonl1",
            "other.jsonl.00000004",
            "xaudit.jsonl.00000004",
        ]);
        let names = |file: &str| -> Vec<String> {
            let found = files(&folder.path().join(file)).unwrap();
            found.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
        };
        let expected = [
            "audit.jsonl.00000002.zst",
            "audit.jsonl.00000002.again",
            "audit.jsonl.00000010.zst",
            "audit.jsonl.1",
            "audit.jsonl.2026-11-22.zst",
            "audit.jsonl-20261122",
            "audit.jsonl",
        ];
        assert_eq!(names("audit.jsonl"), expected);
        assert_eq!(names("xaudit.jsonl"), ["xaudit.jsonl.00000004"]);
        assert!(names("none").is_empty());
        assert!(files(&folder.path().join("no/such/folder")).is_err());
    }

    #[test]
    fn lines_lie_where_they_say_plain_and_compressed() {
        let folder = tempfile::tempdir().unwrap();
        let long = vec![b'x'; 3 * LONGEST];
        let text = [b"first\n\nthird\n".as_slice(), &long, b"\nfifth\nto", &long[..5]].concat();
        let plain = folder.path().join("plain");
        fs::write(&plain, &text).unwrap();
        // Compressed and not named so.
        let packed = folder.path().join("packed");
        fs::write(&packed, zstd::encode_all(&text[..], 1).unwrap()).unwrap();
        // Removed since it was listed.
        let moved = folder.path().join("moved");
        fs::copy(&packed, folder.path().join("moved.zst")).unwrap();
        for (path, compressed) in [(&plain, false), (&packed, true), (&moved, true)] {
            let mut lines = Lines::open(path).unwrap();
            assert_eq!(lines.compressed(), compressed);
            let mut found = Vec::new();
            while let Some(line) = lines.complete().unwrap() {
                found.push((line.at, String::from_utf8(line.bytes.to_vec()).unwrap()));
            }
            let behind = 14 + long.len() as u64;
            let expected = [(0, "first"), (6, ""), (7, "third"), (13, ""), (behind, "fifth")];
            assert_eq!(found, expected.map(|(at, text)| (at, text.to_owned())));
            assert_eq!(lines.at(), behind + 6);
            assert!(lines.consumed() > 0);
            for (at, text) in expected {
                let mut lines = Lines::open_at(path, at).unwrap();
                assert_eq!(lines.complete().unwrap().unwrap().bytes, text.as_bytes());
            }
            let mut lines = Lines::open_at(path, behind).unwrap();
            assert_eq!(lines.next().unwrap(), Some(Piece::Line(b"fifth")));
            assert_eq!(lines.next().unwrap(), Some(Piece::Torn(b"toxxxxx")));
            assert_eq!(lines.next().unwrap(), None);
        }
        assert!(Lines::open(&folder.path().join("missing")).is_err());
    }

    #[test]
    fn a_record_that_is_rotated_while_it_is_looked_at_is_looked_at_again() {
        let folder = place(&["audit.jsonl"]);
        let log = folder.path().join("audit.jsonl");
        let mut looks = 0;
        let seen: io::Result<usize> = settled(&log, |files| {
            looks += 1;
            if looks == 1 {
                fs::rename(&log, folder.path().join("audit.jsonl.00000001")).unwrap();
                fs::write(&log, "").unwrap();
            }
            Ok(files.len())
        });
        assert_eq!((seen.unwrap(), looks), (2, 2));
    }
}

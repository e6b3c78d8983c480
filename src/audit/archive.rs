//! What becomes of segments that are complete: a thread of its own compresses them; those whose time is over go.
//!
//! A compressed segment takes the place of the plain one only when it is durable. Segments without a seal stay as
//! they are: they are evidence of a failure.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, SystemTime};

use super::layout::{Layout, Past};
use super::mark::Mark;
use super::recover::MODE;

/// Of zstd; records shrink to a tenth with it, and higher levels cost more than they gain.
const LEVEL: i32 = 3;
/// Bytes of the record in one frame of a compressed segment: whoever looks for a line decompresses one, not all.
const FRAME: u64 = 256 << 10;
/// The longest that a seal can be.
const SEAL: u64 = 4 << 10;

/// Starts the thread; it looks for work once by itself, then whenever it is told to, and ends with the last sender.
pub(super) fn start(layout: Layout) -> io::Result<Sender<()>> {
    let (wake, woken) = channel();
    wake.send(()).unwrap_or_default();
    thread::Builder::new().name("audit-archive".into()).spawn(move || run(&layout, &woken))?;
    Ok(wake)
}

fn run(layout: &Layout, woken: &Receiver<()>) {
    while woken.recv().is_ok() {
        let Ok(all) =
            layout.all_past().inspect_err(|error| tracing::warn!(%error, "audit folder cannot be read"))
        else {
            continue;
        };
        for past in all.iter().filter(|past| !past.compressed) {
            if let Err(error) = compress(layout, past) {
                // The plain segment is still there; the next time tries again.
                let file = past.path.display();
                tracing::warn!(%file, %error, "audit segment cannot be compressed");
            }
        }
    }
}

fn compress(layout: &Layout, past: &Past) -> io::Result<()> {
    let mut plain = File::open(&past.path)?;
    if !is_sealed(&mut plain)? {
        return Ok(());
    }
    let target = layout.compressed(past.number);
    let mut new = target.clone();
    new.as_mut_os_string().push(".new");
    let file = OpenOptions::new().create(true).truncate(true).write(true).mode(MODE).open(&new)?;
    let compressed = (|| {
        let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
        compressor.include_checksum(true)?;
        let mut piece = Vec::new();
        while (&mut plain).take(FRAME).read_to_end(&mut piece)? > 0 {
            (&file).write_all(&compressor.compress(&piece)?)?;
            piece.clear();
        }
        // Its age counts from when it was written, not from now.
        file.set_modified(plain.metadata()?.modified()?)?;
        file.sync_all()?;
        fs::rename(&new, &target)?;
        layout.sync_folder()?;
        fs::remove_file(&past.path)
    })();
    if compressed.is_err() {
        let _ = fs::remove_file(&new);
    }
    compressed
}

/// Whether the last line is a seal; leaves the file at its beginning.
fn is_sealed(plain: &mut File) -> io::Result<bool> {
    let size = plain.metadata()?.len();
    let mut end = Vec::new();
    plain.seek(SeekFrom::Start(size.saturating_sub(SEAL)))?;
    plain.take(SEAL).read_to_end(&mut end)?;
    plain.seek(SeekFrom::Start(0))?;
    let line = end.strip_suffix(b"\n").and_then(|end| end.split(|byte| *byte == b'\n').next_back());
    Ok(matches!(line.and_then(Mark::of), Some(Mark::Seal { .. })))
}

/// The oldest segments whose last line is older than `retain`, without a gap; the newest of them gives the number
/// that a mark must tell before they may be deleted.
pub(super) fn expired(layout: &Layout, retain: Duration, now: SystemTime) -> io::Result<Vec<Past>> {
    let all = layout.all_past()?;
    let count = all.iter().take_while(|past| {
        let modified = fs::metadata(&past.path).and_then(|there| there.modified());
        modified.is_ok_and(|modified| now.duration_since(modified).is_ok_and(|age| age > retain))
    });
    let count = count.count();
    Ok(all.into_iter().take(count).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_old_goes_only_without_a_gap() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let layout = Layout::new(&folder.path().join("audit.jsonl"));
        let (hour, now) = (Duration::from_secs(3600), SystemTime::now());
        for (number, age) in [(1, 3), (2, 2), (3, 0), (4, 3)] {
            fs::write(layout.past(number), "")?;
            File::options().append(true).open(layout.past(number))?.set_modified(now - hour * age)?;
        }
        let numbers = |retain| -> io::Result<Vec<u64>> {
            Ok(expired(&layout, retain, now)?.iter().map(|past| past.number).collect())
        };
        assert_eq!(numbers(hour)?, [1, 2]);
        assert_eq!(numbers(hour * 2)?, [1]);
        assert!(numbers(hour * 4)?.is_empty());
        Ok(())
    }

    #[test]
    fn a_sealed_segment_is_compressed_in_frames_that_can_be_read_alone() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(&folder.path().join("audit.jsonl"));
        let seal = Mark::Seal { number: 1, closed: "now".to_owned(), lines: 3, first: 0 }.body();
        let text = [vec![b'x'; 5 << 17].as_slice(), b"\n", &seal, b"}\n"].concat();
        fs::write(layout.past(1), &text).unwrap();
        compress(&layout, &layout.all_past().unwrap()[0]).unwrap();
        assert!(!layout.past(1).exists());
        let packed = fs::read(layout.compressed(1)).unwrap();
        let (mut rest, mut sizes, mut whole) = (&packed[..], Vec::new(), Vec::new());
        while !rest.is_empty() {
            let mut frame = zstd::Decoder::with_buffer(rest).unwrap().single_frame();
            let before = whole.len();
            frame.read_to_end(&mut whole).unwrap();
            sizes.push((whole.len() - before) as u64);
            rest = frame.finish();
        }
        assert_eq!(whole, text);
        assert_eq!(sizes, [FRAME, FRAME, text.len() as u64 - 2 * FRAME]);
    }
}

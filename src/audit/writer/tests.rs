//! The end of a record whose disk fails with the last lines.

use std::fs;
use std::sync::mpsc::channel;

use super::*;
use crate::audit::layout::Layout;

/// Writes one line and ends, on a disk that breaks before; what the record's last file holds.
fn end_on(device: &str, lines: usize) -> io::Result<(Result<(), Unfinished>, String)> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("audit.jsonl");
    let rotation = Rotation { size: 1 << 20, age: Duration::from_secs(3600) };
    let mut store = Store::open(&file, rotation, None, Algorithm::new(None), None)?;
    store.settle()?;
    store.break_disk(device)?;
    let (queue, messages) = channel();
    for _ in 0..lines {
        let line = Line { body: b"{\"call\":1".to_vec(), waiter: None };
        queue.send(Message::Line(line)).unwrap_or_default();
    }
    queue.send(Message::Stop).unwrap_or_default();
    let shared = Arc::new(Shared::new());
    shared.stopping.store(true, Relaxed);
    let ended = Run { store, shared, messages, pause: PAUSES.0, looked: Instant::now() }.run();
    assert!(Layout::new(&file).past(1).exists(), "the first segment was not left");
    Ok((ended, fs::read_to_string(file)?))
}

#[test]
fn last_lines_that_failed_are_written_before_the_end() -> io::Result<()> {
    // Nothing can be written; or it can, and not be synced, which shows with the seal; or there is only the seal.
    for (device, lines) in [("/dev/full", 1), ("/dev/null", 1), ("/dev/full", 0), ("/dev/null", 0)] {
        let (ended, text) = end_on(device, lines)?;
        assert_eq!(ended, Ok(()), "{device}");
        let starts: Vec<&str> = text.lines().map(|line| &line[..28]).collect();
        let [open, calls @ .., seal] = &*starts else { panic!("{text}") };
        assert_eq!(
            (*open, *seal),
            ("{\"segment\":{\"record\":\"open\",", "{\"segment\":{\"record\":\"seal\",")
        );
        assert_eq!(calls.len(), lines, "{device}: {text}");
    }
    Ok(())
}

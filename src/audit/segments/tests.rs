//! Failures that only a broken disk shows: syncs and seals that fail.

use super::*;

fn lines(text: &str) -> Vec<&str> {
    text.lines().collect()
}

fn fresh() -> io::Result<(tempfile::TempDir, Layout, Segments)> {
    let folder = tempfile::tempdir()?;
    let layout = Layout::new(&folder.path().join("audit.jsonl"));
    let rotation = Rotation { size: 1 << 20, age: Duration::from_secs(3600) };
    let segments = Segments::open(layout.clone(), rotation, &Algorithm::new(None), None)?;
    Ok((folder, layout, segments))
}

impl Segments {
    /// From now on the active segment is a device: `/dev/null` takes writes and cannot sync, `/dev/full` takes none.
    pub(in crate::audit) fn break_disk(&mut self, device: &str) -> io::Result<()> {
        let device = OpenOptions::new().append(true).open(device)?;
        if let Some(active) = &mut self.active {
            active.file = device;
        }
        Ok(())
    }
}

#[test]
fn after_a_failed_sync_nothing_is_written_to_the_file_and_nothing_is_lost() -> io::Result<()> {
    let (_folder, layout, mut segments) = fresh()?;
    segments.write([b"{\"call\":1".to_vec()], true)?;
    segments.write([b"{\"call\":2".to_vec()], false)?;
    let durable = segments.durable();
    let left = fs::read(layout.active())?;
    segments.break_disk("/dev/null")?;
    assert!(segments.write([b"{\"call\":3".to_vec()], true).is_err());
    assert_eq!(segments.durable(), durable);
    segments.write([b"{\"call\":4".to_vec()], true)?;
    segments.seal()?;

    assert_eq!(fs::read(layout.past(1))?, left, "the failed file was touched again");
    let text = fs::read_to_string(layout.active())?;
    let mut chain = Chain::after(durable, Algorithm::new(None));
    assert!(lines(&text).iter().all(|line| chain.accept(line.as_bytes())), "{text}");
    assert!(lines(&text)[0].contains("\"after\":\"failure\""));
    let calls: Vec<&str> = lines(&text)[1..4].iter().map(|line| &line[..9]).collect();
    assert_eq!(calls, ["{\"call\":2", "{\"call\":3", "{\"call\":4"]);
    assert!(!segments.is_dirty());
    Ok(())
}

#[test]
fn a_seal_that_fails_is_of_no_other_segment() -> io::Result<()> {
    let (_folder, layout, mut segments) = fresh()?;
    segments.write([b"{\"call\":1".to_vec()], true)?;
    segments.write([b"{\"call\":2".to_vec()], false)?;
    segments.break_disk("/dev/null")?;
    assert!(segments.rotate().is_err());
    segments.settle()?;
    segments.write([b"{\"call\":3".to_vec()], true)?;
    let text = fs::read_to_string(layout.active())?;
    let starts: Vec<&str> = lines(&text).iter().map(|line| &line[..9]).collect();
    assert_eq!(starts, ["{\"segment", "{\"call\":2", "{\"call\":3"]);
    Ok(())
}

#[test]
fn memory_holds_only_so_much_that_is_not_synced() -> io::Result<()> {
    let (_folder, _, mut segments) = fresh()?;
    segments.settle()?;
    let durable = segments.durable();
    let line = || [[b"{\"call\":\"", [b'x'; 1 << 20].as_slice(), b"\""].concat()];
    for _ in 0..UNSYNCED >> 20 {
        assert_eq!(segments.durable(), durable);
        segments.write(line(), false)?;
    }
    segments.write(line(), false)?;
    assert_ne!(segments.durable(), durable);
    assert!(segments.unsynced_bytes <= UNSYNCED);
    Ok(())
}

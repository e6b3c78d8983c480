//! `{ file = "/path" }`: a file that holds one value. Refuses what others on the machine can read, unless told
//! otherwise, and whatever is not a regular file; never waits on a pipe.

use std::fs::{File, Metadata, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

use super::{Bytes, Failure, MAX_VALUE, read_all, without_newline};

/// A file that only its owner may touch.
pub(super) fn read_private(path: &Path, allow_open_mode: bool) -> Result<Bytes, Failure> {
    let (mut file, metadata) = open(path)?;
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 && !allow_open_mode {
        let help = format!(
            "run `chmod 600 {}`, or accept it with `allow-open-mode = true` beside `file`",
            path.display()
        );
        return Err(Failure::new(
            format!("group or world can use `{}` (mode {mode:03o})", path.display()),
            help,
        ));
    }
    contents(path, &mut file)
}

/// A file whose mode is somebody else's business: the service manager guards its directory.
pub(super) fn read(path: &Path) -> Result<Bytes, Failure> {
    contents(path, &mut open(path)?.0)
}

/// Opens a regular file; the checks are of the opened file, not of its name, so nothing changes in between.
fn open(path: &Path) -> Result<(File, Metadata), Failure> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let unreadable = |error: std::io::Error| {
        let help = "check the path, and that the user countersign runs as can read it";
        Failure::new(format!("`{}` cannot be read: {error}", path.display()), help)
    };
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        let help = "name a regular file that holds the value alone";
        return Err(Failure::new(format!("`{}` is not a regular file", path.display()), help));
    }
    Ok((file, metadata))
}

fn contents(path: &Path, file: &mut File) -> Result<Bytes, Failure> {
    let bytes = read_all(file).map_err(|error| {
        Failure::new(format!("`{}` cannot be read: {error}", path.display()), "check the file system")
    })?;
    let bytes = bytes.ok_or_else(|| {
        let problem = format!("`{}` is longer than {} KiB", path.display(), MAX_VALUE >> 10);
        Failure::new(problem, "the file must hold the value alone")
    })?;
    Ok(without_newline(bytes))
}

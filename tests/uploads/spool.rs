//! The folder of bodies that wait in files: nothing in it ever has a name, and what is wrong with it is said.

use std::fs;
use std::path::Path;

use crate::body::{Form, Http, MIB, Upload, data};
use crate::support::{Gateway, Setup, Upstream, eventually};
use crate::{routes, s3_code, sink};

/// A gateway that spools to `folder`.
fn spooling(upstream: &Upstream, folder: &Path) -> Gateway {
    let line = format!("spool-directory = \"{}\"", folder.display());
    Setup::routes(&routes(upstream)).server(&line).start()
}

struct Folder(std::path::PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("countersign-spool-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn names(&self) -> usize {
        fs::read_dir(&self.0).unwrap().count()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The lengths of files without a name that the gateway holds open.
pub fn nameless_files(gateway: &Gateway) -> Vec<u64> {
    let held = fs::read_dir(format!("/proc/{}/fd", gateway.pid())).unwrap();
    let held = held.map(|entry| entry.unwrap().path());
    let nameless =
        held.filter(|path| fs::read_link(path).is_ok_and(|to| to.to_string_lossy().ends_with(" (deleted)")));
    nameless.filter_map(|path| fs::metadata(path).ok()).map(|file| file.len()).collect()
}

/// Files of this folder that the gateway holds open, by what the kernel says of them.
fn open_files(gateway: &Gateway, folder: &Path) -> Vec<String> {
    let held = fs::read_dir(format!("/proc/{}/fd", gateway.pid())).unwrap();
    held.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
        .filter(|path| path.starts_with(folder))
        .map(|path| path.display().to_string())
        .collect()
}

#[test]
fn a_spooled_body_has_no_name() {
    let upstream = sink();
    let folder = Folder::new();
    let gateway = spooling(&upstream, &folder.0);
    let upload = Upload::new(Form::UnsignedTrailer("crc32"), &data(2 * MIB));
    let bytes = upload.put("hash-none.internal", Http::Length);
    // One is sent whole, one breaks off, one is wrong.
    for end in 0..3 {
        let mut caller = gateway.connect();
        caller.send(&bytes[..bytes.len() - 60]);
        eventually("it is in a file", || !open_files(&gateway, &folder.0).is_empty());
        assert!(open_files(&gateway, &folder.0).iter().all(|path| path.ends_with(" (deleted)")));
        assert_eq!(folder.names(), 0);
        match end {
            0 => {
                caller.send(&bytes[bytes.len() - 60..]);
                caller.response("PUT").passed(200);
                assert!(upstream.take()[0].body == data(2 * MIB));
            }
            1 => drop(caller),
            _ => {
                caller.send(&[b'x'; 60]);
                assert_eq!(caller.response("PUT").status, 400);
            }
        }
        eventually("the file is gone", || open_files(&gateway, &folder.0).is_empty());
        assert_eq!(folder.names(), 0);
    }
}

#[test]
fn a_folder_that_cannot_be_used_is_named_in_the_log() {
    let upstream = sink();
    let folder = Folder::new();
    let gateway = spooling(&upstream, &folder.0);
    fs::remove_dir(&folder.0).unwrap();
    for http in [Http::Length, Http::Chunked] {
        let mut caller = gateway.connect();
        caller.send(&Upload::new(Form::Plain, &data(2 * MIB)).put("hash-none.internal", http));
        let answer = caller.response("PUT");
        answer.refused(503, "spool-full");
        assert_eq!(s3_code(&answer.text()), "SlowDown");
        assert!(!answer.text().contains("countersign-spool"), "a path is not the caller's business");
    }
    upstream.assert_untouched("the body could not be known");
    let event = gateway.wait_for_event("the spool folder cannot be used").to_string();
    assert!(event.contains("No such file") && event.contains(folder.0.to_str().unwrap()), "{event}");
    // It is looked at anew each time.
    fs::create_dir(&folder.0).unwrap();
    let mut caller = gateway.connect();
    caller.send(&Upload::new(Form::Plain, &data(2 * MIB)).put("hash-none.internal", Http::Chunked));
    caller.response("PUT").passed(200);
}

/// A full disk is the same refusal, and says so.
#[test]
fn a_full_disk_is_a_503() {
    let upstream = sink();
    // Nothing can be written behind this path, not even by root.
    let gateway = spooling(&upstream, Path::new("/proc/self/fdinfo"));
    let mut caller = gateway.connect();
    caller.send(&Upload::new(Form::Plain, &data(2 * MIB)).put("hash-none.internal", Http::Length));
    caller.response("PUT").refused(503, "spool-full");
    let event = gateway.wait_for_event("the spool folder cannot be used").to_string();
    assert!(event.contains("/proc/self/fdinfo"), "{event}");
}

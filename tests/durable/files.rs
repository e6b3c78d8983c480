//! The record's files while the gateway works: moved, rotated, deleted when their time is over, sealed at the end, and
//! wanted by one process only.

use std::collections::HashSet;
use std::time::SystemTime;

use rustix::process::Signal;

use super::*;

fn is_there(file: &Path, end: &str) -> bool {
    let mut path = file.as_os_str().to_owned();
    path.push(end);
    Path::new(&path).exists()
}

#[test]
fn a_moved_file_is_left_when_told_and_both_hold() {
    let desk = Desk::new("audit.jsonl", "");
    let open = desk.open();
    assert_eq!(open.put("one").status, 200);
    let moved = desk.file.with_file_name("yesterday.jsonl");
    fs::rename(&desk.file, &moved).unwrap();
    assert_eq!(open.put("two").status, 200);
    assert!(!desk.file.exists(), "nobody asked for a new file yet");
    open.gateway.signal(Signal::USR1);
    support::eventually("the new file", || desk.file.exists());
    assert_eq!(open.put("three").status, 200);
    open.close();
    let (old, new) = (Desk::lines_of(&moved), Desk::lines_of(&desk.file));
    assert!(old.iter().any(|line| is_about(line, "intent", "two")));
    assert_eq!(old.last().unwrap()["segment"]["record"], "seal");
    assert_eq!(new[0]["segment"]["previousHash"], old.last().unwrap()["hash"]);
    assert!(new.iter().any(|line| is_about(line, "intent", "three")));
    let report = desk.proven(&[moved]);
    assert_eq!((report.segments.len(), report.intents, report.in_doubt.len()), (2, 3, 0));
}

#[test]
fn segments_are_ended_by_size_under_load_compressed_and_deleted_in_their_time() {
    let desk = Desk::new("audit.jsonl", "rotate-size = \"1MiB\"\nrotate-age = \"1m\"\nretain = \"1m\"");
    let open = desk.open();
    let load = |until: &dyn Fn() -> bool| {
        let key = "%C3%A4".repeat(500);
        let mut caller = Caller::to(open.address);
        let mut sent = 0;
        while !until() {
            let ask = ask("PUT", &format!("/bucket/{key}")).header("Host", "s3.internal").body("body");
            assert_eq!(caller.call(&ask).status, 200);
            sent += 1;
            assert!(sent < 5_000, "no new segment");
        }
        sent
    };
    let mut sent = load(&|| is_there(&desk.file, ".00000003.zst"));
    assert!(!is_there(&desk.file, ".00000001"), "the plain segment stays beside the compressed one");
    // The first two are made old; that is looked at when the next segment ends.
    for number in [1, 2] {
        let file = desk.file.with_file_name(format!("audit.jsonl.0000000{number}.zst"));
        let old = SystemTime::now() - Duration::from_secs(3600);
        fs::File::options().append(true).open(file).unwrap().set_modified(old).unwrap();
    }
    sent += load(&|| !is_there(&desk.file, ".00000002.zst"));
    assert!(!is_there(&desk.file, ".00000001.zst"));
    open.close();
    let report = desk.proven(&[]);
    assert!(report.in_doubt.is_empty() && report.segments.iter().all(|segment| segment.sealed));
    let lines = desk.lines();
    assert!(
        lines.iter().any(|line| line["segment"]["record"] == "retired" && line["segment"]["through"] == 2)
    );
    let calls: HashSet<&str> = lines.iter().filter_map(|line| line["requestID"].as_str()).collect();
    assert!(!calls.is_empty() && calls.len() < sent, "{} of {sent}", calls.len());
}

#[test]
fn an_end_seals_and_a_start_goes_on() {
    let desk = Desk::new("audit.jsonl", "");
    for life in 0..3 {
        let open = desk.open();
        assert_eq!(open.put(&format!("life-{life}")).status, 200);
        assert_eq!(open.get(&format!("life-{life}")).status, 200);
        open.close();
        let lines = desk.lines();
        assert_eq!(lines.last().unwrap()["segment"]["record"], "seal");
        assert_eq!(lines.len(), 5 * (life + 1), "open, intent, two outcomes, seal");
        let report = desk.proven(&[]);
        assert!(report.notes.is_empty() && report.segments.iter().all(|segment| segment.sealed));
    }
}

#[test]
fn a_second_process_is_told_that_the_record_is_taken() {
    let desk = Desk::new("audit.jsonl", "");
    let open = desk.open();
    assert_eq!(open.put("one").status, 200);
    let second = desk.place.run(&["serve", "--config", "countersign.toml"]).with(1);
    assert!(second.err.contains("audit.jsonl"), "{}", second.err);
    assert!(
        second.err.contains("another process writes this record; each needs a file of its own"),
        "{}",
        second.err
    );
    assert_eq!(open.put("two").status, 200);
    open.close();
    assert_eq!(desk.proven(&[]).intents, 2);
    // The place is free now.
    desk.open().close();
}

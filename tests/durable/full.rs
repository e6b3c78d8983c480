//! When nothing can be written: calls that change something are refused within a second and not sent, reads as the
//! configuration says, nothing is lost silently, and work goes on by itself.

use std::fs::{self, File};
use std::io::Read;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::{Resource, Rlimit, prlimit};

use super::*;

/// From now on no file of the process may grow; or, without, all may again.
fn limit(open: &Open<'_>, size: Option<u64>) {
    let limit = Rlimit { current: size, maximum: None };
    prlimit(Some(open.gateway.pid()), Resource::Fsize, limit).unwrap();
}

#[test]
fn a_full_disk_refuses_all_and_work_goes_on_when_there_is_room() {
    let desk = Desk::new("audit.jsonl", "");
    let open = desk.open();
    assert_eq!((open.put("before").status, open.get("before").status), (200, 200));
    limit(&open, Some(0));
    open.refuses(|open| open.put("first"));
    for _ in 0..5 {
        open.refuses(|open| open.put("write"));
        open.refuses(|open| open.get("read"));
    }
    assert!(open.metric("countersign_audit_errors_total") > 0.0);
    assert!(open.metric("countersign_audit_queue_records") > 0.0);
    let ready = open.admin("/readyz");
    assert_eq!(ready.status, 503);
    assert!(ready.text().contains("audit-unwritable"), "{}", ready.text());
    limit(&open, None);
    open.recovers();
    assert_eq!(open.get("after").status, 200);
    open.close();

    // Every refusal is in the record, and none is taken for a call that may have been sent.
    let report = desk.proven(&[]);
    assert!(report.in_doubt.is_empty(), "{:?}", report.in_doubt);
    let lines = desk.lines();
    for (key, count) in [("first", 1), ("write", 5), ("read", 5)] {
        let outcomes: Vec<&Value> = lines.iter().filter(|line| is_about(line, "outcome", key)).collect();
        assert_eq!(outcomes.len(), count, "{key}");
        for outcome in outcomes {
            assert_eq!(outcome["errorCode"], "audit-unavailable", "{outcome}");
            assert_eq!(outcome["additionalEventData"]["status"], 503, "{outcome}");
        }
    }
    assert!(lines.iter().all(|line| line["segment"]["record"] != "gap"));
}

#[test]
fn reads_pass_where_they_may_and_those_not_recorded_are_counted() {
    /// More than are kept: a line of each is some kilobytes.
    const READS: usize = 9_000;
    let desk = Desk::new("audit.jsonl", "on-full = \"drop-reads\"");
    let open = desk.open();
    assert_eq!(open.put("before").status, 200);
    limit(&open, Some(0));
    open.refuses(|open| open.put("first"));
    // In the record each of these letters takes six bytes, and each key stands there twice.
    let key = "%C3%A4".repeat(500);
    let passed = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut caller = Caller::to(open.address);
                let ask = ask("GET", &format!("/bucket/{key}")).header("Host", "s3.internal");
                for _ in 0..READS / 4 {
                    passed.fetch_add(usize::from(caller.call(&ask).status == 200), Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(passed.into_inner(), READS);
    open.refuses(|open| open.put("write"));
    limit(&open, None);
    open.recovers();
    open.close();

    let report = desk.proven(&[]);
    assert!(report.in_doubt.is_empty(), "{:?}", report.in_doubt);
    let lines = desk.lines();
    let gaps: Vec<&Value> = lines.iter().filter(|line| line["segment"]["record"] == "gap").collect();
    let of = |field: &str| gaps.iter().map(|gap| gap["segment"][field].as_u64().unwrap()).sum::<u64>();
    let recorded = lines.iter().filter(|line| line["eventName"] == "GetObject").count() as u64;
    assert!(of("reads") > 0, "{recorded} of {READS} reads are recorded");
    assert_eq!((recorded + of("reads"), of("writes")), (READS as u64, 0));
    assert!(lines.iter().any(|line| is_about(line, "outcome", "write")));
}

#[test]
fn a_device_without_room_refuses_from_the_start() {
    let desk = Desk::new("/dev/full", "");
    let open = desk.open();
    open.refuses(|open| open.put("write"));
    open.refuses(|open| open.get("read"));
    assert_eq!(open.admin("/readyz").status, 503);
    assert_eq!(open.admin("/livez").status, 200);
}

#[test]
fn a_record_that_hangs_refuses_within_a_second_and_goes_on_with_its_reader() {
    let desk = Desk::new("pipe", "");
    assert!(Command::new("mkfifo").arg(&desk.file).status().unwrap().success());
    let open = desk.open();
    // Nobody reads; the pipe takes what it takes, and the call that fills it waits in vain.
    let filled = (0..500).find(|_| open.put("fills").status != 200);
    assert!(filled.is_some(), "the pipe was not filled");
    open.refuses(|open| open.put("write"));
    open.refuses(|open| open.get("read"));
    assert!(open.admin("/readyz").text().contains("audit-unwritable"));
    let pipe = desk.file.clone();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        File::open(pipe).unwrap().read_to_string(&mut text).unwrap();
        text
    });
    open.recovers();
    open.close();
    let kept = desk.place.write("kept.jsonl", &reader.join().unwrap());
    let kept = Path::new(&kept);
    let report = ledger::record(kept, &[], &[], None).unwrap();
    assert!(report.holds(), "{:#?}", report.problems);
    let lines = Desk::lines_of(kept);
    let sent = desk.upstream.requests().len();
    let intents = lines.iter().filter(|line| line["additionalEventData"]["record"] == "intent").count();
    assert!(intents >= sent, "{sent} calls were sent with {intents} intents");
    assert!(lines.iter().any(|line| is_about(line, "outcome", "read")));
}

#[test]
fn a_folder_that_vanishes_is_noticed_and_used_again_when_it_is_back() {
    let desk = Desk::new("log/audit.jsonl", "");
    let folder = desk.file.parent().unwrap();
    fs::create_dir(folder).unwrap();
    let open = desk.open();
    assert_eq!(open.put("before").status, 200);
    fs::remove_dir_all(folder).unwrap();
    support::eventually("the refusal", || open.put("lost").status == 503);
    open.refuses(|open| open.put("write"));
    fs::create_dir(folder).unwrap();
    open.recovers();
    open.close();
    let lines = desk.lines();
    assert_eq!(lines[0]["segment"]["after"], "failure");
    assert!(lines.iter().any(|line| is_about(line, "outcome", "write")));
    assert!(lines.iter().any(|line| is_about(line, "intent", "again")));
}

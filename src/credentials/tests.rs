#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use super::*;

fn argv(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn a_program_that_hangs_is_ended_with_its_children() {
    let directory = std::env::temp_dir().join(format!("countersign-hang-{}", std::process::id()));
    let script = format!("sleep 60 & echo $! > {}; wait", directory.display());
    let begun = Instant::now();
    let failure = exec::run(&argv(&["/bin/sh", "-c", &script]), Duration::from_millis(400)).err().unwrap();
    assert!(failure.problem.contains("took longer than 0.4 seconds"), "{}", failure.problem);
    assert!(begun.elapsed() < Duration::from_secs(10));
    let child = std::fs::read_to_string(&directory).unwrap();
    std::fs::remove_file(&directory).unwrap();
    // The orphan may stay as a zombie for whoever adopts it; what counts is that it no longer runs.
    let state = || std::fs::read_to_string(format!("/proc/{}/stat", child.trim()));
    let runs = || state().is_ok_and(|stat| !stat.rsplit(") ").next().unwrap_or_default().starts_with('Z'));
    while runs() && begun.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(!runs(), "the child of the program was left running");
}

#[test]
fn a_program_that_closes_its_output_and_stays_is_ended() {
    let failure = exec::run(&argv(&["/bin/sh", "-c", "exec >&-; sleep 60"]), Duration::from_millis(300));
    assert!(failure.err().unwrap().problem.contains("took longer"));
}

#[test]
fn one_newline_is_taken_off() {
    let take = |text: &str| without_newline(Zeroizing::new(text.as_bytes().to_vec())).to_vec();
    assert_eq!(take("a\n"), b"a");
    assert_eq!(take("a\r\n"), b"a");
    assert_eq!(take("a\n\n"), b"a\n");
    assert_eq!(take("a\r"), b"a\r");
    assert_eq!(take("a"), b"a");
}

#[test]
fn names_that_may_be_keys_are_not_told() {
    assert!(is_telling("CLOUD_LAB_KEY") && is_telling("zs-prod-id") && is_telling("pass"));
    assert!(!is_telling("wJalrXUtnFEMI") && !is_telling("123") && !is_telling(&"x".repeat(65)));
}

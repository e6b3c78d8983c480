//! The feed: what is kept while somebody watches, and that nothing is otherwise.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

fn call(id: &str) -> Call {
    Call { id: id.to_owned(), ..Call::default() }
}

fn stages() -> Stages {
    Stages { canonical_request: None, string_to_sign: "signed".to_owned() }
}

/// The first of a future that is ready.
fn now<T>(future: impl Future<Output = T>) -> Option<T> {
    use futures_util::FutureExt as _;
    future.now_or_never()
}

#[test]
fn nothing_is_made_while_nobody_watches() {
    let feed = Feed::default();
    let reporter = feed.reporter();
    assert!(!reporter.is_wanted());
    reporter.sign("a", || panic!("made stages for nobody"));
    reporter.publish(|| panic!("made a call for nobody"));
    assert!(feed.recent().is_empty());
    assert!(locked(&feed.0.stages).is_empty());
}

#[test]
fn who_watches_sees_calls_with_their_stages() {
    let feed = Feed::default();
    let (one, other) = (feed.reporter(), feed.reporter());
    let mut watch = feed.watch();
    one.sign("a", stages);
    one.sign("a", || panic!("the first time counts"));
    other.publish(|| call("b"));
    one.publish(|| call("a"));
    assert_eq!(now(watch.next()).and_then(Result::ok).map(|call| call.id.clone()).as_deref(), Some("b"));
    let seen = now(watch.next()).and_then(Result::ok);
    assert_eq!(seen.and_then(|call| call.stages.clone()), Some(stages()));
    assert!(now(watch.next()).is_none());
    assert!(locked(&feed.0.stages).is_empty());
    let ids: Vec<String> = feed.recent().iter().map(|call| call.id.clone()).collect();
    assert_eq!(ids, ["a", "b"]);
    assert!(feed.call("b").is_some() && feed.call("c").is_none());
}

#[test]
fn what_is_kept_is_bounded() {
    let feed = Feed::default();
    let reporter = feed.reporter();
    let mut watch = feed.watch();
    for number in 0..RING + 100 {
        reporter.publish(|| call(&number.to_string()));
    }
    assert_eq!(feed.recent().len(), RING);
    assert_eq!(feed.recent().first().map(|call| call.id.clone()), Some((RING + 99).to_string()));
    // Whoever is too slow is told how much is missing, and goes on.
    let missed = now(watch.next()).and_then(Result::err);
    assert_eq!(missed, Some((RING + 100 - BEHIND) as u64));
    assert!(now(watch.next()).is_some_and(|next| next.is_ok()));
    for number in 0..UNDER_WAY + 100 {
        reporter.sign(&number.to_string(), stages);
    }
    assert_eq!(locked(&feed.0.stages).len(), UNDER_WAY);
}

#[test]
fn an_interest_ends_by_itself() {
    let feed = Feed::default();
    let reporter = feed.reporter();
    feed.look();
    reporter.sign("left over", stages);
    reporter.publish(|| call("a"));
    assert!(reporter.is_wanted());
    drop(feed.watch());
    reporter.publish(|| call("b"));
    assert!(reporter.is_wanted(), "who closes a page may open another one");
    *locked(&feed.0.until) = Instant::now().checked_sub(Duration::from_millis(1));
    reporter.publish(|| call("c"));
    assert!(!reporter.is_wanted());
    assert!(locked(&feed.0.stages).is_empty());
    // As long as somebody listens it does not.
    let _watch = feed.watch();
    *locked(&feed.0.until) = None;
    reporter.publish(|| call("d"));
    assert!(reporter.is_wanted());
}

#[test]
fn an_export_sees_every_call_and_keeps_none() {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = count.clone();
    let export: Export = Box::new(move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
    });
    let feed = Feed::new(Some(export));
    let reporter = feed.reporter();
    assert!(reporter.is_wanted() && reporter.is_exported());
    reporter.sign("a", || panic!("nobody watches"));
    reporter.publish(|| call("a"));
    assert!(feed.recent().is_empty());
    feed.look();
    reporter.publish(|| call("b"));
    *locked(&feed.0.until) = None;
    reporter.publish(|| call("c"));
    assert!(reporter.is_wanted(), "the export goes on");
    assert_eq!(count.load(Ordering::Relaxed), 3);
}

#[test]
fn bytes_by_bucket_are_those_of_all_workers() {
    let feed = Feed::default();
    let (one, other) = (feed.reporter(), feed.reporter());
    one.count("logs", 1, 10);
    other.count("logs", 2, 20);
    other.count("media\u{202e}", 0, 5);
    one.count("photos", 100, 0);
    let traffic = feed.traffic();
    let named: Vec<(&str, Traffic)> =
        traffic.iter().map(|(name, traffic)| (name.as_str(), *traffic)).collect();
    assert_eq!(
        named,
        [
            ("photos", Traffic { calls: 1, received: 100, sent: 0 }),
            ("logs", Traffic { calls: 2, received: 3, sent: 30 }),
            ("media\\u{202e}", Traffic { calls: 1, received: 0, sent: 5 }),
        ]
    );
    for number in 0..2_000 {
        one.count(&format!("made-up-{number}"), 1, 0);
    }
    let traffic = feed.traffic();
    assert!(traffic.len() <= 1_005, "{}", traffic.len());
    let total: u64 = traffic.iter().map(|(_, traffic)| traffic.bytes()).sum();
    assert_eq!(total, 138 + 2_000);
    assert!(traffic.iter().any(|(name, traffic)| name == "(others)" && traffic.calls > 990));
}

//! Floods against a small bucket, by an own clock.

use super::super::messages::Splitter;
use super::*;

fn message(text: &str) -> Message {
    let mut found = None;
    let mut splitter = Splitter::default();
    splitter.push(text.as_bytes(), |_| ());
    splitter.finish(|message| found = Some(message));
    found.unwrap()
}

#[test]
fn a_bucket_is_bounded_and_keeps_some_for_errors() {
    let now = Instant::now();
    let mut bucket = Bucket::new(100, 0);
    let notice = message("PHP Notice:  n");
    let admitted = (0..1000).filter(|_| bucket.admits(&notice, now)).count();
    assert_eq!(admitted, 75);
    let error = message("PHP Fatal error:  e");
    let admitted = (0..1000).filter(|_| bucket.admits(&error, now)).count();
    assert_eq!(admitted, 25);
    let later = now + Duration::from_secs(3600);
    assert!(!bucket.admits(&error, later));
    let dropped = bucket.dropped(Duration::ZERO, later).unwrap();
    assert_eq!(dropped.messages, 925 + 975 + 1);
    assert_eq!(dropped.since, Some(now));
    assert_eq!(bucket.dropped(Duration::ZERO, later), None);
}

#[test]
fn long_messages_cost_more() {
    let now = Instant::now();
    let mut bucket = Bucket::new(100, 0);
    let long = message(&"x".repeat(64 * TOKEN));
    assert!(bucket.admits(&long, now) && !bucket.admits(&long, now));
    assert_eq!(bucket.tokens, 36);
}

#[test]
fn tokens_come_back_with_time() {
    let mut now = Instant::now();
    let mut bucket = Bucket::new(10, 4);
    let error = message("e");
    while bucket.admits(&error, now) {}
    for _ in 0..8 {
        now += Duration::from_millis(125);
        bucket.admits(&error, now);
    }
    assert_eq!(bucket.dropped.messages, 1 + 4);
    assert_eq!(bucket.dropped(Duration::from_secs(2), now), None);
    now += Duration::from_secs(100);
    assert!(bucket.dropped(Duration::from_secs(2), now).is_some());
    assert!(!bucket.has_dropped());
    let admitted = (0..100).filter(|_| bucket.admits(&error, now)).count();
    assert_eq!(admitted, 10);
}

#[test]
fn counts_that_may_not_be_told_go_on() {
    let now = Instant::now();
    let mut bucket = Bucket::new(4, 0);
    let dropped = Dropped {
        messages: 7,
        bytes: 70,
        since: Some(now),
    };
    let told = (0..4).filter(|_| bucket.admits_count(dropped, now)).count();
    assert_eq!(told, 3);
    let carried = bucket.dropped(Duration::ZERO, now).unwrap();
    assert_eq!(carried, dropped);
}

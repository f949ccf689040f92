//! Floods against the small bucket of one request.

use super::super::messages::Splitter;
use super::*;

pub(super) fn message(text: &str) -> Message {
    let mut found = None;
    let mut splitter = Splitter::default();
    splitter.push(text.as_bytes(), |_| ());
    splitter.finish(|message| found = Some(message));
    found.unwrap()
}

#[test]
fn a_bucket_is_bounded_and_keeps_some_for_errors() {
    let now = Instant::now();
    let mut bucket = Bucket::new(100);
    let notice = message("PHP Notice:  n");
    let admitted = (0..1000).filter(|_| bucket.admits(&notice, now)).count();
    assert_eq!(admitted, 75);
    let error = message("PHP Fatal error:  e");
    let admitted = (0..1000).filter(|_| bucket.admits(&error, now)).count();
    assert_eq!(admitted, 25);
    let dropped = bucket.take_dropped().unwrap();
    assert_eq!(dropped.messages, 925 + 975);
    assert_eq!(dropped.since, Some(now));
    assert_eq!(bucket.take_dropped(), None);
}

#[test]
fn long_messages_cost_more() {
    let now = Instant::now();
    let mut bucket = Bucket::new(100);
    let long = message(&"x".repeat(64 * TOKEN));
    assert!(bucket.admits(&long, now) && !bucket.admits(&long, now));
    assert_eq!(bucket.tokens, 36);
}

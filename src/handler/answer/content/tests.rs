//! The sweep at the end of the total time limit.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::shared::Shared;
use crate::handler::answer::incoming::Incoming;
use crate::handler::answer::pieces::Pieces;
use crate::handler::answer::streaming::Streaming;
use crate::handler::answer::sweep::{SweepStep, Watched};
use crate::handler::answer::terms::{Settings, Terms};
use crate::handler::cut::Cut;
use crate::handler::origin::Maker;
use crate::limits::budget::{Budget, Owner, Party, SiteKey};
use crate::limits::per_client::PerClient;

const OVERDUE: Cut = Cut("TIMEOUT_TOTAL");

/// An upstream that prints one piece, if it has one, and then nothing more.
#[derive(Debug)]
struct Printing {
    piece: Option<Bytes>,
    /// True once the limit is logged.
    is_logged: Arc<AtomicBool>,
}

impl Incoming for Printing {
    const MAKER: Maker = Maker::Script;

    type Broken = ();

    fn poll_content(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, ()>>> {
        match self.piece.take() {
            Some(piece) => Poll::Ready(Some(Ok(piece))),
            None => Poll::Pending,
        }
    }

    fn has_ended(&self) -> bool {
        false
    }

    fn needs_client(&self) -> bool {
        false
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn is_waited_for(&self) -> bool {
        false
    }

    fn run_on(&mut self) {}

    fn linger(self) {}

    fn cause((): &()) -> &'static str {
        "UPSTREAM_TRUNCATED"
    }

    fn describe(&self, (): &()) -> String {
        String::new()
    }

    fn log_fault(&mut self, _: &'static str, _: &str) {}

    fn log_given_up(&mut self, _: &'static str, _: &str) {}

    fn log_overdue(&mut self, _: &'static str) {
        self.is_logged.store(true, Ordering::Relaxed);
    }
}

/// Terms without a buffer.
fn terms(deadline: Option<Instant>, limit: u64) -> Terms {
    let settings = Settings {
        send_file: Default::default(),
        response_buffer: limit,
        memory: Arc::new(Budget::new(1 << 20)),
        spool: Arc::new(Budget::new(1 << 20)),
        spool_directory: std::env::temp_dir(),
        live_streams: Arc::new(PerClient::new(1)),
    };
    let owner = Owner {
        party: Party::Connection(1),
        site: SiteKey::default(),
    };
    Terms {
        settings: Arc::new(settings),
        owner,
        limit,
        deadline,
        _live: None,
    }
}

/// An answer with this deadline; the flag lives as long as its upstream, and says whether the limit was logged.
fn answer(piece: &'static str, deadline: Option<Instant>) -> (Shared<Printing>, Weak<AtomicBool>) {
    let is_logged = Arc::default();
    let upstream = Arc::downgrade(&is_logged);
    let piece = Some(Bytes::from(piece)).filter(|piece| !piece.is_empty());
    let streaming = Streaming::new(Printing { piece, is_logged }, Pieces::default(), None);
    let shared = Shared::new(terms(deadline, 0), Some(streaming), Bytes::new());
    (shared, upstream)
}

fn poll(shared: &Shared<Printing>) -> Poll<Option<Result<Bytes, Cut>>> {
    shared.poll_next(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn an_answer_that_is_not_taken_is_cut_at_the_deadline_and_not_before() {
    let now = Instant::now();
    let later = now + Duration::from_secs(1);
    let (shared, upstream) = answer("piece", Some(later));
    assert_eq!(shared.examine(now), SweepStep::Leave);
    assert_eq!(shared.fault(), None);
    assert_eq!(shared.examine(later), SweepStep::Overdue);
    let alive = upstream.upgrade().unwrap();
    shared.expire();
    assert!(alive.load(Ordering::Relaxed));
    drop(alive);
    assert_eq!(upstream.strong_count(), 0, "the connection is closed");
    assert_eq!(shared.fault(), Some(OVERDUE));
    assert_eq!(poll(&shared), Poll::Ready(Some(Err(OVERDUE))));
    assert_eq!(shared.examine(later), SweepStep::Forget);
}

/// The end of the upstream would wake nobody: its own timer does.
#[test]
fn an_answer_whose_reader_waits_for_the_upstream_is_left_to_it() {
    let (shared, upstream) = answer("", Some(Instant::now()));
    assert_eq!(poll(&shared), Poll::Pending);
    let later = Instant::now() + Duration::from_secs(1);
    assert_eq!(shared.examine(later), SweepStep::Leave);
    assert_eq!(upstream.strong_count(), 1);
}

#[test]
fn without_a_limit_nothing_is_cut() {
    let (shared, upstream) = answer("piece", None);
    let later = Instant::now() + Duration::from_secs(86_400);
    assert_eq!(shared.examine(later), SweepStep::Leave);
    assert_eq!(upstream.strong_count(), 1);
}

#[test]
fn a_stored_answer_is_cut_with_all_that_is_stored() {
    let deadline = Instant::now();
    let terms = terms(Some(deadline), 1 << 16);
    let memory = Arc::clone(&terms.settings.memory);
    let shared = Shared::<Printing>::new(terms, None, Bytes::from("stored"));
    assert!(shared.store());
    assert!(memory.used() >= 6);
    assert_eq!(shared.examine(deadline), SweepStep::Overdue);
    shared.expire();
    assert_eq!(memory.used(), 0);
    assert_eq!(shared.fault(), Some(OVERDUE));
    assert_eq!(poll(&shared), Poll::Ready(Some(Err(OVERDUE))));
}

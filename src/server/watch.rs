//! What a connection and its requests tell each other: whether any request is in flight, and so
//! which deadline holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use http::{Method, Version};
use tokio::time::{Instant, sleep};

use crate::limits::budget::Part;
use crate::limits::eviction::{Evictable, Wait};
use crate::moment;

/// The requests of one connection.
#[derive(Debug)]
pub(super) struct Watch {
    /// What the connection is to those that want its place.
    evictable: Evictable,
    begun: AtomicUsize,
    ended: AtomicUsize,
    made: Instant,
    /// When one ended last, in nanoseconds since it was made.
    last: AtomicU64,
    /// Answers that were given to hyper.
    answered: AtomicUsize,
    /// The last request that began is one of HTTP/1.0.
    is_http10: AtomicBool,
    /// The last request that began has an unsafe method (RFC 9110 §9.2.1): its script is let finish whatever its client does.
    is_unsafe: AtomicBool,
    resting: AtomicBool,
    expired: AtomicBool,
    hurries: AtomicBool,
    cut: AtomicBool,
    broken_off: AtomicBool,
}

/// How far the current request of an HTTP/1 connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// There is no answer yet, and an interim one may be sent.
    Unanswered,
    /// There is no answer yet, and RFC 9110 §15.2 allows no interim one.
    UnansweredHttp10,
    /// The answer has begun.
    Answered,
    /// The answer has begun, and its script is let finish.
    AnsweredToTheEnd,
}

/// One of them; it ends when this is dropped, which is when its body has ended.
#[derive(Debug)]
pub(super) struct InFlight {
    watch: Arc<Watch>,
    /// What it holds of what is shared out.
    held: Option<Box<Part>>,
}

impl Watch {
    /// Builds the watch of a connection without requests.
    pub(super) fn new(evictable: Evictable) -> Self {
        Self {
            evictable,
            begun: AtomicUsize::new(0),
            ended: AtomicUsize::new(0),
            made: Instant::now(),
            last: AtomicU64::new(0),
            answered: AtomicUsize::new(0),
            is_http10: AtomicBool::new(false),
            is_unsafe: AtomicBool::new(false),
            resting: AtomicBool::new(false),
            expired: AtomicBool::new(false),
            hurries: AtomicBool::new(false),
            cut: AtomicBool::new(false),
            broken_off: AtomicBool::new(false),
        }
    }

    pub(super) fn evictable(&self) -> &Evictable {
        &self.evictable
    }

    pub(super) fn begin(self: &Arc<Self>, version: Version, method: &Method) -> InFlight {
        self.evictable.end_wait();
        self.expired.store(false, Ordering::Relaxed);
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.is_unsafe.store(!method.is_safe(), Ordering::Relaxed);
        let is_http10 = version == Version::HTTP_10;
        self.is_http10.store(is_http10, Ordering::Relaxed);
        InFlight {
            watch: Arc::clone(self),
            held: None,
        }
    }

    /// Returns the stage of the request that began last.
    pub(super) fn stage(&self) -> Stage {
        if self.answered.load(Ordering::Relaxed) == self.begun() {
            match self.is_unsafe.load(Ordering::Relaxed) {
                true => Stage::AnsweredToTheEnd,
                false => Stage::Answered,
            }
        } else if self.is_http10.load(Ordering::Relaxed) {
            Stage::UnansweredHttp10
        } else {
            Stage::Unanswered
        }
    }

    /// Notes that the connection had no request for too long.
    pub(super) fn expire(&self) {
        self.expired.store(true, Ordering::Relaxed);
    }

    /// Notes that it is to make room for another, which waits.
    pub(super) fn hurry(&self) {
        self.hurries.store(true, Ordering::Relaxed);
        self.expire();
    }

    /// Returns whether another waits for it to end.
    pub(super) fn hurries(&self) -> bool {
        self.hurries.load(Ordering::Relaxed)
    }

    /// Returns `Ready` once that was noted. Wakes no task: the one that asks is the one that notes it.
    pub(super) fn poll_expired(&self) -> Poll<()> {
        match self.expired.load(Ordering::Relaxed) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }

    /// Notes whether the connection owes nothing and waits for nothing but another request.
    pub(super) fn set_resting(&self, resting: bool) {
        self.resting.store(resting, Ordering::Relaxed);
    }

    /// Notes that the connection is idle, and has been since its last request.
    pub(super) fn wait(&self) {
        let last = Duration::from_nanos(self.last.load(Ordering::Relaxed));
        self.evictable.start_wait(Wait::Idle, self.made + last);
    }

    /// Returns when the connection has rested for `time` and no request began meanwhile.
    pub(super) async fn rested(&self, time: Duration) {
        loop {
            let begun = self.begun();
            sleep(time).await;
            if self.begun() == begun && self.is_idle() && self.resting.load(Ordering::Relaxed) {
                return;
            }
        }
    }

    /// Whether an answer was cut whose length the client was not told.
    pub(super) fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Relaxed)
    }

    /// Notes that the connection has read for long enough at a stretch: who polls it wakes it.
    pub(super) fn break_off(&self) {
        self.broken_off.store(true, Ordering::Relaxed);
    }

    /// Reports whether that was noted since this was last asked.
    pub(super) fn take_broken_off(&self) -> bool {
        self.broken_off.load(Ordering::Relaxed) && self.broken_off.swap(false, Ordering::Relaxed)
    }

    /// How many have begun so far.
    pub(super) fn begun(&self) -> usize {
        self.begun.load(Ordering::Relaxed)
    }

    /// How many have ended so far.
    pub(super) fn ended(&self) -> usize {
        self.ended.load(Ordering::Relaxed)
    }

    /// Returns how many have begun and not ended.
    pub(super) fn at_once(&self) -> usize {
        self.begun().saturating_sub(self.ended())
    }

    /// Whether all that have begun have ended.
    pub(super) fn is_idle(&self) -> bool {
        self.ended() == self.begun()
    }
}

impl InFlight {
    /// Gives `held` back when it ends.
    pub(super) fn hold(&mut self, held: Option<Box<Part>>) {
        self.held = held;
    }

    /// Notes that hyper has the answer.
    pub(super) fn answer(&self) {
        self.watch.answered.fetch_add(1, Ordering::Relaxed);
    }

    /// The answer ends before it is whole, and nothing in it tells.
    pub(super) fn cut(&self) {
        self.watch.cut.store(true, Ordering::Relaxed);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let since = moment::now().duration_since(self.watch.made);
        let since = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        self.watch.last.store(since, Ordering::Relaxed);
        self.watch.ended.fetch_add(1, Ordering::Relaxed);
    }
}

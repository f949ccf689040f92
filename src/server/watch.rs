//! What a connection and its requests tell each other: whether any request is in flight, and so
//! which deadline holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use http::{Method, Version};
use tokio::time::{Instant, sleep};

use crate::limits::budget::Part;
use crate::limits::room::{Seat, Wait};
use crate::moment;

/// The requests of one connection.
#[derive(Debug)]
pub(super) struct Watch {
    /// What the connection is to those that want its place.
    seat: Seat,
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
    is_displaced: AtomicBool,
    is_cut: AtomicBool,
    slice_over: AtomicBool,
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
    pub(super) fn new(seat: Seat) -> Self {
        Self {
            seat,
            begun: AtomicUsize::new(0),
            ended: AtomicUsize::new(0),
            made: Instant::now(),
            last: AtomicU64::new(0),
            answered: AtomicUsize::new(0),
            is_http10: AtomicBool::new(false),
            is_unsafe: AtomicBool::new(false),
            resting: AtomicBool::new(false),
            expired: AtomicBool::new(false),
            is_displaced: AtomicBool::new(false),
            is_cut: AtomicBool::new(false),
            slice_over: AtomicBool::new(false),
        }
    }

    pub(super) fn seat(&self) -> &Seat {
        &self.seat
    }

    pub(super) fn begin_request(self: &Arc<Self>, version: Version, method: &Method) -> InFlight {
        self.seat.settle();
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
    pub(super) fn request_close(&self) {
        self.is_displaced.store(true, Ordering::Relaxed);
        self.expire();
    }

    /// Returns whether another waits for it to end.
    pub(super) fn is_displaced(&self) -> bool {
        self.is_displaced.load(Ordering::Relaxed)
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
    pub(super) fn mark_idle(&self) {
        let last = Duration::from_nanos(self.last.load(Ordering::Relaxed));
        self.seat.wait(Wait::Idle, self.made + last);
    }

    /// Returns when the connection has rested for `time` and no request began meanwhile.
    pub(super) async fn wait_rested(&self, time: Duration) {
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
        self.is_cut.load(Ordering::Relaxed)
    }

    /// Notes that the connection has read for long enough at a stretch: who polls it wakes it.
    pub(super) fn mark_slice_over(&self) {
        self.slice_over.store(true, Ordering::Relaxed);
    }

    /// Reports whether that was noted since this was last asked.
    pub(super) fn take_slice_over(&self) -> bool {
        self.slice_over.load(Ordering::Relaxed) && self.slice_over.swap(false, Ordering::Relaxed)
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
    pub(super) fn mark_answered(&self) {
        self.watch.answered.fetch_add(1, Ordering::Relaxed);
    }

    /// The answer ends before it is whole, and nothing in it tells.
    pub(super) fn mark_cut(&self) {
        self.watch.is_cut.store(true, Ordering::Relaxed);
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

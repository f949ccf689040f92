//! State shared by a connection and its requests: the requests in flight, and so the deadline that applies.

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
    /// The connection's entry in the list of connections that may be closed for others.
    evictable: Evictable,
    begun: AtomicUsize,
    ended: AtomicUsize,
    made: Instant,
    /// End of the last request, in nanoseconds since `made`.
    last: AtomicU64,
    /// Number of responses passed to hyper.
    answered: AtomicUsize,
    /// The last request is of HTTP/1.0.
    is_http10: AtomicBool,
    /// The last request has an unsafe method (RFC 9110 §9.2.1): its script finishes even if its client leaves.
    is_unsafe: AtomicBool,
    resting: AtomicBool,
    expired: AtomicBool,
    is_displaced: AtomicBool,
    is_cut: AtomicBool,
    slice_over: AtomicBool,
}

/// Stage of the current request of an HTTP/1 connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// No response yet; an interim response is allowed.
    Unanswered,
    /// No response yet; RFC 9110 §15.2 allows no interim one.
    UnansweredHttp10,
    /// The response has begun.
    Answered,
    /// The response has begun, and its script runs to its end.
    AnsweredToTheEnd,
}

/// A request in flight. It ends on drop, with its body.
#[derive(Debug)]
pub(super) struct InFlight {
    watch: Arc<Watch>,
    /// Its part of a budget.
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
            is_displaced: AtomicBool::new(false),
            is_cut: AtomicBool::new(false),
            slice_over: AtomicBool::new(false),
        }
    }

    pub(super) fn evictable(&self) -> &Evictable {
        &self.evictable
    }

    /// Records a new request.
    pub(super) fn begin_request(self: &Arc<Self>, version: Version, method: &Method) -> InFlight {
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
            if self.is_unsafe.load(Ordering::Relaxed) {
                Stage::AnsweredToTheEnd
            } else {
                Stage::Answered
            }
        } else if self.is_http10.load(Ordering::Relaxed) {
            Stage::UnansweredHttp10
        } else {
            Stage::Unanswered
        }
    }

    /// Marks the connection as expired: idle for too long.
    pub(super) fn expire(&self) {
        self.expired.store(true, Ordering::Relaxed);
    }

    /// Asks the connection to make room for another.
    pub(super) fn request_close(&self) {
        self.is_displaced.store(true, Ordering::Relaxed);
        self.expire();
    }

    /// Reports whether the connection makes room for another.
    pub(super) fn is_displaced(&self) -> bool {
        self.is_displaced.load(Ordering::Relaxed)
    }

    /// Returns `Ready` once the connection is expired. Wakes no task: the polling task is the one that expires it.
    pub(super) fn poll_expired(&self) -> Poll<()> {
        if self.expired.load(Ordering::Relaxed) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// Records whether the connection is at rest: nothing owed, and no request begun.
    pub(super) fn set_resting(&self, resting: bool) {
        self.resting.store(resting, Ordering::Relaxed);
    }

    /// Enters the connection as idle since its last request.
    pub(super) fn mark_idle(&self) {
        let last = Duration::from_nanos(self.last.load(Ordering::Relaxed));
        self.evictable.start_wait(Wait::Idle, self.made + last);
    }

    /// Waits until the connection has been at rest for `time` without a new request.
    pub(super) async fn wait_rested(&self, time: Duration) {
        loop {
            let begun = self.begun();
            sleep(time).await;
            if self.begun() == begun && self.is_idle() && self.resting.load(Ordering::Relaxed) {
                return;
            }
        }
    }

    /// Reports whether a response without a length was cut.
    pub(super) fn is_cut(&self) -> bool {
        self.is_cut.load(Ordering::Relaxed)
    }

    /// Marks the end of the connection's time slice: its poller wakes it.
    pub(super) fn mark_slice_over(&self) {
        self.slice_over.store(true, Ordering::Relaxed);
    }

    /// Reports whether the time slice has ended since the last call.
    pub(super) fn take_slice_over(&self) -> bool {
        self.slice_over.load(Ordering::Relaxed) && self.slice_over.swap(false, Ordering::Relaxed)
    }

    /// Returns the number of requests begun.
    pub(super) fn begun(&self) -> usize {
        self.begun.load(Ordering::Relaxed)
    }

    /// Returns the number of requests ended.
    pub(super) fn ended(&self) -> usize {
        self.ended.load(Ordering::Relaxed)
    }

    /// Returns the number of requests in flight.
    pub(super) fn at_once(&self) -> usize {
        self.begun().saturating_sub(self.ended())
    }

    /// Reports whether no request is in flight.
    pub(super) fn is_idle(&self) -> bool {
        self.ended() == self.begun()
    }
}

impl InFlight {
    /// Holds a part of a budget until the request ends.
    pub(super) fn hold(&mut self, held: Option<Box<Part>>) {
        self.held = held;
    }

    /// Records that hyper has the response.
    pub(super) fn mark_answered(&self) {
        self.watch.answered.fetch_add(1, Ordering::Relaxed);
    }

    /// Records that the response was cut, and that nothing in it shows that.
    pub(super) fn mark_cut(&self) {
        self.watch.is_cut.store(true, Ordering::Relaxed);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let since = moment::now().duration_since(self.watch.made).as_nanos();
        let nanos = u64::try_from(since).unwrap_or(u64::MAX);
        self.watch.last.store(nanos, Ordering::Relaxed);
        self.watch.ended.fetch_add(1, Ordering::Relaxed);
    }
}

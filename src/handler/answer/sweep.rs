//! Moves the answers of a thread whose clients do not: one task examines all of them every 50 ms. An answer
//! whose client was slower than PHP since the last tick is filled: read from PHP, so that the worker is free.
//! One task serves all, since nearly every answer ends before the next tick.

use std::cell::RefCell;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::limits::budget::{Owner, Party};
use crate::threads;

/// Interval of the sweep.
const INTERVAL: Duration = Duration::from_millis(50);

/// An answer under the sweep's watch, of any upstream. It is examined once a tick, not for each piece.
pub(super) trait Watched: Send + Sync {
    /// Returns the owner of the answer.
    fn owner(&self) -> Owner;

    /// Examines the progress of the answer since the last tick.
    fn examine(&self, now: Instant) -> SweepStep;

    /// Reads from the upstream as far as there is room; ready when the sweep is no longer needed.
    fn poll_fill(&self, cx: &mut Context<'_>) -> Poll<()>;

    /// Cuts the answer; releases its worker and all stored bytes.
    fn give_up(&self, cause: &'static str, why: &str);

    /// Does the same at the end of the total time limit.
    fn expire(&self);
}

/// The sweep's next step for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SweepStep {
    /// None.
    Leave,
    /// Fill it.
    Fill,
    /// Cut it, unless another answer of the client was cut at this tick: the client has its share and others
    /// wait for the worker.
    OverShare,
    /// Cut it: its client has taken nothing for too long.
    Stalled,
    /// Cut it: the total time limit of the request has passed.
    Overdue,
    /// Remove it: the answer is complete or gone.
    Forget,
}

thread_local! {
    /// The answers of this thread, the oldest first; `None` while no task runs.
    static ANSWERS: RefCell<Option<Vec<Weak<dyn Watched>>>> = const { RefCell::new(None) };
}

/// Puts an answer under the watch of the sweep, until it is dropped.
pub(super) fn watch<W: Watched + 'static>(answer: &Arc<W>) {
    let answer: Weak<W> = Arc::downgrade(answer);
    ANSWERS.with_borrow_mut(|answers| match answers {
        Some(answers) => answers.push(answer),
        None if threads::is_ending() => {}
        None => {
            *answers = Some(vec![answer]);
            tokio::spawn(sweep(ListGuard));
        }
    });
}

/// Clears the list when the task ends, for any reason.
struct ListGuard;

impl Drop for ListGuard {
    fn drop(&mut self) {
        // At the end of a thread no answer is left.
        let _ = ANSWERS.try_with(|answers| answers.take());
    }
}

/// Future that fills an answer. Ready when its client has caught up or has gone, or when all is stored.
struct Filling(Weak<dyn Watched>);

impl Future for Filling {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0
            .upgrade()
            .map_or(Poll::Ready(()), |answer| answer.poll_fill(cx))
    }
}

async fn sweep(guard: ListGuard) {
    let mut fillings = FuturesUnordered::new();
    let mut ticks = interval_at(Instant::now() + INTERVAL, INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            now = ticks.tick() => {
                if examine_all(now, &fillings) == 0 && fillings.is_empty() {
                    break;
                }
            }
            Some(()) = fillings.next(), if !fillings.is_empty() => {}
        }
    }
    drop(guard);
}

/// Examines all answers and returns their number. At most one answer of a client is cut at a tick, its oldest.
fn examine_all(now: Instant, fillings: &FuturesUnordered<Filling>) -> usize {
    let taken = ANSWERS.with_borrow_mut(|answers| answers.as_mut().map(std::mem::take));
    let mut answers = taken.unwrap_or_default();
    let count = answers.len();
    let mut cut_parties: Vec<Party> = Vec::new();
    answers.retain(|answer| {
        let Some(shared) = answer.upgrade() else {
            return false;
        };
        match shared.examine(now) {
            SweepStep::Leave => {}
            SweepStep::Forget => return false,
            SweepStep::Overdue => {
                shared.expire();
                return false;
            }
            SweepStep::Fill => fillings.push(Filling(Weak::clone(answer))),
            SweepStep::Stalled => {
                shared.give_up(
                    "CLIENT_STALLED",
                    "the client read nothing for limits.send_pause",
                );
                return false;
            }
            SweepStep::OverShare => {
                let party = shared.owner().party;
                if !cut_parties.contains(&party) {
                    cut_parties.push(party);
                    shared.give_up("CLIENT_SHARE", "the client does not read the answer, its share of server.spool_quota or server.spool_directory is full, and other requests wait for the worker");
                    return false;
                }
            }
        }
        true
    });
    ANSWERS.with_borrow_mut(|all| {
        if let Some(all) = all {
            // Those added meanwhile are younger.
            answers.append(all);
            *all = answers;
        }
    });
    count
}

//! What keeps the answers of a thread moving whose clients do not: one task, which looks at all of them every 50 ms. An
//! answer whose client was slower than PHP since the last look is filled: taken from PHP, so that the worker is free. One
//! task for all, since nearly every answer ends before the next look.

use std::cell::RefCell;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::content::{Look, Shared};
use crate::limits::budget::Party;
use crate::threads;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);

thread_local! {
    /// The answers of this thread, the oldest first; `None` while no task looks after them.
    static ANSWERS: RefCell<Option<Vec<Weak<Shared>>>> = const { RefCell::new(None) };
}

/// Looks after an answer from now on, until it is dropped.
pub(super) fn watch(answer: &Arc<Shared>) {
    ANSWERS.with_borrow_mut(|answers| match answers {
        Some(answers) => answers.push(Arc::downgrade(answer)),
        None if threads::is_ending() => {}
        None => {
            *answers = Some(vec![Arc::downgrade(answer)]);
            tokio::spawn(sweep(Watch));
        }
    });
}

/// Ends with the task, however that ends.
struct Watch;

impl Drop for Watch {
    fn drop(&mut self) {
        // At the end of a thread there is nothing left to be watched.
        let _ = ANSWERS.try_with(|answers| answers.take());
    }
}

/// An answer that is filled. Ready when its client has caught up, has gone, or has all in store.
struct Filling(Weak<Shared>);

impl Future for Filling {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0
            .upgrade()
            .map_or(Poll::Ready(()), |answer| answer.poll_fill(cx))
    }
}

async fn sweep(watch: Watch) {
    let mut fillings = FuturesUnordered::new();
    let mut looks = interval_at(Instant::now() + LOOK, LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            now = looks.tick() => {
                if look_at_all(now, &fillings) == 0 && fillings.is_empty() {
                    break;
                }
            }
            Some(()) = fillings.next(), if !fillings.is_empty() => {}
        }
    }
    drop(watch);
}

/// Returns how many answers there were. A client gives up one answer at a look, its oldest.
fn look_at_all(now: Instant, fillings: &FuturesUnordered<Filling>) -> usize {
    let answers = ANSWERS.with_borrow_mut(|answers| answers.as_mut().map(std::mem::take));
    let mut answers = answers.unwrap_or_default();
    let count = answers.len();
    let mut relieved: Vec<Party> = Vec::new();
    answers.retain(|answer| {
        let Some(shared) = answer.upgrade() else {
            return false;
        };
        match shared.look(now) {
            Look::Leave => {}
            Look::Forget => return false,
            Look::Fill => fillings.push(Filling(Weak::clone(answer))),
            Look::Stalled => {
                shared.give_up(
                    "CLIENT_STALLED",
                    "the client took nothing of it for limits.send_pause",
                );
                return false;
            }
            Look::OverShare => {
                let party = shared.owner().party;
                if !relieved.contains(&party) {
                    relieved.push(party);
                    shared.give_up("CLIENT_SHARE", "the client does not take it, there is no room for more of it (its share of server.spool_quota, or server.spool_directory), and others wait for the worker");
                    return false;
                }
            }
        }
        true
    });
    ANSWERS.with_borrow_mut(|all| {
        if let Some(all) = all {
            // What came meanwhile is younger.
            answers.append(all);
            *all = answers;
        }
    });
    count
}

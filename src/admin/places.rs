//! The connections of the admin listener: few, and none waits for another. If all places are taken, a new connection
//! ends a slow one of the peer with the most connections.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Duration, timeout};

use super::listener::Peer;

/// Greatest number of connections: a scraper, some probes and a few people.
const MOST: usize = 32;

/// Phase of a connection, each with a time limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The request is awaited.
    Asking,
    /// The response is computed; no client can prolong that.
    Working,
    /// The response is sent.
    Sending,
}

impl Phase {
    /// Returns the time limit. A head is one packet, a response some megabytes at most; a reload reads all of a large
    /// configuration.
    const fn limit(self) -> Duration {
        match self {
            Self::Asking => Duration::from_secs(2),
            Self::Working => Duration::from_secs(120),
            Self::Sending => Duration::from_secs(10),
        }
    }
}

/// All places.
#[derive(Debug, Default)]
pub(super) struct Places(Arc<Mutex<Open>>);

#[derive(Debug, Default)]
struct Open {
    /// The oldest first.
    each: Vec<Entry>,
    next: u64,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    peer: Peer,
    phase: watch::Receiver<Phase>,
    /// Absent until the task is spawned.
    task: Option<AbortHandle>,
}

/// A place, released on drop.
#[derive(Debug)]
pub(super) struct Place {
    open: Arc<Mutex<Open>>,
    number: u64,
    phase: Arc<watch::Sender<Phase>>,
}

impl Places {
    /// Takes a place, and ends another connection if necessary. Returns `None` if all are [`Phase::Working`] and no peer
    /// has more of them than this one.
    pub(super) fn take(&self, peer: Peer) -> Option<Place> {
        let mut open = lock(&self.0);
        if open.each.len() >= MOST {
            let facts: Vec<_> = open
                .each
                .iter()
                .map(|entry| (entry.peer, *entry.phase.borrow()))
                .collect();
            let ended = open.each.remove(slowest(&facts, peer)?);
            if let Some(task) = ended.task {
                task.abort();
            }
        }
        let (sender, phase) = watch::channel(Phase::Asking);
        let number = open.next;
        open.next += 1;
        open.each.push(Entry {
            number,
            peer,
            phase,
            task: None,
        });
        Some(Place {
            open: Arc::clone(&self.0),
            number,
            phase: Arc::new(sender),
        })
    }

    /// Registers the `task` of place `number`, to be aborted when another connection needs the place.
    pub(super) fn hold(&self, number: u64, task: AbortHandle) {
        let mut open = lock(&self.0);
        if let Some(entry) = open.each.iter_mut().find(|it| it.number == number) {
            entry.task = Some(task);
        }
    }
}

impl Place {
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Returns the sender of phase changes.
    pub(super) fn phase(&self) -> Arc<watch::Sender<Phase>> {
        Arc::clone(&self.phase)
    }

    /// Waits until a phase has exceeded its limit.
    pub(super) async fn overdue(&self) -> Phase {
        let mut phases = self.phase.subscribe();
        loop {
            let phase = *phases.borrow_and_update();
            if timeout(phase.limit(), phases.changed()).await.is_err() {
                return phase;
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = lock(&self.open);
        open.each.retain(|entry| entry.number != self.number);
    }
}

/// Selects the connection to end for the `newcomer`, from `each`, the oldest first. It prefers connections that wait for
/// their client, then those of the peer with the most, then those without a request, then the oldest. If none waits, it
/// is one of a peer with more connections than the newcomer will have.
fn slowest(each: &[(Peer, Phase)], newcomer: Peer) -> Option<usize> {
    let share = |peer: Peer| each.iter().filter(|(other, _)| *other == peer).count();
    let most = share(newcomer) + 1;
    let rank = |(at, (peer, phase)): &(usize, &(Peer, Phase))| {
        let waits = *phase != Phase::Working;
        let asks = *phase == Phase::Asking;
        (waits, share(*peer), asks, std::cmp::Reverse(*at))
    };
    let each = each.iter().enumerate();
    let (at, (peer, phase)) = each.max_by_key(rank)?;
    (*phase != Phase::Working || share(*peer) > most).then_some(at)
}

fn lock(open: &Mutex<Open>) -> MutexGuard<'_, Open> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::Phase::{Asking, Sending, Working};
    use super::*;

    const ONE: Peer = Peer::User(1);
    const TWO: Peer = Peer::User(2);

    #[test]
    fn the_slowest_of_the_largest_share_makes_room() {
        for (each, newcomer, expected) in [
            (&[][..], ONE, None),
            (&[(ONE, Working), (ONE, Working)], ONE, None),
            (&[(ONE, Working), (ONE, Working)], TWO, Some(0)),
            (&[(ONE, Working), (TWO, Working)], TWO, None),
            (&[(ONE, Asking), (ONE, Asking)], ONE, Some(0)),
            (&[(ONE, Sending), (ONE, Asking)], ONE, Some(1)),
            (&[(ONE, Working), (ONE, Sending)], ONE, Some(1)),
            (
                &[(ONE, Asking), (TWO, Sending), (TWO, Working)],
                ONE,
                Some(1),
            ),
            (&[(ONE, Asking), (TWO, Asking), (TWO, Asking)], ONE, Some(1)),
            (&[(ONE, Asking), (TWO, Asking)], TWO, Some(0)),
        ] {
            assert_eq!(slowest(each, newcomer), expected, "{each:?}, {newcomer:?}");
        }
    }

    #[tokio::test]
    async fn a_new_connection_has_a_place_unless_all_are_at_work() {
        let places = Places::default();
        let mut held = Vec::new();
        for _ in 0..MOST * 2 {
            let place = places.take(ONE).unwrap();
            let task = tokio::spawn(std::future::pending::<()>());
            places.hold(place.number(), task.abort_handle());
            held.push((place, task));
        }
        let (ended, open): (Vec<_>, Vec<_>) =
            held.into_iter().enumerate().partition(|it| it.0 < MOST);
        for (_, (_, task)) in ended {
            assert!(task.await.unwrap_err().is_cancelled());
        }
        for (_, (place, _)) in &open {
            place.phase().send_replace(Working);
        }
        assert!(places.take(ONE).is_none());
        assert!(places.take(TWO).is_some());
        drop(open);
        assert!(places.take(ONE).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_phase_has_its_limit() {
        let places = Places::default();
        let place = places.take(ONE).unwrap();
        let begun = tokio::time::Instant::now();
        let next = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            place.phase().send_replace(Sending);
        };
        let (phase, ()) = tokio::join!(place.overdue(), next);
        assert_eq!((phase, begun.elapsed().as_secs()), (Sending, 11));
    }
}

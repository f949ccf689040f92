//! The order in which waiting connections are evicted: pure, and O(log n).

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

/// Time for a head to arrive before it counts as slow: the round trips of a handshake, from far away too.
const HEAD_GRACE: Duration = Duration::from_secs(1);

/// The number of connections that a browser opens to one host. A client with `n` times as many has an `n`th of the
/// grace: many connections of one client must not hold every place for a second.
const USUAL: usize = 8;

/// The state of a waiting connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Waits for the rest of a head, or the first one.
    Head,
    /// Waits for another request; entered after some time in that state.
    Idle,
}

/// The waiting connections, by the start of their wait.
#[derive(Debug)]
pub(super) struct Order<T> {
    heads: BTreeMap<Key, T>,
    idle: BTreeMap<Key, T>,
    last: u64,
}

/// Start of the wait, and a unique number.
type Key = (Instant, u64);

/// Handle of a waiting connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    wait: Wait,
    key: Key,
}

impl<T> Default for Order<T> {
    fn default() -> Self {
        Self {
            heads: BTreeMap::new(),
            idle: BTreeMap::new(),
            last: 0,
        }
    }
}

impl<T> Order<T> {
    /// Adds a connection that has waited since then.
    pub(super) fn push(&mut self, wait: Wait, since: Instant, entry: T) -> Ticket {
        self.last += 1;
        let key = (since, self.last);
        self.queue(wait).insert(key, entry);
        Ticket { wait, key }
    }

    /// Removes and returns the first connection to evict.
    pub(super) fn pop(&mut self, now: Instant) -> Option<T> {
        let head = self.heads.first_entry();
        let slow = head.filter(|first| first.key().0 + HEAD_GRACE <= now);
        let first = slow.or_else(|| self.idle.first_entry())?;
        Some(first.remove())
    }

    /// Shortens the grace of a connection whose client holds `held` connections.
    pub(super) fn shorten_grace(&mut self, ticket: Ticket, held: usize) -> Option<Ticket> {
        let factor = u32::try_from(held / USUAL).unwrap_or(u32::MAX).max(1);
        let entry = self.remove(ticket)?;
        let (since, _) = ticket.key;
        let earlier = since.checked_sub(HEAD_GRACE - HEAD_GRACE / factor);
        Some(self.push(ticket.wait, earlier.unwrap_or(since), entry))
    }

    /// Returns the entry of a connection; `None` if it was removed.
    pub(super) fn get(&mut self, ticket: Ticket) -> Option<&mut T> {
        self.queue(ticket.wait).get_mut(&ticket.key)
    }

    pub(super) fn remove(&mut self, ticket: Ticket) -> Option<T> {
        self.queue(ticket.wait).remove(&ticket.key)
    }

    pub(super) fn count(&self, wait: Wait) -> usize {
        match wait {
            Wait::Head => self.heads.len(),
            Wait::Idle => self.idle.len(),
        }
    }

    fn queue(&mut self, wait: Wait) -> &mut BTreeMap<Key, T> {
        match wait {
            Wait::Head => &mut self.heads,
            Wait::Idle => &mut self.idle,
        }
    }
}

impl Ticket {
    pub(super) fn wait(self) -> Wait {
        self.wait
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn slow_heads_go_before_idle_ones_and_the_longest_first() {
        let begun = Instant::now();
        let at = |millis| begun + Duration::from_millis(millis);
        // State, start of the wait, and the expected order of evictions at 3 s.
        type Those = &'static [(Wait, u64, char)];
        let cases: [(Those, &str); 6] = [
            (&[], ""),
            (&[(Wait::Idle, 2999, 'b'), (Wait::Idle, 0, 'a')], "ab"),
            (&[(Wait::Idle, 0, 'a'), (Wait::Head, 1999, 'b')], "ba"),
            (&[(Wait::Idle, 0, 'a'), (Wait::Head, 2001, 'b')], "a"),
            (&[(Wait::Head, 2500, 'a')], ""),
            (
                &[
                    (Wait::Head, 0, 'a'),
                    (Wait::Idle, 1, 'b'),
                    (Wait::Head, 2, 'c'),
                    (Wait::Idle, 3, 'd'),
                    (Wait::Head, 2500, 'e'),
                ],
                "acbd",
            ),
        ];
        for (those, expected) in cases {
            let mut order = Order::default();
            for (wait, since, name) in those {
                order.push(*wait, at(*since), *name);
            }
            let first: String = std::iter::from_fn(|| order.pop(at(3000))).collect();
            assert_eq!(first, expected, "{those:?}");
        }
    }

    #[test]
    fn clients_with_many_connections_have_less_grace() {
        let begun = Instant::now();
        let first_at = |held: usize| {
            let mut order = Order::default();
            let ticket = order.push(Wait::Head, begun, ());
            let hastened = order.shorten_grace(ticket, held).unwrap();
            assert_eq!(order.get(hastened), Some(&mut ()));
            let at = |millis: &u64| begun + Duration::from_millis(*millis);
            (0..=1000).find(|millis| order.pop(at(millis)).is_some())
        };
        for (held, millis) in [(1, 1000), (15, 1000), (16, 500), (80, 100), (1_000_000, 1)] {
            assert_eq!(first_at(held), Some(millis), "{held}");
        }
    }

    proptest! {
        #[test]
        fn removed_connections_are_not_evicted_and_all_others_are_once(those in prop::collection::vec((any::<bool>(), any::<bool>()), 0..50)) {
            let begun = Instant::now();
            let mut order = Order::default();
            let mut expected = [Vec::new(), Vec::new()];
            for (index, (is_head, leaves)) in those.into_iter().enumerate() {
                let wait = if is_head { Wait::Head } else { Wait::Idle };
                let ticket = order.push(wait, begun, index);
                if leaves {
                    prop_assert_eq!(order.remove(ticket), Some(index));
                    prop_assert_eq!(order.get(ticket), None);
                } else {
                    expected[usize::from(!is_head)].push(index);
                }
            }
            let evicted: Vec<_> = std::iter::from_fn(|| order.pop(begun + HEAD_GRACE)).collect();
            prop_assert_eq!(evicted, expected.concat());
        }
    }
}

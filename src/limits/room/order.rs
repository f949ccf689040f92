//! The order in which those make room who wait: pure, and O(log n).

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

/// For how long a head may be on its way before it counts as slow: the round trips of a handshake, from far away too.
const HEAD_GRACE: Duration = Duration::from_secs(1);

/// As many connections as a browser opens to one host at once. Who has `n` times as many is given an `n`th of the grace: a
/// crowd of one client's must not hold every place for a second.
const USUAL: usize = 8;

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// For the rest of a head, or the first.
    Head,
    /// For another request. Whoever says so has waited for some time already.
    Idle,
}

/// Those who wait, by when they began to.
#[derive(Debug)]
pub(super) struct Order<T> {
    heads: BTreeMap<Key, T>,
    idle: BTreeMap<Key, T>,
    last: u64,
}

/// Since when, and a number of its own.
type Key = (Instant, u64);

/// One of those who wait.
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
    /// Adds one who has waited since then.
    pub(super) fn push(&mut self, wait: Wait, since: Instant, who: T) -> Ticket {
        self.last += 1;
        let key = (since, self.last);
        self.those(wait).insert(key, who);
        Ticket { wait, key }
    }

    /// Removes and returns the first to make room.
    pub(super) fn pop(&mut self, now: Instant) -> Option<T> {
        let head = self.heads.first_entry();
        let slow = head.filter(|first| first.key().0 + HEAD_GRACE <= now);
        let first = slow.or_else(|| self.idle.first_entry())?;
        Some(first.remove())
    }

    /// Shortens the grace of one whose client holds so many connections.
    pub(super) fn hasten(&mut self, ticket: Ticket, held: usize) -> Option<Ticket> {
        let crowd = u32::try_from(held / USUAL).unwrap_or(u32::MAX).max(1);
        let who = self.remove(ticket)?;
        let (since, _) = ticket.key;
        let earlier = since.checked_sub(HEAD_GRACE - HEAD_GRACE / crowd);
        Some(self.push(ticket.wait, earlier.unwrap_or(since), who))
    }

    /// Returns what is known of one; nothing where he was removed.
    pub(super) fn get(&mut self, ticket: Ticket) -> Option<&mut T> {
        self.those(ticket.wait).get_mut(&ticket.key)
    }

    pub(super) fn remove(&mut self, ticket: Ticket) -> Option<T> {
        self.those(ticket.wait).remove(&ticket.key)
    }

    pub(super) fn count(&self, wait: Wait) -> usize {
        match wait {
            Wait::Head => self.heads.len(),
            Wait::Idle => self.idle.len(),
        }
    }

    fn those(&mut self, wait: Wait) -> &mut BTreeMap<Key, T> {
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
        // Who waits for what since when, and who makes room at 3 s, one after the other.
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
            for (wait, since, who) in those {
                order.push(*wait, at(*since), *who);
            }
            let first: String = std::iter::from_fn(|| order.pop(at(3000))).collect();
            assert_eq!(first, expected, "{those:?}");
        }
    }

    #[test]
    fn those_of_a_crowd_have_less_grace() {
        let begun = Instant::now();
        let first_at = |held: usize| {
            let mut order = Order::default();
            let ticket = order.push(Wait::Head, begun, ());
            let ticket = order.hasten(ticket, held).unwrap();
            assert_eq!(order.get(ticket), Some(&mut ()));
            let at = |millis: &u64| begun + Duration::from_millis(*millis);
            (0..=1000).find(|millis| order.pop(at(millis)).is_some())
        };
        for (held, millis) in [(1, 1000), (15, 1000), (16, 500), (80, 100), (1_000_000, 1)] {
            assert_eq!(first_at(held), Some(millis), "{held}");
        }
    }

    proptest! {
        #[test]
        fn whoever_left_is_not_asked_and_all_others_are_once(those in prop::collection::vec((any::<bool>(), any::<bool>()), 0..50)) {
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
            let asked: Vec<_> = std::iter::from_fn(|| order.pop(begun + HEAD_GRACE)).collect();
            prop_assert_eq!(asked, expected.concat());
        }
    }
}

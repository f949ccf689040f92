//! The order in which those make room who wait: pure, and O(log n).

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

/// For how long a head may be on its way before it counts as slow: the round trips of a handshake, from far away too.
const HEAD_GRACE: Duration = Duration::from_secs(1);

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
    heads: BTreeMap<u64, (Instant, T)>,
    idle: BTreeMap<u64, (Instant, T)>,
    last: u64,
}

/// One of them: later ones have greater numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    wait: Wait,
    number: u64,
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
    /// Adds one who waits from `now` on, which is not before those who are there.
    pub(super) fn push(&mut self, wait: Wait, now: Instant, who: T) -> Ticket {
        self.last += 1;
        let number = self.last;
        self.those(wait).insert(number, (now, who));
        Ticket { wait, number }
    }

    /// Removes and returns the first to make room.
    pub(super) fn pop(&mut self, now: Instant) -> Option<T> {
        let head = self.heads.first_entry();
        let slow = head.filter(|first| first.get().0 + HEAD_GRACE <= now);
        let first = slow.or_else(|| self.idle.first_entry())?;
        Some(first.remove().1)
    }

    /// Returns what is known of one; nothing where he was removed.
    pub(super) fn get(&mut self, ticket: Ticket) -> Option<&mut T> {
        let found = self.those(ticket.wait).get_mut(&ticket.number);
        found.map(|(_, who)| who)
    }

    pub(super) fn remove(&mut self, ticket: Ticket) -> Option<T> {
        let removed = self.those(ticket.wait).remove(&ticket.number);
        removed.map(|(_, who)| who)
    }

    pub(super) fn count(&self, wait: Wait) -> usize {
        match wait {
            Wait::Head => self.heads.len(),
            Wait::Idle => self.idle.len(),
        }
    }

    fn those(&mut self, wait: Wait) -> &mut BTreeMap<u64, (Instant, T)> {
        match wait {
            Wait::Head => &mut self.heads,
            Wait::Idle => &mut self.idle,
        }
    }
}

impl Ticket {
    /// Returns the one of this number, as `u64::from` made it.
    pub(super) fn from(number: u64) -> Option<Self> {
        let wait = match number & 1 {
            0 => Wait::Head,
            _ => Wait::Idle,
        };
        let number = number >> 1;
        (number > 0).then_some(Self { wait, number })
    }

    pub(super) fn wait(self) -> Wait {
        self.wait
    }
}

impl From<Ticket> for u64 {
    fn from(ticket: Ticket) -> Self {
        ticket.number << 1 | Self::from(ticket.wait == Wait::Idle)
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
            (&[(Wait::Idle, 0, 'a'), (Wait::Idle, 2999, 'b')], "ab"),
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

    proptest! {
        #[test]
        fn whoever_left_is_not_asked_and_all_others_are_once(those in prop::collection::vec((any::<bool>(), any::<bool>()), 0..50)) {
            let begun = Instant::now();
            let mut order = Order::default();
            let mut expected = [Vec::new(), Vec::new()];
            for (index, (is_head, leaves)) in those.into_iter().enumerate() {
                let wait = if is_head { Wait::Head } else { Wait::Idle };
                let ticket = order.push(wait, begun, index);
                prop_assert_eq!(Ticket::from(ticket.into()), Some(ticket));
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

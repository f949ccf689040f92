//! What all sites log together, and each of it. As with other things that are shared, a site may hold three times as
//! much as it leaves free, here beside an eighth for sites that hold next to nothing: one that floods leaves a third of
//! all to the others, and however many flood, a quiet one is heard. What is held comes free with time, for all who hold
//! something alike.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::super::messages::{Message, Severity};
use super::{Dropped, cost};

/// Tokens, and how many of them come free in a second.
#[derive(Debug)]
pub(in super::super) struct Shares {
    /// In thousandths, as all counts here.
    size: u64,
    per_second: u64,
    held: u64,
    /// When held tokens came free last.
    freed: Option<Instant>,
    each: HashMap<Arc<str>, Share>,
    /// Of what was dropped and not told, when the first was.
    since: Option<Instant>,
}

/// Of one site; there is none where it would be empty.
#[derive(Debug, Default)]
struct Share {
    held: u64,
    dropped: Dropped,
}

/// What somebody wants to log.
struct Asked {
    cost: u64,
    severity: Severity,
    /// What is dropped where it may not.
    dropped: Dropped,
}

impl Shares {
    /// All of `size` tokens are free; `per_second` come free again.
    pub(in super::super) fn new(size: u64, per_second: u64) -> Self {
        Self {
            size: size * UNIT,
            per_second: per_second * UNIT,
            held: 0,
            freed: None,
            each: HashMap::new(),
            since: None,
        }
    }

    /// Whether `message` of a site may be logged; what may not is counted as the site's.
    pub(in super::super) fn admits(
        &mut self,
        site: &Arc<str>,
        message: &Message,
        now: Instant,
    ) -> bool {
        let asked = Asked {
            cost: cost(message.text.len()),
            severity: message.severity,
            dropped: Dropped::one(message, now),
        };
        self.take(site, asked, now)
    }

    /// The same for a line that says what one request of the site had dropped: where it may not be logged, its counts
    /// go on here.
    pub(in super::super) fn admits_count(
        &mut self,
        site: &Arc<str>,
        dropped: Dropped,
        now: Instant,
    ) -> bool {
        let asked = Asked {
            cost: 1,
            severity: Severity::Warning,
            dropped: Dropped {
                since: dropped.since.or(Some(now)),
                ..dropped
            },
        };
        self.take(site, asked, now)
    }

    /// Returns what each site had dropped since the last time, if the first of it was `age` ago.
    pub(in super::super) fn dropped(
        &mut self,
        age: Duration,
        now: Instant,
    ) -> Vec<(Arc<str>, Dropped)> {
        if self
            .since
            .is_none_or(|since| now.duration_since(since) < age)
        {
            return Vec::new();
        }
        self.since = None;
        let taken = self.each.iter_mut().filter_map(|(site, share)| {
            let dropped = std::mem::take(&mut share.dropped);
            dropped.since.map(|_| (Arc::clone(site), dropped))
        });
        let mut taken: Vec<_> = taken.collect();
        taken.sort_by(|one, other| one.0.cmp(&other.0));
        self.forget_empty();
        taken
    }

    /// Whether something was dropped of which nobody was told.
    pub(in super::super) fn has_dropped(&self) -> bool {
        self.since.is_some()
    }

    fn take(&mut self, site: &Arc<str>, asked: Asked, now: Instant) -> bool {
        self.free(now);
        let cost = asked.cost.saturating_mul(UNIT);
        let free = self.size - self.held;
        let left = free.saturating_sub(cost).saturating_sub(self.size / 8);
        let most = match asked.severity {
            Severity::Error => left * 3,
            Severity::Warning | Severity::Info => left * 3 / 4 * 3,
        };
        let share = self.each.entry(Arc::clone(site)).or_default();
        let held = share.held.saturating_add(cost);
        let enough = held <= most || (held <= QUIET && cost <= free);
        if enough {
            share.held += cost;
            self.held += cost;
        } else {
            share.dropped.add(asked.dropped);
            self.since = self.since.or(asked.dropped.since);
        }
        enough
    }

    /// Frees what has come free by `now`, in parts that are alike.
    fn free(&mut self, now: Instant) {
        let freed = *self.freed.get_or_insert(now);
        let milliseconds = u64::try_from(now.duration_since(freed).as_millis()).unwrap_or(u64::MAX);
        let mut free = (milliseconds.saturating_mul(self.per_second) / 1000).min(self.held);
        // A token at a time: the sites are looked through for it.
        if free < UNIT && free < self.held {
            return;
        }
        self.freed = Some(now);
        self.held -= free;
        while free > 0 {
            let holders = self.each.values().filter(|share| share.held > 0).count();
            let part = free / u64::try_from(holders).unwrap_or(u64::MAX).max(1);
            for share in self.each.values_mut() {
                let part = part.max(1).min(share.held).min(free);
                share.held -= part;
                free -= part;
            }
        }
        self.forget_empty();
    }

    fn forget_empty(&mut self) {
        self.each
            .retain(|_, share| share.held > 0 || share.dropped.since.is_some());
    }
}

/// The thousandths of a token.
const UNIT: u64 = 1000;

/// Who holds no more is quiet: a message with what led to it.
const QUIET: u64 = 4 * UNIT;

#[cfg(test)]
mod tests;

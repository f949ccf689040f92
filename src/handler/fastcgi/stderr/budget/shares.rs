//! The log budget of all sites, and each site's share of it. As with other shared budgets, a site may hold
//! three times as much as it leaves free. An eighth is reserved for sites that hold next to nothing: one that
//! floods leaves a third of the budget to the others, and a quiet site is logged however many flood. Held
//! tokens come free with time, in equal parts for all holders.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::super::messages::{Message, Severity};
use super::{Dropped, cost};

/// Tokens of all sites, with their refill rate.
#[derive(Debug)]
pub(in super::super) struct Shares {
    /// In thousandths, like all counts here.
    size: u64,
    per_second: u64,
    held: u64,
    /// Time of the last refill.
    freed: Option<Instant>,
    each: HashMap<Arc<str>, Share>,
    /// Time of the first drop that is not reported yet.
    since: Option<Instant>,
}

/// Share of one site; absent where it would be empty.
#[derive(Debug, Default)]
struct Share {
    held: u64,
    dropped: Dropped,
}

/// A claim on tokens for one log line.
struct Claim {
    cost: u64,
    severity: Severity,
    /// Counted if the claim is refused.
    dropped: Dropped,
}

impl Shares {
    /// Creates `size` free tokens, refilled by `per_second`.
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

    /// Takes the tokens for `message` of a site, or counts it as dropped by the site. Reports whether it may be
    /// logged.
    pub(in super::super) fn admits(
        &mut self,
        site: &Arc<str>,
        message: &Message,
        now: Instant,
    ) -> bool {
        let claim = Claim {
            cost: cost(message.text.len()),
            severity: message.severity,
            dropped: Dropped::one(message, now),
        };
        self.take(site, claim, now)
    }

    /// Does the same for a line that reports the drops of one request; if refused, its counts are added to the
    /// site's.
    pub(in super::super) fn admits_count(
        &mut self,
        site: &Arc<str>,
        dropped: Dropped,
        now: Instant,
    ) -> bool {
        let claim = Claim {
            cost: 1,
            severity: Severity::Warning,
            dropped: Dropped {
                since: dropped.since.or(Some(now)),
                ..dropped
            },
        };
        self.take(site, claim, now)
    }

    /// Returns the drops of each site since the last call, if the first was `age` ago.
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
        let dropped = self.each.iter_mut().filter_map(|(site, share)| {
            let dropped = std::mem::take(&mut share.dropped);
            dropped.since.map(|_| (Arc::clone(site), dropped))
        });
        let mut taken: Vec<_> = dropped.collect();
        taken.sort_by(|one, other| one.0.cmp(&other.0));
        self.forget_empty();
        taken
    }

    /// Reports whether there are drops that no line has reported.
    pub(in super::super) fn has_dropped(&self) -> bool {
        self.since.is_some()
    }

    fn take(&mut self, site: &Arc<str>, claim: Claim, now: Instant) -> bool {
        self.free(now);
        let cost = claim.cost.saturating_mul(UNIT);
        let free = self.size - self.held;
        let left = free.saturating_sub(cost).saturating_sub(self.size / 8);
        let most = match claim.severity {
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
            share.dropped.add(claim.dropped);
            self.since = self.since.or(claim.dropped.since);
        }
        enough
    }

    /// Refills the tokens due by `now`, in equal parts.
    fn free(&mut self, now: Instant) {
        let freed = *self.freed.get_or_insert(now);
        let milliseconds = u64::try_from(now.duration_since(freed).as_millis()).unwrap_or(u64::MAX);
        let mut free = (milliseconds.saturating_mul(self.per_second) / 1000).min(self.held);
        // A token at a time: each refill iterates over the sites.
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

/// Limit of a quiet site: a message with what led to it.
const QUIET: u64 = 4 * UNIT;

#[cfg(test)]
mod tests;

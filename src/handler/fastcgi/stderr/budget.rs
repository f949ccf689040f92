//! How much may be logged: a token bucket in which a message costs a token for each KiB that it
//! begins. A quarter is kept for errors, so that a flood of notices does not hide why a script
//! died. Time is an argument.

use std::time::Duration;

use tokio::time::Instant;

use super::messages::{Message, Severity};

/// The bytes that one token pays.
const TOKEN: usize = 1024;

/// A bucket of tokens, and what it had none for.
#[derive(Debug)]
pub(super) struct Bucket {
    size: u64,
    per_second: u64,
    tokens: u64,
    /// When tokens came in last.
    filled: Option<Instant>,
    dropped: Dropped,
}

/// What was not logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Dropped {
    pub(super) messages: u64,
    pub(super) bytes: u64,
    /// When the first of them was dropped.
    pub(super) since: Option<Instant>,
}

impl Bucket {
    /// A full one, which gets `per_second` tokens back; 0: none.
    pub(super) fn new(size: u64, per_second: u64) -> Self {
        Self {
            size,
            per_second,
            tokens: size,
            filled: None,
            dropped: Dropped::default(),
        }
    }

    /// Whether `message` may be logged; what may not is counted.
    pub(super) fn admits(&mut self, message: &Message, now: Instant) -> bool {
        if self.take(cost(message.text.len()), message.severity, now) {
            return true;
        }
        self.dropped.count(1, message.text.len(), now);
        false
    }

    /// The same for a line that says what another bucket dropped: where it may not be logged, its
    /// counts go on in this one.
    pub(super) fn admits_count(&mut self, dropped: Dropped, now: Instant) -> bool {
        if self.take(1, Severity::Warning, now) {
            return true;
        }
        let since = dropped.since.unwrap_or(now);
        self.dropped.since.get_or_insert(since);
        self.dropped.messages += dropped.messages;
        self.dropped.bytes += dropped.bytes;
        false
    }

    /// What was dropped since the last time, if the first of it was `age` ago.
    pub(super) fn dropped(&mut self, age: Duration, now: Instant) -> Option<Dropped> {
        let since = self.dropped.since?;
        (now.duration_since(since) >= age).then(|| std::mem::take(&mut self.dropped))
    }

    /// All that was dropped since the last time.
    pub(super) fn take_dropped(&mut self) -> Option<Dropped> {
        self.has_dropped()
            .then(|| std::mem::take(&mut self.dropped))
    }

    /// Whether something was dropped of which nobody was told.
    pub(super) fn has_dropped(&self) -> bool {
        self.dropped.since.is_some()
    }

    fn take(&mut self, cost: u64, severity: Severity, now: Instant) -> bool {
        self.fill(now);
        let kept = match severity {
            Severity::Error => 0,
            Severity::Warning | Severity::Info => self.size / 4,
        };
        let enough = self.tokens >= kept + cost;
        if enough {
            self.tokens -= cost;
        }
        enough
    }

    fn fill(&mut self, now: Instant) {
        let filled = *self.filled.get_or_insert(now);
        let milliseconds =
            u64::try_from(now.duration_since(filled).as_millis()).unwrap_or(u64::MAX);
        let gained = milliseconds.saturating_mul(self.per_second) / 1000;
        if gained > 0 {
            self.tokens = self.tokens.saturating_add(gained).min(self.size);
            self.filled = Some(now);
        }
    }
}

impl Dropped {
    fn count(&mut self, messages: u64, bytes: usize, now: Instant) {
        self.since.get_or_insert(now);
        self.messages += messages;
        self.bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
    }
}

fn cost(length: usize) -> u64 {
    u64::try_from(length.div_ceil(TOKEN)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;

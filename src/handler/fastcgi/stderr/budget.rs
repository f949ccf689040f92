//! How much may be logged, where a message costs a token for each KiB that it begins: by one request, and by all
//! requests of all sites. A quarter is kept for errors, so that a flood of notices does not hide why a script died.
//! Time is an argument.

mod shares;

use tokio::time::Instant;

use super::messages::{Message, Severity};

pub(super) use shares::Shares;

/// The bytes that one token pays.
const TOKEN: usize = 1024;

/// The tokens of one request, and what it had none for.
#[derive(Debug)]
pub(super) struct Bucket {
    size: u64,
    tokens: u64,
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
    /// A full one.
    pub(super) fn new(size: u64) -> Self {
        Self {
            size,
            tokens: size,
            dropped: Dropped::default(),
        }
    }

    /// Whether `message` may be logged; what may not is counted.
    pub(super) fn admits(&mut self, message: &Message, now: Instant) -> bool {
        let kept = match message.severity {
            Severity::Error => 0,
            Severity::Warning | Severity::Info => self.size / 4,
        };
        let cost = cost(message.text.len());
        let enough = self.tokens >= kept + cost;
        match enough {
            true => self.tokens -= cost,
            false => self.dropped.add(Dropped::one(message, now)),
        }
        enough
    }

    /// Returns all that was dropped since the last time.
    pub(super) fn take_dropped(&mut self) -> Option<Dropped> {
        let is_some = self.dropped.since.is_some();
        is_some.then(|| std::mem::take(&mut self.dropped))
    }
}

impl Dropped {
    fn one(message: &Message, now: Instant) -> Self {
        Self {
            messages: 1,
            bytes: u64::try_from(message.text.len()).unwrap_or(u64::MAX),
            since: Some(now),
        }
    }

    fn add(&mut self, more: Self) {
        self.messages += more.messages;
        self.bytes += more.bytes;
        self.since = self.since.or(more.since);
    }
}

fn cost(length: usize) -> u64 {
    u64::try_from(length.div_ceil(TOKEN)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;

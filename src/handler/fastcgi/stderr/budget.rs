//! Token buckets of the log; a message costs one token per KiB begun. One bucket bounds a request, another all
//! requests of all sites. A quarter is reserved for errors, so that a flood of notices does not hide the reason
//! why a script died. Time is an argument.

mod shares;

use tokio::time::Instant;

use super::messages::{Message, Severity};

pub(super) use shares::Shares;

/// Bytes per token.
const TOKEN: usize = 1024;

/// The tokens of one request, and the count of what exceeded them.
#[derive(Debug)]
pub(super) struct Bucket {
    size: u64,
    tokens: u64,
    dropped: Dropped,
}

/// Messages that were not logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Dropped {
    pub(super) messages: u64,
    pub(super) bytes: u64,
    /// Time of the first one.
    pub(super) since: Option<Instant>,
}

impl Bucket {
    /// Creates a full bucket.
    pub(super) fn new(size: u64) -> Self {
        Self {
            size,
            tokens: size,
            dropped: Dropped::default(),
        }
    }

    /// Takes the tokens for `message`, or counts it as dropped. Reports whether it may be logged.
    pub(super) fn admits(&mut self, message: &Message, now: Instant) -> bool {
        let kept = match message.severity {
            Severity::Error => 0,
            Severity::Warning | Severity::Info => self.size / 4,
        };
        let cost = cost(message.text.len());
        let enough = self.tokens >= kept + cost;
        if enough {
            self.tokens -= cost;
        } else {
            self.dropped.add(Dropped::one(message, now));
        }
        enough
    }

    /// Returns the drops since the last call.
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

//! The reasons for which a password is not checked.

use std::time::Duration;

use nix::errno::Errno;

use crate::limits::budget::Over;

/// A password was not checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// The client has failed too often within a minute (RFC 6585 §4).
    #[error("as many wrong passwords within a minute as attempts.per_minute = {per_minute}")]
    Attempts {
        /// The limit.
        per_minute: usize,
        /// Time until the next attempt is allowed.
        wait: Duration,
    },
    /// The client has its share of the queue's places, or no place is free.
    #[error("{}: server.auth.queue_length = {length}", describe_share(*.over))]
    Busy {
        /// The share that is used up.
        over: Over,
        /// The limit.
        length: usize,
        /// Value of Retry-After in seconds, from the measured time of a hash.
        retry_after: u64,
    },
    /// No thread can be started.
    #[error("no thread to hash a password: {0}")]
    NoThread(Errno),
    /// The check panicked, which is a bug; the log has it.
    #[error("the check of the password ended with a panic")]
    Panicked,
}

impl Rejected {
    /// Returns the value of Retry-After in seconds.
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Attempts { wait, .. } => Some(wait.as_secs() + 1),
            Self::Busy { retry_after, .. } => Some(*retry_after),
            Self::NoThread(_) => Some(1),
            Self::Panicked => None,
        }
    }
}

fn describe_share(over: Over) -> &'static str {
    match over {
        Over::Total => "the queue of passwords is full",
        Over::Client | Over::Site => {
            "this client has as many passwords waiting as the queue has places left"
        }
    }
}

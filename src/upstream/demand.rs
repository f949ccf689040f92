//! What a request asks of an upstream, and why it may get nothing.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::flow::Flow;
use crate::limits::budget::Over;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// The client or site has its share of the places in the queue, or all are taken.
    #[error("{}: queue_length = {length}", share_message(*.over))]
    QueueFull {
        /// Whose share it is.
        over: Over,
        /// The limit.
        length: usize,
        /// Seconds after which it is worth to ask again, from the measured service time.
        retry_after: u64,
    },
    /// `timeouts.queue` passed.
    #[error("no worker within {} ms", .limit.as_millis())]
    QueueTimeout {
        /// The limit.
        limit: Duration,
        /// Seconds after which it is worth to ask again, from the measured service time.
        retry_after: u64,
    },
    /// The server cannot be connected to.
    #[error("{address}: {error}")]
    Down {
        /// The server.
        address: String,
        /// What connecting said the last time.
        error: Arc<io::Error>,
    },
    /// The server can be connected to, and cannot be used. It is not asked again for a while.
    #[error("{address}: {why}")]
    Refused {
        /// The server.
        address: String,
        /// What is wrong with it, and what to do.
        why: Arc<str>,
    },
    /// The socket exists and we may not connect to it.
    #[error("{address}: {error}{why}")]
    Denied {
        /// Whose it is, who we are, and what to do.
        why: String,
        /// The server.
        address: String,
        /// What connecting said.
        error: Arc<io::Error>,
    },
}

/// Until when a connection is of use, and how long that was from the start.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    /// When the request began to want a connection.
    pub since: Instant,
    /// `timeouts.queue`; zero is no limit.
    pub limit: Duration,
}

/// What a request asks of an upstream.
#[derive(Clone, Copy, Debug)]
pub struct Demand {
    /// Whose it is.
    pub flow: Flow,
    /// Where in the queue it waits.
    pub order: Order,
    /// How long it waits.
    pub deadline: Deadline,
}

/// Where in the queue a request waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Behind all others of its client.
    Last,
    /// Before all others of its client, whose turn is next: it was on a connection already and was not executed.
    First,
    /// Behind all others of its client, even in a full queue: it has waited at another member.
    Moved,
}

impl Deadline {
    /// A day stands for no limit.
    pub(super) fn at(self) -> Instant {
        self.since
            + if self.limit.is_zero() {
                Duration::from_secs(86_400)
            } else {
                self.limit
            }
    }
}

fn share_message(over: Over) -> &'static str {
    match over {
        Over::Total => "the queue is full",
        Over::Client => "this client has as many requests waiting as the queue has places left",
        Over::Site => {
            "this site has three times as many requests waiting as the queue has places left"
        }
    }
}

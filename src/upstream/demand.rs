//! The request for a connection, and the errors that it ends with.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::flow::Flow;
use crate::limits::budget::Over;

/// Error of a request that gets no connection.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// The client or site has its share of the queue's places, or no place is free.
    #[error("{}: queue_length = {length}", share_message(*.over))]
    QueueFull {
        /// The share that is used up.
        over: Over,
        /// The limit.
        length: usize,
        /// Value of Retry-After in seconds, from the measured service time.
        retry_after: u64,
    },
    /// `timeouts.queue` passed.
    #[error("no worker within {} ms", .limit.as_millis())]
    QueueTimeout {
        /// The limit.
        limit: Duration,
        /// Value of Retry-After in seconds, from the measured service time.
        retry_after: u64,
    },
    /// Connecting to the server fails.
    #[error("{address}: {error}")]
    Down {
        /// The server.
        address: String,
        /// Error of the last attempt to connect.
        error: Arc<io::Error>,
    },
    /// The server accepts connections and cannot be used. No request is sent to it for a while.
    #[error("{address}: {why}")]
    Refused {
        /// The server.
        address: String,
        /// The fault and its remedy.
        why: Arc<str>,
    },
    /// The socket exists, and we have no permission to connect to it.
    #[error("{address}: {error}{why}")]
    Denied {
        /// Owner of the socket, our user and groups, and the remedy.
        why: String,
        /// The server.
        address: String,
        /// Error of connect(2).
        error: Arc<io::Error>,
    },
}

/// The deadline of a request for a connection.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    /// Start of the wait.
    pub since: Instant,
    /// `timeouts.queue`; zero is no limit.
    pub limit: Duration,
}

/// A request for a connection.
#[derive(Clone, Copy, Debug)]
pub struct Demand {
    /// Client, site and class of the request.
    pub flow: Flow,
    /// Its place in the queue.
    pub order: Order,
    /// The longest wait.
    pub deadline: Deadline,
}

/// The place in the queue at which a request enters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Behind all others of its client.
    Last,
    /// Before all others of its client, whose turn is next: the request was on a connection already and was not
    /// executed.
    First,
    /// Behind all others of its client, even in a full queue: the request has waited at another member.
    Moved,
}

impl Deadline {
    /// Returns the instant of the deadline; no limit is a day.
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

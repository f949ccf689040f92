//! The configured limits of the use of one server.

use std::time::Duration;

/// The limits of the use of one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The most connections.
    pub capacity: Option<usize>,
    /// The most waiting requests.
    pub queue_length: usize,
    /// The most connections that wait for an acknowledgement.
    pub scouts: usize,
    /// Time from its acknowledgement after which a connection may be given back; see `super::turn`.
    pub turn: Duration,
    /// The longest idle time of a connection.
    pub keep: Duration,
    /// Limits of the reuse of connections.
    pub reuse: ReuseLimits,
}

/// Limits of the reuse of a connection, and of the number of idle ones; `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReuseLimits {
    /// The most idle connections.
    pub max_idle: Option<usize>,
    /// The most requests of one connection.
    pub max_requests: Option<u64>,
    /// Age up to which a connection may serve a further request.
    pub max_age: Option<Duration>,
}

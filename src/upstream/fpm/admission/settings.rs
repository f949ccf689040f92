//! What the configuration says of the use of one server.

use std::time::Duration;

/// What bounds the use of one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Connections at once.
    pub capacity: Option<usize>,
    /// Requests that wait at once.
    pub queue_length: usize,
    /// Connections at once that wait for an acknowledgement.
    pub scouts: usize,
    /// How long after its acknowledgement a connection may be given back; see `super::turn`.
    pub turn: Duration,
    /// How long a connection may idle.
    pub keep: Duration,
    /// When and how often connections are used again.
    pub wear: Wear,
}

/// What wears a connection out, and how many may idle; `None` is without limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wear {
    /// Connections that idle at once.
    pub max_idle: Option<usize>,
    /// Requests that one connection serves.
    pub max_requests: Option<u64>,
    /// How long after it was opened a connection may serve a further request.
    pub max_age: Option<Duration>,
}

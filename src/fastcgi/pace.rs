//! Time limits of the two sides of an exchange.

use std::time::Duration;

/// Time limits of an exchange. Zero is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Until the acknowledgement of the probe.
    pub acknowledge: Duration,
    /// From then until the first byte of the answer.
    pub first_byte: Duration,
    /// Between two pieces of the answer.
    pub idle: Duration,
    /// Between two pieces of the client's content.
    pub client: Duration,
}

/// A limit of [`Pace`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// `timeouts.queue`: the request waited in the application's own queue.
    Acknowledge,
    /// `timeouts.first_byte`.
    FirstByte,
    /// `timeouts.idle`.
    Idle,
    /// `limits.body_pause`: the client stopped sending its content.
    Client,
}

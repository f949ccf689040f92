//! Time limits of the two sides of an exchange.

use std::time::Duration;

use tokio::time::Instant;

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
    /// From the arrival of the request to the end of its answer.
    pub total: Option<Total>,
}

/// The total time limit of a request, which began before its exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Total {
    /// Its end.
    pub deadline: Instant,
    /// Its length.
    pub limit: Duration,
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
    /// `timeouts.total`.
    Total,
    /// `timeouts.total`, while the client was sending its content.
    TotalUpload,
}

//! The class of a server: its reaction to a probe.

use crate::fastcgi::management::Values;

/// A server's reaction to a probe; `crate::upstream::fpm::scout` detects it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Not known yet: one connection detects it, and requests wait meanwhile.
    Unknown,
    /// Answers and keeps the connection.
    Kept,
    /// Answers at any time, so that an answer proves no free worker (Go's net/http/fcgi).
    Multiplexed,
    /// Answers and closes the connection (PHP before the fix of bug 76922).
    Closes,
    /// Answers no probes: it answered a request, or refused a role, on a connection with an unanswered probe.
    Silent,
}

impl Class {
    /// Returns the class of a server that answered with `values` and keeps the connection.
    pub fn of(values: Values) -> Self {
        if values.multiplexes {
            Self::Multiplexed
        } else {
            Self::Kept
        }
    }

    /// Reports whether an acknowledgement can be waited for.
    pub fn acknowledges(self) -> bool {
        match self {
            Self::Unknown | Self::Kept | Self::Multiplexed => true,
            Self::Closes | Self::Silent => false,
        }
    }
}

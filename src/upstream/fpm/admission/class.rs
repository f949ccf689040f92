//! What is known of how a server can be used.

/// What a server does with a probe; see `super::scout` for how it is found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Not known yet: one connection finds it out, and who comes meanwhile waits.
    Unknown,
    /// Answers and serves on.
    Kept,
    /// Answers whatever else it is doing, so that an answer proves no worker (Go's net/http/fcgi).
    Multiplexed,
    /// Answers and hangs up (PHP before the fix of bug 76922).
    Closes,
    /// Answered a request, or refused a role, on a connection whose probe it had not answered.
    Silent,
}

impl Class {
    /// Returns whether an acknowledgement can be waited for.
    pub fn acknowledges(self) -> bool {
        match self {
            Self::Unknown | Self::Kept | Self::Multiplexed => true,
            Self::Closes | Self::Silent => false,
        }
    }
}

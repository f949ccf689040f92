//! Where an answer comes from: its maker, and how it came about.

use std::sync::Arc;
use std::time::Duration;

/// The maker of an answer's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// The gateway: a page for a failure, a redirect, a listing.
    Gateway,
    /// The configuration: the words of a `respond`.
    Rule,
    /// A file below a root.
    File,
    /// A script, and a file that a script has sent in place of its own content.
    Script,
}

impl Maker {
    /// Reports whether an upstream made it, which may have put into it what is for one client alone.
    pub fn is_upstream(self) -> bool {
        match self {
            Self::Script => true,
            Self::Gateway | Self::Rule | Self::File => false,
        }
    }
}

/// How an answer came about, for the log.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// The upstream that answered.
    pub upstream: Option<Arc<str>>,
    /// Time in the queue.
    pub queue: Option<Duration>,
    /// Time to connect.
    pub connect: Option<Duration>,
    /// Time until a worker acknowledged the request: the application's own queue.
    pub acknowledge: Option<Duration>,
    /// Time from the request's arrival to the first byte of the application's answer.
    pub first_byte: Option<Duration>,
}

//! The origin of an answer: its maker and its timings.

use std::sync::Arc;
use std::time::Duration;

/// The maker of an answer's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// The gateway: a page for a failure, a redirect, a listing.
    Gateway,
    /// The configuration: the content of a `respond`.
    Rule,
    /// A file below a root.
    File,
    /// A script, also for a file that it has sent in place of its own content.
    Script,
}

impl Maker {
    /// Reports whether an upstream made it, so that it may hold data for one client alone.
    pub fn is_upstream(self) -> bool {
        match self {
            Self::Script => true,
            Self::Gateway | Self::Rule | Self::File => false,
        }
    }
}

/// The upstream and the timings of an answer, for the access log.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// The upstream that answered.
    pub upstream: Option<Arc<str>>,
    /// The script of a failed call.
    pub script: Option<Box<str>>,
    /// Time in the queue.
    pub queue: Option<Duration>,
    /// Time to connect.
    pub connect: Option<Duration>,
    /// Time until a worker acknowledged the request: the application's own queue.
    pub acknowledge: Option<Duration>,
    /// Time from the request's arrival to the first byte of the application's answer.
    pub first_byte: Option<Duration>,
}

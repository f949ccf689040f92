//! Events of servers, signals and timers.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::control::{Intent, Outcome};

/// Number of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Id(pub(crate) u32);

/// A request for a reload or an upgrade.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) origin: Origin,
    pub(crate) intent: Intent,
}

/// Origin of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Origin {
    /// A signal, or the watched files: nobody waits for an answer.
    Nobody,
    /// A client of this server's admin listener.
    Server(Id, u32),
}

/// An event.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Begun,
    Asked(Request),
    /// The sockets of a grant are bound. `beyond` has its reasons for another server; empty without one.
    Granted {
        id: Id,
        beyond: Vec<String>,
    },
    /// The sockets of a grant cannot be bound, or the server does not follow the protocol.
    Unusable {
        id: Id,
        why: String,
    },
    /// The configuration is invalid; the server has logged it. With an outline of the errors.
    Refused(Id, String),
    Serving(Id),
    Swapped(Id, Outcome),
    /// A server has ended.
    Ended {
        id: Id,
        how: String,
        code: u8,
        ran: Duration,
    },
    /// A server that cannot be started.
    Unstarted {
        id: Id,
        why: String,
    },
    /// The pause before a restart is over.
    Due,
    /// This program has taken over from another.
    Adopted,
    /// The new program cannot be executed.
    NotExecuted(String),
    /// SIGTERM or SIGINT.
    Stop,
    /// The time limit of the end has passed.
    Overdue,
}

impl Request {
    /// Returns a request that nobody waits for.
    pub(crate) fn of(intent: Intent) -> Self {
        Self {
            origin: Origin::Nobody,
            intent,
        }
    }
}

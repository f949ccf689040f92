//! Passive health: what is known of a server from the requests that were sent to it. Pure: time is
//! an argument, and nothing is ever sent for its own sake.
//!
//! ```text
//!          fails                   the back-off is over
//!   Well ─────────► Avoided ──────────────────────────► Due
//!    ▲                 ▲ fails: twice as long            │ one request
//!    └─────────────────┴──────────── Tried ◄─────────────┘
//!         succeeds
//! ```

use std::time::Duration;

use tokio::time::Instant;

/// How long a server is avoided after its first failure: a restart of PHP-FPM is over by then.
pub const FIRST_BACK_OFF: Duration = Duration::from_secs(1);

/// The longest that a server is avoided before it is tried again.
pub const LONGEST_BACK_OFF: Duration = Duration::from_secs(30);

/// What a server failed at. Only success at the same thing disproves it: a program that accepts
/// connections and answers nonsense does not become well by accepting another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It could not be connected to.
    Connect,
    /// It did not speak FastCGI, or refused a request by protocol.
    Protocol,
}

/// What a server may be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Requests.
    Well,
    /// One request, to see whether it is well again.
    Due,
    /// Nothing until then, while another is well: one request tries it.
    Tried(Instant),
    /// Nothing until then, while another is well.
    Avoided(Instant),
}

/// The health of one server; well at first.
#[derive(Debug, Default)]
pub struct Health(Option<Illness>);

#[derive(Debug)]
struct Illness {
    fault: Fault,
    back_off: Duration,
    until: Instant,
    tried: bool,
}

impl Standing {
    /// Whether a request may be sent there although others are well.
    pub fn is_eligible(self) -> bool {
        match self {
            Self::Well | Self::Due => true,
            Self::Tried(_) | Self::Avoided(_) => false,
        }
    }
}

impl Health {
    /// Something failed. Whether that changes how long the server is avoided: what fails within a
    /// back-off is what was under way before, or has nowhere else to go.
    pub fn failed(&mut self, fault: Fault, now: Instant) -> bool {
        let back_off = match &self.0 {
            None => FIRST_BACK_OFF,
            Some(illness) if illness.tried || now >= illness.until => {
                (illness.back_off * 2).min(LONGEST_BACK_OFF)
            }
            Some(_) => return false,
        };
        self.0 = Some(Illness {
            fault,
            back_off,
            until: now + back_off,
            tried: false,
        });
        true
    }

    /// What `fault` is the failure of has succeeded; whether the server is well by that.
    pub fn succeeded(&mut self, fault: Fault) -> bool {
        self.0.take_if(|illness| illness.fault == fault).is_some()
    }

    /// A request is sent there to try it, where that is due; no other for as long as the server
    /// was avoided, whatever becomes of this one.
    pub fn try_again(&mut self, now: Instant) -> bool {
        match &mut self.0 {
            Some(illness) if now >= illness.until => {
                illness.until = now + illness.back_off;
                illness.tried = true;
                true
            }
            Some(_) | None => false,
        }
    }

    /// What it may be given now.
    pub fn standing(&self, now: Instant) -> Standing {
        match &self.0 {
            None => Standing::Well,
            Some(illness) if now >= illness.until => Standing::Due,
            Some(illness) if illness.tried => Standing::Tried(illness.until),
            Some(illness) => Standing::Avoided(illness.until),
        }
    }
}

#[cfg(test)]
mod tests;

//! Passive health checks: the state of a server as the requests sent to it show it. Pure: time is an argument, and no
//! request is sent for the check alone.
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

/// Back-off after the first failure: a restart of PHP-FPM is over by then.
pub const FIRST_BACK_OFF: Duration = Duration::from_secs(1);

/// The longest back-off.
pub const LONGEST_BACK_OFF: Duration = Duration::from_secs(30);

/// The operation at which a server failed. Only success of the same operation clears the fault: a program that
/// accepts connections and answers nonsense does not recover by accepting another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Connecting failed.
    Connect,
    /// The server did not speak FastCGI, or refused a request by protocol.
    Protocol,
}

/// Availability of a server for requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// Available.
    Well,
    /// Available for one request, which shows whether it has recovered.
    Due,
    /// Avoided until then, while another is available: one request tries it.
    Tried(Instant),
    /// Avoided until then, while another is available.
    Avoided(Instant),
}

/// The health of one server; initially available.
#[derive(Debug, Default)]
pub struct Health(Option<Outage>);

#[derive(Debug)]
struct Outage {
    fault: Fault,
    back_off: Duration,
    until: Instant,
    is_tried: bool,
}

impl Availability {
    /// Reports whether a request may be sent to the server although others are available.
    pub fn is_eligible(self) -> bool {
        match self {
            Self::Well | Self::Due => true,
            Self::Tried(_) | Self::Avoided(_) => false,
        }
    }
}

impl Health {
    /// Records a failure, and reports whether it starts a new back-off. A failure within a back-off is one of
    /// requests that were under way, or that have no other server.
    pub fn record_failure(&mut self, fault: Fault, now: Instant) -> bool {
        let back_off = match &self.0 {
            None => FIRST_BACK_OFF,
            Some(outage) if outage.is_tried || now >= outage.until => {
                (outage.back_off * 2).min(LONGEST_BACK_OFF)
            }
            Some(_) => return false,
        };
        self.0 = Some(Outage {
            fault,
            back_off,
            until: now + back_off,
            is_tried: false,
        });
        true
    }

    /// Records a success of the operation that `fault` names, and reports whether the server has recovered.
    pub fn record_success(&mut self, fault: Fault) -> bool {
        self.0.take_if(|outage| outage.fault == fault).is_some()
    }

    /// Reports whether a request may try the server now, and claims the trial: no other request tries it for the
    /// length of the back-off, whatever the result of this one.
    pub fn claim_trial(&mut self, now: Instant) -> bool {
        match &mut self.0 {
            Some(outage) if now >= outage.until => {
                outage.until = now + outage.back_off;
                outage.is_tried = true;
                true
            }
            Some(_) | None => false,
        }
    }

    /// Returns the availability at `now`.
    pub fn availability(&self, now: Instant) -> Availability {
        match &self.0 {
            None => Availability::Well,
            Some(outage) if now >= outage.until => Availability::Due,
            Some(outage) if outage.is_tried => Availability::Tried(outage.until),
            Some(outage) => Availability::Avoided(outage.until),
        }
    }
}

#[cfg(test)]
mod tests;

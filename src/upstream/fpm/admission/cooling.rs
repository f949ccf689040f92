//! Connections whose answer is whole and whose worker may still be at work (docs/internals/php-fpm.md, "After the
//! answer"): END_REQUEST ends the answer, not the work. Each is a busy worker until it is done.

use std::time::Duration;

use tokio::time::Instant;

use super::{Admission, Class, Slot};

/// How long a request waits for a worker whose answer has just ended before another is looked for. Most are done within
/// 0.1 ms, and to connect costs more.
const BRIEF: Duration = Duration::from_millis(2);

/// What is to be done with a connection when its request has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Its worker is done.
    Ready,
    /// A probe tells when it is done.
    Probe,
    /// It serves no other request: half-closed, it is done when the server closes it.
    HalfClose,
    /// It is closed at once: too many wait for a server that neither answers nor closes.
    Close,
}

/// So many connections may cool at once: half of all that one server gets. A worker has one, and no PHP-FPM has as many
/// that work on behind their answers; what does not answer and does not close must not take the rest.
const MOST: usize = 512;

/// One of them.
#[derive(Debug)]
pub(super) struct Cooling {
    id: u64,
    since: Instant,
    returns: bool,
}

impl<C, W> Admission<C, W> {
    /// A request ended on a connection. `reusable` says whether another may follow at all.
    pub fn cool(&mut self, slot: &mut Slot, reusable: bool, now: Instant) -> After {
        slot.served += 1;
        // Where it could not even idle, somebody has to wait for it.
        let is_wanted = self.queue.waiting() > 0 || self.may_idle(now);
        let after = match self.class {
            _ if self.cooling.len() >= MOST => After::Close,
            _ if !reusable || !is_wanted || self.is_used_up(slot, now) => After::HalfClose,
            Class::Unknown | Class::Kept => After::Probe,
            // There is nothing to ask; a reuse of what acknowledges nothing was asked for by `capacity`.
            Class::Multiplexed | Class::Closes | Class::Silent => After::Ready,
        };
        if matches!(after, After::HalfClose | After::Close) {
            self.given_back = Some(now);
        }
        if matches!(after, After::HalfClose | After::Probe) {
            self.cooling.push(Cooling {
                id: slot.id,
                since: now,
                returns: after == After::Probe,
            });
        }
        after
    }

    /// Returns how many workers have an answer behind them and are not done.
    pub fn cooling(&self) -> usize {
        self.cooling.len()
    }

    /// Returns how many workers will be free in a moment, as far as can be told: those whose answer has just ended.
    pub fn returning(&self, now: Instant) -> usize {
        let recent = self.cooling.iter().rev();
        let recent = recent.take_while(|cooling| now.duration_since(cooling.since) < BRIEF);
        recent.filter(|cooling| cooling.returns).count()
    }

    pub(super) fn leave_cooling(&mut self, slot: &Slot) {
        self.cooling.retain(|cooling| cooling.id != slot.id);
    }
}

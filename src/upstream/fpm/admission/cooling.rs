//! Connections with a complete answer whose worker may still be busy (docs/internals/php-fpm.md, "After the answer"):
//! END_REQUEST ends the answer, not the work. Each is a busy worker until it is done.

use std::time::Duration;

use tokio::time::Instant;

use super::{Admission, Class, Slot};

/// Time for which a request waits for a worker whose answer has just ended before a scout looks for another. Most are
/// done within 0.1 ms, and connecting costs more.
const BRIEF: Duration = Duration::from_millis(2);

/// The next step of a connection whose request has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Ready: its worker is done.
    Ready,
    /// Probed: the answer comes when the worker is done.
    Probe,
    /// Half-closed: it serves no other request, and its worker is done when the server closes it.
    HalfClose,
    /// Closed at once: too many wait for a server that neither answers nor closes.
    Close,
}

/// The most cooling connections: half of all to one server. A worker has one, and no PHP-FPM has as many that work on
/// behind their answers; connections that neither answer nor close must not take the rest.
const MOST: usize = 512;

/// A cooling connection.
#[derive(Debug)]
pub(super) struct Cooling {
    id: u64,
    since: Instant,
    returns: bool,
}

impl<C, W> Admission<C, W> {
    /// Records the end of a request on a connection, and returns its next step. `reusable`: another request may
    /// follow at all.
    pub fn cool(&mut self, slot: &mut Slot, reusable: bool, now: Instant) -> After {
        slot.served += 1;
        // If it could not even idle, a waiting request has to need it.
        let is_wanted = self.queue.waiting() > 0 || self.may_idle(now);
        let after = match self.class {
            _ if self.cooling.len() >= MOST => After::Close,
            _ if !reusable || !is_wanted || self.is_used_up(slot, now) => After::HalfClose,
            Class::Unknown | Class::Kept => After::Probe,
            // No probe is possible; reuse without acknowledgements was requested by `capacity`.
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

    /// Returns the number of workers that have completed an answer and are not done.
    pub fn cooling(&self) -> usize {
        self.cooling.len()
    }

    /// Returns the number of workers expected back in a moment: those whose answer has just ended.
    pub fn returning(&self, now: Instant) -> usize {
        self.cooling
            .iter()
            .rev()
            .take_while(|cooling| now.duration_since(cooling.since) < BRIEF)
            .filter(|cooling| cooling.returns)
            .count()
    }

    pub(super) fn leave_cooling(&mut self, slot: &Slot) {
        self.cooling.retain(|cooling| cooling.id != slot.id);
    }
}

//! The turn: the time for which a worker passes from request to request before it is given back
//! (docs/internals/admission.md, "Turn and idle").
//!
//! Giving a worker back costs a connection and a probe, so it is done only as often as others need it for their
//! share, whether or not any request is known to wait: the server's own accept queue, which is in order, then shares
//! its workers among all of its clients.
//!
//! - Each `turn` at least one is given back: a gateway with few requests waits for a worker no longer than a few
//!   turns.
//! - After [`TURNS`] each is: the workers given back are proportional to those held, so that busy gateways come to
//!   hold equal shares within some of those times. With one worker for each turn alone, the largest holder would keep
//!   the most.

use tokio::time::Instant;

use super::{Admission, ReuseLimits, Slot};

/// The most turns for which a worker is held. Of 8 busy workers 100 a second are given back then, and not 400: 11 %
/// less CPU for a short script and 32 clients.
const TURNS: u32 = 4;

impl<C, W> Admission<C, W> {
    pub(super) fn give_back(&mut self, slot: &Slot, now: Instant) {
        self.closed(slot);
        self.given_back = Some(now);
    }

    /// Reports whether the turn of a connection is over. Without acknowledgements only an explicit capacity allows
    /// reuse.
    fn turn_is_over(&self, slot: &Slot, now: Instant) -> bool {
        let Some(since) = slot.acknowledged else {
            return self.settings.capacity.is_none();
        };
        let turn = self.settings.turn;
        let held = now.duration_since(since);
        let is_due = |last| now.duration_since(last) >= turn;
        held >= turn.saturating_mul(TURNS) || (held >= turn && self.given_back.is_none_or(is_due))
    }

    pub(super) fn is_used_up(&self, slot: &Slot, now: Instant) -> bool {
        let ReuseLimits {
            max_requests,
            max_age,
            ..
        } = self.settings.reuse;
        self.turn_is_over(slot, now)
            || max_requests.is_some_and(|most| slot.served >= most)
            || max_age.is_some_and(|age| now.duration_since(slot.opened) >= age)
    }
}

//! How long a worker is handed from request to request before it is given back (design §4.5).
//!
//! Giving a worker back costs a connection and a probe, so it is done only as often as it has to be for others to get
//! their share, whether or not anyone is known to wait: the server's own accept queue, which is in order, then shares
//! its workers among all of its clients.
//!
//! - Each `turn` at least one is given back: who has few requests waits for a worker no longer than a few turns.
//! - After [`TURNS`] each is: what is given back is in proportion to what is held, so that those who want much come to
//!   hold equal shares within some of those times. With one worker for each turn alone, whoever holds most would keep
//!   the most.

use std::time::Duration;

use tokio::time::Instant;

use super::Slot;

/// A worker is held for at most so many turns. Of 8 workers for 64 clients then 100 connections a second are given back,
/// and not 400: what turns cost falls from 17 % of a request to 4 %.
const TURNS: u32 = 4;

/// Who gives back.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// When a worker was last given back because of its turn.
    last: Option<Instant>,
}

impl Turn {
    /// Whether the connection is to be closed once its request has ended.
    pub(super) fn is_over(&self, slot: &Slot, turn: Duration, now: Instant) -> bool {
        let Some(since) = slot.acknowledged else {
            return false;
        };
        let held = now.duration_since(since);
        let due = || {
            self.last
                .is_none_or(|last| now.duration_since(last) >= turn)
        };
        held >= turn.saturating_mul(TURNS) || (held >= turn && due())
    }

    /// A worker was given back.
    pub(super) fn give_back(&mut self, now: Instant) {
        self.last = Some(now);
    }
}

//! The encoders that answers hold: what memory each has, and which of them gives it up when others wait. One whose client
//! has not asked for more in [`IDLE`] goes on without an engine.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use super::{Effort, Encoder};
use crate::handler::share::Share;
use crate::limits::budget::Part;
use crate::message::accept_encoding::Coding;

/// How long an answer waits for memory before it goes out as it is.
const PATIENCE: Duration = Duration::from_millis(50);

/// How often it asks meanwhile.
const ATTEMPTS: u32 = 5;

/// How long a client that asks for nothing may hold an encoder that others wait for.
const IDLE: Duration = Duration::from_secs(1);

/// The encoders of all answers that are being sent. There are no more than the budget has room for.
#[derive(Debug, Default)]
pub struct Encoders(Mutex<Vec<Weak<Held>>>);

/// The encoder of one answer.
#[derive(Debug)]
pub(super) struct Held(Mutex<Holding>);

/// An encoder, with the memory that it has.
#[derive(Debug)]
pub struct Holding {
    pub(super) encoder: Encoder,
    pub(super) part: Part,
    /// Since when it waits for its client; `None` while it works, or waits for what is to be coded.
    pub(super) given: Option<Instant>,
}

impl Encoders {
    /// Returns an encoder as soon as there is memory for it; `None` where there is none soon enough.
    pub async fn obtain(
        &self,
        coding: Coding,
        effort: Effort,
        share: &Share<'_>,
    ) -> Option<Holding> {
        let mut part = share.part();
        let cost = Encoder::cost(coding, effort);
        for _ in 0..ATTEMPTS {
            if part.grow(cost).is_ok() {
                return Some(Holding::new(coding, effort, part));
            }
            match self.idlest(Instant::now()) {
                Some(held) => drop(spawn_blocking(move || held.store()).await),
                None => sleep(PATIENCE / ATTEMPTS).await,
            }
        }
        part.grow(cost).ok()?;
        Some(Holding::new(coding, effort, part))
    }

    /// Keeps sight of an encoder as long as its answer is sent.
    pub(super) fn hold(&self, holding: Holding) -> Arc<Held> {
        let held = Arc::new(Held(Mutex::new(holding)));
        let mut all = self.all();
        if all.len() == all.capacity() {
            all.retain(|held| held.strong_count() > 0);
        }
        all.push(Arc::downgrade(&held));
        held
    }

    /// Returns the one that waits for its client for the longest time, and for [`IDLE`] at least.
    fn idlest(&self, now: Instant) -> Option<Arc<Held>> {
        let mut all = self.all();
        all.retain(|held| held.strong_count() > 0);
        let idle = all.iter().filter_map(|held| {
            let held = held.upgrade()?;
            let given = held.idle_since()?;
            (now.duration_since(given) >= IDLE).then_some((given, held))
        });
        idle.min_by_key(|(given, _)| *given).map(|(_, held)| held)
    }

    fn all(&self) -> MutexGuard<'_, Vec<Weak<Held>>> {
        // A poisoned lock guards a list that is whole at every moment.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Holding {
    fn new(coding: Coding, effort: Effort, part: Part) -> Self {
        Self {
            encoder: Encoder::new(coding, effort),
            part,
            given: Some(Instant::now()),
        }
    }

    /// Gives back what the engine had: there is none any more.
    pub(super) fn keep_output(&mut self) {
        let used = self.part.used();
        let kept = self.encoder.ready() as u64;
        self.part.shrink(used.saturating_sub(kept));
    }
}

impl Held {
    pub(super) fn lock(&self) -> MutexGuard<'_, Holding> {
        // Whoever panicked in an engine has its answer cut.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None` for one that works, and for one that has nothing to give up.
    fn idle_since(&self) -> Option<Instant> {
        let holding = self.0.try_lock().ok()?;
        holding.given.filter(|_| holding.encoder.has_engine())
    }

    /// Gives the engine up, unless the client has asked for more meanwhile. May take some milliseconds.
    fn store(&self) {
        let mut holding = self.lock();
        let idle = holding.given.is_some_and(|given| given.elapsed() >= IDLE);
        if !idle {
            return;
        }
        // One that cannot be flushed fails when its answer goes on.
        if holding.encoder.store().is_ok() {
            holding.keep_output();
        }
    }
}

//! The encoders of all answers and their memory. An encoder whose client has requested nothing for [`IDLE`] loses its engine
//! if another answer waits for memory.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use super::{Effort, Encoder};
use crate::handler::share::Share;
use crate::limits::budget::Part;
use crate::message::accept_encoding::Coding;

/// Time for which an answer waits for memory before it is sent without a coding.
const PATIENCE: Duration = Duration::from_millis(50);

/// Attempts to obtain memory in that time.
const ATTEMPTS: u32 = 5;

/// Time for which an idle client may hold an engine while others wait.
const IDLE: Duration = Duration::from_secs(1);

/// The encoders of all answers in transfer, bounded by the budget.
#[derive(Debug, Default)]
pub struct Encoders(Mutex<Vec<Weak<SharedEncoder>>>);

/// The encoder of one answer, shared with [`Encoders`].
#[derive(Debug)]
pub(super) struct SharedEncoder(Mutex<BudgetedEncoder>);

/// An encoder and its part of the budget.
#[derive(Debug)]
pub struct BudgetedEncoder {
    pub(super) encoder: Encoder,
    pub(super) part: Part,
    /// Beginning of its wait for the client; `None` while it codes or waits for content.
    pub(super) waiting_since: Option<Instant>,
}

impl Encoders {
    /// Returns an encoder as soon as there is memory for it; `None` after `PATIENCE`.
    pub async fn obtain(
        &self,
        coding: Coding,
        effort: Effort,
        share: &Share<'_>,
    ) -> Option<BudgetedEncoder> {
        let mut part = share.part();
        let cost = Encoder::cost(coding, effort);
        for _ in 0..ATTEMPTS {
            if part.grow(cost).is_ok() {
                return Some(BudgetedEncoder::new(coding, effort, part));
            }
            match self.find_longest_idle(Instant::now()) {
                Some(held) => drop(spawn_blocking(move || held.store()).await),
                None => sleep(PATIENCE / ATTEMPTS).await,
            }
        }
        part.grow(cost).ok()?;
        Some(BudgetedEncoder::new(coding, effort, part))
    }

    /// Registers an encoder while its answer is sent.
    pub(super) fn register(&self, holding: BudgetedEncoder) -> Arc<SharedEncoder> {
        let held = Arc::new(SharedEncoder(Mutex::new(holding)));
        let mut all = self.all();
        if all.len() == all.capacity() {
            all.retain(|held| held.strong_count() > 0);
        }
        all.push(Arc::downgrade(&held));
        held
    }

    /// Returns the encoder that has waited for its client longest, and at least for [`IDLE`].
    fn find_longest_idle(&self, now: Instant) -> Option<Arc<SharedEncoder>> {
        let mut all = self.all();
        all.retain(|held| held.strong_count() > 0);
        let idle = all.iter().filter_map(|held| {
            let held = held.upgrade()?;
            let waiting_since = held.idle_since()?;
            (now.duration_since(waiting_since) >= IDLE).then_some((waiting_since, held))
        });
        idle.min_by_key(|(waiting_since, _)| *waiting_since)
            .map(|(_, held)| held)
    }

    fn all(&self) -> MutexGuard<'_, Vec<Weak<SharedEncoder>>> {
        // A poisoned lock guards a list that is whole at every moment.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BudgetedEncoder {
    fn new(coding: Coding, effort: Effort, part: Part) -> Self {
        Self {
            encoder: Encoder::new(coding, effort),
            part,
            waiting_since: Some(Instant::now()),
        }
    }

    /// Returns the memory of the released engine to the budget.
    pub(super) fn shrink_to_output(&mut self) {
        let used = self.part.used();
        let kept = self.encoder.ready() as u64;
        self.part.shrink(used.saturating_sub(kept));
    }
}

impl SharedEncoder {
    pub(super) fn lock(&self) -> MutexGuard<'_, BudgetedEncoder> {
        // A panic in an engine cuts the answer of that engine alone.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the beginning of its wait; `None` while it codes, and without an engine.
    fn idle_since(&self) -> Option<Instant> {
        let holding = self.0.try_lock().ok()?;
        holding
            .waiting_since
            .filter(|_| holding.encoder.has_engine())
    }

    /// Releases the engine, unless the client has requested more meanwhile. May take some milliseconds.
    fn store(&self) {
        let mut holding = self.lock();
        let idle = holding
            .waiting_since
            .is_some_and(|waiting_since| waiting_since.elapsed() >= IDLE);
        if !idle {
            return;
        }
        // A stream that cannot be flushed fails at its next piece.
        if holding.encoder.store().is_ok() {
            holding.shrink_to_output();
        }
    }
}

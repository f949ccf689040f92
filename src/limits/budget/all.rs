//! The budgets of the process. A reload carries them over, with the amounts in use.

use std::sync::Arc;

use super::Budget;

/// The budgets shared by all requests.
#[derive(Clone, Debug)]
pub struct Budgets {
    /// Bytes in unlinked files (`server.spool_quota`).
    pub spool: Arc<Budget>,
    /// Bytes in memory of answers not yet taken by their clients (`server.answer_memory`).
    pub answers: Arc<Budget>,
    /// Bytes in memory of request bodies not yet taken by a script, and of other state of requests
    /// (`server.body_memory`).
    pub bodies: Arc<Budget>,
    /// Bytes of encoders (`server.encoder_memory`).
    pub encoders: Arc<Budget>,
}

/// The totals of the budgets, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    /// `server.spool_quota`.
    pub spool: u64,
    /// `server.answer_memory`.
    pub answers: u64,
    /// `server.body_memory`.
    pub bodies: u64,
    /// `server.encoder_memory`.
    pub encoders: u64,
}

impl Budgets {
    /// Builds budgets, all of them free.
    pub fn new(totals: &Totals) -> Self {
        let of = |total| Arc::new(Budget::new(total));
        Self {
            spool: of(totals.spool),
            answers: of(totals.answers),
            bodies: of(totals.bodies),
            encoders: of(totals.encoders),
        }
    }

    /// Sets the totals, for later grants.
    pub fn set_totals(&self, totals: &Totals) {
        self.spool.set_total(totals.spool);
        self.answers.set_total(totals.answers);
        self.bodies.set_total(totals.bodies);
        self.encoders.set_total(totals.encoders);
    }

    /// Returns the budgets with their names.
    pub fn each(&self) -> [(&'static str, &Budget); 4] {
        [
            ("spool", &self.spool),
            ("answers", &self.answers),
            ("bodies", &self.bodies),
            ("encoders", &self.encoders),
        ]
    }
}

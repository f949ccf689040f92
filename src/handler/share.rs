//! Whose share of a budget an answer is taken from.

use std::sync::Arc;

use crate::limits::budget::{Budget, Owner, Part};

/// A budget, and who takes from it.
#[derive(Clone, Copy, Debug)]
pub struct Share<'a> {
    /// What is shared.
    pub budget: &'a Arc<Budget>,
    /// Who takes.
    pub owner: Owner,
}

impl Share<'_> {
    /// Returns a part of the budget in which nothing is yet.
    pub fn part(&self) -> Part {
        Part::new(self.budget, self.owner)
    }
}

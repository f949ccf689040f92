//! A client's share of a budget.

use std::sync::Arc;

use crate::limits::budget::{Budget, Owner, Part};

/// A budget and the owner of the share.
#[derive(Clone, Copy, Debug)]
pub struct Share<'a> {
    /// The shared budget.
    pub budget: &'a Arc<Budget>,
    /// The owner of the parts.
    pub owner: Owner,
}

impl Share<'_> {
    /// Returns an empty part of the budget.
    pub fn part(&self) -> Part {
        Part::new(self.budget, self.owner)
    }
}

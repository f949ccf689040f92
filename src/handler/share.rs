//! Whose share of a budget an answer is taken from.

use std::sync::Arc;

use crate::limits::budget::{Budget, Owner, Part, Party, SiteKey};

/// A budget, and who takes from it.
#[derive(Clone, Copy, Debug)]
pub struct Share<'a> {
    /// What is shared.
    pub budget: &'a Arc<Budget>,
    /// Who asks.
    pub party: Party,
    /// The name of the site that is asked.
    pub site: &'a str,
}

impl Share<'_> {
    /// Returns a part of the budget in which nothing is yet.
    pub fn part(&self) -> Part {
        let owner = Owner {
            party: self.party,
            site: SiteKey::of(self.site),
        };
        Part::new(self.budget, owner)
    }
}

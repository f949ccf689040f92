//! The interface of all kinds of modifiers, and the interruption of a round by one.

use std::fmt::Debug;

use crate::failure::Failure;
use crate::message::edits::RuleEdits;
use crate::message::fact::{Ask, Facts};
use crate::route::template::Groups;
use crate::route::{BacktrackLimitExceeded, Scope};
use crate::section::{At, Place, Problems};

/// Context for the construction of a modifier, besides the section of its rule.
pub(super) struct Parts<'a> {
    /// Capture groups that templates may name.
    pub(super) groups: &'a Groups,
    /// Returns a place as `file:line`.
    pub(super) show: &'a dyn Fn(&Place) -> String,
    pub(super) problems: &'a mut Problems,
}

/// A kind of modifier.
pub(super) trait Modify: Debug {
    /// Amends the edits of a request, asks for a fact, or refuses the request.
    fn apply(
        &self,
        scope: &Scope<'_>,
        facts: &Facts,
        edits: &mut RuleEdits,
    ) -> Result<(), Interruption>;

    /// Reports whether it admits or refuses requests, rather than change them.
    fn is_guard(&self) -> bool {
        false
    }

    /// Returns the part of PHP that it reserves, in per cent.
    fn reserve(&self) -> Option<&At<u8>> {
        None
    }
}

/// The reason why a modifier ends the evaluation of a round.
#[derive(Debug)]
pub enum Interruption {
    /// A fact is missing: the round is evaluated again when it is known.
    Ask(Ask),
    /// The request may not pass.
    Refuse(Failure),
}

impl From<BacktrackLimitExceeded> for Interruption {
    fn from(error: BacktrackLimitExceeded) -> Self {
        Self::Refuse(error.into())
    }
}

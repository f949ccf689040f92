//! The questions that every kind of modifier answers, and how one ends a round.

use std::fmt::Debug;

use crate::failure::Failure;
use crate::message::edits::RuleEdits;
use crate::message::fact::{Ask, Facts};
use crate::route::template::Groups;
use crate::route::{Scope, TooHard};
use crate::section::{At, Place, Problems};

/// Context of a modifier that is built, besides the section of its rule.
pub(super) struct Parts<'a> {
    /// Names that templates may have.
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

    /// Reports whether it decides which requests pass, rather than change them.
    fn is_guard(&self) -> bool {
        false
    }

    /// Returns the part of PHP that it keeps, in per cent.
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

impl From<TooHard> for Interruption {
    fn from(error: TooHard) -> Self {
        Self::Refuse(error.into())
    }
}

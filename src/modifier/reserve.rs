//! `reserve`: a part of PHP that is reserved for matching requests, or for those of a site.

use super::modify::{Inputs, Interruption, Modify, Parts};
use crate::message::edits::RuleEdits;
use crate::route::Scope;
use crate::section::{At, Key, Lowered};

/// The key for the reserved part; a site has it too.
pub static RESERVE: Key<Option<u8>> = Key::percent("reserve", "Part of PHP reserved for these requests when there are more than it can serve: at least this part of the workers that become free goes to them while any of them waits, and this part of the places in the queue is theirs alone. All that share an upstream may reserve \"80 %\" of it together.").example("\"20 %\"");

/// The part that a rule reserves, in per cent.
#[derive(Debug)]
pub(super) struct Reserve(At<u8>);

impl Reserve {
    /// Builds the part from the section of a rule; `None` without the key.
    pub(super) fn build(section: &Lowered, _: &mut Parts<'_>) -> Option<Self> {
        reserve(section).map(Self)
    }
}

impl Modify for Reserve {
    fn apply(
        &self,
        _: &Scope<'_>,
        _: &mut Inputs<'_>,
        edits: &mut RuleEdits,
    ) -> Result<(), Interruption> {
        edits.has_reserve = true;
        Ok(())
    }

    fn reserve(&self) -> Option<&At<u8>> {
        Some(&self.0)
    }
}

/// Returns `reserve` of a site or rule, in per cent, if it is given.
pub fn reserve(section: &Lowered) -> Option<At<u8>> {
    section.get(&RESERVE).map(|value| At {
        value,
        place: section.place_of(&RESERVE),
    })
}

//! `reserve`: a part of PHP that is reserved for matching requests, or for those of a site.

use crate::section::{At, Key, Kind, Lowered};

/// The key for the reserved part; a site has it too.
pub const RESERVE: Key = Key::new("reserve", Kind::Percent, "The part of PHP that is kept for these requests when there are more than it can serve: at least so many of the workers that come free go to them while any of them waits, and so many of the places in the queue are theirs alone. Those that share an upstream may keep \"80 %\" of it together.").example("\"20 %\"");

/// The part that a rule reserves, in per cent.
#[derive(Debug)]
pub(super) struct Reserve(At<u8>);

impl Reserve {
    /// Builds the part from the section of a rule; `None` without the key.
    pub(super) fn build(section: &Lowered) -> Option<Self> {
        reserve(section).map(Self)
    }

    /// Returns the part, with its position.
    pub(super) fn percent(&self) -> &At<u8> {
        &self.0
    }
}

/// Returns `reserve` of a site or rule, in per cent, if it is given.
pub fn reserve(section: &Lowered) -> Option<At<u8>> {
    section.is_given("reserve").then(|| At {
        value: section.percent("reserve"),
        place: section.place_of("reserve"),
    })
}

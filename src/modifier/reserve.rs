//! `reserve`: a part of PHP that is kept for requests that match, or for those of a site.

use crate::section::{At, Key, Kind, Lowered};

/// The part; a site has the key too.
pub const RESERVE: Key = Key::new("reserve", Kind::Percent, "The part of PHP that is kept for these requests when there are more than it can serve: at least so many of the workers that come free go to them while any of them waits, and so many of the places in the queue are theirs alone. Those that share an upstream may keep \"80 %\" of it together.").example("\"20 %\"");

/// The part that a rule keeps, in per cent.
#[derive(Debug)]
pub(super) struct Reserve(At<u8>);

impl Reserve {
    /// Builds it from the section of a rule.
    pub(super) fn build(section: &Lowered) -> Option<Self> {
        reserve(section).map(Self)
    }

    /// Returns the part, with its position.
    pub(super) fn percent(&self) -> &At<u8> {
        &self.0
    }
}

/// Returns `reserve` of a site or rule, in per cent, where it is given.
pub fn reserve(section: &Lowered) -> Option<At<u8>> {
    section.is_given("reserve").then(|| At {
        value: section.percent("reserve"),
        place: section.place_of("reserve"),
    })
}

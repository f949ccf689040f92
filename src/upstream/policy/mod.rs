//! Which member of an upstream gets a request: pure functions from loads to an index.

mod first_available;
mod least_busy;
mod load;
mod round_robin;

pub use load::Load;

use super::health::Standing;

/// How requests are spread over the members that can take them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// To the one with the least to do.
    LeastBusy,
    /// To each in its turn.
    RoundRobin,
    /// To the first of the list; the others stand by.
    FirstAvailable,
}

impl Policy {
    /// The words of the configuration.
    pub const WORDS: &'static [&'static str] = &["least-busy", "round-robin", "first-available"];

    /// The policy of a word; `None` for one that is not in [`Self::WORDS`].
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "least-busy" => Some(Self::LeastBusy),
            "round-robin" => Some(Self::RoundRobin),
            "first-available" => Some(Self::FirstAvailable),
            _ => None,
        }
    }

    /// The index of the member that gets the request; `turn` counts the requests. Where none is
    /// well, it is the one that will be tried first, whatever the policy. `None` without members.
    pub fn pick(self, loads: &[Load], turn: usize) -> Option<usize> {
        if !loads.iter().any(|load| load.standing.is_eligible()) {
            return first_to_be_tried(loads);
        }
        match self {
            Self::LeastBusy => least_busy::pick(loads),
            Self::RoundRobin => round_robin::pick(loads, turn),
            Self::FirstAvailable => first_available::pick(loads),
        }
    }
}

fn first_to_be_tried(loads: &[Load]) -> Option<usize> {
    loads
        .iter()
        .enumerate()
        .min_by_key(|(_, load)| match load.standing {
            Standing::Well | Standing::Due => None,
            Standing::Tried(until) | Standing::Avoided(until) => Some(until),
        })
        .map(|(index, _)| index)
}

#[cfg(test)]
mod tests;

//! Load balancing: pure functions from loads to the index of a member.

mod first_available;
mod least_busy;
mod load;
mod round_robin;

pub use load::Load;

use super::health::Availability;

/// The load balancing method of an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// The member with the fewest requests.
    LeastBusy,
    /// Each member in its turn.
    RoundRobin,
    /// The first member of the list; the others are backups.
    FirstAvailable,
}

impl Policy {
    /// The values of `policy` in the configuration.
    pub const WORDS: &'static [&'static str] = &["least-busy", "round-robin", "first-available"];

    /// Parses the value of `policy`; `None` unless it is one of [`Self::WORDS`].
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "least-busy" => Some(Self::LeastBusy),
            "round-robin" => Some(Self::RoundRobin),
            "first-available" => Some(Self::FirstAvailable),
            _ => None,
        }
    }

    /// Returns the index of the member for the next request; `turn` counts the requests. If no member is available,
    /// it is the one with the earliest trial, under every policy. `None` without members.
    pub fn pick(self, loads: &[Load], turn: usize) -> Option<usize> {
        if !loads.iter().any(|load| load.availability.is_eligible()) {
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
        .min_by_key(|(_, load)| match load.availability {
            Availability::Well | Availability::Due => None,
            Availability::Tried(until) | Availability::Avoided(until) => Some(until),
        })
        .map(|(index, _)| index)
}

#[cfg(test)]
mod tests;

//! Client, site and class of a request, by which workers and places in the queue are shared.

use crate::limits::budget::{Owner, SiteKey};
use crate::message::edits::RuleId;

/// The most that classes may reserve together, in per cent of a server's grants and places: the rest is for all.
pub const MOST_RESERVED: u8 = 80;

/// The client and site of a request, and its class if it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    /// The client and the site.
    pub owner: Owner,
    /// The class.
    pub class: Option<ClassKey>,
}

/// A class of requests: those of a site with `reserve`, or of a rule with `reserve`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClassKey {
    /// The site.
    pub site: SiteKey,
    /// The rule; `None` for the site as a whole.
    pub rule: Option<RuleId>,
}

/// The reserve of a class, in per cent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserve {
    /// The class.
    pub class: ClassKey,
    /// Part of the grants and of the places.
    pub percent: u8,
}

/// The shares of an upstream's servers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sharing {
    /// Set if several sites use the upstream.
    pub has_several_sites: bool,
    /// The reserves of its classes.
    pub reserves: Vec<Reserve>,
}

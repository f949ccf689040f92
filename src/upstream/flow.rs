//! Whose a request is, where many share the workers of a server and the places in its queue.

use crate::limits::budget::{Owner, SiteKey};
use crate::message::edits::RuleId;

/// Per cent of a server's grants and places that classes may reserve together: the rest is for everybody.
pub const MOST_RESERVED: u8 = 80;

/// The client and site of a request, and its class where it has one.
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

/// What is kept for a class, in per cent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserve {
    /// The class.
    pub class: ClassKey,
    /// Its part of the grants and of the places.
    pub percent: u8,
}

/// Among whom the servers of an upstream are shared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sharing {
    /// Whether several sites use the upstream.
    pub has_several_sites: bool,
    /// The reserves of its classes.
    pub reserves: Vec<Reserve>,
}

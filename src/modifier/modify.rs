//! The interface of all kinds of modifiers, and the interruption of a round by one.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::SystemTime;

use http::Response;
use tokio::time::Instant;

use super::fact::{Ask, Facts};
use super::policy::Policy;
use super::taken::Taken;
use crate::auth::Authentication;
use crate::failure::Failure;
use crate::files::Files;
use crate::handler::Body;
use crate::limits::rate::RateLimiter;
use crate::message::edits::{RuleEdits, RuleId};
use crate::message::{Disk, Target};
use crate::route::template::Groups;
use crate::route::{BacktrackLimitExceeded, Scope};
use crate::section::{At, Place, Problems};

/// Context for the construction of a modifier, besides the section of its rule.
pub(super) struct Parts<'a> {
    /// Capture groups that templates may name.
    pub(super) groups: &'a Groups,
    /// The access policy of the rule.
    pub(super) policy: Option<Arc<Policy>>,
    /// Files of users, and the verifier.
    pub(super) authentication: &'a Authentication,
    /// Access to the files that the rule names.
    pub(super) files: &'a Files,
    /// Returns a place as `file:line`.
    pub(super) show: &'a dyn Fn(&Place) -> String,
    pub(super) problems: &'a mut Problems,
}

/// State outside of a request, by which its modifiers take effect.
#[derive(Debug)]
pub struct Inputs<'a> {
    /// Facts that the driver has found.
    pub facts: &'a Facts,
    /// Counts taken by earlier evaluations of the rules.
    pub taken: &'a mut Taken,
    /// The file system.
    pub disk: &'a dyn Disk,
    /// Time at which the request was received.
    pub now: Instant,
    /// The same by the wall clock.
    pub wall: SystemTime,
    /// The rules whose subrequests led to this request.
    pub asked_by: &'a [RuleId],
}

/// A kind of modifier.
pub(super) trait Modify: Debug {
    /// Amends the edits of a request, asks for a fact, or refuses the request.
    fn apply(
        &self,
        scope: &Scope<'_>,
        inputs: &mut Inputs<'_>,
        edits: &mut RuleEdits,
    ) -> Result<(), Interruption>;

    /// Reports whether it admits or refuses requests, rather than change them.
    fn is_guard(&self) -> bool {
        false
    }

    /// Reports whether it authenticates users.
    fn authenticates(&self) -> bool {
        false
    }

    /// Returns the part of PHP that it reserves, in per cent.
    fn reserve(&self) -> Option<&At<u8>> {
        None
    }

    /// Returns the target of its subrequest.
    fn subrequest(&self) -> Option<&Target> {
        None
    }

    /// Returns its limiter of requests.
    fn limiter(&self) -> Option<&RateLimiter> {
        None
    }

    /// Returns its limiter of requests.
    fn limiter_mut(&mut self) -> Option<&mut RateLimiter> {
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
    /// This is the answer to the request.
    Answer(Box<Response<Body>>),
}

impl From<BacktrackLimitExceeded> for Interruption {
    fn from(error: BacktrackLimitExceeded) -> Self {
        Self::Refuse(error.into())
    }
}

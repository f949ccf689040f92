//! Properties shared by all kinds of conditions.

use std::fmt;

use http::Method;

use super::{Condition, Exhausted, Pattern};
use crate::message::{Disk, RemoteUser, Request};
use crate::route::Captures;

/// A kind of condition. Only `cost` and `holds` are required; the defaults fit a kind that ignores the path.
pub trait Criterion: fmt::Debug + fmt::Display {
    /// Returns the evaluation cost: a rule is left at the first condition that does not hold.
    fn cost(&self) -> Cost;

    /// Reports whether it holds for a request; patterns and prefixes store their captures in `captures`.
    fn holds(
        &self,
        request: &Request,
        disk: &dyn Disk,
        captures: &mut Captures,
    ) -> Result<bool, Exhausted>;

    /// Reports whether it holds for access by a user; `None` if that depends on a user who is not known yet.
    fn admits(&self, access: &Access<'_>) -> Result<Option<bool>, Exhausted> {
        let captures = &mut access.captures.clone();
        self.holds(access.request, access.disk, captures).map(Some)
    }

    /// Reports whether the result depends on the authenticated user.
    fn asks_for_user(&self) -> bool {
        false
    }

    /// Reports whether a table of conditions in it is empty, and so always holds.
    fn has_empty_set(&self) -> bool {
        false
    }

    /// Reports whether it holds for every request with this path (`true`) or for none (`false`); `None` if
    /// that depends on more. Patterns and prefixes store their captures in `captures`.
    fn by_path(&self, _path: &[u8], _captures: &mut Captures) -> Option<bool> {
        None
    }

    /// Reports the same for every request with this method.
    fn by_method(&self, _method: &Method) -> Option<bool> {
        None
    }

    /// Reports whether it surely holds for every request for which `other` holds.
    fn covers(&self, _other: &Condition) -> bool {
        false
    }

    /// Reports whether the result depends on the request target.
    fn asks_for_target(&self) -> bool {
        false
    }

    /// Reports whether it names paths or prefixes.
    fn names_paths(&self) -> bool {
        false
    }

    /// Returns the common prefix of all paths for which it holds; `None` for any path.
    fn start(&self) -> Option<&[u8]> {
        None
    }

    /// Adds the paths that it names, or examples for which it holds.
    fn add_examples(&self, _found: &mut Vec<Vec<u8>>) {}

    /// Returns the pattern, if it is one.
    fn as_pattern(&self) -> Option<&Pattern> {
        None
    }

    /// Returns this condition unboxed, as a trait object.
    fn as_criterion(&self) -> &dyn Criterion
    where
        Self: Sized,
    {
        self
    }
}

/// A request for access, by a user or before one is known.
#[derive(Clone, Copy, Debug)]
pub struct Access<'a> {
    /// The request.
    pub request: &'a Request,
    /// The user, if known.
    pub user: Option<&'a RemoteUser>,
    /// The captures of the rule, for templates of conditions.
    pub captures: &'a Captures,
    /// The file system.
    pub disk: &'a dyn Disk,
}

/// Evaluation cost of a condition, cheapest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cost {
    /// A comparison with properties of the connection or the method.
    Word,
    /// A comparison with the path.
    Path,
    /// A comparison with hosts or networks.
    Client,
    /// A search in the fields.
    Fields,
    /// Decoding of the query.
    Query,
    /// A regular expression.
    Pattern,
    /// Nested conditions.
    Nested,
    /// A disk access; it may use the groups of a pattern.
    Disk,
}

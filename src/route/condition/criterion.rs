//! The questions that every kind of condition answers.

use std::fmt;

use http::Method;

use super::{Condition, Exhausted, Pattern};
use crate::message::{Disk, Request};
use crate::route::Captures;

/// A kind of condition. Only what it asks of a request has to be said; all else is answered here for a kind that does
/// not look at the path.
pub trait Criterion: fmt::Debug + fmt::Display {
    /// Returns how dear it is to ask: a rule is left at the first condition that does not hold.
    fn cost(&self) -> Cost;

    /// Reports whether it holds for a request; patterns and prefixes leave what they took in `captures`.
    fn holds(
        &self,
        request: &Request,
        disk: &dyn Disk,
        captures: &mut Captures,
    ) -> Result<bool, Exhausted>;

    /// Reports whether it holds for every request with this path (`true`) or for none (`false`); `None` if
    /// that depends on more. Patterns and prefixes leave what they took in `captures`.
    fn by_path(&self, _path: &[u8], _captures: &mut Captures) -> Option<bool> {
        None
    }

    /// Reports whether it holds for every request with this method, or for none, likewise.
    fn by_method(&self, _method: &Method) -> Option<bool> {
        None
    }

    /// Reports whether it surely holds for every request for which another condition does.
    fn covers(&self, _other: &Condition) -> bool {
        false
    }

    /// Reports whether the target of the request says if it holds.
    fn asks_for_target(&self) -> bool {
        false
    }

    /// Reports whether it names paths or prefixes.
    fn names_paths(&self) -> bool {
        false
    }

    /// Returns the beginning of every path for which it holds; `None` where that may be any.
    fn start(&self) -> Option<&[u8]> {
        None
    }

    /// Adds paths that it names, or some for which it holds.
    fn add_examples(&self, _found: &mut Vec<Vec<u8>>) {}

    /// Returns the pattern, where it is one.
    fn as_pattern(&self) -> Option<&Pattern> {
        None
    }

    /// Returns this, of whatever kind and in whatever box.
    fn as_criterion(&self) -> &dyn Criterion
    where
        Self: Sized,
    {
        self
    }
}

/// How dear a condition is, cheap ones first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cost {
    /// A comparison with what is known of the connection and the method.
    Word,
    /// The same with the path.
    Path,
    /// The same with hosts or networks.
    Client,
    /// A search in the fields.
    Fields,
    /// The query has to be decoded.
    Query,
    /// A regular expression.
    Pattern,
    /// Conditions in conditions.
    Nested,
    /// A look at the disk; it may name the groups of a pattern.
    Disk,
}

//! `any`, `all` and `not`: nested conditions; those of `not` are the exceptions of a set.

use std::fmt;

use http::Method;

use super::set::Builder;
use super::{Access, AssumedRequest, Cost, Criterion, Exhausted, KEYS, Set};
use crate::message::{Disk, Request};
use crate::route::Captures;
use crate::section::{Key, Lowered, Section, Table, Tables};

/// The `any` key.
pub static ANY: Key<Tables> = Key::tables("any", &SETS, "Tables of conditions, one of which must hold with all of its conditions. They may nest. Captures of patterns and prefixes in them are not available to the action.").example("[{ extension = \"php\" }, { prefix = \"/api\", method = \"POST\" }]");

/// The `all` key.
pub static ALL: Key<Tables> = Key::tables(
    "all",
    &SETS,
    "Tables of conditions, all of which must hold: for two conditions of the same kind.",
)
.example("[{ header = { name = \"X-A\" } }, { header = { name = \"X-B\" } }]");

/// The `not` key.
pub static NOT_KEY: Key<Table> = Key::table("not", &NOT, "Conditions of which none may hold.")
    .example("{ method = [\"POST\"] }");

/// The conditions under `not`.
static NOT: Section = Section {
    title: "[site.rule.not]",
    doc: "Conditions of which none may hold.",
    groups: &[KEYS],
};

/// Conditions of one table under `any` or `all`. The doc is empty, so that the reference shows the
/// examples of the two keys and does not recurse.
pub(super) static SETS: Section = Section {
    title: "any and all",
    doc: "",
    groups: &[KEYS, &[&NOT_KEY]],
};

/// The conditions of `require`.
pub static REQUIREMENTS: Section = Section {
    title: "[site.rule.require]",
    doc: "Conditions of access, all of which must hold.",
    groups: &[KEYS, &[&NOT_KEY]],
};

/// One of these sets.
#[derive(Debug)]
pub struct AnyOf(pub(super) Vec<Set>);

/// All of these sets.
#[derive(Debug)]
pub struct AllOf(pub(super) Vec<Set>);

pub(super) fn any(section: &Lowered, builder: &mut Builder<'_>) -> Option<AnyOf> {
    builder.sets(section, &ANY).map(AnyOf)
}

pub(super) fn all(section: &Lowered, builder: &mut Builder<'_>) -> Option<AllOf> {
    builder.sets(section, &ALL).map(AllOf)
}

impl Criterion for AnyOf {
    fn cost(&self) -> Cost {
        Cost::Nested
    }

    fn holds(
        &self,
        request: &Request,
        disk: &dyn Disk,
        captures: &mut Captures,
    ) -> Result<bool, Exhausted> {
        any_evaluates_to(&self.0, true, (request, disk), captures)
    }

    fn admits(&self, access: &Access<'_>) -> Result<Option<bool>, Exhausted> {
        let mut none = Some(true);
        for set in &self.0 {
            none = conjunction([none, not(set.admits(access)?)].into_iter());
        }
        Ok(not(none))
    }

    fn asks_for_user(&self) -> bool {
        self.0.iter().any(Set::asks_for_user)
    }

    fn has_empty_set(&self) -> bool {
        self.0.iter().any(Set::has_empty_set)
    }

    fn by_path(&self, path: &[u8], _: &mut Captures) -> Option<bool> {
        let none = conjunction(self.0.iter().map(|set| not(by_path(set, path))));
        not(none)
    }

    fn by_method(&self, method: &Method) -> Option<bool> {
        let none = conjunction(self.0.iter().map(|set| not(set.by_method(method))));
        not(none)
    }

    fn asks_for_target(&self) -> bool {
        self.0.iter().any(Set::asks_for_target)
    }

    fn names_paths(&self) -> bool {
        self.0.iter().any(Set::names_paths)
    }

    fn add_examples(&self, found: &mut Vec<Vec<u8>>) {
        self.0.iter().for_each(|set| set.add_examples(found));
    }
}

impl Criterion for AllOf {
    fn cost(&self) -> Cost {
        Cost::Nested
    }

    fn holds(
        &self,
        request: &Request,
        disk: &dyn Disk,
        captures: &mut Captures,
    ) -> Result<bool, Exhausted> {
        // All hold unless one does not.
        any_evaluates_to(&self.0, false, (request, disk), captures).map(|found| !found)
    }

    fn admits(&self, access: &Access<'_>) -> Result<Option<bool>, Exhausted> {
        let mut all = Some(true);
        for set in &self.0 {
            all = conjunction([all, set.admits(access)?].into_iter());
        }
        Ok(all)
    }

    fn asks_for_user(&self) -> bool {
        self.0.iter().any(Set::asks_for_user)
    }

    fn has_empty_set(&self) -> bool {
        self.0.iter().any(Set::has_empty_set)
    }

    fn by_path(&self, path: &[u8], _: &mut Captures) -> Option<bool> {
        conjunction(self.0.iter().map(|set| by_path(set, path)))
    }

    fn by_method(&self, method: &Method) -> Option<bool> {
        conjunction(self.0.iter().map(|set| set.by_method(method)))
    }

    fn asks_for_target(&self) -> bool {
        self.0.iter().any(Set::asks_for_target)
    }

    fn names_paths(&self) -> bool {
        self.0.iter().any(Set::names_paths)
    }

    fn add_examples(&self, found: &mut Vec<Vec<u8>>) {
        self.0.iter().for_each(|set| set.add_examples(found));
    }
}

/// Reports whether the result of one of the sets is `wanted`.
fn any_evaluates_to(
    sets: &[Set],
    wanted: bool,
    (request, disk): (&Request, &dyn Disk),
    captures: &Captures,
) -> Result<bool, Exhausted> {
    for set in sets {
        if set.holds(request, disk, &mut captures.clone())? == wanted {
            return Ok(true);
        }
    }
    Ok(false)
}

fn by_path(set: &Set, path: &[u8]) -> Option<bool> {
    set.by_path(path, AssumedRequest::Any, &mut Captures::default())
}

/// Returns the conjunction, as far as known: a false one decides.
pub(in crate::route) fn conjunction(known: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut all = Some(true);
    for one in known {
        all = match (all, one) {
            (Some(false), _) | (_, Some(false)) => return Some(false),
            (Some(true), known) | (known, Some(true)) => known,
            (None, None) => None,
        };
    }
    all
}

pub(in crate::route) fn not(known: Option<bool>) -> Option<bool> {
    known.map(|known| !known)
}

impl fmt::Display for AnyOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "any of ({})", shown(&self.0))
    }
}

impl fmt::Display for AllOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "all of ({})", shown(&self.0))
    }
}

fn shown(sets: &[Set]) -> String {
    let texts: Vec<_> = sets.iter().map(ToString::to_string).collect();
    texts.join("; ")
}

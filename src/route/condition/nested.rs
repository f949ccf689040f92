//! `any` and `all`: conditions in conditions, and `not`, whose conditions are the exceptions of a set.

use std::fmt;

use http::Method;

use super::set::Builder;
use super::{Asked, Cost, Criterion, Exhausted, KEYS, Set};
use crate::message::{Disk, Request};
use crate::route::Captures;
use crate::section::{Key, Lowered, Section, Table, Tables};

/// The `any` key.
pub static ANY: Key<Tables> = Key::tables("any", &SETS, "Tables of conditions, of which one table must hold: all of its conditions. They may nest. What patterns and prefixes in them took is no variable of the action.").example("[{ extension = \"php\" }, { prefix = \"/api\", method = \"POST\" }]");

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

/// The conditions of one table under `any` or `all`. It has no doc: the reference shows the examples
/// of the two keys, and does not go on for ever.
pub(super) static SETS: Section = Section {
    title: "any and all",
    doc: "",
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
        comes_out(&self.0, true, (request, disk), captures)
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
        self.0.iter().any(Set::name_paths)
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
        // All hold where not one does not.
        comes_out(&self.0, false, (request, disk), captures).map(|found| !found)
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
        self.0.iter().any(Set::name_paths)
    }

    fn add_examples(&self, found: &mut Vec<Vec<u8>>) {
        self.0.iter().for_each(|set| set.add_examples(found));
    }
}

/// Reports whether one of the sets holds, or does not, as is `wanted`.
fn comes_out(
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
    set.by_path(path, Asked::First, &mut Captures::default())
}

/// Reports whether all are true, as far as is known: one that is false decides.
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

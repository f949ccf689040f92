//! Conditions that belong together: all must hold, and of those under `not` none may. `any` and `all`
//! have sets in sets.

use super::expression::Exhausted;
use super::pattern::groups_of;
use super::{Condition, Cost, NOT_KEY};
use crate::message::{Disk, Request};
use crate::route::Captures;
use crate::route::template::Groups;
use crate::section::{Key, Lowered, Problem, Problems, Tables};

/// Sets within sets: what a person can still read.
const MAX_DEPTH: usize = 8;

/// Conditions and exceptions.
#[derive(Debug, Default)]
pub struct Set {
    /// All of which must hold, cheap ones first.
    pub(in crate::route) conditions: Vec<Condition>,
    /// None of which may hold.
    pub(in crate::route) exceptions: Vec<Condition>,
}

/// How a set came out for a request.
#[derive(Clone, Copy, Debug)]
pub enum Verdict<'a> {
    /// Every condition holds, and no exception.
    Holds,
    /// This condition does not hold.
    Lacks(&'a Condition),
    /// This exception does.
    Excepted(&'a Condition),
}

impl Set {
    /// The conditions that a section names, with its `not` if it can have one; each value that cannot
    /// be understood is a problem. `names` are those that templates may have besides the section's own
    /// groups.
    pub fn build(section: &Lowered, names: &Groups, problems: &mut Problems) -> Self {
        Builder {
            names: names.clone(),
            own: None,
            depth: 0,
            problems,
        }
        .set(section)
    }

    /// Of these.
    pub(in crate::route) fn new(conditions: Vec<Condition>, exceptions: Vec<Condition>) -> Self {
        Self {
            conditions,
            exceptions,
        }
    }

    /// One more condition, whose groups are from then on the set's.
    pub fn push(&mut self, condition: Condition) {
        // `exists` may name the groups, and stays the last.
        self.conditions.push(condition);
        self.conditions
            .sort_by_key(|condition| condition.criterion().cost() == Cost::Disk);
    }

    /// What every path begins with for which this can hold; empty where that may be anything.
    pub(in crate::route) fn start(&self) -> &[u8] {
        let conditions = self.conditions.iter();
        let starts = conditions.filter_map(|condition| condition.criterion().start());
        starts.max_by_key(|start| start.len()).unwrap_or_default()
    }

    /// The groups that templates may name, of a set that was built from `section`.
    pub fn groups(&self, section: &Lowered) -> Option<Groups> {
        let patterns = self.conditions.iter().rev();
        let mut patterns = patterns.filter_map(|condition| condition.criterion().as_pattern());
        groups_of(section, patterns.next())
    }

    /// Whether every condition holds and no exception does; what patterns and prefixes among the
    /// conditions took is left in `captures`.
    pub fn holds(
        &self,
        request: &Request,
        disk: &dyn Disk,
        captures: &mut Captures,
    ) -> Result<bool, Exhausted> {
        let verdict = self.judge(request, disk, captures)?;
        Ok(matches!(verdict, Verdict::Holds))
    }

    /// Reports whether the target of a request says if this holds.
    pub fn asks_for_target(&self) -> bool {
        let mut all = self.conditions.iter().chain(&self.exceptions);
        all.any(|condition| condition.criterion().asks_for_target())
    }

    /// Reports whether a condition or an exception names paths or prefixes.
    pub fn name_paths(&self) -> bool {
        let mut all = self.conditions.iter().chain(&self.exceptions);
        all.any(|condition| condition.criterion().names_paths())
    }

    /// The same, with the condition that decided.
    pub fn judge(
        &self,
        request: &Request,
        disk: &dyn Disk,
        captures: &mut Captures,
    ) -> Result<Verdict<'_>, Exhausted> {
        for condition in &self.conditions {
            if !condition.holds(request, disk, captures)? {
                return Ok(Verdict::Lacks(condition));
            }
        }
        if self.exceptions.is_empty() {
            return Ok(Verdict::Holds);
        }
        // What an exception takes is nobody's business.
        let mut scratch = captures.clone();
        for exception in &self.exceptions {
            if exception.holds(request, disk, &mut scratch)? {
                return Ok(Verdict::Excepted(exception));
            }
        }
        Ok(Verdict::Holds)
    }
}

/// A set while it is built.
pub(super) struct Builder<'a> {
    /// Names that templates may have besides the groups of a pattern beside them.
    names: Groups,
    /// The groups of the pattern of this section, as soon as it is built: it comes before all that may name them.
    pub(super) own: Option<Groups>,
    depth: usize,
    pub(super) problems: &'a mut Problems,
}

impl Builder<'_> {
    fn set(&mut self, section: &Lowered) -> Set {
        let outer = self.own.take();
        let conditions = self.conditions(section);
        let exceptions = match section.given(&NOT_KEY) {
            Some(not) => self.within(|builder| builder.conditions(not)),
            None => Vec::new(),
        };
        self.own = outer;
        Set::new(conditions, exceptions)
    }

    /// Builds the conditions that a section names, cheap ones first.
    fn conditions(&mut self, section: &Lowered) -> Vec<Condition> {
        let mut conditions = Condition::all(section, self);
        conditions.sort_by_key(|condition| condition.criterion().cost());
        conditions
    }

    /// Returns the names that templates of this section may have.
    pub(super) fn names(&self) -> Groups {
        match &self.own {
            Some(own) => self.names.clone().with_groups(own.clone()),
            None => self.names.clone(),
        }
    }

    /// Builds conditions within this section, whose templates may name the groups of its pattern.
    fn within<T>(&mut self, build: impl FnOnce(&mut Self) -> T) -> T {
        let names = self.names();
        let outer = std::mem::replace(&mut self.names, names);
        let own = self.own.take();
        let built = build(self);
        self.names = outer;
        self.own = own;
        built
    }

    /// Builds the sets under `any` or `all`, where it is given.
    pub(super) fn sets(&mut self, section: &Lowered, key: &Key<Tables>) -> Option<Vec<Set>> {
        let tables = section.given(key)?;
        let name = key.name();
        if self.depth == MAX_DEPTH {
            let message = format!("`{name}` stands more than {MAX_DEPTH} deep in `any` and `all`");
            self.problems
                .push(Problem::new(section.place_of(key), message).help("write two rules"));
            return Some(Vec::new());
        }
        if tables.is_empty() {
            let message =
                format!("`{name}` is an empty list: write its conditions, or leave it out");
            self.problems
                .push(Problem::new(section.place_of(key), message));
        }
        self.depth += 1;
        let sets = self.within(|builder| tables.iter().map(|table| builder.set(table)).collect());
        self.depth -= 1;
        Some(sets)
    }
}

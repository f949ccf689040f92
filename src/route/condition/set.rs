//! Condition sets: all conditions must hold, and no exception (`not`). `any` and `all` nest sets.

use super::expression::Exhausted;
use super::pattern::groups_of;
use super::{Access, Condition, Cost, NOT_KEY, conjunction, not};
use crate::message::{Disk, Request};
use crate::route::Captures;
use crate::route::template::Groups;
use crate::section::{Key, Lowered, Problem, Problems, Tables};

/// Nesting limit of sets, for legibility.
const MAX_DEPTH: usize = 8;

/// Conditions and exceptions.
#[derive(Debug, Default)]
pub struct Set {
    /// Conditions that must all hold, cheapest first.
    pub(in crate::route) conditions: Vec<Condition>,
    /// Conditions of which none may hold.
    pub(in crate::route) exceptions: Vec<Condition>,
}

/// Result of a set for a request.
#[derive(Clone, Copy, Debug)]
pub enum Verdict<'a> {
    /// Every condition holds, and no exception.
    Holds,
    /// This condition does not hold.
    Lacks(&'a Condition),
    /// This exception holds.
    Excepted(&'a Condition),
}

impl Set {
    /// Builds the conditions of a section, with its `not` if it can have one; each invalid value is a
    /// problem. `names` are available to templates beside the section's own groups.
    pub fn build(section: &Lowered, names: &Groups, problems: &mut Problems) -> Self {
        Builder {
            names: names.clone(),
            own: None,
            depth: 0,
            problems,
        }
        .set(section)
    }

    /// Builds the set of these.
    pub(in crate::route) fn new(conditions: Vec<Condition>, exceptions: Vec<Condition>) -> Self {
        Self {
            conditions,
            exceptions,
        }
    }

    /// Adds a condition, whose groups become the set's.
    pub fn push(&mut self, condition: Condition) {
        // `exists` may use the groups, and stays last.
        self.conditions.push(condition);
        self.conditions
            .sort_by_key(|condition| condition.criterion().cost() == Cost::Disk);
    }

    /// Returns the common prefix of all paths for which this can hold; empty for any path.
    pub(in crate::route) fn start(&self) -> &[u8] {
        let conditions = self.conditions.iter();
        let starts = conditions.filter_map(|condition| condition.criterion().start());
        starts.max_by_key(|start| start.len()).unwrap_or_default()
    }

    /// Returns the groups for templates, of a set built from `section`.
    pub fn groups(&self, section: &Lowered) -> Option<Groups> {
        let mut patterns = self
            .conditions
            .iter()
            .filter_map(|condition| condition.criterion().as_pattern());
        groups_of(section, patterns.next_back())
    }

    /// Reports whether every condition holds and no exception; stores the captures of patterns and
    /// prefixes among the conditions in `captures`.
    pub fn holds(
        &self,
        request: &Request,
        disk: &dyn Disk,
        captures: &mut Captures,
    ) -> Result<bool, Exhausted> {
        let verdict = self.judge(request, disk, captures)?;
        Ok(matches!(verdict, Verdict::Holds))
    }

    /// Reports whether the result depends on the request target.
    pub fn asks_for_target(&self) -> bool {
        let mut all = self.conditions.iter().chain(&self.exceptions);
        all.any(|condition| condition.criterion().asks_for_target())
    }

    /// Reports whether a condition or an exception names paths or prefixes.
    pub fn names_paths(&self) -> bool {
        let mut all = self.conditions.iter().chain(&self.exceptions);
        all.any(|condition| condition.criterion().names_paths())
    }

    /// Reports whether every condition holds and no exception, for access by a user; `None` if that depends on a
    /// user who is not known yet.
    pub fn admits(&self, access: &Access<'_>) -> Result<Option<bool>, Exhausted> {
        let mut all = Some(true);
        for condition in &self.conditions {
            all = conjunction([all, condition.criterion().admits(access)?].into_iter());
        }
        for exception in &self.exceptions {
            let held = exception.criterion().admits(access)?;
            all = conjunction([all, not(held)].into_iter());
        }
        Ok(all)
    }

    /// Reports whether there is no condition and no exception, so that it always holds.
    pub fn is_empty(&self) -> bool {
        self.conditions.is_empty() && self.exceptions.is_empty()
    }

    /// Reports whether there is no condition, here or in a nested set.
    pub fn has_empty_set(&self) -> bool {
        let mut all = self.conditions.iter().chain(&self.exceptions).peekable();
        all.peek().is_none() || all.any(|condition| condition.criterion().has_empty_set())
    }

    /// Reports whether the result depends on the authenticated user.
    pub fn asks_for_user(&self) -> bool {
        let mut all = self.conditions.iter().chain(&self.exceptions);
        all.any(|condition| condition.criterion().asks_for_user())
    }

    /// Returns the verdict, with the condition that decides it.
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
        // Captures of an exception are discarded.
        let mut scratch = captures.clone();
        for exception in &self.exceptions {
            if exception.holds(request, disk, &mut scratch)? {
                return Ok(Verdict::Excepted(exception));
            }
        }
        Ok(Verdict::Holds)
    }
}

/// State while a set is built.
pub(super) struct Builder<'a> {
    /// Names for templates beside the groups of the section's pattern.
    names: Groups,
    /// Groups of this section's pattern, set when it is built: before any template that may use them.
    pub(super) own: Option<Groups>,
    depth: usize,
    pub(super) problems: &'a mut Problems,
}

impl Builder<'_> {
    fn set(&mut self, section: &Lowered) -> Set {
        let outer = self.own.take();
        let conditions = self.conditions(section);
        let exceptions = match section.given(&NOT_KEY) {
            Some(not) => {
                self.check_exceptions(not);
                self.within(|builder| builder.conditions(not))
            }
            None => Vec::new(),
        };
        self.own = outer;
        Set::new(conditions, exceptions)
    }

    /// Refuses an empty `not`, which always holds.
    fn check_exceptions(&mut self, not: &Lowered) {
        if not.given_keys().is_empty() && !not.is_marred() {
            let problem = Problem::new(not.place(), "`not` has no conditions");
            let help = "write its conditions, or leave it out";
            self.problems.push(problem.help(help));
        }
    }

    /// Builds the conditions of a section, cheapest first.
    fn conditions(&mut self, section: &Lowered) -> Vec<Condition> {
        let mut conditions = Condition::all(section, self);
        conditions.sort_by_key(|condition| condition.criterion().cost());
        conditions
    }

    /// Returns the names for templates of this section.
    pub(super) fn names(&self) -> Groups {
        match &self.own {
            Some(own) => self.names.clone().with_groups(own.clone()),
            None => self.names.clone(),
        }
    }

    /// Builds nested conditions, whose templates may use the groups of this section's pattern.
    fn within<T>(&mut self, build: impl FnOnce(&mut Self) -> T) -> T {
        let names = self.names();
        let outer = std::mem::replace(&mut self.names, names);
        let own = self.own.take();
        let built = build(self);
        self.names = outer;
        self.own = own;
        built
    }

    /// Builds the sets under `any` or `all`, if given.
    pub(super) fn sets(&mut self, section: &Lowered, key: &Key<Tables>) -> Option<Vec<Set>> {
        let tables = section.given(key)?;
        let name = key.name();
        if self.depth == MAX_DEPTH {
            let message =
                format!("`{name}` is nested more than {MAX_DEPTH} levels deep in `any` and `all`");
            self.problems
                .push(Problem::new(section.place_of(key), message).help("write two rules"));
            return Some(Vec::new());
        }
        if tables.is_empty() {
            let message = format!("`{name}` is an empty list: write its conditions, or remove it");
            self.problems
                .push(Problem::new(section.place_of(key), message));
        }
        self.depth += 1;
        let sets = self.within(|builder| tables.iter().map(|table| builder.set(table)).collect());
        self.depth -= 1;
        Some(sets)
    }
}

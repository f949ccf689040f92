//! Conditions that belong together: all must hold, and of those under `not` none may. `any` and `all`
//! have sets in sets.

use super::expression::Exhausted;
use super::field::Source;
use super::{
    Condition, Exists, Extension, FieldCondition, HostCondition, ListenerCondition,
    MethodCondition, Path, Pattern, Prefix, Remote, SchemeCondition, listed,
};
use crate::message::{Disk, Request};
use crate::route::Captures;
use crate::route::template::Groups;
use crate::section::{Lowered, Problem, Problems};

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
            .sort_by_key(|condition| matches!(condition, Condition::Exists(_)));
    }

    /// What every path begins with for which this can hold; empty where that may be anything.
    pub(in crate::route) fn start(&self) -> &[u8] {
        let starts = self
            .conditions
            .iter()
            .filter_map(|condition| match condition {
                Condition::Prefix(prefix) => Some(prefix.bytes()),
                Condition::Path(path) => path.only(),
                Condition::Pattern(_) | Condition::Extension(_) | Condition::Method(_) => None,
                Condition::Host(_) | Condition::Scheme(_) | Condition::Remote(_) => None,
                Condition::Listener(_) | Condition::Field(_) | Condition::Exists(_) => None,
                Condition::Any(_) | Condition::All(_) => None,
            });
        starts.max_by_key(|start| start.len()).unwrap_or_default()
    }

    /// The groups that templates may name, of a set that was built from `section`.
    pub fn groups(&self, section: &Lowered) -> Option<Groups> {
        groups_of(section, &self.conditions)
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
        all.any(Condition::asks_for_target)
    }

    /// Reports whether a condition or an exception names paths or prefixes.
    pub fn name_paths(&self) -> bool {
        let mut all = self.conditions.iter().chain(&self.exceptions);
        all.any(Condition::names_paths)
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

fn groups(conditions: &[Condition]) -> Option<Groups> {
    let patterns = conditions.iter().rev();
    let mut patterns = patterns.filter_map(Condition::as_pattern);
    patterns.next().map(Pattern::groups)
}

/// Returns the groups that templates beside these conditions of a section may name.
fn groups_of(section: &Lowered, conditions: &[Condition]) -> Option<Groups> {
    let is_there = || section.is_given("match") || section.is_wrong("match");
    groups(conditions).or_else(|| is_there().then(Groups::unread))
}

struct Builder<'a> {
    names: Groups,
    depth: usize,
    problems: &'a mut Problems,
}

impl Builder<'_> {
    fn set(&mut self, section: &Lowered) -> Set {
        let conditions = self.conditions(section);
        let not = section.given_table("not");
        let own = groups_of(section, &conditions);
        let exceptions = match not {
            Some(not) => self.within(own, |builder| builder.conditions(not)),
            None => Vec::new(),
        };
        Set::new(conditions, exceptions)
    }

    /// With the groups of a pattern as the names of what stands within.
    fn within<T>(&mut self, own: Option<Groups>, build: impl FnOnce(&mut Self) -> T) -> T {
        let outer = self.names.clone();
        if let Some(own) = own {
            self.names = outer.clone().with_groups(own);
        }
        let built = build(self);
        self.names = outer;
        built
    }

    fn conditions(&mut self, section: &Lowered) -> Vec<Condition> {
        let mut conditions = Vec::new();
        // Cheap ones first: a rule is left at the first that does not hold.
        self.of_the_request(section, &mut conditions);
        self.of_the_fields(section, &mut conditions);
        let pattern = section
            .text("match")
            .and_then(|text| Pattern::new(&text, self.problems));
        conditions.extend(pattern.map(|pattern| Condition::Pattern(Box::new(pattern))));
        let own = groups_of(section, &conditions);
        self.within(own, |builder| builder.of_the_rest(section, &mut conditions));
        conditions
    }

    fn of_the_request(&mut self, section: &Lowered, conditions: &mut Vec<Condition>) {
        let problems = &mut *self.problems;
        if let Some(texts) = listed(section, "method", problems) {
            conditions.push(Condition::Method(MethodCondition::new(&texts, problems)));
        }
        let scheme = section.text("scheme");
        conditions.extend(scheme.map(|text| Condition::Scheme(SchemeCondition::new(&text))));
        if let Some(texts) = listed(section, "listener", problems) {
            conditions.push(Condition::Listener(ListenerCondition::new(&texts)));
        }
        if let Some(texts) = listed(section, "path", problems) {
            conditions.push(Condition::Path(Path::new(&texts, problems)));
        }
        let prefix = section.text("prefix");
        let prefix = prefix.and_then(|text| Prefix::new(&text, problems));
        conditions.extend(prefix.map(Condition::Prefix));
        if let Some(texts) = listed(section, "extension", problems) {
            conditions.push(Condition::Extension(Extension::new(&texts, problems)));
        }
        if let Some(texts) = listed(section, "host", problems) {
            conditions.push(Condition::Host(HostCondition::new(&texts, problems)));
        }
        if let Some(texts) = listed(section, "remote", problems) {
            conditions.push(Condition::Remote(Remote::new(&texts, problems)));
        }
    }

    fn of_the_fields(&mut self, section: &Lowered, conditions: &mut Vec<Condition>) {
        for (key, source) in [
            ("header", Source::Header),
            ("cookie", Source::Cookie),
            ("query", Source::Query),
        ] {
            let table = section.given_table(key);
            let condition =
                table.and_then(|table| FieldCondition::new(source, table, self.problems));
            conditions.extend(condition.map(|condition| Condition::Field(Box::new(condition))));
        }
    }

    fn of_the_rest(&mut self, section: &Lowered, conditions: &mut Vec<Condition>) {
        if section.is_given("any") {
            conditions.push(Condition::Any(self.sets(section, "any")));
        }
        if section.is_given("all") {
            conditions.push(Condition::All(self.sets(section, "all")));
        }
        let table = section.given_table("exists");
        let exists = table.and_then(|table| Exists::new(table, &self.names, self.problems));
        conditions.extend(exists.map(|exists| Condition::Exists(Box::new(exists))));
    }

    fn sets(&mut self, section: &Lowered, key: &str) -> Vec<Set> {
        if self.depth == MAX_DEPTH {
            let message = format!("`{key}` stands more than {MAX_DEPTH} deep in `any` and `all`");
            self.problems
                .push(Problem::new(section.place_of(key), message).help("write two rules"));
            return Vec::new();
        }
        let tables = section.tables(key);
        if tables.is_empty() {
            let message =
                format!("`{key}` is an empty list: write its conditions, or leave it out");
            self.problems
                .push(Problem::new(section.place_of(key), message));
        }
        self.depth += 1;
        let sets = tables.iter().map(|table| self.set(table)).collect();
        self.depth -= 1;
        sets
    }
}

//! `when` and `unless` of an access log: the conditions of a rule, judged when the request arrives, and those on the
//! response, judged at its end.

use std::ops::RangeInclusive;

use super::section::{ENV, STATUS, UNLESS, WHEN};
use crate::message::edits::Edits;
use crate::message::{Disk, Request};
use crate::route::Captures;
use crate::route::condition::Set;
use crate::route::template::Groups;
use crate::section::{At, Key, Lowered, Problem, Problems, Table};

/// The conditions of one log.
#[derive(Debug, Default)]
pub(super) struct Filter {
    when: Option<Conditions>,
    unless: Option<Conditions>,
}

/// Conditions that must all hold.
#[derive(Debug)]
struct Conditions {
    request: Set,
    /// Alternatives; empty for any status.
    statuses: Vec<RangeInclusive<u16>>,
    /// Names of variables, alternatives; empty for any.
    variables: Vec<String>,
}

/// Results of the conditions on the request, of up to eight logs: a bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Verdicts {
    when: u8,
    unless: u8,
}

/// The response, for the conditions on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome<'a> {
    pub(super) status: u16,
    pub(super) edits: Option<&'a Edits>,
}

impl Filter {
    /// Builds the conditions of a log from its section.
    pub(super) fn build(section: &Lowered, problems: &mut Problems) -> Self {
        let mut conditions = |key: &Key<Table>| {
            let table = section.given(key)?;
            Some(Conditions::build(table, key.name(), problems))
        };
        Self {
            when: conditions(&WHEN),
            unless: conditions(&UNLESS),
        }
    }

    /// Reports whether it has conditions on the request.
    pub(super) fn asks_for_request(&self) -> bool {
        let mut both = self.when.iter().chain(&self.unless);
        both.any(|conditions| !conditions.request.is_empty())
    }

    /// Judges the conditions on the request, of the log with this number.
    pub(super) fn judge(
        &self,
        number: usize,
        request: &Request,
        disk: &dyn Disk,
        verdicts: &mut Verdicts,
    ) {
        let holds = |conditions: &Option<Conditions>| {
            let holds = conditions.as_ref().is_some_and(|conditions| {
                let captures = &mut Captures::default();
                // A pattern over its limit does not hold.
                let holds = conditions.request.holds(request, disk, captures);
                holds.is_ok_and(|holds| holds)
            });
            u8::from(holds) << number
        };
        verdicts.when |= holds(&self.when);
        verdicts.unless |= holds(&self.unless);
    }

    /// Reports whether a response has a line in the log with this number.
    pub(super) fn admits(&self, number: usize, verdicts: Verdicts, outcome: Outcome<'_>) -> bool {
        let holds = |conditions: &Conditions, bits: u8| {
            let of_request = conditions.request.is_empty() || bits >> number & 1 == 1;
            of_request && conditions.hold_for(outcome)
        };
        let when = self.when.as_ref();
        let unless = self.unless.as_ref();
        when.is_none_or(|when| holds(when, verdicts.when))
            && !unless.is_some_and(|unless| holds(unless, verdicts.unless))
    }
}

impl Conditions {
    fn build(section: &Lowered, name: &str, problems: &mut Problems) -> Self {
        let request = Set::build(section, &Groups::default(), problems);
        if request.asks_for_user() {
            let message = format!("`{name}` of a log is judged before the user is known");
            let problem = Problem::new(section.place(), message);
            problems.push(problem.help(
                "let a rule with the condition set a variable by `set_env`, and name it in `env`",
            ));
        }
        if section.given_keys().is_empty() && !section.is_marred() {
            let problem = Problem::new(section.place(), format!("`{name}` has no conditions"));
            problems.push(problem.help("unless = { path = \"/health\" }"));
        }
        let statuses = section.get(&STATUS).into_iter();
        let names = section.get(&ENV).into_iter();
        Self {
            request,
            statuses: statuses
                .filter_map(|text| statuses_of(&text, problems))
                .collect(),
            variables: names.map(|name| name.value).collect(),
        }
    }

    fn hold_for(&self, outcome: Outcome<'_>) -> bool {
        let (mut statuses, mut variables) = (self.statuses.iter(), self.variables.iter());
        let of_status =
            self.statuses.is_empty() || statuses.any(|range| range.contains(&outcome.status));
        of_status
            && (self.variables.is_empty() || variables.any(|name| is_set(name, outcome.edits)))
    }
}

/// Reports whether the rules have set a variable.
fn is_set(name: &str, edits: Option<&Edits>) -> bool {
    let assignments = edits.into_iter().flat_map(Edits::environment);
    let last = assignments
        .filter(|assignment| *assignment.name == *name)
        .last();
    last.is_some_and(|assignment| assignment.value.is_some())
}

/// Parses `404`, `500-503` or `4xx`.
fn statuses_of(text: &At<String>, problems: &mut Problems) -> Option<RangeInclusive<u16>> {
    let code = |digits: &str| {
        digits
            .parse()
            .ok()
            .filter(|code| (100..=599).contains(code))
    };
    let parsed = if let Some(class) = text.strip_suffix("xx") {
        code(&format!("{class}00")).map(|first| first..=first + 99)
    } else {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let range = code(first).zip(code(last));
        range
            .filter(|(first, last)| first <= last)
            .map(|(first, last)| first..=last)
    };
    if parsed.is_none() {
        let message = format!("`{}` is not a status", text.value);
        let problem = Problem::new(text.place.clone(), message);
        problems.push(problem.help("status = [\"404\", \"500-503\", \"4xx\"]"));
    }
    parsed
}

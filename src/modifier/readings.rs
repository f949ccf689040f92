//! Guards of paths, which are refusals and guarding modifiers, apply to every path that an application may read in the
//! target ([`Target::readings`]): a target that only the gateway resolves, as `/admin/../x`, `/index.php/admin` or
//! `//host/admin`, evades none of them.

use std::sync::Arc;

use super::{Inputs, Interruption, Step};
use crate::message::edits::{RuleEdits, RuleId};
use crate::message::{Disk, Request, Target};
use crate::route::condition::Verdict;
use crate::route::{BacktrackLimitExceeded, Captures, Rule, Rules, Scope};

/// A copy of a request and the other readings of its target.
#[derive(Debug)]
pub struct Readings {
    echo: Request,
    targets: Vec<Target>,
}

/// The result of evaluating the conditions of a rule.
#[derive(Debug)]
pub enum Judged<'a> {
    /// They hold, with these captures of the path.
    Holds(Captures),
    /// They do not hold for the path, but for this reading of it, which the rule guards.
    Guards(&'a Target),
    /// They do not hold, for this reason.
    Fails(Verdict<'a>),
}

impl Readings {
    /// Returns the other readings of a request in its first round; `None` for nearly all, which have none. In later rounds
    /// the path is the gateway's own.
    pub fn of(request: &Request) -> Option<Box<Self>> {
        if !request.causes.is_empty() {
            return None;
        }
        let target = &request.target;
        let targets: Vec<_> = target
            .readings()
            .into_iter()
            .map(|path| target.read_as(path))
            .collect();
        let is_odd = !targets.is_empty();
        is_odd.then(|| {
            let echo = request.without_content();
            Box::new(Self { echo, targets })
        })
    }

    /// Returns the first reading that a rule guards; `None` also if the rule guards no paths.
    fn guarded_by(
        &mut self,
        rule: &Rule<Step>,
        disk: &dyn Disk,
    ) -> Result<Option<&Target>, BacktrackLimitExceeded> {
        if !rule.then.guards() || !rule.conditions().names_paths() {
            return Ok(None);
        }
        for target in &self.targets {
            self.echo.target = target.clone();
            if rule.matches(&self.echo, disk)?.is_some() {
                return Ok(Some(target));
            }
        }
        Ok(None)
    }

    /// Adds the user of a rule, for the conditions of later ones.
    pub fn add_user(&mut self, edits: &RuleEdits) {
        if edits.user.is_some() {
            self.echo.add_edits(RuleEdits {
                user: edits.user.clone(),
                ..RuleEdits::of(edits.rule, Arc::clone(&edits.place))
            });
        }
    }

    /// Applies the guards of a rule to each reading for which the rule holds. Returns the results of authentication for the
    /// last: an application that reads the path so would take the client's fields for checked ones.
    pub fn guard(
        &mut self,
        (id, rule): (RuleId, &Rule<Step>),
        inputs: &mut Inputs<'_>,
    ) -> Result<Option<RuleEdits>, Interruption> {
        let mut edits = None;
        for target in &self.targets {
            self.echo.target = target.clone();
            if let Some(captures) = rule.matches(&self.echo, inputs.disk)? {
                let scope = Scope::new(&self.echo, &captures);
                edits = rule.then.modifiers.guard(id, &scope, inputs)?.of_guards();
            }
        }
        Ok(edits)
    }

    fn paths(&self) -> impl Iterator<Item = &[u8]> {
        self.targets.iter().map(Target::path)
    }
}

/// Returns the first rule from `number` on that may hold for a request, by any reading.
pub fn candidate<'a>(
    rules: &'a Rules<Step>,
    number: usize,
    request: &Request,
    readings: Option<&Readings>,
) -> Option<(usize, &'a Rule<Step>)> {
    let path = request.target.path();
    match readings {
        None => rules.candidate(number, path),
        Some(readings) => {
            let paths = std::iter::once(path).chain(readings.paths());
            rules.candidate_of(number, &paths.collect::<Vec<_>>())
        }
    }
}

/// Evaluates the conditions of a rule, for all readings if it guards paths.
pub fn judge<'a>(
    rule: &'a Rule<Step>,
    request: &Request,
    readings: Option<&'a mut Readings>,
    disk: &dyn Disk,
) -> Result<Judged<'a>, BacktrackLimitExceeded> {
    let (verdict, captures) = rule.judge(request, disk)?;
    if matches!(verdict, Verdict::Holds) {
        return Ok(Judged::Holds(captures));
    }
    let guarded = match readings {
        Some(readings) => readings.guarded_by(rule, disk)?,
        None => None,
    };
    Ok(guarded.map_or(Judged::Fails(verdict), Judged::Guards))
}

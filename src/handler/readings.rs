//! Guards of paths, which are refusals and modifiers that keep clients out, hold for whatever an application may read
//! in the target ([`Target::readings`]): what only the gateway resolves, as `/admin/../x`, `/index.php/admin` or
//! `//host/admin`, gets past none of them.

use crate::message::{Disk, Request, Target};
use crate::modifier::Step;
use crate::route::{Captures, Rule, Rules, TooHard};

/// A request whose target has several readings, as each of them.
#[derive(Debug)]
pub struct Readings {
    echo: Request,
    targets: Vec<Target>,
}

/// The part of a rule that is for a request.
#[derive(Debug)]
pub enum Held {
    /// All of it; the conditions took this of the path.
    Whole(Captures),
    /// Its guards alone: it does not hold for the path, and holds for another reading of it.
    Guards,
}

impl Readings {
    /// Returns the other readings of a request that is new; `None` for nearly all, which have none. In a later
    /// round the path is the gateway's own.
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
            let echo = request.echo();
            Box::new(Self { echo, targets })
        })
    }

    /// Returns the reading that a rule guards; `None` also where the rule guards no paths.
    pub fn guarded_by(
        &mut self,
        rule: &Rule<Step>,
        disk: &dyn Disk,
    ) -> Result<Option<&Target>, TooHard> {
        if !rule.then.guards() || !rule.conditions().name_paths() {
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

/// Returns the part of a rule that is for a request. A refusal that holds for another reading is for it as a whole,
/// and takes nothing of the path.
pub fn matches(
    rule: &Rule<Step>,
    request: &Request,
    readings: Option<&mut Readings>,
    disk: &dyn Disk,
) -> Result<Option<Held>, TooHard> {
    if let Some(captures) = rule.matches(request, disk)? {
        return Ok(Some(Held::Whole(captures)));
    }
    let Some(readings) = readings else {
        return Ok(None);
    };
    let guarded = readings.guarded_by(rule, disk)?;
    Ok(guarded.map(|_| Held::by_another_reading(&rule.then)))
}

impl Held {
    /// Returns the part of a rule that holds for another reading.
    pub fn by_another_reading(step: &Step) -> Self {
        if step.refuses() {
            Self::Whole(Captures::default())
        } else {
            Self::Guards
        }
    }
}

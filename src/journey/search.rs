//! The search: rounds over the rules of the site, until one of them makes an answer.

use super::{Context, Finding, Journey, Next, Trail};
use crate::failure::Failure;
use crate::filter;
use crate::handler::readings::{self, Readings};
use crate::handler::{Decision, Handler, MAX_ROUNDS, Step};
use crate::message::fact::Ask;
use crate::message::{Disk, Request};
use crate::route::condition::Verdict;
use crate::route::{Captures, Rule, Rules, TooHard};

/// The end of a round without a decision.
#[derive(Debug)]
enum Interruption {
    /// A fact is missing.
    Ask(Ask),
    /// The request fails.
    Refuse(Failure),
}

impl From<TooHard> for Interruption {
    fn from(error: TooHard) -> Self {
        Self::Refuse(error.into())
    }
}

impl Journey {
    /// Evaluates rounds until there is something for the driver to do.
    pub(super) fn search<T: Trail>(
        &mut self,
        mut request: Box<Request>,
        disk: &dyn Disk,
        trail: &mut T,
    ) -> Next {
        while self.rounds < MAX_ROUNDS {
            self.rounds += 1;
            let answered = match round(&mut self.context, &mut request, disk, trail) {
                Ok(Decision::Perform(plan)) => return Next::Perform(plan, request),
                Ok(Decision::Again(target, cause)) => {
                    request = request.again(target, cause);
                    continue;
                }
                Ok(Decision::Answer(response)) => Ok(response),
                Ok(Decision::Decline | Decision::Withhold(_)) => Err(self.context.unanswered()),
                Ok(Decision::Fail(failure)) | Err(Interruption::Refuse(failure)) => Err(failure),
                Err(Interruption::Ask(_)) if self.context.facts.is_full() => {
                    Err(Failure::Internal("the rules ask for more and more facts"))
                }
                Err(Interruption::Ask(ask)) => {
                    self.asked = Some((ask.clone(), request));
                    return Next::Ask(ask);
                }
            };
            return self.answered(answered, disk, trail);
        }
        self.answered(Err(Failure::TooManyRounds(MAX_ROUNDS)), disk, trail)
    }
}

impl Context {
    /// Returns the failure of a request that every rule has left to the next.
    fn unanswered(&self) -> Failure {
        self.withheld.map_or(Failure::NotFound, Failure::Withheld)
    }
}

/// Asks the rules in their order; `Decline`: none of them decides.
fn round<T: Trail>(
    context: &mut Context,
    request: &mut Request,
    disk: &dyn Disk,
    trail: &mut T,
) -> Result<Decision, Interruption> {
    let Some(site) = &context.site else {
        return Err(Interruption::Refuse(Failure::NoSite));
    };
    trail.round(request);
    // mod_proxy: `!` ends the search among its own rules, not among others.
    let mut is_excluded = false;
    let mut next = 0;
    let mut readings = site.readings(request);
    while let Some((number, rule)) = next_rule::<T>(&site.rules, next, request, readings.as_deref())
    {
        next = number + 1;
        let step = &rule.then;
        if is_excluded && step.is_proxy_target() {
            trail.rule(number, rule, &Finding::Excluded);
            continue;
        }
        if step.internal && request.causes.is_empty() {
            trail.rule(number, rule, &Finding::Internal);
            continue;
        }
        let matched = judge(
            (number, rule),
            request,
            readings.as_deref_mut(),
            disk,
            trail,
        )?;
        let Some(captures) = matched else {
            continue;
        };
        if let Some(changes) = &step.changes {
            request.note(changes.resolve(number, request, &captures));
            context.edits.clone_from(&request.edits);
        }
        let Some(handler) = &step.handler else {
            continue;
        };
        is_excluded |= matches!(handler, Handler::ExcludeProxy);
        context.handler = handler.name();
        let decision = match (
            handler.decide(request, &captures, disk),
            &context.negotiation,
        ) {
            (Decision::Perform(plan), Some(negotiation)) => Decision::Perform(
                filter::precompressed::prefer(negotiation, plan, handler, request, disk),
            ),
            (decision, _) => decision,
        };
        trail.decision(&decision);
        match decision {
            Decision::Decline => {}
            Decision::Withhold(why) => context.withheld = Some(why),
            settled @ (Decision::Perform(_)
            | Decision::Answer(_)
            | Decision::Again(..)
            | Decision::Fail(_)) => return Ok(settled),
        }
    }
    Ok(Decision::Decline)
}

/// Returns the first rule from `number` on that may hold; the very first, where rules that cannot hold are watched too.
fn next_rule<'a, T: Trail>(
    rules: &'a Rules<Step>,
    number: usize,
    request: &Request,
    readings: Option<&Readings>,
) -> Option<(usize, &'a Rule<Step>)> {
    if T::WATCHES {
        return rules.get(number).map(|rule| (number, rule));
    }
    readings::candidate(rules, number, request, readings)
}

/// Returns what a rule took of the path, where it holds; a refusal that holds for another reading takes nothing.
fn judge<T: Trail>(
    (number, rule): (usize, &Rule<Step>),
    request: &Request,
    readings: Option<&mut Readings>,
    disk: &dyn Disk,
    trail: &mut T,
) -> Result<Option<Captures>, TooHard> {
    let (verdict, captures) = rule.judge(request, disk)?;
    if matches!(verdict, Verdict::Holds) {
        trail.rule(number, rule, &Finding::Judged(verdict));
        return Ok(Some(captures));
    }
    if let Some(readings) = readings
        && let Some(target) = readings.refused_by(rule, disk)?
    {
        trail.rule(number, rule, &Finding::Refuses(target));
        return Ok(Some(Captures::default()));
    }
    trail.rule(number, rule, &Finding::Judged(verdict));
    Ok(None)
}

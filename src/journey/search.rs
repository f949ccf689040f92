//! The search: rounds over the rules of the site, until one of them makes an answer.

use super::{Context, Finding, Journey, Next, Trail};
use crate::failure::Failure;
use crate::filter;
use crate::handler::{Decision, Handler, MAX_ROUNDS};
use crate::message::edits::RuleId;
use crate::message::{Disk, Request};
use crate::modifier::readings::{self, Judged, Readings};
use crate::modifier::{Interruption, Step};
use crate::route::{Captures, Rule, Rules, Scope};

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
        let judged = readings::judge(rule, request, readings.as_deref_mut(), disk)?;
        trail.rule(number, rule, &Finding::Judged(&judged));
        let captures = match judged {
            Judged::Holds(captures) => captures,
            Judged::Guards(_) if step.refuses() => Captures::default(),
            Judged::Guards(_) => {
                step.modifiers.guard(request, &context.facts)?;
                continue;
            }
            Judged::Fails(_) => continue,
        };
        let scope = Scope {
            request,
            captures: &captures,
        };
        let id = RuleId::of_site(number);
        if let Some(edits) = step.modifiers.apply(id, &scope, &context.facts)? {
            request.note(edits);
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

//! The search: rounds over the rules of the site, until one of them yields a response.

use std::sync::Arc;

use super::{Context, Finding, Journey, Next, Trail};
use crate::failure::Failure;
use crate::filter;
use crate::filter::compress::Negotiation;
use crate::handler::{Decision, Handler, MAX_ROUNDS, Plan};
use crate::message::edits::{Edits, RuleEdits, RuleId};
use crate::message::{Disk, Request};
use crate::modifier::readings::{self, Judged, Readings};
use crate::modifier::{Inputs, Interruption, Step};
use crate::route::{Captures, Rule, Rules, Scope};

impl Journey {
    /// Evaluates rounds up to the next action of the driver.
    pub(super) fn search<T: Trail>(
        &mut self,
        mut request: Box<Request>,
        disk: &dyn Disk,
        trail: &mut T,
    ) -> Next {
        while self.rounds < MAX_ROUNDS {
            self.rounds += 1;
            let answered = match round(&mut self.context, &mut request, disk, trail) {
                Ok(Decision::Perform(plan)) if self.permits(&plan) => {
                    return Next::Perform(plan, request);
                }
                // A script that is missing grants no access by the file or the front controller in its place.
                Ok(Decision::Perform(_)) => Err(Failure::NotFound),
                Ok(Decision::Again(target, cause)) => {
                    request = request.next_round(target, cause);
                    continue;
                }
                Ok(Decision::Answer(response)) => Ok(response),
                Ok(Decision::Decline | Decision::Withhold(_)) => Err(self.context.unanswered()),
                Err(Interruption::Answer(response)) => Ok(*response),
                Ok(Decision::Fail(failure)) | Err(Interruption::Refuse(failure)) => Err(failure),
                Err(Interruption::Ask(_)) if self.context.facts.is_full() => {
                    Err(Failure::Internal("the rules ask for more and more facts"))
                }
                Err(Interruption::Ask(ask)) => {
                    self.asked = Some((ask.clone(), request));
                    return Next::Ask(ask);
                }
            };
            return self.conclude(answered, disk, trail);
        }
        self.conclude(Err(Failure::TooManyRounds(MAX_ROUNDS)), disk, trail)
    }
}

impl Journey {
    /// Reports whether a plan may answer: always for a request of a client. A subrequest is answered by a script, and one
    /// that names a script by that one.
    fn permits(&self, plan: &Plan) -> bool {
        let Some(path) = &self.asked_for else {
            return true;
        };
        match plan {
            Plan::Call(call) => !names_script(path) || is_below(path, &call.script.name),
            Plan::Send(_) | Plan::List(_) => false,
        }
    }
}

/// Reports whether a segment of the path ends with `.php`.
fn names_script(path: &[u8]) -> bool {
    let mut segments = path.split(|byte| *byte == b'/');
    segments.any(|segment| segment.ends_with(b".php"))
}

/// Reports whether `path` is that of a script, with or without PATH_INFO.
fn is_below(path: &[u8], script: &[u8]) -> bool {
    let rest = path.strip_prefix(script);
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'/')))
}

impl Context {
    /// Returns the failure of a request that every rule has declined.
    fn unanswered(&self) -> Failure {
        self.withheld.map_or(Failure::NotFound, Failure::Withheld)
    }
}

/// Evaluates one round; `Decline` if no rule decides.
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
    let round = Round {
        rules: &site.rules,
        readings: site.readings(request),
        is_excluded: false,
        inputs: Inputs {
            facts: &context.facts,
            taken: &mut context.taken,
            disk,
            now: context.received.instant,
            wall: context.received.wall,
            asked_by: &context.asked_by,
        },
        negotiation: context.negotiation.as_ref(),
        edits: &mut context.edits,
        handler: &mut context.handler,
        withheld: &mut context.withheld,
        request,
        trail,
    };
    round.decide()
}

/// A round over the rules with its inputs and outputs.
struct Round<'a, T> {
    rules: &'a Rules<Step>,
    readings: Option<Box<Readings>>,
    /// An ExcludeProxy was evaluated: mod_proxy's `!` ends the search among the proxy rules alone.
    is_excluded: bool,
    inputs: Inputs<'a>,
    negotiation: Option<&'a Negotiation>,
    edits: &'a mut Option<Arc<Edits>>,
    handler: &'a mut &'static str,
    withheld: &'a mut Option<&'static str>,
    request: &'a mut Request,
    trail: &'a mut T,
}

impl<'a, T: Trail> Round<'a, T> {
    /// Evaluates the rules in their order.
    fn decide(mut self) -> Result<Decision, Interruption> {
        let mut next = 0;
        while let Some((number, rule)) = self.next_rule(next) {
            next = number + 1;
            let Some(captures) = self.match_rule(number, rule)? else {
                continue;
            };
            self.apply_modifiers(number, rule, &captures)?;
            let Some(handler) = &rule.then.handler else {
                continue;
            };
            match self.ask_handler(handler, &captures) {
                Decision::Decline => {}
                Decision::Withhold(why) => *self.withheld = Some(why),
                settled @ (Decision::Perform(_)
                | Decision::Answer(_)
                | Decision::Again(..)
                | Decision::Fail(_)) => return Ok(settled),
            }
        }
        Ok(Decision::Decline)
    }

    /// Returns the first rule from `number` on that may match; the very first if the trail observes all rules.
    fn next_rule(&self, number: usize) -> Option<(usize, &'a Rule<Step>)> {
        if T::WATCHES {
            return self.rules.get(number).map(|rule| (number, rule));
        }
        readings::candidate(self.rules, number, self.request, self.readings.as_deref())
    }

    /// Returns the captures of a rule that matches the request. Of a rule that matches another reading of the path alone,
    /// only the guards are evaluated.
    fn match_rule(
        &mut self,
        number: usize,
        rule: &Rule<Step>,
    ) -> Result<Option<Captures>, Interruption> {
        let step = &rule.then;
        if self.is_excluded && step.is_proxy_target() {
            self.trail.rule(number, rule, &Finding::Excluded);
            return Ok(None);
        }
        if step.internal && self.request.causes.is_empty() {
            self.trail.rule(number, rule, &Finding::Internal);
            return Ok(None);
        }
        let readings = self.readings.as_deref_mut();
        let judged = readings::judge(rule, self.request, readings, self.inputs.disk)?;
        self.trail.rule(number, rule, &Finding::Judged(&judged));
        match judged {
            Judged::Holds(captures) => Ok(Some(captures)),
            Judged::Guards(_) if step.refuses() => Ok(Some(Captures::default())),
            Judged::Guards(_) => {
                if let Some(edits) = self.guard_readings(number, rule)? {
                    self.add_edits(edits);
                }
                Ok(None)
            }
            Judged::Fails(_) => Ok(None),
        }
    }

    /// Applies the guards of a rule to the other readings of the path, and returns their results.
    fn guard_readings(
        &mut self,
        number: usize,
        rule: &Rule<Step>,
    ) -> Result<Option<RuleEdits>, Interruption> {
        match &mut self.readings {
            Some(readings) if rule.then.guards() => {
                readings.guard((RuleId::of_site(number), rule), &mut self.inputs)
            }
            _ => Ok(None),
        }
    }

    /// Applies the modifiers of a rule.
    fn apply_modifiers(
        &mut self,
        number: usize,
        rule: &Rule<Step>,
        captures: &Captures,
    ) -> Result<(), Interruption> {
        let scope = Scope::new(self.request, captures);
        let (id, modifiers) = (RuleId::of_site(number), &rule.then.modifiers);
        if let Some(edits) = modifiers.apply(id, &scope, &mut self.inputs)? {
            self.add_edits(edits);
        }
        self.guard_readings(number, rule).map(drop)
    }

    fn add_edits(&mut self, edits: RuleEdits) {
        if let Some(readings) = &mut self.readings {
            readings.add_user(&edits);
        }
        self.request.add_edits(edits);
        self.edits.clone_from(&self.request.edits);
    }

    /// Returns the decision of a handler.
    fn ask_handler(&mut self, handler: &Handler, captures: &Captures) -> Decision {
        self.is_excluded |= matches!(handler, Handler::ExcludeProxy);
        *self.handler = handler.name();
        let (request, disk) = (&*self.request, self.inputs.disk);
        let mut decision = handler.decide(request, captures, disk);
        if let Some(negotiation) = self.negotiation {
            decision = filter::precompressed::prefer(negotiation, decision, handler, request, disk);
        }
        self.trail.decision(&decision);
        decision
    }
}

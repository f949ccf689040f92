//! Evaluation of a path by the rules of a site, as far as possible without a request.

use std::cell::Cell;

use crate::handler::Handler;
use crate::handler::fastcgi::Fastcgi;
use crate::modifier::Step;
use crate::route::condition::AssumedRequest;
use crate::route::{Captures, Rule, Rules};

/// The rules of a site, and a limit of the work.
pub(super) struct Walk<'a> {
    rules: &'a Rules<Step>,
    /// Remaining evaluations; a review must not take longer than reading the file.
    budget: Cell<usize>,
}

/// Limit of evaluations: some tens of milliseconds, more than a site with a thousand rewrites needs.
const MAX_EVALUATIONS: usize = 100_000;

/// Round of the evaluation of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Round {
    /// The client's own path.
    First,
    /// The result of a rewrite by the rule of this number.
    After(usize),
}

/// A rule that surely answers, with its captures.
pub(super) struct Answering<'a> {
    pub(super) number: usize,
    pub(super) handler: &'a Handler,
    pub(super) captures: Captures,
}

impl<'a> Walk<'a> {
    pub(super) fn over(rules: &'a Rules<Step>) -> Self {
        Self {
            rules,
            budget: Cell::new(MAX_EVALUATIONS),
        }
    }

    /// Returns the rule of a number.
    pub(super) fn rule(&self, number: usize) -> Option<&'a Rule<Step>> {
        self.rules.iter().nth(number)
    }

    /// Returns the first rule that surely answers a request for `path`; `None` if there is none, or if
    /// one before it may answer.
    pub(super) fn find_answering(&self, path: &[u8], round: Round) -> Option<Answering<'a>> {
        for (number, rule) in self.candidates(path, round) {
            let Some(handler) = &rule.then.handler else {
                continue;
            };
            let (holds, captures) = judge(number, rule, path, round);
            match (holds, handler.settles(path)) {
                (Some(false), _) | (_, Some(false)) => {}
                (Some(true), Some(true)) => {
                    return Some(Answering {
                        number,
                        handler,
                        captures,
                    });
                }
                (None, _) | (_, None) => return None,
            }
        }
        None
    }

    /// Reports whether a request for `path` may reach the rule of a number: no earlier rule surely
    /// answers.
    pub(super) fn may_reach(&self, number: usize, path: &[u8]) -> bool {
        let before = self.candidates(path, Round::First);
        // mod_proxy: paths that `!` may exclude are skipped.
        let mut excluded = false;
        for (other, rule) in before.take_while(|(other, _)| *other < number) {
            let Some(handler) = &rule.then.handler else {
                continue;
            };
            let (holds, _) = judge(other, rule, path, Round::First);
            let answers = holds == Some(true) && handler.settles(path) == Some(true);
            if answers && !(excluded && handler.is_proxy_target()) {
                return false;
            }
            excluded |= holds != Some(false) && matches!(handler, Handler::ExcludeProxy);
        }
        true
    }

    /// Reports whether some request for `path` runs a script with PATH_INFO, and no other rule may answer
    /// first.
    pub(super) fn runs_with_path_info(&self, path: &[u8]) -> bool {
        for (number, rule) in self.candidates(path, Round::First) {
            let Some(handler) = &rule.then.handler else {
                continue;
            };
            let (holds, captures) = judge(number, rule, path, Round::First);
            if holds == Some(false) {
                continue;
            }
            let runs = |fastcgi: &Fastcgi| fastcgi.runs_with_path_info(path, &captures);
            if matches!(handler, Handler::Fastcgi(fastcgi) if runs(fastcgi)) {
                return true;
            }
            if handler.settles(path) != Some(false) {
                return false;
            }
        }
        false
    }

    /// Iterates over the candidate rules for a path, until the evaluations are used up.
    fn candidates(
        &self,
        path: &[u8],
        round: Round,
    ) -> impl Iterator<Item = (usize, &'a Rule<Step>)> {
        let mut next = 0;
        let all = std::iter::from_fn(move || {
            self.budget.set(self.budget.get().checked_sub(1)?);
            let (number, rule) = self.rules.candidate(next, path)?;
            next = number + 1;
            Some((number, rule))
        });
        all.filter(move |(_, rule)| !rule.then.internal || round != Round::First)
    }
}

/// Evaluates the conditions of a rule.
fn judge(number: usize, rule: &Rule<Step>, path: &[u8], round: Round) -> (Option<bool>, Captures) {
    let asked = match round {
        Round::After(before) if before == number => AssumedRequest::Matching,
        Round::After(_) | Round::First => AssumedRequest::Any,
    };
    let mut captures = Captures::default();
    let holds = rule.conditions().by_path(path, asked, &mut captures);
    (holds, captures)
}

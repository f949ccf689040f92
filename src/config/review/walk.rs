//! Follows a path through the rules of a site, as far as that is possible without a request.

use std::cell::Cell;

use crate::handler::Handler;
use crate::handler::fastcgi::Fastcgi;
use crate::modifier::Step;
use crate::route::condition::Asked;
use crate::route::{Captures, Rule, Rules};

/// The rules of a site, and a bound on the work.
pub(super) struct Walk<'a> {
    rules: &'a Rules<Step>,
    /// Rules that may still be judged; a review must not take longer than reading the file.
    looks: Cell<usize>,
}

/// What takes some tens of milliseconds, and a site with a thousand rewrites does not need.
const LOOKS: usize = 100_000;

/// The round in which a path is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Round {
    /// The client's own path.
    First,
    /// A path that came from a rewrite by the rule of this number.
    After(usize),
}

/// A rule that surely answers, with what it took of the path.
pub(super) struct Answering<'a> {
    pub(super) number: usize,
    pub(super) handler: &'a Handler,
    pub(super) captures: Captures,
}

impl<'a> Walk<'a> {
    pub(super) fn over(rules: &'a Rules<Step>) -> Self {
        Self {
            rules,
            looks: Cell::new(LOOKS),
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

    /// Reports whether a request for `path` may get to the rule of a number: no rule before it surely
    /// answers.
    pub(super) fn may_reach(&self, number: usize, path: &[u8]) -> bool {
        let before = self.candidates(path, Round::First);
        !before
            .take_while(|(other, _)| *other < number)
            .any(|(other, rule)| {
                let handler = rule.then.handler.as_ref();
                handler.and_then(|handler| handler.settles(path)) == Some(true)
                    && judge(other, rule, path, Round::First).0 == Some(true)
            })
    }

    /// Reports whether some request for `path` runs a script that is only a part of it; not if another
    /// rule may answer first.
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

    /// Iterates over the rules that the path does not rule out at once, until the looks are used up.
    fn candidates(
        &self,
        path: &[u8],
        round: Round,
    ) -> impl Iterator<Item = (usize, &'a Rule<Step>)> {
        let mut next = 0;
        let all = std::iter::from_fn(move || {
            self.looks.set(self.looks.get().checked_sub(1)?);
            let (number, rule) = self.rules.candidate(next, path)?;
            next = number + 1;
            Some((number, rule))
        });
        all.filter(move |(_, rule)| !rule.then.internal || round != Round::First)
    }
}

/// Judges the conditions of a rule.
fn judge(number: usize, rule: &Rule<Step>, path: &[u8], round: Round) -> (Option<bool>, Captures) {
    let asked = match round {
        Round::After(before) if before == number => Asked::Again,
        Round::After(_) | Round::First => Asked::First,
    };
    let mut captures = Captures::default();
    let holds = rule.conditions().by_path(path, asked, &mut captures);
    (holds, captures)
}

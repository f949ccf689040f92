//! What becomes of a path by the rules of a site, as far as that is known without a request.

use std::cell::Cell;

use crate::handler::fastcgi::Fastcgi;
use crate::handler::{Handler, Step};
use crate::route::condition::Asked;
use crate::route::{Captures, Rule, Rules};

/// Rules that are asked about paths.
pub(super) struct Walk<'a> {
    rules: &'a Rules<Step>,
    /// Rules that may still be asked: a review must not take longer than the reading of the file.
    looks: Cell<usize>,
}

/// As many as a thousand rules ask in some milliseconds.
const LOOKS: usize = 100_000;

/// In which round a path is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Round {
    /// The client asked for it.
    First,
    /// A rewrite by the rule of this number led to it.
    After(usize),
}

/// The rule that surely answers, with what it took of the path.
pub(super) struct Settled<'a> {
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

    /// The rule of a number.
    pub(super) fn rule(&self, number: usize) -> Option<&'a Rule<Step>> {
        self.rules.iter().nth(number)
    }

    /// The first rule that surely answers a request for `path`; `None` where none does, or one before it
    /// may.
    pub(super) fn settled(&self, path: &[u8], round: Round) -> Option<Settled<'a>> {
        for (number, rule) in self.asked(path, round) {
            let Some(handler) = &rule.then.handler else {
                continue;
            };
            let (holds, captures) = holds(number, rule, path, round);
            match (holds, handler.settles(path)) {
                (Some(false), _) | (_, Some(false)) => {}
                (Some(true), Some(true)) => {
                    return Some(Settled {
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

    /// Whether a request for `path` may get to the rule of a number: no rule before it surely answers.
    pub(super) fn may_reach(&self, number: usize, path: &[u8]) -> bool {
        let before = self.asked(path, Round::First);
        !before
            .take_while(|(other, _)| *other < number)
            .any(|(other, rule)| {
                let handler = rule.then.handler.as_ref();
                handler.and_then(|handler| handler.settles(path)) == Some(true)
                    && holds(other, rule, path, Round::First).0 == Some(true)
            })
    }

    /// Whether some request for `path` runs a script that is not the whole path, unless a rule before
    /// that may answer.
    pub(super) fn runs_with_path_info(&self, path: &[u8]) -> bool {
        for (number, rule) in self.asked(path, Round::First) {
            let Some(handler) = &rule.then.handler else {
                continue;
            };
            let (holds, captures) = holds(number, rule, path, Round::First);
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

    /// The rules that a path does not rule out at once, while there are looks left.
    fn asked(&self, path: &[u8], round: Round) -> impl Iterator<Item = (usize, &'a Rule<Step>)> {
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

fn holds(number: usize, rule: &Rule<Step>, path: &[u8], round: Round) -> (Option<bool>, Captures) {
    let asked = match round {
        Round::After(before) if before == number => Asked::Again,
        Round::After(_) | Round::First => Asked::First,
    };
    let mut captures = Captures::default();
    let holds = rule.conditions().by_path(path, asked, &mut captures);
    (holds, captures)
}

//! Rewrites that lead to themselves, again and again, until the request is refused.

use super::shown;
use super::walk::{Round, Walk};
use crate::handler::{Handler, MAX_ROUNDS};
use crate::route::Captures;
use crate::route::condition::Asked;
use crate::section::{Lowered, Problem, Problems};

/// Warns where a path that the rule rewrites comes back to it in every round.
pub(super) fn check(number: usize, section: &Lowered, walk: &Walk<'_>, problems: &mut Problems) {
    let Some(rule) = walk.rule(number) else {
        return;
    };
    let (Some(Handler::Rewrite(_)), Some(table)) =
        (&rule.then.handler, section.given_table("rewrite"))
    else {
        return;
    };
    let examples = rule.conditions().examples().into_iter().take(EXAMPLES);
    let reached = examples.filter(|path| rule.then.internal || walk.may_reach(number, path));
    let Some(paths) = reached.filter_map(|path| circle(number, path, walk)).next() else {
        return;
    };
    let paths: Vec<_> = paths
        .iter()
        .take(SHOWN)
        .map(|path| format!("`{}`", shown(path)))
        .collect();
    let message = format!(
        "this rewrite leads to itself: {}, until the request is refused after {MAX_ROUNDS} rounds",
        paths.join(" becomes ")
    );
    let advice = "except what it leads to: `not = { path = \"/index.php\" }`; or have a rule before it answer that";
    problems.warn(Problem::new(table.place_of("to"), message).help(advice));
}

/// The paths that one becomes by a rule, if it is asked again and again.
fn circle(number: usize, path: Vec<u8>, walk: &Walk<'_>) -> Option<Vec<Vec<u8>>> {
    let first = walk.rule(number)?;
    let mut captures = Captures::default();
    let set = first.conditions();
    set.by_path(&path, Asked::First, &mut captures);
    let mut handler = first.then.handler.as_ref()?;
    let mut comes_back = false;
    let mut paths = vec![path];
    for _ in 0..MAX_ROUNDS {
        let Handler::Rewrite(rewrite) = handler else {
            return None;
        };
        let next = rewrite.leads_to(paths.last()?, &captures)?;
        let settled = walk.settled(&next, Round::After(number))?;
        comes_back |= settled.number == number;
        handler = settled.handler;
        captures = settled.captures;
        paths.push(next);
    }
    (comes_back && matches!(handler, Handler::Rewrite(_))).then_some(paths)
}

/// How many paths are tried for a rule.
const EXAMPLES: usize = 32;

/// How many paths of a circle are shown.
const SHOWN: usize = 3;

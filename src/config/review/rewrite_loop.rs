//! Warns of rewrites that lead to themselves until the request is refused.

use super::display_path;
use super::walk::{Round, Walk};
use crate::handler::{Handler, MAX_ROUNDS, rewrite};
use crate::route::Captures;
use crate::route::condition::Asked;
use crate::section::{Lowered, Problem, Problems};

/// Warns if a path that the rule rewrites comes back to it until the rounds are used up.
pub(super) fn check(number: usize, section: &Lowered, walk: &Walk<'_>, problems: &mut Problems) {
    let Some(rule) = walk.rule(number) else {
        return;
    };
    let (Some(Handler::Rewrite(rewrite)), Some(table)) =
        (&rule.then.handler, section.given(&rewrite::KEY))
    else {
        return;
    };
    let examples = rule.conditions().examples().into_iter().take(EXAMPLES);
    let reached = examples.filter(|path| rule.then.internal || walk.may_reach(number, path));
    let Some(paths) = reached
        .filter_map(|path| follow_loop(number, path, walk))
        .next()
    else {
        return;
    };
    let paths: Vec<_> = paths
        .iter()
        .take(SHOWN)
        .map(|path| format!("`{}`", display_path(path)))
        .collect();
    let message = format!(
        "this rewrite leads to itself: {}, until the request is refused after {MAX_ROUNDS} rounds",
        paths.join(" becomes ")
    );
    let target = rewrite.literal().map(|path| display_path(path.as_bytes()));
    let except = target.map_or_else(
        || "except what it leads to with `not`, or with a narrower condition".to_owned(),
        |path| format!("except what it leads to: `not = {{ path = \"{path}\" }}`"),
    );
    let advice = format!("{except}; or have a rule before it answer that");
    problems.warn(Problem::new(table.place_of(&rewrite::TO), message).help(advice));
}

/// Returns the paths that one becomes in all rounds; `None` if the rewrites end, leave this rule, or
/// cannot be followed.
fn follow_loop(number: usize, path: Vec<u8>, walk: &Walk<'_>) -> Option<Vec<Vec<u8>>> {
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
        let answering = walk.find_answering(&next, Round::After(number))?;
        comes_back |= answering.number == number;
        handler = answering.handler;
        captures = answering.captures;
        paths.push(next);
    }
    (comes_back && matches!(handler, Handler::Rewrite(_))).then_some(paths)
}

/// Paths that are tried for a rule.
const EXAMPLES: usize = 32;

/// Paths of a loop that are shown.
const SHOWN: usize = 3;

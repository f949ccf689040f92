//! Warns of rules that refuse a script and let a longer path run it: what follows a script in a path is
//! PATH_INFO (RFC 3875 §4.1.5), so that `/a.php/x` runs `/a.php`.

use super::display_path;
use super::walk::Walk;
use crate::handler::Handler;
use crate::route::Captures;
use crate::route::condition::{self, Asked, Set};
use crate::section::{AnyKey, Lowered, Place, Problem, Problems};

/// Warns of such a rule, with a path that it lets through.
pub(super) fn check(number: usize, section: &Lowered, walk: &Walk<'_>, problems: &mut Problems) {
    let Some(rule) = walk.rule(number) else {
        return;
    };
    let refuses = rule.then.handler.as_ref().is_some_and(Handler::refuses);
    // Those that name paths are held against the script too (`handler::readings`).
    if !refuses || rule.then.internal || rule.conditions().name_paths() {
        return;
    }
    let Some((script, longer)) = find_bypass(number, rule.conditions(), walk) else {
        return;
    };
    let message = format!(
        "this rule refuses `{}` and not `{}`, which runs the same script",
        display_path(&script),
        display_path(&longer)
    );
    let (place, advice) = place(section);
    problems.warn(Problem::new(place, message).help(advice));
}

/// Returns a script that is refused, and a path that runs it all the same.
fn find_bypass(number: usize, set: &Set, walk: &Walk<'_>) -> Option<(Vec<u8>, Vec<u8>)> {
    let scripts = set.examples().into_iter();
    let scripts = scripts
        .filter(|path| path.ends_with(b".php"))
        .take(EXAMPLES);
    let pairs = scripts.map(|script| {
        let longer = [&script[..], b"/x"].concat();
        (script, longer)
    });
    let mut pairs = pairs.filter(|(script, longer)| {
        let holds = set.by_path(longer, Asked::First, &mut Captures::default());
        holds == Some(false) && walk.may_reach(number, script)
    });
    pairs.find(|(_, longer)| walk.runs_with_path_info(longer))
}

/// Returns the place of the condition that ends too early, and what to write there.
fn place(section: &Lowered) -> (Place, String) {
    let keys: [&dyn AnyKey; 3] = [&condition::MATCH, &condition::ANY, &condition::ALL];
    let key = keys.into_iter().find(|key| section.is_given(*key));
    let place = key.map_or_else(|| section.place(), |key| section.place_of(key));
    let advice = "end the pattern with `(/|$)` in place of `$`, or write `extension = \"php\"`, which sees both";
    (place, advice.to_owned())
}

/// Paths that are tried for a rule.
const EXAMPLES: usize = 32;

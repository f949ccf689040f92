//! Warnings about what can be used and is hardly what was meant: found in the rules of a site when the
//! configuration is loaded, without a request and without a look at the disk. They may miss a fault, and
//! never invent one. What a single condition says is judged where it is read (`route::condition`).

mod path_info;
mod rewrite_loop;
mod unreachable;
mod walk;

pub(super) use unreachable::warn_of_hosts;

use super::source::Sources;
use crate::handler::Step;
use crate::route::Rules;
use crate::section::{Lowered, Problems};
use walk::Walk;

/// Reviews the rules of a site, of which the first are those of `written`; the others are implied by
/// its keys.
pub(super) fn review(
    written: &[&Lowered],
    rules: &Rules<Step>,
    sources: &Sources,
    problems: &mut Problems,
) {
    unreachable::warn_of_shadows(written, rules, sources, problems);
    let walk = Walk::over(rules);
    for (number, section) in written.iter().enumerate() {
        rewrite_loop::check(number, section, &walk, problems);
        path_info::check(number, section, &walk, problems);
    }
}

/// A path for people.
fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

#[cfg(test)]
mod tests;

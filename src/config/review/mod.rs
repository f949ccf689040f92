//! Warns of rules that can be used and hardly do what was meant. They are analysed when the
//! configuration is loaded, without a request and without the disk: a fault may be missed, and none is
//! invented. Single conditions are checked where they are read (`route::condition`).

mod exposed;
mod https;
mod path_info;
mod rewrite_loop;
mod unreachable;
mod walk;

pub(super) use exposed::warn_of_exposed;
pub(super) use https::warn_of_endless_redirects;
pub(super) use unreachable::warn_of_hosts;

use super::source::Sources;
use crate::modifier::Step;
use crate::route::Rules;
use crate::section::{Lowered, Problems};
use walk::Walk;

/// Reviews the rules of a site. The first of `rules` are those of the sections in `written`; the others
/// are implied by keys of the site.
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

/// Returns a path for people.
fn display_path(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

#[cfg(test)]
mod tests;

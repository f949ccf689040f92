//! Warnings about rules that are valid and likely unintended. They are analysed when the configuration
//! is loaded, without a request and without the disk: a fault may be missed, and a correct rule gets no
//! warning. Single conditions are checked when they are parsed (`route::condition`).

mod exposed;
mod https;
mod limits;
mod path_info;
mod rewrite_loop;
mod unreachable;
mod walk;

pub(super) use exposed::warn_of_exposed;
pub(super) use https::warn_of_endless_redirects;
pub(super) use unreachable::warn_of_hosts;

use super::source::Sources;
use crate::limits::request_limit::RequestLimit;
use crate::modifier::Step;
use crate::route::Rules;
use crate::section::{Lowered, Problems};
use walk::Walk;

/// Reviews the rules of a site with this limit of requests. The first of `rules` belong to the sections in `written`; keys
/// of the site imply the others.
pub(super) fn review(
    written: &[&Lowered],
    rules: &Rules<Step>,
    limit: Option<&RequestLimit>,
    sources: &Sources,
    problems: &mut Problems,
) {
    unreachable::warn_of_shadows(written, rules, sources, problems);
    let walk = Walk::over(rules);
    for (number, section) in written.iter().enumerate() {
        rewrite_loop::check(number, section, &walk, problems);
        path_info::check(number, section, &walk, problems);
        limits::check(number, section, &walk, limit, problems);
    }
}

/// Formats a path for messages.
fn display_path(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

#[cfg(test)]
mod tests;

//! Warnings about limits of requests in rules that never refuse a request.

use crate::limits::request_limit::RequestLimit;
use crate::limits::{REQUESTS_AT_ONCE, REQUESTS_PER_SECOND};
use crate::modifier::Step;
use crate::modifier::limits::LIMITS;
use crate::route::Rule;
use crate::section::{AnyKey, Lowered, Problem, Problems};

/// Warns of limits that are no narrower than those of the site, which counts the requests of the rule too.
pub(super) fn check(
    section: &Lowered,
    rule: &Rule<Step>,
    site: Option<&RequestLimit>,
    problems: &mut Problems,
) {
    let limiter = rule.then.modifiers.limiter();
    let (Some(limit), Some(site), Some(table)) =
        (limiter.map(|it| it.limit()), site, section.given(&LIMITS))
    else {
        return;
    };
    if limit.key != site.key {
        return;
    }
    let (own, all) = (limit.allowance, site.allowance);
    let mut warn = |key: &dyn AnyKey, narrower: String| {
        let name = key.descriptor().name;
        let message = format!(
            "`{name}` of this rule has no effect: the site refuses these requests earlier, by {narrower}"
        );
        let help = format!("set a smaller `{name}` than that of the site, or another `key`");
        problems.warn(Problem::new(table.place_of(key), message).help(help));
    };
    let is_wider = |own: u32, all: u32| all > 0 && own >= all;
    if is_wider(own.per_second, all.per_second) && own.burst >= all.burst {
        warn(&REQUESTS_PER_SECOND, site.rate());
    }
    if is_wider(own.at_once, all.at_once) {
        warn(&REQUESTS_AT_ONCE, site.at_once());
    }
}

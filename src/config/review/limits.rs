//! Warnings about limits of requests in rules that never refuse a request, or count by something else.

use super::walk::Walk;
use crate::limits::request_limit::{PartitionKey, RequestLimit};
use crate::limits::{KEY, REQUESTS_AT_ONCE, REQUESTS_PER_SECOND};
use crate::modifier::limits::LIMITS;
use crate::section::{AnyKey, Lowered, Problem, Problems};

/// Checks `limits` of a rule of a site with this limit.
pub(super) fn check(
    number: usize,
    section: &Lowered,
    walk: &Walk<'_>,
    site: Option<&RequestLimit>,
    problems: &mut Problems,
) {
    let limiter = walk
        .rule(number)
        .and_then(|rule| rule.then.modifiers.limiter());
    let (Some(limiter), Some(table)) = (limiter, section.given(&LIMITS)) else {
        return;
    };
    let limit = limiter.limit();
    if let Some(site) = site.filter(|site| site.key == limit.key) {
        warn_of_wider(table, limit, site, problems);
    }
    // The user of a rule is that of the request from there on.
    let mut known = (0..=number).filter_map(|number| walk.rule(number));
    if limit.key == PartitionKey::User && !known.any(|rule| rule.then.modifiers.authenticate()) {
        let message = "requests are counted by client in place of user: neither this rule nor one before it names a user by `auth` or `forward_auth`";
        let problem = Problem::new(table.place_of(&KEY), message);
        problems.warn(problem.help("set `auth` in this rule, or leave `key` out"));
    }
}

/// Warns of a limit that is no narrower than that of the site, which counts the requests of the rule too.
fn warn_of_wider(
    table: &Lowered,
    limit: &RequestLimit,
    site: &RequestLimit,
    problems: &mut Problems,
) {
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

#[cfg(test)]
mod tests {
    use super::super::tests::{does_not_warn, rules, warns};

    #[test]
    fn limits_without_effect() {
        let site = |limits: &str, rule: &str| {
            let rule = format!("path = '/a', limits = {{ {rule} }}");
            rules(&[&rule]).replace("rule = [", &format!("limits = {{ {limits} }}\nrule = ["))
        };
        let narrow = "requests_per_second = 5, burst = 5, requests_at_once = 5";
        let all = "requests_at_once = 1, key = 'site'";
        let wider = "has no effect: the site refuses these requests earlier";
        for (of_site, of_rule, marked, words) in [
            (narrow, "requests_at_once = 5", "5", wider),
            (narrow, "requests_per_second = 6, burst = 5", "6", wider),
            (all, all, "1", wider),
            (
                narrow,
                "body = '7B', burst = 5",
                "5",
                "`burst` has no effect",
            ),
            (
                narrow,
                "body = '7B', key = 'site'",
                "'site'",
                "`key` has no effect",
            ),
        ] {
            warns(&site(of_site, of_rule), 0, marked, words);
        }
        for (of_site, of_rule) in [
            (narrow, "requests_at_once = 4"),
            (narrow, "requests_per_second = 5, burst = 4"),
            (narrow, "requests_per_second = 4, burst = 50"),
            (narrow, "requests_at_once = 9, key = 'header:a'"),
            (all, "requests_at_once = 1"),
            ("body = '1KiB'", all),
        ] {
            does_not_warn(&site(of_site, of_rule));
        }
    }
}

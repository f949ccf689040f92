//! Sharing of each upstream's servers: the sites that use it, and the shares reserved for classes of requests.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Site;
use crate::handler::Handler;
use crate::limits::budget::SiteKey;
use crate::message::edits::RuleId;
use crate::section::{At, Problem, Problems};
use crate::upstream::flow::{MOST_RESERVED, Reserve};
use crate::upstream::{ClassKey, Sharing};

/// Returns the sharing of each upstream in use, by its name. The reserved shares of one must leave a part for all
/// other requests.
pub(crate) fn sharing<'a>(
    sites: impl Iterator<Item = &'a Arc<Site>>,
    problems: &mut Problems,
) -> BTreeMap<&'a str, Sharing> {
    let mut users: BTreeMap<&str, Vec<&Site>> = BTreeMap::new();
    for site in sites {
        for name in upstreams(site) {
            let sites = users.entry(name).or_default();
            if !sites
                .last()
                .is_some_and(|known| std::ptr::eq(*known, &**site))
            {
                sites.push(site);
            }
        }
    }
    let mut reported = Vec::new();
    let shared = users.into_iter().map(|(name, sites)| {
        let reserves: Vec<_> = sites.iter().flat_map(|site| reserves(site)).collect();
        check_reserves(name, &reserves, &mut reported, problems);
        let sharing = Sharing {
            has_several_sites: sites.len() > 1,
            reserves: reserves.into_iter().map(|(reserve, _)| reserve).collect(),
        };
        (name, sharing)
    });
    shared.collect()
}

/// Returns the names of the upstreams that a site uses, with duplicates.
fn upstreams(site: &Site) -> impl Iterator<Item = &str> {
    let handlers = site
        .rules
        .iter()
        .filter_map(|rule| rule.then.handler.as_ref());
    handlers.filter_map(|handler| {
        if let Handler::Fastcgi(fastcgi) = handler {
            Some(fastcgi.upstream.name.as_str())
        } else {
            None
        }
    })
}

/// Returns the reserved shares of a site and of its rules: a rule without a handler may lead to any of its upstreams.
fn reserves(site: &Site) -> Vec<(Reserve, &At<u8>)> {
    let rules = site.rules.iter().enumerate().filter_map(|(number, rule)| {
        let percent = rule.then.modifiers.reserve()?;
        Some((Some(RuleId::of_site(number)), percent))
    });
    let own = site.reserve.as_ref().map(|percent| (None, percent));
    let all = own.into_iter().chain(rules).map(|(rule, percent)| {
        let site = SiteKey::of(&site.name);
        let reserve = Reserve {
            class: ClassKey { site, rule },
            percent: percent.value,
        };
        (reserve, percent)
    });
    all.collect()
}

/// Reports the key at which the reserved shares exceed the maximum, each key once.
fn check_reserves<'a>(
    upstream: &str,
    reserves: &[(Reserve, &'a At<u8>)],
    reported: &mut Vec<&'a At<u8>>,
    problems: &mut Problems,
) {
    let mut sum = 0_u32;
    for (_, percent) in reserves {
        sum += u32::from(percent.value);
        if sum <= u32::from(MOST_RESERVED) {
            continue;
        }
        if !reported.iter().any(|known| std::ptr::eq(*known, *percent)) {
            reported.push(percent);
            let message = format!(
                "the reserves of the upstream `{upstream}` add up to {sum} %, more than the maximum of {MOST_RESERVED} %"
            );
            problems.push(Problem::new(percent.place.clone(), message));
        }
        return;
    }
}

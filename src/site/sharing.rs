//! Among whom the servers of each upstream are shared: which sites use it, and what is kept for classes of requests.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Site;
use crate::handler::Handler;
use crate::limits::budget::SiteKey;
use crate::message::edits::RuleId;
use crate::section::{At, Problem, Problems};
use crate::upstream::flow::{MOST_RESERVED, Reserve};
use crate::upstream::{ClassKey, Sharing};

/// Returns how each upstream that a site uses is shared, by its name. What is kept of one must leave a part for all others.
pub(crate) fn sharing<'a>(
    sites: impl Iterator<Item = &'a Arc<Site>>,
    problems: &mut Problems,
) -> BTreeMap<&'a str, Sharing> {
    let mut shared: BTreeMap<&str, Vec<&Site>> = BTreeMap::new();
    for site in sites {
        for name in upstreams(site) {
            let sites = shared.entry(name).or_default();
            if !sites
                .last()
                .is_some_and(|known| std::ptr::eq(*known, &**site))
            {
                sites.push(site);
            }
        }
    }
    let mut told = Vec::new();
    let shared = shared.into_iter().map(|(name, sites)| {
        let reserves: Vec<_> = sites.iter().flat_map(|site| reserves(site)).collect();
        check(name, &reserves, &mut told, problems);
        let sharing = Sharing {
            has_several_sites: sites.len() > 1,
            reserves: reserves.into_iter().map(|(reserve, _)| reserve).collect(),
        };
        (name, sharing)
    });
    shared.collect()
}

/// The names of the upstreams that a site uses, some more than once.
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

/// What is kept for a site and for its rules: a rule that does not answer itself may lead to any of its upstreams.
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

/// Tells of the key by which it is too much, and of each key once.
fn check<'a>(
    upstream: &str,
    reserves: &[(Reserve, &'a At<u8>)],
    told: &mut Vec<&'a At<u8>>,
    problems: &mut Problems,
) {
    let mut sum = 0_u32;
    for (_, percent) in reserves {
        sum += u32::from(percent.value);
        if sum <= u32::from(MOST_RESERVED) {
            continue;
        }
        if !told.iter().any(|known| std::ptr::eq(*known, *percent)) {
            told.push(percent);
            let message = format!(
                "{sum} % of the upstream `{upstream}` would be reserved with this; {MOST_RESERVED} % may be, the rest is for all requests"
            );
            problems.push(Problem::new(percent.place.clone(), message));
        }
        return;
    }
}

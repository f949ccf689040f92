//! Warnings about rules that no request can ever reach.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use crate::config::site_section;
use crate::config::source::Sources;
use crate::handler::Handler;
use crate::modifier::Step;
use crate::route::Rules;
use crate::route::condition::{self, HostCondition, HostPattern};
use crate::route::coverage::Coverage;
use crate::section::{Lowered, Problem, Problems};

/// Warns of each written rule that earlier rules shadow: they answer wherever it would match.
pub(super) fn warn_of_shadows(
    written: &[&Lowered],
    rules: &Rules<Step>,
    sources: &Sources,
    problems: &mut Problems,
) {
    let mut answering = Coverage::default();
    let mut places = Vec::new();
    let mut excluded = false;
    for (section, rule) in written.iter().zip(rules.iter()) {
        if let Some(numbers) = answering.find(rule.conditions()) {
            let before: Vec<_> = numbers
                .iter()
                .filter_map(|number| places.get(*number))
                .map(|place| sources.show(place))
                .collect();
            problems.warn(shadowed(section, &before));
        }
        let step = &rule.then;
        // mod_proxy: paths that `!` excludes are skipped.
        let is_passed_over = step.internal || (excluded && step.is_proxy_target());
        let handler = step.handler.as_ref().filter(|_| !is_passed_over);
        if let Some(start) = handler.and_then(Handler::settled_below) {
            answering.push(rule.conditions(), start);
            places.push(section.place());
        }
        excluded |= matches!(step.handler, Some(Handler::ExcludeProxy));
    }
}

fn shadowed(section: &Lowered, before: &[String]) -> Problem {
    let message = match before {
        [one] => format!("this rule can never match: the one at {one} answers first"),
        several => {
            let shown: Vec<_> = several.iter().take(SHOWN).map(String::as_str).collect();
            let more = if several.len() > SHOWN {
                " and others"
            } else {
                ""
            };
            let shown = shown.join(", ");
            format!("this rule can never match: those at {shown}{more} answer first")
        }
    };
    let advice = "put the narrower rule first, or remove this one";
    Problem::new(section.place(), message).help(advice)
}

/// Number of shadowing rules that a warning names.
const SHOWN: usize = 3;

/// Warns of rules for hosts that their site lacks, in all sites except the default one.
pub(in crate::config) fn warn_of_hosts(files: &[Lowered], problems: &mut Problems) {
    let sites = || {
        files
            .iter()
            .flat_map(|file| file.get(&site_section::SITES))
            .enumerate()
    };
    let listeners = |site: &Lowered| -> Vec<_> {
        let names = site.get(&site_section::LISTEN).into_iter();
        names.map(|name| name.value).collect()
    };
    // For each set of listeners the site without hosts, else the first.
    let mut defaults = HashMap::new();
    for (index, site) in sites() {
        let default = defaults.entry(listeners(site)).or_insert(index);
        if site.get(&site_section::HOSTS).is_empty() {
            *default = index;
        }
    }
    for (index, site) in sites() {
        if defaults.get(&listeners(site)) != Some(&index) {
            warn_of_hosts_of(site, problems);
        }
    }
}

fn warn_of_hosts_of(site: &Lowered, problems: &mut Problems) {
    // Invalid hosts were reported when they were built.
    let mut ignored = Problems::default();
    let hosts: Vec<_> = site
        .get(&site_section::HOSTS)
        .iter()
        .filter_map(|host| HostPattern::parse(host, &mut ignored))
        .collect();
    for rule in site.get(&site_section::RULES) {
        let wanted = rule.get(&condition::HOST);
        let condition = HostCondition::new(&wanted, &mut ignored);
        if !wanted.is_empty() && ignored.is_empty() && !condition.meets(&hosts) {
            let message = "this rule can never match: the site has no such host";
            let advice = "add it to `hosts` of the site";
            problems.warn(Problem::new(rule.place_of(&condition::HOST), message).help(advice));
        }
    }
}

//! Warnings about rules that no request can ever reach.

use std::collections::HashMap;

use super::source::Sources;
use crate::route::Rule;
use crate::route::condition::{HostCondition, HostPattern};
use crate::section::{Lowered, Problem, Problems};

/// Warns of each of these rules of a site, with their sections, that is behind one which always answers
/// wherever it would match.
pub(super) fn warn_of_shadows<T>(
    rules: &[(&Lowered, Rule<T>)],
    sources: &Sources,
    problems: &mut Problems,
) {
    let mut before: Vec<&(&Lowered, Rule<T>)> = Vec::new();
    for entry @ (section, rule) in rules {
        if let Some((other, _)) = before.iter().find(|(_, other)| other.covers(rule)) {
            let place = sources.show(&other.place());
            let message = format!("this rule can never match: the one at {place} answers first");
            let advice = "put the narrower rule first, or remove this one";
            problems.warn(Problem::new(section.place(), message).help(advice));
        }
        if answers(section) {
            before.push(entry);
        }
    }
}

/// Whether a rule answers all that it matches, and leaves nothing to the next.
fn answers(section: &Lowered) -> bool {
    let of_files = |key| {
        let table = section.given_table(key);
        table.is_some_and(|table| {
            let missing = table.text("missing");
            missing.is_none_or(|missing| missing.value != "decline")
        })
    };
    let ends = ["redirect", "rewrite", "respond", "deny"];
    let ends = ends.into_iter().any(|key| section.is_given(key));
    (ends || of_files("static_files") || of_files("fastcgi")) && !section.flag("internal")
}

/// Warns of the rules for hosts that their site never has, in all sites but the one that answers for all
/// other hosts.
pub(super) fn warn_of_hosts(files: &[Lowered], problems: &mut Problems) {
    let sites = || {
        files
            .iter()
            .flat_map(|file| file.tables("site"))
            .enumerate()
    };
    let listeners = |site: &Lowered| -> Vec<_> {
        let names = site.texts("listen").into_iter();
        names.map(|name| name.value).collect()
    };
    // Of each set of listeners the site without hosts, else the first.
    let mut defaults = HashMap::new();
    for (index, site) in sites() {
        let default = defaults.entry(listeners(site)).or_insert(index);
        if site.texts("hosts").is_empty() {
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
    // What is no host was told of where it was built.
    let mut told = Problems::default();
    let hosts = site.texts("hosts");
    let hosts = hosts.iter();
    let hosts: Vec<_> = hosts
        .filter_map(|host| HostPattern::parse(host, &mut told))
        .collect();
    for rule in site.tables("rule") {
        let wanted = rule.texts("host");
        let condition = HostCondition::new(&wanted, &mut told);
        if !wanted.is_empty() && told.is_empty() && !condition.meets(&hosts) {
            let message = "this rule can never match: the site has no such host";
            let advice = "name it in `hosts` of the site too";
            problems.warn(Problem::new(rule.place_of("host"), message).help(advice));
        }
    }
}

//! Names of listeners: references from sites and rules, and listeners without a site.

use std::collections::HashSet;

use super::{listen, site_section};
use crate::route::condition;
use crate::section::{At, Lowered, Problem, Problems};
use crate::site::hosts::Hosts;

/// Returns the names of all listeners.
pub(super) fn all(files: &[Lowered]) -> HashSet<String> {
    let listeners = files.iter().flat_map(|file| file.get(&listen::KEY));
    let names = listeners.filter_map(|listener| listener.get(&listen::NAME));
    names.map(|name| name.value).collect()
}

/// Reports references to missing names, and listeners without a site.
pub(super) fn check(files: &[Lowered], hosts: &Hosts, problems: &mut Problems) {
    let listeners = || files.iter().flat_map(|file| file.get(&listen::KEY));
    // An invalid name may be any.
    if listeners().any(|listener| listener.is_wrong(&listen::NAME)) {
        return;
    }
    let known = all(files);
    let sites = || files.iter().flat_map(|file| file.get(&site_section::SITES));
    for site in sites() {
        check_site(site, &known, problems);
    }
    // An invalid `listen` of a site may name any listener.
    if !sites().all(|site| is_understood(site, &known)) {
        return;
    }
    for listener in listeners() {
        let name = listener.get(&listen::NAME).map(|name| name.value);
        if !hosts.has_sites(name.as_deref().unwrap_or_default()) {
            let message =
                "no site is served on this listener: each has a `listen`, and none lists its name";
            let advice = "add its name to `listen` of a site, or remove `listen` from one";
            problems.push(Problem::new(listener.place(), message).help(advice));
        }
    }
}

/// Reports whether the listeners of a site are known for certain.
fn is_understood(site: &Lowered, known: &HashSet<String>) -> bool {
    let names = site.get(&site_section::LISTEN);
    let is_empty = site.is_given(&site_section::LISTEN) && names.is_empty();
    let is_known = names.iter().all(|name| known.contains(&name.value));
    !site.is_wrong(&site_section::LISTEN) && !is_empty && is_known
}

fn check_site(site: &Lowered, known: &HashSet<String>, problems: &mut Problems) {
    let names = site.get(&site_section::LISTEN);
    if site.is_given(&site_section::LISTEN)
        && names.is_empty()
        && !site.is_wrong(&site_section::LISTEN)
    {
        let message = "`listen` is an empty list: no listener would serve the site";
        problems.push(
            Problem::new(site.place_of(&site_section::LISTEN), message)
                .help("remove it for all other listeners"),
        );
    }
    check_names(names, known, problems);
    for rule in site.get(&site_section::RULES) {
        check_conditions(rule, known, problems);
    }
}

/// Checks the conditions of a rule, nested ones included.
fn check_conditions(section: &Lowered, known: &HashSet<String>, problems: &mut Problems) {
    check_exceptions(section, known, problems);
    if let Some(exceptions) = section.given(&condition::NOT_KEY) {
        check_exceptions(exceptions, known, problems);
    }
}

/// Checks conditions that have no `not` of their own.
fn check_exceptions(section: &Lowered, known: &HashSet<String>, problems: &mut Problems) {
    check_names(section.get(&condition::LISTENER), known, problems);
    let nested = [&condition::ANY, &condition::ALL].map(|key| section.get(key));
    for section in nested.into_iter().flatten() {
        check_conditions(section, known, problems);
    }
}

fn check_names(names: Vec<At<String>>, known: &HashSet<String>, problems: &mut Problems) {
    for name in names {
        if known.contains(&name.value) {
            continue;
        }
        let distance = |known: &&String| strsim::damerau_levenshtein(known, &name.value);
        let near = known
            .iter()
            .filter(|known| distance(known) <= 2)
            .min_by_key(|known| (distance(known), known.as_str()));
        let help = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("[[listen]] name = \"{}\"", name.value),
        };
        let message = format!("no listener has the name `{}`", name.value);
        problems.push(Problem::new(name.place, message).help(help));
    }
}

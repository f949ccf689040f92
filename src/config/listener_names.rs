//! The names of listeners: whether what sites and rules name is there, and whether somebody answers on each listener.

use super::hosts::Hosts;
use crate::section::{At, Lowered, Problem, Problems};

/// Tells of names that no listener has, and of listeners that have no site.
pub(super) fn check(files: &[Lowered], hosts: &Hosts, problems: &mut Problems) {
    let listeners = || files.iter().flat_map(|file| file.tables("listen"));
    // A name that was not understood may be any.
    if listeners().any(|listener| listener.is_wrong("name")) {
        return;
    }
    let known = listeners().filter_map(|listener| listener.text("name"));
    let known: Vec<_> = known.map(|name| name.value).collect();
    for site in files.iter().flat_map(|file| file.tables("site")) {
        check_site(site, &known, problems);
    }
    for listener in listeners() {
        let name = listener.text("name").map(|name| name.value);
        if !hosts.has_sites(name.as_deref().unwrap_or_default()) {
            let message =
                "no site answers on this listener: each has a `listen`, and none names it";
            let advice = "name it in `listen` of a site, or leave `listen` out of one";
            problems.push(Problem::new(listener.place(), message).help(advice));
        }
    }
}

fn check_site(site: &Lowered, known: &[String], problems: &mut Problems) {
    let names = site.texts("listen");
    if site.is_given("listen") && names.is_empty() && !site.is_wrong("listen") {
        let message = "`listen` is an empty list: the site would answer nowhere";
        problems.push(
            Problem::new(site.place_of("listen"), message).help("leave it out to mean all others"),
        );
    }
    check_names(names, known, problems);
    for rule in site.tables("rule") {
        check_conditions(rule, known, problems);
    }
}

/// The conditions of a rule, with those that are nested in them.
fn check_conditions(section: &Lowered, known: &[String], problems: &mut Problems) {
    check_names(section.texts("listener"), known, problems);
    let nested = section.tables("any").iter().chain(section.tables("all"));
    for section in nested.chain(not(section)) {
        check_conditions(section, known, problems);
    }
}

/// What is under `not` has none of its own.
fn not(section: &Lowered) -> Option<&Lowered> {
    section.has_key("not").then(|| section.given_table("not"))?
}

fn check_names(names: Vec<At<String>>, known: &[String], problems: &mut Problems) {
    for name in names {
        if known.contains(&name.value) {
            continue;
        }
        let near = known
            .iter()
            .find(|known| strsim::damerau_levenshtein(known, &name.value) <= 2);
        let help = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("[[listen]] name = \"{}\"", name.value),
        };
        let message = format!("no listener has the name `{}`", name.value);
        problems.push(Problem::new(name.place, message).help(help));
    }
}

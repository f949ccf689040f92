//! What a reload changes, in lines for people: listeners, upstreams and sites by their names.

use std::borrow::Borrow;
use std::collections::HashMap;

use super::site::site_name;
use super::{Snapshot, listen};
use crate::section::Lowered;

/// The differences between what holds and what would hold; empty where there are none.
pub fn difference(before: &Snapshot, after: &Snapshot) -> Vec<String> {
    let listeners = |of: &Snapshot| listen::sections(&of.files);
    let mut lines = named("listener", &listeners(before), &listeners(after));
    let (old, new) = (before.upstream_sections(), after.upstream_sections());
    lines.extend(named("upstream", &old, &new));
    lines.extend(named("site", &sites(before), &sites(after)));
    if before.server != after.server {
        lines.push(
            "server: changed (workers, log and access_log take effect at the next start)"
                .to_owned(),
        );
    }
    if before.admin != after.admin {
        lines.push("admin: changed (takes effect at the next start)".to_owned());
    }
    lines
}

fn sites(of: &Snapshot) -> Vec<(String, &Lowered)> {
    let sections = of.files.iter().flat_map(|file| file.tables("site"));
    sections
        .map(|section| (site_name(section), section))
        .collect()
}

/// What is the same under several names, as listeners with port 0 are, has to be among them.
fn named<S: Borrow<Lowered>>(
    kind: &str,
    before: &[(String, S)],
    after: &[(String, S)],
) -> Vec<String> {
    let (known, kept) = (by_name(before), by_name(after));
    let mut lines = Vec::new();
    for (name, section) in after {
        match known.get(name.as_str()) {
            None => lines.push(format!("{kind} {name}: added")),
            Some(known) if known.iter().any(|known| known.same_as(section.borrow())) => {}
            Some(_) => lines.push(format!("{kind} {name}: changed")),
        }
    }
    let removed = before
        .iter()
        .filter(|(name, _)| !kept.contains_key(name.as_str()));
    lines.extend(removed.map(|(name, _)| format!("{kind} {name}: removed")));
    lines
}

fn by_name<S: Borrow<Lowered>>(sections: &[(String, S)]) -> HashMap<&str, Vec<&Lowered>> {
    let mut by_name: HashMap<_, Vec<_>> = HashMap::with_capacity(sections.len());
    for (name, section) in sections {
        let named = by_name.entry(name.as_str()).or_default();
        named.push(section.borrow());
    }
    by_name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn check(before: &str, after: &str, expected: &[&str]) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("fcgate.toml");
        let load = |text: &str| {
            std::fs::write(&file, format!("{text}\n[[site]]\nroot = \"/tmp\"\n")).unwrap();
            config::load(&file, None).unwrap()
        };
        let (before, after) = (load(before), load(after));
        assert_eq!(difference(&before, &after), expected);
        assert!(difference(&after, &after).is_empty());
    }

    #[test]
    fn listeners_come_go_and_change() {
        let port = "[[listen]]\naddress = \"127.0.0.1:81\"\n";
        let proxied = format!("{port}proxy_protocol = {{ from = [\"10.0.0.0/8\"] }}\n");
        check(port, &proxied, &["listener 127.0.0.1:81: changed"]);
        let added = "listener 127.0.0.1:81: added";
        check("", port, &[added, "listener [::]:8080: removed"]);
        check("", "[[listen]]\naddress = \":8080\"\n", &[]);
    }

    #[test]
    fn listeners_with_any_port_are_told_apart_by_what_they_say() {
        let any = "[[listen]]\naddress = \"127.0.0.1:0\"\n";
        let both = format!("{any}{any}backlog = 7\n");
        check(&both, &both, &[]);
        let changed = format!("{any}{any}backlog = 8\n");
        check(&both, &changed, &["listener 127.0.0.1:0: changed"]);
    }

    #[test]
    fn the_admin_listener_stays_where_it_is() {
        let changed = "admin: changed (takes effect at the next start)";
        check("", "[admin]\naddress = \"127.0.0.1:9180\"\n", &[changed]);
    }
}

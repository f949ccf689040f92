//! What a reload changes, in lines for people: listeners, upstreams and sites by their names.

use super::Snapshot;
use crate::section::Lowered;

/// The differences between what holds and what would hold; empty where there are none.
pub fn difference(before: &Snapshot, after: &Snapshot) -> Vec<String> {
    let mut lines = Vec::new();
    let addresses = |snapshot: &Snapshot| -> Vec<_> {
        let listeners = snapshot.listeners.iter();
        listeners
            .map(|listener| listener.address.to_string())
            .collect()
    };
    let (old, new) = (addresses(before), addresses(after));
    for address in old.iter().filter(|address| !new.contains(address)) {
        lines.push(format!("listener {address}: removed"));
    }
    for address in new.iter().filter(|address| !old.contains(address)) {
        lines.push(format!("listener {address}: added"));
    }
    lines.extend(named(
        "upstream",
        &before.upstream_sections(),
        &after.upstream_sections(),
    ));
    lines.extend(named("site", &before.site_sections, &after.site_sections));
    if before.server != after.server {
        lines.push(
            "server: changed (workers, log and access_log take effect at the next start)"
                .to_owned(),
        );
    }
    lines
}

fn named(kind: &str, before: &[(String, Lowered)], after: &[(String, Lowered)]) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, section) in after {
        match before.iter().find(|(known, _)| known == name) {
            None => lines.push(format!("{kind} {name}: added")),
            Some((_, known)) if !known.same_as(section) => {
                lines.push(format!("{kind} {name}: changed"));
            }
            Some(_) => {}
        }
    }
    for (name, _) in before {
        if !after.iter().any(|(known, _)| known == name) {
            lines.push(format!("{kind} {name}: removed"));
        }
    }
    lines
}

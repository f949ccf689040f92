//! What a reload changes, in lines for people: listeners, upstreams and sites by their names.

use super::Snapshot;
use crate::section::Lowered;

/// The differences between what holds and what would hold; empty where there are none.
pub fn difference(before: &Snapshot, after: &Snapshot) -> Vec<String> {
    let mut lines = Vec::new();
    lines.extend(named(
        "listener",
        &before.listener_sections,
        &after.listener_sections,
    ));
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
    if before.admin != after.admin {
        lines.push("admin: changed (takes effect at the next start)".to_owned());
    }
    lines
}

/// What is the same under several names, as listeners with port 0 are, has to be among them.
fn named(kind: &str, before: &[(String, Lowered)], after: &[(String, Lowered)]) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, section) in after {
        let mut known = before.iter().filter(|(known, _)| known == name).peekable();
        if known.peek().is_none() {
            lines.push(format!("{kind} {name}: added"));
        } else if !known.any(|(_, known)| known.same_as(section)) {
            lines.push(format!("{kind} {name}: changed"));
        }
    }
    for (name, _) in before {
        if !after.iter().any(|(known, _)| known == name) {
            lines.push(format!("{kind} {name}: removed"));
        }
    }
    lines
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

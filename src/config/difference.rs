//! Changes by a reload, as lines of text: listeners, upstreams and sites by name.

use std::borrow::Borrow;
use std::collections::HashMap;

use super::site::site_name;
use super::{admin, file, listen, server, site_section};
use crate::section::{Key, Lowered, Table};
use crate::site::Snapshot;

/// Returns the differences between two configurations, each with the keys that differ; empty if there
/// are none.
pub fn difference(before: &Snapshot, after: &Snapshot) -> Vec<String> {
    let listeners = |of: &Snapshot| listen::sections(&of.files);
    let mut lines = named("listener", &listeners(before), &listeners(after));
    let (old, new) = (before.upstream_sections(), after.upstream_sections());
    lines.extend(named("process", &processes(before), &processes(after)));
    lines.extend(named("upstream", &old, &new));
    lines.extend(named("site", &sites(before), &sites(after)));
    lines.extend(main_section(&server::KEY, before, after));
    lines.extend(main_section(&admin::KEY, before, after));
    lines
}

/// Keys that a running server cannot change: a reload starts another.
const NEW_SERVER: [&str; 3] = ["server.workers", "server.limits.connections", "admin"];

/// Compares a section of the main file: one line for changes in the running server, and one for those that need another.
fn main_section(key: &Key<Table>, before: &Snapshot, after: &Snapshot) -> Vec<String> {
    let name = key.name();
    let (Some(before), Some(after)) = (before.files.first(), after.files.first()) else {
        return Vec::new();
    };
    let is_fixed = |key: &String| {
        let full = format!("{name}.{key}");
        let mut known = NEW_SERVER.iter();
        known.any(|known| full == *known || full.starts_with(&format!("{known}.")))
    };
    let (fixed, now): (Vec<_>, Vec<_>) = before
        .get(key)
        .changes(&after.get(key))
        .into_iter()
        .partition(is_fixed);
    let line = |keys: &[String], note: &str| {
        (!keys.is_empty()).then(|| format!("{name}: changed: {}{note}", shown(keys)))
    };
    let lines = [line(&now, ""), line(&fixed, " (by a new server)")];
    lines.into_iter().flatten().collect()
}

/// Joins as many names as fit into a line.
fn shown(keys: &[String]) -> String {
    const MOST: usize = 6;
    let first: Vec<_> = keys.iter().take(MOST).map(String::as_str).collect();
    match keys.len().saturating_sub(MOST) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

fn processes(of: &Snapshot) -> Vec<(String, &Lowered)> {
    let sections = of.files.iter().flat_map(|file| file.get(&file::PROCESS));
    sections
        .map(|(name, section)| (name.value.clone(), section))
        .collect()
}

fn sites(of: &Snapshot) -> Vec<(String, &Lowered)> {
    let sections = of
        .files
        .iter()
        .flat_map(|file| file.get(&site_section::SITES));
    sections
        .map(|section| (site_name(section), section))
        .collect()
}

/// Compares sections by name. Unchanged sections with the same name, as listeners with port 0, must be included.
fn named<S: Borrow<Lowered>>(
    kind: &str,
    before: &[(String, S)],
    after: &[(String, S)],
) -> Vec<String> {
    let (known, kept) = (by_name(before), by_name(after));
    let mut lines = Vec::new();
    for (name, section) in after {
        let section = section.borrow();
        let Some(known) = known.get(name.as_str()) else {
            lines.push(format!("{kind} {name}: added"));
            continue;
        };
        if known.iter().any(|known| known.same_as(section)) {
            continue;
        }
        // Of several with the same name, the most similar one.
        let changes = known
            .iter()
            .map(|known| known.changes(section))
            .min_by_key(Vec::len)
            .unwrap_or_default();
        lines.push(format!("{kind} {name}: changed: {}", shown(&changes)));
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
        let changed = "listener 127.0.0.1:81: changed: proxy_protocol.from";
        check(port, &proxied, &[changed]);
        let added = "listener 127.0.0.1:81: added";
        check("", port, &[added, "listener [::]:8080: removed"]);
        check("", "[[listen]]\naddress = \":8080\"\n", &[]);
    }

    #[test]
    fn listeners_with_any_port_are_compared_by_their_keys() {
        let any = "[[listen]]\naddress = \"127.0.0.1:0\"\n";
        let both = format!("{any}{any}backlog = 7\n");
        check(&both, &both, &[]);
        let changed = format!("{any}{any}backlog = 8\n");
        check(&both, &changed, &["listener 127.0.0.1:0: changed: backlog"]);
    }

    #[test]
    fn another_admin_listener_needs_a_new_server() {
        let changed = "admin: changed: address (by a new server)";
        check("", "[admin]\naddress = \"127.0.0.1:9180\"\n", &[changed]);
    }

    #[test]
    fn changes_are_named_by_keys() {
        check(
            "[server]\nworkers = 1\naccess_log = { format = \"common\" }\ndrain = \"1s\"\n",
            "[server]\nworkers = 2\nlimits = { body = \"1KiB\", fields = 90 }\ndrain = \"1s\"\n",
            &[
                "server: changed: access_log, limits.fields, limits.body",
                "server: changed: workers (by a new server)",
            ],
        );
        let site = |lines: &str| format!("[[site]]\nhosts = \"a.test\"\nroot = \"/tmp\"\n{lines}");
        let rule =
            |to: &str| format!("[[site.rule]]\npath = \"/a\"\nredirect = {{ to = \"{to}\" }}\n");
        check(
            &site(&format!("index = [\"a\"]\n{}", rule("/b"))),
            &site(&format!("index = [\"b\"]\n{}", rule("/c"))),
            &["site a.test: changed: index, rule[1].redirect.to"],
        );
        check(
            &site(&rule("/b")),
            &site(&(rule("/b") + &rule("/c"))),
            &["site a.test: changed: rule (1 before, 2 now)"],
        );
        let program = |arguments: &str| format!("[process.php]\ncommand = [\"true\"{arguments}]\n");
        check(
            &program(""),
            &program(", \"a\""),
            &["process php: changed: command"],
        );
        let all = "body = \"1KiB\", fields = 90, header = \"9s\", body_pause = \"9s\", keep_alive = \"9s\", connections_per_client = 9, send_pause = \"9s\"";
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("fcgate.toml");
        let load = |text: &str| {
            std::fs::write(&file, format!("{text}\n[[site]]\nroot = \"/tmp\"\n")).unwrap();
            config::load(&file, None).unwrap()
        };
        let lines = difference(
            &load(""),
            &load(&format!("[server.limits]\n{}", all.replace(", ", "\n"))),
        );
        assert_eq!(lines.len(), 1);
        assert!(lines[0].ends_with("and 1 more"), "{lines:?}");
    }
}

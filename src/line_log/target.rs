//! Targets of the error log: the parts of the gateway whose events have a level of their own.

/// Names of the targets, and the modules of each. Of several that fit a module the longest counts.
const TARGETS: [(&str, &[&str]); 10] = [
    ("admin", &["fcgate::admin"]),
    ("auth", &["fcgate::auth", "fcgate::modifier"]),
    (
        "config",
        &[
            "fcgate::config",
            "fcgate::server::reload",
            "fcgate::server::file_watch",
        ],
    ),
    (
        "connection",
        &[
            "fcgate::server::accept_failures",
            "fcgate::server::connection",
            "fcgate::server::handshake",
            "fcgate::server::io",
            "fcgate::server::listener",
            "fcgate::server::places",
            "fcgate::server::proxy_protocol",
        ],
    ),
    ("http2", &["h2"]),
    ("php", &["fcgate::handler::fastcgi"]),
    ("process", &["fcgate::process"]),
    (
        "request",
        &[
            "fcgate::handler",
            "fcgate::server::failure_log",
            "fcgate::server::subrequest",
        ],
    ),
    (
        "tls",
        &["fcgate::tls", "fcgate::server::certificates", "rustls"],
    ),
    ("upstream", &["fcgate::upstream"]),
];

/// Target of all other events.
const OTHER: &str = "core";

/// Returns the names of all targets.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    TARGETS.iter().map(|(name, _)| *name)
}

/// Returns the modules of a target.
pub(super) fn modules(name: &str) -> &'static [&'static str] {
    let mut targets = TARGETS.iter();
    let found = targets.find(|(known, _)| *known == name);
    found.map_or(&[], |(_, modules)| modules)
}

/// Returns the target of a module.
pub(super) fn of_module(module: &str) -> &'static str {
    let each = TARGETS
        .iter()
        .flat_map(|(name, modules)| modules.iter().map(move |prefix| (*name, *prefix)));
    let fitting = each.filter(|(_, prefix)| is_within(module, prefix));
    let longest = fitting.max_by_key(|(_, prefix)| prefix.len());
    longest.map_or(OTHER, |(name, _)| name)
}

fn is_within(module: &str, prefix: &str) -> bool {
    let rest = module.strip_prefix(prefix);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_have_the_target_of_the_longest_prefix() {
        for (module, expected) in [
            ("fcgate::handler::fastcgi::stderr", "php"),
            ("fcgate::handler::static_files", "request"),
            ("fcgate::server::io::from_file", "connection"),
            ("fcgate::server::iota", "core"),
            ("fcgate::upstream", "upstream"),
            ("h2::codec", "http2"),
            ("fcgate", "core"),
        ] {
            assert_eq!(of_module(module), expected, "{module}");
        }
    }

    /// A module that was renamed would silently have no target.
    #[test]
    fn every_module_exists() {
        let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        for module in names().flat_map(modules) {
            let Some(path) = module.strip_prefix("fcgate::") else {
                continue;
            };
            let path = source.join(path.replace("::", "/"));
            let exists = path.is_dir() || path.with_extension("rs").is_file();
            assert!(exists, "{module}");
        }
    }
}

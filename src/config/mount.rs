//! `[[site.mount]]`: an application below a path of the site, with a root of its own.

use std::sync::Arc;

use super::application::Application;
use super::site::{Draft, absolute_root};
use crate::handler::Step;
use crate::route::Rule;
use crate::route::condition::{Condition, Prefix};
use crate::section::{Key, Kind, Lowered, Problem, Problems, Section};

/// The `[[site.mount]]` section.
pub(super) static MOUNT: Section = Section {
    title: "[[site.mount]]",
    doc: "An application below a path of the site, as with Apache's Alias: its files, its scripts and its front controller, with SCRIPT_NAME below the path, by which frameworks find their base path. It comes after the rules of the site, which see the whole path.",
    keys: &[
        Key::new("path", Kind::Text, "Where it is, in whole segments.").example("\"/my/app\""),
        Key::new("root", Kind::Text, "Its document root, an absolute path.")
            .example("\"/srv/app/public\""),
        Key::new(
            "php",
            Kind::Text,
            "Where its PHP-FPM listens; default: the site's `php`.",
        )
        .example("\"unix:/run/php/app.sock\""),
        Key::new(
            "index",
            Kind::Texts,
            "What is looked for in a folder, in this order.",
        )
        .default("[\"index.php\", \"index.html\"]"),
        Key::new(
            "front_controller",
            Kind::Text,
            "The script below its root that gets what is neither a file nor a script; \"\": none.",
        )
        .default("\"index.php\""),
    ],
};

/// The rules of a mount.
pub(super) fn build_mount(
    section: &Lowered,
    draft: &mut Draft<'_, '_>,
    problems: &mut Problems,
) -> Vec<Rule<Step>> {
    let (Some(path), Some(root)) = (section.text("path"), section.text("root")) else {
        let problem = Problem::new(section.place(), "a mount needs `path` and `root`");
        problems.push(problem.help("path = \"/my/app\" and root = \"/srv/app/public\""));
        return Vec::new();
    };
    let trimmed = crate::section::At {
        value: path.value.trim_end_matches('/').to_owned(),
        place: path.place.clone(),
    };
    if trimmed.value.is_empty() {
        let problem = Problem::new(path.place.clone(), "a mount at `/` is the site itself");
        problems.push(problem.help("set `root` and `php` of the site"));
        return Vec::new();
    }
    let php = match section.text("php") {
        Some(text) => draft.surroundings.upstream(&text, problems),
        None => draft.php.clone(),
    };
    let (Some(prefix), Some(root)) = (
        Prefix::new(&trimmed, problems),
        absolute_root(&root, problems),
    ) else {
        return Vec::new();
    };
    let application = Application {
        mount: trimmed.value.into_bytes(),
        root,
        php: php.map(|php| (Arc::clone(&php), section.place())),
        section,
    };
    let condition = || vec![Condition::Prefix(prefix.clone())];
    let handlers = application.handlers(draft, problems);
    let rule = |handler| Rule::new(condition(), Vec::new(), Step::of(handler));
    handlers.into_iter().map(rule).collect()
}

//! `preset`: what is known of an application, as rules that anybody could write. Each is a file in
//! `presets/`, in the terms of [`FILE`].

use super::front::{FRONT_CONTROLLER, INDEX};
use super::rule::RULE;
use crate::section::{At, Environment, Key, Lowered, Place, Problems, Section, Table, Tables};

/// The key of a site and of a mount.
pub(super) static PRESET: Key<Option<At<String>>> = Key::one_of("preset", &NAMES, "The application that stands at `root`: rules that keep uploads from being run and private files from being sent, and what files may be cached. They come after the site's own rules and before the meaning of `root` and `php`; `fcgate config --expanded` shows them, docs/presets.md has the reasons.").example("\"wordpress\"");

const NAMES: [&str; 8] = [
    "slim",
    "laravel",
    "symfony",
    "wordpress",
    "drupal",
    "mediawiki",
    "nextcloud",
    "phpmyadmin",
];

/// A preset's file. `${BASE}` is the path of the mount, empty for a site; `${BASE_PATTERN}` the same in
/// regular expressions; `${ROOT}` the root, `${PARENT}` the folder that it is in, and
/// `${FRONT_PATTERN}` the front controller.
static FILE: Section = Section {
    title: "a preset",
    doc: "What is known of an application.",
    groups: &[&[
        &INDEX,
        &FRONT_CONTROLLER,
        &SCRIPTS,
        &IMMUTABLE,
        &SYMLINKS,
        &STEP_KEY,
    ]],
};

pub(super) static SCRIPTS: Key<Option<At<String>>> = Key::text(
    "scripts",
    "A regular expression: the only paths that run as scripts. What else looks like one is left to the front controller.",
);

pub(super) static IMMUTABLE: Key<bool> = Key::flag(
    "immutable",
    "`static_files.immutable` of what is sent from the root.",
);

pub(super) static SYMLINKS: Key<Option<At<String>>> = Key::text(
    "symlinks",
    "`static_files.symlinks` likewise, where the site does not say it.",
);

pub(super) static STEP_KEY: Key<Tables> = Key::tables("step", &STEP, "Its rules.");

/// Rules alone, in the same terms.
pub(super) static STEPS: Section = Section {
    title: "rules",
    doc: "Rules with their reasons.",
    groups: &[&[&STEP_KEY]],
};

/// A rule and its reason.
static STEP: Section = Section {
    title: "[[step]]",
    doc: "A rule and its reason.",
    groups: &[&[&WHY, &RULE_KEY]],
};

pub(super) static WHY: Key<Option<At<String>>> = Key::text("why", "The reason, a sentence or two.");

pub(super) static RULE_KEY: Key<Table> = Key::table("rule", &RULE, "As one of [[site.rule]].");

/// What a preset says, for one root.
pub(super) fn preset(
    name: &str,
    place: &Place,
    values: &Environment<'_>,
    problems: &mut Problems,
) -> Lowered {
    let text = match name {
        "slim" => include_str!("presets/slim.toml"),
        "laravel" => include_str!("presets/laravel.toml"),
        "symfony" => include_str!("presets/symfony.toml"),
        "wordpress" => include_str!("presets/wordpress.toml"),
        "drupal" => include_str!("presets/drupal.toml"),
        "mediawiki" => include_str!("presets/mediawiki.toml"),
        "nextcloud" => include_str!("presets/nextcloud.toml"),
        "phpmyadmin" => include_str!("presets/phpmyadmin.toml"),
        _ => "",
    };
    FILE.embedded(text, place, values, problems)
}

//! `preset`: what is known of an application, as rules that anybody could write. Each is a file in
//! `presets/`, in the terms of [`FILE`].

use super::front::FRONT;
use super::rule::RULE;
use crate::section::{Environment, Key, Kind, Lowered, Place, Problems, Section};

/// The key of a site and of a mount.
pub(super) const PRESET: Key = Key::new("preset", Kind::OneOf(&NAMES), "The application that stands at `root`: rules that keep uploads from being run and private files from being sent, and what files may be cached. They come after the site's own rules and before the meaning of `root` and `php`; `fcgate config --expanded` shows them, docs/presets.md has the reasons.").example("\"wordpress\"");

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
    keys: &[
        Key::new(
            "index",
            Kind::Texts,
            "`index` where the site does not say it.",
        ),
        Key::new("front_controller", Kind::TextOr(&FRONT), "Likewise."),
        Key::new(
            "scripts",
            Kind::Text,
            "A regular expression: the only paths that run as scripts. What else looks like one is left to the front controller.",
        ),
        Key::new(
            "immutable",
            Kind::Flag,
            "`static_files.immutable` of what is sent from the root.",
        ),
        Key::new(
            "symlinks",
            Kind::Text,
            "`static_files.symlinks` likewise, where the site does not say it.",
        ),
        Key::new("step", Kind::Tables(&STEP), "Its rules."),
    ],
};

/// Rules alone, in the same terms.
pub(super) static STEPS: Section = Section {
    title: "rules",
    doc: "Rules with their reasons.",
    keys: &[Key::new("step", Kind::Tables(&STEP), "The rules.")],
};

/// A rule and its reason.
static STEP: Section = Section {
    title: "[[step]]",
    doc: "A rule and its reason.",
    keys: &[
        Key::new("why", Kind::Text, "The reason, a sentence or two."),
        Key::new("rule", Kind::Table(&RULE), "As one of [[site.rule]]."),
    ],
};

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

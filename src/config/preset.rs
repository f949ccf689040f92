//! `preset`: rules for an application that many have, as text in the same language. They come after the
//! rules of the site and before the meaning of `root` and `php`.

use toml::de::DeTable;

use super::rule::RULE;
use crate::section::{Key, Kind, Lowered, Problems};

/// The `preset` key.
pub const PRESET: Key = Key::new("preset", Kind::OneOf(&["slim", "laravel", "symfony", "wordpress", "drupal", "mediawiki", "nextcloud", "phpmyadmin"]), "Rules for an application that many have: uploads never run PHP, insides are not told, hashed files are kept for good. They come after the site's own; `fcgate config --expanded` shows them.").example("\"wordpress\"");

/// Name and rules of each.
const PRESETS: [(&str, &str); 8] = [
    ("slim", include_str!("presets/slim.toml")),
    ("laravel", include_str!("presets/laravel.toml")),
    ("symfony", include_str!("presets/symfony.toml")),
    ("wordpress", include_str!("presets/wordpress.toml")),
    ("drupal", include_str!("presets/drupal.toml")),
    ("mediawiki", include_str!("presets/mediawiki.toml")),
    ("nextcloud", include_str!("presets/nextcloud.toml")),
    ("phpmyadmin", include_str!("presets/phpmyadmin.toml")),
];

/// The text of a preset; empty where there is none of the name.
fn text(name: &str) -> &'static str {
    let known = PRESETS.iter().find(|(known, _)| *known == name);
    known.map_or("", |(_, text)| text)
}

/// What a section of a site means beside what it says: the rules of its preset, and what its root means.
pub(super) fn expanded(path: &str, section: &Lowered) -> String {
    let mut text = String::new();
    if path != "site" {
        return text;
    }
    if let Some(name) = section.text("preset") {
        let rules = self::text(&name.value).replace("[[rule]]", "[[site.rule]]");
        text.push_str(&format!("\n# preset = \"{}\"\n{rules}", name.value));
    }
    if section.is_given("root") && section.is_given("php") {
        text.push_str("\n# `root` and `php` mean: an existing .php script runs, an existing file is sent, a folder tries `index`,\n# and everything else goes to the front controller.\n");
    }
    text
}

/// The rules of a preset, as if they stood in the file.
pub(super) fn rules(name: &str, problems: &mut Problems) -> Vec<Lowered> {
    let Ok(parsed) = DeTable::parse(text(name)) else {
        return Vec::new();
    };
    let rules = parsed.get_ref().get("rule").map(|rules| rules.get_ref());
    let rules = rules.and_then(|rules| rules.as_array());
    let lower = |rule: &toml::Spanned<toml::de::DeValue<'_>>| {
        let table = rule.get_ref().as_table()?;
        Some(RULE.lower(table, Default::default(), &|_| None, problems))
    };
    rules.into_iter().flatten().filter_map(lower).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_well_formed() {
        for (name, text) in PRESETS {
            let mut problems = Problems::default();
            let count = rules(name, &mut problems).len();
            assert_eq!(count, text.matches("[[rule]]").count(), "{name}");
            assert!(count > 0 && problems.is_empty(), "{name}");
        }
    }
}

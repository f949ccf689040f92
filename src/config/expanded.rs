//! A configuration as one file that says all that it means: includes are taken in, variables have their
//! values, and what `root`, `php`, mounts and presets mean are rules, each with its origin as a comment.

use std::path::Path;

use super::expansion::{Meant, meant};
use super::front::{FRONT_CONTROLLER, INDEX};
use super::mount::MOUNTS;
use super::preset::PRESET;
use super::source::{self, Sources};
use super::{Invalid, ROOT, load, site_section};
use crate::section::{AnyKey, Descriptor, Kind, Lowered, Place, Problems, key as print_key};

/// Keys of a site in whose place there are rules.
static EXPANDED: [&dyn AnyKey; 6] = [
    &site_section::RULES,
    &MOUNTS,
    &PRESET,
    &INDEX,
    &FRONT_CONTROLLER,
    &site_section::IMPLIED_RULES,
];

/// The file at `path` and all that it includes, as one valid configuration that does the same.
pub fn expanded(path: &Path) -> Result<String, Invalid> {
    // Only what can be used is shown: the rest of this never fails then.
    load(path, None)?;
    let mut problems = Problems::default();
    let (sources, files) =
        source::read(path, &ROOT, &|name| std::env::var(name).ok(), &mut problems);
    let mut page = Page {
        text: format!(
            "# What {} means. Keys that are not here have the defaults that `fcgate reference` shows.\n",
            path.display().to_string().escape_debug()
        ),
        sources: &sources,
    };
    for key in ROOT.keys() {
        for file in &files {
            page.sections(key, file, &mut problems);
        }
    }
    match problems.is_empty() {
        true => Ok(page.text),
        false => Err(Invalid::of(&problems.into_sorted(), &sources)),
    }
}

struct Page<'a> {
    text: String,
    sources: &'a Sources,
}

impl Page<'_> {
    /// Adds the sections of a key; `include` has none: the files that it names are read.
    fn sections(&mut self, key: &Descriptor, file: &Lowered, problems: &mut Problems) {
        let key_name = key.name;
        for (name, section) in file.nested(key) {
            if key_name == site_section::SITES.name() {
                self.site(section, problems);
            } else if let Some(name) = name {
                self.table(&format!("[{key_name}.{}]", print_key(name)), section);
            } else if matches!(key.kind, Kind::Tables(_)) {
                self.table(&format!("[[{key_name}]]"), section);
            } else {
                self.table(&format!("[{key_name}]"), section);
            }
        }
    }

    fn table(&mut self, header: &str, table: &Lowered) {
        let origin = self.origin(&table.place());
        let keys = table.to_toml(&[]);
        self.text += &format!("\n# {origin}\n{header}\n{keys}");
    }

    fn site(&mut self, site: &Lowered, problems: &mut Problems) {
        let origin = self.origin(&site.place());
        let keys = site.to_toml(&EXPANDED);
        self.text += &format!("\n# {origin}\n[[site]]\n{keys}");
        // What they mean stands below.
        self.text += "implied_rules = false\n";
        for rule in site.get(&site_section::RULES) {
            let origin = self.origin(&rule.place());
            self.rule(&origin, rule);
        }
        for Meant { rule, key, why } in meant(site, problems) {
            let origin = self.origin(&rule.place());
            self.rule(&format!("{key} ({origin}): {why}"), &rule);
        }
    }

    fn rule(&mut self, origin: &str, rule: &Lowered) {
        let keys = rule.to_toml(&[]);
        self.text += &format!("\n# {origin}\n[[site.rule]]\n{keys}");
    }

    /// A comment is one line, whatever a path has in it.
    fn origin(&self, place: &Place) -> String {
        self.sources.show(place).escape_debug().to_string()
    }
}

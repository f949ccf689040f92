//! An expanded configuration: one file with includes merged, variables replaced, and the rules implied
//! by `root`, `php`, mounts and presets written out, each with its origin as a comment.

use std::path::Path;

use super::expansion::{ImpliedRule, implied_rules};
use super::front::{FRONT_CONTROLLER, INDEX};
use super::mount::MOUNTS;
use super::preset::PRESET;
use super::source::{self, Sources};
use super::{Invalid, ROOT, load, site_section};
use crate::files::Files;
use crate::section::{AnyKey, Descriptor, Kind, Lowered, Place, Problems, key as print_key};

/// Keys of a site that are replaced by rules.
static EXPANDED: [&dyn AnyKey; 6] = [
    &site_section::RULES,
    &MOUNTS,
    &PRESET,
    &INDEX,
    &FRONT_CONTROLLER,
    &site_section::IMPLIED_RULES,
];

/// Returns the file at `path` and its includes as one valid, equivalent configuration.
pub fn expanded(path: &Path) -> Result<String, Invalid> {
    // Only a valid configuration is expanded: the rest of this function cannot fail then.
    let files = &Files::own();
    load(path, None, files)?;
    let mut problems = Problems::default();
    let environment = |name: &str| std::env::var(name).ok();
    let (sources, sections) = source::read(path, &ROOT, &environment, files, &mut problems);
    let mut page = Page {
        text: format!(
            "# Expanded configuration of {}. Absent keys have the defaults of `fcgate reference`.\n",
            path.display().to_string().escape_debug()
        ),
        sources: &sources,
        files,
    };
    for key in ROOT.keys() {
        for file in &sections {
            page.sections(key, file, &mut problems);
        }
    }
    if problems.is_empty() {
        Ok(page.text)
    } else {
        Err(Invalid::of(&problems.into_sorted(), &sources))
    }
}

struct Page<'a> {
    text: String,
    sources: &'a Sources,
    files: &'a Files,
}

impl Page<'_> {
    /// Adds the sections of a key; skips `include`, whose files are merged.
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
        // The implied rules follow.
        self.text += "implied_rules = false\n";
        for rule in site.get(&site_section::RULES) {
            let origin = self.origin(&rule.place());
            self.rule(&origin, rule);
        }
        for ImpliedRule { rule, key, why } in implied_rules(site, self.files, problems) {
            let origin = self.origin(&rule.place());
            self.rule(&format!("{key} ({origin}): {why}"), &rule);
        }
    }

    fn rule(&mut self, origin: &str, rule: &Lowered) {
        let keys = rule.to_toml(&[]);
        self.text += &format!("\n# {origin}\n[[site.rule]]\n{keys}");
    }

    /// Returns a comment of one line, whatever a path contains.
    fn origin(&self, place: &Place) -> String {
        self.sources.show(place).escape_debug().to_string()
    }
}

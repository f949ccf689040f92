//! A configuration as one file that says all that it means: includes are taken in, variables have their
//! values, and what `root`, `php`, mounts and presets mean are rules, each with its origin as a comment.

use std::path::Path;

use super::expansion::{Meant, meant};
use super::source::Sources;
use super::{Invalid, ROOT, load, source};
use crate::section::{Kind, Lowered, Place, Problems, key};

/// What a rule of a site takes the place of.
const EXPANDED: [&str; 6] = [
    "rule",
    "mount",
    "preset",
    "index",
    "front_controller",
    "implied_rules",
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
    for root in ROOT.keys {
        for file in &files {
            page.section(root.name, root.kind, file, &mut problems);
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
    fn section(&mut self, name: &str, kind: Kind, file: &Lowered, problems: &mut Problems) {
        match kind {
            Kind::Table(_) | Kind::FlagOr(_) | Kind::TextOr(_) => {
                if let Some(table) = file.given_table(name) {
                    self.table(&format!("[{name}]"), table);
                }
            }
            Kind::Tables(_) if name == "site" => {
                for site in file.tables(name) {
                    self.site(site, problems);
                }
            }
            Kind::Tables(_) => {
                for table in file.tables(name) {
                    self.table(&format!("[[{name}]]"), table);
                }
            }
            Kind::Named(_) => {
                for (own, table) in file.named(name) {
                    self.table(&format!("[{name}.{}]", key(own)), table);
                }
            }
            // `include`: what it names is among the files.
            Kind::Text | Kind::Flag | Kind::Integer { .. } | Kind::Size | Kind::Duration => {}
            Kind::Percent | Kind::OneOf(_) | Kind::Texts | Kind::Pairs => {}
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
        for rule in site.tables("rule") {
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

//! What a site means beside its own rules: its mounts, its preset, its `root` and `php`. All of it is
//! ordinary rules, written here as text and read as a user's; `fcgate config --expanded` shows them.

use std::path::Path;

use super::mount::mounts;
use super::preset::{STEPS, preset};
use crate::handler::mount::Mount;
use crate::message::Root;
use crate::section::{At, Lowered, Place, Problem, Problems, quoted};

/// A rule that somebody means who has not written it.
pub(super) struct Meant {
    /// The rule; its place is that of the key which means it.
    pub(super) rule: Lowered,
    /// The key, as it is written: `preset = "wordpress"`.
    pub(super) key: String,
    /// What the rule is for.
    pub(super) why: String,
}

/// The rules that follow those of the site, in their order.
pub(super) fn meant(site: &Lowered, problems: &mut Problems) -> Vec<Meant> {
    let mut rules = Vec::new();
    let symlinks = site
        .given_table("files")
        .is_some_and(|files| files.is_given("symlinks"));
    for (mount, section) in mounts(site, problems) {
        let own = section.text("php");
        let is_own = own.is_some();
        let part = Part {
            name: format!("mount = \"{}/\"", mount.as_str()),
            mount: Some(mount),
            section,
            php: own.or_else(|| site.text("php")),
            names_php: is_own,
            says_symlinks: symlinks,
        };
        rules.extend(part.rules(problems));
    }
    let part = Part {
        name: "root".to_owned(),
        mount: None,
        section: site,
        php: site.text("php"),
        names_php: false,
        says_symlinks: symlinks,
    };
    match site.flag("implied_rules") {
        true if site.is_given("root") || site.is_given("preset") => {
            rules.extend(part.rules(problems));
        }
        true => {}
        false => refuse_preset(site, problems),
    }
    rules
}

fn refuse_preset(site: &Lowered, problems: &mut Problems) {
    if site.is_given("preset") {
        let message = "a preset says what `root` and `php` mean, and `implied_rules = false` that they mean nothing";
        problems.push(
            Problem::new(site.place_of("preset"), message)
                .help("remove one of them; `fcgate config --expanded` prints the preset's rules"),
        );
    }
}

const SCRIPT: &str = "A script that is there runs.";
const FILE: &str = "A file that is there is sent; a folder has an index.";
const FRONT: &str = "The front controller gets everything else.";

/// A root with all that is said of it: of a site, or of a mount.
struct Part<'a> {
    /// The key that means it, for people.
    name: String,
    /// Where it stands; `None` for the site's own root.
    mount: Option<Mount>,
    section: &'a Lowered,
    php: Option<At<String>>,
    /// Whether the rules have to name `php`, which is not the site's.
    names_php: bool,
    /// Whether the site says which links are followed.
    says_symlinks: bool,
}

impl Part<'_> {
    fn rules(&self, problems: &mut Problems) -> Vec<Meant> {
        let Some(root) = self.root(problems) else {
            return Vec::new();
        };
        let php = self.php.as_ref().filter(|php| !php.value.is_empty());
        let name = self.section.text("preset");
        if let (Some(name), None) = (&name, php) {
            let problem = Problem::new(name.place.clone(), "a preset needs `php`");
            problems.push(problem.help("php = \"unix:/run/php/php-fpm.sock\""));
            return Vec::new();
        }
        let said = name.as_ref().map(|name| self.preset(name, &root, problems));
        let mut rules = Vec::new();
        if let (Some(name), Some(said)) = (&name, &said) {
            let key = format!("preset = \"{}\"", name.value);
            rules.extend(steps(said, &key));
        }
        let text = self.meaning(
            &root.value,
            php.map(|php| php.value.as_str()),
            said.as_ref(),
        );
        let place = self.place(&root);
        let meaning = STEPS.embedded(&text, &place, &|_| None, problems);
        rules.extend(steps(&meaning, &self.name));
        rules
    }

    /// Where faults of the rules are shown that nobody has written: a line which can be changed.
    fn place(&self, root: &At<String>) -> Place {
        match self.section.is_given("php") {
            true => self.section.place_of("php"),
            false => root.place.clone(),
        }
    }

    fn root(&self, problems: &mut Problems) -> Option<At<String>> {
        let Some(root) = self.section.text("root") else {
            let (place, message) = match self.section.is_given("preset") {
                true => (self.section.place_of("preset"), "a preset needs a `root`"),
                false => (self.section.place(), "a mount needs a `root`"),
            };
            let problem = Problem::new(place, message);
            problems.push(problem.help("root = \"/srv/app/public\""));
            return None;
        };
        // Of a site it is told where the root itself is read.
        let told = &mut Problems::default();
        let problems = if self.mount.is_some() { problems } else { told };
        Root::at(&root, problems).map(|_| root)
    }

    fn base(&self) -> &str {
        self.mount.as_ref().map_or("", Mount::as_str)
    }

    fn preset(&self, name: &At<String>, root: &At<String>, problems: &mut Problems) -> Lowered {
        let parent = Path::new(&root.value).parent();
        let parent = parent.map(|parent| parent.to_string_lossy().into_owned());
        let parent = parent.filter(|parent| parent != "/").unwrap_or_default();
        let front = self.section.text("front_controller");
        let front = front.map(|front| front.value).unwrap_or_default();
        let values = |name: &str| match name {
            "BASE" => Some(self.base().to_owned()),
            "BASE_PATTERN" => Some(pattern(self.base())),
            "ROOT" => Some(root.value.clone()),
            "PARENT" => Some(parent.clone()),
            "FRONT_PATTERN" => Some(pattern(front.trim_start_matches('/'))),
            _ => None,
        };
        preset(&name.value, &name.place, &values, problems)
    }

    /// Design §2: what the three lines of a site mean, as rules.
    fn meaning(&self, root: &str, php: Option<&str>, said: Option<&Lowered>) -> String {
        let index = self.either("index", said).texts("index");
        let index: Vec<_> = index.iter().map(|text| quoted(text)).collect();
        let index = format!("index = [{}]", index.join(", "));
        let files = self.files(root, said);
        let Some(php) = php else {
            return self.step("Files are sent.", &[], "static_files", &[files, index]);
        };
        let at = self.scripts_at(root, php);
        let scripts = said.and_then(|said| said.text("scripts"));
        let only = scripts.map(|scripts| format!("match = {}", quoted(&scripts)));
        let declines = || "missing = \"decline\"".to_owned();
        let front = self.front_controller(root, said);
        let runs = [at.clone(), declines()];
        let sent = match front {
            Some(_) => vec![files, index, declines()],
            None => vec![files, index],
        };
        let mut text = self.step(SCRIPT, only.as_slice(), "fastcgi", &runs);
        text += &self.step(FILE, &[], "static_files", &sent);
        if let Some(script) = front {
            text += &self.step(FRONT, &[], "fastcgi", &[at, script]);
        }
        text
    }

    /// The front controller as the key of a handler; `None` where there is none.
    fn front_controller(&self, root: &str, said: Option<&Lowered>) -> Option<String> {
        let key = "front_controller";
        let front = self.either(key, said).text(key)?.value;
        let name = front.trim_start_matches('/');
        // A `$` in a path is no variable here.
        let script = format!("{}/{name}", root.trim_end_matches('/')).replace('$', "$$");
        (!front.is_empty()).then(|| format!("script = {}", quoted(&script)))
    }

    /// Whose word about a key counts: the user's, the preset's, or the default.
    fn either<'a>(&'a self, key: &str, said: Option<&'a Lowered>) -> &'a Lowered {
        let said = said.filter(|said| said.is_given(key) && !self.section.is_given(key));
        said.unwrap_or(self.section)
    }

    fn files(&self, root: &str, said: Option<&Lowered>) -> String {
        let mut keys = vec![self.at(root)];
        if let Some(said) = said {
            keys.extend(
                said.flag("immutable")
                    .then(|| "immutable = true".to_owned()),
            );
            let symlinks = said.text("symlinks").filter(|_| !self.says_symlinks);
            keys.extend(symlinks.map(|text| format!("symlinks = {}", quoted(&text))));
        }
        joined(&keys)
    }

    fn scripts_at(&self, root: &str, php: &str) -> String {
        let upstream = self
            .names_php
            .then(|| format!("upstream = {}", quoted(php)));
        joined(&[upstream.unwrap_or_default(), self.at(root)])
    }

    /// The root of a handler, where it is not the site's.
    fn at(&self, root: &str) -> String {
        let at = self.mount.as_ref().map(|mount| {
            let (root, mount) = (quoted(root), quoted(mount.as_str()));
            format!("root = {root}, mounted_at = {mount}")
        });
        at.unwrap_or_default()
    }

    fn step(&self, why: &str, conditions: &[String], action: &str, keys: &[String]) -> String {
        let prefix = self
            .mount
            .as_ref()
            .map(|mount| format!("prefix = {}", quoted(mount.as_str())));
        let action = format!("{action} = {{ {} }}", joined(keys));
        let rule = [&[prefix.unwrap_or_default()], conditions, &[action]].concat();
        format!(
            "[[step]]\nwhy = {}\nrule = {{ {} }}\n",
            quoted(why),
            joined(&rule)
        )
    }
}

fn joined(keys: &[String]) -> String {
    let keys: Vec<_> = keys.iter().filter(|key| !key.is_empty()).cloned().collect();
    keys.join(", ")
}

/// A path as a regular expression that matches it alone.
fn pattern(path: &str) -> String {
    // A letter that is no ASCII is its bytes, one after another, outside of classes.
    regex::escape(path)
}

fn steps(section: &Lowered, key: &str) -> Vec<Meant> {
    let steps = section.tables("step").iter();
    let steps = steps.filter_map(|step| {
        Some(Meant {
            rule: step.given_table("rule")?.clone(),
            key: key.to_owned(),
            why: step.text("why").map(|why| why.value).unwrap_or_default(),
        })
    });
    steps.collect()
}

#[cfg(test)]
mod tests;

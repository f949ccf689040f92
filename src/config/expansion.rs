//! What a site means beside its own rules: its mounts, its preset, its `root` and `php`. All of it is
//! ordinary rules, written here as text and read as a user's; `fcgate config --expanded` shows them.

use std::borrow::Cow;
use std::path::Path;

use super::front::{self, FRONT_CONTROLLER, INDEX};
use super::mount::{self, mounts};
use super::preset::{self, PRESET, STEPS, preset};
use super::site_section;
use crate::handler::mount::Mount;
use crate::handler::static_files::{FileSettings, IMMUTABLE, LISTING, SYMLINKS};
use crate::message::Root;
use crate::section::{AnyKey, At, Key, Lowered, Place, Problem, Problems, quoted};

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
    let files = site.given(&site_section::FILES_TABLE);
    let symlinks = files.is_some_and(|files| files.is_given(&SYMLINKS));
    let listed = files.is_some_and(|files| files.get(&LISTING));
    for (mount, section) in mounts(site, problems) {
        let own = section.get(&mount::PHP);
        let is_own = own.is_some();
        if !are_usable(section, problems) {
            continue;
        }
        let part = Part {
            name: format!("mount = \"{}/\"", mount.as_str()),
            mount: Some(mount),
            section,
            keys: RootKeys {
                root: &mount::ROOT,
                php: &mount::PHP,
            },
            php: own.or_else(|| site.get(&site_section::PHP)),
            names_php: is_own,
            says_symlinks: symlinks,
            php_is_wrong: site.is_wrong(&site_section::PHP),
            lists: listed,
        };
        rules.extend(part.rules(problems));
    }
    let part = Part {
        name: "root".to_owned(),
        mount: None,
        section: site,
        keys: RootKeys {
            root: &site_section::ROOT,
            php: &site_section::PHP,
        },
        php: site.get(&site_section::PHP),
        names_php: false,
        says_symlinks: symlinks,
        php_is_wrong: site.is_wrong(&site_section::PHP),
        lists: false,
    };
    match site.get(&site_section::IMPLIED_RULES) {
        true if site.is_given(&site_section::ROOT) || site.is_given(&PRESET) => {
            rules.extend(part.rules(problems));
        }
        true => {}
        false => refuse_preset(site, problems),
    }
    rules
}

/// Reports whether `files` of a mount can be understood; else that is told where it stands, and not of the
/// rules that it is written into.
fn are_usable(mount: &Lowered, problems: &mut Problems) -> bool {
    let mut own = Problems::default();
    if let Some(files) = mount.given(&mount::FILES) {
        FileSettings::build(files, &FileSettings::default(), &mut own);
    }
    let usable = own.is_empty();
    problems.append(own);
    usable
}

fn refuse_preset(site: &Lowered, problems: &mut Problems) {
    if site.is_given(&PRESET) {
        let message = "a preset says what `root` and `php` mean, and `implied_rules = false` that they mean nothing";
        problems.push(
            Problem::new(site.place_of(&PRESET), message)
                .help("remove one of them; `fcgate config --expanded` prints the preset's rules"),
        );
    }
}

const SCRIPT: &str = "A script that is there runs.";
const FILE: &str = "A file that is there is sent; a folder has an index.";
const EXCEPTION: &str =
    "What ends so and is not there is no page: 404, and the front controller is not asked.";
const FRONT: &str = "The front controller gets everything else.";

/// A root with all that is said of it: of a site, or of a mount.
struct Part<'a> {
    /// The key that means it, for people.
    name: String,
    /// Where it stands; `None` for the site's own root.
    mount: Option<Mount>,
    section: &'a Lowered,
    keys: RootKeys,
    php: Option<At<String>>,
    /// Whether the rules have to name `php`, which is not the site's.
    names_php: bool,
    /// Whether the site says which links are followed.
    says_symlinks: bool,
    /// Whether `php` of the site could not be understood.
    php_is_wrong: bool,
    /// Whether the site lists folders, which a mount does not.
    lists: bool,
}

/// The keys that say so, of a site or of a mount.
struct RootKeys {
    root: &'static Key<Option<At<String>>>,
    php: &'static Key<Option<At<String>>>,
}

impl Part<'_> {
    fn rules(&self, problems: &mut Problems) -> Vec<Meant> {
        let Some(root) = self.root(problems) else {
            return Vec::new();
        };
        let php = self.php.as_ref().filter(|php| !php.value.is_empty());
        let name = self.section.get(&PRESET);
        if let (Some(name), None) = (&name, php) {
            if self.section.is_wrong(self.keys.php) || self.php_is_wrong {
                return Vec::new();
            }
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
        match self.section.is_given(self.keys.php) {
            true => self.section.place_of(self.keys.php),
            false => root.place.clone(),
        }
    }

    fn root(&self, problems: &mut Problems) -> Option<At<String>> {
        let Some(root) = self.section.get(self.keys.root) else {
            if self.section.is_wrong(self.keys.root) {
                return None;
            }
            let (place, message) = match self.section.is_given(&PRESET) {
                true => (self.section.place_of(&PRESET), "a preset needs a `root`"),
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
        let front = self
            .section
            .get(&FRONT_CONTROLLER)
            .get(&front::SCRIPT)
            .value;
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

    /// Returns the rules that `root` and `php` of a site or mount imply.
    fn meaning(&self, root: &str, php: Option<&str>, said: Option<&Lowered>) -> String {
        let index = self.either(&INDEX, said).get(&INDEX);
        let index: Vec<_> = index.iter().map(|text| quoted(text)).collect();
        let index = format!("index = [{}]", index.join(", "));
        let files = self.files(root, said);
        let Some(php) = php else {
            return self.step("Files are sent.", &[], "static_files", &[files, index]);
        };
        let at = self.scripts_at(root, php);
        let scripts = said.and_then(|said| said.get(&preset::SCRIPTS));
        let only = scripts.map(|scripts| format!("match = {}", quoted(&scripts)));
        let declines = || "missing = \"decline\"".to_owned();
        let front = self.front_controller(root, said);
        let runs = [at.clone(), declines()];
        let sent = [files, index];
        let mut text = self.step(SCRIPT, only.as_slice(), "fastcgi", &runs);
        if let Some(pattern) = self.exceptions(said).filter(|_| front.is_some()) {
            let only = format!("match = {}", quoted(&pattern));
            text += &self.step(EXCEPTION, &[only], "static_files", &sent);
        }
        let Some(script) = front else {
            return text + &self.step(FILE, &[], "static_files", &sent);
        };
        let [files, index] = sent;
        text += &self.step(FILE, &[], "static_files", &[files, index, declines()]);
        text + &self.step(FRONT, &[], "fastcgi", &[at, script])
    }

    /// What of `front_controller` a key says, by the user's word, the preset's, or the default.
    fn front<'a>(&'a self, key: &dyn AnyKey, said: Option<&'a Lowered>) -> Cow<'a, Lowered> {
        let tables = [Some(self.section), said].into_iter().flatten();
        let mut given = tables.filter_map(|section| section.given(&FRONT_CONTROLLER));
        let given = given.find(|table| table.is_given(key));
        given.map_or_else(|| self.section.get(&FRONT_CONTROLLER), Cow::Borrowed)
    }

    /// What ends so does not go to the front controller; `None` where all does.
    fn exceptions(&self, said: Option<&Lowered>) -> Option<String> {
        let extensions = self
            .front(&front::EXCEPT, said)
            .get(&front::EXCEPT)
            .into_iter();
        let extensions: Vec<_> = extensions
            .map(|extension| pattern(extension.trim_start_matches('.')))
            .collect();
        let all = extensions.join("|");
        (!all.is_empty()).then(|| format!("(?i)\\.({all})$"))
    }

    /// The front controller as the key of a handler; `None` where there is none.
    fn front_controller(&self, root: &str, said: Option<&Lowered>) -> Option<String> {
        let front = self.front(&front::SCRIPT, said).get(&front::SCRIPT).value;
        let name = front.trim_start_matches('/');
        // A `$` in a path is no variable here.
        let script = format!("{}/{name}", root.trim_end_matches('/')).replace('$', "$$");
        (!front.is_empty()).then(|| format!("script = {}", quoted(&script)))
    }

    /// Whose word about a key counts: the user's, the preset's, or the default.
    fn either<'a>(&'a self, key: &dyn AnyKey, said: Option<&'a Lowered>) -> &'a Lowered {
        let said = said.filter(|said| said.is_given(key) && !self.section.is_given(key));
        said.unwrap_or(self.section)
    }

    fn files(&self, root: &str, said: Option<&Lowered>) -> String {
        let mut keys = vec![self.at(root)];
        let own = self.own_files();
        let has = |key: &dyn AnyKey| own.is_some_and(|own| own.is_given(key));
        let lines = own.map(|own| own.to_toml(&[])).unwrap_or_default();
        keys.extend(lines.lines().map(str::to_owned));
        if self.lists && !has(&LISTING) {
            keys.push("listing = false".to_owned());
        }
        if let Some(said) = said {
            let immutable = said.get(&preset::IMMUTABLE) && !has(&IMMUTABLE);
            keys.extend(immutable.then(|| "immutable = true".to_owned()));
            let symlinks = said.get(&preset::SYMLINKS);
            let symlinks = symlinks.filter(|_| !self.says_symlinks && !has(&SYMLINKS));
            keys.extend(symlinks.map(|text| format!("symlinks = {}", quoted(&text))));
        }
        joined(&keys)
    }

    /// `files` of a mount; those of a site are not written into its rules.
    fn own_files(&self) -> Option<&Lowered> {
        self.mount.as_ref()?;
        self.section.given(&mount::FILES)
    }

    fn scripts_at(&self, root: &str, php: &str) -> String {
        let upstream = self
            .names_php
            .then(|| format!("upstream = {}", quoted(php)));
        let symlinks = self.own_files().and_then(|own| own.given(&SYMLINKS));
        let symlinks = symlinks.map(|text| format!("symlinks = {}", quoted(&text)));
        joined(&[
            upstream.unwrap_or_default(),
            self.at(root),
            symlinks.unwrap_or_default(),
        ])
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
    let steps = section.get(&preset::STEP_KEY).iter();
    let steps = steps.filter_map(|step| {
        Some(Meant {
            rule: step.given(&preset::RULE_KEY)?.clone(),
            key: key.to_owned(),
            why: step
                .get(&preset::WHY)
                .map(|why| why.value)
                .unwrap_or_default(),
        })
    });
    steps.collect()
}

#[cfg(test)]
mod tests;

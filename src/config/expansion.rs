//! Rules implied by a site: by its mounts, its preset, its `root` and `php`. All are ordinary rules,
//! generated as text and parsed as a user's; `fcgate config --expanded` prints them.

use std::borrow::Cow;
use std::path::Path;

use super::front::{self, FRONT_CONTROLLER, INDEX};
use super::mount::{self, mounts};
use super::preset::{self, PRESET, STEPS, preset};
use super::site_section;
use crate::files::Files;
use crate::handler::mount::Mount;
use crate::handler::static_files::{FileSettings, IMMUTABLE, LISTING, SYMLINKS};
use crate::message::Root;
use crate::section::{AnyKey, At, Key, Lowered, Place, Problem, Problems, quoted};

/// A rule implied by `root`, `php`, a mount or a preset.
pub(super) struct ImpliedRule {
    /// The rule; its place is that of the key that implies it.
    pub(super) rule: Lowered,
    /// The key, as written: `preset = "wordpress"`.
    pub(super) key: String,
    /// Purpose of the rule.
    pub(super) why: String,
}

/// Returns the implied rules, which follow those of the site, in their order.
pub(super) fn implied_rules(
    site: &Lowered,
    files: &Files,
    problems: &mut Problems,
) -> Vec<ImpliedRule> {
    let mut rules = Vec::new();
    let settings = site.given(&site_section::FILES_TABLE);
    let symlinks = settings.is_some_and(|settings| settings.is_given(&SYMLINKS));
    let listed = settings.is_some_and(|settings| settings.get(&LISTING));
    for (mount, section) in mounts(site, problems) {
        let own = section.get(&mount::PHP);
        let is_own = own.is_some();
        if !are_usable(section, files, problems) {
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
            has_symlinks: symlinks,
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
        has_symlinks: symlinks,
        php_is_wrong: site.is_wrong(&site_section::PHP),
        lists: false,
    };
    if !site.get(&site_section::IMPLIED_RULES) {
        refuse_preset(site, problems);
    } else if site.is_given(&site_section::ROOT) || site.is_given(&PRESET) {
        rules.extend(part.rules(problems));
    }
    rules
}

/// Reports whether `files` of a mount is valid; a fault is reported once, at its place, and not for
/// every rule that copies it.
fn are_usable(mount: &Lowered, files: &Files, problems: &mut Problems) -> bool {
    let mut own = Problems::default();
    if let Some(section) = mount.given(&mount::FILES) {
        FileSettings::build(section, &FileSettings::default(), files, &mut own);
    }
    let usable = own.is_empty();
    problems.append(own);
    usable
}

fn refuse_preset(site: &Lowered, problems: &mut Problems) {
    if site.is_given(&PRESET) {
        let message = "a preset needs the rules implied by `root` and `php`, and `implied_rules = false` disables them";
        problems.push(
            Problem::new(site.place_of(&PRESET), message)
                .help("remove one of them; `fcgate config --expanded` prints the preset's rules"),
        );
    }
}

const SCRIPT: &str = "Runs existing scripts.";
const FILE: &str = "Sends existing files, and the index of a folder.";
const EXCEPTION: &str = "Missing files with these extensions get 404 without the front controller.";
const FRONT: &str = "Sends everything else to the front controller.";

/// A root with its keys: of a site, or of a mount.
struct Part<'a> {
    /// Key that implies the rules, for messages.
    name: String,
    /// Mount point; `None` for the site's own root.
    mount: Option<Mount>,
    section: &'a Lowered,
    keys: RootKeys,
    php: Option<At<String>>,
    /// The rules must name `php`, as it differs from the site's.
    names_php: bool,
    /// The site sets the policy for symbolic links.
    has_symlinks: bool,
    /// `php` of the site is invalid.
    php_is_wrong: bool,
    /// The site lists folders; a mount does not.
    lists: bool,
}

/// The keys for `root` and `php`, of a site or of a mount.
struct RootKeys {
    root: &'static Key<Option<At<String>>>,
    php: &'static Key<Option<At<String>>>,
}

impl Part<'_> {
    fn rules(&self, problems: &mut Problems) -> Vec<ImpliedRule> {
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
        let preset_keys = name.as_ref().map(|name| self.preset(name, &root, problems));
        let mut rules = Vec::new();
        if let (Some(name), Some(preset_keys)) = (&name, &preset_keys) {
            let key = format!("preset = \"{}\"", name.value);
            rules.extend(steps(preset_keys, &key));
        }
        let text = self.root_rules(
            &root.value,
            php.map(|php| php.value.as_str()),
            preset_keys.as_ref(),
        );
        let place = self.place(&root);
        let meaning = STEPS.embedded(&text, &place, &|_| None, problems);
        rules.extend(steps(&meaning, &self.name));
        rules
    }

    /// Returns the place for faults of implied rules: a line that the user can change.
    fn place(&self, root: &At<String>) -> Place {
        if self.section.is_given(self.keys.php) {
            self.section.place_of(self.keys.php)
        } else {
            root.place.clone()
        }
    }

    fn root(&self, problems: &mut Problems) -> Option<At<String>> {
        let Some(root) = self.section.get(self.keys.root) else {
            if self.section.is_wrong(self.keys.root) {
                return None;
            }
            let (place, message) = if self.section.is_given(&PRESET) {
                (self.section.place_of(&PRESET), "a preset needs a `root`")
            } else {
                (self.section.place(), "a mount needs a `root`")
            };
            let problem = Problem::new(place, message);
            problems.push(problem.help("root = \"/srv/app/public\""));
            return None;
        };
        // For a site, faults are reported when the root itself is read.
        let ignored = &mut Problems::default();
        let problems = if self.mount.is_some() {
            problems
        } else {
            ignored
        };
        Root::at(&root, problems).map(|_| root)
    }

    fn base(&self) -> &str {
        self.mount.as_ref().map_or("", Mount::as_str)
    }

    fn preset(&self, name: &At<String>, root: &At<String>, problems: &mut Problems) -> Lowered {
        let parent = Path::new(&root.value)
            .parent()
            .map(|parent| parent.to_string_lossy().into_owned())
            .filter(|parent| parent != "/")
            .unwrap_or_default();
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
    fn root_rules(&self, root: &str, php: Option<&str>, preset_keys: Option<&Lowered>) -> String {
        let names = self.deciding_section(&INDEX, preset_keys).get(&INDEX);
        let quoted_names: Vec<_> = names.iter().map(|text| quoted(text)).collect();
        let index = format!("index = [{}]", quoted_names.join(", "));
        let files = self.files(root, preset_keys);
        let Some(php) = php else {
            return self.step("Sends files.", &[], "static_files", &[files, index]);
        };
        let at = self.scripts_at(root, php);
        let scripts = preset_keys.and_then(|preset_keys| preset_keys.get(&preset::SCRIPTS));
        let only = scripts.map(|scripts| format!("match = {}", quoted(&scripts)));
        let declines = || "missing = \"decline\"".to_owned();
        let front = self.front_controller(root, preset_keys);
        let runs = [at.clone(), declines()];
        let sent = [files, index];
        let mut text = self.step(SCRIPT, only.as_slice(), "fastcgi", &runs);
        if let Some(pattern) = self.exceptions(preset_keys).filter(|_| front.is_some()) {
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

    /// Returns `front_controller` with the key in question: the user's, the preset's, or the default.
    fn front<'a>(&'a self, key: &dyn AnyKey, preset_keys: Option<&'a Lowered>) -> Cow<'a, Lowered> {
        let tables = [Some(self.section), preset_keys].into_iter().flatten();
        tables
            .filter_map(|section| section.given(&FRONT_CONTROLLER))
            .find(|table| table.is_given(key))
            .map_or_else(|| self.section.get(&FRONT_CONTROLLER), Cow::Borrowed)
    }

    /// Returns the pattern of paths excluded from the front controller; `None` if there are none.
    fn exceptions(&self, preset_keys: Option<&Lowered>) -> Option<String> {
        let extensions: Vec<_> = self
            .front(&front::EXCEPT, preset_keys)
            .get(&front::EXCEPT)
            .into_iter()
            .map(|extension| pattern(extension.trim_start_matches('.')))
            .collect();
        let all = extensions.join("|");
        (!all.is_empty()).then(|| format!("(?i)\\.({all})$"))
    }

    /// Returns the front controller as the key of a handler; `None` if there is none.
    fn front_controller(&self, root: &str, preset_keys: Option<&Lowered>) -> Option<String> {
        let front = self
            .front(&front::SCRIPT, preset_keys)
            .get(&front::SCRIPT)
            .value;
        let name = front.trim_start_matches('/');
        // A `$` in a path is literal.
        let script = format!("{}/{name}", root.trim_end_matches('/')).replace('$', "$$");
        (!front.is_empty()).then(|| format!("script = {}", quoted(&script)))
    }

    /// Returns the section that decides about a key: the user's, the preset's, or the default.
    fn deciding_section<'a>(
        &'a self,
        key: &dyn AnyKey,
        preset_keys: Option<&'a Lowered>,
    ) -> &'a Lowered {
        let preset_keys = preset_keys
            .filter(|preset_keys| preset_keys.is_given(key) && !self.section.is_given(key));
        preset_keys.unwrap_or(self.section)
    }

    fn files(&self, root: &str, preset_keys: Option<&Lowered>) -> String {
        let mut keys = vec![self.at(root)];
        let own = self.own_files();
        let has = |key: &dyn AnyKey| own.is_some_and(|own| own.is_given(key));
        let lines = own.map(|own| own.to_toml(&[])).unwrap_or_default();
        keys.extend(lines.lines().map(str::to_owned));
        if self.lists && !has(&LISTING) {
            keys.push("listing = false".to_owned());
        }
        if let Some(preset_keys) = preset_keys {
            let immutable = preset_keys.get(&preset::IMMUTABLE) && !has(&IMMUTABLE);
            keys.extend(immutable.then(|| "immutable = true".to_owned()));
            let symlinks = preset_keys
                .get(&preset::SYMLINKS)
                .filter(|_| !self.has_symlinks && !has(&SYMLINKS))
                .map(|text| format!("symlinks = {}", quoted(&text)));
            keys.extend(symlinks);
        }
        joined(&keys)
    }

    /// Returns `files` of a mount; those of a site are not copied into its rules.
    fn own_files(&self) -> Option<&Lowered> {
        self.mount.as_ref()?;
        self.section.given(&mount::FILES)
    }

    fn scripts_at(&self, root: &str, php: &str) -> String {
        let upstream = self
            .names_php
            .then(|| format!("upstream = {}", quoted(php)));
        let symlinks = self
            .own_files()
            .and_then(|own| own.given(&SYMLINKS))
            .map(|text| format!("symlinks = {}", quoted(&text)));
        joined(&[
            upstream.unwrap_or_default(),
            self.at(root),
            symlinks.unwrap_or_default(),
        ])
    }

    /// Returns the root of a handler, if it differs from the site's.
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

/// Returns a regular expression that matches exactly this path.
fn pattern(path: &str) -> String {
    // A non-ASCII letter is its bytes in sequence, outside of classes.
    regex::escape(path)
}

fn steps(section: &Lowered, key: &str) -> Vec<ImpliedRule> {
    let imply = |step: &Lowered| {
        let why = step.get(&preset::WHY).map(|why| why.value);
        Some(ImpliedRule {
            rule: step.given(&preset::RULE_KEY)?.clone(),
            key: key.to_owned(),
            why: why.unwrap_or_default(),
        })
    };
    let steps = section.get(&preset::STEP_KEY).iter();
    steps.filter_map(imply).collect()
}

#[cfg(test)]
mod tests;

//! `[[site.mount]]`: another root, at a path of the site.

use std::cmp::Reverse;

use super::front::{FRONT_CONTROLLER, INDEX};
use super::preset::PRESET;
use crate::handler::mount::Mount;
use crate::handler::static_files::MOUNTED_FILES;
use crate::section::{At, Key, Lowered, Problem, Problems, Section, Table, Tables};

pub(super) static MOUNTS: Key<Tables> =
    Key::tables("mount", &MOUNT, "Other roots at paths of the site.").example("[]");

/// The `[[site.mount]]` section.
pub(super) static MOUNT: Section = Section {
    title: "[[site.mount]]",
    doc: "Another root at a path of the site, as with Apache's Alias: for all paths below, `root` and `php` imply the same rules as for a site. SCRIPT_NAME begins with the path, so that an application can build its own URLs. Mounts come after the rules of the site, longer paths first; nothing below a mount reaches the site's `root`.",
    groups: &[&[
        &PATH,
        &ROOT,
        &PHP,
        &INDEX,
        &FRONT_CONTROLLER,
        &PRESET,
        &FILES,
    ]],
};

static PATH: Key<Option<At<String>>> =
    Key::text("path", "The path: whole segments, but not /.").shown("\"/my/app/\"");

pub(super) static ROOT: Key<Option<At<String>>> =
    Key::text("root", "The document root, an absolute path.").shown("\"/srv/other/public\"");

pub(super) static PHP: Key<Option<At<String>>> = Key::text(
    "php",
    "As `php` of the site, which is the default. \"\": files only, no scripts.",
)
.example("\"\"");

pub(super) static FILES: Key<Table> =
    Key::table("files", &MOUNTED_FILES, "Settings for its static files.");

/// Returns the mounts of a site, longest path first.
pub(super) fn mounts<'a>(site: &'a Lowered, problems: &mut Problems) -> Vec<(Mount, &'a Lowered)> {
    let mut mounts: Vec<(Mount, &Lowered)> = Vec::new();
    for section in site.get(&MOUNTS) {
        let Some(text) = section.get(&PATH) else {
            let problem = Problem::new(section.place(), "a mount needs a `path`");
            problems.push(problem.help("path = \"/my/app/\""));
            continue;
        };
        let Some(mount) = Mount::at(&text, problems) else {
            continue;
        };
        if mounts.iter().any(|(other, _)| *other == mount) {
            let message = format!("a second mount at `{}`", text.value);
            problems.push(Problem::new(text.place, message));
            continue;
        }
        mounts.push((mount, section));
    }
    mounts.sort_by_key(|(mount, _)| Reverse(mount.as_str().len()));
    mounts
}

//! `[site.send_file]`: its keys, its validation.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::{Folder, SendFile};
use crate::cgi::long_variable;
use crate::message::Root;
use crate::section::{At, Key, Lowered, Pairs, Problem, Problems, Section, absolute_path};

/// The `send_file` section.
pub static SEND_FILE: Section = Section {
    title: "[site.send_file]",
    doc: "Files that a script names by X-Sendfile or X-Accel-Redirect and the gateway sends, while the worker is free again: with ranges, conditions and HEAD as any file, and with the status and the fields of the script (except Content-Length, Content-Range and Content-Encoding). Clients never see the field that names the file, and cannot request these folders by it. A file that is missing or outside gets 404 and an error in the log. Without this section such a field is dropped and the script's own content sent.\nThe script learns the supported field from HTTP_X_SENDFILE_TYPE, with HTTP_X_ACCEL_MAPPING, where Symfony and others look for it; clients cannot set these.",
    groups: &[&[&ROOTS, &INTERNAL, &BACKEND_ROOTS, &ALL_NAMES]],
};

static ROOTS: Key<Vec<At<String>>> = Key::texts("roots", "Folders in which X-Sendfile may name any file, by its literal absolute path, not percent-encoded. Symbolic links cannot lead out of them.").example("[\"/srv/files\"]");

static INTERNAL: Key<Pairs> = Key::pairs("internal", "Prefixes of the URIs that X-Accel-Redirect may name, percent-encoded, each with its folder. The longest matching one applies.").example("{ \"/protected/\" = \"/srv/files\" }");

static BACKEND_ROOTS: Key<Pairs> = Key::pairs("backend_roots", "Paths of these folders in PHP, if PHP sees them elsewhere. For those below the document root upstream.NAME.backend_root suffices.").example("{ \"/srv/files\" = \"/app/files\" }");

static ALL_NAMES: Key<bool> = Key::flag("all_names", "Sends dotfiles, PHP sources and editor backups too, as a store of users' files may need. Not for folders with code or secrets of the site itself.").default("false");

impl SendFile {
    /// Builds the settings from their section; reports paths that are not absolute, and values that cannot be
    /// passed to a script.
    pub fn build(section: &Lowered, problems: &mut Problems) -> Self {
        let elsewhere = section.get(&BACKEND_ROOTS);
        let mut folder = |text: &At<String>| folder(text, &elsewhere, problems);
        let roots: Vec<_> = section.get(&ROOTS).iter().filter_map(&mut folder).collect();
        let pairs = section.get(&INTERNAL);
        let internal: Vec<_> = pairs
            .iter()
            .filter_map(|(uri, text)| Some((uri, folder(text)?)))
            .collect();
        check(section, &roots, &internal, problems);
        let internal = internal
            .into_iter()
            .map(|(uri, folder)| (prefix(&uri.value), folder))
            .collect();
        Self::new(roots, internal, section.get(&ALL_NAMES))
    }
}

fn folder(
    text: &At<String>,
    elsewhere: &[(At<String>, At<String>)],
    problems: &mut Problems,
) -> Option<Folder> {
    let path = absolute_path(text, problems)?;
    let named = elsewhere
        .iter()
        .find(|(known, _)| Path::new(&known.value) == path);
    let seen = named.map(|(_, seen)| PathBuf::from(&seen.value));
    Some(Folder {
        root: Root(path),
        seen,
    })
}

fn check(
    section: &Lowered,
    roots: &[Folder],
    internal: &[(&At<String>, Folder)],
    problems: &mut Problems,
) {
    if !section.is_given(&ROOTS) && !section.is_given(&INTERNAL) {
        let problem = Problem::new(
            section.place(),
            "send_file has neither `roots` nor `internal`",
        );
        problems.push(problem.help("roots = [\"/srv/files\"], for scripts that use X-Sendfile"));
    }
    for (uri, folder) in internal {
        if !uri.value.starts_with('/') {
            let message = format!("the prefix `{}` does not begin with a slash", uri.value);
            problems.push(Problem::new(uri.place.clone(), message));
        }
        let seen = folder.seen.as_ref().unwrap_or(&folder.root.0);
        if !(is_plain(uri.value.as_bytes()) && is_plain(seen.as_os_str().as_bytes())) {
            let message = "a comma, a quote, `=` or `\\` cannot be passed to a script in HTTP_X_ACCEL_MAPPING";
            problems.push(Problem::new(uri.place.clone(), message));
        }
    }
    check_mapping(section, internal, problems);
    let known = |path: &str| {
        let folders = roots
            .iter()
            .chain(internal.iter().map(|(_, folder)| folder));
        folders
            .into_iter()
            .any(|folder| folder.root.0 == Path::new(path))
    };
    for (path, seen) in section.get(&BACKEND_ROOTS) {
        absolute_path(&seen, problems);
        let all_are_known = !section.is_wrong(&ROOTS) && !section.is_wrong(&INTERNAL);
        if all_are_known && !known(&path.value) {
            let message = format!("`{}` is not a folder of `roots` or `internal`", path.value);
            problems.push(Problem::new(path.place, message));
        }
    }
}

/// Reports a list of folders that is too long: it is one variable, and PHP reads none longer than a record.
fn check_mapping(section: &Lowered, internal: &[(&At<String>, Folder)], problems: &mut Problems) {
    let pairs = internal.iter().map(|(uri, folder)| {
        let seen = folder.seen.as_ref().unwrap_or(&folder.root.0);
        seen.as_os_str().len() + "/=/,".len() + uri.value.len()
    });
    if let Some(message) = long_variable::describe_excess("HTTP_X_ACCEL_MAPPING", pairs.sum()) {
        let problem = Problem::new(section.place_of(&INTERNAL), message);
        problems.push(problem.help("list fewer folders, which contain the others"));
    }
}

/// Reports whether `text` may stand in X-Accel-Mapping, a list of `folder=prefix`.
fn is_plain(text: &[u8]) -> bool {
    !text.iter().any(|byte| b",=\"\\".contains(byte))
}

/// Returns the prefix with a slash at its end: `/protected` does not match `/protected-too`.
fn prefix(uri: &str) -> String {
    format!("{}/", uri.trim_end_matches('/'))
}

//! `exists`: something stands at a path of the disk. The path is a template whose folder is known when
//! the configuration is loaded; nothing outside of that folder is ever looked at.

use std::path::PathBuf;

use crate::message::{Disk, Request, Root};
use crate::route::template::{Groups, Template};
use crate::route::{Captures, Scope};
use crate::section::{At, Key, Kind, Lowered, Problem, Problems, Section};

/// The `exists` key.
pub const KEY: Key = Key::new("exists", Kind::Table(&EXISTS), "Something stands at a path of the disk, which may have variables: `file`, `directory`, or `any` of the two. Symbolic links that lead out of the folder before the first variable count as missing.").example("{ file = \"$root$path\" }");

static EXISTS: Section = Section {
    title: "exists",
    doc: "",
    keys: &[
        Key::new("file", Kind::Text, "A regular file."),
        Key::new("directory", Kind::Text, "A folder."),
        Key::new("any", Kind::Text, "One of the two."),
    ],
};

/// What must be there.
#[derive(Debug)]
pub struct Exists {
    pub(super) wanted: Wanted,
    pub(super) root: Root,
    /// What follows the root.
    pub(super) below: Template,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    File,
    Directory,
    Any,
}

impl Exists {
    /// From its section; `names` are those that the path may have.
    pub fn new(section: &Lowered, names: &Groups, problems: &mut Problems) -> Option<Self> {
        let given = section.given_keys();
        let [key] = given.as_slice() else {
            let message = "`exists` has exactly one of file, directory and any";
            problems.push(
                Problem::new(section.place(), message).help("exists = { file = \"$root$path\" }"),
            );
            return None;
        };
        let wanted = match key.value {
            "file" => Wanted::File,
            "directory" => Wanted::Directory,
            _ => Wanted::Any,
        };
        Self::at(wanted, &section.text(key.value)?, names, problems)
    }

    fn at(
        wanted: Wanted,
        text: &At<String>,
        names: &Groups,
        problems: &mut Problems,
    ) -> Option<Self> {
        let refuse = |message| Problem::new(text.place.clone(), message);
        let template = match Template::parse(&text.value, names) {
            Ok(template) => template,
            Err(error) => {
                problems.push(refuse(error.to_string()));
                return None;
            }
        };
        let Some((folder, below)) = template.split_folder(names.root()) else {
            let message = format!("`{}` does not begin with a folder", text.value);
            problems.push(
                refuse(message)
                    .help("write \"/srv/app$path\", or \"$root$path\" for the root of the site"),
            );
            return None;
        };
        Some(Self {
            wanted,
            root: Root(PathBuf::from(folder)),
            below,
        })
    }

    /// Whether it is there.
    pub fn holds(&self, request: &Request, captures: &Captures, disk: &dyn Disk) -> bool {
        let path = self.below.expand(&Scope { request, captures });
        match self.wanted {
            Wanted::File => disk.is_file(&self.root, &path),
            Wanted::Directory => disk.is_directory(&self.root, &path),
            Wanted::Any => disk.is_file(&self.root, &path) || disk.is_directory(&self.root, &path),
        }
    }
}

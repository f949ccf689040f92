//! `exists`: a file or folder at a disk path. The path is a template whose folder is known when the
//! configuration is loaded; nothing outside of that folder is ever accessed.

use std::fmt;
use std::path::PathBuf;

use super::set::Builder;
use super::{Cost, Criterion, Exhausted};
use crate::message::{Disk, Request, Root};
use crate::route::template::{Groups, Template};
use crate::route::{Captures, Scope};
use crate::section::{At, Key, Lowered, Problem, Problems, Section, Table};

/// The `exists` key.
pub(super) static KEY: Key<Table> = Key::table("exists", &EXISTS, "A file or folder exists at a disk path, which may have variables: `file`, `directory`, or `any` of the two. Symbolic links out of the folder before the first variable count as missing.").example("{ file = \"$root$path\" }");

static EXISTS: Section = Section {
    title: "exists",
    doc: "",
    groups: &[&[&FILE, &DIRECTORY, &ANY]],
};

static FILE: Key<Option<At<String>>> = Key::text("file", "A regular file.");

static DIRECTORY: Key<Option<At<String>>> = Key::text("directory", "A folder.");

static ANY: Key<Option<At<String>>> = Key::text("any", "One of the two.");

/// The required file or folder.
#[derive(Debug)]
pub struct Exists {
    wanted: Wanted,
    root: Root,
    /// Template of the path below the root.
    below: Template,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    File,
    Directory,
    Any,
}

impl Exists {
    /// Builds the condition from its section; `names` are available to the path.
    pub fn new(section: &Lowered, names: &Groups, problems: &mut Problems) -> Option<Self> {
        let all = [
            (&FILE, Wanted::File),
            (&DIRECTORY, Wanted::Directory),
            (&ANY, Wanted::Any),
        ];
        let mut given = all
            .into_iter()
            .filter_map(|(key, wanted)| Some((section.get(key)?, wanted)));
        let (Some((text, wanted)), None) = (given.next(), given.next()) else {
            let message = "`exists` has exactly one of file, directory and any";
            problems.push(
                Problem::new(section.place(), message).help("exists = { file = \"$root$path\" }"),
            );
            return None;
        };
        Self::at(wanted, &text, names, problems)
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
}

pub(super) fn build(section: &Lowered, builder: &mut Builder<'_>) -> Option<Box<Exists>> {
    let table = section.given(&KEY)?;
    let names = builder.names();
    Exists::new(table, &names, builder.problems).map(Box::new)
}

impl Criterion for Exists {
    fn cost(&self) -> Cost {
        Cost::Disk
    }

    fn holds(
        &self,
        request: &Request,
        disk: &dyn Disk,
        captures: &mut Captures,
    ) -> Result<bool, Exhausted> {
        let path = self.below.expand(&Scope::new(request, captures));
        Ok(match self.wanted {
            Wanted::File => disk.is_file(&self.root, &path),
            Wanted::Directory => disk.is_directory(&self.root, &path),
            Wanted::Any => disk.is_file(&self.root, &path) || disk.is_directory(&self.root, &path),
        })
    }

    fn asks_for_target(&self) -> bool {
        true
    }
}

impl fmt::Display for Exists {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wanted = match self.wanted {
            Wanted::File => "file",
            Wanted::Directory => "directory",
            Wanted::Any => "file or directory",
        };
        write!(f, "exists {wanted} {}{}", self.root.0.display(), self.below)
    }
}

//! The configuration: text becomes a [`Snapshot`] in one step, or every error of every file is
//! reported at once and nothing changes.

mod action;
pub mod admin;
mod build_context;
mod certificates;
mod denied_folders;
pub mod diagnostic;
pub mod difference;
mod draft;
mod expanded;
mod expansion;
mod file;
mod folders;
mod front;
mod kept_limiters;
pub mod listen;
mod listener_names;
mod logs;
mod mount;
mod outline;
mod parallel;
mod preset;
mod review;
pub mod rule;
pub mod server;
pub mod site;
mod site_section;
mod sites;
pub mod snapshot;
pub mod source;

#[cfg(test)]
mod tests;

use std::path::Path;

pub use denied_folders::denied_folders;
pub use expanded::expanded;
pub use file::ROOT;
pub use folders::unwritable_log;

use crate::files::Files;
use crate::section::{FileId, Place, Problem, Problems};
use crate::site::{AdminSettings, Snapshot};
use source::Sources;

/// A rejected configuration: all of its errors, rendered with file, line, column and the source line.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct Invalid {
    text: String,
    /// The errors without values.
    outline: String,
}

impl Invalid {
    fn of(problems: &[Problem], sources: &Sources) -> Self {
        Self {
            text: diagnostic::render(problems, sources),
            outline: outline::outline(problems, sources),
        }
    }

    /// Returns the errors by file, line, column and key, without values, which may be secrets.
    pub fn outline(&self) -> &str {
        &self.outline
    }
}

/// Loads the file at `path` and its includes, and the files that they name, through `files`. Carries over from
/// `previous` everything unchanged. The warnings of a bundle were reported when it was recorded.
pub fn load(path: &Path, previous: Option<&Snapshot>, files: &Files) -> Result<Snapshot, Invalid> {
    let mut problems = Problems::default();
    let environment = |name: &str| std::env::var(name).ok();
    let (sources, sections) = source::read(path, &ROOT, &environment, files, &mut problems);
    let snapshot = Snapshot::build(sections, &sources, previous, files, &mut problems);
    if let Some(path) = files.lacking() {
        return Err(Invalid::of(&[changed_meanwhile(&path)], &sources));
    }
    let mut warnings = problems.take_warnings();
    if files.is_bundle() {
        warnings.clear();
    }
    let problems = problems.into_sorted();
    match snapshot {
        Some(snapshot) if problems.is_empty() => {
            Ok(snapshot.with_warnings(diagnostic::render_warnings(&warnings, &sources)))
        }
        Some(_) | None => Err(Invalid::of(&problems, &sources)),
    }
}

/// Builds the problem of a bundle without the file at `path`: all others are consequences.
fn changed_meanwhile(path: &Path) -> Problem {
    let message = format!(
        "the configuration changed while it was loaded: {} was not read before",
        path.display()
    );
    let place = Place {
        file: FileId(0),
        span: 0..0,
    };
    Problem::new(place, message).help("reload it once more")
}

/// Loads `[admin]` of the file at `path`, for clients of a running gateway; ignores errors elsewhere in
/// the file.
pub fn admin_of(path: &Path) -> Result<AdminSettings, Invalid> {
    let mut problems = Problems::default();
    let files = &Files::own();
    let environment = |name: &str| std::env::var(name).ok();
    let (sources, sections) = source::read(path, &ROOT, &environment, files, &mut problems);
    let Some(main) = sections.first() else {
        return Err(Invalid::of(&problems.into_sorted(), &sources));
    };
    let mut own = Problems::default();
    let settings = AdminSettings::build(&main.get(&admin::KEY), files, &mut own);
    if own.is_empty() {
        Ok(settings)
    } else {
        Err(Invalid::of(&own.into_sorted(), &sources))
    }
}

//! The configuration: text becomes a [`Snapshot`] in one step, or every error of every file is
//! reported at once and nothing changes.

mod action;
pub mod admin;
mod build_context;
mod certificates;
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

pub use expanded::expanded;
pub use file::ROOT;
pub use folders::unwritable_log;

use crate::section::{Problem, Problems};
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

/// Loads the file at `path` and its includes. Carries over from `previous` everything unchanged.
pub fn load(path: &Path, previous: Option<&Snapshot>) -> Result<Snapshot, Invalid> {
    let mut problems = Problems::default();
    let (sources, files) =
        source::read(path, &ROOT, &|name| std::env::var(name).ok(), &mut problems);
    let snapshot = Snapshot::build(files, &sources, previous, &mut problems);
    let warnings = diagnostic::render_warnings(&problems.take_warnings(), &sources);
    let problems = problems.into_sorted();
    match snapshot {
        Some(snapshot) if problems.is_empty() => Ok(snapshot.with_warnings(warnings)),
        Some(_) | None => Err(Invalid::of(&problems, &sources)),
    }
}

/// Loads `[admin]` of the file at `path`, for clients of a running gateway; ignores errors elsewhere in
/// the file.
pub fn admin_of(path: &Path) -> Result<AdminSettings, Invalid> {
    let mut problems = Problems::default();
    let (sources, files) =
        source::read(path, &ROOT, &|name| std::env::var(name).ok(), &mut problems);
    let Some(main) = files.first() else {
        return Err(Invalid::of(&problems.into_sorted(), &sources));
    };
    let mut own = Problems::default();
    let settings = AdminSettings::build(&main.get(&admin::KEY), &mut own);
    if own.is_empty() {
        Ok(settings)
    } else {
        Err(Invalid::of(&own.into_sorted(), &sources))
    }
}

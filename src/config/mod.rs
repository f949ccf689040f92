//! The configuration: text becomes a [`Snapshot`] in one step, or every error of every file is
//! told at once and nothing is changed.

mod action;
pub mod admin;
mod certificates;
pub mod diagnostic;
pub mod difference;
mod draft;
mod expanded;
mod expansion;
mod file;
mod folders;
mod front;
pub mod listen;
mod listener_names;
mod mount;
mod outline;
mod preset;
mod review;
pub mod rule;
pub mod server;
mod side_by_side;
pub mod site;
mod site_section;
mod sites;
pub mod snapshot;
pub mod source;
mod surroundings;

#[cfg(test)]
mod tests;

use std::path::Path;

pub use expanded::expanded;
pub use file::ROOT;
pub use folders::unwritable_log;

use crate::section::{Problem, Problems};
use crate::site::{AdminSettings, Snapshot};
use source::Sources;

/// A configuration that cannot be used: all that is wrong with it, rendered with file, line,
/// column and the line itself.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct Invalid {
    text: String,
    /// The same without values.
    outline: String,
}

impl Invalid {
    fn of(problems: &[Problem], sources: &Sources) -> Self {
        Self {
            text: diagnostic::render(problems, sources),
            outline: outline::outline(problems, sources),
        }
    }

    /// Returns what is wrong by files, lines, columns and keys, for those who may not see values.
    pub fn outline(&self) -> &str {
        &self.outline
    }
}

/// Loads the file at `path` and all that it includes. What did not change since `previous` is
/// carried over from it.
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

/// `[admin]` of the file at `path`: for who asks a running gateway, whatever the rest of the file is by
/// now.
pub fn admin_of(path: &Path) -> Result<AdminSettings, Invalid> {
    let mut problems = Problems::default();
    let (sources, files) =
        source::read(path, &ROOT, &|name| std::env::var(name).ok(), &mut problems);
    let Some(main) = files.first() else {
        return Err(Invalid::of(&problems.into_sorted(), &sources));
    };
    let mut own = Problems::default();
    let settings = AdminSettings::build(&main.get(&admin::KEY), &mut own);
    match own.is_empty() {
        true => Ok(settings),
        false => Err(Invalid::of(&own.into_sorted(), &sources)),
    }
}

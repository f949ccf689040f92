//! What is wrong with a configuration, collected so that everything is reported at once.

use std::collections::HashSet;

use super::{FileId, Place};

/// One thing that the user has to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands.
    pub place: Place,
    /// What is wrong: one phrase, lower case, without a full stop.
    pub message: String,
    /// A few words to stand under the place.
    pub label: Option<String>,
    /// What to do about it.
    pub help: Option<String>,
    /// Whether it is told whatever else the section says: it is not about what the section lacks.
    is_firm: bool,
}

impl Problem {
    /// A problem without label and help.
    pub fn new(place: Place, message: impl Into<String>) -> Self {
        Self {
            place,
            message: message.into(),
            label: None,
            help: None,
            is_firm: false,
        }
    }

    /// The same with a few words under the place.
    #[must_use]
    pub fn label(self, label: impl Into<String>) -> Self {
        Self {
            label: Some(label.into()),
            ..self
        }
    }

    /// The same, told also where a value in the section at its place is wrong. What is wrong with a value
    /// itself is firm, so that something is told of everything that is refused.
    #[must_use]
    pub fn firm(self) -> Self {
        Self {
            is_firm: true,
            ..self
        }
    }

    /// The same with advice.
    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        Self {
            help: Some(help.into()),
            ..self
        }
    }
}

/// Everything that was found wrong so far.
#[derive(Debug, Default)]
pub struct Problems {
    errors: Vec<Problem>,
    warnings: Vec<Problem>,
    /// Sections in which a value is wrong.
    marred: HashSet<(FileId, usize, usize)>,
}

impl Problems {
    /// Adds one.
    pub fn push(&mut self, problem: Problem) {
        self.errors.push(problem);
    }

    /// Adds one that does not keep the configuration from being used.
    pub fn warn(&mut self, problem: Problem) {
        self.warnings.push(problem);
    }

    /// Adds all of `others`.
    pub fn append(&mut self, others: Self) {
        self.errors.extend(others.errors);
        self.warnings.extend(others.warnings);
        self.marred.extend(others.marred);
    }

    /// Forgets what is wrong at places that are not to be `kept`.
    pub fn retain(&mut self, kept: impl Fn(&Place) -> bool) {
        self.errors.retain(|problem| kept(&problem.place));
    }

    /// How many there are so far, without warnings.
    pub(super) fn count(&self) -> usize {
        self.errors.len()
    }

    /// Notes that a value in the section at `place` is wrong, which is told where the value stands: what
    /// the section lacks as a whole may be that very value, and is not told.
    pub(super) fn mar(&mut self, place: &Place) {
        self.marred.insert(key(place));
    }

    /// Drops the warnings.
    #[must_use]
    pub fn without_warnings(self) -> Self {
        Self {
            warnings: Vec::new(),
            ..self
        }
    }

    /// Whether nothing is wrong; warnings do not count.
    pub fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    /// The warnings, in the order of files and of places in a file.
    pub fn take_warnings(&mut self) -> Vec<Problem> {
        sorted(std::mem::take(&mut self.warnings))
    }

    /// All that is wrong, in the order of files and of places in a file.
    pub fn into_sorted(mut self) -> Vec<Problem> {
        let marred = &self.marred;
        self.errors
            .retain(|problem| problem.is_firm || !marred.contains(&key(&problem.place)));
        sorted(self.errors)
    }
}

fn key(Place { file, span }: &Place) -> (FileId, usize, usize) {
    (*file, span.start, span.end)
}

/// What was said before of the same place is not said again: one key can mean several rules.
fn sorted(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.sort_by_key(|problem| (problem.place.file, problem.place.span.start));
    let mut said = HashSet::new();
    problems.retain(|problem| {
        let Place { file, span } = &problem.place;
        said.insert((*file, span.start, problem.message.clone()))
    });
    problems
}

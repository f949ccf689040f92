//! What is wrong with a configuration, collected so that everything is reported at once.

use std::collections::HashSet;

use super::Place;

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
}

impl Problem {
    /// A problem without label and help.
    pub fn new(place: Place, message: impl Into<String>) -> Self {
        Self {
            place,
            message: message.into(),
            label: None,
            help: None,
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
    pub fn into_sorted(self) -> Vec<Problem> {
        sorted(self.errors)
    }
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

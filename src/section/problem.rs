//! Problems of a configuration, collected so that all are reported at once.

use std::borrow::Cow;
use std::collections::HashSet;

use super::{FileId, Place};

/// One fault for the user to correct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Source location.
    pub place: Place,
    /// The fault: one phrase, lower case, without a full stop.
    pub message: String,
    /// A few words under the marked place.
    pub label: Option<String>,
    /// The remedy.
    pub help: Option<String>,
    /// Reported regardless of other faults in the section: it is not about an absence.
    is_unconditional: bool,
    /// Texts free of values: message and help.
    is_public: Public,
}

/// Texts of a problem that are free of values of the configuration: values may be secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Public {
    message: bool,
    help: bool,
}

impl Problem {
    /// Builds a problem without label and help. A static text is free of values; a formatted one is assumed
    /// to contain some, unless [`Problem::without_values`] declares otherwise.
    pub fn new(place: Place, message: impl Into<Cow<'static, str>>) -> Self {
        let message = message.into();
        let is_public = Public {
            message: matches!(message, Cow::Borrowed(_)),
            help: true,
        };
        Self {
            place,
            message: message.into_owned(),
            label: None,
            help: None,
            is_unconditional: false,
            is_public,
        }
    }

    /// Declares message and help free of values; names of keys are allowed.
    #[must_use]
    pub fn without_values(self) -> Self {
        Self {
            is_public: Public {
                message: true,
                help: true,
            },
            ..self
        }
    }

    /// Returns message and help for readers without access to values: each if it is free of them.
    pub fn public(&self) -> (Option<&str>, Option<&str>) {
        let Public { message, help } = self.is_public;
        let help = self.help.as_deref().filter(|_| help);
        (message.then_some(self.message.as_str()), help)
    }

    /// Adds a few words under the place.
    #[must_use]
    pub fn label(self, label: impl Into<String>) -> Self {
        Self {
            label: Some(label.into()),
            ..self
        }
    }

    /// Reports it even if a value in the section at its place is wrong. A fault of a value itself is firm, so
    /// that every refusal has a message.
    #[must_use]
    pub fn unconditional(self) -> Self {
        Self {
            is_unconditional: true,
            ..self
        }
    }

    /// Adds the remedy.
    #[must_use]
    pub fn help(mut self, help: impl Into<Cow<'static, str>>) -> Self {
        let help = help.into();
        self.is_public.help = matches!(help, Cow::Borrowed(_));
        self.help = Some(help.into_owned());
        self
    }
}

/// All problems found.
#[derive(Debug, Default)]
pub struct Problems {
    errors: Vec<Problem>,
    warnings: Vec<Problem>,
    /// Sections with an invalid value.
    invalid_sections: HashSet<(FileId, usize, usize)>,
}

impl Problems {
    /// Adds an error.
    pub fn push(&mut self, problem: Problem) {
        self.errors.push(problem);
    }

    /// Adds a warning, which does not reject the configuration.
    pub fn warn(&mut self, problem: Problem) {
        self.warnings.push(problem);
    }

    /// Adds all of `others`.
    pub fn append(&mut self, others: Self) {
        self.errors.extend(others.errors);
        self.warnings.extend(others.warnings);
        self.invalid_sections.extend(others.invalid_sections);
    }

    /// Removes errors at places that are not to be `kept`.
    pub fn retain(&mut self, kept: impl Fn(&Place) -> bool) {
        self.errors.retain(|problem| kept(&problem.place));
    }

    /// Returns the number of errors, without warnings.
    pub(super) fn count(&self) -> usize {
        self.errors.len()
    }

    /// Marks the section at `place` as having an invalid value, reported at its own place: an absence in the
    /// section may be due to it, and is not reported.
    pub(super) fn mark_invalid(&mut self, place: &Place) {
        self.invalid_sections.insert(key(place));
    }

    /// Drops the warnings.
    #[must_use]
    pub fn without_warnings(self) -> Self {
        Self {
            warnings: Vec::new(),
            ..self
        }
    }

    /// Reports whether there is no error; warnings do not count.
    pub fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    /// Removes and returns the warnings, in the order of files and of places in a file.
    pub fn take_warnings(&mut self) -> Vec<Problem> {
        sorted(std::mem::take(&mut self.warnings))
    }

    /// Returns all errors, in the order of files and of places in a file.
    pub fn into_sorted(mut self) -> Vec<Problem> {
        let invalid_sections = &self.invalid_sections;
        self.errors.retain(|problem| {
            problem.is_unconditional || !invalid_sections.contains(&key(&problem.place))
        });
        sorted(self.errors)
    }
}

fn key(Place { file, span }: &Place) -> (FileId, usize, usize) {
    (*file, span.start, span.end)
}

/// Sorts, and removes duplicates at the same place: one key can imply several rules.
fn sorted(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.sort_by_key(|problem| (problem.place.file, problem.place.span.start));
    let mut reported = HashSet::new();
    problems.retain(|problem| {
        let Place { file, span } = &problem.place;
        reported.insert((*file, span.start, problem.message.clone()))
    });
    problems
}

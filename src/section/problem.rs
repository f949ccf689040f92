//! What is wrong with a configuration, collected so that everything is reported at once.

use std::borrow::Cow;
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
    /// Whether the message is free of values, and the help.
    is_public: Public,
}

/// Which texts of a problem have no value of the configuration in them: values may be secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Public {
    message: bool,
    help: bool,
}

impl Problem {
    /// A problem without label and help. A text of the program is free of values; one that was put together is taken
    /// to have some in it, unless [`Problem::without_values`] says otherwise.
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
            is_firm: false,
            is_public,
        }
    }

    /// The same, with a message and advice in which names of keys may stand but no value.
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

    /// Returns the message and the advice for those who may not see values: each where there is none in it.
    pub fn public(&self) -> (Option<&str>, Option<&str>) {
        let Public { message, help } = self.is_public;
        let help = self.help.as_deref().filter(|_| help);
        (message.then_some(self.message.as_str()), help)
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
    pub fn help(mut self, help: impl Into<Cow<'static, str>>) -> Self {
        let help = help.into();
        self.is_public.help = matches!(help, Cow::Borrowed(_));
        self.help = Some(help.into_owned());
        self
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

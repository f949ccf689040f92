//! From a parsed table to a [`Lowered`] section, by the descriptor table.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::environment::{Environment, expand};
use super::lowered::{Given, Value};
use super::{At, Descriptor, FileId, Lowered, Place, Problem, Problems, Section};

impl Section {
    /// Reads `table`, found at `place`, against this description. What is wrong goes to `problems`
    /// and is then as if it were absent. Variables in texts come from `environment`.
    pub fn lower(
        &'static self,
        table: &DeTable<'_>,
        place: Place,
        environment: &Environment<'_>,
        problems: &mut Problems,
    ) -> Lowered {
        Lowering {
            origin: Origin::File(place.file, 0),
            environment,
            problems,
        }
        .section(self, table, place)
    }

    /// Reads `table`, which is that of a part of a file from some byte on.
    pub fn lower_part(
        &'static self,
        table: &DeTable<'_>,
        (file, offset): (FileId, usize),
        environment: &Environment<'_>,
        problems: &mut Problems,
    ) -> Lowered {
        let place = Place { file, span: 0..0 };
        Lowering {
            origin: Origin::File(file, offset),
            environment,
            problems,
        }
        .section(self, table, place)
    }

    /// Reads `table`, which the program itself has written on behalf of what stands at `place`.
    pub(super) fn lower_own(
        &'static self,
        table: &DeTable<'_>,
        place: &Place,
        environment: &Environment<'_>,
        problems: &mut Problems,
    ) -> Lowered {
        Lowering {
            origin: Origin::Descriptor(place.clone()),
            environment,
            problems,
        }
        .section(self, table, place.clone())
    }
}

impl Descriptor {
    /// Reads a literal of this descriptor, for the section at `place`. `None` with a problem when the
    /// descriptor is wrong, which the tests of its owner find.
    pub(super) fn literal(
        &self,
        literal: &str,
        place: &Place,
        problems: &mut Problems,
    ) -> Option<Value> {
        let mut lowering = Lowering {
            origin: Origin::Descriptor(place.clone()),
            environment: &|_| None,
            problems,
        };
        match DeValue::parse(literal) {
            Ok(value) => lowering.value(self.kind, &value),
            Err(error) => {
                problems.push(Problem::new(
                    place.clone(),
                    format!("`{literal}`: {}", error.message()),
                ));
                None
            }
        }
    }
}

#[cfg(test)]
impl Descriptor {
    /// Returns what is wrong with a literal as the value of this key.
    pub(crate) fn faults(&self, literal: &str) -> Vec<String> {
        let mut problems = Problems::default();
        let _ = self.literal(literal, &Place::default(), &mut problems);
        let problems = problems.into_sorted().into_iter();
        problems.map(|problem| problem.message).collect()
    }
}

/// Reports whether a value in which something is wrong lacks something itself, and not only within the
/// sections in it.
fn is_lacking(value: Option<&Value>, written: &Spanned<DeValue<'_>>) -> bool {
    let written = written.get_ref();
    match value {
        None => true,
        Some(Value::Table(_)) => false,
        Some(Value::Tables(read)) => written.as_array().map_or(0, |list| list.len()) != read.len(),
        Some(Value::Named(read)) => written.as_table().map_or(0, |table| table.len()) != read.len(),
        Some(Value::Text(_) | Value::Flag(_) | Value::Integer(_) | Value::Size(_)) => true,
        Some(Value::Duration(_) | Value::Percent(_) | Value::Texts(_) | Value::Pairs(_)) => true,
    }
}

/// What reading a value needs besides the value.
pub(super) struct Lowering<'a> {
    origin: Origin,
    environment: &'a Environment<'a>,
    pub(super) problems: &'a mut Problems,
}

/// Where the text being read stands.
enum Origin {
    /// From this byte of it on.
    File(FileId, usize),
    /// In the program: its spans mean nothing to the user, who is shown this place instead.
    Descriptor(Place),
}

impl Lowering<'_> {
    pub(super) fn section(
        &mut self,
        section: &'static Section,
        table: &DeTable<'_>,
        place: Place,
    ) -> Lowered {
        let mut given = Vec::with_capacity(table.len());
        let mut wrong = Vec::new();
        for (name, written) in table {
            let Some(key) = section.key(name.get_ref()) else {
                wrong.extend(self.unknown_key(section, name));
                self.problems.mar(&place);
                continue;
            };
            let before = self.problems.count();
            let value = self.value(key.kind, written);
            if self.problems.count() > before && is_lacking(value.as_ref(), written) {
                wrong.push(key);
                self.problems.mar(&place);
            }
            if let Some(value) = value {
                let (name, place) = (self.place(name.span()), self.place(written.span()));
                given.push(Given {
                    key,
                    name,
                    value: At { value, place },
                });
            }
        }
        Lowered::new(section, place, given).without(wrong)
    }

    /// Returns the key that is meant, where one is near.
    fn unknown_key(
        &mut self,
        section: &'static Section,
        name: &Spanned<DeString<'_>>,
    ) -> Option<&'static Descriptor> {
        let names = || section.keys().map(|key| key.name);
        let near = nearest(name.get_ref(), names());
        let help = near.map(|near| format!("did you mean `{near}`?"));
        let listed = || {
            names()
                .map(|name| format!("`{name}`"))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let help = help.unwrap_or_else(|| format!("known keys of {}: {}", section.title, listed()));
        let problem = Problem::new(
            self.place(name.span()),
            format!("unknown key `{}`", name.get_ref()),
        );
        self.problems
            .push(problem.help(help).firm().without_values());
        near.and_then(|near| section.key(near))
    }

    pub(super) fn place(&self, span: Range<usize>) -> Place {
        match &self.origin {
            Origin::File(file, offset) => Place {
                file: *file,
                span: span.start + offset..span.end + offset,
            },
            Origin::Descriptor(place) => place.clone(),
        }
    }

    pub(super) fn at<T>(&self, value: T, span: Range<usize>) -> At<T> {
        At {
            value,
            place: self.place(span),
        }
    }

    /// A text with its variables replaced, or a problem for each that is not set.
    pub(super) fn expand(&mut self, text: &str, span: Range<usize>) -> Option<At<String>> {
        let place = self.place(span);
        match expand(text, self.environment) {
            Ok(value) => Some(At { value, place }),
            Err(unset) => {
                for name in unset {
                    let problem = Problem::new(
                        place.clone(),
                        format!("the environment variable {name} is not set"),
                    );
                    let help = format!(
                        "set it, write `${{{name}:-default}}`, or `$${{{name}}}` for the text itself"
                    );
                    self.problems
                        .push(problem.help(help).firm().without_values());
                }
                None
            }
        }
    }
}

/// The candidate that a misspelt `word` most likely means: one edit away, or one for each three
/// letters, with `-` and capitals forgiven.
pub(super) fn nearest<'a>(
    word: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    let word = word.to_lowercase().replace('-', "_");
    // A long word is near to nothing, and the distance costs the product of the lengths.
    let edits = (word.chars().count() / 3).max(1);
    let distance = |candidate: &&str| strsim::osa_distance(&word, candidate);
    let near = candidates.filter(|candidate| {
        candidate.len() <= word.len() + edits && word.len() <= candidate.len() + edits
    });
    let near = near.map(|candidate| (distance(&candidate), candidate));
    near.filter(|(distance, _)| *distance <= edits)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, near)| near)
}

//! The files of a configuration: reading, parsing, and following `include`.
//!
//! Every file is read and every problem collected. Of a file with a syntax error only the lines before
//! the first such error are judged, as the rest may have been understood wrongly.

mod parts;

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, Error};

use super::server;
use crate::section::{At, Environment, FileId, Key, Lowered, Place, Problem, Problems, Section};
use crate::site::watched::{Watched, matches};

pub(super) static INCLUDE: Key<Vec<At<String>>> = Key::texts("include", "Further files of the same shape, without [server] and [admin]; relative to this file, * and ? are understood.").example("[\"sites/*.toml\"]");

/// One file as it was read.
#[derive(Clone, Debug)]
pub struct Source {
    /// The path as it is shown to the user.
    pub path: PathBuf,
    /// The whole text; empty when the file could not be read.
    pub text: String,
}

/// The files that were read, in the order of reading; the main file first.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    files: Vec<Source>,
    /// Where in each file there is a line feed: every rule's place is shown, and there are many.
    line_feeds: Vec<Vec<usize>>,
    watched: Watched,
}

impl Sources {
    /// The file that a [`Place`] speaks of.
    pub fn get(&self, file: FileId) -> Option<&Source> {
        self.files.get(usize::from(file.0))
    }

    /// Iterates over the files that were read, each with its path.
    pub fn paths(&self) -> impl Iterator<Item = (FileId, &Path)> {
        let numbers = (0..).map(FileId);
        numbers.zip(self.files.iter().map(|source| source.path.as_path()))
    }

    /// Returns what is written at a place.
    pub fn text_at(&self, place: &Place) -> &str {
        let source = self.get(place.file);
        let text = source.and_then(|source| source.text.get(place.span.clone()));
        text.unwrap_or_default()
    }

    /// What was read, to tell when it changes.
    pub fn watched(&self) -> &Watched {
        &self.watched
    }

    /// A place as `file:line`, for a log line that names what made it.
    pub fn show(&self, place: &Place) -> String {
        let Some(source) = self.get(place.file) else {
            return String::new();
        };
        let line_feeds = self.line_feeds.get(usize::from(place.file.0));
        let before = line_feeds.map_or(0, |line_feeds| {
            line_feeds.partition_point(|line_feed| *line_feed < place.span.start)
        });
        format!("{}:{}", source.path.display(), before + 1)
    }

    /// Adds a file; `None` when there are more than [`FileId`] can number.
    fn push(&mut self, source: Source) -> Option<FileId> {
        let id = FileId(u16::try_from(self.files.len()).ok()?);
        let line_feeds = source.text.match_indices('\n').map(|(at, _)| at);
        self.line_feeds.push(line_feeds.collect());
        self.files.push(source);
        Some(id)
    }
}

/// Reads the file at `path` and all that it includes, against the description of a file's top level.
/// The sections are those of the files in the order of reading. When `problems` is not empty
/// afterwards, files may be missing among them, so that references between sections prove nothing.
pub fn read(
    path: &Path,
    root: &'static Section,
    environment: &Environment<'_>,
    problems: &mut Problems,
) -> (Sources, Vec<Lowered>) {
    let mut watched = Watched::default();
    watched.file(path);
    let text = load(path).unwrap_or_else(|error| {
        problems.push(Problem::new(Place::default(), cannot_read(path, &error)));
        String::new()
    });
    let source = Source {
        path: path.to_owned(),
        text,
    };
    parse_watched(source, watched, (root, environment), problems)
}

/// Like [`read`], with the text of the main file at hand; its path serves `include` and messages.
pub fn parse(
    source: Source,
    root: &'static Section,
    environment: &Environment<'_>,
    problems: &mut Problems,
) -> (Sources, Vec<Lowered>) {
    parse_watched(source, Watched::default(), (root, environment), problems)
}

fn parse_watched(
    source: Source,
    watched: Watched,
    (root, environment): (&'static Section, &Environment<'_>),
    problems: &mut Problems,
) -> (Sources, Vec<Lowered>) {
    let seen = source.path.canonicalize().into_iter().collect();
    let mut reader = Reader {
        root,
        environment,
        problems,
        seen,
        sources: Sources {
            watched,
            ..Sources::default()
        },
        sections: Vec::new(),
    };
    reader.file(source, 0);
    (reader.sources, reader.sections)
}

/// How deep files may include each other; the main file is at 0.
const MAX_DEPTH: usize = 8;

/// How many files a configuration may have.
const MAX_FILES: usize = 4096;

/// How long one file may be, in bytes, so that a mistaken path does not fill the memory.
const MAX_LENGTH: u64 = 4 << 20;

fn load(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let length = File::open(path)?
        .take(MAX_LENGTH + 1)
        .read_to_string(&mut text)?;
    if u64::try_from(length).is_ok_and(|length| length <= MAX_LENGTH) {
        Ok(text)
    } else {
        Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            "longer than 4MiB",
        ))
    }
}

struct Reader<'a> {
    root: &'static Section,
    environment: &'a Environment<'a>,
    problems: &'a mut Problems,
    /// Canonical paths: a file is read once, however often and in whatever circle it is included.
    seen: HashSet<PathBuf>,
    sources: Sources,
    sections: Vec<Lowered>,
}

impl Reader<'_> {
    fn file(&mut self, source: Source, depth: usize) {
        let Source { path, text } = source.clone();
        let Some(file) = self.sources.push(source) else {
            return;
        };
        let lowered = self.lower(&text, file);
        if depth > 0 {
            self.refuse_server(&lowered);
        }
        let patterns = if self.root.lists(&INCLUDE) {
            lowered.get(&INCLUDE)
        } else {
            Vec::new()
        };
        self.sections.push(lowered);
        for pattern in patterns {
            self.sources.watched.pattern(&path, &pattern);
            self.include(&path, &pattern, depth + 1);
        }
    }

    fn lower(&mut self, text: &str, file: FileId) -> Lowered {
        if let Some(lowered) = parts::lower(text, file, self.root, self.environment) {
            return lowered;
        }
        let (table, errors) = DeTable::parse_recoverable(text);
        let place = |span: Range<usize>| Place { file, span };
        let trusted = errors
            .iter()
            .map(start)
            .min()
            .map_or(text.len(), |first| line_start(text, first));
        // The parser fills in what is missing at an error with values of no extent.
        let invented = |span: &Range<usize>| !errors.is_empty() && span.is_empty();
        let mut found = Problems::default();
        let lowered = self
            .root
            .lower(table.get_ref(), place(0..0), self.environment, &mut found);
        found.retain(|Place { span, .. }| span.end <= trusted && !invented(span));
        self.problems.append(found);
        for error in first_of_each_line(&errors, text) {
            let span = error.span().unwrap_or_default();
            let problem = Problem::new(place(span), error.message().to_owned());
            // What the parser says is of the grammar alone.
            self.problems.push(problem.firm().without_values());
        }
        lowered
    }

    /// What is said once for the whole process must not hide in one of many files.
    fn refuse_server(&mut self, lowered: &Lowered) {
        let given = lowered.given_keys().into_iter();
        for server in given.filter(|key| key.value == server::KEY.name()) {
            let problem =
                Problem::new(server.place, "[server] may stand only in the main file").firm();
            self.problems
                .push(problem.help("move it into the file that is given on the command line"));
        }
    }

    fn include(&mut self, from: &Path, pattern: &At<String>, depth: usize) {
        let matches = match matches(from, pattern) {
            Ok(matches) => matches,
            Err(message) => return self.refuse(&pattern.place, message),
        };
        for path in matches {
            if depth > MAX_DEPTH {
                let message = format!("files include each other more than {MAX_DEPTH} deep");
                return self.refuse(&pattern.place, message);
            }
            if self.sources.files.len() >= MAX_FILES {
                return self.refuse(&pattern.place, format!("more than {MAX_FILES} files"));
            }
            self.included(path, &pattern.place, depth);
        }
    }

    fn included(&mut self, path: PathBuf, pattern: &Place, depth: usize) {
        self.sources.watched.file(&path);
        let canonical = path.canonicalize();
        if canonical.is_ok_and(|canonical| !self.seen.insert(canonical)) {
            return;
        }
        match load(&path) {
            Ok(text) => self.file(Source { path, text }, depth),
            Err(error) => self.refuse(pattern, cannot_read(&path, &error)),
        }
    }

    fn refuse(&mut self, pattern: &Place, message: String) {
        self.problems.push(Problem::new(pattern.clone(), message));
    }
}

fn cannot_read(path: &Path, error: &io::Error) -> String {
    format!("cannot read `{}`: {error}", path.display())
}

fn start(error: &Error) -> usize {
    error.span().map_or(0, |span| span.start)
}

/// Where the line begins that the byte at `offset` stands in.
fn line_start(text: &str, offset: usize) -> usize {
    let before = text.get(..offset).unwrap_or(text);
    before.rfind('\n').map_or(0, |newline| newline + 1)
}

/// The parser recovers within a line and then reports consequences of the first error.
fn first_of_each_line<'a>(errors: &'a [Error], text: &str) -> Vec<&'a Error> {
    let mut errors = errors.iter().collect::<Vec<_>>();
    errors.sort_by_key(|error| start(error));
    errors.dedup_by(|later, kept| {
        let between = text.get(start(kept)..start(later));
        between.is_none_or(|between| !between.contains('\n'))
    });
    errors
}

#[cfg(test)]
mod tests;

//! The files of a configuration: reading, parsing, and following `include`.
//!
//! Every file is read and every problem collected. In a file with a syntax error, only the lines before
//! the first such error are checked, as the rest may be misread.

mod parts;

use std::collections::HashSet;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, Error};

use super::server;
use crate::files::Files;
use crate::files::watched::{WatchedFiles, expand_pattern};
use crate::section::{At, Environment, FileId, Key, Lowered, Place, Problem, Problems, Section};

pub(super) static INCLUDE: Key<Vec<At<String>>> = Key::texts("include", "Further files of the same shape, without [server] and [admin]; relative to this file, with the wildcards * and ?.").example("[\"sites/*.toml\"]");

/// One source file.
#[derive(Clone, Debug)]
pub struct Source {
    /// Path for messages.
    pub path: PathBuf,
    /// Whole text; empty if the file could not be read.
    pub text: String,
}

/// All source files, in the order of reading; the main file first.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    files: Vec<Source>,
    /// Offsets of the line feeds of each file: every rule's place is displayed, and there are many.
    line_feeds: Vec<Vec<usize>>,
    watched: WatchedFiles,
}

impl Sources {
    /// Returns the file of a [`Place`].
    pub fn get(&self, file: FileId) -> Option<&Source> {
        self.files.get(usize::from(file.0))
    }

    /// Iterates over the files, each with its path.
    pub fn paths(&self) -> impl Iterator<Item = (FileId, &Path)> {
        let numbers = (0..).map(FileId);
        numbers.zip(self.files.iter().map(|source| source.path.as_path()))
    }

    /// Returns the source text of a place.
    pub fn text_at(&self, place: &Place) -> &str {
        let source = self.get(place.file);
        let text = source.and_then(|source| source.text.get(place.span.clone()));
        text.unwrap_or_default()
    }

    /// Returns the state of the files as read, to detect changes.
    pub fn watched(&self) -> &WatchedFiles {
        &self.watched
    }

    /// Formats a place as `file:line`, for log lines.
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

    /// Adds a file; `None` if [`FileId`] is exhausted.
    fn push(&mut self, source: Source) -> Option<FileId> {
        let id = FileId(u16::try_from(self.files.len()).ok()?);
        let line_feeds = source.text.match_indices('\n').map(|(at, _)| at);
        self.line_feeds.push(line_feeds.collect());
        self.files.push(source);
        Some(id)
    }
}

/// Reads the file at `path` and its includes, against the description of a file's top level. Returns
/// the sections in the order of reading. If `problems` is not empty afterwards, files may be missing,
/// so that a dangling reference between sections proves nothing.
pub fn read(
    path: &Path,
    root: &'static Section,
    environment: &Environment<'_>,
    files: &Files,
    problems: &mut Problems,
) -> (Sources, Vec<Lowered>) {
    let mut watched = WatchedFiles::default();
    watched.add_file(path, files);
    let text = load(path, files).unwrap_or_else(|error| {
        problems.push(Problem::new(Place::default(), cannot_read(path, &error)));
        String::new()
    });
    let source = Source {
        path: path.to_owned(),
        text,
    };
    parse_watched(source, watched, (root, environment, files), problems)
}

/// Parses the main file's text, as [`read`]; its path serves `include` and messages.
pub fn parse(
    source: Source,
    root: &'static Section,
    environment: &Environment<'_>,
    problems: &mut Problems,
) -> (Sources, Vec<Lowered>) {
    parse_watched(
        source,
        WatchedFiles::default(),
        (root, environment, &Files::own()),
        problems,
    )
}

fn parse_watched(
    source: Source,
    watched: WatchedFiles,
    (root, environment, files): (&'static Section, &Environment<'_>, &Files),
    problems: &mut Problems,
) -> (Sources, Vec<Lowered>) {
    let seen = files.canonical(&source.path).into_iter().collect();
    let mut reader = Reader {
        root,
        environment,
        files,
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

/// Nesting limit of includes; the main file is at 0.
const MAX_DEPTH: usize = 8;

/// Limit of the number of files.
const MAX_FILES: usize = 4096;

/// Size limit of one file, in bytes, so that a mistaken path does not fill the memory.
const MAX_LENGTH: u64 = 4 << 20;

/// Reads a source, which may be a pipe, as `<(command)` of a shell is.
fn load(path: &Path, files: &Files) -> io::Result<String> {
    match files.read_to_end(path, MAX_LENGTH) {
        Ok(content) => content.text().map(str::to_owned),
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
            Err(io::Error::new(error.kind(), "longer than 4MiB"))
        }
        Err(error) => Err(error),
    }
}

struct Reader<'a> {
    root: &'static Section,
    environment: &'a Environment<'a>,
    files: &'a Files,
    problems: &'a mut Problems,
    /// Canonical paths: a file is read once, however often it is included.
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
            self.sources.watched.add_pattern(&path, &pattern);
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
        // The parser replaces a missing value at an error by one with an empty span.
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
            // The parser's message is about the grammar alone.
            self.problems.push(problem.unconditional().without_values());
        }
        lowered
    }

    /// Refuses [server] in an included file: settings of the whole process belong into the main file.
    fn refuse_server(&mut self, lowered: &Lowered) {
        let given = lowered.given_keys().into_iter();
        for server in given.filter(|key| key.value == server::KEY.name()) {
            let problem = Problem::new(server.place, "[server] is allowed only in the main file")
                .unconditional();
            self.problems
                .push(problem.help("move it into the file that is given on the command line"));
        }
    }

    fn include(&mut self, from: &Path, pattern: &At<String>, depth: usize) {
        let matches = match expand_pattern(from, pattern, self.files) {
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
        self.sources.watched.add_file(&path, self.files);
        let canonical = self.files.canonical(&path);
        if canonical.is_ok_and(|canonical| !self.seen.insert(canonical)) {
            return;
        }
        match load(&path, self.files) {
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

/// Returns the start of the line that contains the byte at `offset`.
fn line_start(text: &str, offset: usize) -> usize {
    let before = text.get(..offset).unwrap_or(text);
    before.rfind('\n').map_or(0, |newline| newline + 1)
}

/// Keeps the first error of each line: the parser recovers within a line and then reports consequences.
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

//! The files of the crate as text: what they import, and where they are code.

use std::fs;
use std::path::{Path, PathBuf};

use super::{IMPURE, LAYERS, PURE};

/// A file of the crate.
pub(super) struct Source {
    /// Relative to the root of the crate.
    pub(super) path: String,
    pub(super) text: String,
    /// The text with comments and what is in quotes blanked out, line by line.
    pub(super) code: String,
}

impl Source {
    /// The top-level module that the file belongs to; none for the root of the library.
    pub(super) fn module(&self) -> Option<&str> {
        let path = self.path.strip_prefix("src/")?;
        let name = path.split('/').next()?.trim_end_matches(".rs");
        (name != "lib").then_some(name)
    }

    /// How many modules it lies below the root of the crate.
    pub(super) fn depth(&self) -> usize {
        let folders = self.path.matches('/').count();
        if self.path.ends_with("/mod.rs") {
            folders - 1
        } else {
            folders
        }
    }

    /// Whether it has nothing but tests.
    pub(super) fn is_tests(&self) -> bool {
        self.path.starts_with("tests/")
            || self.path.ends_with("/tests.rs")
            || self.path.contains("/tests/")
    }

    pub(super) fn is_pure(&self) -> bool {
        let within = |place: &str| {
            let rest = self.path.strip_prefix(place);
            rest.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
        };
        PURE.iter().any(|place| within(place)) && !IMPURE.iter().any(|place| within(place))
    }
}

#[derive(Default)]
pub(super) struct Offences(pub(super) Vec<String>);

impl Offences {
    pub(super) fn add(&mut self, source: &Source, line: usize, what: String) {
        self.0
            .push(format!("{}:{}: {what}", source.path, line.max(1)));
    }

    pub(super) fn none(self) {
        assert!(self.0.is_empty(), "\n{}\n", self.0.join("\n"));
    }
}

pub(super) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub(super) fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All Rust files in `folder`, in the order of their paths.
pub(super) fn sources(folder: &str) -> Vec<Source> {
    let mut paths = Vec::new();
    collect(&root().join(folder), &mut paths);
    paths.sort();
    let source = |path: PathBuf| {
        let text = read(&path);
        let path = path
            .strip_prefix(root())
            .unwrap()
            .to_string_lossy()
            .into_owned();
        Source {
            path,
            code: code(&text),
            text,
        }
    };
    paths.into_iter().map(source).collect()
}

pub(super) fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

pub(super) fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line))
}

pub(super) fn in_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Whether `needle` stands in `line` and is no part of a longer name.
pub(super) fn has_word(line: &str, needle: &str) -> bool {
    line.match_indices(needle).any(|(start, found)| {
        let before = line[..start].chars().next_back();
        let after = line[start + found.len()..].chars().next();
        let joins = |inner: Option<char>, outer: Option<char>| {
            inner.is_some_and(in_word) && outer.is_some_and(in_word)
        };
        !joins(needle.chars().next(), before) && !joins(needle.chars().next_back(), after)
    })
}

/// The top-level modules that `code` names, with their lines: behind `crate::`, in the braces of a
/// `use crate::{…}`, and behind enough `super::` to get there from `depth` modules down.
pub(super) fn imports(code: &str, depth: usize) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let climb = "super::".repeat(depth);
    for path in ["crate::", climb.as_str()] {
        for (start, _) in code.match_indices(path) {
            if code[..start].ends_with(|c| in_word(c) || c == '$' || c == ':') {
                continue;
            }
            let line = code[..start].matches('\n').count() + 1;
            let after = &code[start + path.len()..];
            // A shorter climb may name anything; only what has a layer is an import of it.
            let known = |name: &&str| path == "crate::" || LAYERS.contains(name);
            found.extend(
                first_names(after)
                    .into_iter()
                    .filter(known)
                    .map(|name| (line, name)),
            );
        }
    }
    found
}

/// The name that `after` begins with, or the first name of each path in its braces.
pub(super) fn first_names(after: &str) -> Vec<&str> {
    let name = |text| -> &str {
        let text: &str = str::trim_start(text);
        &text[..text.find(|c| !in_word(c)).unwrap_or(text.len())]
    };
    let Some(group) = after.strip_prefix('{') else {
        return Vec::from([name(after)]);
    };
    let mut names = Vec::from([name(group)]);
    let mut depth = 1;
    for (index, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => names.push(name(&group[index + 1..])),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names.retain(|name| !name.is_empty() && *name != "self");
    names
}

/// `text` without its comments and without what is in quotes; lines stay where they are.
pub(super) fn code(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = skipped(rest, out.chars().next_back());
        let (skip, after) = rest.split_at(length.max(first.len_utf8()));
        if length == 0 {
            out.push(first);
        } else {
            out.push(' ');
            out.extend(skip.chars().filter(|c| *c == '\n'));
        }
        rest = after;
    }
    out
}

/// The length of the comment, string or character that `rest` begins with; 0 for code.
pub(super) fn skipped(rest: &str, before: Option<char>) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return rest.find("*/").map_or(rest.len(), |end| end + 2);
    }
    let raw = rest
        .strip_prefix('r')
        .map(|after| after.trim_start_matches('#'));
    if raw.is_some_and(|after| after.starts_with('"'))
        && !before.is_some_and(|c| in_word(c) && c != 'b')
    {
        let hashes = rest[1..].find('"').unwrap_or(0);
        let end = format!("\"{}", "#".repeat(hashes));
        let open = hashes + 2;
        return rest[open..]
            .find(&end)
            .map_or(rest.len(), |place| open + place + end.len());
    }
    match rest.chars().next() {
        Some('"') => quoted(rest, '"').unwrap_or(rest.len()),
        Some('\'') => character(rest),
        _ => 0,
    }
}

/// The length of the text in `quote`s that `rest` begins with.
pub(super) fn quoted(rest: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    let ends = |(_, c): &(usize, char)| {
        let end = !escaped && *c == quote;
        escaped = !escaped && *c == '\\';
        end
    };
    rest.char_indices()
        .skip(1)
        .find(ends)
        .map(|(index, _)| index + 1)
}

/// The length of a character literal; 0 where the `'` begins a lifetime.
pub(super) fn character(rest: &str) -> usize {
    let mut chars = rest.chars().skip(1);
    match (chars.next(), chars.next()) {
        (Some('\\'), _) | (_, Some('\'')) => quoted(rest, '\'').unwrap_or(0),
        _ => 0,
    }
}

//! What is cited must be there: documents, their headings, and the targets of links. A reader of this tree can open
//! nothing else, but for RFCs and public specifications.

use std::fs;
use std::path::{Path, PathBuf};

use super::{numbered, read, root};

/// Folders that hold no text of ours.
const SKIPPED: [&str; 5] = ["target", "corpus", "seeds", ".git", ".fuzz"];

/// Files that are not looked at: this one, whose tables are full of offences, and patches to other trees.
const EXEMPT: [&str; 2] = ["tidy/citations.rs", ".patch"];

/// Documents that lie outside this tree, or that have another name in it.
const OUTSIDE: [&str; 13] = [
    "behaviour",
    "behaviours",
    "corpus",
    "crates",
    "demand",
    "design",
    "fact",
    "facts",
    "features",
    "issue",
    "limits",
    "semantics",
    "style",
];

#[test]
fn documents_and_headings_that_are_cited_exist() {
    let texts = texts();
    assert!(texts.iter().any(|text| text.path == "README.md"));
    let mut offences = Vec::new();
    for text in &texts {
        let broken = text
            .broken_mentions()
            .into_iter()
            .chain(text.broken_links());
        offences.extend(broken.map(|(line, what)| format!("{}:{line}: {what}", text.path)));
    }
    assert!(offences.is_empty(), "\n{}\n", offences.join("\n"));
}

#[test]
fn nothing_outside_this_tree_is_cited() {
    let mut offences = Vec::new();
    for text in texts() {
        let (flat, starts) = text.flat();
        for (at, citation) in outside(&flat) {
            let line = line_at(&starts, at);
            offences.push(format!("{}:{line}: `{citation}` is no document of this tree: bring the fact into docs/internals/, and cite that by file and heading", text.path));
        }
    }
    assert!(offences.is_empty(), "\n{}\n", offences.join("\n"));
}

/// A file of the tree that people read or write.
struct Text {
    /// Relative to the root of the crate.
    path: String,
    text: String,
}

impl Text {
    fn is_markdown(&self) -> bool {
        self.path.ends_with(".md")
    }

    /// Returns the file that `name` stands for in this one: relative to the root, to src/, or to the file's folder.
    fn named(&self, name: &str) -> Option<PathBuf> {
        let folder = root().join(&self.path).parent()?.join(name);
        [root().join(name), root().join("src").join(name), folder]
            .into_iter()
            .find(|path| path.exists())
    }

    /// Returns the text as one line without the signs of comments, so that a citation may go on in the next line, and
    /// where each line begins in it. A diff is an example, and its lines are empty.
    fn flat(&self) -> (String, Vec<usize>) {
        let mut flat = String::new();
        let mut starts = Vec::new();
        let mut in_diff = false;
        for line in self.text.lines() {
            in_diff = line == "```diff" || (in_diff && line != "```");
            let line = if in_diff { "" } else { line.trim() };
            let line = ["//!", "///", "//", "#"]
                .iter()
                .find_map(|sign| line.strip_prefix(sign))
                .unwrap_or(line);
            starts.push(flat.len());
            flat.push_str(line.trim());
            flat.push(' ');
        }
        (flat, starts)
    }

    /// Returns the documents and sources that are named and do not exist, and those without the heading that is named with them.
    fn broken_mentions(&self) -> Vec<(usize, String)> {
        let (flat, starts) = self.flat();
        let lines: Vec<_> = self.text.lines().collect();
        let mut broken = Vec::new();
        for (at, name) in documents(&flat) {
            let line = line_at(&starts, at);
            let is_comment = |line: &&str| line.trim_start().starts_with("//");
            let in_code =
                self.path.ends_with(".rs") && !lines.get(line - 1).is_some_and(is_comment);
            let (folder, file_name) = name.rsplit_once('/').unwrap_or(("", name));
            // In code the names of files may be those of a test; one without its folder is near what is said of it.
            let is_of_a_test = in_code
                && !name.starts_with("docs/")
                && file_name
                    .trim_end_matches(".md")
                    .contains(char::is_lowercase);
            if is_of_a_test || (folder.is_empty() && name.ends_with(".rs")) {
                continue;
            }
            let rest = &flat[at + name.len()..];
            // The text of a link, whose target is looked at by itself.
            if rest.starts_with("](") {
                continue;
            }
            match (self.named(name), heading(rest)) {
                (None, _) => broken.push((line, format!("there is no {name}"))),
                (Some(document), Some(heading)) if !has_heading(&document, heading) => {
                    broken.push((line, format!("{name} has no heading \"{heading}\"")));
                }
                (Some(_), _) => {}
            }
        }
        broken
    }

    /// Returns the links of a Markdown file that lead nowhere.
    fn broken_links(&self) -> Vec<(usize, String)> {
        let mut broken = Vec::new();
        if !self.is_markdown() {
            return broken;
        }
        for (number, line) in prose(&self.text) {
            for target in links(&line) {
                let (name, anchor) = target.split_once('#').unwrap_or((target, ""));
                let document = match name.is_empty() {
                    true => Some(self.text.clone()),
                    false => self.linked(name),
                };
                match document {
                    None => broken.push((number, format!("the link to {name} leads nowhere"))),
                    Some(document) if !anchor.is_empty() && !has_anchor(&document, anchor) => {
                        broken.push((number, format!("{target}: there is no such heading")));
                    }
                    Some(_) => {}
                }
            }
        }
        broken
    }

    /// Returns the text of what a link to `name` shows: a file, or the README of a folder. Pictures have none.
    fn linked(&self, name: &str) -> Option<String> {
        let path = root().join(&self.path).parent()?.join(name);
        let shown = match path.is_dir() {
            true => path.join("README.md"),
            false => path.clone(),
        };
        path.exists()
            .then(|| fs::read_to_string(shown).unwrap_or_default())
    }
}

/// Returns all text files of the tree, in the order of their paths.
fn texts() -> Vec<Text> {
    let mut paths = Vec::new();
    collect(&root(), &mut paths);
    paths.sort();
    let text = |path: PathBuf| {
        let name = path.strip_prefix(root()).unwrap().to_str()?.to_owned();
        let text = fs::read_to_string(&path).ok()?;
        let is_exempt = EXEMPT.iter().any(|end| name.ends_with(end));
        (!is_exempt).then_some(Text { path: name, text })
    };
    paths.into_iter().filter_map(text).collect()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() && !SKIPPED.iter().any(|skipped| name == *skipped) {
            collect(&entry.path(), paths);
        } else if kind.is_file() {
            paths.push(entry.path());
        }
    }
}

/// Returns the number of the line that has the byte `at` of a flat text.
fn line_at(starts: &[usize], at: usize) -> usize {
    starts.partition_point(|start| *start <= at)
}

/// Returns the names of documents and sources in `flat`, with their places. URLs are none.
fn documents(flat: &str) -> Vec<(usize, &str)> {
    let in_name = |c: char| c.is_ascii_alphanumeric() || "_./-".contains(c);
    let mut found = Vec::new();
    let markdown = flat.match_indices(".md");
    for (end, extension) in markdown.chain(flat.match_indices(".rs")) {
        let end = end + extension.len();
        let start = flat[..end].trim_end_matches(in_name).len();
        let name = &flat[start..end];
        let goes_on = flat[end..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        if !goes_on && !name.starts_with("//") && name.len() > extension.len() {
            found.push((start, name));
        }
    }
    found
}

/// Returns the heading that stands in quotes behind the name of a document.
fn heading(rest: &str) -> Option<&str> {
    let quoted = [", \"", "'s \"", " (\""]
        .iter()
        .find_map(|sign| rest.strip_prefix(sign))?;
    quoted.split_once('"').map(|(heading, _)| heading)
}

/// Returns citations in the manner of documents outside this tree: a word of [`OUTSIDE`] and a number.
fn outside(flat: &str) -> Vec<(usize, &str)> {
    let words: Vec<_> = flat
        .split(' ')
        .map(|word| (word.as_ptr() as usize - flat.as_ptr() as usize, word))
        .collect();
    let mut found = Vec::new();
    for (&(at, name), &(next, number)) in words.iter().zip(words.iter().skip(1)) {
        let last = name.rsplit(|c: char| !c.is_alphabetic()).next().unwrap();
        let last = last.to_ascii_lowercase();
        let counts = matches!(last.as_str(), "issue" | "fact" | "facts");
        if OUTSIDE.contains(&last.as_str()) && is_number(number, counts) {
            found.push((at, &flat[at..next + number.len()]));
        }
    }
    found
}

/// `§4`, `no.`, `Q5`; where a name `counts`, also a bare `5`.
fn is_number(word: &str, counts: bool) -> bool {
    let mut chars = word.chars();
    let first = chars.next().unwrap_or(' ');
    let second_is_digit = chars.next().is_some_and(|c| c.is_ascii_digit());
    first == '§'
        || word == "no."
        || (first.is_ascii_uppercase() && second_is_digit)
        || (counts && first.is_ascii_digit())
}

/// Returns the lines of `markdown` that are not in a fenced block, without what stands in backticks.
fn prose(markdown: &str) -> Vec<(usize, String)> {
    let mut fenced = false;
    let mut lines = Vec::new();
    for (number, line) in numbered(markdown) {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            lines.push((number, line.split('`').step_by(2).collect()));
        }
    }
    lines
}

/// Returns the targets of the links in `line` that lead into this tree.
fn links(line: &str) -> Vec<&str> {
    line.split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target)
        .filter(|target| !target.contains(':'))
        .collect()
}

/// Returns the headings of `markdown`, without their markup.
fn headings(markdown: &str) -> Vec<String> {
    let mut fenced = false;
    let mut found = Vec::new();
    for line in markdown.lines() {
        fenced ^= line.starts_with("```");
        if line.starts_with('#') && !fenced {
            found.push(line.trim_start_matches('#').trim().replace('`', ""));
        }
    }
    found
}

fn has_heading(document: &Path, heading: &str) -> bool {
    headings(&read(document)).iter().any(|one| one == heading)
}

/// Returns whether GitHub gives a heading of `markdown` this anchor.
fn has_anchor(markdown: &str, anchor: &str) -> bool {
    headings(markdown)
        .iter()
        .any(|heading| slug(heading) == anchor)
}

fn slug(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    let kept: String = heading.to_lowercase().chars().filter(kept).collect();
    kept.replace(' ', "-")
}

fn text(path: &str, text: &str) -> Text {
    Text {
        path: path.to_owned(),
        text: text.to_owned(),
    }
}

#[test]
fn what_is_not_there_is_found() {
    for (path, line, expected) in [
        ("src/a.rs", "/// See docs/cgi.md, \"Variables\".", 0),
        (
            "src/a.rs",
            "/// See docs/cgi.md,\n/// \"Header fields of a\n/// request\".",
            0,
        ),
        ("src/a.rs", "/// See docs/cgi.md, \"Variable\".", 1),
        ("src/a.rs", "/// See docs/missing.md.", 1),
        ("src/a.rs", "/// See crates.md, Regex.", 1),
        ("src/a.rs", "const DOC: &str = \"See docs/missing.md.\";", 1),
        ("src/a.rs", "write(\"missing.md\");", 0),
        ("src/a.rs", "// https://example.org/missing.md", 0),
        (
            "tests/it/a.rs",
            "//! ARCHITECTURE.md's \"Layers\" and \"b\"",
            0,
        ),
        ("tests/it/a.rs", "//! ARCHITECTURE.md's \"Layer\"", 1),
        ("docs/a.md", "rules.md and ../README.md, missing.md", 1),
        ("scripts/a", "# docs/missing.md", 1),
        ("docs/a.md", "`src/lib.rs`, `handler/mod.rs`, missing.rs", 0),
        ("docs/a.md", "`src/missing.rs`", 1),
        ("src/a.rs", "// src/missing.rs", 1),
    ] {
        let broken = text(path, line).broken_mentions();
        assert_eq!(broken.len(), expected, "{line}: {broken:?}");
    }
    for (line, expected) in [
        (
            "[a](cgi.md) [b](cgi.md#variables) [c](internals) [d](https://a.example/b.md#c)",
            0,
        ),
        ("[a](#here)\n\n## `Here`", 0),
        ("`[a](missing.md)`\n```\n[a](missing.md)\n```", 0),
        ("[a](missing.md)", 1),
        ("[a](cgi.md#missing)", 1),
        ("[a](#missing)", 1),
    ] {
        let broken = text("docs/a.md", line).broken_links();
        assert_eq!(broken.len(), expected, "{line}: {broken:?}");
    }
}

#[test]
fn citations_of_outside_documents_are_found() {
    for cited in [
        "(design §4.8)",
        "Design §2: what",
        "limits Q5",
        "php-fpm-facts no. 3",
        "the facts 31",
        "behaviours no. 34",
        "demand P8",
        "style §7, fact 3",
        "apache-semantics H9",
        "Issue 2: a",
    ] {
        assert!(!outside(cited).is_empty(), "{cited}");
    }
    for cited in [
        "RFC 9110 §13.1.4",
        "FastCGI §3.3",
        "(§8.2.1)",
        "limits 10 of them",
        "one by one\", no. 34",
        "`limits.head` of the facts",
    ] {
        assert_eq!(outside(cited), [], "{cited}");
    }
}

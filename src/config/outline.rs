//! Problems for clients that may reload the configuration but not read it: files, lines, columns and keys,
//! and never a value, which may be a secret.

use std::collections::HashMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::MAX_SHOWN;
use super::source::{Source, Sources};
use crate::section::{FileId, Problem, key};

/// Replacement of a message that may contain a value.
const REFUSED: &str =
    "this value is refused; the log and `fcgate check`, which show values, have the reason";

/// Returns a line for each problem, and one for its remedy if that is free of values.
pub(super) fn outline(problems: &[Problem], sources: &Sources) -> String {
    let mut tables: HashMap<FileId, Spanned<DeTable<'_>>> = HashMap::new();
    let mut text = String::new();
    for problem in problems.iter().take(MAX_SHOWN) {
        let place = &problem.place;
        if let Some(source) = sources.get(place.file) {
            let table = tables
                .entry(place.file)
                .or_insert_with(|| DeTable::parse_recoverable(&source.text).0);
            text.push_str(&position(source, place.span.start));
            // An empty span is the file as a whole.
            let start = Some(place.span.start).filter(|_| !place.span.is_empty());
            let key = start.and_then(|start| key_at(table.get_ref(), start));
            text.extend(key.iter().flat_map(|key| [key.as_str(), ": "]));
        }
        let (message, help) = problem.public();
        text.extend([message.unwrap_or(REFUSED), "\n"]);
        text.extend(help.iter().flat_map(|help| ["    help: ", help, "\n"]));
    }
    let more = problems.len().saturating_sub(MAX_SHOWN);
    if more > 0 {
        text.push_str(&format!("and {more} more\n"));
    }
    text
}

/// Returns `file:line:column: `, line and column counted from 1.
fn position(source: &Source, offset: usize) -> String {
    let end = source.text.floor_char_boundary(offset);
    let before = source.text.get(..end).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let column = before.get(start..).unwrap_or_default().chars().count() + 1;
    format!("{}:{line}:{column}: ", source.path.display())
}

/// Returns the path of the key at `offset`, or of the value there: `site[2].redirect.to`.
fn key_at(table: &DeTable<'_>, offset: usize) -> Option<String> {
    table.iter().find_map(|(name, value)| {
        let shown = key(name.get_ref());
        if name.span().contains(&offset) {
            return Some(shown);
        }
        within(value, offset).map(|rest| shown + &rest)
    })
}

/// Returns the path below the key of `value`, if the offset lies in it. The span of a table is that of its
/// header alone, so that its contents are searched first.
fn within(value: &Spanned<DeValue<'_>>, offset: usize) -> Option<String> {
    let here = || value.span().contains(&offset).then(String::new);
    match value.get_ref() {
        DeValue::Table(table) => {
            let inner = key_at(table, offset).map(|rest| format!(".{rest}"));
            inner.or_else(here)
        }
        DeValue::Array(items) => {
            let inner = items.iter().enumerate().find_map(|(index, item)| {
                let rest = within(item, offset)?;
                Some(format!("[{}]{rest}", index + 1))
            });
            inner.or_else(here)
        }
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => here(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::config;
    use crate::files::Files;

    /// Returns the outline of a file with this text, without the file name.
    fn outline(text: &str) -> String {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("fcgate.toml");
        std::fs::write(&file, text).unwrap();
        let invalid = config::load(&file, None, &Files::own()).unwrap_err();
        let shown = invalid.outline().to_owned();
        shown.replace(&format!("{}:", file.display()), "")
    }

    #[test]
    fn places_and_keys_are_named() {
        let refused = super::REFUSED;
        for (text, expected) in [
            (
                "[[site]]\nroot = \"/tmp\"\nnonsense = 1\n",
                "3:1: site[1].nonsense: unknown key `nonsense`\n".to_owned(),
            ),
            (
                "[[site]]\nroot = \"/tmp\"\n[admin]\naddress = \"hunter2\"\n",
                format!(
                    "4:11: admin.address: {refused}\n    help: write \"unix:/run/fcgate/admin.sock\", \"127.0.0.1:9180\" or \"off\"\n"
                ),
            ),
            (
                "[[site]]\nroot = \"/tmp\"\nrule = [{ path = \"/a\", redirect = { to = \"/$hunter2\" } }]\n",
                format!("3:42: site[1].rule[1].redirect.to: {refused}\n"),
            ),
            ("[server]\n", "1:1: no [[site]] is configured\n".to_owned()),
        ] {
            let shown = outline(text);
            assert!(shown.starts_with(&expected), "{shown}");
        }
    }

    #[test]
    fn a_syntax_error_shows_nothing_of_its_line() {
        for line in ["key = \"hunter2", "hunter2 = = 1", "hunter2", "x = hunter2"] {
            let shown = outline(&format!("[server]\n{line}\n"));
            assert!(shown.starts_with("2:"), "{shown}");
            assert!(
                !shown.contains("hunter2") || line.starts_with("hunter2 ="),
                "{shown}"
            );
        }
    }

    /// Returns a section with a text for every such key, for every section of the sample.
    fn sections() -> Vec<String> {
        let sample = include_str!("tests/sample.toml");
        let lines: Vec<&str> = sample.lines().collect();
        let with_text = |(number, line): (usize, &&str)| line.contains(" = \"").then_some(number);
        let numbers = lines.iter().enumerate().filter_map(with_text);
        numbers
            .map(|number| {
                let mut lines = lines.clone();
                let (key, _) = lines[number].split_once(" = ").unwrap();
                let line = format!("{key} = \"SECRET\"");
                lines[number] = &line;
                lines.join("\n")
            })
            .collect()
    }

    #[test]
    fn no_value_of_any_key_is_shown() {
        let secrets = [
            "hunter2",
            "hunter2:",
            "/hunter2/$x",
            "(hunter2",
            "hunter2 = {}",
            "1hunter2",
        ];
        let mut refused = 0;
        for text in sections() {
            for secret in secrets {
                let text = text.replace("SECRET", secret);
                let shown = outline(&text);
                assert!(!shown.contains("hunter2"), "{shown}");
                refused += shown.matches(super::REFUSED).count();
            }
        }
        assert!(refused > 20, "only {refused} values were refused");
    }

    proptest! {
        #[test]
        fn no_offset_is_too_much(text in "[a-z\\[\\]{}=\"., \n]{0,60}", offset in 0..80_usize) {
            let (table, _) = toml::de::DeTable::parse_recoverable(&text);
            let _ = super::key_at(table.get_ref(), offset);
        }
    }
}

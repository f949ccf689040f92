//! Reading the two tables: TOML whose every mistake ends the test and names its entry.

use toml::{Table, Value};

/// One entry; what is left in it when all keys are taken is a mistake.
pub(super) struct Entry {
    table: Table,
    written: String,
}

/// The entries of the array `name`, which is all that the file may have.
pub(super) fn entries(text: &str, name: &str) -> Vec<Entry> {
    let mut file: Table = text.parse().unwrap();
    let Some(Value::Array(entries)) = file.remove(name) else {
        panic!("no [[{name}]]")
    };
    assert!(file.is_empty(), "beside [[{name}]]: {file}");
    entries
        .into_iter()
        .map(|entry| {
            let Value::Table(table) = entry else {
                panic!("not a table: {entry}")
            };
            let written = table.to_string();
            Entry { table, written }
        })
        .collect()
}

impl Entry {
    /// A text that must be there.
    pub(super) fn text(&mut self, key: &str) -> String {
        match self.optional(key) {
            Some(text) => text,
            None => panic!("no `{key}` in\n{}", self.written),
        }
    }

    pub(super) fn optional(&mut self, key: &str) -> Option<String> {
        let value = self.table.remove(key)?;
        Some(self.read(key, value.as_str()).to_owned())
    }

    /// A text or a list of them; nothing where the key is not there.
    pub(super) fn texts(&mut self, key: &str) -> Option<Vec<String>> {
        let value = self.table.remove(key)?;
        let values = value
            .as_array()
            .map_or_else(|| vec![value.clone()], Clone::clone);
        let texts = values
            .iter()
            .map(|value| self.read(key, value.as_str()).to_owned());
        Some(texts.collect())
    }

    pub(super) fn flag(&mut self, key: &str) -> bool {
        let value = self.table.remove(key);
        value.is_some_and(|value| self.read(key, value.as_bool()))
    }

    pub(super) fn number(&mut self, key: &str) -> Option<usize> {
        let value = self.table.remove(key)?;
        let number = value.as_integer().map(usize::try_from);
        Some(self.read(key, number.and_then(Result::ok)))
    }

    fn read<T>(&self, key: &str, value: Option<T>) -> T {
        match value {
            Some(value) => value,
            None => panic!("`{key}` is something else in\n{}", self.written),
        }
    }

    /// Ends the reading of the entry.
    pub(super) fn finish(self) {
        let unknown: Vec<_> = self.table.keys().collect();
        assert!(
            unknown.is_empty(),
            "unknown {unknown:?} in\n{}",
            self.written
        );
    }
}

/// Whether `text` is what `pattern` says, in which each `*` stands for anything.
pub(super) fn fits(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    text.strip_prefix(start).is_some_and(|tail| {
        let ends = tail.char_indices().map(|(end, _)| end);
        ends.chain([tail.len()]).any(|end| fits(rest, &tail[end..]))
    })
}

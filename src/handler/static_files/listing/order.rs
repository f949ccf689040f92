//! The order of a list: the query of Apache's mod_autoindex, `?C=N;O=D`, so that it works without a script.

use crate::disk::Entry;

/// A column and a direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Order {
    pub(super) column: Column,
    pub(super) descending: bool,
}

/// The sort key of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Name,
    Modified,
    Size,
}

impl Order {
    /// Parses a query; by name if it names no known column.
    pub(super) fn parse(query: &str) -> Self {
        let value = |key: &str| {
            let mut pairs = query
                .split(['&', ';'])
                .filter_map(|pair| pair.split_once('='));
            pairs.find_map(|(name, value)| (name == key).then_some(value))
        };
        let column = match value("C") {
            Some("M") => Column::Modified,
            Some("S") => Column::Size,
            Some(_) | None => Column::Name,
        };
        Self {
            column,
            descending: value("O") == Some("D"),
        }
    }

    /// Returns the query for the list sorted by `column`: reversed if it is sorted by it already.
    pub(super) fn query_for(self, column: Column) -> String {
        let descending = self.column == column && !self.descending;
        let letter = match column {
            Column::Name => 'N',
            Column::Modified => 'M',
            Column::Size => 'S',
        };
        format!("?C={letter}&O={}", if descending { 'D' } else { 'A' })
    }

    /// Sorts folders first; equal entries by name.
    pub(super) fn sort(self, list: &mut [Entry]) {
        list.sort_unstable_by(|a, b| {
            let names = || a.name.cmp(&b.name);
            let ascending = match self.column {
                Column::Name => caseless(&a.name).cmp(caseless(&b.name)).then_with(names),
                Column::Modified => a.modified.cmp(&b.modified).then_with(names),
                Column::Size => a.length.cmp(&b.length).then_with(names),
            };
            let ordering = if self.descending {
                ascending.reverse()
            } else {
                ascending
            };
            b.is_folder.cmp(&a.is_folder).then(ordering)
        });
    }
}

fn caseless(name: &[u8]) -> impl Iterator<Item = u8> {
    name.iter().map(u8::to_ascii_lowercase)
}

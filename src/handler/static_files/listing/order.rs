//! In which order a list is shown: the query that Apache's listings know, `?C=N;O=D`, so that it
//! works without a script.

use crate::disk::Entry;

/// By what, and which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Order {
    pub(super) column: Column,
    pub(super) descending: bool,
}

/// What a list can be sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Name,
    Modified,
    Size,
}

impl Order {
    /// From a query; by name where it says nothing or nonsense.
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

    /// The query of the list sorted by `column`: the other way where it is sorted so already.
    pub(super) fn query_for(self, column: Column) -> String {
        let descending = self.column == column && !self.descending;
        let letter = match column {
            Column::Name => 'N',
            Column::Modified => 'M',
            Column::Size => 'S',
        };
        format!("?C={letter}&O={}", if descending { 'D' } else { 'A' })
    }

    /// Folders first; what is equal otherwise by name.
    pub(super) fn sort(self, list: &mut [Entry]) {
        list.sort_unstable_by(|a, b| {
            let names = || a.name.cmp(&b.name);
            let by = match self.column {
                Column::Name => caseless(&a.name).cmp(caseless(&b.name)).then_with(names),
                Column::Modified => a.modified.cmp(&b.modified).then_with(names),
                Column::Size => a.length.cmp(&b.length).then_with(names),
            };
            let by = if self.descending { by.reverse() } else { by };
            b.is_folder.cmp(&a.is_folder).then(by)
        });
    }
}

fn caseless(name: &[u8]) -> impl Iterator<Item = u8> {
    name.iter().map(u8::to_ascii_lowercase)
}

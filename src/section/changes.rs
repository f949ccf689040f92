//! What two sections of the same description say otherwise, by the names of the keys.

use super::lowered::Value;
use super::{At, Descriptor, Kind, Lowered};

impl Lowered {
    /// Returns the keys by which this section and `other` differ, in the order of the description: with
    /// dots where they are nested, as `limits.body`, and with a number from 1 in lists, as `rule[2].to`.
    /// Empty where both mean the same.
    pub fn changes(&self, other: &Self) -> Vec<String> {
        let keys = self.section().keys();
        keys.flat_map(|key| {
            let inner = changed(self, other, key);
            inner
                .into_iter()
                .map(|inner| format!("{}{inner}", key.name))
        })
        .collect()
    }
}

/// Returns what follows the name of `key` for each thing in it that differs.
fn changed(before: &Lowered, after: &Lowered, key: &Descriptor) -> Vec<String> {
    match (
        before.effective(key).as_deref(),
        after.effective(key).as_deref(),
    ) {
        (before, after) if before == after => Vec::new(),
        (Some(Value::Table(before)), Some(Value::Table(after))) => dotted(before.changes(after)),
        (Some(Value::Tables(before)), Some(Value::Tables(after))) => listed(before, after),
        (Some(Value::Named(before)), Some(Value::Named(after))) => named(before, after),
        // A table that comes or goes is told by what stands in it.
        (Some(Value::Table(table)), None) | (None, Some(Value::Table(table))) => {
            let none = Lowered::new(table.section(), table.place(), Vec::new());
            let inner = dotted(none.changes(table));
            let is_switch = matches!(key.kind, Kind::FlagOr(_)) || inner.is_empty();
            if is_switch { whole() } else { inner }
        }
        _ => whole(),
    }
}

/// The key itself differs.
fn whole() -> Vec<String> {
    vec![String::new()]
}

fn dotted(changes: Vec<String>) -> Vec<String> {
    let changes = changes.into_iter();
    changes.map(|change| format!(".{change}")).collect()
}

/// Of lists of different lengths it cannot be told which entry is which.
fn listed(before: &[Lowered], after: &[Lowered]) -> Vec<String> {
    if before.len() != after.len() {
        return vec![format!(" ({} before, {} now)", before.len(), after.len())];
    }
    let pairs = before.iter().zip(after).enumerate();
    pairs
        .flat_map(|(at, (before, after))| {
            let changes = dotted(before.changes(after)).into_iter();
            changes.map(move |change| format!("[{}]{change}", at + 1))
        })
        .collect()
}

type Named = [(At<String>, Lowered)];

fn named(before: &Named, after: &Named) -> Vec<String> {
    let names = before
        .iter()
        .chain(after)
        .map(|(name, _)| name.value.as_str());
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    names.dedup();
    let of = |sections: &Named, name: &str| {
        let found = sections.iter().find(|(known, _)| known.value == name);
        found.map(|(_, section)| section.clone())
    };
    let each = names.into_iter().flat_map(|name| {
        let changes = match (of(before, name), of(after, name)) {
            (Some(before), Some(after)) => dotted(before.changes(&after)),
            _ => whole(),
        };
        changes
            .into_iter()
            .map(move |change| format!(".{name}{change}"))
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::section::tests::lower;

    fn check(before: &str, after: &str, expected: &[&str]) {
        let (before, after) = (lower(before), lower(after));
        assert_eq!(before.changes(&after), expected);
        assert_eq!(after.changes(&before).len(), expected.len());
        assert!(before.changes(&before).is_empty());
    }

    #[test]
    fn keys_that_differ_are_named_where_they_stand() {
        check("[server]\nworkers = 0", "[server]\nlog = \"info\"", &[]);
        check(
            "[server]\nworkers = 1\n[server.limits]\nbody = \"1KiB\"",
            "[server]\ndrain = \"1s\"\n[server.limits]\nbody = \"2KiB\"",
            &["server.workers", "server.drain", "server.limits.body"],
        );
        check(
            "[[site]]\nroot = \"a\"\n[[site]]\nindex = []",
            "[[site]]\nroot = \"a\"\n[[site]]\nindex = [\"b\"]\ndeny = true",
            &["site[2].index", "site[2].deny"],
        );
        check(
            "[[site]]",
            "[[site]]\n[[site]]",
            &["site (1 before, 2 now)"],
        );
        check(
            "[upstream.a]\nkeep = \"1s\"\n[upstream.b]",
            "[upstream.a]\nkeep = \"2s\"\n[upstream.c]",
            &["upstream.a.keep", "upstream.b", "upstream.c"],
        );
        check("[[site]]\nsend = {}", "[[site]]", &["site[1].send"]);
        check(
            "",
            "[server.limits]\nbody = \"1B\"",
            &["server.limits.body"],
        );
        check(
            "[[site]]",
            "[[site]]\ndeny = { status = 404 }",
            &["site[1].deny"],
        );
    }

    proptest! {
        /// Nothing that differs is left out, and nothing is named that does not.
        #[test]
        fn nothing_is_named_where_both_mean_the_same(
            one in (0..3_i64, 0..3_u64, any::<bool>()),
            two in (0..3_i64, 0..3_u64, any::<bool>()),
        ) {
            let text = |(workers, body, secure): (i64, u64, bool)| {
                lower(&format!(
                    "server = {{ workers = {workers}, limits = {{ body = \"{body}B\" }} }}\nsite = [{{ secure = {secure} }}]"
                ))
            };
            let (before, after) = (text(one), text(two));
            let changes = before.changes(&after);
            prop_assert_eq!(changes.is_empty(), before.same_as(&after));
            let expected = [one.0 != two.0, one.1 != two.1, one.2 != two.2];
            let expected = expected.iter().filter(|differs| **differs).count();
            prop_assert_eq!(changes.len(), expected);
        }
    }
}

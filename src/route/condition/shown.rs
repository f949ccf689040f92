//! Conditions as people read them: as they are written in the configuration, as far as that is kept.

use std::fmt;

use super::Set;

impl fmt::Display for Set {
    /// Nothing for a set that always holds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let conditions = self.conditions.iter().map(ToString::to_string);
        let exceptions = self.exceptions.iter();
        let exceptions = exceptions.map(|exception| format!("not {exception}"));
        let all: Vec<_> = conditions.chain(exceptions).collect();
        f.write_str(&all.join(", "))
    }
}

pub(super) fn alternatives(values: &[impl fmt::Display]) -> String {
    let texts: Vec<_> = values.iter().map(ToString::to_string).collect();
    texts.join(" or ")
}

pub(super) fn bytes(values: &[Vec<u8>]) -> String {
    let texts: Vec<_> = values
        .iter()
        .map(|text| String::from_utf8_lossy(text))
        .collect();
    texts.join(" or ")
}

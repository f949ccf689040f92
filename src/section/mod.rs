//! How every section of the configuration file is described: a list of keys for each section, and
//! each [`Key`] a static (name, type, default, doc), kept beside the code that uses it. The decoder,
//! the suggestions for a misspelt key and `config/reference.toml` all come from that table, so they
//! cannot disagree; and a key is asked for by its static, so that no name and no type is said twice.
//!
//! Decoding never stops at the first fault: what is wrong goes to [`Problems`] with its [`Place`],
//! and the rest is still read. This module knows no section of its own and no meaning of any key.

mod changes;
mod embedded;
mod environment;
mod key;
mod kind;
mod lower;
mod lowered;
mod path;
mod place;
mod print;
mod problem;
mod reference;
#[cfg(test)]
pub(crate) mod sample;
mod schema;
#[cfg(test)]
mod tests;
mod typed;

pub use environment::Environment;
pub use key::{AnyKey, Descriptor, Group, Key, Named, Pairs, Table, Tables};
pub use kind::Kind;
pub use lowered::Lowered;
pub use path::absolute_path;
pub use place::{At, FileId, Place};
pub use print::{key, quoted};
pub use problem::{Problem, Problems};
pub use reference::reference;
pub use schema::schema;

/// The table that describes one section.
#[derive(Debug)]
pub struct Section {
    /// How the section's header is written: `[upstream.NAME]`, `[[site]]`; for the whole file any
    /// name for it.
    pub title: &'static str,
    /// What the section is for, in sentences; a line break starts a paragraph. A nested section with
    /// an empty doc is shown in the reference by the example of its key alone.
    pub doc: &'static str,
    /// The keys, in the order of the reference. A group stands in as many sections as have all of it.
    pub groups: &'static [Group],
}

impl Section {
    /// Returns the keys of all groups, in the order of the reference.
    pub fn keys(&self) -> impl Iterator<Item = &'static Descriptor> {
        let keys = self.groups.iter().copied().flatten();
        keys.map(|key| key.descriptor())
    }

    /// Returns the first key, which a text stands for in a [`Kind::TextOr`].
    fn first_key(&self) -> Option<&'static Descriptor> {
        self.keys().next()
    }

    /// Returns the key of this name.
    fn key(&self, name: &str) -> Option<&'static Descriptor> {
        self.keys().find(|key| key.name == name)
    }

    /// Reports whether the key is one of this section, and not one of another with the same name.
    pub fn lists(&self, key: &dyn AnyKey) -> bool {
        self.has(key.descriptor())
    }

    fn has(&self, key: &Descriptor) -> bool {
        self.keys().any(|own| std::ptr::eq(own, key))
    }
}

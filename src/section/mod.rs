//! How every section of the configuration file is described: one table of keys for each section
//! (name, type, default, doc), kept beside the code that uses it. The decoder, the suggestions for
//! a misspelt key and `config/reference.toml` all come from that table, so they cannot disagree.
//!
//! Decoding never stops at the first fault: what is wrong goes to [`Problems`] with its [`Place`],
//! and the rest is still read. This module knows no section of its own and no meaning of any key.

mod changes;
mod embedded;
mod environment;
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

pub use environment::Environment;
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
    /// The keys, in the order of the reference.
    pub keys: &'static [Key],
}

/// One key of a section.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// The name as it is written: a bare TOML key.
    pub name: &'static str,
    /// What its value must be.
    pub kind: Kind,
    /// What holds when the key is absent, as a TOML literal: `"10s"` with its quotes, `8`, `["a"]`.
    pub default: Option<&'static str>,
    /// What the key means, in sentences; a line break starts a paragraph.
    pub doc: &'static str,
    /// A value to show in the reference when there is no default, as a TOML literal. On a
    /// [`Kind::Table`] it says that an absent table is not the same as an empty one, so that the
    /// reference shows the table switched off.
    pub example: Option<&'static str>,
    /// Whether the reference shows the example switched on: without such a key its section would
    /// mean nothing.
    pub shown: bool,
}

impl Key {
    /// A key without a default and without an example.
    pub const fn new(name: &'static str, kind: Kind, doc: &'static str) -> Self {
        Self {
            name,
            kind,
            default: None,
            doc,
            example: None,
            shown: false,
        }
    }

    /// The same key with an example, a TOML literal, that the reference shows switched on.
    pub const fn shown(self, literal: &'static str) -> Self {
        Self {
            example: Some(literal),
            shown: true,
            ..self
        }
    }

    /// The same key with a default, a TOML literal.
    pub const fn default(self, literal: &'static str) -> Self {
        Self {
            default: Some(literal),
            ..self
        }
    }

    /// The same key with an example, a TOML literal.
    pub const fn example(self, literal: &'static str) -> Self {
        Self {
            example: Some(literal),
            ..self
        }
    }
}

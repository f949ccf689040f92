//! One key of a section: its description, and the type of its value.

use std::fmt;
use std::marker::PhantomData;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::typed::Integer;
use super::{At, Kind, Lowered, Place, Section};
use crate::value::ByteSize;

/// The description of one key: what the decoder, the reference and the schema need.
#[derive(Clone, Copy, Debug)]
pub struct Descriptor {
    /// Name: a bare TOML key.
    pub name: &'static str,
    /// Kind of its value.
    pub kind: Kind,
    /// Value of the absent key, as a TOML literal: `"10s"` with its quotes, `8`, `["a"]`.
    pub default: Option<&'static str>,
    /// Meaning of the key, in sentences; a line break starts a paragraph.
    pub doc: &'static str,
    /// Example value for the reference, as a TOML literal, if there is no default. On a [`Kind::Table`]
    /// it means that an absent table differs from an empty one, so that the reference shows the table
    /// switched off.
    pub example: Option<&'static str>,
    /// The reference shows the example switched on: without this key its section has no effect.
    pub shown: bool,
}

/// A key whose value is a `T`: a static beside the section that lists it. Each constructor fixes the
/// kind, and so the type that [`Lowered::get`](super::Lowered::get) returns: an `Option` until [`Key::default`] sets
/// the value of the absent key.
pub struct Key<T> {
    descriptor: Descriptor,
    value: PhantomData<fn() -> T>,
}

/// A key of any type, as sections list them.
pub trait AnyKey: fmt::Debug + Sync {
    /// Returns its description, which is the identity of the key.
    fn descriptor(&self) -> &Descriptor;
}

/// Keys shared by several sections: the conditions, for one.
pub type Group = &'static [&'static dyn AnyKey];

/// Names and their texts, in the order of the file.
pub type Pairs = Vec<(At<String>, At<String>)>;

/// The type of a key that is a section of its own.
pub enum Table {}

/// The type of a key that is a list of sections.
pub enum Tables {}

/// The type of a key that has a section for each name.
pub enum Named {}

impl<T> Key<T> {
    const fn new(name: &'static str, kind: Kind, doc: &'static str) -> Self {
        let descriptor = Descriptor {
            name,
            kind,
            default: None,
            doc,
            example: None,
            shown: false,
        };
        Self::of(descriptor)
    }

    const fn of(descriptor: Descriptor) -> Self {
        Self {
            descriptor,
            value: PhantomData,
        }
    }

    const fn or(self, literal: &'static str) -> Descriptor {
        Descriptor {
            default: Some(literal),
            ..self.descriptor
        }
    }

    /// Returns the same key with an example, a TOML literal.
    pub const fn example(self, literal: &'static str) -> Self {
        Self::of(Descriptor {
            example: Some(literal),
            ..self.descriptor
        })
    }

    /// Returns the same key with an example, a TOML literal, that the reference shows switched on.
    pub const fn shown(self, literal: &'static str) -> Self {
        Self::of(Descriptor {
            example: Some(literal),
            shown: true,
            ..self.descriptor
        })
    }

    /// Returns the name as it is written.
    pub const fn name(&self) -> &'static str {
        self.descriptor.name
    }
}

impl<T: 'static> AnyKey for Key<T> {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }
}

impl<T> fmt::Debug for Key<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.descriptor.fmt(f)
    }
}

impl<T> Key<Option<T>> {
    /// Returns the same key with a default, a TOML literal.
    pub const fn default(self, literal: &'static str) -> Key<T> {
        Key::of(self.or(literal))
    }
}

impl Key<Option<At<String>>> {
    /// Builds the key of a text.
    pub const fn text(name: &'static str, doc: &'static str) -> Self {
        Self::new(name, Kind::Text, doc)
    }

    /// Builds the key of one of a few words.
    pub const fn one_of(
        name: &'static str,
        words: &'static [&'static str],
        doc: &'static str,
    ) -> Self {
        Self::new(name, Kind::OneOf(words), doc)
    }
}

impl<N: Integer> Key<Option<N>> {
    /// Builds the key of an integer; `i64::MAX` is no bound. It does not compile where the bounds are wider
    /// than the type.
    pub const fn integer(
        name: &'static str,
        bounds: RangeInclusive<i64>,
        doc: &'static str,
    ) -> Self {
        let (min, max) = (*bounds.start(), *bounds.end());
        assert!(min >= N::MIN && max <= N::MAX);
        Self::new(name, Kind::Integer { min, max }, doc)
    }
}

impl Key<Option<ByteSize>> {
    /// Builds the key of a number of bytes.
    pub const fn size(name: &'static str, doc: &'static str) -> Self {
        Self::new(name, Kind::Size, doc)
    }
}

impl Key<Option<Duration>> {
    /// Builds the key of a duration.
    pub const fn duration(name: &'static str, doc: &'static str) -> Self {
        Self::new(name, Kind::Duration, doc)
    }
}

impl Key<Option<u8>> {
    /// Builds the key of a percentage.
    pub const fn percent(name: &'static str, doc: &'static str) -> Self {
        Self::new(name, Kind::Percent, doc)
    }
}

impl Key<bool> {
    /// Builds the key of a flag, which is false when it is absent and has no default.
    pub const fn flag(name: &'static str, doc: &'static str) -> Self {
        Self::new(name, Kind::Flag, doc)
    }

    /// Returns the same key with a default, a TOML literal.
    pub const fn default(self, literal: &'static str) -> Self {
        Self::of(self.or(literal))
    }
}

impl Key<Vec<At<String>>> {
    /// Builds the key of a list of texts, which is empty when it is absent and has no default.
    pub const fn texts(name: &'static str, doc: &'static str) -> Self {
        Self::new(name, Kind::Texts, doc)
    }

    /// Returns the same key with a default, a TOML literal.
    pub const fn default(self, literal: &'static str) -> Self {
        Self::of(self.or(literal))
    }
}

impl Key<Pairs> {
    /// Builds the key of names and their texts.
    pub const fn pairs(name: &'static str, doc: &'static str) -> Self {
        Self::new(name, Kind::Pairs, doc)
    }
}

impl Key<Table> {
    /// Builds the key of a section of its own.
    pub const fn table(name: &'static str, section: &'static Section, doc: &'static str) -> Self {
        Self::new(name, Kind::Table(section), doc)
    }

    /// Builds the key of a section, or `true` for all its defaults.
    pub const fn flag_or(name: &'static str, section: &'static Section, doc: &'static str) -> Self {
        Self::new(name, Kind::FlagOr(section), doc)
    }

    /// Builds the key of a section, or a text for its first key.
    pub const fn text_or(name: &'static str, section: &'static Section, doc: &'static str) -> Self {
        Self::new(name, Kind::TextOr(section), doc)
    }
}

impl Key<Tables> {
    /// Builds the key of a list of sections.
    pub const fn tables(name: &'static str, section: &'static Section, doc: &'static str) -> Self {
        Self::new(name, Kind::Tables(section), doc)
    }

    /// Returns an element of the list without a key, which has all defaults.
    pub fn empty_section(&self) -> Option<Lowered> {
        let section = self.descriptor.kind.section()?;
        Some(Lowered::new(section, Place::default(), Vec::new()))
    }

    /// Builds the key of one section or several, each of which may be a text for its first key.
    pub const fn one_or_more(
        name: &'static str,
        section: &'static Section,
        doc: &'static str,
    ) -> Self {
        Self::new(name, Kind::OneOrMore(section), doc)
    }
}

impl Key<Named> {
    /// Builds the key of a section for each name.
    pub const fn named(name: &'static str, section: &'static Section, doc: &'static str) -> Self {
        Self::new(name, Kind::Named(section), doc)
    }
}

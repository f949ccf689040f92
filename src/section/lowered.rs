//! A section as read: the given values, and the defaults of its description.

use std::borrow::Cow;
use std::time::Duration;

use super::typed::Type;
use super::{AnyKey, At, Descriptor, Key, Kind, Pairs, Place, Problems, Section};
use crate::value::{ByteSize, parse_duration, parse_percent};

/// A section as read: the given values, and the defaults of its keys. Use of a key that the section
/// lacks is a bug: it fails in debug builds, and is absent otherwise.
///
/// Equality is equivalence; see [`Self::same_as`].
#[derive(Clone, Debug)]
pub struct Lowered {
    section: &'static Section,
    place: Place,
    pub(super) given: Vec<Given>,
    /// Keys with an invalid value.
    wrong: Vec<&'static Descriptor>,
}

/// A given key.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) key: &'static Descriptor,
    /// Place of the name.
    pub(super) name: Place,
    pub(super) value: At<Value>,
}

/// A valid value, of the [`Kind`]s in its name; `typed` defines the type of each.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A text, or one of a few words.
    Text(String),
    /// A flag.
    Flag(bool),
    /// An integer within its bounds.
    Integer(i64),
    /// A number of bytes.
    Size(ByteSize),
    /// A duration.
    Duration(Duration),
    /// A percentage.
    Percent(u8),
    /// A list of texts.
    Texts(Vec<At<String>>),
    /// Names and their texts.
    Pairs(Pairs),
    /// A section, written as such or abbreviated.
    Table(Lowered),
    /// A list of sections.
    Tables(Vec<Lowered>),
    /// A section for each name.
    Named(Vec<(At<String>, Lowered)>),
}

impl Lowered {
    pub(super) fn new(section: &'static Section, place: Place, given: Vec<Given>) -> Self {
        Self {
            section,
            place,
            given,
            wrong: Vec::new(),
        }
    }

    /// Records keys with an invalid value.
    pub(super) fn without(self, wrong: Vec<&'static Descriptor>) -> Self {
        Self { wrong, ..self }
    }

    /// Reports whether the key has an invalid value, which was reported: consequences of its absence are not
    /// to be reported again.
    pub fn is_wrong(&self, key: &dyn AnyKey) -> bool {
        let key = self.own(key.descriptor());
        self.wrong.iter().any(|wrong| std::ptr::eq(*wrong, key))
    }

    /// Returns its description.
    /// Reports whether a key of the section, or of one within it, has a wrong name or value.
    pub fn is_marred(&self) -> bool {
        let mut keys = self.section.keys();
        !self.wrong.is_empty()
            || keys.any(|key| {
                self.nested(key)
                    .iter()
                    .any(|(_, nested)| nested.is_marred())
            })
    }

    pub(super) fn section(&self) -> &'static Section {
        self.section
    }

    /// Returns the place of the section: its header, or the value of its key.
    pub fn place(&self) -> Place {
        self.place.clone()
    }

    /// Returns the value of the key: the given one, or else the default. An absent key without a default is
    /// `None`, false or empty; an absent table has all its defaults.
    pub fn get<T: Type>(&self, key: &Key<T>) -> T::Got<'_> {
        T::get(self, key.descriptor())
    }

    /// Returns the valid value of a given key; `None` also for the `false` of a [`Kind::FlagOr`].
    pub fn given<T: Type>(&self, key: &Key<T>) -> Option<T::Given<'_>> {
        T::given(&self.find(key.descriptor())?.value)
    }

    /// Reports whether the key is given, with a valid value.
    pub fn is_given(&self, key: &dyn AnyKey) -> bool {
        self.find(key.descriptor()).is_some()
    }

    /// Returns the place of the key's value; the place of the section if it is not given.
    pub fn place_of(&self, key: &dyn AnyKey) -> Place {
        self.place_of_key(key.descriptor())
    }

    pub(super) fn place_of_key(&self, key: &Descriptor) -> Place {
        let given = self.find(key);
        given.map_or_else(|| self.place(), |given| given.value.place.clone())
    }

    /// Returns the sections given under the key, whatever its kind: each with its name, if the kind has one.
    pub fn nested(&self, key: &Descriptor) -> Vec<(Option<&str>, &Self)> {
        match self.find(key).map(|given| &given.value.value) {
            Some(Value::Table(table)) => vec![(None, table)],
            Some(Value::Tables(tables)) => tables.iter().map(|table| (None, table)).collect(),
            Some(Value::Named(named)) => {
                let named = named.iter();
                named
                    .map(|(name, table)| (Some(name.as_str()), table))
                    .collect()
            }
            _ => Vec::new(),
        }
    }

    /// Returns the names of the given keys, each with the place of the name, in the order of the file.
    /// Omits a [`Kind::FlagOr`] that is false.
    pub fn given_keys(&self) -> Vec<At<&'static str>> {
        let names = self.given.iter().map(|given| At {
            value: given.key.name,
            place: given.name.clone(),
        });
        names.collect()
    }

    /// Merges a later part of the same file, if that only adds new keys and continues lists; `may` decides,
    /// for both names, whether a list may continue.
    pub fn with_more(mut self, more: Self, may: impl Fn(&Place) -> bool) -> Option<Self> {
        for later in more.given {
            let mut given = self.given.iter_mut();
            let Some(known) = given.find(|known| std::ptr::eq(known.key, later.key)) else {
                self.given.push(later);
                continue;
            };
            match (&mut known.value.value, later.value.value) {
                (Value::Tables(tables), Value::Tables(more))
                    if may(&known.name) && may(&later.name) =>
                {
                    tables.extend(more);
                }
                _ => return None,
            }
        }
        self.wrong.extend(more.wrong);
        Some(self)
    }

    /// Reports whether both are equivalent, wherever they were written: an explicit default equals an
    /// implicit one. A given table differs from an absent one.
    pub fn same_as(&self, other: &Self) -> bool {
        // A key that neither gives has its default in both.
        let agrees = |with: &Self, given: &Given| {
            with.effective(given.key).as_deref() == Some(&given.value.value)
        };
        self.section.title == other.section.title
            && self.given.iter().all(|given| agrees(other, given))
            && other.given.iter().all(|given| agrees(self, given))
    }

    /// Returns the given key.
    pub(super) fn find(&self, key: &Descriptor) -> Option<&Given> {
        let key = self.own(key);
        // Keys compare by identity, not by name.
        let mut given = self.given.iter();
        given.find(|given| std::ptr::eq(given.key, key))
    }

    /// Returns the key; debug builds panic for a key of another section.
    fn own<'k>(&self, key: &'k Descriptor) -> &'k Descriptor {
        debug_assert!(
            self.section.has(key),
            "`{}` is no key of {}",
            key.name,
            self.section.title
        );
        key
    }

    /// Returns the given value, or the default.
    pub(super) fn effective(&self, key: &Descriptor) -> Option<Cow<'_, Value>> {
        if let Some(given) = self.find(key) {
            return Some(Cow::Borrowed(&given.value.value));
        }
        let literal = key.default?;
        default(key, literal, &self.place).map(Cow::Owned)
    }
}

/// Parses the default of a key.
fn default(key: &Descriptor, literal: &str, place: &Place) -> Option<Value> {
    plain(key.kind, literal).or_else(|| key.literal(literal, place, &mut Problems::default()))
}

/// Parses simple defaults without a parser: a thousand sites use each a thousand times.
pub(super) fn plain(kind: Kind, literal: &str) -> Option<Value> {
    let quoted = || {
        let text = literal.strip_prefix('"')?.strip_suffix('"')?;
        (!text.contains(['\\', '$', '"'])).then_some(text)
    };
    match kind {
        Kind::Flag => literal.parse().ok().map(Value::Flag),
        Kind::Integer { .. } => literal.parse().ok().map(Value::Integer),
        Kind::Text | Kind::OneOf(_) => quoted().map(|text| Value::Text(text.to_owned())),
        Kind::Size => quoted()?.parse().ok().map(Value::Size),
        Kind::Duration => parse_duration(quoted()?).ok().map(Value::Duration),
        Kind::Percent => parse_percent(quoted()?).ok().map(Value::Percent),
        // Parts of these have places of their own.
        Kind::Texts | Kind::Pairs | Kind::Table(_) | Kind::FlagOr(_) => None,
        Kind::TextOr(_) | Kind::Tables(_) | Kind::OneOrMore(_) | Kind::Named(_) => None,
    }
}

impl PartialEq for Lowered {
    fn eq(&self, other: &Self) -> bool {
        self.same_as(other)
    }
}

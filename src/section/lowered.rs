//! A section as it was read: what was given, and behind it the defaults of the descriptor.

use std::borrow::Cow;
use std::time::Duration;

use super::{At, Key, Kind, Place, Problems, Section};
use crate::value::{ByteSize, parse_duration, parse_percent};

/// A section that was read. Each getter gives what was written, or else the default of the
/// descriptor. To ask for a key that the section does not have, or for another kind than it has, is
/// our own fault: it fails in debug builds and gives nothing, zero or false otherwise.
///
/// Two are equal when they say the same; see [`Self::same_as`].
#[derive(Clone, Debug)]
pub struct Lowered {
    section: &'static Section,
    place: Place,
    pub(super) given: Vec<Given>,
    /// Keys that were written and could not be understood.
    wrong: Vec<&'static str>,
}

/// A key that was written.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) key: &'static Key,
    /// Where the name stands.
    pub(super) name: Place,
    pub(super) value: At<Value>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Text(String),
    Flag(bool),
    Integer(i64),
    Size(ByteSize),
    Duration(Duration),
    Percent(u8),
    Texts(Vec<At<String>>),
    Pairs(Vec<(At<String>, At<String>)>),
    Table(Lowered),
    Tables(Vec<Lowered>),
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

    /// The same, of which these keys were written and could not be understood.
    pub(super) fn without(self, wrong: Vec<&'static str>) -> Self {
        Self { wrong, ..self }
    }

    /// Whether the key was written and could not be understood, which was told: what follows from it
    /// not being there is not to be told again.
    pub fn is_wrong(&self, key: &str) -> bool {
        self.wrong.contains(&key)
    }

    /// The description that it was read by.
    pub(super) fn section(&self) -> &'static Section {
        self.section
    }

    /// Where the section stands: its header, or the value of its key.
    pub fn place(&self) -> Place {
        self.place.clone()
    }

    /// Whether sections of this kind have the key.
    pub fn has_key(&self, key: &str) -> bool {
        self.section.key(key).is_some()
    }

    /// Whether the key was written (and right).
    pub fn is_given(&self, key: &str) -> bool {
        self.given(key).is_some()
    }

    /// Where the value of the key stands; the place of the section when it was not written.
    pub fn place_of(&self, key: &str) -> Place {
        self.given(key)
            .map_or_else(|| self.place(), |given| given.value.place.clone())
    }

    /// The names of the keys that were written, each with the place of the name, in the order of the
    /// file. A [`Kind::FlagOr`] that is false is not among them.
    pub fn given_keys(&self) -> Vec<At<&'static str>> {
        let names = self.given.iter().map(|given| At {
            value: given.key.name,
            place: given.name.clone(),
        });
        names.collect()
    }

    /// A [`Kind::Text`] or [`Kind::OneOf`]; `None` when it was not written and has no default.
    pub fn text(&self, key: &str) -> Option<At<String>> {
        let value = self.read(key, |value| {
            if let Value::Text(text) = value {
                Some(text)
            } else {
                None
            }
        })?;
        Some(At {
            value,
            place: self.place_of(key),
        })
    }

    /// A [`Kind::Flag`]; false when it was not written and has no default.
    pub fn flag(&self, key: &str) -> bool {
        self.read(key, |value| {
            if let Value::Flag(flag) = value {
                Some(flag)
            } else {
                None
            }
        })
        .unwrap_or_default()
    }

    /// A [`Kind::Integer`], in its bounds; zero when it was not written and has no default.
    pub fn integer(&self, key: &str) -> i64 {
        self.read(key, |value| {
            if let Value::Integer(number) = value {
                Some(number)
            } else {
                None
            }
        })
        .unwrap_or_default()
    }

    /// A [`Kind::Size`]; zero when it was not written and has no default.
    pub fn size(&self, key: &str) -> ByteSize {
        self.read(key, |value| {
            if let Value::Size(size) = value {
                Some(size)
            } else {
                None
            }
        })
        .unwrap_or_default()
    }

    /// A [`Kind::Duration`]; zero when it was not written and has no default.
    pub fn duration(&self, key: &str) -> Duration {
        self.read(key, |value| {
            if let Value::Duration(time) = value {
                Some(time)
            } else {
                None
            }
        })
        .unwrap_or_default()
    }

    /// A [`Kind::Percent`]; zero when it was not written and has no default.
    pub fn percent(&self, key: &str) -> u8 {
        self.read(key, |value| {
            if let Value::Percent(percent) = value {
                Some(percent)
            } else {
                None
            }
        })
        .unwrap_or_default()
    }

    /// A [`Kind::Texts`]; empty when it was not written and has no default.
    pub fn texts(&self, key: &str) -> Vec<At<String>> {
        self.read(key, |value| {
            if let Value::Texts(texts) = value {
                Some(texts)
            } else {
                None
            }
        })
        .unwrap_or_default()
    }

    /// A [`Kind::Pairs`], in the order of the file; empty when it was not written and has no default.
    pub fn pairs(&self, key: &str) -> Vec<(At<String>, At<String>)> {
        self.read(key, |value| {
            if let Value::Pairs(pairs) = value {
                Some(pairs)
            } else {
                None
            }
        })
        .unwrap_or_default()
    }

    /// A [`Kind::Table`], [`Kind::FlagOr`] or [`Kind::TextOr`]; when it was not written, that section with all its
    /// defaults, at the place of this one.
    pub fn table(&self, key: &str) -> Self {
        let nested = || {
            self.section
                .key(key)
                .and_then(|key| key.kind.section())
                .unwrap_or(self.section)
        };
        self.given_table(key)
            .cloned()
            .unwrap_or_else(|| Self::new(nested(), self.place(), Vec::new()))
    }

    /// A [`Kind::Table`], [`Kind::FlagOr`] or [`Kind::TextOr`] that was written; `None` also for `false`.
    pub fn given_table(&self, key: &str) -> Option<&Self> {
        self.nested(key, |value| {
            if let Value::Table(table) = value {
                Some(table)
            } else {
                None
            }
        })
    }

    /// A [`Kind::Tables`], in the order of the file; empty when there is none.
    pub fn tables(&self, key: &str) -> &[Self] {
        let tables = self.nested(key, |value| {
            if let Value::Tables(tables) = value {
                Some(tables)
            } else {
                None
            }
        });
        tables.map_or(&[], Vec::as_slice)
    }

    /// A [`Kind::Named`], in the order of the file; empty when there is none.
    pub fn named(&self, key: &str) -> &[(At<String>, Self)] {
        let named = self.nested(key, |value| {
            if let Value::Named(named) = value {
                Some(named)
            } else {
                None
            }
        });
        named.map_or(&[], Vec::as_slice)
    }

    /// This section and what a later part of its file says, where that only goes on with lists which both
    /// names `may` go on with, or is new.
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

    /// Whether both mean the same, wherever they were written: a default that is spelt out equals one
    /// that is not. A table that is given differs from an absent one.
    pub fn same_as(&self, other: &Self) -> bool {
        // What neither gives has its default in both.
        let agrees = |with: &Self, given: &Given| {
            with.effective(given.key).as_deref() == Some(&given.value.value)
        };
        self.section.title == other.section.title
            && self.given.iter().all(|given| agrees(other, given))
            && other.given.iter().all(|given| agrees(self, given))
    }

    pub(super) fn given(&self, key: &str) -> Option<&Given> {
        debug_assert!(
            self.section.key(key).is_some(),
            "{} has no key `{key}`",
            self.section.title
        );
        self.given.iter().find(|given| given.key.name == key)
    }

    /// What was written, or the default.
    pub(super) fn effective(&self, key: &'static Key) -> Option<Cow<'_, Value>> {
        let mut given = self.given.iter();
        // A key is itself alone: no names need be compared.
        if let Some(given) = given.find(|given| std::ptr::eq(given.key, key)) {
            return Some(Cow::Borrowed(&given.value.value));
        }
        let literal = key.default?;
        default(key, literal, &self.place).map(Cow::Owned)
    }

    fn read<T: Clone>(&self, key: &str, pick: fn(&Value) -> Option<&T>) -> Option<T> {
        self.assert_kind(key, pick);
        let value = self.effective(self.section.key(key)?)?;
        pick(&value).cloned()
    }

    fn nested<T>(&self, key: &str, pick: fn(&Value) -> Option<&T>) -> Option<&T> {
        self.assert_kind(key, pick);
        pick(&self.given(key)?.value.value)
    }

    /// In debug builds, whether values of this key are what the getter picks, also when none is there.
    fn assert_kind<T>(&self, key: &str, pick: fn(&Value) -> Option<&T>) {
        let fits = || {
            let kind = self.section.key(key).map(|key| key.kind);
            kind.is_some_and(|kind| pick(&Value::sample(kind, &self.place)).is_some())
        };
        debug_assert!(
            fits(),
            "`{key}` of {} is missing or of another kind",
            self.section.title
        );
    }
}

/// The default of a key as a value.
fn default(key: &'static Key, literal: &str, place: &Place) -> Option<Value> {
    plain(key.kind, literal).or_else(|| key.literal(literal, place, &mut Problems::default()))
}

/// Most defaults need no parser, and a thousand sites ask for each a thousand times.
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
        // The parts of these have places of their own.
        Kind::Texts | Kind::Pairs | Kind::Table(_) | Kind::FlagOr(_) => None,
        Kind::TextOr(_) | Kind::Tables(_) | Kind::Named(_) => None,
    }
}

impl PartialEq for Lowered {
    fn eq(&self, other: &Self) -> bool {
        self.same_as(other)
    }
}

impl Value {
    /// Any value of this kind.
    fn sample(kind: Kind, place: &Place) -> Self {
        match kind {
            Kind::Text | Kind::OneOf(_) => Self::Text(String::new()),
            Kind::Flag => Self::Flag(false),
            Kind::Integer { .. } => Self::Integer(0),
            Kind::Size => Self::Size(ByteSize(0)),
            Kind::Duration => Self::Duration(Duration::ZERO),
            Kind::Percent => Self::Percent(0),
            Kind::Texts => Self::Texts(Vec::new()),
            Kind::Pairs => Self::Pairs(Vec::new()),
            Kind::Table(section) | Kind::FlagOr(section) | Kind::TextOr(section) => {
                Self::Table(Lowered::new(section, place.clone(), Vec::new()))
            }
            Kind::Tables(_) => Self::Tables(Vec::new()),
            Kind::Named(_) => Self::Named(Vec::new()),
        }
    }
}

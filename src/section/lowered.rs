//! A section as it was read: what was given, and behind it the defaults of the descriptor.

use std::borrow::Cow;
use std::time::Duration;

use super::typed::Type;
use super::{AnyKey, At, Descriptor, Key, Kind, Pairs, Place, Problems, Section};
use crate::value::{ByteSize, parse_duration, parse_percent};

/// A section that was read: what was given, and behind it the defaults of its keys. To ask for a key
/// that the section does not have is our own fault: it fails in debug builds, and is absent otherwise.
///
/// Two are equal when they say the same; see [`Self::same_as`].
#[derive(Clone, Debug)]
pub struct Lowered {
    section: &'static Section,
    place: Place,
    pub(super) given: Vec<Given>,
    /// Keys that were written and could not be understood.
    wrong: Vec<&'static Descriptor>,
}

/// A key that was written.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) key: &'static Descriptor,
    /// Where the name stands.
    pub(super) name: Place,
    pub(super) value: At<Value>,
}

/// A value that was understood, of the [`Kind`]s that its name says; which of them is read as which type is
/// said in `typed`.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A text, or one of a few words.
    Text(String),
    /// A flag.
    Flag(bool),
    /// An integer in its bounds.
    Integer(i64),
    /// A number of bytes.
    Size(ByteSize),
    /// A duration.
    Duration(Duration),
    /// A part in per cent.
    Percent(u8),
    /// A list of texts.
    Texts(Vec<At<String>>),
    /// Names and their texts.
    Pairs(Pairs),
    /// A section, whether or not something else stood for it.
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

    /// The same, of which these keys were written and could not be understood.
    pub(super) fn without(self, wrong: Vec<&'static Descriptor>) -> Self {
        Self { wrong, ..self }
    }

    /// Reports whether the key was written and could not be understood, which was told: what follows from
    /// it not being there is not to be told again.
    pub fn is_wrong(&self, key: &dyn AnyKey) -> bool {
        let key = self.own(key.descriptor());
        self.wrong.iter().any(|wrong| std::ptr::eq(*wrong, key))
    }

    /// The description that it was read by.
    pub(super) fn section(&self) -> &'static Section {
        self.section
    }

    /// Where the section stands: its header, or the value of its key.
    pub fn place(&self) -> Place {
        self.place.clone()
    }

    /// Returns the value of the key: what was written, or else the default. What is absent and has no
    /// default is `None`, false or empty; an absent table has all its defaults.
    pub fn get<T: Type>(&self, key: &Key<T>) -> T::Got<'_> {
        T::get(self, key.descriptor())
    }

    /// Returns the value of the key where it was written (and right); `None` also where the `false` of a
    /// [`Kind::FlagOr`] was.
    pub fn given<T: Type>(&self, key: &Key<T>) -> Option<T::Given<'_>> {
        T::given(&self.find(key.descriptor())?.value)
    }

    /// Reports whether the key was written (and right).
    pub fn is_given(&self, key: &dyn AnyKey) -> bool {
        self.find(key.descriptor()).is_some()
    }

    /// Returns where the value of the key stands; the place of the section when it was not written.
    pub fn place_of(&self, key: &dyn AnyKey) -> Place {
        self.place_of_key(key.descriptor())
    }

    pub(super) fn place_of_key(&self, key: &Descriptor) -> Place {
        let given = self.find(key);
        given.map_or_else(|| self.place(), |given| given.value.place.clone())
    }

    /// Returns the sections that were written under the key, whatever its kind: each with its name, where
    /// the kind gives it one.
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

    /// The names of the keys that were written, each with the place of the name, in the order of the
    /// file. A [`Kind::FlagOr`] that is false is not among them.
    pub fn given_keys(&self) -> Vec<At<&'static str>> {
        let names = self.given.iter().map(|given| At {
            value: given.key.name,
            place: given.name.clone(),
        });
        names.collect()
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

    /// Returns the key as it was written.
    pub(super) fn find(&self, key: &Descriptor) -> Option<&Given> {
        let key = self.own(key);
        // A key is itself alone: no names need be compared.
        let mut given = self.given.iter();
        given.find(|given| std::ptr::eq(given.key, key))
    }

    /// Returns the key; debug builds panic where it is one of another section.
    fn own<'k>(&self, key: &'k Descriptor) -> &'k Descriptor {
        debug_assert!(
            self.section.has(key),
            "`{}` is no key of {}",
            key.name,
            self.section.title
        );
        key
    }

    /// Returns the value that was written, or the default.
    pub(super) fn effective(&self, key: &Descriptor) -> Option<Cow<'_, Value>> {
        if let Some(given) = self.find(key) {
            return Some(Cow::Borrowed(&given.value.value));
        }
        let literal = key.default?;
        default(key, literal, &self.place).map(Cow::Owned)
    }
}

/// The default of a key as a value.
fn default(key: &Descriptor, literal: &str, place: &Place) -> Option<Value> {
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

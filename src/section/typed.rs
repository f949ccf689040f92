//! The types that keys may have, and how each is read from what was written.

use std::borrow::Cow;
use std::time::Duration;

use super::key::{Named, Pairs, Table, Tables};
use super::lowered::Value;
use super::{At, Descriptor, Lowered, Place};
use crate::value::ByteSize;

/// A type that a key may have.
pub trait Type: Sized + 'static {
    /// Result of [`Lowered::get`]: the value that was written, or the default.
    type Got<'a>;

    /// Result of [`Lowered::given`]: the value that was written.
    type Given<'a>;

    /// Reads a value of the kind that belongs to the type; none of another.
    fn given(value: &At<Value>) -> Option<Self::Given<'_>>;

    /// Reads the key of a section, written or not.
    fn get<'a>(section: &'a Lowered, key: &Descriptor) -> Self::Got<'a>;
}

/// A type whose values are copied out of the section.
pub trait Scalar: Sized + 'static {
    /// Reads a value that stands at `place`.
    fn read(value: &Value, place: &Place) -> Option<Self>;

    /// Returns the value of an absent key without a default.
    fn absent(place: Place) -> Self;
}

/// An integer in the bounds of its key.
pub trait Integer: Default + 'static {
    /// The least that the type holds.
    const MIN: i64;

    /// The greatest, as far as a configuration can say it.
    const MAX: i64;

    /// Converts a number within these bounds.
    fn of(number: i64) -> Option<Self>;
}

macro_rules! integers {
    ($($type:ty: $min:expr, $max:expr;)*) => {$(
        impl Integer for $type {
            const MIN: i64 = $min;
            const MAX: i64 = $max;

            fn of(number: i64) -> Option<Self> {
                number.try_into().ok()
            }
        }
    )*};
}

integers! {
    u16: 0, u16::MAX as i64;
    u32: 0, u32::MAX as i64;
    u64: 0, i64::MAX;
    usize: 0, isize::MAX as i64;
    i32: i32::MIN as i64, i32::MAX as i64;
}

impl<S: Scalar> Type for S {
    type Got<'a> = Self;
    type Given<'a> = Self;

    fn given(value: &At<Value>) -> Option<Self> {
        Self::read(&value.value, &value.place)
    }

    fn get(section: &Lowered, key: &Descriptor) -> Self {
        effective(section, key).unwrap_or_else(|| Self::absent(section.place()))
    }
}

impl<S: Scalar> Type for Option<S> {
    type Got<'a> = Self;
    type Given<'a> = S;

    fn given(value: &At<Value>) -> Self {
        S::read(&value.value, &value.place)
    }

    fn get(section: &Lowered, key: &Descriptor) -> Self {
        effective(section, key)
    }
}

fn effective<S: Scalar>(section: &Lowered, key: &Descriptor) -> Option<S> {
    S::read(section.effective(key)?.as_ref(), &section.place_of_key(key))
}

impl Type for Table {
    /// Absent, it is the section with all its defaults, at the place of the one that lacks it.
    type Got<'a> = Cow<'a, Lowered>;
    type Given<'a> = &'a Lowered;

    fn given(value: &At<Value>) -> Option<&Lowered> {
        if let Value::Table(table) = &value.value {
            Some(table)
        } else {
            None
        }
    }

    fn get<'a>(section: &'a Lowered, key: &Descriptor) -> Cow<'a, Lowered> {
        let given = section
            .find(key)
            .and_then(|given| Self::given(&given.value));
        let nested = || {
            let nested = key.kind.section().unwrap_or_else(|| section.section());
            Lowered::new(nested, section.place(), Vec::new())
        };
        given.map_or_else(|| Cow::Owned(nested()), Cow::Borrowed)
    }
}

impl Type for Tables {
    type Got<'a> = &'a [Lowered];
    type Given<'a> = &'a [Lowered];

    fn given(value: &At<Value>) -> Option<&[Lowered]> {
        if let Value::Tables(tables) = &value.value {
            Some(tables)
        } else {
            None
        }
    }

    fn get<'a>(section: &'a Lowered, key: &Descriptor) -> &'a [Lowered] {
        let given = section
            .find(key)
            .and_then(|given| Self::given(&given.value));
        given.unwrap_or_default()
    }
}

impl Type for Named {
    type Got<'a> = &'a [(At<String>, Lowered)];
    type Given<'a> = &'a [(At<String>, Lowered)];

    fn given(value: &At<Value>) -> Option<Self::Given<'_>> {
        if let Value::Named(named) = &value.value {
            Some(named)
        } else {
            None
        }
    }

    fn get<'a>(section: &'a Lowered, key: &Descriptor) -> Self::Got<'a> {
        let given = section
            .find(key)
            .and_then(|given| Self::given(&given.value));
        given.unwrap_or_default()
    }
}

/// Each is read from the values of its kinds alone, and is worth its default where it is absent.
macro_rules! scalars {
    ($($type:ty: $value:pat => $read:expr;)*) => {$(
        impl Scalar for $type {
            fn read(value: &Value, _: &Place) -> Option<Self> {
                if let $value = value { $read } else { None }
            }

            fn absent(_: Place) -> Self {
                Self::default()
            }
        }
    )*};
}

scalars! {
    bool: Value::Flag(flag) => Some(*flag);
    ByteSize: Value::Size(size) => Some(*size);
    Duration: Value::Duration(duration) => Some(*duration);
    u8: Value::Percent(percent) => Some(*percent);
    Vec<At<String>>: Value::Texts(texts) => Some(texts.clone());
    Pairs: Value::Pairs(pairs) => Some(pairs.clone());
}

impl<N: Integer> Scalar for N {
    fn read(value: &Value, _: &Place) -> Option<Self> {
        if let Value::Integer(number) = value {
            Self::of(*number)
        } else {
            None
        }
    }

    fn absent(_: Place) -> Self {
        Self::default()
    }
}

impl Scalar for At<String> {
    fn read(value: &Value, place: &Place) -> Option<Self> {
        if let Value::Text(text) = value {
            let (value, place) = (text.clone(), place.clone());
            Some(Self { value, place })
        } else {
            None
        }
    }

    fn absent(place: Place) -> Self {
        let value = String::new();
        Self { value, place }
    }
}

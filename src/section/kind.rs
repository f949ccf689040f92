//! Kinds of values, and the decoding of each from the parsed tree.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::lower::{Lowering, nearest};
use super::lowered::{Given, Value};
use super::{At, Lowered, Problem, Section};
use crate::value::{ByteSize, Invalid, parse_duration, parse_percent};

/// Kind of a key's value. Each belongs to one type of [`Key`](super::Key).
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A text.
    Text,
    /// `true` or `false`.
    Flag,
    /// An integer between two bounds, both included.
    Integer {
        /// Lower bound.
        min: i64,
        /// Upper bound; `i64::MAX` for none.
        max: i64,
    },
    /// A number of bytes with its unit, in a text.
    Size,
    /// A duration with its unit, in a text.
    Duration,
    /// A percentage, in a text.
    Percent,
    /// One of a few words.
    OneOf(&'static [&'static str]),
    /// A list of texts; a text alone is a list of one.
    Texts,
    /// A table of names to texts; numbers and flags are read as texts.
    Pairs,
    /// A section of its own, inline or under its own header.
    Table(&'static Section),
    /// Any number of sections: an array of tables, `[[site]]`.
    Tables(&'static Section),
    /// A section for each name: `[upstream.NAME]`.
    Named(&'static Section),
    /// A section, or `true` for that section with all its defaults; `false` equals absent.
    FlagOr(&'static Section),
    /// A section, or a text for that section with its first key alone.
    TextOr(&'static Section),
    /// One or more of these: a list of sections and texts, or one alone.
    OneOrMore(&'static Section),
}

impl Kind {
    /// Describes the expected value in error messages: `a duration such as "60s"`.
    pub(super) fn expected(self) -> String {
        match self {
            Self::Text => "a text".to_owned(),
            Self::Flag => "true or false".to_owned(),
            Self::Integer { min, max: i64::MAX } => format!("an integer of at least {min}"),
            Self::Integer { min, max } => format!("an integer from {min} to {max}"),
            Self::Size => r#"a size such as "64KiB""#.to_owned(),
            Self::Duration => r#"a duration such as "60s""#.to_owned(),
            Self::Percent => r#"a part such as "20 %""#.to_owned(),
            Self::OneOf(words) => alternatives(words),
            Self::Texts => "a text or a list of texts".to_owned(),
            Self::Pairs => "a table of texts, numbers and flags".to_owned(),
            Self::Table(_) => "a table".to_owned(),
            Self::Tables(_) => "a list of tables".to_owned(),
            Self::Named(_) => "a table of tables, each with its name".to_owned(),
            Self::FlagOr(_) => "true, false or a table".to_owned(),
            Self::TextOr(_) => "a text or a table".to_owned(),
            Self::OneOrMore(_) => "a text, a table, or a list of them".to_owned(),
        }
    }

    /// Returns the section of a nested table.
    pub(crate) fn section(self) -> Option<&'static Section> {
        match self {
            Self::Table(section)
            | Self::Tables(section)
            | Self::Named(section)
            | Self::FlagOr(section)
            | Self::TextOr(section)
            | Self::OneOrMore(section) => Some(section),
            Self::Text | Self::Flag | Self::Integer { .. } | Self::Size | Self::Duration => None,
            Self::Percent | Self::OneOf(_) | Self::Texts | Self::Pairs => None,
        }
    }

    /// Suggests a correction for a value of the wrong type.
    fn remedy(self, value: &DeValue<'_>) -> Option<String> {
        let bare = bare(value);
        match self {
            Self::Text | Self::Texts | Self::TextOr(_) | Self::OneOrMore(_) => {
                bare.map(|bare| format!(r#"write "{bare}""#))
            }
            Self::Duration => bare.map(|bare| format!(r#"write "{bare}s""#)),
            Self::Percent => bare.map(|bare| format!(r#"write "{bare} %""#)),
            Self::Size => {
                bare.map(|bare| format!(r#"write "{bare}B", or with another unit such as "64KiB""#))
            }
            Self::Tables(section) => value
                .is_table()
                .then(|| format!("write `{}`", section.title)),
            Self::Flag | Self::FlagOr(_) => unquoted(value)
                .filter(DeValue::is_bool)
                .map(|_| without_quotes()),
            Self::Integer { .. } => unquoted(value)
                .filter(DeValue::is_integer)
                .map(|_| without_quotes()),
            Self::OneOf(_) | Self::Pairs | Self::Table(_) | Self::Named(_) => None,
        }
    }
}

type Written<'a, 'i> = &'a Spanned<DeValue<'i>>;

/// Decoders, one a kind; `None` for an invalid value, which is then among the problems, or for one
/// that equals an absent key.
impl Lowering<'_> {
    pub(super) fn value(&mut self, kind: Kind, written: Written<'_, '_>) -> Option<Value> {
        match kind {
            Kind::Text => self.text(kind, written).map(|text| Value::Text(text.value)),
            Kind::Flag => self.flag(kind, written).map(Value::Flag),
            Kind::Integer { .. } => self.integer(kind, written).map(Value::Integer),
            Kind::Size => self
                .measured(kind, written, str::parse::<ByteSize>)
                .map(Value::Size),
            Kind::Duration => self
                .measured(kind, written, parse_duration)
                .map(Value::Duration),
            Kind::Percent => self
                .measured(kind, written, parse_percent)
                .map(Value::Percent),
            Kind::OneOf(words) => self.one_of(kind, words, written).map(Value::Text),
            Kind::Texts => self.texts(written).map(Value::Texts),
            Kind::Pairs => self.pairs(written).map(Value::Pairs),
            Kind::Table(section) => self.table(kind, section, written).map(Value::Table),
            Kind::Tables(section) => self.tables(kind, section, written).map(Value::Tables),
            Kind::Named(section) => self.named(kind, section, written).map(Value::Named),
            Kind::FlagOr(section) => self.flag_or(kind, section, written).map(Value::Table),
            Kind::TextOr(section) => self.text_or(kind, section, written).map(Value::Table),
            Kind::OneOrMore(section) => self.one_or_more(kind, section, written).map(Value::Tables),
        }
    }

    fn text(&mut self, kind: Kind, written: Written<'_, '_>) -> Option<At<String>> {
        match written.get_ref().as_str() {
            Some(text) => self.expand(text, written.span()),
            None => self.wrong(kind, written),
        }
    }

    fn flag(&mut self, kind: Kind, written: Written<'_, '_>) -> Option<bool> {
        written
            .get_ref()
            .as_bool()
            .or_else(|| self.wrong(kind, written))
    }

    fn integer(&mut self, kind: Kind, written: Written<'_, '_>) -> Option<i64> {
        let Some(digits) = written.get_ref().as_integer() else {
            return self.wrong(kind, written);
        };
        // TOML 1.1 "Integer": a number beyond 64 bits must be an error; here it is out of range.
        let number = i64::from_str_radix(digits.as_str(), digits.radix()).ok();
        let fits = |number: &i64| matches!(kind, Kind::Integer { min, max } if (min..=max).contains(number));
        let in_range = number.filter(fits);
        if in_range.is_none() {
            let message = format!("expected {}, found {digits}", kind.expected());
            self.report(written, message, None);
        }
        in_range
    }

    /// Decodes a value with a unit.
    fn measured<T>(
        &mut self,
        kind: Kind,
        written: Written<'_, '_>,
        parse: impl Fn(&str) -> Result<T, Invalid>,
    ) -> Option<T> {
        let text = self.text(kind, written)?;
        parse(&text)
            .map_err(|Invalid(message)| self.report(written, message, None))
            .ok()
    }

    fn one_of(&mut self, kind: Kind, words: &[&str], written: Written<'_, '_>) -> Option<String> {
        let text = self.text(kind, written)?.value;
        if words.contains(&text.as_str()) {
            return Some(text);
        }
        let help =
            nearest(&text, words.iter().copied()).map(|word| format!(r#"did you mean "{word}"?"#));
        self.report(
            written,
            format!(r#"expected {}, found "{text}""#, kind.expected()),
            help,
        );
        None
    }

    fn texts(&mut self, written: Written<'_, '_>) -> Option<Vec<At<String>>> {
        match written.get_ref().as_array() {
            Some(list) => Some(
                list.iter()
                    .filter_map(|item| self.text(Kind::Text, item))
                    .collect(),
            ),
            None => self.text(Kind::Texts, written).map(|only| vec![only]),
        }
    }

    fn pairs(&mut self, written: Written<'_, '_>) -> Option<Vec<(At<String>, At<String>)>> {
        let Some(table) = written.get_ref().as_table() else {
            return self.wrong(Kind::Pairs, written);
        };
        let mut pairs = Vec::with_capacity(table.len());
        for (name, value) in table {
            let name = self.at(name.get_ref().to_string(), name.span());
            pairs.extend(self.scalar(value).map(|value| (name, value)));
        }
        Some(pairs)
    }

    /// Decodes a text, or a value that becomes one with quotes.
    fn scalar(&mut self, written: Written<'_, '_>) -> Option<At<String>> {
        let value = written.get_ref();
        let plain = value.as_bool().map(|flag| flag.to_string());
        match plain.or_else(|| bare(value)) {
            Some(text) => Some(self.at(text, written.span())),
            None => self.text(Kind::Text, written),
        }
    }

    fn table(
        &mut self,
        kind: Kind,
        section: &'static Section,
        written: Written<'_, '_>,
    ) -> Option<Lowered> {
        match written.get_ref().as_table() {
            Some(table) => Some(self.section(section, table, self.place(written.span()))),
            None => self.wrong(kind, written),
        }
    }

    fn tables(
        &mut self,
        kind: Kind,
        section: &'static Section,
        written: Written<'_, '_>,
    ) -> Option<Vec<Lowered>> {
        match written.get_ref().as_array() {
            Some(list) => {
                let table = |item| self.table(Kind::Table(section), section, item);
                Some(list.iter().filter_map(table).collect())
            }
            None => self.wrong(kind, written),
        }
    }

    fn named(
        &mut self,
        kind: Kind,
        section: &'static Section,
        written: Written<'_, '_>,
    ) -> Option<Vec<(At<String>, Lowered)>> {
        let Some(table) = written.get_ref().as_table() else {
            return self.wrong(kind, written);
        };
        let mut named = Vec::with_capacity(table.len());
        for (name, value) in table {
            let name = self.at(name.get_ref().to_string(), name.span());
            named.extend(
                self.table(Kind::Table(section), section, value)
                    .map(|lowered| (name, lowered)),
            );
        }
        Some(named)
    }

    fn flag_or(
        &mut self,
        kind: Kind,
        section: &'static Section,
        written: Written<'_, '_>,
    ) -> Option<Lowered> {
        match written.get_ref().as_bool() {
            Some(true) => Some(self.section(section, &DeTable::new(), self.place(written.span()))),
            Some(false) => None,
            None => self.table(kind, section, written),
        }
    }

    fn text_or(
        &mut self,
        kind: Kind,
        section: &'static Section,
        written: Written<'_, '_>,
    ) -> Option<Lowered> {
        let (true, Some(key)) = (written.get_ref().is_str(), section.first_key()) else {
            return self.table(kind, section, written);
        };
        let place = self.place(written.span());
        let value = self.value(key.kind, written)?;
        let given = Given {
            key,
            name: place.clone(),
            value: At {
                value,
                place: place.clone(),
            },
        };
        Some(Lowered::new(section, place, vec![given]))
    }

    fn one_or_more(
        &mut self,
        kind: Kind,
        section: &'static Section,
        written: Written<'_, '_>,
    ) -> Option<Vec<Lowered>> {
        match written.get_ref().as_array() {
            Some(list) => {
                let one = |item| self.text_or(Kind::TextOr(section), section, item);
                Some(list.iter().filter_map(one).collect())
            }
            None => self.text_or(kind, section, written).map(|only| vec![only]),
        }
    }

    fn wrong<T>(&mut self, kind: Kind, written: Written<'_, '_>) -> Option<T> {
        let message = format!(
            "expected {}, found {}",
            kind.expected(),
            found(written.get_ref())
        );
        self.report(written, message, kind.remedy(written.get_ref()));
        None
    }

    fn report(&mut self, written: Written<'_, '_>, message: String, help: Option<String>) {
        let mut problem = Problem::new(self.place(written.span()), message).unconditional();
        if let Some(help) = help {
            problem = problem.help(help);
        }
        self.problems.push(problem);
    }
}

/// Joins alternatives: `"a", "b" or "c"`.
fn alternatives(words: &[&str]) -> String {
    let quoted = words
        .iter()
        .map(|word| format!(r#""{word}""#))
        .collect::<Vec<_>>();
    match quoted.split_last() {
        Some((last, before)) if !before.is_empty() => format!("{} or {last}", before.join(", ")),
        Some(_) | None => quoted.concat(),
    }
}

fn found(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(true) => "true",
        DeValue::Boolean(false) => "false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// Returns a number as it would be quoted.
fn bare(value: &DeValue<'_>) -> Option<String> {
    value.as_integer().map(ToString::to_string)
}

fn without_quotes() -> String {
    "write it without the quotes".to_owned()
}

/// Parses the content of a text as if unquoted.
fn unquoted<'a>(value: &'a DeValue<'_>) -> Option<DeValue<'a>> {
    value
        .as_str()
        .and_then(|text| DeValue::parse(text).ok())
        .map(Spanned::into_inner)
}

//! `header`, `query` and `cookie`: something with a name that the client sent, and its value. Of several
//! with the name one is enough.

use std::fmt;

use http::{HeaderName, header};

use super::expression::Expression;
use super::php_names::PhpName;
use super::set::Builder;
use super::shown::bytes;
use super::{Cost, Criterion, Exhausted, listed};
use crate::message::whitespace::trim;
use crate::message::{Disk, Request};
use crate::route::Captures;
use crate::section::{At, Group, Key, Lowered, Problem, Problems, Section, Table};

/// The `header` key.
pub(super) static HEADER_KEY: Key<Table> = Key::table("header", &HEADER, "A header field: its `name`, and a `value` (one or a list, exactly) or a regular expression that it `match`es; with neither it is enough that it is there. Of several fields of the name one is enough. For two headers write `all`.").example("{ name = \"X-Requested-With\", value = \"XMLHttpRequest\" }");

/// The `query` key.
pub(super) static QUERY_KEY: Key<Table> = Key::table("query", &QUERY, "A parameter of the query as PHP has it in $_GET: `name`, and `value` or `match` as of `header`. `?%20pa%67e=1`, of which PHP makes `page`, is one of the name `page`; of several the last counts; of a list (`page[]=1`) one element is enough, and `filter[from]` names an element. The value is decoded.").example("{ name = \"page\", match = '^\\d+$' }");

/// The `cookie` key.
pub(super) static COOKIE_KEY: Key<Table> = Key::table("cookie", &COOKIE, "A cookie as PHP has it in $_COOKIE: `name`, and `value` or `match` as of `header`. Names as of `query`; of several the first counts. The value is decoded, and a `+` in it is a `+`.")
.example("{ name = \"beta\", value = \"1\" }");

// No docs of their own: the reference shows each key's example.
static HEADER: Section = Section {
    title: "header",
    doc: "",
    groups: &[KEYS],
};
static QUERY: Section = Section {
    title: "query",
    doc: "",
    groups: &[KEYS],
};
static COOKIE: Section = Section {
    title: "cookie",
    doc: "",
    groups: &[KEYS],
};

const KEYS: Group = &[&NAME, &VALUE, &MATCH];

static NAME: Key<Option<At<String>>> = Key::text("name", "Its name.");

static VALUE: Key<Vec<At<String>>> = Key::texts("value", "Values of which one must be its value.");

static MATCH: Key<Option<At<String>>> = Key::text("match", "A regular expression on its value.");

/// Where it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// A header field.
    Header,
    /// A parameter of the query.
    Query,
    /// A cookie.
    Cookie,
}

/// What must have been sent.
#[derive(Debug)]
pub struct FieldCondition {
    name: Name,
    value: Value,
}

#[derive(Debug)]
enum Name {
    Header(HeaderName),
    Query(PhpVariable),
    Cookie(PhpVariable),
}

/// The name of a variable of PHP, as it is read and as it was written.
#[derive(Debug)]
struct PhpVariable {
    name: PhpName,
    text: Box<str>,
}

#[derive(Debug)]
enum Value {
    Any,
    OneOf(Vec<Vec<u8>>),
    Like(Expression),
}

impl FieldCondition {
    /// From its section; what cannot be understood is a problem.
    fn new(source: Source, section: &Lowered, problems: &mut Problems) -> Option<Self> {
        let Some(name) = section.get(&NAME).filter(|name| !name.is_empty()) else {
            let message = "the condition needs a `name`";
            let help = "{ name = \"…\", value = \"…\" }";
            problems.push(Problem::new(section.place(), message).help(help));
            return None;
        };
        Some(Self {
            name: Name::new(source, &name, problems)?,
            value: Value::new(section, problems)?,
        })
    }

    fn any<'a>(&self, values: impl Iterator<Item = &'a [u8]>) -> Result<bool, Exhausted> {
        for value in values {
            if self.value.holds(value)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

pub(super) fn header(section: &Lowered, builder: &mut Builder<'_>) -> Option<Box<FieldCondition>> {
    build(Source::Header, section.given(&HEADER_KEY)?, builder)
}

pub(super) fn query(section: &Lowered, builder: &mut Builder<'_>) -> Option<Box<FieldCondition>> {
    build(Source::Query, section.given(&QUERY_KEY)?, builder)
}

pub(super) fn cookie(section: &Lowered, builder: &mut Builder<'_>) -> Option<Box<FieldCondition>> {
    build(Source::Cookie, section.given(&COOKIE_KEY)?, builder)
}

fn build(
    source: Source,
    table: &Lowered,
    builder: &mut Builder<'_>,
) -> Option<Box<FieldCondition>> {
    FieldCondition::new(source, table, builder.problems).map(Box::new)
}

impl Criterion for FieldCondition {
    fn cost(&self) -> Cost {
        match self.name {
            Name::Header(_) | Name::Cookie(_) => Cost::Fields,
            Name::Query(_) => Cost::Query,
        }
    }

    fn holds(&self, request: &Request, _: &dyn Disk, _: &mut Captures) -> Result<bool, Exhausted> {
        match &self.name {
            Name::Header(name) => {
                let fields = request.fields.get_all(name).iter();
                self.any(fields.map(|field| trim(field.as_bytes())))
            }
            Name::Query(variable) => {
                let query = request.target.query().unwrap_or_default();
                self.any(variable.name.in_query(query).iter())
            }
            Name::Cookie(variable) => {
                let fields = request.fields.get_all(header::COOKIE).iter();
                let fields = fields.map(|field| trim(field.as_bytes()));
                self.any(variable.name.in_cookies(fields).iter())
            }
        }
    }

    /// A parameter of the query is a part of the target.
    fn asks_for_target(&self) -> bool {
        matches!(self.name, Name::Query(_))
    }
}

impl fmt::Display for FieldCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Name::Header(name) => write!(f, "header {name}")?,
            Name::Query(variable) => write!(f, "query {}", variable.text)?,
            Name::Cookie(variable) => write!(f, "cookie {}", variable.text)?,
        }
        match &self.value {
            Value::Any => Ok(()),
            Value::OneOf(values) => write!(f, " = {}", bytes(values)),
            Value::Like(expression) => write!(f, " matching '{}'", expression.written()),
        }
    }
}

impl Name {
    fn new(source: Source, name: &At<String>, problems: &mut Problems) -> Option<Self> {
        match source {
            Source::Query => PhpVariable::new(name, problems).map(Self::Query),
            Source::Cookie => PhpVariable::new(name, problems).map(Self::Cookie),
            Source::Header => match HeaderName::from_bytes(name.value.as_bytes()) {
                Ok(name) => Some(Self::Header(name)),
                Err(_) => {
                    let message = format!("`{}` is not the name of a header", name.value);
                    problems.push(Problem::new(name.place.clone(), message));
                    None
                }
            },
        }
    }
}

impl PhpVariable {
    fn new(text: &At<String>, problems: &mut Problems) -> Option<Self> {
        let Some(name) = PhpName::parse(text.value.as_bytes()) else {
            let message = format!("PHP has no variable `{}`", text.value);
            let help = "write the name as the application does in $_GET or $_COOKIE";
            problems.push(Problem::new(text.place.clone(), message).help(help));
            return None;
        };
        let text = text.value.as_str().into();
        Some(Self { name, text })
    }
}

impl Value {
    fn new(section: &Lowered, problems: &mut Problems) -> Option<Self> {
        match (section.is_given(&VALUE), section.get(&MATCH)) {
            (true, Some(pattern)) => {
                let message = "`value` and `match` are two ways to say the same: write one";
                problems.push(Problem::new(pattern.place, message));
                None
            }
            (true, None) => {
                let texts = listed(section, &VALUE, problems)?;
                let values = texts.into_iter().map(|text| text.value.into_bytes());
                Some(Self::OneOf(values.collect()))
            }
            (false, Some(pattern)) => Expression::new(&pattern, problems).map(Self::Like),
            (false, None) => Some(Self::Any),
        }
    }

    fn holds(&self, value: &[u8]) -> Result<bool, Exhausted> {
        match self {
            Self::Any => Ok(true),
            Self::OneOf(values) => Ok(values.iter().any(|wanted| wanted == value)),
            Self::Like(expression) => expression.is_match(value),
        }
    }
}

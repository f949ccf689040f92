//! Texts with variables, as actions of rules have them: `$1`, `${name}`, `$rest`. Parsed when the
//! configuration is loaded; expanding cannot fail.

use std::fmt;

/// What a template may name besides captures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variable {
    /// `$path`: the decoded, normalised path.
    Path,
    /// `$rest`: what follows the rule's prefix.
    Rest,
    /// `$query`: as sent, without `?`.
    Query,
    /// `$host`: without port.
    Host,
    /// `$scheme`: `http` or `https`.
    Scheme,
    /// `$uri`: path and query as sent.
    Uri,
    /// `$method`.
    Method,
}

/// Where the values come from.
pub trait Values {
    /// The group of this number; 0 is the whole match.
    fn capture(&self, index: usize) -> Option<&[u8]>;
    /// The group of this name.
    fn named(&self, name: &str) -> Option<&[u8]>;
    /// A variable of the request.
    fn variable(&self, variable: Variable) -> &[u8];
}

/// The groups that the rule's pattern has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups {
    count: usize,
    names: Vec<String>,
}

/// A template, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Capture(usize),
    Named(String),
    Variable(Variable),
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError {
    /// What is wrong and what to write instead.
    pub message: String,
    /// Where in the text, in bytes.
    pub offset: usize,
}

const VARIABLES: [(&str, Variable); 7] = [
    ("path", Variable::Path),
    ("rest", Variable::Rest),
    ("query", Variable::Query),
    ("host", Variable::Host),
    ("scheme", Variable::Scheme),
    ("uri", Variable::Uri),
    ("method", Variable::Method),
];

impl Groups {
    /// `count` groups without the whole match, some of which have names.
    pub fn new(count: usize, names: Vec<String>) -> Self {
        Self { count, names }
    }
}

impl Template {
    /// Parses `text`; what it names must exist.
    pub fn parse(text: &str, groups: &Groups) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(dollar) = rest.find('$') {
            let offset = text.len() - rest.len() + dollar;
            let (literal, from_dollar) = rest.split_at(dollar);
            push_literal(&mut parts, literal);
            let (part, length) = variable(from_dollar, groups).map_err(|message| TemplateError { message, offset })?;
            match part {
                Part::Literal(literal) => push_literal(&mut parts, &literal),
                part => parts.push(part),
            }
            rest = from_dollar.get(length..).unwrap_or_default();
        }
        push_literal(&mut parts, rest);
        Ok(Self(parts))
    }

    /// The text with all values in place; a group that took no part is empty.
    pub fn expand(&self, values: &impl Values) -> Vec<u8> {
        self.expand_with(values, |value, out| out.extend_from_slice(value))
    }

    /// The same, with each decoded value written by `write`; literals and what is kept as it was
    /// sent (`$query`, `$uri`) stay what they are.
    pub fn expand_with(&self, values: &impl Values, write: impl Fn(&[u8], &mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        for part in &self.0 {
            match part {
                Part::Literal(literal) => out.extend_from_slice(literal.as_bytes()),
                Part::Capture(index) => write(values.capture(*index).unwrap_or_default(), &mut out),
                Part::Named(name) => write(values.named(name).unwrap_or_default(), &mut out),
                Part::Variable(variable @ (Variable::Query | Variable::Uri)) => out.extend_from_slice(values.variable(*variable)),
                Part::Variable(variable) => write(values.variable(*variable), &mut out),
            }
        }
        out
    }
}

fn push_literal(parts: &mut Vec<Part>, text: &str) {
    match parts.last_mut() {
        Some(Part::Literal(before)) => before.push_str(text),
        Some(_) | None if text.is_empty() => {}
        Some(_) | None => parts.push(Part::Literal(text.to_owned())),
    }
}

/// What stands at a `$`, and how many bytes it takes.
fn variable(text: &str, groups: &Groups) -> Result<(Part, usize), String> {
    let after = text.get(1..).unwrap_or_default();
    if after.starts_with('$') {
        return Ok((Part::Literal("$".to_owned()), 2));
    }
    if let Some(braced) = after.strip_prefix('{') {
        let (name, _) = braced.split_once('}').ok_or_else(|| "`${` without `}`".to_owned())?;
        return Ok((named(name, groups)?, name.len() + 3));
    }
    if let Some(digit) = after.chars().next().filter(char::is_ascii_digit) {
        return Ok((named(&digit.to_string(), groups)?, 2));
    }
    let length = after.find(|c: char| !c.is_ascii_lowercase() && c != '_').unwrap_or(after.len());
    match after.get(..length) {
        Some(name) if !name.is_empty() => Ok((named(name, groups)?, length + 1)),
        Some(_) | None => Err("a `$` alone means nothing here: write `$$` for a dollar sign".to_owned()),
    }
}

fn named(name: &str, groups: &Groups) -> Result<Part, String> {
    if let Ok(index) = name.parse::<usize>() {
        return match index <= groups.count {
            true => Ok(Part::Capture(index)),
            false => Err(format!("there is no group ${index}: the rule's pattern has {}", groups.count)),
        };
    }
    if groups.names.iter().any(|known| known == name) {
        return Ok(Part::Named(name.to_owned()));
    }
    if let Some((_, variable)) = VARIABLES.iter().find(|(known, _)| *known == name) {
        return Ok(Part::Variable(*variable));
    }
    let known = VARIABLES.iter().map(|(known, _)| *known).chain(groups.names.iter().map(String::as_str));
    let near = known.clone().find(|known| strsim::damerau_levenshtein(known, name) <= 2);
    Err(match near {
        Some(near) => format!("`${name}` is unknown: did you mean `${near}`?"),
        None => format!("`${name}` is unknown: known are {}", known.map(|name| format!("${name}")).collect::<Vec<_>>().join(", ")),
    })
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sample;

    impl Values for Sample {
        fn capture(&self, index: usize) -> Option<&[u8]> {
            [Some(b"/a/b".as_slice()), Some(b"a"), None].get(index).copied().flatten()
        }
        fn named(&self, name: &str) -> Option<&[u8]> {
            (name == "page").then_some(b"Main")
        }
        fn variable(&self, variable: Variable) -> &[u8] {
            if variable == Variable::Rest { b"rest" } else { b"other" }
        }
    }

    fn groups() -> Groups {
        Groups::new(2, vec!["page".to_owned()])
    }

    #[test]
    fn variables_are_put_in_place() {
        for (text, expected) in [
            ("/x", "/x"),
            ("", ""),
            ("$1", "a"),
            ("/$1/$2/x", "/a//x"),
            ("${1}2", "a2"),
            ("$0", "/a/b"),
            ("${page}.php", "Main.php"),
            ("/new/$rest", "/new/rest"),
            ("${rest}s", "rests"),
            ("$$1", "$1"),
            ("a$$", "a$"),
        ] {
            let expanded = Template::parse(text, &groups()).unwrap().expand(&Sample);
            assert_eq!(String::from_utf8(expanded).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_does_not_exist_is_an_error_with_its_place() {
        for (text, offset, part) in [
            ("/a$3", 2, "has 2"),
            ("$rset", 0, "did you mean `$rest`"),
            ("$", 0, "`$$`"),
            ("a$-", 1, "`$$`"),
            ("${page", 0, "without"),
            ("${nope_at_all}", 0, "known are"),
        ] {
            let error = Template::parse(text, &groups()).unwrap_err();
            assert_eq!(error.offset, offset, "{text}");
            assert!(error.message.contains(part), "{text}: {error}");
        }
    }
}

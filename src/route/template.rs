//! Texts with variables, in actions: `/new/$rest`, `/srv/app/$1`, `https://$host${path}`. Loading the
//! configuration parses a template and checks every name in it; expansion cannot fail.

mod by_path;
mod display;
mod names;
mod origin;
mod variable;

use http::HeaderName;

pub use names::Groups;
pub use variable::{Environment, Value, Values, Variable};
use variable::{VARIABLES, of_kind, variable};

/// Parse error of a template: one sentence for the user that names the fix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TemplateError {
    /// The sentence.
    pub message: String,
    /// Byte offset of the `$` at fault.
    pub offset: usize,
}

/// A text with variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// Non-empty; two literals are never adjacent.
    Literal(String),
    Capture(usize),
    Named(String),
    Variable(Variable),
    Header(HeaderName),
    Cookie(String),
}

impl Template {
    /// Parses `$0` … `$9`, `${12}`, `${name}`, `$path` or `${path}` and the other variables, `$root`,
    /// `${header:NAME}`, `${cookie:NAME}`, `${env:NAME}`, and `$$` for a `$`; all else is literal. A
    /// number has one digit unless in braces, a name is as long as possible. Refuses groups that `groups`
    /// lacks and unknown names.
    pub fn parse(text: &str, groups: &Groups) -> Result<Self, TemplateError> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((literal, after)) = rest.split_once('$') {
            push(&mut pieces, Piece::Literal(literal.to_owned()));
            let refuse = |message| TemplateError {
                message,
                offset: text.len() - after.len() - 1,
            };
            let (reference, end) = Reference::read(after).map_err(refuse)?;
            push(&mut pieces, reference.resolve(groups).map_err(refuse)?);
            rest = end;
        }
        push(&mut pieces, Piece::Literal(rest.to_owned()));
        Ok(Self { pieces })
    }

    /// Expands the template. A group without a match is empty.
    pub fn expand(&self, values: &impl Values) -> Vec<u8> {
        self.expand_with(values, |value, out| out.extend_from_slice(value.bytes()))
    }

    /// Expands the template, each value written by `write`; literals are unchanged.
    pub fn expand_with(
        &self,
        values: &impl Values,
        write: impl Fn(Value<'_>, &mut Vec<u8>),
    ) -> Vec<u8> {
        let mut out = Vec::new();
        for piece in &self.pieces {
            let plain = |value: Option<&[u8]>, out: &mut Vec<u8>| {
                write(Value::Plain(value.unwrap_or_default()), out);
            };
            match piece {
                Piece::Literal(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Capture(index) => plain(values.capture(*index), &mut out),
                Piece::Named(name) => plain(values.named(name), &mut out),
                Piece::Variable(variable) => {
                    let value = values.variable(*variable);
                    write(Value::of(*variable, &value), &mut out);
                }
                Piece::Header(name) => plain(values.header(name), &mut out),
                Piece::Cookie(name) => plain(values.cookie(name), &mut out),
            }
        }
        out
    }

    /// Splits at the first `mark` in a literal: the part before it, and the part after it.
    pub fn split_once(self, mark: char) -> (Self, Option<Self>) {
        let (mut before, mut after) = (Vec::new(), None::<Vec<Piece>>);
        for piece in self.pieces {
            match (&mut after, piece) {
                (Some(after), piece) => after.push(piece),
                (None, Piece::Literal(text)) => match text.split_once(mark) {
                    None => before.push(Piece::Literal(text)),
                    Some((own, rest)) => {
                        push(&mut before, Piece::Literal(own.to_owned()));
                        let mut pieces = Vec::new();
                        push(&mut pieces, Piece::Literal(rest.to_owned()));
                        after = Some(pieces);
                    }
                },
                (None, piece) => before.push(piece),
            }
        }
        (Self { pieces: before }, after.map(|pieces| Self { pieces }))
    }

    /// Returns the literal before the first variable.
    pub fn literal_start(&self) -> &str {
        match self.pieces.first() {
            Some(Piece::Literal(text)) => text,
            Some(_) | None => "",
        }
    }

    /// Returns the whole text if it has no variable.
    pub fn literal(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [Piece::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// Reports whether the text contains `$uri`.
    pub fn has_uri(&self) -> bool {
        self.pieces.contains(&Piece::Variable(Variable::Uri))
    }

    /// Reports whether the expansion is empty for every request.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Returns the number of literal bytes, which every expansion contains.
    pub fn literal_length(&self) -> usize {
        let literals = self.pieces.iter().map(|piece| match piece {
            Piece::Literal(text) => text.len(),
            Piece::Capture(_)
            | Piece::Named(_)
            | Piece::Variable(_)
            | Piece::Header(_)
            | Piece::Cookie(_) => 0,
        });
        literals.sum()
    }

    /// Splits a disk path into the folder that does not depend on the request, and the template of the
    /// path below it. The folder is `root` if the path begins with it, else all whole segments before the
    /// first variable. `None` if the path does not begin with a `/`.
    pub fn split_folder(self, root: Option<&str>) -> Option<(String, Self)> {
        let mut pieces = self.pieces.into_iter();
        let Some(Piece::Literal(first)) = pieces.next() else {
            return None;
        };
        let rest: Vec<_> = pieces.collect();
        let (folder, below) = match root.and_then(|root| below_root(&first, root)) {
            Some(split) => split,
            // `$path` begins with a slash, so that the segment before it is whole.
            None if matches!(rest.first(), Some(Piece::Variable(Variable::Path))) => {
                (first.as_str(), "")
            }
            None => first.rsplit_once('/').map(|(folder, _)| {
                let below = first.strip_prefix(folder).unwrap_or_default();
                (folder, below)
            })?,
        };
        if !first.starts_with('/') {
            return None;
        }
        let folder = if folder.is_empty() { "/" } else { folder };
        let mut split = Vec::with_capacity(rest.len() + 1);
        push(&mut split, Piece::Literal(below.to_owned()));
        split.extend(rest);
        Some((folder.to_owned(), Self { pieces: split }))
    }
}

fn below_root<'a>(path: &'a str, root: &'a str) -> Option<(&'a str, &'a str)> {
    let below = path.strip_prefix(root)?;
    (below.is_empty() || below.starts_with('/')).then_some((root, below))
}

fn push(pieces: &mut Vec<Piece>, piece: Piece) {
    match (pieces.last_mut(), piece) {
        (_, Piece::Literal(text)) if text.is_empty() => {}
        (Some(Piece::Literal(before)), Piece::Literal(text)) => before.push_str(&text),
        (_, piece) => pieces.push(piece),
    }
}

/// A parsed `$…`, before its name is resolved.
enum Reference<'a> {
    Dollar,
    Number(&'a str),
    Name(&'a str),
    /// `${kind:name}`.
    OfKind(&'a str, &'a str),
}

impl<'a> Reference<'a> {
    /// Parses the reference at the start of `after`, the text behind a `$`; returns it with the rest.
    fn read(after: &'a str) -> Result<(Self, &'a str), String> {
        if let Some(end) = after.strip_prefix('$') {
            return Ok((Self::Dollar, end));
        }
        if let Some(braced) = after.strip_prefix('{') {
            return Self::read_braced(braced);
        }
        if after.starts_with(|c: char| c.is_ascii_digit()) {
            let (digit, end) = after.split_at(1);
            return Ok((Self::Number(digit), end));
        }
        match split_name(after) {
            ("", _) => Err(LONE_DOLLAR.to_owned()),
            (name, end) => Ok((Self::Name(name), end)),
        }
    }

    fn read_braced(braced: &'a str) -> Result<(Self, &'a str), String> {
        let Some((inner, end)) = braced.split_once('}') else {
            return Err("`${` has no `}`: close it, or write `$$` for a `$`".to_owned());
        };
        if !inner.is_empty() && inner.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok((Self::Number(inner), end));
        }
        if let Some((kind, name)) = inner.split_once(':') {
            return Ok((Self::OfKind(kind, name), end));
        }
        match split_name(inner) {
            (name, "") if !name.is_empty() => Ok((Self::Name(name), end)),
            _ => Err(format!(
                "`${{{inner}}}` is neither a number nor a name: write `${{1}}`, `${{name}}`, or `$$` for a `$`"
            )),
        }
    }

    fn resolve(self, groups: &Groups) -> Result<Piece, String> {
        match self {
            Self::Dollar => Ok(Piece::Literal("$".to_owned())),
            Self::Number(digits) => number(digits, groups),
            Self::OfKind(kind, name) => of_kind(kind, name, groups.environment),
            Self::Name("root") if !groups.has_name("root") => match &groups.root {
                Some(root) => Ok(Piece::Literal(root.clone())),
                None => Err("`$root` has no value here: the site has no `root`".to_owned()),
            },
            Self::Name(name) => match (groups.has_name(name), variable(name)) {
                (true, None) => Ok(Piece::Named(name.to_owned())),
                (false, Some(variable)) => Ok(Piece::Variable(variable)),
                (true, Some(_)) => Err(format!(
                    "`${name}` is a variable and a group of the pattern: rename the group"
                )),
                (false, None) if groups.is_unread => Ok(Piece::Named(name.to_owned())),
                (false, None) => Err(unknown(name, groups)),
            },
        }
    }
}

/// Splits off a leading name in the syntax of regular expressions; empty if there is none.
fn split_name(text: &str) -> (&str, &str) {
    let in_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let end = text.find(|c| !in_name(c)).unwrap_or(text.len());
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return ("", text);
    }
    text.split_at(end)
}

fn number(digits: &str, groups: &Groups) -> Result<Piece, String> {
    if groups.is_unread {
        return Ok(Piece::Capture(0));
    }
    let Some(last) = groups.last else {
        return Err(format!(
            "`${digits}` has no value here, as the rule has no pattern: add a `match`, or write `$$` for a `$`"
        ));
    };
    match digits.parse() {
        Ok(index) if index <= last => Ok(Piece::Capture(index)),
        Ok(_) | Err(_) => Err(format!("unknown group `${digits}`: {}", range(last))),
    }
}

fn range(last: usize) -> String {
    match last {
        0 => "the pattern has none, only `$0`, the whole match".to_owned(),
        1 => "the pattern has only `$1`".to_owned(),
        2..=9 => format!("the pattern has `$1` to `${last}`"),
        _ => format!("the pattern has `$1` to `${{{last}}}`"),
    }
}

/// Describes a name that is neither a group nor a variable.
fn unknown(name: &str, groups: &Groups) -> String {
    let known: Vec<_> = VARIABLES
        .iter()
        .map(|(known, _)| *known)
        .chain(["root"])
        .chain(groups.names.iter().map(String::as_str))
        .collect();
    // Likely intent of `$pathinfo`: `$path` followed by text.
    let prefix = known.iter().find_map(|known| {
        let text = name.strip_prefix(known)?;
        Some(format!("write `${{{known}}}{text}`"))
    });
    let nearest = known
        .iter()
        .min_by_key(|known| strsim::damerau_levenshtein(known, name))
        .filter(|known| strsim::damerau_levenshtein(known, name) <= FAR)
        .map(|known| format!("did you mean `${known}`?"));
    let all = || {
        let all: Vec<_> = known.iter().map(|known| format!("`${known}`")).collect();
        format!("known variables are {}", all.join(", "))
    };
    let advice = nearest.or(prefix).unwrap_or_else(all);
    format!("unknown variable `${name}`: {advice}")
}

const LONE_DOLLAR: &str =
    "`$` must be followed by a digit, a name, `{` or `$`: write `$$` for a `$`";

/// Edit distance from which on names are not suggested.
const FAR: usize = 2;

#[cfg(test)]
mod tests;

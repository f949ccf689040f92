//! Parser of Apache's LogFormat: a text with `%` directives.

use super::directive::{Directive, View};
use super::escape::Value;
use super::format::FormatError;
use super::names::Needs;

/// A piece of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Literal(String),
    Directive(Directive),
    /// A directive for some status codes, and a dash for all others.
    Conditional(Statuses, Directive),
}

/// Status codes of a conditional directive: `%400,501…` or `%!200,304…`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Statuses {
    codes: Vec<u16>,
    /// All others, in place of these.
    others: bool,
}

impl Piece {
    pub(super) fn write(&self, view: View<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Literal(text) => out.extend_from_slice(text.as_bytes()),
            Self::Conditional(statuses, _) if !statuses.include(view.record.status) => {
                Value::Absent.write(out);
            }
            Self::Directive(directive) | Self::Conditional(_, directive) => {
                directive.value(view).write(out);
            }
        }
    }
}

impl Statuses {
    fn include(&self, status: u16) -> bool {
        self.codes.contains(&status) != self.others
    }
}

/// Parses a format and adds the values that its directives require to `needs`.
pub(super) fn parse(text: &str, needs: &mut Needs) -> Result<Vec<Piece>, FormatError> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let read = match first {
            '%' => Item::read(rest).and_then(|item| item.piece(needs)),
            '\\' => escape(rest),
            first if first.is_control() => Err("a format cannot have line breaks".to_owned()),
            first => Ok((Piece::Literal(first.to_string()), first.len_utf8())),
        };
        let offset = text.len() - rest.len();
        let (piece, length) = read.map_err(|message| FormatError { message, offset })?;
        match piece {
            Piece::Literal(more) => literal.push_str(&more),
            Piece::Directive(_) | Piece::Conditional(..) => {
                flush(&mut literal, &mut pieces);
                pieces.push(piece);
            }
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    flush(&mut literal, &mut pieces);
    Ok(pieces)
}

fn flush(literal: &mut String, pieces: &mut Vec<Piece>) {
    if !literal.is_empty() {
        pieces.push(Piece::Literal(std::mem::take(literal)));
    }
}

/// Parses `\"`, `\\` and `\t` as httpd.conf has them, so that a format can be copied from there.
fn escape(rest: &str) -> Result<(Piece, usize), String> {
    let literal = match rest.chars().nth(1) {
        Some('"') => "\"",
        Some('\\') => "\\",
        Some('t') => "\t",
        Some('n' | 'r') => return Err("a format cannot have line breaks".to_owned()),
        Some(_) | None => return Err("`\\` must precede `\"`, `\\` or `t`".to_owned()),
    };
    Ok((Piece::Literal(literal.to_owned()), 2))
}

/// A directive in the text: `%`, then `!`, status codes, `<`, `>` and `{argument}` in any order, and
/// a letter.
struct Item<'a> {
    letter: char,
    argument: Option<&'a str>,
    statuses: Statuses,
    length: usize,
}

impl<'a> Item<'a> {
    /// Parses the directive at the start of `rest`.
    fn read(rest: &'a str) -> Result<Self, String> {
        let mut statuses = Statuses::default();
        let mut argument = None;
        let mut after = rest.get(1..).unwrap_or_default();
        loop {
            let Some(first) = after.chars().next() else {
                return Err("a `%` without its letter: write `%%` for a `%`".to_owned());
            };
            after = after.get(first.len_utf8()..).unwrap_or_default();
            match first {
                '!' => statuses.others = true,
                // `<` and `>` choose between the original and the final status; here both are the status sent.
                '<' | '>' | ',' => {}
                '0'..='9' => after = statuses.read(first, after)?,
                '{' => {
                    let closed = after.split_once('}');
                    let (inside, behind) = closed.ok_or("`{` has no `}`")?;
                    argument = Some(inside);
                    after = behind;
                }
                letter => {
                    return Ok(Self {
                        letter,
                        argument,
                        statuses,
                        length: rest.len() - after.len(),
                    });
                }
            }
        }
    }

    /// Returns the piece of the directive, and its length.
    fn piece(self, needs: &mut Needs) -> Result<(Piece, usize), String> {
        if self.letter == '%' && self.length == 2 {
            return Ok((Piece::Literal("%".to_owned()), self.length));
        }
        let directive = needs.directive(self.letter, self.argument)?;
        let piece = if self.statuses.codes.is_empty() {
            Piece::Directive(directive)
        } else {
            Piece::Conditional(self.statuses, directive)
        };
        Ok((piece, self.length))
    }
}

impl Statuses {
    /// Parses the status code of `first` and the digits of `after`, and returns the rest.
    fn read<'a>(&mut self, first: char, after: &'a str) -> Result<&'a str, String> {
        let end = after.find(|c: char| !c.is_ascii_digit());
        let (digits, behind) = after.split_at(end.unwrap_or(after.len()));
        let code = format!("{first}{digits}");
        match code.parse() {
            Ok(status @ 100..=599) => self.codes.push(status),
            Ok(_) | Err(_) => return Err(format!("{code} is not a status")),
        }
        Ok(behind)
    }
}

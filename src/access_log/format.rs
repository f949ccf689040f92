//! Formats of a line. A line stays one line for any input of clients: all formats escape control
//! characters.

use super::Record;
use super::clock::Clock;
use super::directive::{Directive, View};
use super::names::Needs;
use super::template::{self, Piece};

/// The format of the lines; the default is an empty line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Format {
    shape: Shape,
    /// Includes secrets.
    secrets: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Shape {
    Line(Vec<Piece>),
    /// A JSON object without the members that a request lacks.
    Object(Vec<(&'static str, Directive)>),
}

impl Default for Shape {
    fn default() -> Self {
        Self::Line(Vec::new())
    }
}

/// An invalid format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(super) struct FormatError {
    /// One sentence for the user.
    pub(super) message: String,
    /// The offset of the error in the text, in bytes.
    pub(super) offset: usize,
}

/// Apache's named formats.
const COMMON: &str = r#"%h %l %u %t "%r" %>s %b"#;
const COMBINED: &str = r#"%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i""#;

impl Format {
    /// Parses `combined`, `common`, `json`, or a text with directives of Apache's LogFormat; `secrets`
    /// disables redaction. Adds the values that its directives require to `needs`.
    pub(super) fn parse(text: &str, secrets: bool, needs: &mut Needs) -> Result<Self, FormatError> {
        let shape = match text {
            "json" => Shape::Object(needs.object()),
            "common" => Shape::Line(template::parse(COMMON, needs)?),
            "combined" => Shape::Line(template::parse(COMBINED, needs)?),
            text if text.contains('%') => Shape::Line(template::parse(text, needs)?),
            text => {
                return Err(FormatError {
                    message: format!(
                        "`{text}` is not a log format: write \"combined\", \"common\", \"json\", or directives such as '%h %t \"%r\" %>s'"
                    ),
                    offset: 0,
                });
            }
        };
        Ok(Self { shape, secrets })
    }

    /// Reports whether it includes secrets.
    pub(super) fn shows_secrets(&self) -> bool {
        self.secrets
    }

    /// Appends the record's line and a line feed; `clock` has the times that the format requires.
    pub(super) fn line(&self, record: &Record, clock: &Clock, out: &mut Vec<u8>) {
        clock.with_second(record.time, |second| {
            let view = View {
                record,
                clock,
                second,
                secrets: self.secrets,
            };
            self.shape.write(view, out);
        });
        out.push(b'\n');
    }
}

impl Shape {
    fn write(&self, view: View<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Line(pieces) => pieces.iter().for_each(|piece| piece.write(view, out)),
            Self::Object(members) => {
                out.push(b'{');
                for (name, directive) in members {
                    directive.value(view).write_member(name, out);
                }
                out.push(b'}');
            }
        }
    }
}

#[cfg(test)]
mod tests;

//! Formats of a line. A line stays one line for any input of clients: all formats escape control
//! characters.

use http::Response;
use http::request::Parts;
use jiff::tz::TimeZone;

use super::clock::Clock;
use super::directive::{Directive, View};
use super::names::Needs;
use super::template::{self, Piece};
use super::{Captured, Record};

/// The format of the lines; the default is an empty line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Format {
    shape: Shape,
    needs: Needs,
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
pub struct FormatError {
    /// One sentence for the user.
    pub message: String,
    /// The offset of the error in the text, in bytes.
    pub offset: usize,
}

/// Apache's named formats.
const COMMON: &str = r#"%h %l %u %t "%r" %>s %b"#;
const COMBINED: &str = r#"%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i""#;

impl Format {
    /// Parses `combined`, `common`, `json`, or a text with directives of Apache's LogFormat; `secrets`
    /// disables redaction.
    pub fn parse(text: &str, secrets: bool) -> Result<Self, FormatError> {
        let mut needs = Needs::default();
        let shape = match text {
            "json" => Shape::Object(needs.object()),
            "common" => Shape::Line(template::parse(COMMON, &mut needs)?),
            "combined" => Shape::Line(template::parse(COMBINED, &mut needs)?),
            text if text.contains('%') => Shape::Line(template::parse(text, &mut needs)?),
            text => {
                return Err(FormatError {
                    message: format!(
                        "`{text}` is not a log format: write \"combined\", \"common\", \"json\", or directives such as '%h %t \"%r\" %>s'"
                    ),
                    offset: 0,
                });
            }
        };
        Ok(Self {
            shape,
            needs,
            secrets,
        })
    }
}

/// Formatter of the lines of one format, shared by all threads.
#[derive(Debug)]
pub(super) struct Formatter {
    format: Format,
    clock: Clock,
}

impl Formatter {
    /// Builds a formatter with times in `zone`; JSON has them in UTC.
    pub(super) fn new(format: Format, zone: TimeZone) -> Self {
        let clock = Clock::new(format.needs.times.clone(), zone);
        Self { format, clock }
    }

    /// Captures the fields and the authority of a request, as far as the format names them.
    pub(super) fn of_request(&self, parts: &Parts) -> (Captured, String) {
        let capture = &self.format.needs.capture;
        (capture.of_request(parts), capture.host(parts))
    }

    /// Captures the fields of a response, as far as the format names them.
    pub(super) fn of_response<B>(&self, response: &Response<B>, record: &mut Record) {
        let capture = &self.format.needs.capture;
        capture.of_response(response, &mut record.captured);
    }

    pub(super) fn shows_secrets(&self) -> bool {
        self.format.secrets
    }

    /// Appends the record's line and a line feed.
    pub(super) fn line(&self, record: &Record, out: &mut Vec<u8>) {
        self.clock.with_second(record.time, |second| {
            let view = View {
                record,
                clock: &self.clock,
                second,
                secrets: self.format.secrets,
            };
            self.format.shape.write(view, out);
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

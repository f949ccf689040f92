//! How a record becomes a line. Whatever clients send, a line stays one line: control characters
//! are escaped in all formats.

use http::Response;
use http::request::Parts;
use jiff::tz::TimeZone;

use super::clock::Clock;
use super::directive::{Directive, View};
use super::names::Needs;
use super::template::{self, Piece};
use super::{Captured, Record};

/// How the lines look; by default they are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Format {
    shape: Shape,
    needs: Needs,
    /// Whether secrets are shown.
    secrets: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Shape {
    Line(Vec<Piece>),
    /// One object. What a request does not have is left out.
    Object(Vec<(&'static str, Directive)>),
}

impl Default for Shape {
    fn default() -> Self {
        Self::Line(Vec::new())
    }
}

/// Why a text is no format: one sentence for the user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FormatError {
    /// The sentence.
    pub message: String,
    /// Where in the text it is wrong, in bytes.
    pub offset: usize,
}

/// Apache's own names for two formats.
const COMMON: &str = r#"%h %l %u %t "%r" %>s %b"#;
const COMBINED: &str = r#"%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i""#;

impl Format {
    /// `combined`, `common`, `json`, or a text with directives as Apache's LogFormat has them;
    /// `secrets` shows what is redacted otherwise.
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
                        "`{text}` is no format: write \"combined\", \"common\", \"json\", or directives such as '%h %t \"%r\" %>s'"
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

/// Writes lines of one format, for any thread.
#[derive(Debug)]
pub(super) struct Formatter {
    format: Format,
    clock: Clock,
}

impl Formatter {
    /// Lines with times in `zone`; JSON has them in UTC.
    pub(super) fn new(format: Format, zone: TimeZone) -> Self {
        let clock = Clock::new(format.needs.times.clone(), zone);
        Self { format, clock }
    }

    /// Takes along what the format names of a request: its fields, and its authority.
    pub(super) fn of_request(&self, parts: &Parts) -> (Captured, String) {
        let capture = &self.format.needs.capture;
        (capture.of_request(parts), capture.host(parts))
    }

    /// Takes along what the format names of a response.
    pub(super) fn of_response<B>(&self, response: &Response<B>, record: &mut Record) {
        let capture = &self.format.needs.capture;
        capture.of_response(response, &mut record.captured);
    }

    pub(super) fn shows_secrets(&self) -> bool {
        self.format.secrets
    }

    /// Appends the record's line, with its line feed.
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

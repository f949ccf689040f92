//! Styles of the error log: text, JSON, and Apache's.

mod apache;
mod fields;
mod json;

use std::fmt::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{Format, FormatEvent, FormatFields, Full, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::registry::LookupSpan;

use fields::Fields;

/// Style of the lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Style {
    /// Time, level, message and fields, for people.
    #[default]
    Text,
    /// A JSON object.
    Json,
    /// Apache's default ErrorLogFormat.
    Apache,
}

/// The style of a log, which a reload may replace.
#[derive(Clone, Debug, Default)]
pub(super) struct SharedStyle(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    style: ArcSwap<Style>,
    /// Text has the colours of a terminal.
    has_colors: AtomicBool,
}

impl SharedStyle {
    pub(super) fn get(&self) -> Style {
        **self.0.style.load()
    }

    pub(super) fn set(&self, style: Style) {
        self.0.style.store(Arc::new(style));
    }

    pub(super) fn set_colors(&self, has_colors: bool) {
        self.0.has_colors.store(has_colors, Ordering::Relaxed);
    }

    fn has_colors(&self) -> bool {
        self.0.has_colors.load(Ordering::Relaxed)
    }

    /// Returns a line outside of an event.
    pub(super) fn line(&self, level: Level, text: &str) -> String {
        let mut line = String::new();
        let fields = || Fields::of_text(text);
        // Writing to a String does not fail; a clock that cannot be formatted leaves the line without a time.
        let _ = match self.get() {
            Style::Text => text_line(&mut line, level, text),
            Style::Json => json::write(&mut line, (level, "core"), &fields()),
            Style::Apache => apache::write(&mut line, (level, "core"), &fields()),
        };
        line
    }
}

fn text_line(line: &mut String, level: Level, text: &str) -> fmt::Result {
    SystemTime.format_time(&mut Writer::new(line))?;
    writeln!(line, " {level:>5} {text}")
}

/// Formatter of events in the style of the log.
#[derive(Debug)]
pub(super) struct EventFormat {
    style: SharedStyle,
    text: Format<Full>,
    target: fn(&str) -> &'static str,
}

impl EventFormat {
    /// Builds the formatter; `target` returns the name of a module in the log.
    pub(super) fn new(style: SharedStyle, target: fn(&str) -> &'static str) -> Self {
        Self {
            style,
            text: Format::default().with_target(false),
            target,
        }
    }
}

impl<S, N> FormatEvent<S, N> for EventFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        let origin = (*metadata.level(), (self.target)(metadata.target()));
        match self.style.get() {
            Style::Text if self.style.has_colors() => {
                self.text.format_event(context, writer, event)
            }
            Style::Text => self
                .text
                .format_event(context, Writer::new(&mut writer), event),
            Style::Json => json::write(&mut writer, origin, &Fields::of(event)),
            Style::Apache => apache::write(&mut writer, origin, &Fields::of(event)),
        }
    }
}

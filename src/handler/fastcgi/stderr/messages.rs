//! Splits a script's error stream into messages. PHP-FPM collects the output of a request and sends it joined,
//! `PHP message: one; PHP message: two`, with a line end only where a message has one itself; other
//! applications write lines. So a message ends before the next marker and at a line end, unless the next line
//! continues it, as that of a stack trace does. The borders of records mean nothing.

/// Limit on a message, in bytes; the rest of a longer one becomes another message.
pub(super) const LONGEST: usize = 64 * 1024;

/// Prefix that PHP-FPM puts before each message of PHP.
const MARKER: &[u8] = b"PHP message: ";

/// Separator of two messages since PHP-FPM 7.4.
const JOINT: &[u8] = b"; ";

/// Severity of a message, guessed from its first words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    /// A notice or a deprecation.
    Info,
    /// A warning: the script goes on.
    Warning,
    /// An error that ended the script, or an unknown text.
    Error,
}

/// PHP's words (main/main.c, `php_error_cb`) for messages that do not end a script. All other text is an error:
/// it is an error stream, and a fault logged too loud is better than one missed.
const MILD: [(&[u8], Severity); 4] = [
    (b"Warning:", Severity::Warning),
    (b"Notice:", Severity::Info),
    (b"Deprecated:", Severity::Info),
    (b"Strict Standards:", Severity::Info),
];

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// Its lines, joined by line feeds; never empty, at most [`LONGEST`] bytes.
    pub(super) text: Vec<u8>,
    /// Its guessed severity.
    pub(super) severity: Severity,
    /// True if PHP-FPM's marker precedes it: PHP wrote it; else PHP-FPM itself or any other
    /// application.
    pub(super) marked: bool,
    /// Lines that may continue it.
    open: Continuation,
}

/// Lines that continue a message, beside those that always do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Continuation {
    /// No others.
    No,
    /// `Next …` too, within a stack trace: it begins the trace of the exception around it.
    Trace,
    /// All up to `  thrown in …`: an exception's text may have any number of lines.
    Uncaught,
}

/// Splits a stream into messages, independent of the borders of its pieces.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    /// The incomplete line.
    line: Vec<u8>,
    /// The start of that line.
    begun: LineStart,
    /// The message that the next line may continue.
    message: Option<Message>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum LineStart {
    /// After a line end, or at the start of the stream.
    #[default]
    AtLineEnd,
    /// After the marker.
    AtMarker,
    /// In the midst of a line that was too long.
    Within,
}

impl Splitter {
    /// Splits a piece; `each` receives the messages that are complete.
    pub(super) fn push(&mut self, piece: &[u8], mut each: impl FnMut(Message)) {
        for byte in piece {
            if *byte == b'\n' {
                self.end_line(LineStart::AtLineEnd, &mut each);
                continue;
            }
            self.line.push(*byte);
            if *byte == b' ' && self.line.ends_with(MARKER) {
                self.line.truncate(self.line.len() - MARKER.len());
                if self.line.ends_with(JOINT) {
                    self.line.truncate(self.line.len() - JOINT.len());
                }
                self.end_line(LineStart::AtMarker, &mut each);
            } else if self.line.len() == LONGEST {
                self.end_line(LineStart::Within, &mut each);
            }
        }
    }

    /// Ends the stream.
    pub(super) fn finish(&mut self, mut each: impl FnMut(Message)) {
        self.end_line(LineStart::AtLineEnd, &mut each);
        if let Some(message) = self.message.take() {
            each(message);
        }
    }

    fn end_line(&mut self, next: LineStart, each: &mut impl FnMut(Message)) {
        let begun = std::mem::replace(&mut self.begun, next);
        let line = self.line.trim_ascii_end();
        if line.is_empty() {
            self.line.clear();
            return;
        }
        let before = self.message.take();
        let continues = before
            .as_ref()
            .is_some_and(|message| message.is_continued_by(line, begun));
        self.message = Some(match before {
            Some(message) if continues && message.has_room_for(line) => message.with(line),
            Some(message) => {
                let next = if continues {
                    message.rest(line)
                } else {
                    Message::begin(line, begun)
                };
                each(message);
                next
            }
            None => Message::begin(line, begun),
        });
        self.line.clear();
    }
}

impl Message {
    fn begin(line: &[u8], begun: LineStart) -> Self {
        let uncaught = line.starts_with(b"PHP Fatal error:  Uncaught ");
        Self {
            text: line.to_vec(),
            severity: severity(line),
            marked: begun == LineStart::AtMarker,
            open: if uncaught {
                Continuation::Uncaught
            } else {
                Continuation::No
            },
        }
    }

    /// Creates the message for a line that exceeds the limit of this one.
    fn rest(&self, line: &[u8]) -> Self {
        Self {
            text: line.to_vec(),
            ..*self
        }
    }

    fn has_room_for(&self, line: &[u8]) -> bool {
        self.text.len() + 1 + line.len() <= LONGEST
    }

    fn with(mut self, line: &[u8]) -> Self {
        self.text.push(b'\n');
        self.text.extend_from_slice(line);
        self.open = match self.open {
            Continuation::Uncaught if line.starts_with(b"  thrown in ") => Continuation::No,
            Continuation::No if line.starts_with(b"Stack trace:") => Continuation::Trace,
            open @ (Continuation::No | Continuation::Trace | Continuation::Uncaught) => open,
        };
        self
    }

    fn is_continued_by(&self, line: &[u8], begun: LineStart) -> bool {
        // Xdebug logs a trace as messages of their own: `PHP Stack trace:`, `PHP   1. f() …`.
        let xdebug = line.starts_with(b"PHP Stack trace:") || line.starts_with(b"PHP  ");
        match begun {
            LineStart::Within => true,
            LineStart::AtMarker => xdebug,
            LineStart::AtLineEnd => {
                let expected = match self.open {
                    Continuation::No => false,
                    Continuation::Trace => line.starts_with(b"Next "),
                    Continuation::Uncaught => true,
                };
                // Indented are `  thrown in …`, print_r's arrays, and other traces.
                let indented = line.starts_with(b" ") || line.starts_with(b"\t");
                xdebug || expected || indented || is_trace(line)
            }
        }
    }
}

/// Reports whether a line is `Stack trace:` or a frame, `#0 /srv/a.php(3): f()`.
fn is_trace(line: &[u8]) -> bool {
    let is_frame = |rest: &[u8]| rest.first().is_some_and(u8::is_ascii_digit);
    line.starts_with(b"Stack trace:") || line.strip_prefix(b"#").is_some_and(is_frame)
}

fn severity(line: &[u8]) -> Severity {
    let words = line.strip_prefix(b"PHP ").unwrap_or(line);
    let mild = MILD.iter().find(|(word, _)| words.starts_with(word));
    mild.map_or(Severity::Error, |(_, severity)| *severity)
}

#[cfg(test)]
mod tests;

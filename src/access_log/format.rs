//! How a record becomes a line. Whatever clients send, a line stays one line: control characters
//! are escaped in both formats.

use std::fmt::Arguments;
use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use http::HeaderValue;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Format, Record};

/// Writes lines of one format, for any thread.
#[derive(Debug)]
pub(super) struct Formatter {
    format: Format,
    zone: TimeZone,
    /// The latest second and its text: most lines of a busy log share it.
    latest: ArcSwap<Second>,
}

#[derive(Debug)]
struct Second {
    since_epoch: u64,
    text: String,
}

impl Formatter {
    /// Lines with times in `zone`; JSON has them in UTC.
    pub(super) fn new(format: Format, zone: TimeZone) -> Self {
        let zone = match format {
            Format::Combined => zone,
            Format::Json => TimeZone::UTC,
        };
        let epoch = Second::new(0, format, &zone);
        Self {
            format,
            zone,
            latest: ArcSwap::from_pointee(epoch),
        }
    }

    /// The record's line, with its line feed.
    pub(super) fn line(&self, record: &Record) -> Vec<u8> {
        let mut out = Vec::with_capacity(USUAL_LENGTH);
        self.with_second(record.time, |second, micros| match self.format {
            Format::Combined => combined(record, second, &mut out),
            Format::Json => json(record, &format!("{second}.{micros:06}Z"), &mut out),
        });
        out.push(b'\n');
        out
    }

    /// Gives `write` the text of the second of `time`, and the microseconds past it. A time before
    /// 1970 is shown as 1970.
    fn with_second(&self, time: SystemTime, write: impl FnOnce(&str, u32)) {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let latest = self.latest.load();
        if latest.since_epoch == since.as_secs() {
            return write(&latest.text, since.subsec_micros());
        }
        let second = Second::new(since.as_secs(), self.format, &self.zone);
        write(&second.text, since.subsec_micros());
        // Requests end out of order; a slow one must not take the text from those that follow.
        if second.since_epoch > latest.since_epoch {
            self.latest.store(second.into());
        }
    }
}

impl Second {
    fn new(since_epoch: u64, format: Format, zone: &TimeZone) -> Self {
        let text = match format {
            Format::Combined => "[%d/%b/%Y:%H:%M:%S %z]",
            // RFC 3339 §5.6, up to the fraction of the second.
            Format::Json => "%Y-%m-%dT%H:%M:%S",
        };
        // What the calendar does not hold is shown as 1970.
        let timestamp = i64::try_from(since_epoch).ok();
        let timestamp = timestamp.and_then(|second| Timestamp::from_second(second).ok());
        let zoned = timestamp.unwrap_or_default().to_zoned(zone.clone());
        Self {
            since_epoch,
            text: zoned.strftime(text).to_string(),
        }
    }
}

/// Apache's combined format, to the byte.
fn combined(record: &Record, time: &str, out: &mut Vec<u8>) {
    escape(record.client.as_bytes(), out);
    out.extend_from_slice(b" - - ");
    out.extend_from_slice(time.as_bytes());
    out.extend_from_slice(b" \"");
    escape(record.method.as_str().as_bytes(), out);
    out.push(b' ');
    escape(record.target().as_bytes(), out);
    print(
        out,
        format_args!(" {}\" {} ", record.protocol, record.status),
    );
    match record.bytes {
        // `%b`, other than `%B`, shows no bytes as a dash.
        0 => out.push(b'-'),
        bytes => print(out, format_args!("{bytes}")),
    }
    quoted(record.referer.as_ref(), out);
    quoted(record.user_agent.as_ref(), out);
}

fn quoted(field: Option<&HeaderValue>, out: &mut Vec<u8>) {
    out.extend_from_slice(b" \"");
    match field {
        Some(value) => escape(value.as_bytes(), out),
        None => out.push(b'-'),
    }
    out.push(b'"');
}

/// What Apache's ap_escape_logitem does: all that is not printable ASCII, quotes and backslashes.
fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            b' '..=b'~' => out.push(*byte),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0b => out.extend_from_slice(b"\\v"),
            _ => print(out, format_args!("\\x{byte:02x}")),
        }
    }
}

/// One JSON object (RFC 8259), in the order in which people look for things.
fn json(record: &Record, time: &str, out: &mut Vec<u8>) {
    out.push(b'{');
    text("time", time, out);
    text("client", &record.client, out);
    text("host", &record.host, out);
    text("method", record.method.as_str(), out);
    text("uri", record.target(), out);
    text("protocol", record.protocol, out);
    bare("status", format_args!("{}", record.status), out);
    bare("bytes", format_args!("{}", record.bytes), out);
    bare("complete", format_args!("{}", record.complete), out);
    milliseconds("duration_ms", Some(record.duration), out);
    milliseconds("queue_ms", record.queue, out);
    milliseconds("connect_ms", record.connect, out);
    milliseconds("first_byte_ms", record.first_byte, out);
    optional("site", record.site.as_deref(), out);
    text("handler", record.handler, out);
    optional("upstream", record.upstream.as_deref(), out);
    optional("cause", record.cause, out);
    field("referer", record.referer.as_ref(), out);
    field("user_agent", record.user_agent.as_ref(), out);
    text("request_id", &record.request_id, out);
    out.push(b'}');
}

/// The names are ours and need no escapes.
fn key(name: &str, out: &mut Vec<u8>) {
    let comma = if out.last() == Some(&b'{') { "" } else { "," };
    print(out, format_args!("{comma}\"{name}\":"));
}

fn bare(name: &str, value: Arguments<'_>, out: &mut Vec<u8>) {
    key(name, out);
    print(out, value);
}

fn text(name: &str, value: &str, out: &mut Vec<u8>) {
    key(name, out);
    // Text always has a JSON form, and memory takes all of it.
    let _ = serde_json::to_writer(out, value);
}

fn optional(name: &str, value: Option<&str>, out: &mut Vec<u8>) {
    if let Some(value) = value {
        text(name, value, out);
    }
}

/// RFC 8259 §8.1: JSON is UTF-8; what is not becomes U+FFFD.
fn field(name: &str, value: Option<&HeaderValue>, out: &mut Vec<u8>) {
    let value = value.map(|value| String::from_utf8_lossy(value.as_bytes()));
    optional(name, value.as_deref(), out);
}

/// Milliseconds, exact to the microsecond.
fn milliseconds(name: &str, duration: Option<Duration>, out: &mut Vec<u8>) {
    if let Some(duration) = duration {
        let micros = duration.as_micros();
        bare(
            name,
            format_args!("{}.{:03}", micros / 1000, micros % 1000),
            out,
        );
    }
}

fn print(out: &mut Vec<u8>, text: Arguments<'_>) {
    // A Vec takes all that is written to it.
    let _ = out.write_fmt(text);
}

/// Bytes that most lines fit in.
const USUAL_LENGTH: usize = 512;

#[cfg(test)]
mod tests;

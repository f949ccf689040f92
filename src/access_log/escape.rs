//! Escaped values. A line stays one line for any input of clients.

use std::borrow::Cow;
use std::fmt::Arguments;
use std::io::Write;
use std::time::Duration;

/// The value of a directive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// No value: a dash in a line, no member in an object.
    Absent,
    Text(Cow<'a, [u8]>),
    Number(u64),
    /// Written in milliseconds with a resolution of one microsecond.
    Milliseconds(Duration),
    Flag(bool),
}

impl<'a> Value<'a> {
    pub(super) fn text(text: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        Self::Text(Cow::Borrowed(text.as_ref()))
    }

    pub(super) fn owned(text: impl Into<Vec<u8>>) -> Self {
        Self::Text(Cow::Owned(text.into()))
    }

    /// Writes the value as Apache does.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Absent => out.push(b'-'),
            Self::Text(text) => escape(text, out),
            Self::Number(_) | Self::Milliseconds(_) | Self::Flag(_) => self.bare(out),
        }
    }

    /// Writes the value as the next member of a JSON object (RFC 8259). Member names are constants and
    /// need no escapes.
    pub(super) fn write_member(&self, name: &str, out: &mut Vec<u8>) {
        if *self == Self::Absent {
            return;
        }
        let comma = if out.last() == Some(&b'{') { "" } else { "," };
        print(out, format_args!("{comma}\"{name}\":"));
        match self {
            // RFC 8259 §8.1: JSON is UTF-8; invalid bytes become U+FFFD. Serializing a string to
            // memory cannot fail.
            Self::Text(text) => {
                let _ = serde_json::to_writer(out, &String::from_utf8_lossy(text));
            }
            Self::Absent | Self::Number(_) | Self::Milliseconds(_) | Self::Flag(_) => {
                self.bare(out);
            }
        }
    }

    fn bare(&self, out: &mut Vec<u8>) {
        match self {
            Self::Absent | Self::Text(_) => {}
            Self::Number(number) => {
                out.extend_from_slice(itoa::Buffer::new().format(*number).as_bytes());
            }
            Self::Flag(flag) => print(out, format_args!("{flag}")),
            Self::Milliseconds(duration) => {
                let micros = duration.as_micros();
                print(out, format_args!("{}.{:03}", micros / 1000, micros % 1000));
            }
        }
    }
}

/// Escapes like Apache's ap_escape_logitem: everything but printable ASCII, and quotes and backslashes.
fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    // Nearly all texts are plain, and the compiler vectorizes this fold.
    if bytes
        .iter()
        .fold(true, |plain, byte| plain & is_plain(*byte))
    {
        return out.extend_from_slice(bytes);
    }
    let mut rest = bytes;
    while let Some(plain) = rest.iter().position(|byte| !is_plain(*byte)) {
        let (before, special) = rest.split_at(plain);
        out.extend_from_slice(before);
        let Some((byte, after)) = special.split_first() else {
            break;
        };
        escape_byte(*byte, out);
        rest = after;
    }
    out.extend_from_slice(rest);
}

fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') & (byte != b'"') & (byte != b'\\')
}

fn escape_byte(byte: u8, out: &mut Vec<u8>) {
    match byte {
        b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        0x08 => out.extend_from_slice(b"\\b"),
        0x0b => out.extend_from_slice(b"\\v"),
        _ => print(out, format_args!("\\x{byte:02x}")),
    }
}

fn print(out: &mut Vec<u8>, text: Arguments<'_>) {
    // Writing to a Vec cannot fail.
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &Value<'_>, line: &str, member: &str) {
        let mut out = Vec::new();
        value.write(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), line);
        let mut out = b"{".to_vec();
        value.write_member("a", &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), format!("{{{member}"));
    }

    #[test]
    fn each_kind_has_its_form() {
        check(&Value::Absent, "-", "");
        check(&Value::Number(7), "7", r#""a":7"#);
        check(&Value::Flag(true), "true", r#""a":true"#);
        let duration = Duration::from_micros(1_234_067);
        check(
            &Value::Milliseconds(duration),
            "1234.067",
            r#""a":1234.067"#,
        );
        check(
            &Value::text(b"a\"b\\c\td\xe4\xff ~".as_slice()),
            r#"a\"b\\c\td\xe4\xff ~"#,
            "\"a\":\"a\\\"b\\\\c\\td\u{fffd}\u{fffd} ~\"",
        );
        check(
            &Value::text("\0\x08\x0b\x1b\x7f\r\n"),
            r"\x00\b\v\x1b\x7f\r\n",
            "\"a\":\"\\u0000\\b\\u000b\\u001b\x7f\\r\\n\"",
        );
    }
}

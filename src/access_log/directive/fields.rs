//! Header fields and cookies with their secrets redacted.

use http::HeaderValue;

use crate::access_log::escape::Value;
use crate::access_log::redact::{self, REDACTED, Secrecy};

/// A captured header field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::access_log) struct Field {
    /// The index among the captured fields.
    pub(in crate::access_log) index: usize,
    pub(in crate::access_log) secrecy: Secrecy,
}

/// A cookie of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::access_log) struct Cookie {
    /// The index of the Cookie field among the captured fields.
    pub(in crate::access_log) field: usize,
    pub(in crate::access_log) name: String,
}

impl Field {
    pub(super) fn value<'a>(
        &self,
        captured: &'a [Option<HeaderValue>],
        secrets: bool,
    ) -> Value<'a> {
        let Some(value) = captured.get(self.index).and_then(Option::as_ref) else {
            return Value::Absent;
        };
        match self.secrecy {
            Secrecy::Secret if !secrets => Value::text(REDACTED),
            Secrecy::Uri if !secrets => Value::Text(redact::uri(value.as_bytes())),
            Secrecy::Open | Secrecy::Uri | Secrecy::Secret => Value::text(value.as_bytes()),
        }
    }
}

impl Cookie {
    /// Returns the cookie's value (RFC 6265 §4.2.1: `name=value; name=value`).
    pub(super) fn value<'a>(
        &self,
        captured: &'a [Option<HeaderValue>],
        secrets: bool,
    ) -> Value<'a> {
        let field = captured.get(self.field).and_then(Option::as_ref);
        let text = field.map_or(&[][..], HeaderValue::as_bytes);
        let mut pairs = text.split(|byte| matches!(byte, b';' | b','));
        let value = pairs.find_map(|pair| {
            let rest = pair.trim_ascii().strip_prefix(self.name.as_bytes())?;
            rest.strip_prefix(b"=")
        });
        match value {
            Some(_) if !secrets => Value::text(REDACTED),
            Some(value) => Value::text(value),
            None => Value::Absent,
        }
    }
}

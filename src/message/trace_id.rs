//! Identifiers of traces (W3C Trace Context). The gateway reports no span: it passes a traceparent on unchanged, and reads
//! no more of it than its trace-id, for the logs.

use std::fmt;

use http::HeaderName;

use super::hexadecimal;

/// The field with the trace-id and its caller.
pub static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The companion field with the data of tracing systems.
pub static TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Identifier of a trace, never all zeros. Formatted as 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceId([u8; 16]);

/// The sampled flag of a trace that begins at the gateway. Tracers of applications follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampling {
    /// The application is to record the request.
    Sampled,
    /// It is not.
    Unsampled,
}

impl TraceId {
    /// Returns the identifier of these bytes; `None` if all are zero.
    pub(super) fn new(bytes: [u8; 16]) -> Option<Self> {
        (bytes != [0; 16]).then_some(Self(bytes))
    }

    /// Parses the value of a traceparent and returns its trace-id. `None` if it is invalid; the caller begins another
    /// trace then.
    pub fn of_traceparent(value: &[u8]) -> Option<Self> {
        let ([version], rest) = hexadecimal::decode_front(value)?;
        let (trace_id, rest) = hexadecimal::decode_front(rest.strip_prefix(b"-")?)?;
        let (parent_id, rest) = hexadecimal::decode_front::<8>(rest.strip_prefix(b"-")?)?;
        let ([_flags], rest) = hexadecimal::decode_front(rest.strip_prefix(b"-")?)?;
        // "Versioning of traceparent": later versions append to the fields of version 00; ff is forbidden.
        let ends = match version {
            0 => rest.is_empty(),
            0xff => false,
            _ => rest.is_empty() || rest.starts_with(b"-"),
        };
        if ends && parent_id != [0; 8] {
            Self::new(trace_id)
        } else {
            None
        }
    }

    /// Returns the 32 hexadecimal digits.
    pub fn digits(self) -> [u8; 32] {
        let mut digits = [0; 32];
        hexadecimal::encode(&self.0, &mut digits);
        digits
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The digits are ASCII.
        f.write_str(str::from_utf8(&self.digits()).unwrap_or_default())
    }
}

/// The traceparent of a request with which a trace begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstTraceparent {
    trace_id: [u8; 32],
    sampling: Sampling,
}

impl FirstTraceparent {
    /// Builds the traceparent of the trace.
    pub(super) fn new(trace_id: TraceId, sampling: Sampling) -> Self {
        Self {
            trace_id: trace_id.digits(),
            sampling,
        }
    }

    /// Returns the parts of the value. The parent-id is the second half of the trace-id, as in the first span of a trace of
    /// Zipkin's.
    pub fn parts(&self) -> [&[u8]; 5] {
        let (_, parent_id) = self.trace_id.split_at(16);
        let flags: &[u8] = match self.sampling {
            Sampling::Sampled => b"-01",
            Sampling::Unsampled => b"-00",
        };
        [b"00-", &self.trace_id, b"-", parent_id, flags]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "12345678901234567890123456789012";

    const VALID: &[&str] = &[
        "00-12345678901234567890123456789012-1234567890123456-01",
        "00-12345678901234567890123456789012-1234567890123456-00",
        "00-12345678901234567890123456789012-1234567890123456-ff",
        "cc-12345678901234567890123456789012-1234567890123456-01",
        "cc-12345678901234567890123456789012-1234567890123456-01-what-the-future-will-be-like",
    ];

    /// The cases of the W3C's test suite, and digits in upper case.
    const INVALID: &[&str] = &[
        "00-12345678901234567890123456789012-1234567890123456-01.",
        "00-12345678901234567890123456789012-1234567890123456-01-what-the-future-will-be-like",
        "cc-12345678901234567890123456789012-1234567890123456-01.what-the-future-will-be-like",
        "ff-12345678901234567890123456789012-1234567890123456-01",
        ".0-12345678901234567890123456789012-1234567890123456-01",
        "0.-12345678901234567890123456789012-1234567890123456-01",
        "000-12345678901234567890123456789012-1234567890123456-01",
        "0000-12345678901234567890123456789012-1234567890123456-01",
        "0-12345678901234567890123456789012-1234567890123456-01",
        "00-00000000000000000000000000000000-1234567890123456-01",
        "00-.2345678901234567890123456789012-1234567890123456-01",
        "00-1234567890123456789012345678901.-1234567890123456-01",
        "00-123456789012345678901234567890123-1234567890123456-01",
        "00-1234567890123456789012345678901-1234567890123456-01",
        "00-12345678901234567890123456789012-0000000000000000-01",
        "00-12345678901234567890123456789012-.234567890123456-01",
        "00-12345678901234567890123456789012-123456789012345.-01",
        "00-12345678901234567890123456789012-12345678901234567-01",
        "00-12345678901234567890123456789012-123456789012345-01",
        "00-12345678901234567890123456789012-1234567890123456-.0",
        "00-12345678901234567890123456789012-1234567890123456-0.",
        "00-12345678901234567890123456789012-1234567890123456-001",
        "00-12345678901234567890123456789012-1234567890123456-1",
        "00-1234567890123456789012345678901A-1234567890123456-01",
        "00-12345678901234567890123456789012-123456789012345A-01",
        "",
    ];

    #[test]
    fn a_traceparent_is_read_as_the_specification_says() {
        let read = |text: &&str| TraceId::of_traceparent(text.as_bytes()).map(|id| id.to_string());
        for text in VALID {
            assert_eq!(read(text).as_deref(), Some(ID), "{text}");
        }
        for text in INVALID {
            assert_eq!(read(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_first_traceparent_is_valid(bytes: [u8; 16], sampled: bool) {
            let sampling = if sampled { Sampling::Sampled } else { Sampling::Unsampled };
            if let Some(id) = TraceId::new(bytes) {
                let text = FirstTraceparent::new(id, sampling).parts().concat();
                let has_parent = bytes[8..] != [0; 8];
                prop_assert_eq!(TraceId::of_traceparent(&text), has_parent.then_some(id));
                prop_assert_eq!(text.ends_with(b"-01"), sampled);
            }
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
            prop_assert_eq!(TraceId::of_traceparent(&bytes), None);
        }

        #[test]
        fn what_is_read_stands_in_the_value(text in "[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-[ -~]{0,9})?") {
            if let Some(id) = TraceId::of_traceparent(text.as_bytes()) {
                prop_assert_eq!(id.to_string(), &text[3..35]);
            }
        }
    }
}

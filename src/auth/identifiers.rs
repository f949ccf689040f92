//! Identifiers that trusted proxies pass on: X-Request-ID, and traceparent with tracestate (W3C Trace Context). From
//! anybody else they would let a stranger choose what the logs say, or join the traces of others.

use http::{HeaderMap, HeaderName};

use super::TrustedFields;
use super::trusted_fields::Field;
use crate::message::RequestId;
use crate::message::request_id::{X_REQUEST_ID, valid_request_id};
use crate::message::trace_id::{Sampling, TRACEPARENT, TRACESTATE, TraceId};
use crate::message::whitespace::trim;
use crate::section::{At, Key, Lowered};

/// Key of the traces that begin at the gateway.
pub static BEGIN_TRACE: Key<At<String>> = Key::one_of("begin_trace", &["never", "sampled", "unsampled"], "The beginning of a trace (W3C Trace Context), for a request without the traceparent of a trusted proxy. \"never\": the application begins it, and decides whether it is recorded. \"sampled\", \"unsampled\": the gateway begins it, with the id of the request as trace-id and the sampled flag set or not; PHP gets it as HTTP_TRACEPARENT, and the logs have the trace-id. Tracers follow the flag: OpenTelemetry's default sampler records each request with \"sampled\", and none with \"unsampled\".").default("\"never\"");

/// Returns the sampled flag of the traces that begin at the gateway; `None` if none does.
pub(super) fn sampling(section: &Lowered) -> Option<Sampling> {
    match section.get(&BEGIN_TRACE).value.as_str() {
        "sampled" => Some(Sampling::Sampled),
        "unsampled" => Some(Sampling::Unsampled),
        _ => None,
    }
}

/// Adopts the identifiers in `fields`, as far as they are trusted and valid.
pub(super) fn adopt(fields: &HeaderMap, trusted: TrustedFields, id: &mut RequestId) {
    if trusted.has(Field::RequestId)
        && let Some(text) = single(fields, &X_REQUEST_ID).and_then(valid_request_id)
    {
        id.adopt(text);
    }
    if trusted.has(Field::Traceparent)
        && let Some(trace) = single(fields, &TRACEPARENT).and_then(TraceId::of_traceparent)
    {
        id.adopt_trace(trace);
    }
}

/// Removes the identifiers that were not adopted. A tracestate belongs to its traceparent (W3C Trace Context, "Relationship
/// Between the Headers"); beside an adopted one, which is passed on unchanged, it is passed on unchanged too.
pub(super) fn remove_others(fields: &mut HeaderMap, id: &RequestId) {
    if !id.is_adopted() {
        fields.remove(&X_REQUEST_ID);
    }
    if id.trace_id().is_none() {
        fields.remove(&TRACEPARENT);
        fields.remove(&TRACESTATE);
    }
}

/// Returns the value of the only field of this name. Of several nobody can tell which the proxy wrote.
fn single<'a>(fields: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    let mut values = fields.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then(|| trim(value.as_bytes()))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    type Fields = &'static [(&'static str, &'static str)];

    /// Fields, and what is left of a request: the adopted X-Request-ID, the adopted trace-id, and the names of the fields.
    type Row = (Fields, [&'static str; 3]);

    const TRUSTED: &[Row] = &[
        (&[("x-request-id", " a-1\t")], ["a-1", "", "x-request-id"]),
        (&[("x-request-id", "a b")], ["", "", ""]),
        (
            &[("x-request-id", "a"), ("x-request-id", "a")],
            ["", "", ""],
        ),
        (&[("traceparent", TRACE)], ["", ID, "traceparent"]),
        (
            &[("traceparent", TRACE), ("traceparent", TRACE)],
            ["", "", ""],
        ),
        (
            &[
                ("traceparent", TRACE),
                ("tracestate", "a=1"),
                ("tracestate", ""),
            ],
            ["", ID, "traceparent tracestate"],
        ),
        (
            &[("traceparent", "00-0"), ("tracestate", "a=1")],
            ["", "", ""],
        ),
        (
            &[("tracestate", "a=1"), ("accept", "*/*")],
            ["", "", "accept"],
        ),
        (
            &[("tracestate", "a=1"), ("x-request-id", "a-1")],
            ["a-1", "", "x-request-id"],
        ),
    ];

    const ALL: Fields = &[
        ("traceparent", TRACE),
        ("x-request-id", "a-1"),
        ("tracestate", "a=1"),
    ];

    #[track_caller]
    fn check(trusted: &[Field], fields: Fields, expected: [&str; 3]) {
        let pairs = fields.iter().map(|(name, value)| {
            let name = HeaderName::from_static(name);
            (name, HeaderValue::from_static(value))
        });
        let mut left = HeaderMap::new();
        pairs.for_each(|(name, value)| {
            left.append(name, value);
        });
        let mut id = RequestId::new(1, 2);
        adopt(&left, TrustedFields::of(trusted), &mut id);
        remove_others(&mut left, &id);
        let text = id.is_adopted().then(|| id.to_string());
        let trace = id.trace_id().map(|trace| trace.to_string());
        let names: Vec<_> = left.keys().map(HeaderName::as_str).collect();
        let found = [
            text.unwrap_or_default(),
            trace.unwrap_or_default(),
            names.join(" "),
        ];
        assert_eq!(found, expected, "{fields:?} {trusted:?}");
    }

    #[test]
    fn trusted_and_valid_ones_are_adopted_and_all_others_removed() {
        for (fields, expected) in TRUSTED {
            check(&[Field::RequestId, Field::Traceparent], fields, *expected);
        }
        check(&[], ALL, ["", "", ""]);
        check(&[Field::RequestId], ALL, ["a-1", "", "x-request-id"]);
        check(
            &[Field::Traceparent],
            ALL,
            ["", ID, "traceparent tracestate"],
        );
    }
}

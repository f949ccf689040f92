//! Times of a request: its arrival and the end of its response.

use super::View;
use crate::access_log::clock::since_epoch;
use crate::access_log::escape::Value;

/// A time of the request, in a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::access_log) struct Moment {
    /// The end of the response instead of the arrival of the request.
    pub(in crate::access_log) end: bool,
    pub(in crate::access_log) form: Form,
}

/// Representation of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::access_log) enum Form {
    /// The clock's format of this index.
    Text(usize),
    /// The same with microseconds, in UTC (RFC 3339).
    Fraction(usize),
    Seconds,
    Milliseconds,
    Microseconds,
    /// Milliseconds past the second, three digits.
    MillisecondPart,
    /// Microseconds past the second, six digits.
    MicrosecondPart,
}

impl Moment {
    pub(super) fn value(self, view: View<'_>) -> Value<'_> {
        let begun = view.record.time;
        let end = begun.checked_add(view.record.duration);
        let time = end.filter(|_| self.end).unwrap_or(begun);
        let since = since_epoch(time);
        match self.form {
            Form::Text(index) if self.end => Value::owned(view.clock.text_at(index, time)),
            Form::Text(index) => Value::text(view.second.text(index)),
            Form::Fraction(index) => {
                let second = view.second.text(index);
                Value::owned(format!("{second}.{:06}Z", since.subsec_micros()))
            }
            Form::Seconds => Value::Number(since.as_secs()),
            Form::Milliseconds => super::whole(since.as_millis()),
            Form::Microseconds => super::whole(since.as_micros()),
            Form::MillisecondPart => Value::owned(format!("{:03}", since.subsec_millis())),
            Form::MicrosecondPart => Value::owned(format!("{:06}", since.subsec_micros())),
        }
    }
}

//! The bounds of an HTTP/2 head. Each applies as to the equivalent HTTP/1.1 head (RFC 9113 §8.3, §8.8.1), so that no
//! client chooses its bounds by the protocol.

use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, header};

use super::{Bounds, Refusal};

/// Length of the spaces, the version and the CRLF of a request line.
const AROUND_TARGET: usize = "  HTTP/1.1\r\n".len();

/// Length of a field line without name and value.
const AROUND_FIELD: usize = ": \r\n".len();

/// Checks a decoded head against the bounds; returns its length as HTTP/1.1 lines.
pub fn judge_decoded(parts: &Parts, bounds: Bounds) -> Result<usize, Refusal> {
    let target = parts.uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let request_line = parts.method.as_str().len() + target.len() + AROUND_TARGET;
    if request_line > bounds.request_line {
        return Err(Refusal::RequestLineTooLong);
    }
    let mut head = Head {
        bounds,
        fields: 0,
        bytes: request_line + "\r\n".len(),
    };
    if let Some(authority) = parts.uri.authority() {
        head.take("host".len() + authority.as_str().len())?;
    }
    for (name, value) in &parts.headers {
        if *name != header::COOKIE && !is_repeated_host(parts, name) {
            head.take(name.as_str().len() + value.len())?;
        }
    }
    if let Some(length) = joined_cookies(parts) {
        head.take("cookie".len() + length)?;
    }
    Ok(head.bytes)
}

/// Counters of a head.
struct Head {
    bounds: Bounds,
    fields: usize,
    bytes: usize,
}

impl Head {
    /// Counts a field whose name and value have `length` bytes together.
    fn take(&mut self, length: usize) -> Result<(), Refusal> {
        let line = length + AROUND_FIELD;
        self.fields += 1;
        self.bytes += line;
        match () {
            () if line > self.bounds.field_line => Err(Refusal::FieldTooLong),
            () if self.bytes > self.bounds.head => Err(Refusal::HeadTooLarge),
            () if self.fields > self.bounds.fields => Err(Refusal::TooManyFields),
            () => Ok(()),
        }
    }
}

/// Reports whether the field is a Host beside `:authority`, which RFC 9113 §8.3.1 allows if they are equal.
fn is_repeated_host(parts: &Parts, name: &HeaderName) -> bool {
    *name == header::HOST && parts.uri.authority().is_some()
}

/// Returns the length of the Cookie field, which may arrive as several crumbs (RFC 9113 §8.2.3).
fn joined_cookies(parts: &Parts) -> Option<usize> {
    let crumbs = parts.headers.get_all(header::COOKIE).iter();
    let lengths = crumbs.map(HeaderValue::len);
    lengths.reduce(|all, crumb| all + "; ".len() + crumb)
}

#[cfg(test)]
mod tests {
    use http::Request;
    use proptest::prelude::*;

    use super::super::{HeadGuard, Verdict};
    use super::*;

    const BOUNDS: Bounds = Bounds {
        request_line: 60,
        field_line: 40,
        head: 193,
        fields: 5,
    };

    /// Judges a request with this path and these fields besides Host, by both protocols.
    fn judge(path: &str, fields: &[(&str, String)]) -> [Option<Refusal>; 2] {
        let mut decoded = Request::get(format!("http://a.example{path}"));
        let mut lines = format!("GET {path} HTTP/1.1\r\nHost: a.example\r\n");
        for (name, value) in fields {
            decoded = decoded.header(*name, value);
            lines += &format!("{name}: {value}\r\n");
        }
        let (parts, ()) = decoded.body(()).unwrap().into_parts();
        let mut bytes = (lines + "\r\n").into_bytes();
        let sent = match HeadGuard::new(BOUNDS).judge(&mut bytes) {
            Verdict::Pass(count) => {
                assert_eq!(count, bytes.len());
                None
            }
            Verdict::Refuse(refusal) => Some(refusal),
            Verdict::More => panic!("the head is whole"),
        };
        [judge_decoded(&parts, BOUNDS).err(), sent]
    }

    #[test]
    fn each_bound_holds_to_the_byte() {
        use Refusal as R;
        let value = |length: usize| "x".repeat(length);
        let path = |length: usize| "/".repeat(length);
        let many = |count: usize| vec![("x-a", value(1)); count];
        for (path, fields, refusal) in [
            (path(45), vec![], None),
            (path(46), vec![], Some(R::RequestLineTooLong)),
            (path(1), vec![("x-a", value(33))], None),
            (path(1), vec![("x-a", value(34))], Some(R::FieldTooLong)),
            (path(1), many(4), None),
            (path(1), many(5), Some(R::TooManyFields)),
            (path(39), vec![("x-a", value(33)); 3], None),
            (path(40), vec![("x-a", value(33)); 3], Some(R::HeadTooLarge)),
        ] {
            assert_eq!(
                judge(&path, &fields),
                [refusal, refusal],
                "{path} {fields:?}"
            );
        }
    }

    #[test]
    fn crumbs_are_one_field_and_a_host_is_not_counted_twice() {
        let judge = |fields: &[(&str, &str)]| {
            let mut request = Request::get("http://a.example/");
            for (name, value) in fields {
                request = request.header(*name, *value);
            }
            judge_decoded(&request.body(()).unwrap().into_parts().0, BOUNDS)
        };
        assert_eq!(judge(&[("cookie", "a=1"); 6]).err(), None);
        // `cookie: ` with seven crumbs, `; ` between them, and the end: 43 bytes.
        assert_eq!(judge(&[("cookie", "a=1"); 7]), Err(Refusal::FieldTooLong));
        let fields = [("x", "1"), ("x", "1"), ("x", "1"), ("x", "1")];
        let with_host = [&fields[..], &[("host", "a.example")]].concat();
        assert_eq!(judge(&with_host).err(), None);
    }

    proptest! {
        #[test]
        fn both_protocols_refuse_the_same(
            path in 1_usize..70,
            lengths in prop::collection::vec(0_usize..50, 0..8),
        ) {
            let fields: Vec<_> = lengths.iter().map(|length| ("x-a", "x".repeat(*length))).collect();
            let [decoded, sent] = judge(&"/".repeat(path), &fields);
            // The lines are judged in order; of two faults each protocol reports the first that it meets.
            prop_assert_eq!(decoded.is_some(), sent.is_some());
        }
    }
}

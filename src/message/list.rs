//! Fields whose value is a list (RFC 9110 §5.6.1).

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Returns the members of the list in all fields of this name, in order and without the whitespace
/// around them. Empty ones are ignored (RFC 9110 §5.6.1.2). Not for lists whose members may have a
/// quoted comma in them.
pub fn members<'a>(
    fields: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    let values = fields.get_all(name).into_iter();
    values
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|member| !member.is_empty())
}

/// Returns the values of all fields of this name as one (RFC 9110 §5.3).
pub fn joined(fields: &HeaderMap, name: &HeaderName) -> Option<HeaderValue> {
    let mut values = fields.get_all(name).iter();
    let first = values.next()?;
    if values.next().is_none() {
        return Some(first.clone());
    }
    let all: Vec<_> = fields.get_all(name).iter().collect();
    let bytes: Vec<_> = all.iter().map(|value| value.as_bytes()).collect();
    HeaderValue::from_bytes(&bytes.join(b", ".as_slice())).ok()
}

/// An expectation other than 100-continue, the only one that RFC 9110 §10.1.1 defines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownExpectation;

/// Reports whether the client waits for a 100 before it sends its content (RFC 9110 §10.1.1).
/// `Expect` without a member expects nothing.
pub fn expects_continue(fields: &HeaderMap) -> Result<bool, UnknownExpectation> {
    let mut members = members(fields, &header::EXPECT);
    members.try_fold(false, |_, member| {
        let is_known = member.eq_ignore_ascii_case(b"100-continue");
        is_known.then_some(true).ok_or(UnknownExpectation)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(name: &HeaderName, values: &[&'static str]) -> HeaderMap {
        let mut fields = HeaderMap::new();
        for value in values {
            fields.append(name, HeaderValue::from_static(value));
        }
        fields
    }

    #[test]
    fn empty_members_are_none() {
        for (values, expected) in [
            (&[][..], &[][..]),
            (&[""], &[]),
            (&[" , ,\t,"], &[]),
            (&["a"], &["a"]),
            (&[",a,, b ,"], &["a", "b"]),
            (&["", "a b", "", "c,"], &["a b", "c"]),
        ] {
            let fields = fields(&header::VARY, values);
            let found: Vec<_> = members(&fields, &header::VARY).collect();
            let expected: Vec<_> = expected.iter().map(|text: &&str| text.as_bytes()).collect();
            assert_eq!(found, expected, "{values:?}");
        }
    }

    #[test]
    fn nothing_but_a_100_is_expected() {
        for (values, expected) in [
            (&[][..], Ok(false)),
            (&[""], Ok(false)),
            (&[", ,"], Ok(false)),
            (&["", ""], Ok(false)),
            (&["100-continue"], Ok(true)),
            (&["100-Continue"], Ok(true)),
            (&[", 100-continue ,"], Ok(true)),
            (&["100-continue", ""], Ok(true)),
            (&["", "100-continue"], Ok(true)),
            (&["100-continue, 100-continue"], Ok(true)),
            (&["100"], Err(UnknownExpectation)),
            (&["100-continue=a"], Err(UnknownExpectation)),
            (&["100-continue, other"], Err(UnknownExpectation)),
            (&["other", "100-continue"], Err(UnknownExpectation)),
            (&["", "other"], Err(UnknownExpectation)),
        ] {
            let fields = fields(&header::EXPECT, values);
            assert_eq!(expects_continue(&fields), expected, "{values:?}");
        }
    }
}

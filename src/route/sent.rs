//! What clients send in pairs: the parameters of a query and cookies.

use std::borrow::Cow;

/// The values of a parameter of a raw query, decoded (`application/x-www-form-urlencoded`).
pub(super) fn parameters<'a>(
    query: &'a str,
    name: &'a [u8],
) -> impl Iterator<Item = Cow<'a, [u8]>> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs.filter_map(move |pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (*decoded(key) == *name).then(|| decoded(value))
    })
}

/// The values of a cookie in one Cookie field (RFC 6265 §4.2.1), as they were sent.
pub(super) fn cookies<'a>(field: &'a [u8], name: &[u8]) -> impl Iterator<Item = &'a [u8]> {
    let pairs = field.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    pairs.filter_map(move |pair| pair.strip_prefix(name)?.strip_prefix(b"="))
}

/// As PHP decodes: a `+` is a space, and a `%` without its digits is a `%`.
fn decoded(text: &str) -> Cow<'_, [u8]> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let octet = match (first, after) {
            (b'%', [high, low, ..]) => hexadecimal(*high).zip(hexadecimal(*low)),
            _ => None,
        };
        rest = match octet {
            Some((high, low)) => {
                out.push(high << 4 | low);
                after.get(2..).unwrap_or_default()
            }
            None => {
                out.push(if *first == b'+' { b' ' } else { *first });
                after
            }
        };
    }
    Cow::Owned(out)
}

fn hexadecimal(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let check = |query, name: &str, expected: &[&[u8]]| {
            let found: Vec<_> = parameters(query, name.as_bytes()).collect();
            assert_eq!(found, expected, "{query} {name}");
        };
        check("", "a", &[]);
        check("a=1&b=2&a=3", "a", &[b"1", b"3"]);
        check("a", "a", &[b""]);
        check("%61=%62+c%", "a", &[b"b c%"]);
        check("ab=1", "a", &[]);
        check("a=%FF%zz&&", "a", &[b"\xff%zz"]);
    }

    #[test]
    fn cookies_are_taken_apart() {
        let check = |field: &[u8], name: &str, expected: &[&[u8]]| {
            let found: Vec<_> = cookies(field, name.as_bytes()).collect();
            assert_eq!(found, expected, "{field:?} {name}");
        };
        check(b"a=1; b=2;a=3", "a", &[b"1", b"3"]);
        check(b"ab=1; xa=2", "a", &[]);
        check(b"a=x=y", "a", &[b"x=y"]);
        check(b"a", "a", &[]);
    }
}

//! Cookies of a request, for templates and limits.

use http::{HeaderMap, header};

/// Returns the value of the first cookie with this name, undecoded.
pub fn find<'a>(fields: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let fields = fields.get_all(header::COOKIE).iter();
    let mut cookies = fields.flat_map(|field| values(field.as_bytes(), name.as_bytes()));
    cookies.next()
}

/// Iterates over the values of a cookie in one Cookie field (RFC 6265 §4.2.1), undecoded.
fn values<'a>(field: &'a [u8], name: &[u8]) -> impl Iterator<Item = &'a [u8]> {
    let pairs = field.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    pairs.filter_map(move |pair| pair.strip_prefix(name)?.strip_prefix(b"="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_taken_apart() {
        let check = |field: &[u8], name: &str, expected: &[&[u8]]| {
            let found: Vec<_> = values(field, name.as_bytes()).collect();
            assert_eq!(found, expected, "{field:?} {name}");
        };
        check(b"a=1; b=2;a=3", "a", &[b"1", b"3"]);
        check(b"ab=1; xa=2", "a", &[]);
        check(b"a=x=y", "a", &[b"x=y"]);
        check(b"a", "a", &[]);
    }
}

//! Entity tags of coded answers. RFC 9110 §8.8.3.3: another coding is another representation and
//! has another tag. A coded tag is the plain one with `~` and the name of the coding appended:
//! `"abc"` becomes `"abc~br"`. The origin of the answer, a script too, sees only its own tag.

use http::HeaderValue;
use memchr::memmem;

use super::accept_encoding::Coding;

/// Builds the tag of the coded representation from the tag `plain`; `None` where `plain` is no entity tag.
pub fn coded(plain: &HeaderValue, coding: Coding) -> Option<HeaderValue> {
    let opaque = plain.as_bytes().strip_suffix(b"\"")?;
    // A quote alone is no tag.
    let begins = opaque.starts_with(b"\"") || opaque.starts_with(b"W/\"");
    let tag = [opaque, b"~", coding.name().as_bytes(), b"\""].concat();
    begins.then(|| HeaderValue::from_bytes(&tag).ok()).flatten()
}

/// Replaces the tags of these codings in a list by plain ones; `None` where there are none.
pub fn plain(list: &HeaderValue, codings: &[Coding]) -> Option<HeaderValue> {
    let mut changed = None;
    for coding in codings {
        let end = [b"~", coding.name().as_bytes(), b"\""].concat();
        let text = changed.as_deref().unwrap_or(list.as_bytes());
        if let Some(replaced) = without(text, &end) {
            changed = Some(replaced);
        }
    }
    HeaderValue::from_bytes(&changed?).ok()
}

/// Reports whether `tag` is among the tags of `list`, by the weak comparison.
pub fn is_listed(tag: &HeaderValue, list: &HeaderValue) -> bool {
    let tag = tag.as_bytes();
    let opaque = tag.strip_prefix(b"W/").unwrap_or(tag);
    memmem::find(list.as_bytes(), opaque).is_some()
}

/// Returns `text` with a quote in place of each `end`; `None` without one.
fn without(mut text: &[u8], end: &[u8]) -> Option<Vec<u8>> {
    let mut replaced = Vec::new();
    while let Some((before, rest)) =
        memmem::find(text, end).and_then(|at| text.split_at_checked(at))
    {
        replaced.extend_from_slice(before);
        replaced.push(b'"');
        text = rest.get(end.len()..).unwrap_or_default();
    }
    if replaced.is_empty() {
        return None;
    }
    replaced.extend_from_slice(text);
    Some(replaced)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> HeaderValue {
        HeaderValue::from_str(text).unwrap()
    }

    #[test]
    fn a_coding_has_its_own_tag_and_the_way_back() {
        for (tag, expected) in [
            ("\"a\"", Some("\"a~br\"")),
            ("W/\"a\"", Some("W/\"a~br\"")),
            ("\"\"", Some("\"~br\"")),
            ("a", None),
            ("\"", None),
            ("a\"", None),
        ] {
            let made = coded(&value(tag), Coding::Brotli);
            assert_eq!(made, expected.map(value), "{tag}");
            if let Some(made) = made {
                assert_eq!(plain(&made, &Coding::ALL), Some(value(tag)));
                assert!(is_listed(
                    &made,
                    &value(&format!("\"x\", {}", made.to_str().unwrap()))
                ));
            }
        }
    }

    #[test]
    fn only_tags_of_accepted_codings_are_made_plain() {
        let list = value("\"a~gzip\", W/\"b~br\",\"c\", \"d~zstd\", *");
        let some = [Coding::Gzip, Coding::Brotli];
        let expected = value("\"a\", W/\"b\",\"c\", \"d~zstd\", *");
        assert_eq!(plain(&list, &some), Some(expected));
        assert_eq!(plain(&value("\"a\", \"br\", *"), &Coding::ALL), None);
        assert_eq!(plain(&list, &[]), None);
        assert!(!is_listed(&value("\"a\""), &list));
        assert!(is_listed(&value("W/\"c\""), &list));
    }
}

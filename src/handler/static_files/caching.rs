//! Cache-Control of files (RFC 9111 §5.2): by type, by path, by the hash in the name.

use std::time::Duration;

use http::HeaderValue;
use regex::bytes::Regex;

use crate::section::{At, Key, Lowered, Problem, Problems, Section};

/// Cache-Control of names that are never reused for other content (RFC 8246).
pub(super) const UNCHANGING: &str = "public, max-age=31536000, immutable";

/// The section of one `cache` rule.
pub(super) static CACHE: Section = Section {
    title: "[[site.files.cache]]",
    doc: "",
    groups: &[&[&TYPES, &MATCH, &EXPIRES, &CONTROL]],
};

static TYPES: Key<Vec<At<String>>> = Key::texts(
    "types",
    "Media types: \"text/css\", or \"image/*\" for all that begin so; default: all.",
)
.example("[\"image/*\", \"font/*\"]");

static MATCH: Key<Option<At<String>>> = Key::text(
    "match",
    "A regular expression on the path; default: any path.",
)
.example("'^/assets/'");

static EXPIRES: Key<Option<Duration>> = Key::duration(
    "expires",
    "Freshness lifetime: Cache-Control: max-age. \"0s\" requires revalidation each time.",
)
.example("\"30d\"");

static CONTROL: Key<Option<At<String>>> = Key::text(
    "control",
    "The whole of Cache-Control, in place of `expires`.",
)
.example("\"public, max-age=3600\"");

/// A `cache` rule.
#[derive(Clone, Debug)]
pub(super) struct CacheRule {
    /// Media types as configured; empty matches any.
    types: Vec<String>,
    path: Option<Regex>,
    value: HeaderValue,
}

impl CacheRule {
    pub(super) fn build(section: &Lowered, problems: &mut Problems) -> Option<Self> {
        let path = match section.get(&MATCH) {
            Some(text) => Some(pattern(&text, problems)?),
            None => None,
        };
        let types = section.get(&TYPES).into_iter();
        Some(Self {
            types: types.map(|text| text.value.to_ascii_lowercase()).collect(),
            path,
            value: value(section, problems)?,
        })
    }

    /// Reports whether the rule applies to a file at `path` of this type.
    pub(super) fn fits(&self, path: &[u8], kind: &HeaderValue) -> bool {
        let kind = kind.to_str().unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default();
        let of_type = |known: &String| match known.strip_suffix('*') {
            Some(beginning) => essence.starts_with(beginning),
            None => essence == known,
        };
        let at_path = self.path.as_ref().is_none_or(|regex| regex.is_match(path));
        at_path && (self.types.is_empty() || self.types.iter().any(of_type))
    }

    pub(super) fn value(&self) -> HeaderValue {
        self.value.clone()
    }
}

fn pattern(text: &At<String>, problems: &mut Problems) -> Option<Regex> {
    match Regex::new(&text.value) {
        Ok(regex) => Some(regex),
        Err(error) => {
            problems.push(Problem::new(text.place.clone(), error.to_string()));
            None
        }
    }
}

fn value(section: &Lowered, problems: &mut Problems) -> Option<HeaderValue> {
    match (section.get(&CONTROL), section.get(&EXPIRES)) {
        (None, Some(expires)) => {
            HeaderValue::from_str(&format!("max-age={}", expires.as_secs())).ok()
        }
        (Some(control), None) => {
            let value = HeaderValue::from_str(&control.value).ok();
            if value.is_none() {
                let message = "`control` cannot be the value of a header field";
                problems.push(Problem::new(control.place, message).help("\"no-cache\""));
            }
            value
        }
        (Some(_), Some(_)) | (None, None) => {
            let message = "a cache rule needs `expires` or `control`, and not both";
            problems.push(Problem::new(section.place(), message).help("expires = \"30d\""));
            None
        }
    }
}

/// Reports whether the name has a hash of its content in front of its extension, as bundlers write it: eight hexadecimal
/// digits or more after a `.`, `-` or `_`, or eight of base64url. Both have letters and digits: a date or a word is no
/// hash.
pub(super) fn is_hashed(path: &[u8]) -> bool {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let Some(dot) = name.iter().position(|byte| *byte == b'.') else {
        return false;
    };
    // `app.3f2a1b9c.js.map` and `app-3f2a1b9c.min.js` have more than one extension.
    let (stem, _) = name.split_at_checked(dot).unwrap_or_default();
    let mut words = name
        .split(|byte| matches!(byte, b'.' | b'-' | b'_'))
        .skip(1);
    words.any(is_hexadecimal_hash) || ends_with_hash(stem)
}

fn is_hexadecimal_hash(word: &[u8]) -> bool {
    word.len() >= 8
        && word.iter().all(u8::is_ascii_hexdigit)
        && word.iter().any(u8::is_ascii_digit)
        && word.iter().any(u8::is_ascii_alphabetic)
}

/// Reports whether a hash of Vite or Rollup ends the stem: `index-BwX3k_9a.js`.
fn ends_with_hash(stem: &[u8]) -> bool {
    let Some((before, hash)) = stem
        .len()
        .checked_sub(8)
        .and_then(|at| stem.split_at_checked(at))
    else {
        return false;
    };
    let has = |kind: fn(&u8) -> bool| hash.iter().any(kind);
    before.ends_with(b"-")
        && hash
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        && has(u8::is_ascii_digit)
        && has(u8::is_ascii_lowercase)
        && has(u8::is_ascii_uppercase)
}

#[cfg(test)]
mod tests {
    use super::is_hashed;

    #[test]
    fn hashes_and_what_only_looks_like_them() {
        for name in [
            "/build/app.3f2a1b9c.js",
            "/app-3f2a1b9c.css",
            "/app.3f2a1b9c.js.map",
            "/app_3f2a1b9c0011223344556677.woff2",
            "/assets/index-BwX3k_9a.js",
            "/app-3f2a1b9c.min.js",
        ] {
            assert!(is_hashed(name.as_bytes()), "{name}");
        }
        for name in [
            "/app.js",
            "/report-20240101.pdf",
            "/jquery-3.7.1.min.js",
            "/deadbeef.js",
            "/a.deadbeef.js",
            "/facade-12345678.js",
            "/index-TheStory.html",
            "/3f2a1b9c/app.js",
            "/3f2a1b9c",
            "/",
        ] {
            assert!(!is_hashed(name.as_bytes()), "{name}");
        }
    }
}

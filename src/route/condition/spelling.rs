//! Warnings about a `path`, `prefix` or `extension` that no request has.

use std::ops::Range;

use super::expression::within;
use crate::section::{At, Problem, Problems};

/// Warns of a path that no request has, or that is likely unintended: paths are compared decoded,
/// normalised and without the query (`Target::path`).
pub fn check_path(text: &At<String>, problems: &mut Problems) {
    if let Some(fault) = fault(&text.value) {
        let place = within(text, fault.part);
        problems.warn(Problem::new(place, fault.message).help(fault.help));
    }
}

/// Warns of an extension that no path has: an extension is the part of a segment after its last dot.
pub(super) fn check_extension(text: &At<String>, problems: &mut Problems) {
    let name = text.value.trim_start_matches('.');
    if name.is_empty() || name.contains(['.', '/']) {
        let message = format!("no path has the extension `{}`", text.value);
        let help = "an extension is the text after the last dot of a segment; for more of its name write `match = '\\.tar\\.gz$'`";
        problems.warn(Problem::new(text.place.clone(), message).help(help));
    }
}

struct Fault {
    message: String,
    help: String,
    /// Byte range of the wrong characters.
    part: Range<usize>,
}

fn fault(path: &str) -> Option<Fault> {
    let shown = path.replace(|c: char| c.is_control(), "\u{fffd}");
    let never = format!("no request has the path `{shown}`");
    // A client can percent-encode any byte that normalisation keeps.
    let literal = format!("the path `{shown}` is compared as it is written");
    let fault = |part: Range<usize>, what: &str, why: &str, help: &str| Fault {
        message: format!("{what}: {why}"),
        help: help.to_owned(),
        part,
    };
    if let Some(at) = path.find(|c: char| c.is_ascii_control()) {
        let why = "one with a control character gets 400";
        return Some(fault(at..at + 1, &never, why, "remove the character"));
    }
    if let Some(at) = path.find("//") {
        let why = "repeated slashes are merged before rules are matched";
        return Some(fault(at..at + 2, &never, why, "write one slash"));
    }
    if let Some(part) = dot_segment(path) {
        let why = "`.` and `..` are resolved before rules are matched";
        return Some(fault(part, &never, why, "write the resolved path"));
    }
    if let Some(part) = percent_encoded(path) {
        let why = "paths are decoded before rules are matched";
        let help = "write the character itself in place of its percent-encoding";
        return Some(fault(part, &literal, why, help));
    }
    let (at, why, help) = misread(path)?;
    Some(fault(at..at + 1, &literal, why, help))
}

/// Finds a character with a special meaning elsewhere: its offset, the reason it is literal here, and the fix.
fn misread(path: &str) -> Option<(usize, &'static str, &'static str)> {
    let at = path.find(['?', '#', '*', '\\'])?;
    let (why, help) = match path.as_bytes().get(at)? {
        b'?' => (
            "`?` begins the query, which is not part of the path",
            "add a condition on it: `query = { name = \"page\", value = \"2\" }`",
        ),
        b'#' => (
            "`#` begins a fragment, which clients do not send",
            "remove it: no server receives it",
        ),
        b'*' => (
            "`*` is not a wildcard here",
            "write `prefix = \"/wp-admin/\"` for all paths below it, or a regular expression as `match`",
        ),
        _ => (
            "`\\` escapes nothing here",
            "write the character alone, or a regular expression as `match`",
        ),
    };
    Some((at, why, help))
}

/// Returns the range of the first segment that is `.` or `..`.
fn dot_segment(path: &str) -> Option<Range<usize>> {
    let mut start = 0;
    for segment in path.split('/') {
        let end = start + segment.len();
        if matches!(segment, "." | "..") {
            return Some(start..end);
        }
        start = end + 1;
    }
    None
}

/// Returns the range of the first percent-encoded byte; skips `%2F`, which `encoded_slash = "keep"`
/// leaves in a path.
fn percent_encoded(path: &str) -> Option<Range<usize>> {
    let percents = path.match_indices('%').map(|(at, _)| at..at + 3);
    percents.into_iter().find(|part| {
        let digits = path.get(part.start + 1..part.end);
        digits.is_some_and(|digits| {
            digits != "2F" && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::section::Place;

    fn text(value: &str) -> At<String> {
        At {
            value: value.to_owned(),
            place: Place {
                span: 10..12 + value.len(),
                ..Place::default()
            },
        }
    }

    fn warned(check: fn(&At<String>, &mut Problems), value: &str) -> Vec<Problem> {
        let mut problems = Problems::default();
        check(&text(value), &mut problems);
        assert!(problems.is_empty(), "{value}: a warning is no error");
        problems.take_warnings()
    }

    #[test]
    fn paths_that_no_request_has_are_shown_where_they_are_wrong() {
        for (path, part, words) in [
            ("/wp-admin/*", "*", "not a wildcard"),
            ("/*.php", "*", "not a wildcard"),
            ("/a?page=2", "?", "query"),
            ("/a#top", "#", "fragment"),
            ("//", "//", "merged"),
            ("/a//b", "//", "merged"),
            ("/a/..", "..", "resolved"),
            ("/../a", "..", "resolved"),
            ("/a/./b", ".", "resolved"),
            ("/.", ".", "resolved"),
            ("/a%20b", "%20", "decoded"),
            ("/100%/%c3%a4", "%c3", "decoded"),
            ("/a\\.php", "\\", "escapes nothing"),
            ("/a\tb", "\t", "control character"),
        ] {
            let problems = warned(check_path, path);
            let [problem] = problems.as_slice() else {
                panic!("{path}: {problems:?}")
            };
            assert!(problem.message.contains(words), "{path}: {problem:?}");
            let span = &problem.place.span;
            assert_eq!(&path[span.start - 11..span.end - 11], part, "{path}");
        }
    }

    #[test]
    fn paths_that_requests_have_are_as_they_should_be() {
        for path in [
            "/",
            "/a",
            "/a/",
            "/.git",
            "/..a",
            "/a..",
            "/a.",
            "/a/.../b",
            "/.well-known/",
            "/100%",
            "/50%off",
            "/a%2Fb",
            "/a b",
            "/ä",
            "/a+b",
            "/x(1)",
            "/$1",
            "/~user",
            "/a;b=c",
            "/a|b",
        ] {
            assert_eq!(warned(check_path, path), [], "{path}");
        }
    }

    #[test]
    fn an_extension_is_what_follows_the_last_dot() {
        for wrong in ["tar.gz", ".tar.gz", "*.php", "a/b", "", "."] {
            assert_eq!(warned(check_extension, wrong).len(), 1, "{wrong}");
        }
        for right in ["php", ".php", "7z", "PHP", "php~", "c++"] {
            assert_eq!(warned(check_extension, right), [], "{right}");
        }
    }
}

//! PCRE syntax: its translation, the matches of that, and refusals with their places.

use proptest::prelude::*;

use super::super::expression::Expression;
use super::*;
use crate::section::{At, Place, Problems};

fn becomes(pattern: &str, expected: &str, backtracks: bool) {
    let expected = Translated {
        text: expected.to_owned(),
        backtracks,
    };
    assert_eq!(translate(pattern), Ok(expected), "{pattern}");
}

#[test]
fn common_syntax_is_unchanged() {
    for pattern in [
        r"^/(.*\.php)(/.*)?$",
        r"^/wiki/(?<page>[a-z0-9_.-]+)/?$",
        r"(?i)\.(jpe?g|png)$",
        r"a{2}b{2,}c{2,3}?",
        r"[^/]+\d\w\s\b",
        "é+",
        "",
    ] {
        let translated = translate(pattern).unwrap();
        assert!(!translated.backtracks, "{pattern}");
    }
    becomes(r"^/(.*\.php)(/.*)?$", r"^/(.*\.php)(/.*)?$", false);
    becomes(r"(?i:a|b)+?", r"(?i:a|b)+?", false);
}

#[test]
fn different_syntax_is_translated() {
    becomes(r"\<b\>", "<b>", false);
    becomes(r"\h\H", r"[\t ][^\t ]", false);
    becomes(r"a\Z", r"a\z", false);
    becomes("a{,3}b{x}", r"a\{,3\}b\{x\}", false);
    becomes(r"(?'n'a)(?P<m>b)", "(?<n>a)(?<m>b)", false);
    becomes("a(?#a ( comment)b", "ab", false);
    becomes(r"\Qa.b*\Ec", r"a\.b\*c", false);
    becomes(r"\057\x2f\x{2F}\o{57}\cA\e", r"////\x01\x1B", false);
    becomes("[[]", r"[\x5B]", false);
    becomes("[]a]", r"[\x5Da]", false);
    becomes("[a&&*--c~~d]", r"[a\x26\x26\x2A-\x2Dc\x7E\x7Ed]", false);
    becomes(r"[\w-.]", r"[\w\x2D\x2E]", false);
    becomes(r"[a-\d]", r"[a\-\d]", false);
    becomes("[é]", r"[\xC3\xA9]", false);
    becomes(r"[\x80-\xff]", r"[\x80-\xFF]", false);
    becomes("[[:alpha:]_-]", r"[[:alpha:]\x5F\x2D]", false);
    becomes(
        r"(a)\1(?P<n>b)\g{-1}\k{n}(?P=n)",
        r"(a)(?:\1)(?<n>b)(?:\2)\k<n>\k<n>",
        true,
    );
    becomes("a++b", "a++b", true);
    becomes("(?!x)(?<=y)(?>z)", "(?!x)(?<=y)(?>z)", true);
}

#[test]
fn unsupported_syntax_is_refused_at_its_place() {
    for (pattern, range) in [
        (r"ab\Kc", 2..4),
        (r"a\pL", 1..3),
        (r"a\y", 1..3),
        ("a(?|b)", 1..4),
        ("a(?(1)b)", 1..4),
        ("(?R)", 0..3),
        ("a(?x)b", 1..4),
        ("(*ANYCRLF)a", 0..10),
        ("ab[cd", 2..5),
        (r"a\2", 1..3),
        (r"a\", 1..2),
        (r"\x{100}", 0..7),
        ("[[.a.]]", 0..2),
        ("[[:alpa:]]", 0..9),
        ("[z-a]", 0..4),
        ("[à-é]", 0..6),
        ("(?<1a>b)", 0..6),
        ("(?#a", 0..3),
        (r"a\g{x", 1..4),
    ] {
        let refusal = translate(pattern).unwrap_err();
        assert_eq!(refusal.range, range, "{pattern}: {}", refusal.message);
    }
}

fn expression(pattern: &str) -> Option<Expression> {
    let text = At {
        value: pattern.to_owned(),
        place: Place::default(),
    };
    Expression::new(&text, &mut Problems::default())
}

#[test]
fn both_engines_match_as_pcre_does() {
    for (pattern, subject, expected) in [
        (r"\<b\>", "<b>", true),
        (r"\<b", "b", false),
        (r"^a\hb$", "a b", true),
        (r"^\h$", "a", false),
        ("^[a&&b]$", "&", true),
        ("^[^]/]+$", "a]", false),
        ("^a{,3}$", "a{,3}", true),
        (r"^(a+)-\1$", "aa-aa", true),
        (r"^(a+)-\1$", "aa-a", false),
        (r"^(a)\g{1}2$", "aa2", true),
        (r"^(?<x>.)\k{x}$", "bb", true),
        ("^a++a", "aaa", false),
        ("^a{1,3}+a", "aaa", false),
        ("^(?>a+)b", "aab", true),
        (r"^/(?!admin)\w+$", "/adminx", false),
        (r"^/(?!admin)\w+$", "/user", true),
        (r"(?<!\.min)\.js$", "/a.min.js", false),
        (r"(?<!\.min)\.js$", "/a.js", true),
        ("^(?=.)[é]+$", "é", true),
        (r"^(?=.)\xC3\xA9$", "é", true),
        (r"^\xC3\xA9$", "é", true),
        ("^(?=.).{2}$", "é", true),
        ("^.{2}$", "é", true),
        (r"^(?=.)[^\x00-\x7f]+$", "é", true),
        (r"^(?=.)\w+$", "é", false),
        (r"^(?=.)\h$", " ", true),
        (r"^(?i)(?=.)PHP$", "php", true),
        ("^(?=a).b$", "a\nb", false),
        ("^(?=a)a.b$", "a\nb", true),
        ("^a.b$", "a\nb", true),
        ("^(?=a)a$", "a\n", false),
        ("^(?=a)[[:alpha:]_-]+$", "a-_", true),
    ] {
        let expression = expression(pattern).unwrap();
        let found = expression.is_match(subject.as_bytes());
        assert_eq!(found, Ok(expected), "{pattern} on {subject:?}");
        let found = expression.find(subject.as_bytes()).unwrap();
        assert_eq!(found.is_some(), expected, "{pattern} on {subject:?}");
    }
}

#[test]
fn an_exhausted_search_is_an_error_and_no_miss() {
    let expression = expression(r"^(a|a)*(?=b)\1$").unwrap();
    let subject = [b'a'; 40];
    let exhausted = expression.is_match(&subject).unwrap_err();
    assert_eq!(&*exhausted.pattern, r"^(a|a)*(?=b)\1$");
    assert!(expression.find(&subject).is_err());
}

#[test]
fn groups_and_names_are_those_of_the_pattern() {
    for pattern in [r"^(a)(?<x>b)?(c)", r"^(a)(?'x'b)?(?=c)(c)"] {
        let expression = expression(pattern).unwrap();
        let found = expression.find(b"ac!").unwrap().unwrap();
        assert_eq!(found, [Some(0..2), Some(0..1), None, Some(1..2)]);
        let names: Vec<_> = expression.names().iter().map(Option::as_deref).collect();
        assert_eq!(names, [None, None, Some("x"), None], "{pattern}");
    }
}

proptest! {
    #[test]
    fn any_text_is_translated_or_refused_within_it(pattern in r"[\\\[\](){}?*+<>=!:'a-d0-3^$&~,QEKPgkxo#|éü-]{0,24}") {
        match translate(&pattern) {
            Ok(_) => { let _ = expression(&pattern); }
            Err(refusal) => {
                prop_assert!(refusal.range.end <= pattern.len());
                prop_assert!(pattern.get(refusal.range).is_some());
            }
        }
    }

    #[test]
    fn quoted_text_matches_itself(text in r"[ -~é]{0,16}") {
        prop_assume!(!text.contains("\\E"));
        let pattern = format!(r"^\Q{text}\E$");
        prop_assume!(!text.ends_with('\\'));
        let expression = expression(&pattern).unwrap();
        prop_assert_eq!(expression.is_match(text.as_bytes()), Ok(true));
    }
}

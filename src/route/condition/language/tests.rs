//! Languages of patterns compared with their actual matches.

use proptest::prelude::*;
use regex::bytes::Regex;

use super::*;
use crate::message::{EncodedSlash, Target};

#[test]
fn patterns_that_match_no_path_have_a_reason() {
    for (pattern, reason) in [
        ("^(data|conf)/", Contradiction::Slash),
        ("^index\\.php$", Contradiction::Slash),
        ("(?i)^[a-z]+$", Contradiction::Slash),
        ("^\\w{3}", Contradiction::Slash),
        ("^\\./", Contradiction::Slash),
        ("//", Contradiction::Normalised),
        ("^/a//b$", Contradiction::Normalised),
        ("/\\.\\./", Contradiction::Normalised),
        ("^/x/\\.\\.$", Contradiction::Normalised),
        ("/\\./", Contradiction::Normalised),
        ("^/a/{2}", Contradiction::Normalised),
        ("^/index\\.php\\?id=", Contradiction::Query),
        ("[?]page=\\d+$", Contradiction::Query),
        ("^$", Contradiction::Other),
        ("a\\nb", Contradiction::Other),
        ("^/a$b", Contradiction::Other),
        ("^data//\\?", Contradiction::Other),
    ] {
        assert_eq!(
            find_contradiction(pattern, Subject::Path),
            Some(reason),
            "{pattern}"
        );
    }
    for pattern in ["/index\\.php$", "^/", "^/x/(.*)$"] {
        assert_eq!(
            find_contradiction(pattern, Subject::Name),
            Some(Contradiction::Folder),
            "{pattern}"
        );
    }
}

#[test]
fn patterns_that_match_some_path_have_none() {
    for pattern in [
        "",
        "^",
        "$",
        "^/",
        "^/$",
        "^/(data|conf)/",
        "(data|conf)/",
        "^(/data|conf)/",
        "^/?data",
        "^/*data",
        "^.",
        "^[^a]",
        "^(?:/[^/]+)+/?$",
        "/\\.git",
        "/\\.\\.a",
        "a\\.\\./",
        "/\\.",
        "\\.\\.$",
        "\\.php(/|$)",
        "/a/?/?b",
        "(\\?|%3F)",
        "^/a\\??$",
        "[^/]+$",
        "\\bphp\\b",
        "^/(?!admin)",
        "^(?!/x)(data|conf)/",
        "(?m)^/a$",
        "^/\u{e4}",
        "^/(ab){70}$",
        "^/x{65,}$",
    ] {
        assert_eq!(
            find_contradiction(pattern, Subject::Path),
            None,
            "{pattern}"
        );
    }
    for pattern in [
        "\\.php$",
        "^index\\.php$",
        "^[^/]+$",
        "",
        "^\\.ht",
        "a?b",
        "\\?",
    ] {
        assert_eq!(
            find_contradiction(pattern, Subject::Name),
            None,
            "{pattern}"
        );
    }
}

#[test]
fn examples_are_short_and_of_each_alternative() {
    let texts = |pattern: &str| {
        let texts = examples(pattern).into_iter();
        texts
            .map(|text| String::from_utf8(text).unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(texts("^/a\\.php$"), ["/a.php"]);
    assert_eq!(texts("^/up/.*\\.php$"), ["/up/x.php", "/up/.php"]);
    assert_eq!(texts("\\.ph(p[3-7]?|t|tml)$").last().unwrap(), ".phtml");
    assert!(texts("(\\.sql|\\.(php|inc))$").contains(&".php".to_owned()));
    assert!(texts("\\.php[0-9]*$").contains(&".php".to_owned()));
    assert!(texts("(a|b|c|d|e|f|g)(a|b|c|d|e|f|g)(a|b|c|d|e|f|g)").len() <= EXAMPLES);
    assert_eq!(examples("a{1000}"), Vec::<Vec<u8>>::new());
    assert_eq!(examples("(?=a)a"), Vec::<Vec<u8>>::new());
}

/// Pieces of patterns, put together.
fn pattern() -> impl Strategy<Value = String> {
    let pieces = [
        "/",
        "a",
        "b",
        r"\.",
        "a?",
        ".*",
        "[^/]",
        "[^/]+",
        "(/|a)",
        r"(\.\.|b)+",
        "//",
        "a{2}",
        "/?",
        r"\w",
    ];
    prop::collection::vec(prop::sample::select(pieces.to_vec()), 1..6).prop_map(|all| all.concat())
}

proptest! {
    /// A pattern reported as matching nothing matches no path.
    #[test]
    fn a_pattern_that_matches_a_path_has_no_contradiction(
        middle in pattern(),
        begin in prop::sample::select(vec!["", "^", "^/"]),
        end in prop::sample::select(vec!["", "$"]),
        path in "(/|/a|/b|/\\.|/\\.\\.|/c|//|a|b|\\.){1,6}",
    ) {
        let Ok(target) = Target::parse(&format!("/{path}"), EncodedSlash::Reject) else {
            return Ok(());
        };
        let pattern = format!("{begin}{middle}{end}");
        let regex = Regex::new(&format!("(?-u){pattern}")).unwrap();
        if regex.is_match(target.path()) {
            prop_assert_eq!(find_contradiction(&pattern, Subject::Path), None, "{}", pattern);
            let begins = target.path().starts_with(&literal_start(&pattern));
            prop_assert!(begins, "{} {:?}", pattern, literal_start(&pattern));
        }
    }

    /// Without assertions, each example is one.
    #[test]
    fn examples_match(pattern in pattern()) {
        let regex = Regex::new(&format!("(?-u)^(?:{pattern})$")).unwrap();
        let examples = examples(&pattern);
        prop_assert!(!examples.is_empty() && examples.len() <= EXAMPLES);
        for example in examples {
            prop_assert!(regex.is_match(&example), "{} {:?}", pattern, example);
        }
    }
}

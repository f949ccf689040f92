//! The language of the code (CONTRIBUTING.md, "How the code reads"), as far as a program can judge it.

use super::numbered;
use super::source::{Offences, in_word, skipped, sources};

/// Words with which no documentation begins: it says what a thing is or does, and a function's begins with a verb.
const OPENINGS: [&str; 10] = [
    "What", "Whatever", "Whether", "Who", "Whoever", "Whose", "How", "Why", "Which", "Where",
];

#[test]
fn documentation_says_what_a_thing_is_or_does() {
    let mut offences = Offences::default();
    for source in sources("src") {
        let mut begins = true;
        for (number, line) in numbered(&source.text) {
            let line = line.trim_start();
            let text = line
                .strip_prefix("///")
                .or_else(|| line.strip_prefix("//!"));
            let Some(text) = text.map(str::trim_start) else {
                begins = true;
                continue;
            };
            if let Some(word) = refused_opening(text).filter(|_| begins) {
                offences.add(
                    &source,
                    number,
                    format!(
                        "the documentation opens with `{word}`: begin with a noun, or with a verb for a function (Returns, Builds, Waits)"
                    ),
                );
            }
            begins = text.is_empty();
        }
    }
    offences.none();
}

#[test]
fn texts_of_the_reference_begin_with_a_noun_or_a_verb() {
    let mut offences = Offences::default();
    for source in sources("src") {
        for (at, doc) in reference_texts(&source.text) {
            let line = source.text[..at].matches('\n').count() + 1;
            for word in doc.split("\\n").filter_map(refused_opening) {
                offences.add(
                    &source,
                    line,
                    format!(
                        "the text of the reference opens with `{word}`: begin with a noun (\"Idle timeout of …\") or a verb (\"Sends …\")"
                    ),
                );
            }
        }
    }
    offences.none();
}

/// The word that `text` begins with, where no documentation may.
fn refused_opening(text: &str) -> Option<&str> {
    let word = text.split(|c| !in_word(c)).next()?;
    OPENINGS.contains(&word).then_some(word)
}

/// The documentation of keys and sections, with its places: the last text of a `Key::…(…)`, and the text behind `doc:`.
fn reference_texts(text: &str) -> Vec<(usize, &str)> {
    let behind = |needle| {
        let found = text.match_indices(needle);
        let whole = found.filter(|(at, _)| !text[..*at].ends_with(in_word));
        whole.map(|(at, needle)| at + needle.len())
    };
    let keys = behind("Key::").filter_map(|at| {
        let call = at + text[at..].find(|c| !in_word(c))?;
        text[call..].starts_with('(').then_some(call + 1)
    });
    let keys = keys.filter_map(|at| last_text(text, at));
    let sections = behind("doc:").filter_map(|at| {
        let at = text.len() - text[at..].trim_start().len();
        text[at..].starts_with('"').then(|| literal(text, at))
    });
    keys.chain(sections).collect()
}

/// The last text of a call whose arguments begin at `start`.
fn last_text(text: &str, start: usize) -> Option<(usize, &str)> {
    let (mut at, mut depth, mut last) = (start, 1, None);
    while depth > 0 {
        let rest = &text[at..];
        let first = rest.chars().next()?;
        let length = skipped(rest, None);
        match first {
            '"' | 'r' if length > 0 => last = Some(literal(text, at)),
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
        at += length.max(first.len_utf8());
    }
    last
}

/// The text in the quotes that begin at `at`, with its place.
fn literal(text: &str, at: usize) -> (usize, &str) {
    let quoted = &text[at..at + skipped(&text[at..], None)];
    let inner = quoted
        .trim_start_matches(['r', '#'])
        .strip_prefix('"')
        .and_then(|text| text.trim_end_matches('#').strip_suffix('"'));
    (at, inner.unwrap_or(quoted))
}

#[test]
fn texts_of_the_reference_are_found() {
    let found = |code| -> Vec<_> {
        let texts = reference_texts(code).into_iter();
        texts.map(|(_, text)| text).collect()
    };
    for (code, expected) in [
        (
            r#"Key::size("body", "A \"size\".").default("1")"#,
            vec![r#"A \"size\"."#],
        ),
        (
            r#"Key::one_of("a", &["x", "y"], "A word, (so).")"#,
            vec!["A word, (so)."],
        ),
        ("Key::text(\n\"a\",\n\"Text.\",\n)", vec!["Text."]),
        (r##"Key::text("a", r#"A "text"."#)"##, vec![r#"A "text"."#]),
        (r#"title: "[a]", doc: "A section.""#, vec!["A section."]),
        (
            r#"SiteKey::of("a"); Key<T>; Key::of(Descriptor { a })"#,
            vec![],
        ),
    ] {
        assert_eq!(found(code), expected, "{code}");
    }
    for (text, refused) in [
        ("What it does.", Some("What")),
        ("Whether it does.", Some("Whether")),
        ("Whole answers.", None),
        ("", None),
    ] {
        assert_eq!(refused_opening(text), refused, "{text}");
    }
}

#[test]
fn no_name_is_bound_twice_in_a_row() {
    let mut offences = Offences::default();
    for source in sources("src") {
        for (at, name) in bound_twice(&source.code) {
            let line = source.code[..at].matches('\n').count() + 1;
            offences.add(
                &source,
                line,
                format!("`{name}` is bound twice in a row: chain, or name the second thing"),
            );
        }
    }
    offences.none();
}

#[test]
fn booleans_are_asked_by_if() {
    let mut offences = Offences::default();
    for source in sources("src") {
        for (number, line) in numbered(&source.code) {
            let line = line.trim_start();
            if line.starts_with("true =>") || line.starts_with("false =>") {
                offences.add(
                    &source,
                    number,
                    "a `match` on a boolean: write `if`".to_owned(),
                );
            }
        }
    }
    offences.none();
}

/// The places of `let` statements that are followed at once by a `let` of the same name, with the name.
fn bound_twice(code: &str) -> Vec<(usize, &str)> {
    let lets = code.match_indices("let ");
    let lets = lets.filter(|(at, _)| !code[..*at].ends_with(in_word));
    let named = lets.filter_map(|(at, _)| Some((at, name_of(&code[at..])?)));
    let twice = named.filter(|(at, name)| {
        let rest = &code[*at..];
        let end = end_of_statement(rest);
        end.is_some_and(|end| name_of(rest[end..].trim_start()) == Some(name))
    });
    twice.collect()
}

/// The name that a `let` statement binds, where it is one name.
fn name_of(statement: &str) -> Option<&str> {
    let rest = statement.strip_prefix("let ")?;
    let rest = rest.strip_prefix("mut ").unwrap_or(rest);
    let name = &rest[..rest.find(|c| !in_word(c))?];
    let after = rest[name.len()..].trim_start();
    let is_whole = after.starts_with('=') || after.starts_with(':');
    (is_whole && !name.is_empty() && name != "_").then_some(name)
}

/// The place behind the `;` that ends a statement.
fn end_of_statement(statement: &str) -> Option<usize> {
    let mut depth = 0_i32;
    for (at, c) in statement.char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth == 0 => return None,
            ')' | ']' | '}' => depth -= 1,
            ';' if depth == 0 => return Some(at + 1),
            _ => {}
        }
    }
    None
}

#[test]
fn bindings_are_found() {
    for (code, expected) in [
        ("let a = 1; let a = 2;", vec!["a"]),
        ("let mut a = f(1, |x| { x; y });\n let a: T = 2;", vec!["a"]),
        ("let a = 1; f(); let a = 2;", vec![]),
        ("let a = 1; let b = 2;", vec![]),
        ("{ let a = 1 } let a = 2;", vec![]),
        ("let Some(a) = b else { return };\n let a = 2;", vec![]),
    ] {
        let found: Vec<_> = bound_twice(code)
            .into_iter()
            .map(|(_, name)| name)
            .collect();
        assert_eq!(found, expected, "{code}");
    }
}

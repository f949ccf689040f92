//! Streams as PHP-FPM 8.2 and others write them, cut anywhere.

use proptest::prelude::*;

use super::*;

fn split<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Message> {
    let mut splitter = Splitter::default();
    let mut messages = Vec::new();
    for piece in pieces {
        splitter.push(piece, |message| messages.push(message));
    }
    splitter.finish(|message| messages.push(message));
    messages
}

#[track_caller]
fn check(stream: &str, expected: &[(Severity, &str)]) {
    let messages = split([stream.as_bytes()]);
    let texts: Vec<_> = messages
        .iter()
        .map(|message| {
            (
                message.severity,
                std::str::from_utf8(&message.text).unwrap(),
            )
        })
        .collect();
    assert_eq!(texts, expected, "{stream}");
}

use Severity::{Error, Info, Warning};

#[test]
fn messages_end_at_the_marker_and_at_line_ends() {
    check("", &[]);
    check("\n\r\n  \n", &[]);
    check("one", &[(Error, "one")]);
    check("one\r\ntwo\n", &[(Error, "one"), (Error, "two")]);
    check(
        "PHP message: one; PHP message: two; PHP message: three",
        &[(Error, "one"), (Error, "two"), (Error, "three")],
    );
    check(
        "PHP message: onePHP message: two\nPHP message: a;\n",
        &[(Error, "one"), (Error, "two"), (Error, "a;")],
    );
    check(
        "PHP message: two\nlines; PHP message: ; PHP message: PHPHP message: x",
        &[
            (Error, "two"),
            (Error, "lines"),
            (Error, "PH"),
            (Error, "x"),
        ],
    );
    check("PHP message:one", &[(Error, "PHP message:one")]);
}

#[test]
fn the_severity_is_guessed_from_phps_words() {
    let cases = [
        ("PHP Fatal error:  Uncaught Exception: x", Error),
        ("PHP Parse error:  syntax error", Error),
        ("PHP Recoverable fatal error:  x", Error),
        ("PHP Warning:  Undefined variable $x", Warning),
        ("PHP Warning: x", Warning),
        ("Warning: x", Warning),
        ("PHP Notice:  x", Info),
        ("PHP Deprecated:  x", Info),
        ("PHP Strict Standards:  x", Info),
        ("Primary script unknown", Error),
        ("anything else", Error),
        ("Warnings are off", Error),
    ];
    for (text, severity) in cases {
        check(text, &[(severity, text)]);
    }
}

#[test]
fn a_stack_trace_belongs_to_its_message() {
    let uncaught = "PHP Fatal error:  Uncaught Exception: prev in /a.php:7\nStack trace:\n#0 {main}\n\nNext Exception: multi\nline in /a.php:7\nStack trace:\n#0 /a.php(8): f('a\nb')\n#1 {main}\n  thrown in /a.php on line 7";
    let told = uncaught.replace("\n\n", "\n");
    let stream = format!("PHP message: before; PHP message: {uncaught}\nbehind");
    check(
        &stream,
        &[(Error, "before"), (Error, &told), (Error, "behind")],
    );
    // Cut off by PHP-FPM's log_limit: the marker ends it all the same.
    check(
        "PHP message: PHP Fatal error:  Uncaught Exception: a\nb...; PHP message: PHP Notice:  n",
        &[
            (Error, "PHP Fatal error:  Uncaught Exception: a\nb..."),
            (Info, "PHP Notice:  n"),
        ],
    );
    let logged = "Exception: inner in /a.php:5\nStack trace:\n#0 {main}\nNext RuntimeException: outer in /a.php:5\nStack trace:\n#0 {main}";
    check(
        &format!("PHP message: {logged}\nNext"),
        &[(Error, logged), (Error, "Next")],
    );
    check(
        "PHP message: PHP Warning:  w\nPHP message: PHP Stack trace:\nPHP message: PHP   1. {main}() /a.php:0\nPHP message: w",
        &[
            (
                Warning,
                "PHP Warning:  w\nPHP Stack trace:\nPHP   1. {main}() /a.php:0",
            ),
            (Error, "w"),
        ],
    );
    check(
        "PHP message: Array\n(\n    [a] => 1\n)\n",
        &[(Error, "Array"), (Error, "(\n    [a] => 1"), (Error, ")")],
    );
    check("#x\n#1\n", &[(Error, "#x\n#1")]);
    check("#1\n#x\n", &[(Error, "#1"), (Error, "#x")]);
}

#[test]
fn what_is_too_long_goes_on_in_another_of_the_same_severity() {
    let long = format!("PHP Notice:  {}", "x".repeat(3 * LONGEST));
    let frames = format!(
        "PHP Warning:  w\nStack trace:\n{}",
        "#0 f()\n".repeat(20_000)
    );
    for (stream, severity) in [(&long, Info), (&frames, Warning)] {
        let messages = split([stream.as_bytes()]);
        assert!(messages.len() > 2);
        for message in &messages {
            assert!(message.text.len() <= LONGEST);
            assert_eq!(message.severity, severity);
        }
        let lengths = messages.iter().map(|message| message.text.len());
        assert_eq!(
            lengths.sum::<usize>() + messages.len() - 1 - usize::from(stream == &long) * 3,
            stream.trim_end().len()
        );
    }
}

#[test]
fn only_what_follows_the_marker_is_phps() {
    let marked = |stream: &str| -> Vec<_> {
        let messages = split([stream.as_bytes()]);
        messages.iter().map(|message| message.marked).collect()
    };
    assert_eq!(marked("a; PHP message: b\nc"), [false, true, false]);
}

/// Streams in which markers, traces and line ends are likely.
fn streams() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::sample::select(vec![
        "PHP message: ",
        "PHP mess",
        "; ",
        "\n",
        "\r\n",
        "PHP Warning:  w",
        "PHP Fatal error:  Uncaught E",
        "  thrown in f",
        "Stack trace:",
        "#0 f()",
        "Next E",
        " ",
        "PHP",
        "x",
        "\u{fffd}\0",
    ]);
    prop::collection::vec(words, 0..40).prop_map(|words| words.concat().into_bytes())
}

proptest! {
    #[test]
    fn where_the_stream_is_cut_does_not_matter(stream in streams(), cuts in prop::collection::vec(0_usize..400, 0..8)) {
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(stream.len())).collect();
        cuts.sort_unstable();
        let mut pieces = Vec::new();
        let mut rest = stream.as_slice();
        let mut at = 0;
        for cut in cuts {
            let (piece, behind) = rest.split_at(cut - at);
            pieces.push(piece);
            (rest, at) = (behind, cut);
        }
        pieces.push(rest);
        prop_assert_eq!(split(pieces), split([stream.as_slice()]));
        prop_assert_eq!(split(stream.chunks(1)), split([stream.as_slice()]));
    }

    #[test]
    fn nothing_but_markers_and_blanks_is_lost(stream in prop::collection::vec(any::<u8>(), 0..600)) {
        let visible = |bytes: &[u8]| -> Vec<u8> {
            bytes.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect()
        };
        let messages = split([stream.as_slice()]);
        let texts: Vec<u8> = messages.iter().flat_map(|message| message.text.clone()).collect();
        prop_assert_eq!(visible(&texts), visible(&stream));
        prop_assert!(messages.iter().all(|message| !message.text.is_empty()));
    }
}

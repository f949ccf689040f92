//! Valid and invalid sections.

use std::time::Duration;

use proptest::prelude::*;
use toml::de::DeTable;

use super::sample::{
    BODY, COPY_KEY, COPY_MODE, COPY_TO, DENY_KEY, DRAIN, ENV, EXCEPT, FIELDS, FRONT_KEY, INDEX,
    KEEP, LIMITS_KEY, LOG, ROOT, ROOT_KEY, SCRIPT, SECURE, SERVER_KEY, SERVERS, SITE_KEY, STATUS,
    UPSTREAM_KEY, WORKERS,
};
use super::{Descriptor, Environment, FileId, Key, Kind, Lowered, Place, Problems, Section};
use crate::value::ByteSize;

fn lower_in(text: &str, environment: &Environment<'_>) -> (Lowered, Problems) {
    let table = DeTable::parse(text).unwrap();
    let mut problems = Problems::default();
    let place = Place {
        file: FileId(0),
        span: 0..0,
    };
    let lowered = ROOT.lower(table.get_ref(), place, environment, &mut problems);
    (lowered, problems)
}

/// Decodes a valid file of the sample; the variable SET is `5s`.
pub(super) fn lower(text: &str) -> Lowered {
    let (lowered, problems) = lower_in(text, &|name| (name == "SET").then(|| "5s".to_owned()));
    assert_eq!(problems.into_sorted(), []);
    lowered
}

/// Checks each problem as `marked text: message (help)`.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let (_, problems) = lower_in(text, &|_| None);
    let shown = problems.into_sorted().into_iter().map(|problem| {
        let help = problem
            .help
            .map(|help| format!(" ({help})"))
            .unwrap_or_default();
        format!("{}: {}{help}", &text[problem.place.span], problem.message)
    });
    assert_eq!(shown.collect::<Vec<_>>(), expected, "{text}");
}

#[test]
fn given_values_are_read() {
    let file = lower(
        r#"
        [server]
        workers = 0x10
        log = "warn"
        drain = "${SET}"
        limits = { body = "64KiB", fields = 7 }
        [upstream.php]
        servers = "unix:/run/php.sock"
        [upstream."a b"]
        [[site]]
        root = "/srv"
        secure = true
        env = { B = "2", A = "1" }
        deny = true
        [[site]]
        index = ["a", "b"]
        deny = { status = 404 }
        "#,
    );
    let server = file.get(&SERVER_KEY);
    assert_eq!(server.get(&WORKERS), 16);
    assert_eq!(server.get(&LOG).as_str(), "warn");
    assert_eq!(server.get(&DRAIN), Duration::from_secs(5));
    assert_eq!(server.get(&LIMITS_KEY).get(&BODY), ByteSize(65_536));
    assert_eq!(server.get(&LIMITS_KEY).get(&FIELDS), Some(7));
    let [(php, first), (spaced, second)] = file.get(&UPSTREAM_KEY) else {
        panic!("two upstreams")
    };
    assert_eq!((php.as_str(), spaced.as_str()), ("php", "a b"));
    assert_eq!(first.get(&SERVERS)[0].as_str(), "unix:/run/php.sock");
    assert!(second.get(&SERVERS).is_empty());
    let [first, second] = file.get(&SITE_KEY) else {
        panic!("two sites")
    };
    assert_eq!(first.get(&ROOT_KEY).unwrap().as_str(), "/srv");
    assert!(first.get(&SECURE) && !second.get(&SECURE));
    let pairs = first.get(&ENV);
    assert_eq!(
        pairs
            .iter()
            .map(|(name, value)| name.clone().value + value)
            .collect::<Vec<_>>(),
        ["B2", "A1"]
    );
    assert_eq!(first.given(&DENY_KEY).unwrap().get(&STATUS), 403);
    assert_eq!(second.given(&DENY_KEY).unwrap().get(&STATUS), 404);
    assert_eq!(second.get(&INDEX).len(), 2);
}

#[test]
fn absent_keys_have_their_defaults() {
    let file = lower("[[site]]\ndeny = false");
    assert!(file.given(&SERVER_KEY).is_none());
    assert!(file.get(&UPSTREAM_KEY).is_empty());
    let server = file.get(&SERVER_KEY);
    assert_eq!(server.get(&WORKERS), 0);
    assert_eq!(server.get(&LOG).as_str(), "info");
    assert_eq!(server.get(&DRAIN), Duration::from_secs(25));
    assert_eq!(server.get(&LIMITS_KEY).get(&BODY), ByteSize(32 << 20));
    assert_eq!(server.get(&LIMITS_KEY).get(&FIELDS), None);
    let [site] = file.get(&SITE_KEY) else {
        panic!("one site")
    };
    assert_eq!(site.get(&ROOT_KEY), None);
    assert!(site.given(&DENY_KEY).is_none() && !site.is_given(&DENY_KEY));
    assert_eq!(site.get(&DENY_KEY).get(&STATUS), 403);
    assert_eq!(site.get(&INDEX)[1].as_str(), "index.html");
    assert!(site.get(&ENV).is_empty());
}

#[test]
fn places_are_those_of_the_file() {
    let text = "[[site]]\nroot = \"/srv\"\nindex = [\"a\"]\nenv.A = \"1\"";
    let file = lower(text);
    let [site] = file.get(&SITE_KEY) else {
        panic!("one site")
    };
    let at = |place: Place| &text[place.span];
    assert_eq!(at(site.place()), "[[site]]");
    assert_eq!(at(site.place_of(&ROOT_KEY)), "\"/srv\"");
    assert_eq!(at(site.get(&ROOT_KEY).unwrap().place), "\"/srv\"");
    assert_eq!(at(site.get(&INDEX)[0].place.clone()), "\"a\"");
    assert_eq!(at(site.get(&ENV)[0].0.place.clone()), "A");
    assert_eq!(at(site.place_of(&SECURE)), "[[site]]");
    let given = site.given_keys();
    assert_eq!(
        given
            .iter()
            .map(|key| (key.value, at(key.place.clone())))
            .collect::<Vec<_>>(),
        [("root", "root"), ("index", "index"), ("env", "env"),]
    );
}

#[test]
fn unknown_keys_get_a_suggestion() {
    check(
        "[[site]]\nrot = 1",
        &["rot: unknown key `rot` (did you mean `root`?)"],
    );
    check(
        "Include = 1",
        &["Include: unknown key `Include` (did you mean `include`?)"],
    );
    check(
        "[server]\nworker = 1\nlgo = 2",
        &[
            "worker: unknown key `worker` (did you mean `workers`?)",
            "lgo: unknown key `lgo` (did you mean `log`?)",
        ],
    );
    check(
        "[server]\nx = 1",
        &["x: unknown key `x` (known keys of [server]: `workers`, `log`, `drain`, `limits`)"],
    );
    check(
        "[[site]]\nbrief = { of = 1 }",
        &["of: unknown key `of` (did you mean `on`?)"],
    );
    check(
        "[[site]]\nbrief = { x1y = 1 }",
        &["x1y: unknown key `x1y` (known keys of brief: `on`)"],
    );
}

#[test]
fn wrong_types_name_the_expected_one() {
    check("server = 3", &["3: expected a table, found an integer"]);
    check(
        "upstream = []",
        &["[]: expected a table of tables, each with its name, found a list"],
    );
    check(
        "upstream.php = 1",
        &["1: expected a table, found an integer"],
    );
    check(
        "[site]",
        &["[site]: expected a list of tables, found a table (write `[[site]]`)"],
    );
    check("site = [1]", &["1: expected a table, found an integer"]);
    check(
        "[server]\ndrain = 60",
        &[r#"60: expected a duration such as "60s", found an integer (write "60s")"#],
    );
    check(
        "[server]\nlog = 1.5",
        &[r#"1.5: expected "error", "warn" or "info", found a decimal number"#],
    );
    check(
        "[server]\nworkers = \"4\"",
        &["\"4\": expected an integer from 0 to 1024, found a text (write it without the quotes)"],
    );
    check(
        "[server.limits]\nbody = 1024",
        &[
            r#"1024: expected a size such as "64KiB", found an integer (write "1024B", or with another unit such as "64KiB")"#,
        ],
    );
    check(
        "[[site]]\nroot = 8\nindex = [\"a\", 1979-05-27]\nsecure = \"true\"\nenv = { A = 1.5 }\ndeny = []",
        &[
            r#"8: expected a text, found an integer (write "8")"#,
            "1979-05-27: expected a text, found a date or time",
            "\"true\": expected true or false, found a text (write it without the quotes)",
            "1.5: expected a text, found a decimal number",
            "[]: expected true, false or a table, found a list",
        ],
    );
}

#[test]
fn one_section_or_a_list_of_them_may_be_texts() {
    let copies = |text: &str| {
        let file = lower(&format!("[[site]]\n{text}"));
        let copies = file.get(&SITE_KEY)[0].get(&COPY_KEY).iter();
        let shown = copies.map(|copy| {
            let to = copy.get(&COPY_TO).unwrap();
            format!("{} {}", to.as_str(), copy.get(&COPY_MODE))
        });
        shown.collect::<Vec<_>>()
    };
    assert_eq!(copies("copy = \"/a\""), ["/a 640"]);
    assert_eq!(copies("copy = { to = \"/a\", mode = 7 }"), ["/a 7"]);
    assert_eq!(
        copies("copy = [\"/a\", { to = \"/b\", mode = 7 }]"),
        ["/a 640", "/b 7"]
    );
    assert!(copies("").is_empty());
    check(
        "[[site]]\ncopy = 7",
        &["7: expected a text, a table, or a list of them, found an integer (write \"7\")"],
    );
    check(
        "[[site]]\ncopy = [7, { mode = -1 }]",
        &[
            "7: expected a text or a table, found an integer (write \"7\")",
            "-1: expected an integer from 0 to 777, found -1",
        ],
    );
}

#[test]
fn wrong_values_name_the_right_ones() {
    check(
        "[server]\nworkers = -1",
        &["-1: expected an integer from 0 to 1024, found -1"],
    );
    check(
        "[server]\nworkers = 99999999999999999999",
        &["99999999999999999999: expected an integer from 0 to 1024, found 99999999999999999999"],
    );
    check(
        "[server.limits]\nfields = 0",
        &["0: expected an integer of at least 1, found 0"],
    );
    check(
        "[server]\nlog = \"inof\"",
        &[r#""inof": expected "error", "warn" or "info", found "inof" (did you mean "info"?)"#],
    );
    check(
        "[server]\ndrain = \"60\"",
        &[
            r#""60": `60` is not a duration: write a number and a unit, such as "20ms", "60s", "5m" or "1h""#,
        ],
    );
}

#[test]
fn unset_variables_are_named() {
    let help = |name| {
        format!("set it, write `${{{name}:-default}}`, or `$${{{name}}}` for the text itself")
    };
    let a = format!(
        "\"${{A}}${{B}}\": the environment variable A is not set ({})",
        help("A")
    );
    let b = format!(
        "\"${{A}}${{B}}\": the environment variable B is not set ({})",
        help("B")
    );
    check(
        "[[site]]\nroot = \"${A}${B}\"\nindex = [\"${C:-c}\"]",
        &[&a, &b],
    );
}

#[test]
fn sections_are_the_same_when_they_mean_the_same() {
    let first = |text: &str| lower(text).get(&UPSTREAM_KEY)[0].1.clone();
    let plain = first("[upstream.a]\nservers = [\"x\"]");
    assert!(plain.same_as(&first(
        "# moved\n[upstream.b]\nkeep = \"20ms\"\nservers = \"x\""
    )));
    assert!(!plain.same_as(&first("[upstream.a]\nservers = [\"y\"]")));
    assert!(!plain.same_as(&first("[upstream.a]\nservers = [\"x\"]\nkeep = \"1s\"")));
    let timed = first("[upstream.a]\ntimeouts = { connect = \"2s\" }");
    assert!(timed.same_as(&first(
        "[upstream.a]\n[upstream.a.timeouts]\nconnect = \"2000ms\""
    )));
    assert!(!timed.same_as(&first("[upstream.a]\ntimeouts = {}")));
    assert!(!plain.same_as(&lower("")));
}

#[test]
#[should_panic(expected = "`body` is no key of [server]")]
fn a_key_of_another_section_is_found_in_debug_builds() {
    lower("").get(&SERVER_KEY).get(&BODY);
}

/// Types match the constructors of the keys.
#[test]
fn every_type_is_read() {
    let file = lower(
        "[server]\nlimits = { body = \"1B\", fields = 9 }\n[[site]]\nfront = \"a.php\"\n[upstream.php]",
    );
    let limits = file.get(&SERVER_KEY).get(&LIMITS_KEY).into_owned();
    assert_eq!(limits.given(&BODY), Some(ByteSize(1)));
    assert_eq!(limits.given(&FIELDS), Some(9));
    let [site] = file.given(&SITE_KEY).unwrap() else {
        panic!("one site")
    };
    let front = site.given(&FRONT_KEY).unwrap();
    assert_eq!(front.given(&SCRIPT).unwrap().as_str(), "a.php");
    assert!(front.given(&EXCEPT).is_none() && front.get(&EXCEPT).is_empty());
    assert!(site.given(&SECURE).is_none() && !site.get(&SECURE));
    let [(name, upstream)] = file.given(&UPSTREAM_KEY).unwrap() else {
        panic!("one upstream")
    };
    assert_eq!(name.as_str(), "php");
    assert_eq!(upstream.get(&KEEP), Duration::from_millis(20));
    assert!(upstream.given(&KEEP).is_none());
}

fn descriptor(kind: Kind, default: Option<&'static str>) -> Descriptor {
    Descriptor {
        name: "k",
        kind,
        default,
        doc: "",
        example: None,
        shown: false,
    }
}

#[test]
fn a_default_without_the_parser_equals_the_parsed_one() {
    let number = Kind::Integer { min: 0, max: 9 };
    let samples = [
        (Kind::Text, "\"a b\"", true),
        (Kind::Text, r#""a\"b""#, false),
        (Kind::Text, "\"${A:-b}\"", false),
        (Kind::OneOf(&["a", "b"]), "\"b\"", true),
        (Kind::Flag, "true", true),
        (Kind::Flag, "false", true),
        (number, "7", true),
        (Kind::Size, "\"64KiB\"", true),
        (Kind::Duration, "\"90s\"", true),
        (Kind::Percent, "\"20 %\"", true),
        (Kind::Texts, "[\"a\"]", false),
    ];
    for (kind, literal, is_plain) in samples {
        let mut problems = Problems::default();
        let key = descriptor(kind, None);
        let read = key.literal(literal, &Place::default(), &mut problems);
        assert!(read.is_some() && problems.is_empty(), "{literal}");
        let plain = super::lowered::plain(kind, literal);
        assert_eq!(plain, read.filter(|_| is_plain), "{literal}");
    }
}

#[test]
fn literals_of_a_descriptor_are_read_like_values() {
    let mut problems = Problems::default();
    for literal in ["8 8", "\"8\"", "\"9s\""] {
        let key = descriptor(Kind::Duration, Some(literal));
        let _ = key.literal(literal, &Place::default(), &mut problems);
    }
    assert_eq!(problems.into_sorted().len(), 2);
}

/// Generates texts that are mostly TOML with the words of the sample.
fn toml_like() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "server",
        "site",
        "upstream",
        "php",
        "limits",
        "workers",
        "log",
        "drain",
        "body",
        "deny",
        "env",
        "index",
        "[",
        "]",
        "[[",
        "]]",
        "{",
        "}",
        "=",
        " = ",
        ".",
        ",",
        "\n",
        "\n",
        "\"",
        "'",
        "\"${A}\"",
        "\"60s\"",
        "60",
        "true",
        "false",
        "1.5",
        "1979-05-27",
        "#",
        "é",
        "\"\"\"",
        "\t",
        "\r\n",
        "\\u00e9",
    ]);
    prop_oneof![
        prop::collection::vec(word, 0..30).prop_map(|words| words.concat()),
        any::<String>(),
    ]
}

proptest! {
    #[test]
    fn no_text_makes_lower_panic(text in toml_like()) {
        let (table, _) = DeTable::parse_recoverable(&text);
        let mut problems = Problems::default();
        let lowered = ROOT.lower(table.get_ref(), Place::default(), &|_| None, &mut problems);
        prop_assert!(lowered.same_as(&lowered.clone()));
        let is_wrong = !problems.is_empty();
        let told = problems.into_sorted();
        prop_assert_eq!(is_wrong, !told.is_empty());
        for problem in told {
            prop_assert!(text.get(problem.place.span).is_some());
        }
    }
}

/// Descriptions are constants: this must compile.
const _: Section = Section {
    title: "",
    doc: "",
    groups: &[&[&FLAG]],
};

static FLAG: Key<bool> = Key::flag("a", "").example("true");

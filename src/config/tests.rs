//! Properties of every key of a configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;

use regex::Regex;
use toml::de::{DeTable, DeValue};

use super::{ROOT, load};
use crate::section::{Descriptor, Kind, Section};

/// Visits every section with its keys, each once: conditions nest recursively.
fn each(
    section: &'static Section,
    seen: &mut Vec<&'static Section>,
    visit: &mut impl FnMut(&'static Descriptor),
) {
    if seen.iter().any(|known| std::ptr::eq(*known, section)) {
        return;
    }
    seen.push(section);
    for key in section.keys() {
        visit(key);
        if let Some(nested) = key.kind.section() {
            each(nested, seen, visit);
        }
    }
}

fn keys() -> Vec<&'static Descriptor> {
    let mut keys = Vec::new();
    each(&ROOT, &mut Vec::new(), &mut |key| keys.push(key));
    keys
}

/// A section is made of groups, which know nothing of each other.
#[test]
fn no_section_has_two_keys_of_a_name() {
    let mut sections = Vec::new();
    each(&ROOT, &mut sections, &mut |_| {});
    assert!(sections.len() > 30, "{}", sections.len());
    for section in sections {
        let names: Vec<_> = section.keys().map(|key| key.name).collect();
        let different: BTreeSet<_> = names.iter().collect();
        assert_eq!(different.len(), names.len(), "{}: {names:?}", section.title);
    }
}

/// Returns the quoted texts of a doc that begin with a digit: values.
fn quoted_values(doc: &str) -> Vec<String> {
    let quoted = Regex::new("\"[0-9][^\" ]*\"").unwrap();
    let found = quoted.find_iter(doc);
    found.map(|found| found.as_str().to_owned()).collect()
}

#[test]
fn values_in_the_tables_are_valid() {
    let mut checked = 0;
    for key in keys() {
        let shown = key.default.into_iter().chain(key.example);
        let mut values: Vec<_> = shown.map(str::to_owned).collect();
        if matches!(key.kind, Kind::Size | Kind::Duration) {
            values.extend(quoted_values(key.doc));
        }
        for value in values {
            assert_eq!(
                key.faults(&value),
                Vec::<String>::new(),
                "{} = {value}",
                key.name
            );
            checked += 1;
        }
    }
    assert!(checked > 150, "{checked}");
}

/// Every `key = value` in the docs, and in docs of keys, is valid.
#[test]
fn values_in_the_docs_are_valid() {
    let mut by_name: BTreeMap<&str, Vec<&Descriptor>> = BTreeMap::new();
    for key in keys() {
        by_name.entry(key.name).or_default().push(key);
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path());
    let pages = files.filter(|file| file.extension().is_some_and(|name| name == "md"));
    let mut texts: Vec<_> = pages
        .map(|page| std::fs::read_to_string(page).unwrap())
        .collect();
    texts.extend(keys().iter().map(|key| key.doc.to_owned()));
    let written = Regex::new("`(?:[a-z_]+\\.)*([a-z_]+) = ([^`]+)`").unwrap();
    let literal =
        Regex::new(r#"^("[^"]*"|'[^']*'|\d+|true|false|\[[^{]*\]|\{[^{]*=[^{]*\})$"#).unwrap();
    let mut checked = 0;
    for text in &texts {
        for found in written.captures_iter(text) {
            let Some(known) = by_name.get(&found[1]) else {
                continue;
            };
            // An elided value cannot be parsed.
            if found[2].contains('…') || !literal.is_match(&found[2]) {
                continue;
            }
            let one_reads = known.iter().any(|key| key.faults(&found[2]).is_empty());
            assert!(one_reads, "{}", &found[0]);
            checked += 1;
        }
    }
    assert!(checked > 20, "{checked}");
}

mod paths;

const SAMPLE: &str = include_str!("tests/sample.toml");

/// Creates a folder with the files that the sample names, and returns it with the sample.
fn sample() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    for (name, text) in [
        ("a.pem", certificate.pem()),
        ("a.key", key.serialize_pem()),
        ("a.html", "gone".to_owned()),
        ("types", "text/b b\n".to_owned()),
        ("users", "a:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n".to_owned()),
        ("groups", "staff: a\n".to_owned()),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let text = SAMPLE
        .replace("DIR", folder.path().to_str().unwrap())
        .replace("OWN_USER", &nix::unistd::geteuid().to_string())
        .replace("OWN_GROUP", &nix::unistd::getegid().to_string());
    (folder, text)
}

/// Returns the messages of all problems of a text.
fn messages(folder: &Path, text: &str) -> Vec<String> {
    let file = folder.join("fcgate.toml");
    std::fs::write(&file, text).unwrap();
    let invalid = load(&file, None).err().map(|invalid| invalid.to_string());
    let rendered = invalid.unwrap_or_default();
    let lines = rendered
        .lines()
        .filter_map(|line| line.strip_prefix("error: "));
    lines.map(str::to_owned).collect()
}

/// Places of values and key names in the sample.
#[derive(Default)]
struct Places {
    values: Vec<Range<usize>>,
    names: Vec<Range<usize>>,
    known: BTreeSet<String>,
    /// Sizes, durations and integers.
    amounts: Vec<(Range<usize>, Kind)>,
}

impl Places {
    fn section(&mut self, text: &str, section: &'static Section, table: &DeTable<'_>) {
        for (name, value) in table {
            let known = section
                .keys()
                .find(|key| key.name == name.get_ref().as_ref());
            let key = known.unwrap_or_else(|| panic!("{name:?}"));
            self.known.insert(format!("{} {}", section.title, key.name));
            let is_inline = text[..value.span().start]
                .trim_end()
                .ends_with(['=', ',', '[']);
            let has_header = text[value.span()].starts_with('[') && !is_inline;
            if is_inline && !has_header {
                self.values.push(value.span());
                self.names.push(name.span());
            }
            if matches!(
                key.kind,
                Kind::Size | Kind::Duration | Kind::Percent | Kind::Integer { .. }
            ) {
                self.amounts.push((value.span(), key.kind));
            }
            self.value(text, key.kind, value.get_ref());
        }
    }

    fn value(&mut self, text: &str, kind: Kind, value: &DeValue<'_>) {
        match (kind, value) {
            (Kind::Named(nested), DeValue::Table(named)) => {
                for (_, value) in named {
                    self.value(text, Kind::Table(nested), value.get_ref());
                }
            }
            (Kind::Pairs, DeValue::Table(pairs)) => {
                self.values
                    .extend(pairs.iter().map(|(_, value)| value.span()));
            }
            (kind, DeValue::Table(table)) => {
                self.section(text, kind.section().unwrap(), table);
            }
            (Kind::Texts, DeValue::Array(items)) => {
                self.values.extend(items.iter().map(toml::Spanned::span));
            }
            (kind, DeValue::Array(items)) => {
                for item in items {
                    self.value(text, kind, item.get_ref());
                }
            }
            _ => {}
        }
    }
}

fn places(text: &str) -> Places {
    let mut places = Places::default();
    let table = DeTable::parse(text).unwrap();
    places.section(text, &ROOT, table.get_ref());
    places
}

#[test]
fn the_sample_is_valid_and_has_every_key() {
    let (folder, text) = sample();
    assert_eq!(messages(folder.path(), &text), Vec::<String>::new());
    let known = places(&text).known;
    let names: BTreeSet<_> = known
        .iter()
        .filter_map(|key| key.rsplit(' ').next())
        .collect();
    for key in keys() {
        assert!(
            names.contains(key.name),
            "{} is not in the sample",
            key.name
        );
    }
}

/// Consequences of an absent value are not reported: the value is present, and wrong.
#[test]
fn a_value_of_the_wrong_type_is_the_only_problem() {
    let (folder, text) = sample();
    let values = places(&text).values;
    assert!(values.len() > 150, "{}", values.len());
    let mut cascades = Vec::new();
    for span in values {
        // A date is valid for no key.
        let wrong = format!("{}1979-05-27{}", &text[..span.start], &text[span.end..]);
        let told = messages(folder.path(), &wrong);
        if told.len() != 1 {
            cascades.push(format!("{}: {told:#?}", shown(&text, &span)));
        }
    }
    assert!(cascades.is_empty(), "{}", cascades.join("\n"));
}

#[test]
fn a_misspelt_name_is_the_only_problem() {
    let (folder, text) = sample();
    let mut cascades = Vec::new();
    for span in places(&text).names {
        let wrong = format!("{}x{}", &text[..span.end], &text[span.end..]);
        let told = messages(folder.path(), &wrong);
        if told.len() != 1 {
            cascades.push(format!("{}: {told:#?}", shown(&text, &span)));
        }
    }
    assert!(cascades.is_empty(), "{}", cascades.join("\n"));
}

fn shown(text: &str, span: &Range<usize>) -> String {
    let line = text[..span.start].matches('\n').count() + 1;
    format!("line {line}, `{}`", &text[span.clone()])
}

/// Likewise for values of the right type without a meaning.
#[test]
fn a_value_without_meaning_is_the_only_problem() {
    for (config, message) in [
        (
            "[upstream.php]\nservers = [\"nonsense\"]\n[[site]]\nroot = \"/tmp\"\nphp = \"php\"\n[[site.rule]]\nfastcgi = { upstream = \"php\" }",
            "nonsense",
        ),
        (
            "[[site]]\nroot = \"tmp\"\nphp = \"127.0.0.1:1\"\npreset = \"slim\"\n[[site.rule]]\npath = \"/a\"\nstatic_files = {}\n[[site.rule]]\nexists = { file = \"$root$path\" }\nfastcgi = {}",
            "`tmp` is not an absolute path",
        ),
        (
            "[[site]]\nroot = \"/tmp\"\nphp = \"nobody\"\npreset = \"slim\"\n[[site.rule]]\npath = \"/a\"\nfastcgi = {}",
            "unknown upstream `nobody`",
        ),
        (
            "[[site]]\nhosts = \"a b\"\nroot = \"/tmp\"\n[[site]]\nroot = \"/tmp\"",
            "a b",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let told = messages(folder.path(), config);
        assert_eq!(told.len(), 1, "{config}: {told:#?}");
        assert!(told[0].contains(message), "{told:?}");
    }
}

#[test]
fn reserves_leave_a_part_for_all() {
    let site = |host: &str, reserve: &str, rules: &str| {
        format!(
            "[[site]]\nhosts = \"{host}\"\nroot = \"/tmp\"\nphp = \"php\"\n{reserve}\n{rules}\n"
        )
    };
    let upstream = "[upstream.php]\nservers = \"unix:/run/php.sock\"\n";
    let rule = |path: &str, percent: &str| {
        format!("[[site.rule]]\npath = \"{path}\"\nreserve = \"{percent}\"\n")
    };
    let two = [rule("/a", "40 %"), rule("/b", "30%")].concat();
    let others = site("b", "reserve = \"10 %\"", "");
    let too_much =
        "the reserves of the upstream `php` add up to 81 %, more than the maximum of 80 %";
    for (sites, expected) in [
        (site("a", "", &two) + &others, vec![]),
        (
            site("a", "reserve = \"1 %\"", &two) + &others,
            vec![too_much],
        ),
        (site("a", "reserve = \"81 %\"", ""), vec![too_much]),
        // Another upstream has its own 80 %.
        (
            site("a", "", &two)
                + &others
                + &others
                    .replace("\"b\"", "\"c\"")
                    .replace("\"php\"", "\"unix:/run/b.sock\""),
            vec![],
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("{upstream}{sites}");
        assert_eq!(messages(folder.path(), &text), expected, "{text}");
    }
    for value in [
        "20",
        "\"20\"",
        "\"0 %\"",
        "\"101 %\"",
        "\"20.5 %\"",
        "\"+5 %\"",
        "\"%\"",
        "\"-1 %\"",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let text = upstream.to_owned() + &site("a", &format!("reserve = {value}"), "");
        let told = messages(folder.path(), &text);
        assert_eq!(told.len(), 1, "{value}: {told:?}");
        assert!(told[0].contains("20 %"), "{value}: {told:?}");
    }
}
/// Returns values at the bounds of a kind, and whether each is valid.
fn extremes(kind: Kind) -> Vec<(String, bool)> {
    let quoted = |(text, is_one): (&str, bool)| (format!("\"{text}\""), is_one);
    match kind {
        Kind::Size => [
            ("0", true),
            ("1B", true),
            ("1048576TiB", true),
            ("1048577TiB", false),
            ("18446744073709551616B", false),
        ]
        .map(quoted)
        .into(),
        Kind::Duration => [
            ("0", true),
            ("1us", true),
            ("36500d", true),
            ("3000000d", false),
            ("213503982334601d", false),
            ("18446744073709551616us", false),
        ]
        .map(quoted)
        .into(),
        Kind::Percent => [
            ("1 %", true),
            ("100 %", true),
            ("0 %", false),
            ("101 %", false),
            ("256 %", false),
        ]
        .map(quoted)
        .into(),
        Kind::Integer { min, max } => [
            (Some(min), true),
            (Some(max), true),
            (min.checked_sub(1), false),
            (max.checked_add(1), false),
        ]
        .into_iter()
        .filter_map(|(number, is_one)| Some((number?.to_string(), is_one)))
        .collect(),
        Kind::Text | Kind::Texts | Kind::Flag | Kind::OneOf(_) | Kind::Pairs => Vec::new(),
        Kind::Table(_) | Kind::Tables(_) | Kind::Named(_) => Vec::new(),
        Kind::FlagOr(_) | Kind::TextOr(_) | Kind::OneOrMore(_) => Vec::new(),
    }
}

/// For any value of a key, the configuration is accepted or refused with a place.
#[test]
fn no_extreme_of_any_key_is_too_much() {
    let (folder, text) = sample();
    let amounts = places(&text).amounts;
    assert!(amounts.len() > 50, "{}", amounts.len());
    let mut checked = 0;
    for (span, kind) in amounts {
        for (value, is_one) in extremes(kind) {
            let mut changed = text.clone();
            changed.replace_range(span.clone(), &value);
            let errors = messages(folder.path(), &changed);
            let line = text[..span.start].lines().last().unwrap_or_default();
            assert!(is_one || !errors.is_empty(), "{line}{value}");
            checked += 1;
        }
    }
    assert!(checked > 250, "{checked}");
}

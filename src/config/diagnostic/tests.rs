//! Rendered problems.

use proptest::prelude::*;

use super::{render, render_coloured};
use crate::config::source::{Source, Sources, parse};
use crate::section::sample::ROOT;
use crate::section::{Place, Problem, Problems};

fn read(text: &str) -> (Vec<Problem>, Sources) {
    let mut problems = Problems::default();
    let source = Source {
        path: "fcgate.toml".into(),
        text: text.to_owned(),
    };
    let (sources, _) = parse(source, &ROOT, &|_| None, &mut problems);
    (problems.into_sorted(), sources)
}

#[track_caller]
fn check(text: &str, expected: &str) {
    let (problems, sources) = read(text);
    assert_eq!(render(&problems, &sources), expected, "{text}");
}

#[test]
fn nothing_wrong_is_nothing_said() {
    check("[[site]]\nroot = \"/srv\"\n", "");
}

#[test]
fn every_problem_is_shown_at_its_place() {
    check(
        "[[site]]\n\nrot = \"/srv\"\n\n[server]\n  drain = 60\n",
        "\
error: unknown key `rot`
 --> fcgate.toml:3:1
  |
3 | rot = \"/srv\"
  | ^^^
  |
  = help: did you mean `root`?

error: expected a duration such as \"60s\", found an integer
 --> fcgate.toml:6:11
  |
6 |   drain = 60
  |           ^^
  |
  = help: write \"60s\"
",
    );
}

#[test]
fn a_syntax_error_is_shown_once_a_line_and_the_lines_before_are_judged() {
    check(
        "[[site]]\nrot = 1\nindex = = [\n[server\nworkers = \"x\"\n",
        "\
error: unknown key `rot`
 --> fcgate.toml:2:1
  |
2 | rot = 1
  | ^^^
  |
  = help: did you mean `root`?

error: extra `=`, expected nothing
 --> fcgate.toml:3:9
  |
3 | index = = [
  |         ^

error: unclosed table, expected `]`
 --> fcgate.toml:4:8
  |
4 | [server
  |        ^
",
    );
}

#[test]
fn a_place_of_several_lines_is_marked_on_its_first() {
    check(
        "upstream = [\n  1,\n]\n",
        "\
error: expected a table of tables, each with its name, found a list
 --> fcgate.toml:1:12
  |
1 | upstream = [
  |            ^
",
    );
}

#[test]
fn columns_count_characters() {
    check(
        "[[site]]\nenv = { \"é\" = \"ß\", f = [] }\n",
        "\
error: expected a text, found a list
 --> fcgate.toml:2:24
  |
2 | env = { \"é\" = \"ß\", f = [] }
  |                        ^^
",
    );
}

#[test]
fn a_label_is_under_the_place() {
    let (_, sources) = read("[[site]]\nroot = \"/srv\"");
    let place = Place {
        span: 16..22,
        ..Place::default()
    };
    let problem = Problem::new(place, "no such directory").label("not there");
    assert_eq!(
        render(&[problem], &sources),
        "\
error: no such directory
 --> fcgate.toml:2:8
  |
2 | root = \"/srv\"
  |        ^^^^^^ not there
"
    );
}

#[test]
fn a_place_in_no_file_is_left_out() {
    let problem = Problem::new(Place::default(), "cannot read `x`");
    assert_eq!(
        render(&[problem], &Sources::default()),
        "error: cannot read `x`\n"
    );
}

#[test]
fn the_hundred_and_first_is_counted_only() {
    let (_, sources) = read("a");
    let problems = vec![Problem::new(Place::default(), "wrong"); 103];
    let text = render(&problems, &sources);
    assert_eq!(text.matches("error: wrong").count(), 100);
    assert!(text.ends_with("\n\nand 3 more\n"));
}

#[test]
fn colours_are_asked_for() {
    let (problems, sources) = read("a = 1");
    assert!(!render(&problems, &sources).contains('\x1b'));
    assert!(render_coloured(&problems, &sources).contains('\x1b'));
}

proptest! {
    #[test]
    fn any_file_and_any_place_can_be_shown(text in any::<String>(), start in 0..40usize, end in 0..40usize) {
        let (mut problems, sources) = read(&text);
        problems.push(Problem::new(Place { span: start..end, ..Place::default() }, "x").label("y"));
        prop_assert!(render(&problems, &sources).starts_with("error: "));
    }
}

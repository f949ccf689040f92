//! The variables and the settings of PHP that a rule names, and what no rule may say with them.

use std::sync::Arc;

use super::keys::{SET_ENV, UNSET_ENV};
use super::template;
use crate::fastcgi::params::pair_length;
use crate::fastcgi::record::MAX_CONTENT;
use crate::route::template::{Groups, Template};
use crate::section::{At, Key, Lowered, Pairs, Place, Problem, Problems};

/// Reads `set_env` and `unset_env`, in the order in which they are applied.
pub(super) fn environment(
    section: &Lowered,
    groups: &Groups,
    problems: &mut Problems,
) -> Vec<(Arc<str>, Option<Template>)> {
    let mut environment = Vec::new();
    for (name, value) in section.get(&SET_ENV) {
        check_assignment(&name, &value, problems);
        if let (Some(name), Some(template)) = (
            variable(&name, problems),
            template(&value, groups, problems),
        ) {
            check_length(&name, template.literal_length(), &value.place, problems);
            environment.push((name, Some(template)));
        }
    }
    let unset = section.get(&UNSET_ENV).into_iter();
    environment.extend(unset.filter_map(|name| Some((variable(&name, problems)?, None))));
    environment
}

/// What decides how PHP runs is not for a client to say.
fn check_assignment(name: &At<String>, value: &At<String>, problems: &mut Problems) {
    let settings = matches!(name.value.as_str(), "PHP_VALUE" | "PHP_ADMIN_VALUE");
    if settings && value.value.contains('$') {
        let message = format!("a client could set {} by this", name.value);
        problems.push(
            Problem::new(value.place.clone(), message)
                .help("write `php_value` or `php_admin_value`, whose values are fixed"),
        );
    }
    let sent = ["${header:", "${cookie:", "$query", "${query"];
    if name.value == "SCRIPT_FILENAME" && sent.iter().any(|text| value.value.contains(text)) {
        let problem = Problem::new(
            value.place.clone(),
            "a client could choose by this what PHP runs",
        );
        problems.push(problem.help("take it from the path: `$1` of the rule's `match`, `$rest`"));
    }
}

/// PHP reads no variable that is longer than a record; what is added by a request is looked at when it comes.
pub(super) fn check_length(name: &str, value: usize, place: &Place, problems: &mut Problems) {
    let length = pair_length(name.len(), value);
    if length > MAX_CONTENT {
        let message = format!(
            "{name} would take {length} bytes with its name, and PHP reads at most {MAX_CONTENT}"
        );
        let problem = Problem::new(place.clone(), message);
        problems.push(problem.help("name a file that PHP reads, in place of its content"));
    }
}

/// Any text without `=` and control characters is a name to PHP; ours are those that can be typed.
fn variable(name: &At<String>, problems: &mut Problems) -> Option<Arc<str>> {
    let typed = |byte: u8| byte.is_ascii_graphic() && byte != b'=';
    if !name.value.is_empty() && name.value.bytes().all(typed) {
        return Some(name.value.as_str().into());
    }
    let message = format!("`{}` is no name of a variable", name.value.escape_debug());
    problems.push(Problem::new(name.place.clone(), message));
    None
}

/// PHP reads the lines as those of php.ini.
pub(super) fn php_values(
    (key, section): (&Key<Pairs>, &Lowered),
    problems: &mut Problems,
) -> Option<Arc<str>> {
    let mut lines = Vec::new();
    for (name, value) in section.get(key) {
        let in_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
        let bad = |c: char| matches!(c, '"' | '\\' | '$') || c.is_control();
        if name.value.is_empty() || !name.value.bytes().all(in_name) {
            let message = format!("`{}` is no setting of PHP", name.value.escape_debug());
            problems.push(Problem::new(name.place.clone(), message));
        } else if value.value.contains(bad) {
            problems.push(
                Problem::new(
                    value.place.clone(),
                    format!("PHP cannot be sent `{}`", value.value.escape_debug()),
                )
                .help("a value has no quote, backslash, $ or control character: php.ini would read it otherwise"),
            );
        } else {
            let plain = value.value.bytes().all(|byte| byte.is_ascii_alphanumeric());
            let quote = if plain { "" } else { "\"" };
            lines.push(format!("{}={quote}{}{quote}", name.value, value.value));
        }
    }
    let lines = lines.join("\n");
    check_length(
        &key.name().to_ascii_uppercase(),
        lines.len(),
        &section.place_of(key),
        problems,
    );
    (!lines.is_empty()).then(|| lines.into())
}

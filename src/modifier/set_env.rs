//! `set_env` and `unset_env`: meta-variables that are added and removed.

use std::sync::Arc;

use super::checks::{check_length, template};
use super::modify::{Inputs, Interruption, Modify, Parts};
use crate::message::edits::{Assignment, RuleEdits};
use crate::route::Scope;
use crate::route::template::Template;
use crate::section::{At, Key, Lowered, Pairs, Problem, Problems};

/// The key for added variables.
pub(crate) static SET_ENV: Key<Pairs> = Key::pairs("set_env", "Variables for PHP, set after all others and in the order of the rules, regardless of their previous values: templates; an empty value is passed too. Clients cannot set them. With its name a value has at most 65535 bytes, the maximum that PHP reads.").example("{ APP_ENV = \"production\", TENANT = \"$1\" }");

/// The key for removed variables.
pub(super) static UNSET_ENV: Key<Vec<At<String>>> =
    Key::texts("unset_env", "Variables withheld from PHP.").example("[\"REMOTE_PORT\"]");

/// Assignments in the order in which they are made; without a template the variable is removed.
#[derive(Debug)]
pub(super) struct SetEnv(Vec<(Arc<str>, Option<Template>)>);

impl SetEnv {
    /// Builds the assignments from the section of a rule; `None` if there is none.
    pub(super) fn build(section: &Lowered, parts: &mut Parts<'_>) -> Option<Self> {
        let (groups, problems) = (parts.groups, &mut *parts.problems);
        let mut assignments = Vec::new();
        for (name, value) in section.get(&SET_ENV) {
            check_assignment(&name, &value, problems);
            if let (Some(name), Some(template)) = (
                variable(&name, problems),
                template(&value, groups, problems),
            ) {
                check_length(&name, template.literal_length(), &value.place, problems);
                assignments.push((name, Some(template)));
            }
        }
        let unset = section.get(&UNSET_ENV).into_iter();
        assignments.extend(unset.filter_map(|name| Some((variable(&name, problems)?, None))));
        (!assignments.is_empty()).then_some(Self(assignments))
    }
}

impl Modify for SetEnv {
    /// Adds the assignments, with every template expanded.
    fn apply(
        &self,
        scope: &Scope<'_>,
        _: &mut Inputs<'_>,
        edits: &mut RuleEdits,
    ) -> Result<(), Interruption> {
        let assignments = self.0.iter().map(|(name, template)| Assignment {
            name: Arc::clone(name),
            value: template.as_ref().map(|template| template.expand(scope)),
        });
        edits.environment.extend(assignments);
        Ok(())
    }
}

/// Refuses assignments by which a client could control PHP.
fn check_assignment(name: &At<String>, value: &At<String>, problems: &mut Problems) {
    let settings = matches!(name.value.as_str(), "PHP_VALUE" | "PHP_ADMIN_VALUE");
    if settings && value.value.contains('$') {
        let message = format!("a client could set {} by this value", name.value);
        problems.push(
            Problem::new(value.place.clone(), message)
                .help("write `php_value` or `php_admin_value`, whose values are fixed"),
        );
    }
    let sent = ["${header:", "${cookie:", "$query", "${query"];
    if name.value == "SCRIPT_FILENAME" && sent.iter().any(|text| value.value.contains(text)) {
        let problem = Problem::new(
            value.place.clone(),
            "a client could choose the script by this value",
        );
        problems.push(problem.help("take it from the path: `$1` of the rule's `match`, `$rest`"));
    }
}

/// Parses the name of a variable. PHP accepts any text without `=` and control characters; the configuration, printable
/// ASCII.
fn variable(name: &At<String>, problems: &mut Problems) -> Option<Arc<str>> {
    let typed = |byte: u8| byte.is_ascii_graphic() && byte != b'=';
    if !name.value.is_empty() && name.value.bytes().all(typed) {
        return Some(name.value.as_str().into());
    }
    let message = format!(
        "`{}` is not the name of a variable",
        name.value.escape_debug()
    );
    problems.push(Problem::new(name.place.clone(), message));
    None
}

//! `php_value` and `php_admin_value`: PHP settings.

use std::sync::Arc;

use super::checks::check_length;
use super::modify::{Inputs, Interruption, Modify, Parts};
use crate::message::edits::RuleEdits;
use crate::route::Scope;
use crate::section::{Key, Lowered, Pairs, Problem, Problems};

/// The key for PHP settings.
pub(crate) static PHP_VALUE: Key<Pairs> = Key::pairs("php_value", "Settings of PHP for the request, which ini_set() may change: texts, numbers, true and false. PHP-FPM keeps them in the worker for its later requests too, until they are set again: give different settings pools of their own, or set the same names for all requests of a pool.").example("{ memory_limit = \"512M\", display_errors = false }");

/// The key for PHP settings that no script can change.
pub(crate) static PHP_ADMIN_VALUE: Key<Pairs> = Key::pairs(
    "php_admin_value",
    "Settings of PHP for the request, likewise, which scripts cannot change.",
)
.example("{ open_basedir = \"/srv/app:/tmp\" }");

/// The lines of PHP_VALUE and of PHP_ADMIN_VALUE.
#[derive(Debug)]
pub(super) struct PhpValue([Option<Arc<str>>; 2]);

impl PhpValue {
    /// Builds the settings from the section of a rule; `None` if there is none.
    pub(super) fn build(section: &Lowered, parts: &mut Parts<'_>) -> Option<Self> {
        let lines = [&PHP_VALUE, &PHP_ADMIN_VALUE].map(|key| lines((key, section), parts.problems));
        lines.iter().any(Option::is_some).then_some(Self(lines))
    }
}

impl Modify for PhpValue {
    /// Adds the settings.
    fn apply(
        &self,
        _: &Scope<'_>,
        _: &mut Inputs<'_>,
        edits: &mut RuleEdits,
    ) -> Result<(), Interruption> {
        edits.php_values = self.0.clone();
        Ok(())
    }
}

/// Formats the settings of a key as lines of php.ini, as PHP-FPM parses them.
fn lines((key, section): (&Key<Pairs>, &Lowered), problems: &mut Problems) -> Option<Arc<str>> {
    let mut lines = Vec::new();
    for (name, value) in section.get(key) {
        let in_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
        let bad = |c: char| matches!(c, '"' | '\\' | '$') || c.is_control();
        if name.value.is_empty() || !name.value.bytes().all(in_name) {
            let message = format!("`{}` is not a PHP setting", name.value.escape_debug());
            problems.push(Problem::new(name.place.clone(), message));
        } else if value.value.contains(bad) {
            problems.push(
                Problem::new(
                    value.place.clone(),
                    format!("`{}` cannot be sent to PHP", value.value.escape_debug()),
                )
                .help("a value has no quote, backslash, $ or control character: php.ini would read it differently"),
            );
        } else {
            let plain = value.value.bytes().all(|byte| byte.is_ascii_alphanumeric());
            let quote = if plain { "" } else { "\"" };
            lines.push(format!("{}={quote}{}{quote}", name.value, value.value));
        }
    }
    let text = lines.join("\n");
    check_length(
        &key.name().to_ascii_uppercase(),
        text.len(),
        &section.place_of(key),
        problems,
    );
    (!text.is_empty()).then(|| text.into())
}

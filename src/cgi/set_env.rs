//! `set_env`, `unset_env`, `php_value`: variables that are set after all others, as by Apache's
//! ProxyFCGISetEnvIf, and replace the computed ones.

use crate::fastcgi::params::{decode_pairs, encode_pair};
use crate::message::edits::Edits;

/// Returns the pairs of `encoded` with the changes of `edits`.
pub fn apply(encoded: &[u8], edits: &Edits) -> Vec<u8> {
    let php_values = [
        (b"PHP_VALUE".as_slice(), edits.php_values(0)),
        (b"PHP_ADMIN_VALUE", edits.php_values(1)),
    ];
    let settings = php_values
        .into_iter()
        .filter_map(|(name, lines)| Some((name, Some(lines?.into_bytes()))));
    let assigned = edits
        .environment()
        .map(|assignment| (assignment.name.as_bytes(), assignment.value.clone()));
    let changed: Vec<_> = settings.chain(assigned).collect();
    let is_changed = |name: &[u8]| changed.iter().any(|(known, _)| *known == name);
    let mut out = Vec::with_capacity(encoded.len());
    for (name, value) in decode_pairs(encoded).unwrap_or_default() {
        if !is_changed(&name) {
            encode_pair(&mut out, &name, &value);
        }
    }
    for (index, (name, value)) in changed.iter().enumerate() {
        let is_last = changed
            .iter()
            .skip(index + 1)
            .all(|(later, _)| later != name);
        if let Some(value) = value.as_ref().filter(|_| is_last) {
            encode_pair(&mut out, name, value);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::edits::{Assignment, RuleEdits, RuleId};

    #[test]
    fn the_last_word_about_a_variable_counts() {
        let mut encoded = Vec::new();
        for (name, value) in [("A", "1"), ("B", "2"), ("C", "3")] {
            encode_pair(&mut encoded, name.as_bytes(), value.as_bytes());
        }
        let assign = |name: &str, value: Option<&str>| Assignment {
            name: name.into(),
            value: value.map(|value| value.as_bytes().to_vec()),
        };
        let mut edits = Edits::default();
        edits.set_rule(RuleEdits {
            environment: vec![
                assign("B", Some("4")),
                assign("C", None),
                assign("D", Some("")),
                assign("E", Some("first")),
            ],
            php_values: [Some("a=1".into()), None],
            ..RuleEdits::default()
        });
        edits.set_rule(RuleEdits {
            rule: RuleId::of_site(1),
            environment: vec![assign("E", Some("last")), assign("B", Some("5"))],
            ..RuleEdits::default()
        });
        let applied = decode_pairs(&apply(&encoded, &edits)).unwrap();
        let pairs: Vec<_> = applied
            .iter()
            .map(|(name, value)| format!("{}={}", name.escape_ascii(), value.escape_ascii()))
            .collect();
        assert_eq!(pairs, ["A=1", "PHP_VALUE=a=1", "D=", "E=last", "B=5"]);
    }
}

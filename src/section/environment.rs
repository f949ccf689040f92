//! `${NAME}` and `${NAME:-default}` in the texts of the configuration.
//!
//! Names are upper-case as in POSIX (XBD §8.1), so that the captures and variables of templates, which
//! are lower-case or digits, pass through unchanged. Values are never expanded again.

/// Look-up of an environment variable.
pub type Environment<'a> = dyn Fn(&str) -> Option<String> + Sync + 'a;

/// Replaces the variables in `text`; `$${` becomes a literal `${`. `${NAME:-default}` uses the default
/// also for an empty variable, as POSIX shells do (XCU §2.6.2). The error lists the variables without
/// a value and a default, each once.
pub(super) fn expand(text: &str, environment: &Environment<'_>) -> Result<String, Vec<String>> {
    let mut expanded = String::with_capacity(text.len());
    let mut unset = Vec::new();
    let mut rest = text;
    while let Some((before, from_dollar)) = rest.find('$').and_then(|at| rest.split_at_checked(at))
    {
        expanded.push_str(before);
        rest = match Piece::first(from_dollar) {
            Piece::Literal { text, rest } => {
                expanded.push_str(text);
                rest
            }
            Piece::Variable {
                name,
                default,
                rest,
            } => {
                match value(name, default, environment) {
                    Some(value) => expanded.push_str(&value),
                    None if unset.iter().any(|known| known == name) => {}
                    None => unset.push(name.to_owned()),
                }
                rest
            }
        };
    }
    expanded.push_str(rest);
    if unset.is_empty() {
        Ok(expanded)
    } else {
        Err(unset)
    }
}

/// Parsed text at a dollar sign, with the rest.
enum Piece<'a> {
    Literal {
        text: &'a str,
        rest: &'a str,
    },
    Variable {
        name: &'a str,
        default: Option<&'a str>,
        rest: &'a str,
    },
}

impl<'a> Piece<'a> {
    fn first(from_dollar: &'a str) -> Self {
        if let Some(rest) = from_dollar.strip_prefix("$${") {
            return Self::Literal { text: "${", rest };
        }
        let variable = from_dollar
            .strip_prefix("${")
            .and_then(|rest| rest.split_once('}'));
        if let Some((inside, rest)) = variable {
            let (name, default) = match inside.split_once(":-") {
                Some((name, default)) => (name, Some(default)),
                None => (inside, None),
            };
            if is_name(name) {
                return Self::Variable {
                    name,
                    default,
                    rest,
                };
            }
        }
        let (text, rest) = from_dollar.split_at_checked(1).unwrap_or((from_dollar, ""));
        Self::Literal { text, rest }
    }
}

fn is_name(name: &str) -> bool {
    let word = name
        .bytes()
        .all(|byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_'));
    word && name
        .bytes()
        .next()
        .is_some_and(|first| !first.is_ascii_digit())
}

fn value(name: &str, default: Option<&str>, environment: &Environment<'_>) -> Option<String> {
    match (environment(name), default) {
        (Some(value), Some(default)) if value.is_empty() => Some(default.to_owned()),
        (Some(value), _) => Some(value),
        (None, default) => default.map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn environment(name: &str) -> Option<String> {
        match name {
            "ROOT" => Some("/srv".to_owned()),
            "EMPTY" => Some(String::new()),
            "DOLLAR" => Some("${ROOT}".to_owned()),
            _ => None,
        }
    }

    #[test]
    fn variables_are_replaced_and_all_else_is_kept() {
        for (text, expected) in [
            ("", ""),
            ("plain $ text", "plain $ text"),
            ("${ROOT}/app", "/srv/app"),
            ("a${ROOT}b${ROOT}", "a/srvb/srv"),
            ("${NONE:-/var}/x", "/var/x"),
            ("${NONE:-}", ""),
            ("${ROOT:-/var}", "/srv"),
            ("${EMPTY}", ""),
            ("${EMPTY:-full}", "full"),
            ("${DOLLAR}", "${ROOT}"),
            ("$${ROOT}", "${ROOT}"),
            ("$$${ROOT}", "$${ROOT}"),
            ("$${ROOT} ${ROOT}", "${ROOT} /srv"),
            ("/new/$rest/$1", "/new/$rest/$1"),
            ("${name}", "${name}"),
            ("${1A}", "${1A}"),
            ("${}", "${}"),
            ("${ROOT", "${ROOT"),
            ("^/wiki/(.*)$", "^/wiki/(.*)$"),
            ("é${ROOT}é$", "é/srvé$"),
        ] {
            assert_eq!(
                expand(text, &environment).as_deref(),
                Ok(expected),
                "{text}"
            );
        }
    }

    #[test]
    fn unset_variables_are_all_named_once() {
        let unset = expand("${A}${ROOT}${B}${A}", &environment).unwrap_err();
        assert_eq!(unset, ["A", "B"]);
    }

    proptest! {
        #[test]
        fn any_text_is_expanded_or_refused(text in "[${}A-Za-z:é-]{0,40}") {
            let _ = expand(&text, &environment);
        }
    }
}

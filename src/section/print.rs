//! A section written as TOML again: the given keys, in their order, with variables replaced.

use super::lowered::{Given, Value};
use super::{AnyKey, At, Kind, Lowered};
use crate::value::{show_duration, show_percent};

impl Lowered {
    /// Writes a line for each given key not in `except`; nested sections are inline tables. Reading the
    /// result yields an equal section.
    pub fn to_toml(&self, except: &[&dyn AnyKey]) -> String {
        let is_kept = |given: &&Given| {
            let mut except = except.iter();
            !except.any(|key| std::ptr::eq(key.descriptor(), given.key))
        };
        let kept = self.given.iter().filter(is_kept);
        kept.map(|given| assignment(given) + "\n").collect()
    }

    fn inline(&self) -> String {
        braces(self.given.iter().map(assignment).collect())
    }
}

fn assignment(given: &Given) -> String {
    let is_flag = matches!(given.key.kind, Kind::FlagOr(_));
    let value = &given.value.value;
    let is_bare = matches!(value, Value::Table(table) if table.given.is_empty());
    let value = if is_flag && is_bare {
        "true".to_owned()
    } else {
        literal(value)
    };
    format!("{} = {value}", given.key.name)
}

/// Quotes a text for TOML, with `${` escaped.
pub fn quoted(text: &str) -> String {
    let mut quoted = "\"".to_owned();
    for c in text.replace("${", "$${").chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            // TOML 1.0 "String": control characters have to be escaped.
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Writes a name as a key: bare if possible.
pub fn key(name: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !name.is_empty() && name.bytes().all(bare) {
        name.to_owned()
    } else {
        // Keys have no variables.
        quoted(name).replace("$${", "${")
    }
}

fn literal(value: &Value) -> String {
    match value {
        Value::Text(text) => quoted(text),
        Value::Flag(flag) => flag.to_string(),
        Value::Integer(number) => number.to_string(),
        Value::Size(size) => quoted(&size.to_string()),
        Value::Duration(duration) => quoted(&show_duration(*duration)),
        Value::Percent(percent) => quoted(&show_percent(*percent)),
        Value::Texts(texts) => list(texts.iter().map(|text| quoted(text))),
        Value::Pairs(pairs) => {
            let pair = |(name, value): &(At<String>, At<String>)| {
                format!("{} = {}", key(name), quoted(value))
            };
            braces(pairs.iter().map(pair).collect())
        }
        Value::Table(table) => table.inline(),
        Value::Tables(tables) => list(tables.iter().map(Lowered::inline)),
        Value::Named(named) => {
            let entry = |(name, table): &(At<String>, Lowered)| {
                format!("{} = {}", key(name), table.inline())
            };
            braces(named.iter().map(entry).collect())
        }
    }
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

fn braces(pairs: Vec<String>) -> String {
    if pairs.is_empty() {
        "{}".to_owned()
    } else {
        format!("{{ {} }}", pairs.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use toml::de::DeTable;

    use super::super::sample::{ROOT, ROOT_KEY, SERVER_KEY, SITE_KEY};
    use super::*;
    use crate::section::Problems;

    fn lower(text: &str) -> Lowered {
        let table = DeTable::parse(text).unwrap();
        let mut problems = Problems::default();
        let variable = |name: &str| (name == "SECRET").then(|| "a\"b\\${SECRET}\n".to_owned());
        let lowered = ROOT.lower(
            table.get_ref(),
            Default::default(),
            &variable,
            &mut problems,
        );
        assert!(problems.is_empty(), "{text}: {problems:?}");
        lowered
    }

    #[test]
    fn printed_sections_are_equal_when_read() {
        let text = r#"
            include = ["a.toml", "${SECRET}"]
            server = { workers = 3, drain = "90s", limits = { body = "1536B" } }
            upstream = { php = { servers = "${SECRET}" }, "a b.${c}" = { keep = "1500ms" } }
            [[site]]
            root = "$${SECRET} $1 $$"
            secure = true
            env = { "A B" = 1, C = "${SECRET}", "D${x}" = true }
            deny = true
            send = { body = "é\t'x'" }
            front = "app.php"
            copy = "/a"
            [[site]]
            deny = { status = 404 }
            index = []
            send = {}
            front = { except = "png" }
            copy = ["/a", { to = "/b", mode = 7 }]
        "#;
        let lowered = lower(text);
        let printed = lowered.to_toml(&[]);
        assert!(lower(&printed).same_as(&lowered), "{printed}");
        assert_eq!(lower(&printed).to_toml(&[]), printed);
        assert!(!lowered.to_toml(&[&SERVER_KEY]).contains("workers"));
    }

    proptest! {
        #[test]
        fn any_text_is_printed_as_itself(text in r#"[${}A-Z"'\\\x00-\x20\x7fé]{0,30}"#) {
            let lowered = lower(&format!("[[site]]\nroot = {}\n", quoted(&text)));
            let site = lowered.get(&SITE_KEY).first().unwrap();
            prop_assert_eq!(site.get(&ROOT_KEY).unwrap().value, text);
        }
    }
}

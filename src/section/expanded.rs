//! A section as text again: what was written, with variables expanded and includes followed, in the
//! language of the configuration.

use std::fmt::Write;

use super::lowered::Value;
use super::{Kind, Lowered};
use crate::value::show_duration;

impl Lowered {
    /// The keys that were written, each on a line; sub-sections that have headers of their own follow
    /// under `path`. `extra` may say more behind a section at a path.
    pub fn expanded(&self, path: &str, extra: &dyn Fn(&str, &Self) -> String) -> String {
        let mut lines = String::new();
        let mut sections = String::new();
        for given in &self.given {
            let name = given.key.name;
            let below = match path {
                "" => name.to_owned(),
                path => format!("{path}.{name}"),
            };
            // Writing to a String cannot fail.
            let _ = match (given.key.kind, &given.value.value) {
                (Kind::Tables(_), Value::Tables(list)) => list.iter().try_for_each(|table| {
                    write!(sections, "\n[[{below}]]\n{}", table.expanded(&below, extra))
                }),
                (Kind::Named(_), Value::Named(list)) => list.iter().try_for_each(|(key, table)| {
                    let header = format!("{below}.{}", quoted_key(key));
                    write!(sections, "\n[{header}]\n{}", table.expanded(&header, extra))
                }),
                (_, value) if name != "preset" && name != "include" => {
                    writeln!(lines, "{name} = {}", inline(value))
                }
                (_, _) => Ok(()),
            };
        }
        lines + &sections + &extra(path, self)
    }
}

fn inline(value: &Value) -> String {
    match value {
        Value::Text(text) => quoted(text),
        Value::Flag(flag) => flag.to_string(),
        Value::Integer(number) => number.to_string(),
        Value::Size(size) => format!("\"{size}\""),
        Value::Duration(duration) => format!("\"{}\"", show_duration(*duration)),
        Value::Texts(list) => listed(list.iter().map(|text| quoted(text))),
        Value::Pairs(pairs) => {
            let pairs = pairs.iter();
            braced(pairs.map(|(name, text)| format!("{} = {}", quoted_key(name), quoted(text))))
        }
        Value::Table(table) => braced(
            table
                .given
                .iter()
                .map(|given| format!("{} = {}", given.key.name, inline(&given.value.value))),
        ),
        Value::Tables(list) => listed(list.iter().map(|it| inline(&Value::Table(it.clone())))),
        Value::Named(list) => braced(list.iter().map(|(name, table)| {
            let table = inline(&Value::Table(table.clone()));
            format!("{} = {table}", quoted_key(name))
        })),
    }
}

fn listed(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

fn braced(items: impl Iterator<Item = String>) -> String {
    let items = items.collect::<Vec<_>>();
    match items.is_empty() {
        true => "{}".to_owned(),
        false => format!("{{ {} }}", items.join(", ")),
    }
}

/// What looks like a variable of the environment is none any more.
fn quoted(text: &str) -> String {
    toml::Value::String(text.replace("${", "$${")).to_string()
}

fn quoted_key(name: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    match !name.is_empty() && name.bytes().all(bare) {
        true => name.to_owned(),
        false => toml::Value::String(name.to_owned()).to_string(),
    }
}

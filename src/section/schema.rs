//! The configuration as a JSON Schema (2020-12) for editors, generated from the section descriptions. It
//! covers types, words and bounds; constraints between keys are known to `fcgate check` alone.

use serde_json::{Map, Value, json};
use toml::de::DeValue;

use super::{Descriptor, Kind, Section};
use crate::value::{duration_pattern, percent_pattern, size_pattern};

/// Pattern of a text with an environment variable, which may have any value.
const VARIABLE: &str = "\\$\\{[A-Z_]";

/// Returns the schema of a file whose top level is `root`.
pub fn schema(root: &'static Section) -> Value {
    let mut page = Page::default();
    let top = page.section(root);
    // Sections refer to each other, and some to themselves.
    while let Some(section) = page.next() {
        let described = page.section(section);
        page.done.push(Value::Object(described));
    }
    let names = page.sections.iter().map(|(_, name)| name.clone());
    let definitions: Map<String, Value> = names.zip(page.done).collect();
    let mut schema = Map::new();
    schema.insert(
        "$schema".to_owned(),
        json!("https://json-schema.org/draft/2020-12/schema"),
    );
    schema.extend(top);
    schema.insert("$defs".to_owned(), Value::Object(definitions));
    Value::Object(schema)
}

/// State of the schema: the sections by name, and the number already described.
#[derive(Default)]
struct Page {
    sections: Vec<(&'static Section, String)>,
    done: Vec<Value>,
}

impl Page {
    fn next(&self) -> Option<&'static Section> {
        let next = self.sections.get(self.done.len());
        next.map(|(section, _)| *section)
    }

    fn section(&mut self, section: &'static Section) -> Map<String, Value> {
        let described_keys = section
            .keys()
            .map(|key| (key.name.to_owned(), self.key(key)));
        let properties: Map<String, Value> = described_keys.collect();
        let described = json!({
            "title": section.title,
            "description": section.doc,
            "type": "object",
            "properties": properties,
            "additionalProperties": false,
        });
        object(described)
    }

    fn key(&mut self, key: &Descriptor) -> Value {
        let mut described = self.kind(key.kind);
        described.insert("description".to_owned(), json!(key.doc));
        if let Some(default) = key.default.and_then(literal) {
            described.insert("default".to_owned(), default);
        }
        if let Some(example) = key.example.and_then(literal) {
            described.insert("examples".to_owned(), json!([example]));
        }
        Value::Object(described)
    }

    fn kind(&mut self, kind: Kind) -> Map<String, Value> {
        let described = match kind {
            Kind::Text => json!({ "type": "string" }),
            Kind::Flag => json!({ "type": "boolean" }),
            Kind::Integer { min, max: i64::MAX } => json!({ "type": "integer", "minimum": min }),
            Kind::Integer { min, max } => {
                json!({ "type": "integer", "minimum": min, "maximum": max })
            }
            Kind::Size => or_variable(json!({ "pattern": size_pattern() })),
            Kind::Duration => or_variable(json!({ "pattern": duration_pattern() })),
            Kind::Percent => or_variable(json!({ "pattern": percent_pattern() })),
            Kind::OneOf(words) => or_variable(json!({ "enum": words })),
            Kind::Texts => {
                json!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] })
            }
            Kind::Pairs => {
                json!({ "type": "object", "additionalProperties": { "type": ["string", "integer", "boolean"] } })
            }
            Kind::Table(section) => self.reference(section),
            Kind::Tables(section) => json!({ "type": "array", "items": self.reference(section) }),
            Kind::Named(section) => {
                json!({ "type": "object", "additionalProperties": self.reference(section) })
            }
            Kind::FlagOr(section) => {
                json!({ "anyOf": [{ "type": "boolean" }, self.reference(section)] })
            }
            Kind::TextOr(section) => self.abbreviated(section),
            Kind::OneOrMore(section) => {
                let one = self.abbreviated(section);
                json!({ "anyOf": [one, { "type": "array", "items": one }] })
            }
        };
        object(described)
    }

    /// Describes a section that may be the value of its first key.
    fn abbreviated(&mut self, section: &'static Section) -> Value {
        let first = section.first_key().map(|key| self.kind(key.kind));
        json!({ "anyOf": [first.unwrap_or_default(), self.reference(section)] })
    }

    /// Returns the reference to a section; a second section with the same title gets a number.
    fn reference(&mut self, section: &'static Section) -> Value {
        let known = self
            .sections
            .iter()
            .find(|(known, _)| std::ptr::eq(*known, section));
        let name = known.map(|(_, name)| name.clone()).unwrap_or_else(|| {
            let title = section.title.replace(['[', ']', ' '], "");
            let same = self
                .sections
                .iter()
                .filter(|(known, _)| known.title == section.title);
            let name = match same.count() {
                0 => title,
                count => format!("{title}-{}", count + 1),
            };
            self.sections.push((section, name.clone()));
            name
        });
        json!({ "$ref": format!("#/$defs/{name}") })
    }
}

/// Converts the result of `json!` with braces.
fn object(value: Value) -> Map<String, Value> {
    if let Value::Object(object) = value {
        object
    } else {
        Map::new()
    }
}

fn or_variable(described: Value) -> Value {
    json!({ "type": "string", "anyOf": [described, { "pattern": VARIABLE }] })
}

/// Parses a literal of a description; its tests find invalid ones.
fn literal(text: &str) -> Option<Value> {
    DeValue::parse(text)
        .ok()
        .and_then(|value| json_of(value.get_ref()))
}

fn json_of(value: &DeValue<'_>) -> Option<Value> {
    Some(match value {
        DeValue::String(text) => json!(text),
        DeValue::Integer(number) => {
            json!(i64::from_str_radix(number.as_str(), number.radix()).ok()?)
        }
        DeValue::Boolean(flag) => json!(flag),
        DeValue::Array(list) => {
            let items = list.iter().map(|item| json_of(item.get_ref()));
            Value::Array(items.collect::<Option<_>>()?)
        }
        DeValue::Table(table) => {
            let pairs = table.iter().map(|(name, value)| {
                json_of(value.get_ref()).map(|value| (name.get_ref().to_string(), value))
            });
            Value::Object(pairs.collect::<Option<_>>()?)
        }
        // No key has one of these.
        DeValue::Float(_) | DeValue::Datetime(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::section::sample;

    #[test]
    fn every_kind_is_described() {
        let schema = schema(&sample::ROOT);
        let at = |path: &str| {
            schema
                .pointer(path)
                .unwrap_or_else(|| panic!("{path}: {schema:#}"))
        };
        assert_eq!(at("/properties/site/items/$ref"), "#/$defs/site");
        assert_eq!(
            at("/properties/upstream/additionalProperties/$ref"),
            "#/$defs/upstream.NAME"
        );
        let server = "/$defs/server/properties";
        assert_eq!(at(&format!("{server}/workers/maximum")), 1024);
        assert_eq!(at(&format!("{server}/workers/default")), 0);
        assert_eq!(at(&format!("{server}/log/anyOf/0/enum/1")), "warn");
        assert_eq!(at(&format!("{server}/drain/default")), "25s");
        let site = "/$defs/site/properties";
        assert_eq!(at(&format!("{site}/deny/anyOf/1/$ref")), "#/$defs/deny");
        assert_eq!(at(&format!("{site}/env/examples/0/APP_ENV")), "production");
        assert_eq!(at("/$defs/limits/additionalProperties"), false);
        assert_eq!(at("/$defs/limits/properties/fields/minimum"), 1);
    }
}

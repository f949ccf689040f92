//! The schema of `fcgate schema`: all samples are valid, its own examples are, and mistakes are not.

use std::path::{Path, PathBuf};

use regex::Regex;
use serde_json::Value;
use toml::Value as Toml;

use crate::harness::gateway::run;

/// Where a repository of this kind has configurations; a folder need not be there.
const SAMPLES: [&str; 4] = ["config", "docker", "examples", "tests/it/explain"];

/// What the schema is made of. A keyword that is not looked at below would prove nothing.
const KEYWORDS: [&str; 16] = [
    "$schema",
    "$defs",
    "$ref",
    "title",
    "description",
    "default",
    "examples",
    "type",
    "properties",
    "additionalProperties",
    "items",
    "anyOf",
    "enum",
    "pattern",
    "minimum",
    "maximum",
];

fn schema() -> Value {
    let output = run(&["schema"]);
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What is wrong with `value` by JSON Schema 2020-12, as far as this schema makes use of it.
fn faults(root: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    if schema == &Value::Bool(false) {
        return vec![format!("{at}: not known")];
    }
    let Some(rules) = schema.as_object() else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (keyword, rule) in rules {
        assert!(KEYWORDS.contains(&keyword.as_str()), "{keyword}");
        match keyword.as_str() {
            "$ref" => {
                let path = rule.as_str().unwrap().trim_start_matches('#');
                found.extend(faults(root, root.pointer(path).unwrap(), value, at));
            }
            "anyOf" => {
                let mut any = rule.as_array().unwrap().iter();
                if !any.any(|schema| faults(root, schema, value, at).is_empty()) {
                    found.push(format!("{at}: none of {rule}"));
                }
            }
            "properties" => found.extend(properties(root, rules, value, at)),
            "additionalProperties" if !rules.contains_key("properties") => {
                found.extend(properties(root, rules, value, at));
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    found.extend(faults(root, rule, item, &format!("{at}[{index}]")));
                }
            }
            _ if !holds(keyword, rule, value) => found.push(format!("{at}: {keyword} {rule}")),
            _ => {}
        }
    }
    found
}

fn properties(
    root: &Value,
    rules: &serde_json::Map<String, Value>,
    value: &Value,
    at: &str,
) -> Vec<String> {
    let members = value.as_object().into_iter().flatten();
    let faults = members.flat_map(|(name, member)| {
        let known = rules.get("properties").and_then(|known| known.get(name));
        let schema = known.or_else(|| rules.get("additionalProperties"));
        let at = format!("{at}.{name}");
        schema.map_or_else(Vec::new, |schema| faults(root, schema, member, &at))
    });
    faults.collect()
}

/// One keyword of a single value.
fn holds(keyword: &str, rule: &Value, value: &Value) -> bool {
    match keyword {
        "type" => {
            let several = rule.as_array().map(Vec::as_slice);
            let mut types = several.unwrap_or_else(|| std::slice::from_ref(rule)).iter();
            types.any(|one| is(one.as_str().unwrap(), value))
        }
        "enum" => rule.as_array().unwrap().contains(value),
        "pattern" => {
            let pattern = Regex::new(rule.as_str().unwrap()).unwrap();
            value.as_str().is_none_or(|text| pattern.is_match(text))
        }
        "minimum" => value
            .as_i64()
            .is_none_or(|number| number >= rule.as_i64().unwrap()),
        "maximum" => value
            .as_i64()
            .is_none_or(|number| number <= rule.as_i64().unwrap()),
        _ => true,
    }
}

fn is(kind: &str, value: &Value) -> bool {
    match kind {
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        other => panic!("{other} is no type of the configuration"),
    }
}

fn json_of(value: &Toml) -> Value {
    match value {
        Toml::String(text) => text.as_str().into(),
        Toml::Integer(number) => (*number).into(),
        Toml::Boolean(flag) => (*flag).into(),
        Toml::Array(list) => list.iter().map(json_of).collect(),
        Toml::Table(table) => {
            let pairs = table
                .iter()
                .map(|(name, value)| (name.clone(), json_of(value)));
            Value::Object(pairs.collect())
        }
        Toml::Float(_) | Toml::Datetime(_) => panic!("{value} is in no configuration"),
    }
}

fn parse(text: &str) -> Value {
    json_of(&Toml::Table(text.parse().unwrap()))
}

fn samples(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            samples(&path, found);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            found.push(path);
        }
    }
}

#[test]
fn all_samples_are_valid() {
    let schema = schema();
    let mut files = Vec::new();
    for folder in SAMPLES {
        samples(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join(folder),
            &mut files,
        );
    }
    let mut seen = 0;
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        seen += 1;
        let faults = faults(&schema, &schema, &parse(&text), "");
        assert_eq!(faults, Vec::<String>::new(), "{}", file.display());
    }
    assert!(seen >= 6, "{seen}");
}

/// Every default and every example of a descriptor is what its own key takes.
#[test]
fn its_own_examples_are_valid() {
    let schema = schema();
    let sections = schema["$defs"].as_object().unwrap().values();
    let mut seen = 0;
    for section in sections.chain([&schema]) {
        for (name, key) in section["properties"].as_object().unwrap() {
            let examples = key.get("examples").and_then(Value::as_array);
            for value in key
                .get("default")
                .into_iter()
                .chain(examples.into_iter().flatten())
            {
                seen += 1;
                let at = format!("{} {name}", section["title"]);
                assert_eq!(faults(&schema, key, value, &at), Vec::<String>::new());
            }
            assert!(!key["description"].as_str().unwrap().is_empty(), "{name}");
        }
    }
    assert!(seen > 100, "{seen}");
}

#[test]
fn mistakes_are_not() {
    let schema = schema();
    for (text, fault) in [
        ("[[sight]]", ".sight: not known"),
        ("[[site]]\nroot = 1", ".site[0].root: type \"string\""),
        ("[site]\nroot = \"/\"", ".site: type \"array\""),
        ("[server]\nworkers = 2000", ".server.workers: maximum 1024"),
        ("[server]\ndrain = \"25\"", ".server.drain: none of"),
        ("[server]\nlog = \"loud\"", ".server.log: none of"),
        (
            "[[site]]\n[[site.rule]]\nany = [{ all = [{ paht = \"/\" }] }]",
            "[0].paht: not known",
        ),
    ] {
        let found = faults(&schema, &schema, &parse(text), "");
        assert!(
            found.iter().any(|found| found.contains(fault)),
            "{text}: {found:?}"
        );
    }
    let right = "[server]\nlog = \"${LEVEL}\"\ndrain = \"${DRAIN:-5s}\"\n[[site]]\nhosts = \"a\"\nhttps = true";
    assert_eq!(
        faults(&schema, &schema, &parse(right), ""),
        Vec::<String>::new()
    );
}
